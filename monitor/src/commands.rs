//! The commands, in one table.

use include::{PhysAddr, ShutdownCause, VirtAddr};
use util::log;

use crate::dump::{Format, evaluate};
use crate::{Emulator, State};

/// A command answers with text for the terminal; a mistake of the user is such a text too.
type Run = fn(&dyn Emulator, &mut State, &str) -> Result<String, String>;

struct Command {
    names: &'static [&'static str],
    args: &'static str,
    help: &'static str,
    run: Run,
}

const fn command(
    names: &'static [&'static str],
    args: &'static str,
    help: &'static str,
    run: Run,
) -> Command {
    Command {
        names,
        args,
        help,
        run,
    }
}

#[rustfmt::skip]
const COMMANDS: &[Command] = &[
    command(&["help", "?"], "[cmd]", "show the commands", |_, _, name| help(COMMANDS, "", name)),
    command(&["info"], "[subcommand]", "show information about the machine", info),
    command(&["quit", "q"], "", "end the emulator", |emulator, _, _| {
        emulator.control().shutdown_request(ShutdownCause::HostRequest);
        Ok(String::new())
    }),
    command(&["stop", "s"], "", "stop the machine", |emulator, _, _| {
        emulator.control().pause_request();
        emulator.settle();
        Ok(String::new())
    }),
    command(&["cont", "c"], "", "let the machine go on", |emulator, _, _| {
        emulator.control().resume_request();
        emulator.settle();
        Ok(String::new())
    }),
    command(&["system_reset"], "", "reset the machine", |emulator, _, _| {
        emulator.control().reset_request();
        emulator.settle();
        Ok(String::new())
    }),
    command(&["system_powerdown"], "", "press the power button (this machine has none)",
        |_, _, _| Err("This machine has no power button; 'quit' ends the emulator.".into())),
    command(&["cpu"], "index", "choose the CPU that 'x' and 'info registers' look at", cpu),
    command(&["x"], "/fmt addr", "dump virtual memory", |emulator, state, args| {
        let cpu = state.cpu;
        dump(emulator, state, args, &|addr| emulator.translate(cpu, VirtAddr(addr)))
    }),
    command(&["xp"], "/fmt addr", "dump physical memory",
        |emulator, state, args| dump(emulator, state, args, &|addr| Some(PhysAddr(addr)))),
    command(&["print", "p"], "/fmt expr", "show the value of an expression", print),
    command(&["log"], "item1[,...]|none", "log these items, as -d does", |_, _, items| {
        log::set_items(&log::parse_items(items)?);
        Ok(String::new())
    }),
];

#[rustfmt::skip]
const INFO: &[Command] = &[
    command(&["chardev"], "", "the character devices", |emulator, _, _| Ok(emulator.chardevs())),
    command(&["cpus"], "", "the CPUs", cpus),
    command(&["jit"], "", "what the translator did", |emulator, _, _| Ok(emulator.jit())),
    command(&["mtree"], "", "the memory map", |emulator, _, _| Ok(emulator.mtree())),
    command(&["name"], "", "the name of the machine",
        |emulator, _, _| Ok(emulator.name().unwrap_or_default() + "\n")),
    command(&["qtree"], "", "the devices", |emulator, _, _| Ok(emulator.qtree())),
    command(&["registers"], "[-a]", "the CPU's registers (-a: of all CPUs)", registers),
    command(&["status"], "", "whether the machine runs",
        |emulator, _, _| Ok(format!("VM status: {}\n", emulator.status()))),
    command(&["version"], "", "the version", |emulator, _, _| Ok(emulator.version())),
];

/// Runs a line; the answer ends with a line end, or is empty.
pub fn run(emulator: &dyn Emulator, state: &mut State, line: &str) -> String {
    let line = line.trim();
    if line.is_empty() {
        return String::new();
    }
    let answer = run_in(COMMANDS, "", emulator, state, line);
    answer.unwrap_or_else(|mistake| mistake + "\n")
}

fn run_in(
    table: &[Command],
    prefix: &str,
    emulator: &dyn Emulator,
    state: &mut State,
    line: &str,
) -> Result<String, String> {
    let end = line
        .find(|c: char| c.is_whitespace() || c == '/')
        .unwrap_or(line.len());
    let (name, args) = (&line[..end], line[end..].trim());
    match table.iter().find(|command| command.names.contains(&name)) {
        Some(command) if command.args.is_empty() && !args.is_empty() => {
            Err(format!("{prefix}{name} takes no arguments"))
        }
        Some(command) => (command.run)(emulator, state, args),
        None => Err(format!("there is no command '{prefix}{name}' (try 'help')")),
    }
}

fn help(table: &[Command], prefix: &str, name: &str) -> Result<String, String> {
    if name == "info" {
        return help(INFO, "info ", "");
    }
    let shown = table
        .iter()
        .filter(|command| name.is_empty() || command.names.contains(&name));
    let line = |command: &Command| {
        let names = command.names.join("|");
        let head = format!("{prefix}{names} {}", command.args);
        format!("{} -- {}\n", head.trim_end(), command.help)
    };
    let text: String = shown.map(line).collect();
    if text.is_empty() {
        Err(format!("there is no command '{name}'"))
    } else {
        Ok(text)
    }
}

fn info(emulator: &dyn Emulator, state: &mut State, args: &str) -> Result<String, String> {
    if args.is_empty() {
        return help(INFO, "info ", "");
    }
    run_in(INFO, "info ", emulator, state, args)
}

fn cpu(emulator: &dyn Emulator, state: &mut State, args: &str) -> Result<String, String> {
    let index = args
        .parse()
        .ok()
        .filter(|index| *index < emulator.cpu_count());
    state.cpu = index.ok_or_else(|| format!("there is no CPU '{args}'"))?;
    Ok(String::new())
}

fn cpus(emulator: &dyn Emulator, state: &mut State, _args: &str) -> Result<String, String> {
    let line = |cpu: usize| {
        let mark = if cpu == state.cpu { '*' } else { ' ' };
        match emulator.register(cpu, "pc") {
            Some(pc) => format!("{mark} CPU #{cpu}: pc={pc:#018x}\n"),
            None => format!("{mark} CPU #{cpu}\n"),
        }
    };
    Ok((0..emulator.cpu_count()).map(line).collect())
}

fn registers(emulator: &dyn Emulator, state: &mut State, args: &str) -> Result<String, String> {
    let shown = match args {
        "" => state.cpu..state.cpu + 1,
        "-a" => 0..emulator.cpu_count(),
        other => return Err(format!("info registers takes -a, not '{other}'")),
    };
    Ok(shown
        .map(|cpu| format!("\nCPU#{cpu}\n{}", emulator.registers(cpu)))
        .collect())
}

/// Takes `/fmt` off the arguments, and remembers it.
fn take_format<'a>(state: &mut State, args: &'a str) -> Result<(Format, &'a str), String> {
    let (text, rest) = match args.strip_prefix('/') {
        Some(rest) => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        None => ("", args),
    };
    state.format = state.format.parse(text)?;
    Ok((state.format, rest.trim()))
}

fn value_of(emulator: &dyn Emulator, state: &State, text: &str) -> Result<u64, String> {
    evaluate(text, |name| emulator.register(state.cpu, name))
}

fn dump(
    emulator: &dyn Emulator,
    state: &mut State,
    args: &str,
    translate: &dyn Fn(u64) -> Option<PhysAddr>,
) -> Result<String, String> {
    let (format, rest) = take_format(state, args)?;
    let addr = value_of(emulator, state, rest)?;
    let memory = emulator.memory();
    // Byte by byte, since an item may cross into a page that is somewhere else.
    Ok(format.dump(addr, |at, buf| {
        buf.iter_mut().enumerate().all(|(index, byte)| {
            let at = translate(at.wrapping_add(index as u64));
            at.is_some_and(|at| memory.read(at, std::slice::from_mut(byte)).is_ok())
        })
    }))
}

fn print(emulator: &dyn Emulator, state: &mut State, args: &str) -> Result<String, String> {
    let (text, rest) = match args.strip_prefix('/') {
        Some(rest) => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        None => ("", args),
    };
    let format = Format::default().parse("xg")?.parse(text)?;
    Ok(format.show(value_of(emulator, state, rest)?) + "\n")
}
