//! Standard input and output.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use util::main_loop::Poster;

use crate::gate::{Gate, READ_MAX};

/// What a read from the terminal brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TerminalInput {
    /// So many bytes.
    Bytes(usize),
    /// Nothing in time.
    Timeout,
    /// The input is at its end.
    End,
}

/// The host's terminal, or what stdin and stdout are instead of one.
pub trait Terminal: Send + Sync {
    /// Waits for input.
    fn read_blocking(&self, buf: &mut [u8], timeout: Duration) -> TerminalInput;
    /// Writes all bytes.
    fn write(&self, bytes: &[u8]);
    /// Delivers keys one by one, without echo and signals; or as before.
    fn set_raw(&self, raw: bool);
    /// Whether somebody types there, as opposed to a pipe or a file.
    fn is_terminal(&self) -> bool;
}

/// How often the reader looks up, in case the host lost a wake-up.
const READ_TIMEOUT: Duration = Duration::from_secs(1);

/// Reads the terminal for ever on a thread of its own; `deliver` runs on the main loop's thread.
pub fn start_reader(
    terminal: Arc<dyn Terminal>,
    poster: Poster,
    gate: Arc<Gate>,
    deliver: impl Fn(&[u8]) + Send + Sync + 'static,
) -> Result<(), String> {
    let deliver = Arc::new(deliver);
    let read_all = move || {
        let mut buf = [0; READ_MAX];
        loop {
            let count = match terminal.read_blocking(&mut buf, READ_TIMEOUT) {
                TerminalInput::Bytes(count) => count,
                TerminalInput::Timeout => continue,
                TerminalInput::End => return,
            };
            let (bytes, deliver) = (buf[..count].to_vec(), deliver.clone());
            poster.post(move || deliver(&bytes));
            gate.enter(count);
        }
    };
    let started = thread::Builder::new().name("stdin".into()).spawn(read_all);
    started
        .map(drop)
        .map_err(|error| format!("cannot start a thread for stdin: {error}"))
}
