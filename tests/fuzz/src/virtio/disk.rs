//! A disk whose requests end when somebody says so, in any order.

use include::{BlockBackend, BlockDone, BlockRequest, Errno};
use parking_lot::Mutex;

/// Bytes of the disk: no request can be larger.
pub const BYTES: u64 = 256 << 10;
/// Two queues of 256.
const AT_WORK_MAX: usize = 512;

pub struct Disk {
    bytes: Mutex<Vec<u8>>,
    waiting: Mutex<Vec<(BlockRequest, BlockDone)>>,
    writeback: Mutex<bool>,
}

impl Default for Disk {
    fn default() -> Self {
        Self {
            bytes: Mutex::new(vec![0x5a; BYTES as usize]),
            waiting: Mutex::default(),
            writeback: Mutex::new(true),
        }
    }
}

impl Disk {
    /// Ends a request that `choose` picks by its number; false if there is none.
    pub fn end_one(&self, choose: impl FnOnce(usize) -> usize, result: Result<(), Errno>) -> bool {
        let (request, done) = {
            let mut waiting = self.waiting.lock();
            if waiting.is_empty() {
                return false;
            }
            let index = choose(waiting.len());
            waiting.swap_remove(index)
        };
        let (carried_out, buf) = self.carry_out(request);
        done(result.and(carried_out), buf);
        true
    }

    fn carry_out(&self, request: BlockRequest) -> (Result<(), Errno>, Vec<u8>) {
        let mut bytes = self.bytes.lock();
        let mut done = Vec::new();
        match request {
            BlockRequest::Read { offset, mut buf } => {
                let count = buf.len() as u64;
                buf.copy_from_slice(range(&mut bytes, offset, count));
                done = buf;
            }
            BlockRequest::Write { offset, data, .. } => {
                range(&mut bytes, offset, data.len() as u64).copy_from_slice(&data);
                done = data;
            }
            BlockRequest::Flush => (),
            BlockRequest::Discard {
                offset,
                bytes: count,
            } => {
                range(&mut bytes, offset, count);
            }
            BlockRequest::WriteZeroes {
                offset,
                bytes: count,
                ..
            } => range(&mut bytes, offset, count).fill(0),
        }
        (Ok(()), done)
    }
}

/// A range of the disk, which the device has checked.
fn range(disk: &mut [u8], offset: u64, count: u64) -> &mut [u8] {
    let end = offset.checked_add(count).expect("a range");
    assert!(end <= BYTES, "{offset:#x}, {count:#x} is not on the disk");
    &mut disk[offset as usize..end as usize]
}

impl BlockBackend for Disk {
    fn len(&self) -> u64 {
        BYTES
    }
    fn is_read_only(&self) -> bool {
        false
    }
    fn can_discard(&self) -> bool {
        true
    }
    fn is_writeback(&self) -> bool {
        *self.writeback.lock()
    }
    fn set_writeback(&self, writeback: bool) {
        *self.writeback.lock() = writeback;
    }
    fn submit(&self, request: BlockRequest, done: BlockDone) {
        let mut waiting = self.waiting.lock();
        waiting.push((request, done));
        let count = waiting.len();
        assert!(count <= AT_WORK_MAX, "{count} requests are at work");
    }
}
