//! Which character devices the machine has, and the terminal under them.

use std::sync::Arc;
use std::time::Duration;

use chardev::spec::{Kind, Short};
use chardev::{Chardevs, Terminal, TerminalInput};
use include::CharBackend;
use util::host_console::{Console, Input};

use crate::options::Options;

/// The process's own terminal.
pub struct HostTerminal;

impl Terminal for HostTerminal {
    fn read_blocking(&self, buf: &mut [u8], timeout: Duration) -> TerminalInput {
        match Console::stdio().read(buf, Some(timeout)) {
            Input::Bytes(count) => TerminalInput::Bytes(count),
            Input::TimedOut => TerminalInput::Timeout,
            Input::Eof => TerminalInput::End,
        }
    }

    fn write(&self, bytes: &[u8]) {
        // Whoever read our output is gone; the guest goes on, as it does without a terminal.
        let _ = Console::stdio().write_all(bytes);
    }

    fn set_raw(&self, raw: bool) {
        if let Err(error) = Console::stdio().set_raw(raw) {
            log::warn!("the terminal's mode cannot be changed: {error}");
        }
    }

    fn is_terminal(&self) -> bool {
        Console::stdio().is_terminal()
    }
}

/// What the serial port and the monitor are, when the options leave one or both out. There is no
/// display yet, so without `-display none` the terminal stands in for QEMU's window.
fn defaults(options: &Options) -> (Short, Option<Short>) {
    let stdio = |signal| Kind::Stdio { signal };
    let serial = options.serials.first().cloned();
    let monitor = options.monitors.first().cloned();
    if options.no_defaults || (options.no_display && !options.nographic) {
        return (serial.unwrap_or(Short::None), monitor);
    }
    match (serial, monitor) {
        (None, None) => (
            Short::New {
                kind: stdio(false),
                monitor: true,
            },
            None,
        ),
        (None, monitor) if options.nographic => (
            Short::New {
                kind: stdio(true),
                monitor: false,
            },
            monitor,
        ),
        (None, monitor) => (Short::None, monitor),
        (Some(serial), None) if options.nographic && !has_monitor(&serial) => (
            serial,
            Some(Short::New {
                kind: stdio(true),
                monitor: false,
            }),
        ),
        (Some(serial), monitor) => (serial, monitor),
    }
}

fn has_monitor(short: &Short) -> bool {
    matches!(short, Short::New { monitor: true, .. })
}

/// Where the monitors are: the back end, and whether it is shared.
pub type Monitors = Vec<(Arc<dyn CharBackend>, bool)>;

/// Makes the character devices that the options ask for.
pub fn open(
    options: &Options,
    chardevs: &mut Chardevs,
) -> Result<(Vec<Arc<dyn CharBackend>>, Monitors), String> {
    for spec in &options.chardevs {
        let id = spec.id.clone();
        chardevs
            .add(spec.clone())
            .map_err(|reason| format!("-chardev {id}: {reason}"))?;
    }
    let (serial, monitor) = defaults(options);
    let mut serials = Vec::new();
    let mut monitors = Vec::new();
    let others = options.serials.iter().skip(1).cloned();
    for (index, short) in std::iter::once(serial).chain(others).enumerate() {
        let label = format!("serial{index}");
        let ends = chardevs.connect_short(&label, short);
        let ends = ends.map_err(|reason| format!("-serial: {reason}"))?;
        serials.push(ends.device);
        monitors.extend(ends.monitor.map(|end| (end, true)));
    }
    if let Some(short) = monitor {
        let shared = has_monitor(&short) || matches!(short, Short::Chardev(_));
        let ends = chardevs.connect_short("monitor", short);
        let ends = ends.map_err(|reason| format!("-monitor: {reason}"))?;
        monitors.push((ends.device, shared));
    }
    Ok((serials, monitors))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: (&str, Option<&str>)) {
        let args: Vec<String> = line.split_whitespace().map(str::to_string).collect();
        let options = crate::options::parse(&args).unwrap();
        let short = |text: &str| chardev::spec::parse_short(text).unwrap();
        let expected = (short(expected.0), expected.1.map(short));
        assert_eq!(defaults(&options), expected, "{line}");
    }

    #[test]
    fn the_terminal_goes_to_who_is_left_out() {
        check("", ("mon:stdio", None));
        check("-nographic", ("mon:stdio", None));
        check("-nographic -serial null", ("null", Some("stdio")));
        check("-nographic -serial mon:stdio", ("mon:stdio", None));
        check("-nographic -monitor none", ("stdio", Some("none")));
        check("-monitor null", ("none", Some("null")));
        check("-serial stdio", ("stdio", None));
        check("-display none", ("none", None));
        check("-nodefaults", ("none", None));
        check("-nodefaults -serial stdio", ("stdio", None));
    }
}
