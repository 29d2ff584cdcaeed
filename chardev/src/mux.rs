//! One host device shared by several front ends, with QEMU's Ctrl-A keys (`chardev/char-mux.c`).

use std::sync::{Arc, Weak};
use std::time::Instant;

use include::{CharBackend, RunStateControl, ShutdownCause};
use parking_lot::Mutex;
use util::main_loop::Poster;

use crate::endpoint::Endpoint;
use crate::gate::Gate;
use crate::output::Output;

/// Ctrl-A, unless `-echr` says otherwise.
pub const ESCAPE_DEFAULT: u8 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Help,
    Exit,
    SaveDisk,
    Timestamps,
    Break,
    Switch,
}

/// What follows the escape character, and what it does. Both help keys are there; one is shown.
const KEYS: &[(u8, Key, &str)] = &[
    (b'h', Key::Help, "print this help"),
    (b'?', Key::Help, ""),
    (b'x', Key::Exit, "exit emulator"),
    (
        b's',
        Key::SaveDisk,
        "save disk data back to file (there are no disks yet)",
    ),
    (b't', Key::Timestamps, "toggle console timestamps"),
    (b'b', Key::Break, "send break"),
    (b'c', Key::Switch, "switch between console and monitor"),
];

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Data(u8),
    Key(Key),
    Swallowed,
}

/// Finds the keys in a stream of typed bytes.
struct Keys {
    escape: u8,
    escaped: bool,
}

impl Keys {
    fn step(&mut self, byte: u8) -> Step {
        if !self.escaped {
            self.escaped = byte == self.escape;
            return if self.escaped {
                Step::Swallowed
            } else {
                Step::Data(byte)
            };
        }
        self.escaped = false;
        if byte == self.escape {
            return Step::Data(byte);
        }
        let known = KEYS.iter().find(|(key, _, _)| *key == byte);
        known.map_or(Step::Swallowed, |(_, key, _)| Step::Key(*key))
    }

    fn help(&self) -> String {
        let escape = match self.escape {
            control @ 0..=31 => format!("C-{}", char::from(control + 64).to_ascii_lowercase()),
            other => char::from(other).to_string(),
        };
        let shown = KEYS.iter().filter(|(_, _, help)| !help.is_empty());
        let lines = shown.map(|(key, _, help)| format!("{escape} {:<4}{help}\r\n", *key as char));
        let last = format!("{escape} {escape} sends {escape}\r\n");
        format!("\r\n{}{last}", lines.collect::<String>())
    }
}

/// Puts the time in front of each line.
#[derive(Default)]
struct Stamps {
    since: Option<Instant>,
    mid_line: bool,
}

impl Stamps {
    fn apply(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut stamped = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            if let Some(since) = self.since
                && !self.mid_line
            {
                let ms = since.elapsed().as_millis();
                let (s, m, h) = (ms / 1000, ms / 60_000, ms / 3_600_000);
                let stamp = format!("[{h:02}:{:02}:{:02}.{:03}] ", m % 60, s % 60, ms % 1000);
                stamped.extend_from_slice(stamp.as_bytes());
            }
            stamped.push(byte);
            self.mid_line = byte != b'\n';
        }
        stamped
    }
}

/// The shared device.
pub struct Mux {
    this: Weak<Mux>,
    poster: Poster,
    output: Arc<Output>,
    gate: Arc<Gate>,
    control: Arc<dyn RunStateControl>,
    keys: Mutex<Keys>,
    stamps: Mutex<Stamps>,
    ends: Mutex<Ends>,
}

#[derive(Default)]
struct Ends {
    list: Vec<Arc<Endpoint>>,
    focus: usize,
}

impl Mux {
    /// A mux that nobody uses yet.
    pub fn new(
        poster: Poster,
        output: Arc<Output>,
        gate: Arc<Gate>,
        control: Arc<dyn RunStateControl>,
        escape: u8,
    ) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            this: this.clone(),
            poster,
            output,
            gate,
            control,
            keys: Mutex::new(Keys {
                escape,
                escaped: false,
            }),
            stamps: Mutex::default(),
            ends: Mutex::default(),
        })
    }

    /// One more front end's view. The first one has the keyboard.
    pub fn attach(&self) -> Arc<dyn CharBackend> {
        let this = self.this.clone();
        let writer = Box::new(move |bytes: &[u8]| {
            if let Some(mux) = this.upgrade() {
                mux.write(bytes);
            }
        });
        let end = Endpoint::new(self.poster.clone(), self.gate.clone(), writer);
        self.ends.lock().list.push(end.clone());
        end
    }

    /// Input from the host, on the main loop's thread.
    pub fn input(&self, bytes: &[u8]) {
        let mut data = Vec::new();
        for &byte in bytes {
            let step = self.keys.lock().step(byte);
            match step {
                Step::Data(byte) => data.push(byte),
                Step::Swallowed => self.gate.leave(1),
                Step::Key(key) => {
                    self.gate.leave(1);
                    self.pass_on(&std::mem::take(&mut data));
                    self.press(key);
                }
            }
        }
        self.pass_on(&data);
    }

    fn write(&self, bytes: &[u8]) {
        let mut stamps = self.stamps.lock();
        if stamps.since.is_none() {
            stamps.mid_line = bytes.last().is_some_and(|byte| *byte != b'\n');
            // Kept locked, so that two threads' lines and stamps stay in order.
            return self.output.write(bytes);
        }
        let stamped = stamps.apply(bytes);
        self.output.write(&stamped);
    }

    fn pass_on(&self, data: &[u8]) {
        if data.is_empty() {
            return;
        }
        match self.focus() {
            Some(end) => end.push(data),
            None => self.gate.leave(data.len()),
        }
    }

    fn focus(&self) -> Option<Arc<Endpoint>> {
        let ends = self.ends.lock();
        ends.list.get(ends.focus).cloned()
    }

    fn press(&self, key: Key) {
        match key {
            Key::Help => self.write(self.keys.lock().help().as_bytes()),
            Key::Exit => {
                self.write(b"tinamou: terminated by the user\r\n");
                self.control.shutdown_request(ShutdownCause::HostRequest);
            }
            Key::SaveDisk => self.write(b"\r\nThere are no disks to save.\r\n"),
            Key::Timestamps => {
                let mut stamps = self.stamps.lock();
                stamps.since = if stamps.since.is_some() {
                    None
                } else {
                    Some(Instant::now())
                };
            }
            Key::Break => {
                if let Some(end) = self.focus() {
                    end.send_break();
                }
            }
            Key::Switch => self.switch(),
        }
    }

    fn switch(&self) {
        let mut ends = self.ends.lock();
        if !ends.list.is_empty() {
            ends.focus = (ends.focus + 1) % ends.list.len();
        }
        drop(ends);
        if let Some(end) = self.focus() {
            end.focused();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(typed: &[u8], expected: &[Step]) {
        let mut keys = Keys {
            escape: 1,
            escaped: false,
        };
        let steps: Vec<_> = typed.iter().map(|byte| keys.step(*byte)).collect();
        let steps: Vec<_> = steps
            .into_iter()
            .filter(|step| *step != Step::Swallowed)
            .collect();
        assert_eq!(steps, expected, "{typed:?}");
    }

    #[test]
    fn keys_follow_the_escape() {
        check(b"ab", &[Step::Data(b'a'), Step::Data(b'b')]);
        check(b"x\x01x", &[Step::Data(b'x'), Step::Key(Key::Exit)]);
        check(b"\x01\x01x", &[Step::Data(1), Step::Data(b'x')]);
        check(b"\x01zc", &[Step::Data(b'c')]);
        check(b"\x01h\x01?", &[Step::Key(Key::Help), Step::Key(Key::Help)]);
    }

    #[test]
    fn help_shows_every_key_once() {
        let help = Keys {
            escape: 1,
            escaped: false,
        }
        .help();
        assert!(help.contains("C-a x   exit emulator\r\n"), "{help}");
        assert!(help.contains("C-a C-a sends C-a"), "{help}");
        assert_eq!(help.matches("print this help").count(), 1);
        assert!(
            Keys {
                escape: 20,
                escaped: false
            }
            .help()
            .contains("C-t h")
        );
    }

    #[test]
    fn stamps_start_lines() {
        let mut stamps = Stamps {
            since: Some(Instant::now()),
            mid_line: true,
        };
        let text = String::from_utf8(stamps.apply(b"a\nb\n")).unwrap();
        assert!(text.starts_with("a\n[00:00:00."), "{text}");
        assert!(text.ends_with("] b\n"), "{text}");
    }
}
