//! What a device uses (QEMU's BlockBackend): requests become coroutines on a node.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use include::{Attempt, BlockBackend, BlockDone, BlockRequest, Errno};
use parking_lot::{Condvar, Mutex};
use util::coroutine::{self, AioContext};

use crate::node::{Child, SECTOR};
use crate::options::{Cache, DetectZeroes, Tuning};

/// The host side of one device.
pub struct Backend {
    shared: Arc<Shared>,
    context: Arc<AioContext>,
}

struct Shared {
    node: Child,
    is_near: bool,
    read_only: bool,
    tuning: Tuning,
    writeback: AtomicBool,
    in_flight: Mutex<usize>,
    idle: Condvar,
    pace: Pace,
}

/// Bytes of a request that may be carried out on the thread that asks.
pub(crate) const AT_ONCE_BYTES_MAX: usize = 256 << 10;
/// What takes longer than this is better waited for by a coroutine: waking its thread and being
/// woken by it costs about half as much.
pub(crate) const AT_ONCE_TIME_MAX: Duration = Duration::from_micros(250);
/// After a slow one so many requests are not tried.
pub(crate) const REST: u32 = 64;

/// Whether requests have been quick of late.
#[derive(Default)]
struct Pace {
    resting: AtomicU32,
}

impl Pace {
    fn is_quick(&self) -> bool {
        let rest = |left: u32| left.checked_sub(1);
        let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
        self.resting.fetch_update(set, fetch, rest).is_err()
    }

    fn took(&self, time: Duration) {
        if time > AT_ONCE_TIME_MAX {
            self.resting.store(REST, Ordering::Relaxed);
        }
    }
}

impl Backend {
    pub(crate) fn new(
        node: Child,
        read_only: bool,
        tuning: Tuning,
        context: Arc<AioContext>,
    ) -> Self {
        let writeback = AtomicBool::new(tuning.cache.writeback);
        let shared = Arc::new(Shared {
            is_near: node.is_near(),
            node,
            read_only,
            tuning,
            writeback,
            in_flight: Mutex::new(0),
            idle: Condvar::new(),
            pace: Pace::default(),
        });
        Self { shared, context }
    }

    #[cfg(test)]
    pub(crate) fn took(&self, time: std::time::Duration) {
        self.shared.pace.took(time);
    }

    /// Waits for all requests, and then for stable storage. From plain threads only.
    pub fn drain_and_flush(&self) -> Result<(), Errno> {
        let mut in_flight = self.shared.in_flight.lock();
        while *in_flight > 0 {
            self.shared.idle.wait(&mut in_flight);
        }
        drop(in_flight);
        let shared = self.shared.clone();
        self.context.block_on(move || shared.flush())
    }
}

impl BlockBackend for Backend {
    fn len(&self) -> u64 {
        // A device has whole sectors.
        self.shared.node.len() / SECTOR * SECTOR
    }

    fn is_read_only(&self) -> bool {
        self.shared.read_only
    }

    fn can_discard(&self) -> bool {
        self.shared.tuning.discard
    }

    fn is_writeback(&self) -> bool {
        self.shared.is_writeback()
    }

    fn set_writeback(&self, writeback: bool) {
        self.shared.writeback.store(writeback, Ordering::Relaxed);
    }

    fn submit(&self, request: BlockRequest, done: BlockDone) {
        *self.shared.in_flight.lock() += 1;
        let shared = self.shared.clone();
        self.context.spawn(move || {
            let (result, buf) = shared.carry_out(request);
            done(result, buf);
            shared.ended();
        });
    }

    fn attempt(&self, request: BlockRequest) -> Attempt {
        let shared = &self.shared;
        if !shared.may_be_quick(&request) || !shared.begin_alone() {
            return Attempt::Later(request);
        }
        let began = Instant::now();
        let (result, buf) = coroutine::blocking(|| shared.carry_out(request));
        shared.pace.took(began.elapsed());
        shared.ended();
        Attempt::Done(result, buf)
    }
}

impl Shared {
    fn may_be_quick(&self, request: &BlockRequest) -> bool {
        let bytes = match request {
            BlockRequest::Read { buf, .. } => buf.len(),
            BlockRequest::Write { data, fua, .. } if !fua && self.is_writeback() => data.len(),
            _ => return false,
        };
        self.is_near && bytes <= AT_ONCE_BYTES_MAX && self.pace.is_quick()
    }

    fn is_writeback(&self) -> bool {
        self.writeback.load(Ordering::Relaxed)
    }

    /// Counts a request, unless there are others: it could wait for a lock that they have.
    fn begin_alone(&self) -> bool {
        let mut in_flight = self.in_flight.lock();
        let alone = *in_flight == 0;
        *in_flight += usize::from(alone);
        alone
    }

    fn ended(&self) {
        let mut in_flight = self.in_flight.lock();
        *in_flight -= 1;
        if *in_flight == 0 {
            self.idle.notify_all();
        }
    }

    /// Does what is asked, and keeps quiet about errors that nobody wants to hear of.
    fn carry_out(&self, request: BlockRequest) -> (Result<(), Errno>, Vec<u8>) {
        let is_read = matches!(request, BlockRequest::Read { .. });
        let (result, mut buf) = self.pass_on(request);
        let ignored = match is_read {
            true => self.tuning.ignore_read_errors,
            false => self.tuning.ignore_write_errors,
        };
        match result {
            Err(error) if ignored => {
                log::warn!("an error of a disk is ignored: {error}");
                if is_read {
                    buf.fill(0);
                }
                (Ok(()), buf)
            }
            result => (result, buf),
        }
    }

    fn pass_on(&self, request: BlockRequest) -> (Result<(), Errno>, Vec<u8>) {
        match request {
            BlockRequest::Read { offset, mut buf } => (self.node.read(offset, &mut buf), buf),
            BlockRequest::Write { offset, data, fua } => (self.write(offset, &data, fua), data),
            BlockRequest::Flush => (self.flush(), Vec::new()),
            BlockRequest::Discard { offset, bytes } => (self.discard(offset, bytes), Vec::new()),
            BlockRequest::WriteZeroes {
                offset,
                bytes,
                may_unmap,
            } => (self.write_zeroes(offset, bytes, may_unmap), Vec::new()),
        }
    }

    fn write(&self, offset: u64, data: &[u8], fua: bool) -> Result<(), Errno> {
        self.check_writable()?;
        let detect = self.tuning.detect_zeroes;
        if detect != DetectZeroes::Off && data.iter().all(|byte| *byte == 0) {
            let unmap = detect == DetectZeroes::Unmap && self.tuning.discard;
            self.node.write_zeroes(offset, data.len() as u64, unmap)?;
        } else {
            self.node.write(offset, data)?;
        }
        self.settle(fua)
    }

    fn write_zeroes(&self, offset: u64, bytes: u64, may_unmap: bool) -> Result<(), Errno> {
        self.check_writable()?;
        let unmap = may_unmap && self.tuning.discard;
        self.node.write_zeroes(offset, bytes, unmap)?;
        self.settle(false)
    }

    fn discard(&self, offset: u64, bytes: u64) -> Result<(), Errno> {
        self.check_writable()?;
        match self.tuning.discard {
            true => self.node.discard(offset, bytes),
            // It is only advice.
            false => Ok(()),
        }
    }

    fn check_writable(&self) -> Result<(), Errno> {
        match self.read_only {
            true => Err(Errno::EPERM),
            false => Ok(()),
        }
    }

    /// After a write: without a write-back cache it is done when it is stable.
    fn settle(&self, fua: bool) -> Result<(), Errno> {
        match fua || !self.is_writeback() {
            true => self.flush(),
            false => Ok(()),
        }
    }

    fn flush(&self) -> Result<(), Errno> {
        match self.read_only {
            true => Ok(()),
            false => self.node.flush(),
        }
    }
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            writeback: true,
            direct: false,
            no_flush: false,
        }
    }
}
