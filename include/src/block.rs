//! Block devices: the device side (`hw/block`) asks, the host side (`block/`) answers.

use crate::Errno;

/// What a device asks for. Offsets and lengths are bytes.
#[derive(Debug)]
pub enum BlockRequest {
    /// Fills the whole buffer.
    Read { offset: u64, buf: Vec<u8> },
    /// With `fua` the data is on stable storage when the request is done.
    Write {
        offset: u64,
        data: Vec<u8>,
        fua: bool,
    },
    /// What was written (and done) before is on stable storage when this is done.
    Flush,
    /// The guest does not need these bytes any more; they read as anything.
    Discard { offset: u64, bytes: u64 },
    /// These bytes read as zeros afterwards; with `may_unmap` their storage may be given up.
    WriteZeroes {
        offset: u64,
        bytes: u64,
        may_unmap: bool,
    },
}

/// Called once when a request is done, on a thread of the back end. `buf` is the buffer of a read
/// (filled if the result is good) or of a write, so that it can be used again; else empty.
pub type BlockDone = Box<dyn FnOnce(Result<(), Errno>, Vec<u8>) + Send>;

/// What [`BlockBackend::attempt`] did.
pub enum Attempt {
    /// The request is done, and what [`BlockDone`] would have got.
    Done(Result<(), Errno>, Vec<u8>),
    /// Nothing; here is the request again.
    Later(BlockRequest),
}

/// The host side of a disk (QEMU's BlockBackend).
pub trait BlockBackend: Send + Sync {
    /// Bytes of the medium; a multiple of 512.
    fn len(&self) -> u64;
    /// True for a medium of no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Writes fail with EPERM.
    fn is_read_only(&self) -> bool;
    /// Whether discards do anything (`discard=unmap`).
    fn can_discard(&self) -> bool;
    /// Whether a write may be done before it is on stable storage (`cache.writeback`).
    fn is_writeback(&self) -> bool;
    /// The guest switches that.
    fn set_writeback(&self, writeback: bool);
    /// Starts a request, from any thread; never blocks. Requests may end in any order. A request
    /// that leaves the medium ends with EINVAL (EIO for reads and writes), with nothing done.
    fn submit(&self, request: BlockRequest, done: BlockDone);
    /// Carries a request out on the calling thread if that takes no longer than handing it to
    /// another one would. From plain threads only.
    fn attempt(&self, request: BlockRequest) -> Attempt {
        Attempt::Later(request)
    }
}
