//! The human monitor (QEMU's HMP): commands typed behind Ctrl-A c.
//!
//! Commands are rows of one table ([`commands`]), which `help` prints. Everything runs on the
//! main loop's thread.
//!
//! **Architecture Invariant:** the monitor knows the machine through [`Emulator`] only.

mod commands;
mod dump;
mod readline;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use include::{AddressSpace, CharBackend, CharFrontend, PhysAddr, RunStateControl, VirtAddr};
use parking_lot::Mutex;

use dump::Format;
use readline::{Readline, Typed};

const PROMPT: &str = "(tinamou) ";

/// What the monitor shows and commands. `cpu` is below `cpu_count`.
pub trait Emulator: Send + Sync {
    /// The version, as `-version` says it.
    fn version(&self) -> String;
    /// `-name`.
    fn name(&self) -> Option<String>;
    /// `running`, or why not.
    fn status(&self) -> String;
    /// Pause, resume, reset, quit.
    fn control(&self) -> &dyn RunStateControl;
    /// Carries out what was requested of `control`, so that the next command finds it done.
    fn settle(&self);
    /// Guest memory.
    fn memory(&self) -> &dyn AddressSpace;
    /// Harts.
    fn cpu_count(&self) -> usize;
    /// The registers of a vCPU as text.
    fn registers(&self, cpu: usize) -> String;
    /// One register by name, such as `pc`.
    fn register(&self, cpu: usize, name: &str) -> Option<u64>;
    /// The physical address behind a virtual one, in the vCPU's address space now.
    fn translate(&self, cpu: usize, addr: VirtAddr) -> Option<PhysAddr>;
    /// The memory map.
    fn mtree(&self) -> String;
    /// The devices and what they hang on.
    fn qtree(&self) -> String;
    /// The character devices.
    fn chardevs(&self) -> String;
    /// What the translator did.
    fn jit(&self) -> String;
}

/// A monitor on one character device.
pub struct Monitor {
    backend: Arc<dyn CharBackend>,
    emulator: Arc<dyn Emulator>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    readline: Readline,
    greeted: bool,
    /// What `info registers` and `x` look at.
    cpu: usize,
    format: Format,
}

impl Monitor {
    /// Connects a monitor to `backend`. On a device of its own it greets at once, on a shared one
    /// when it gets the keyboard.
    pub fn start(backend: Arc<dyn CharBackend>, emulator: Arc<dyn Emulator>, shared: bool) {
        let monitor = Arc::new(Self {
            backend,
            emulator,
            state: Mutex::default(),
        });
        if !shared {
            monitor.focused();
        }
        monitor.backend.set_frontend(monitor.clone());
    }

    /// Writes text, with the line ends that a raw terminal needs.
    fn print(&self, text: &str) {
        if !text.is_empty() {
            self.backend.write(text.replace('\n', "\r\n").as_bytes());
        }
    }

    fn run(&self, state: &mut State, line: &str) {
        let answer = commands::run(self.emulator.as_ref(), state, line);
        self.print(&answer);
        self.print(PROMPT);
    }
}

impl CharFrontend for Monitor {
    fn can_receive(&self) -> usize {
        256
    }

    fn receive(&self, bytes: &[u8]) {
        let mut state = self.state.lock();
        for &byte in bytes {
            match state.readline.feed(byte) {
                Typed::Echo(text) => self.print(&text),
                Typed::Line(line) => {
                    self.print("\n");
                    self.run(&mut state, &line);
                }
            }
        }
    }

    fn focused(&self) {
        let mut state = self.state.lock();
        if !std::mem::replace(&mut state.greeted, true) {
            let version = self.emulator.version();
            self.print(&format!(
                "{} - type 'help' for the commands\n",
                version.trim_end()
            ));
        }
        self.print(PROMPT);
        self.print(state.readline.line());
    }
}
