//! The entropy device behind a legacy slot, driven as Linux does it.

use super::*;
use crate::core::testing::{FakeMemory, ManualTimers, RAM_BASE, RecordingIrq};
use crate::virtio::spec::status;
use crate::virtio::virtio_mmio::{VirtioMmio, VirtioMmioConfig};
use include::{AccessSize, MmioDevice};

const RING: u64 = RAM_BASE + 0x1000;
const AVAILABLE: u64 = RING + 128;
const USED: u64 = RING + 0x1000;
const BUFFERS: u64 = RAM_BASE + 0x8000;

struct Rig {
    memory: Arc<FakeMemory>,
    timers: Arc<ManualTimers>,
    irq: Arc<RecordingIrq>,
    slot: Arc<Mutex<VirtioMmio>>,
    offered: u16,
}

impl Rig {
    /// A legacy slot, as Linux 6.12 sets it up.
    fn new(config: RngConfig, mut source: EntropySource) -> Self {
        let (memory, timers, irq) = (
            FakeMemory::new(0x1_0000),
            ManualTimers::new(),
            RecordingIrq::new(),
        );
        let slot = VirtioMmio::new(VirtioMmioConfig::default(), memory.clone(), irq.line(0));
        let mut next = 0;
        let counting: EntropySource = Box::new(move |bytes| {
            source(bytes)?;
            for byte in bytes {
                next = u8::wrapping_add(next, 1);
                *byte = next;
            }
            Ok(())
        });
        let rng = VirtioRng::new(config, counting, timers.clone());
        VirtioBus::plug(&slot.lock().bus(), rng).expect("an empty slot");
        let rig = Self {
            memory,
            timers,
            irq,
            slot,
            offered: 0,
        };
        let writes = [
            (0x028, 4096),
            (0x070, 0),
            (0x070, status::ACKNOWLEDGE.into()),
            (0x070, 3),
            (0x030, 0),
            (0x038, 8),
            (0x03c, 4096),
            (0x040, RING / 4096),
        ];
        for (offset, value) in writes {
            rig.write(offset, value);
        }
        rig
    }

    fn read(&self, offset: u64) -> u64 {
        self.slot.lock().read(offset, AccessSize::Word)
    }

    fn write(&self, offset: u64, value: u64) {
        self.slot.lock().write(offset, AccessSize::Word, value);
    }

    fn offer(&mut self, len: u32) {
        let index = u64::from(self.offered % 8);
        let at = RING + 16 * index;
        self.memory
            .put(at, &(BUFFERS + 0x100 * index).to_le_bytes());
        self.memory.put(at + 8, &len.to_le_bytes());
        self.memory.put(at + 12, &2u16.to_le_bytes());
        self.memory
            .put(AVAILABLE + 4 + 2 * index, &(index as u16).to_le_bytes());
        self.offered += 1;
        self.memory.put(AVAILABLE + 2, &self.offered.to_le_bytes());
    }

    fn used(&self) -> u16 {
        u16::from_le_bytes(self.memory.get(USED + 2))
    }

    fn written(&self, slot: u64) -> u32 {
        u32::from_le_bytes(self.memory.get(USED + 8 + 8 * slot))
    }
}

fn plenty() -> EntropySource {
    Box::new(|_| Ok(()))
}

#[test]
fn fills_a_buffer_and_interrupts() {
    let mut rig = Rig::new(RngConfig::default(), plenty());
    assert_eq!(rig.read(0x008), 4);
    rig.offer(16);
    rig.write(0x050, 0);
    assert_eq!(rig.used(), 0, "the driver is not ready");
    rig.write(0x070, 7);
    assert_eq!((rig.used(), rig.written(0)), (1, 16));
    assert_eq!(rig.memory.get(BUFFERS), [1, 2, 3, 4]);
    assert_eq!((rig.irq.levels(), rig.read(0x060)), (1, 1));
    rig.write(0x064, 1);
    assert_eq!((rig.irq.levels(), rig.read(0x060)), (0, 0));
    rig.offer(8);
    rig.write(0x050, 0);
    assert_eq!((rig.used(), rig.written(1)), (2, 8));
    assert_eq!(rig.irq.levels(), 1);
}

#[test]
fn a_period_yields_no_more_than_its_bytes() {
    let mut rig = Rig::new(
        RngConfig {
            max_bytes: 20,
            period_ms: 10,
        },
        plenty(),
    );
    rig.write(0x070, 7);
    for _ in 0..3 {
        rig.offer(16);
    }
    rig.write(0x050, 0);
    assert_eq!((rig.used(), rig.written(0), rig.written(1)), (2, 16, 4));
    rig.timers.advance(9_999_999);
    assert_eq!(rig.used(), 2);
    rig.timers.advance(1);
    assert_eq!((rig.used(), rig.written(2)), (3, 16));
}

#[test]
fn a_huge_request_gets_a_bounded_answer() {
    let mut rig = Rig::new(RngConfig::default(), plenty());
    rig.write(0x070, 7);
    rig.offer(u32::MAX);
    rig.write(0x050, 0);
    assert_eq!((rig.used(), rig.written(0)), (1, ANSWER_BYTES_MAX as u32));
}

#[test]
fn a_host_without_entropy_gives_an_empty_answer() {
    let mut rig = Rig::new(
        RngConfig::default(),
        Box::new(|_| Err(io::ErrorKind::WouldBlock.into())),
    );
    rig.write(0x070, 7);
    rig.offer(16);
    rig.write(0x050, 0);
    assert_eq!((rig.used(), rig.written(0)), (1, 0));
}

#[test]
fn a_reset_stops_everything() {
    let mut rig = Rig::new(
        RngConfig {
            max_bytes: 1,
            period_ms: 1,
        },
        plenty(),
    );
    rig.write(0x070, 7);
    rig.offer(16);
    rig.offer(16);
    rig.write(0x050, 0);
    assert_eq!((rig.used(), rig.irq.levels()), (1, 1));
    rig.write(0x070, 0);
    assert_eq!(
        (rig.irq.levels(), rig.read(0x070), rig.read(0x040)),
        (0, 0, 0)
    );
    rig.timers.advance(1_000_000_000);
    assert_eq!(rig.used(), 1);
}
