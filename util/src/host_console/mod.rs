//! The host's console: bytes from standard input, bytes to standard output, and the terminal's raw
//! mode. The same API on both hosts; what differs is in `posix.rs` and `wasm.rs`.
//!
//! What must hold:
//! - Waiting for input blocks the calling thread only, and costs no CPU.
//! - Standard input is touched by the first [`Console::read`], so a program that reads none leaves
//!   what was typed to the program that runs after it.
//! - The terminal is as it was found after every way out of the program.

#[cfg(not(target_os = "emscripten"))]
#[path = "posix.rs"]
mod imp;
#[cfg(target_os = "emscripten")]
#[path = "wasm.rs"]
mod imp;

use std::io;
use std::sync::Mutex;
use std::time::Duration;

/// What [`Console::read`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// So many bytes, at least one, are at the beginning of the buffer.
    Bytes(usize),
    /// Nothing came in time.
    TimedOut,
    /// Standard input has ended, or cannot be read. Reported once: later reads time out.
    Eof,
}

/// Standard input and output of the process.
#[derive(Debug)]
pub struct Console(());

static STDIO: Console = Console(());
/// Held while reading; the value says whether the end has been reported.
static READER: Mutex<bool> = Mutex::new(false);

impl Console {
    /// The console of this process. There is one, and any thread may use it.
    pub fn stdio() -> &'static Console {
        &STDIO
    }

    /// Waits for input until `timeout` is over, for ever when there is none, and reads what is
    /// there. May be called from any thread but the first of a page.
    pub fn read(&self, buffer: &mut [u8], timeout: Option<Duration>) -> Input {
        if buffer.is_empty() {
            return Input::Bytes(0);
        }
        let mut ended = READER
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        if *ended {
            drop(ended);
            wait_in_vain(timeout);
            return Input::TimedOut;
        }
        let input = imp::read(buffer, timeout);
        *ended = input == Input::Eof;
        input
    }

    /// Writes all of `bytes`, at once and unbuffered. A reader that has gone away is an error.
    pub fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        imp::write_all(bytes)
    }

    /// Whether standard input is a terminal.
    pub fn is_terminal(&self) -> bool {
        imp::is_terminal()
    }

    /// Switches the terminal's raw mode: no echo, no line editing, no signals from keys. Without a
    /// terminal there is nothing to switch, which is no error.
    pub fn set_raw(&self, raw: bool) -> io::Result<()> {
        if self.is_terminal() {
            imp::set_raw(raw)
        } else {
            Ok(())
        }
    }
}

fn wait_in_vain(timeout: Option<Duration>) {
    match timeout {
        Some(timeout) => std::thread::sleep(timeout),
        None => loop {
            std::thread::park();
        },
    }
}
