//! Output of one host file: collected from all threads, written in pieces by the main loop.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use util::main_loop::Poster;

/// Past this many bytes, whoever prints writes them itself, and so waits for the host.
const COLLECTED_MAX: usize = 64 << 10;

/// What takes the bytes in the end. Errors (a full disk, a closed pipe) are its own affair.
pub type Sink = Box<dyn FnMut(&[u8]) + Send>;

/// See the module's head.
pub struct Output {
    this: Weak<Output>,
    poster: Poster,
    collected: Mutex<Vec<u8>>,
    /// Locked before `collected`, so that pieces keep their order.
    sink: Mutex<Sink>,
}

impl Output {
    /// Output to `sink`, from the main loop behind `poster`.
    pub fn new(poster: Poster, sink: Sink) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            this: this.clone(),
            poster,
            collected: Mutex::default(),
            sink: Mutex::new(sink),
        })
    }

    /// Takes all bytes, from any thread.
    pub fn write(&self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let mut collected = self.collected.lock();
        let first = collected.is_empty();
        collected.extend_from_slice(bytes);
        let full = collected.len() > COLLECTED_MAX;
        drop(collected);
        if full {
            self.flush();
        } else if first && let Some(this) = self.this.upgrade() {
            self.poster.post(move || this.flush());
        }
    }

    /// Writes what was collected, now.
    pub fn flush(&self) {
        let mut sink = self.sink.lock();
        let bytes = std::mem::take(&mut *self.collected.lock());
        if !bytes.is_empty() {
            sink(&bytes);
        }
    }
}
