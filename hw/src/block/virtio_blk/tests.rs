//! A disk behind a legacy slot, driven as Linux does it.

use std::sync::atomic::{AtomicBool, Ordering};

use super::request::kind;
use super::*;
use crate::core::testing::{FakeMemory, RAM_BASE, RecordingIrq};
use crate::virtio::virtio_mmio::{VirtioMmio, VirtioMmioConfig};
use include::{AccessSize, BlockDone, MmioDevice};

const SIZE: u64 = 8;
const RING: u64 = RAM_BASE + 0x1000;
const AVAILABLE: u64 = RING + 16 * SIZE;
const USED: u64 = RING + 0x1000;
const BUFFERS: u64 = RAM_BASE + 0x8000;
const DISK: usize = 64 << 10;

/// Requests wait until the test lets them end: on its own thread, with the bus unlocked.
#[derive(Default)]
struct FakeBackend {
    disk: Mutex<Vec<u8>>,
    waiting: Mutex<Vec<(BlockRequest, BlockDone)>>,
    read_only: bool,
    broken: AtomicBool,
    write_through: AtomicBool,
    /// They do not wait.
    at_once: AtomicBool,
}

impl FakeBackend {
    /// Ends the request at `index`.
    fn end(&self, index: usize) {
        let (request, done) = self.waiting.lock().remove(index);
        let (result, buf) = self.carry_out(request);
        done(result, buf);
    }

    fn carry_out(&self, request: BlockRequest) -> (Result<(), Errno>, Vec<u8>) {
        let result = match self.broken.load(Ordering::Relaxed) {
            true => Err(Errno::EIO),
            false => Ok(()),
        };
        let mut disk = self.disk.lock();
        let buf = match request {
            BlockRequest::Read { offset, mut buf } => {
                let at = offset as usize;
                let end = at + buf.len();
                buf.copy_from_slice(&disk[at..end]);
                buf
            }
            BlockRequest::Write { offset, data, .. } => {
                disk[offset as usize..][..data.len()].copy_from_slice(&data);
                data
            }
            BlockRequest::WriteZeroes { offset, bytes, .. }
            | BlockRequest::Discard { offset, bytes } => {
                disk[offset as usize..][..bytes as usize].fill(0);
                Vec::new()
            }
            BlockRequest::Flush => Vec::new(),
        };
        (result, buf)
    }

    fn count(&self) -> usize {
        self.waiting.lock().len()
    }
}

impl BlockBackend for FakeBackend {
    fn len(&self) -> u64 {
        DISK as u64
    }
    fn is_read_only(&self) -> bool {
        self.read_only
    }
    fn can_discard(&self) -> bool {
        true
    }
    fn is_writeback(&self) -> bool {
        !self.write_through.load(Ordering::Relaxed)
    }
    fn set_writeback(&self, writeback: bool) {
        self.write_through.store(!writeback, Ordering::Relaxed);
    }
    fn submit(&self, request: BlockRequest, done: BlockDone) {
        self.waiting.lock().push((request, done));
    }
    fn attempt(&self, request: BlockRequest) -> Attempt {
        if !self.at_once.load(Ordering::Relaxed) {
            return Attempt::Later(request);
        }
        let (result, buf) = self.carry_out(request);
        Attempt::Done(result, buf)
    }
}

struct Rig {
    memory: Arc<FakeMemory>,
    irq: Arc<RecordingIrq>,
    slot: Arc<Mutex<VirtioMmio>>,
    backend: Arc<FakeBackend>,
    offered: u16,
}

impl Rig {
    fn new(read_only: bool) -> Self {
        let (memory, irq) = (FakeMemory::new(0x4_0000), RecordingIrq::new());
        let backend = Arc::new(FakeBackend {
            disk: Mutex::new((0..DISK).map(|at| (at / 512) as u8).collect()),
            read_only,
            ..FakeBackend::default()
        });
        let slot = VirtioMmio::new(VirtioMmioConfig::default(), memory.clone(), irq.line(0));
        let config = BlkConfig {
            serial: "a serial number of more than 20".into(),
            ..BlkConfig::default()
        };
        let disk = VirtioBlk::new(config, backend.clone());
        VirtioBus::plug(&slot.lock().bus(), disk).expect("an empty slot");
        let mut rig = Self {
            memory,
            irq,
            slot,
            backend,
            offered: 0,
        };
        rig.start();
        rig
    }

    /// As Linux sets up a legacy device, from reset to ready.
    fn start(&mut self) {
        self.offered = 0;
        self.memory.put(AVAILABLE, &[0; 4]);
        self.memory.put(USED, &[0; 4]);
        let writes = [
            (0x070, 0),
            (0x028, 4096),
            (0x070, 3),
            // Guest features: FLUSH.
            (0x024, 0),
            (0x020, 1 << 9),
            (0x030, 0),
            (0x038, SIZE),
            (0x03c, 4096),
            (0x040, RING / 4096),
            (0x070, 7),
        ];
        for (offset, value) in writes {
            self.slot.lock().write(offset, AccessSize::Word, value);
        }
    }

    fn read(&self, offset: u64) -> u64 {
        self.slot.lock().read(offset, AccessSize::Word)
    }

    /// Offers a chain of (length, device writes) with the descriptors from `first` on; its
    /// buffers are 4 KiB apart.
    fn offer(&mut self, first: u16, parts: &[(u32, bool)]) {
        for (number, (len, writes)) in parts.iter().enumerate() {
            let index = first + number as u16;
            let at = RING + 16 * u64::from(index);
            let next = u16::from(number + 1 < parts.len());
            self.memory.put(at, &Self::buffer(index).to_le_bytes());
            self.memory.put(at + 8, &len.to_le_bytes());
            let flags = next | u16::from(*writes) << 1;
            self.memory.put(at + 12, &flags.to_le_bytes());
            self.memory.put(at + 14, &(index + 1).to_le_bytes());
        }
        let slot = u64::from(self.offered) % SIZE;
        self.memory
            .put(AVAILABLE + 4 + 2 * slot, &first.to_le_bytes());
        self.offered += 1;
        self.memory.put(AVAILABLE + 2, &self.offered.to_le_bytes());
        self.slot.lock().write(0x050, AccessSize::Word, 0);
    }

    fn buffer(index: u16) -> u64 {
        BUFFERS + 0x1000 * u64::from(index)
    }

    fn header(&self, index: u16, kind: u32, sector: u64) {
        self.memory.put(Self::buffer(index), &kind.to_le_bytes());
        self.memory.put(Self::buffer(index) + 4, &[0; 4]);
        self.memory
            .put(Self::buffer(index) + 8, &sector.to_le_bytes());
    }

    /// A request of a header, data of `bytes` and a status, with descriptors from `first` on.
    fn ask(&mut self, first: u16, kind: u32, sector: u64, bytes: u32) {
        self.header(first, kind, sector);
        self.memory.put(Self::buffer(first + 2), &[0xff]);
        let to_guest = matches!(kind, kind::IN | kind::GET_ID);
        self.offer(first, &[(16, false), (bytes, to_guest), (1, true)]);
    }

    fn status(&self, first: u16) -> u8 {
        self.memory.get::<1>(Self::buffer(first + 2))[0]
    }

    fn used(&self) -> u16 {
        u16::from_le_bytes(self.memory.get(USED + 2))
    }
}

#[test]
fn reads_and_writes() {
    let mut rig = Rig::new(false);
    assert_eq!(rig.read(0x008), 2);
    assert_eq!(rig.read(0x100), DISK as u64 / 512);
    rig.ask(0, kind::IN, 3, 1024);
    assert_eq!((rig.used(), rig.backend.count()), (0, 1));
    rig.backend.end(0);
    assert_eq!((rig.used(), rig.status(0)), (1, status::OK));
    assert_eq!(rig.irq.levels(), 1);
    assert_eq!(rig.memory.get::<2>(Rig::buffer(1) + 511), [3, 4]);
    rig.memory.put(Rig::buffer(4), &[0xab; 512]);
    rig.ask(3, kind::OUT, 7, 512);
    rig.backend.end(0);
    assert_eq!((rig.used(), rig.status(3)), (2, status::OK));
    assert_eq!(
        rig.backend.disk.lock()[7 * 512..][..513][510..],
        [0xab, 0xab, 8]
    );
}

#[test]
fn what_can_be_done_at_once_is() {
    let mut rig = Rig::new(false);
    rig.backend.at_once.store(true, Ordering::Relaxed);
    rig.ask(0, kind::IN, 3, 1024);
    assert_eq!((rig.used(), rig.status(0)), (1, status::OK));
    assert_eq!((rig.irq.levels(), rig.backend.count()), (1, 0));
    assert_eq!(rig.memory.get::<2>(Rig::buffer(1) + 511), [3, 4]);
    rig.backend.broken.store(true, Ordering::Relaxed);
    rig.ask(3, kind::OUT, 7, 512);
    assert_eq!((rig.used(), rig.status(3)), (2, status::IOERR));
}

#[test]
fn answers_come_in_the_order_of_the_back_end() {
    let mut rig = Rig::new(false);
    rig.ask(0, kind::IN, 1, 512);
    rig.ask(3, kind::IN, 2, 512);
    rig.backend.end(1);
    assert_eq!((rig.used(), rig.status(0), rig.status(3)), (1, 0xff, 0));
    assert_eq!(rig.memory.get::<4>(USED + 4), 3u32.to_le_bytes());
    rig.backend.end(0);
    assert_eq!((rig.used(), rig.status(0)), (2, 0));
}

#[test]
fn other_requests() {
    let mut rig = Rig::new(false);
    rig.ask(0, kind::GET_ID, 0, 20);
    assert_eq!((rig.used(), rig.status(0)), (1, status::OK));
    assert_eq!(
        rig.memory.get::<21>(Rig::buffer(1)),
        *b"a serial number of m\0"
    );
    rig.header(0, kind::FLUSH, 0);
    rig.offer(0, &[(16, false), (1, true)]);
    rig.backend.end(0);
    assert_eq!(rig.memory.get::<1>(Rig::buffer(1)), [status::OK]);
    for kind in [kind::DISCARD, kind::WRITE_ZEROES] {
        rig.memory.put(Rig::buffer(1), &[0; 16]);
        rig.memory.put(Rig::buffer(1), &[5]);
        rig.memory.put(Rig::buffer(1) + 8, &[2]);
        rig.ask(0, kind, 0, 16);
        rig.backend.end(0);
        assert_eq!(rig.status(0), status::OK);
        assert_eq!(rig.backend.disk.lock()[7 * 512 - 1..][..2], [0, 7]);
    }
    rig.ask(0, 77, 0, 512);
    assert_eq!(rig.status(0), status::UNSUPP);
}

#[test]
fn bad_requests_get_a_status() {
    let mut rig = Rig::new(false);
    let cases = [
        (kind::IN, 128, 512),
        (kind::IN, 127, 1024),
        (kind::IN, u64::MAX, 512),
        (kind::IN, 1 << 55, 512),
        (kind::OUT, 128, 512),
        (kind::IN, 0, 100),
        (kind::OUT, 0, 513),
    ];
    for (kind, sector, bytes) in cases {
        rig.ask(0, kind, sector, bytes);
        assert_eq!(rig.status(0), status::IOERR, "{kind} {sector} {bytes}");
        assert_eq!(rig.backend.count(), 0);
    }
    rig.memory.put(Rig::buffer(1) + 8, &[0, 0, 0, 0, 0xff]);
    rig.ask(0, kind::WRITE_ZEROES, 0, 16);
    assert_eq!(rig.status(0), status::UNSUPP, "unknown flags");
    rig.ask(0, kind::DISCARD, 0, 17);
    assert_eq!(rig.status(0), status::UNSUPP, "half a range");
    rig.backend.broken.store(true, Ordering::Relaxed);
    rig.ask(0, kind::OUT, 0, 512);
    rig.backend.end(0);
    assert_eq!(rig.status(0), status::IOERR);
    let mut rig = Rig::new(true);
    rig.ask(0, kind::OUT, 0, 512);
    assert_eq!((rig.status(0), rig.backend.count()), (status::IOERR, 0));
}

#[test]
fn a_header_in_pieces() {
    let mut rig = Rig::new(false);
    // 16 bytes over three descriptors, data and status in one.
    rig.memory.put(Rig::buffer(0), &[0; 16]);
    rig.memory.put(Rig::buffer(1), &[0; 16]);
    rig.memory
        .put(Rig::buffer(2), &[0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0]);
    rig.offer(0, &[(1, false), (4, false), (11, false), (513, true)]);
    rig.backend.end(0);
    assert_eq!(rig.memory.get::<2>(Rig::buffer(3) + 511), [9, 0]);
}

#[test]
fn a_request_without_status_stops_the_device() {
    let mut rig = Rig::new(false);
    rig.header(0, kind::OUT, 0);
    rig.offer(0, &[(16, false), (512, false)]);
    rig.ask(3, kind::IN, 0, 512);
    assert_eq!((rig.used(), rig.backend.count()), (0, 0));
    rig.start();
    rig.ask(0, kind::IN, 0, 512);
    assert_eq!(rig.backend.count(), 1);
}

/// What was asked before a reset neither reaches memory nor mixes with what is asked after it.
#[test]
fn a_reset_with_requests_in_flight() {
    let mut rig = Rig::new(false);
    rig.memory.put(Rig::buffer(1), &[1; 512]);
    rig.ask(0, kind::OUT, 0, 512);
    rig.ask(3, kind::IN, 9, 512);
    rig.start();
    rig.memory.put(Rig::buffer(4), &[0; 512]);
    rig.memory.put(Rig::buffer(1), &[2; 512]);
    rig.ask(0, kind::OUT, 0, 512);
    assert_eq!(rig.backend.count(), 2, "the new one waits for the old ones");
    rig.backend.end(1);
    assert_eq!((rig.used(), rig.memory.get::<1>(Rig::buffer(4))), (0, [0]));
    rig.backend.end(0);
    assert_eq!(rig.backend.count(), 1);
    rig.backend.end(0);
    assert_eq!((rig.used(), rig.status(0)), (1, status::OK));
    assert_eq!(rig.backend.disk.lock()[0], 2);
}

#[test]
fn the_write_cache_can_be_switched() {
    let rig = Rig::new(false);
    assert_eq!(rig.slot.lock().read(0x120, AccessSize::Byte), 1);
    rig.slot.lock().write(0x120, AccessSize::Byte, 0);
    assert!(!rig.backend.is_writeback());
    assert_eq!(rig.slot.lock().read(0x120, AccessSize::Byte), 0);
}
