//! What a format needs of the node below it. A generic parameter, so that calls stay direct.

use include::Errno;

use crate::node::Child;

/// Bytes that can be read, written and made stable. All of it may wait.
pub trait Storage: Clone + Send + Sync {
    /// How many bytes there are now.
    fn size(&self) -> u64;
    /// Fills the buffer; what lies behind the end reads as zeros.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), Errno>;
    /// Writes; behind the end it makes the storage longer.
    fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), Errno>;
    /// Says that a range will not be read before it is written.
    fn punch_hole(&self, offset: u64, bytes: u64) -> Result<(), Errno>;
    /// Returns when everything that was written before is on stable storage.
    fn sync(&self) -> Result<(), Errno>;
}

impl Storage for Child {
    fn size(&self) -> u64 {
        crate::node::Node::len(self)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), Errno> {
        let there = Storage::size(self).saturating_sub(offset);
        let count = there.min(buf.len() as u64) as usize;
        let (inside, behind) = buf.split_at_mut(count);
        behind.fill(0);
        match inside.is_empty() {
            true => Ok(()),
            false => self.read(offset, inside),
        }
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), Errno> {
        self.write_growing(offset, data)
    }

    fn punch_hole(&self, offset: u64, bytes: u64) -> Result<(), Errno> {
        let bytes = bytes.min(Storage::size(self).saturating_sub(offset));
        self.discard(offset, bytes)
    }

    fn sync(&self) -> Result<(), Errno> {
        self.flush()
    }
}
