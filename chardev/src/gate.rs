//! Holds a reader thread back while what it read before is not consumed.

use parking_lot::{Condvar, Mutex};

/// Bytes that may wait between the reader thread and the devices.
pub const WAITING_MAX: usize = 4096;

/// Bytes that a reader reads at once.
pub const READ_MAX: usize = 256;

/// Counts the bytes on their way.
pub struct Gate {
    holds_back: bool,
    waiting: Mutex<usize>,
    room: Condvar,
}

impl Gate {
    /// With `holds_back` false it lets everything pass: a terminal is always read, so that Ctrl-A x
    /// works although the guest reads nothing.
    pub fn new(holds_back: bool) -> Self {
        Self {
            holds_back,
            waiting: Mutex::new(0),
            room: Condvar::new(),
        }
    }

    /// The reader read `bytes` bytes; returns when it may read more.
    pub fn enter(&self, bytes: usize) {
        let mut waiting = self.waiting.lock();
        *waiting += bytes;
        while self.holds_back && *waiting >= WAITING_MAX {
            self.room.wait(&mut waiting);
        }
    }

    /// `bytes` of them were consumed.
    pub fn leave(&self, bytes: usize) {
        let mut waiting = self.waiting.lock();
        *waiting = waiting.saturating_sub(bytes);
        if *waiting < WAITING_MAX {
            self.room.notify_all();
        }
    }
}
