//! A ring of bytes in shared memory, with one end in Rust and one in JavaScript.

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

/// The numbers that both ends look at; JavaScript knows them by this order.
#[repr(C)]
#[derive(Default)]
pub struct State {
    /// Bytes ever put in, modulo 2^32.
    head: AtomicU32,
    /// Bytes ever taken out, modulo 2^32.
    tail: AtomicU32,
    /// For the one who reads an output: it was told, and has not looked yet.
    told: AtomicU32,
    /// For the one who reads an input: the writer has more, and waits to be told of room.
    full: AtomicU32,
}

/// See the module's head. Each end is one thread at a time.
pub struct Ring {
    state: State,
    bytes: Box<[AtomicU8]>,
}

impl Ring {
    /// An empty ring of `size` bytes, a power of two.
    pub fn new(size: usize) -> Self {
        assert!(size.is_power_of_two(), "positions wrap around with u32");
        Self {
            state: State::default(),
            bytes: (0..size).map(|_| AtomicU8::new(0)).collect(),
        }
    }

    /// Puts in what fits of `bytes`; says how much that was.
    pub fn put(&self, bytes: &[u8]) -> usize {
        let head = self.state.head.load(Ordering::SeqCst);
        let free = self.bytes.len().saturating_sub(self.waiting(head));
        let count = bytes.len().min(free);
        for (at, byte) in bytes[..count].iter().enumerate() {
            self.cell(head, at).store(*byte, Ordering::Relaxed);
        }
        let head = head.wrapping_add(count as u32);
        self.state.head.store(head, Ordering::SeqCst);
        count
    }

    /// Takes out at most `max` bytes.
    pub fn take(&self, max: usize) -> Vec<u8> {
        let head = self.state.head.load(Ordering::SeqCst);
        let tail = self.taken();
        let count = self.waiting(head).min(max);
        let cells = (0..count).map(|at| self.cell(tail, at).load(Ordering::Relaxed));
        let taken = cells.collect();
        let tail = tail.wrapping_add(count as u32);
        self.state.tail.store(tail, Ordering::SeqCst);
        taken
    }

    /// How many bytes were ever taken out, modulo 2^32.
    pub fn taken(&self) -> u32 {
        self.state.tail.load(Ordering::SeqCst)
    }

    /// Whether the reader is to be told that there is something; asked after `put`.
    pub fn must_tell(&self) -> bool {
        self.state.told.swap(1, Ordering::SeqCst) == 0
    }

    /// Whether the writer waits for room; asked after `take`.
    pub fn was_full(&self) -> bool {
        self.state.full.swap(0, Ordering::SeqCst) != 0
    }

    /// Where the numbers are.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Where the bytes are.
    pub fn bytes(&self) -> &[AtomicU8] {
        &self.bytes
    }

    /// The number whose change a writer without room waits for.
    pub fn tail(&self) -> &AtomicU32 {
        &self.state.tail
    }

    fn waiting(&self, head: u32) -> usize {
        let count = head.wrapping_sub(self.taken()) as usize;
        count.min(self.bytes.len())
    }

    fn cell(&self, position: u32, at: usize) -> &AtomicU8 {
        &self.bytes[(position as usize).wrapping_add(at) & (self.bytes.len() - 1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_in_order() {
        let ring = Ring::new(8);
        ring.state.head.store(u32::MAX - 3, Ordering::SeqCst);
        ring.state.tail.store(u32::MAX - 3, Ordering::SeqCst);
        assert_eq!(ring.take(9), b"");
        assert_eq!(ring.put(b"abcdef"), 6);
        assert_eq!(ring.take(4), b"abcd");
        assert_eq!(ring.put(b"ghijklmn"), 6);
        assert_eq!(ring.put(b"x"), 0);
        assert_eq!(ring.take(99), b"efghijkl");
        assert_eq!(ring.taken(), 8);
    }

    #[test]
    fn one_is_told_once() {
        let ring = Ring::new(8);
        assert!(ring.must_tell());
        assert!(!ring.must_tell());
        ring.state.told.store(0, Ordering::SeqCst);
        assert!(ring.must_tell());
        assert!(!ring.was_full());
        ring.state.full.store(1, Ordering::SeqCst);
        assert!(ring.was_full());
        assert!(!ring.was_full());
    }

    #[test]
    fn a_wrong_head_is_no_panic() {
        let ring = Ring::new(8);
        ring.state.head.store(1000, Ordering::SeqCst);
        assert_eq!(ring.put(b"a"), 0);
        assert_eq!(ring.take(99).len(), 8);
    }
}
