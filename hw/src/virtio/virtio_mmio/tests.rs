//! The transport by register, legacy and modern, with a device that echoes.

use super::*;
use crate::core::testing::{FakeMemory, ManualTimers, RAM_BASE, Random, RecordingIrq, fuzz};
use crate::virtio::virtio_bus::{SharedMemory, VirtioDevice, VirtioState};
use std::sync::Weak;

/// Gives every buffer back with its readable bytes copied to its writable part.
struct Echo {
    config: [u8; 6],
}

impl VirtioDevice for Echo {
    fn device_id(&self) -> u32 {
        42
    }
    fn features(&self) -> u64 {
        feature::RING_PACKED | 0b101
    }
    fn queue_sizes(&self) -> &[u16] {
        &[16, 4]
    }
    fn config(&self) -> &[u8] {
        &self.config
    }
    fn write_config(&mut self, offset: usize, bytes: &[u8]) {
        self.config[offset..offset + bytes.len()].copy_from_slice(bytes);
    }
    fn realize(&mut self, _bus: Weak<Mutex<VirtioBus>>) {}
    fn queue_notify(&mut self, queue: u16, state: &mut VirtioState) {
        for _ in 0..16 {
            let Some(element) = state.pop(queue) else {
                return;
            };
            let memory = state.memory().clone();
            let mut bytes = [0; 64];
            let copied = element
                .read(&*memory, 0, &mut bytes)
                .and_then(|count| element.write(&*memory, 0, &bytes[..count]));
            match copied {
                Ok(written) => state.push(queue, element, written as u32),
                Err(error) => return state.fail(error),
            }
            state.notify(queue);
        }
    }
    fn wake(&mut self, state: &mut VirtioState) {
        self.config[0] += 1;
        state.notify_config();
    }
    fn reset(&mut self) {}
    fn shared_memory(&self, id: u8) -> Option<SharedMemory> {
        (id == 1).then_some(SharedMemory {
            base: 0x1_2000_0000,
            length: 0x3000,
        })
    }
}

struct Rig {
    slot: Arc<Mutex<VirtioMmio>>,
    memory: Arc<FakeMemory>,
    irq: Arc<RecordingIrq>,
}

impl Rig {
    fn empty(force_legacy: bool) -> Self {
        let (memory, irq) = (FakeMemory::new(0x1_0000), RecordingIrq::new());
        let config = VirtioMmioConfig { force_legacy };
        let slot = VirtioMmio::new(config, memory.clone(), irq.line(0));
        Self { slot, memory, irq }
    }

    fn new(force_legacy: bool) -> Self {
        let rig = Self::empty(force_legacy);
        let echo = || Box::new(Echo { config: *b"config" });
        let bus = rig.slot.lock().bus();
        assert!(VirtioBus::plug(&bus, echo()).is_ok());
        assert!(VirtioBus::plug(&bus, echo()).is_err());
        rig
    }

    fn read(&self, offset: u64) -> u32 {
        self.slot.lock().read(offset, AccessSize::Word) as u32
    }

    fn write(&self, offset: u64, value: u32) {
        self.slot
            .lock()
            .write(offset, AccessSize::Word, value.into());
    }

    fn offered(&self) -> u64 {
        self.write(DEVICE_FEATURES_SEL, 0);
        let low = self.read(DEVICE_FEATURES);
        self.write(DEVICE_FEATURES_SEL, 1);
        u64::from(self.read(DEVICE_FEATURES)) << 32 | u64::from(low)
    }

    /// The driver's steps of 3.1.1 up to FEATURES_OK; true if the device agrees.
    fn negotiate(&self, features: u64) -> bool {
        self.write(STATUS, 0);
        self.write(STATUS, 3);
        for (select, part) in [(0, low(features)), (1, high(features))] {
            self.write(DRIVER_FEATURES_SEL, select);
            self.write(DRIVER_FEATURES, part);
        }
        self.write(STATUS, 11);
        self.read(STATUS) == 11
    }

    /// A modern driver with queue 0 at the start of RAM; packed or split.
    fn drive(&self, features: u64) {
        assert!(self.negotiate(features));
        self.write(QUEUE_SEL, 0);
        self.write(QUEUE_NUM, 4);
        self.write(QUEUE_DESC_LOW, low(RAM_BASE));
        self.write(QUEUE_DRIVER_LOW, low(RAM_BASE + 0x1000));
        self.write(QUEUE_DEVICE_LOW, low(RAM_BASE + 0x2000));
        self.write(QUEUE_READY, 1);
        assert_eq!(self.read(QUEUE_READY), 1);
        self.write(STATUS, 15);
    }

    /// Offers descriptor 0 as a split chain of one.
    fn offer(&self, addr: u64, len: u32, flags: u16) {
        self.memory.put(RAM_BASE, &addr.to_le_bytes());
        self.memory.put(RAM_BASE + 8, &len.to_le_bytes());
        self.memory.put(RAM_BASE + 12, &flags.to_le_bytes());
        self.memory.put(RAM_BASE + 0x1002, &[1, 0]);
        self.write(QUEUE_NOTIFY, 0);
    }
}

#[test]
fn empty_slots_say_so() {
    for (force_legacy, version) in [(true, 1), (false, 2)] {
        let rig = Rig::empty(force_legacy);
        rig.write(STATUS, 3);
        let seen = [0, 4, 8, 12, STATUS, CONFIG].map(|offset| rig.read(offset));
        assert_eq!(seen, [0x7472_6976, version, 0, 0x554d_4551, 0, 0]);
    }
}

#[test]
fn features_by_version() {
    let legacy = Rig::new(true).offered();
    assert_eq!(legacy, COMMON | feature::NOTIFY_ON_EMPTY | 0b101);
    let modern = Rig::new(false).offered();
    assert_eq!(
        modern,
        COMMON | feature::VERSION_1 | feature::RING_PACKED | 0b101
    );
}

const COMMON: u64 = feature::ANY_LAYOUT | feature::INDIRECT_DESC | feature::EVENT_IDX;

#[test]
fn negotiation_refuses_what_was_not_offered() {
    let rig = Rig::new(false);
    assert!(rig.negotiate(feature::VERSION_1 | 1));
    assert!(!rig.negotiate(1), "without VERSION_1");
    assert!(!rig.negotiate(feature::VERSION_1 | 2));
    assert!(!rig.negotiate(feature::VERSION_1 | feature::NOTIFY_ON_EMPTY));
}

#[test]
fn queues_by_number() {
    let rig = Rig::new(false);
    for (queue, size) in [(0, 16), (1, 4), (2, 0), (u32::MAX, 0)] {
        rig.write(QUEUE_SEL, queue);
        assert_eq!(rig.read(QUEUE_NUM_MAX), size, "queue {queue}");
    }
    rig.write(QUEUE_READY, 1);
    assert_eq!(rig.read(QUEUE_READY), 0);
    rig.write(QUEUE_NOTIFY, 70_000);
}

#[test]
fn modern_queue_echoes() {
    let rig = Rig::new(false);
    rig.drive(feature::VERSION_1);
    rig.memory.put(RAM_BASE + 0x4000, b"hello");
    // Descriptor 1 is where the answer goes.
    rig.memory
        .put(RAM_BASE + 16, &(RAM_BASE + 0x5000).to_le_bytes());
    rig.memory.put(RAM_BASE + 24, &[16, 0, 0, 0, 2, 0]);
    rig.memory.put(RAM_BASE + 14, &[1, 0]);
    rig.offer(RAM_BASE + 0x4000, 5, 1);
    assert_eq!(&rig.memory.get::<6>(RAM_BASE + 0x5000), b"hello\0");
    assert_eq!(
        rig.memory.get(RAM_BASE + 0x2002),
        [1, 0, 0, 0, 0, 0, 5, 0, 0, 0]
    );
    assert_eq!((rig.irq.levels(), rig.read(INTERRUPT_STATUS)), (1, 1));
    rig.write(INTERRUPT_ACK, 1);
    assert_eq!(rig.irq.levels(), 0);
    rig.write(QUEUE_READY, 0);
    assert_eq!(rig.read(QUEUE_READY), 0);
}

#[test]
fn packed_queue_echoes() {
    let rig = Rig::new(false);
    rig.drive(feature::VERSION_1 | feature::RING_PACKED);
    rig.memory.put(RAM_BASE, &(RAM_BASE + 0x4000).to_le_bytes());
    rig.memory.put(RAM_BASE + 8, &[5, 0, 0, 0, 9, 0, 0x82, 0]);
    rig.write(QUEUE_NOTIFY, 0);
    assert_eq!(rig.memory.get(RAM_BASE + 8), [0, 0, 0, 0, 9, 0, 0x80, 0x80]);
    assert_eq!(rig.irq.levels(), 1);
}

#[test]
fn a_broken_ring_needs_a_reset() {
    let rig = Rig::new(false);
    rig.drive(feature::VERSION_1);
    rig.offer(0x1000, 4, 0);
    assert_eq!(rig.read(STATUS), 15 | u32::from(status::NEEDS_RESET));
    assert_eq!((rig.irq.levels(), rig.read(INTERRUPT_STATUS)), (1, 2));
    rig.write(STATUS, 15);
    assert_eq!(rig.read(STATUS) & 64, 64, "the driver cannot clear it");
    rig.offer(RAM_BASE + 0x4000, 4, 0);
    assert_eq!(rig.memory.get(RAM_BASE + 0x2002), [0, 0]);
    rig.drive(feature::VERSION_1);
    assert_eq!(
        (rig.read(STATUS), rig.irq.levels()),
        (15, 1),
        "served after the reset"
    );
    assert_eq!(rig.memory.get(RAM_BASE + 0x2002), [1, 0]);
}

#[test]
fn a_broken_legacy_ring_is_silent() {
    let rig = Rig::new(true);
    rig.write(GUEST_PAGE_SIZE, 4096);
    rig.write(STATUS, 0);
    rig.write(QUEUE_PFN, 0x1234);
    assert_eq!(rig.read(QUEUE_PFN), 0x1234);
    rig.write(STATUS, 7);
    rig.write(QUEUE_NOTIFY, 0);
    assert_eq!((rig.read(STATUS), rig.irq.levels()), (7, 0));
}

#[test]
fn configuration_space_in_all_widths() {
    let rig = Rig::new(false);
    let read = |offset, size| rig.slot.lock().read(CONFIG + offset, size);
    assert_eq!(
        read(0, AccessSize::Word),
        u32::from_le_bytes(*b"conf").into()
    );
    assert_eq!(read(4, AccessSize::Half), u16::from_le_bytes(*b"ig").into());
    assert_eq!(read(1, AccessSize::Byte), b'o'.into());
    assert_eq!(read(4, AccessSize::Word), 0xffff_ffff, "past the end");
    assert_eq!(read(0, AccessSize::Double), u64::MAX);
    rig.slot.lock().write(CONFIG + 4, AccessSize::Half, 0x4142);
    rig.slot.lock().write(CONFIG + 5, AccessSize::Half, 0x4344);
    assert_eq!(read(4, AccessSize::Half), 0x4142);
}

#[test]
fn configuration_changes_are_announced() {
    let rig = Rig::new(false);
    rig.drive(feature::VERSION_1);
    let generation = rig.read(CONFIG_GENERATION);
    rig.slot.lock().bus().lock().wake();
    assert_eq!(rig.read(CONFIG_GENERATION), generation + 1);
    assert_eq!((rig.irq.levels(), rig.read(INTERRUPT_STATUS)), (1, 2));
}

#[test]
fn shared_memory_regions() {
    let rig = Rig::new(false);
    for (id, expected) in [
        (1, [0x3000, 0, 0x2000_0000, 1]),
        (0, [!0; 4]),
        (257, [!0; 4]),
    ] {
        rig.write(SHM_SEL, id);
        let seen = [SHM_LEN_LOW, SHM_LEN_HIGH, SHM_BASE_LOW, SHM_BASE_HIGH];
        assert_eq!(seen.map(|offset| rig.read(offset)), expected);
    }
}

#[test]
fn versions_do_not_share_queue_registers() {
    let rig = Rig::new(true);
    rig.write(QUEUE_READY, 1);
    assert_eq!(rig.read(QUEUE_READY), 0);
    let rig = Rig::new(false);
    rig.write(QUEUE_PFN, 1);
    assert_eq!((rig.read(QUEUE_PFN), rig.read(QUEUE_READY)), (0, 0));
}

#[test]
fn random_accesses_do_no_harm() {
    let timers = ManualTimers::new();
    for seed in 0..8 {
        let rig = Rig::new(seed % 2 == 0);
        let device: Arc<Mutex<dyn MmioDevice>> = rig.slot.clone();
        fuzz(&device, VIRTIO_MMIO_SIZE, seed, &timers);
        fuzz(&device, 0x110, seed, &timers);
    }
}

/// A driver that negotiates well and then writes anything into its rings.
#[test]
fn random_rings_do_no_harm() {
    let optional = feature::RING_PACKED | feature::EVENT_IDX | feature::INDIRECT_DESC;
    for seed in 0..100 {
        let mut random = Random::new(seed);
        let rig = Rig::new(false);
        rig.drive(feature::VERSION_1 | random.next() & optional);
        for _ in 0..100 {
            let ring = 0x1000 * random.below(3);
            let value = random.value().to_le_bytes();
            rig.memory
                .put(RAM_BASE + ring + 2 * random.below(32), &value);
            rig.memory
                .put(RAM_BASE + 0x1002, &[random.below(5) as u8, 0]);
            rig.write(QUEUE_NOTIFY, 0);
            if rig.read(STATUS) & u32::from(status::NEEDS_RESET) != 0 {
                rig.drive(feature::VERSION_1 | random.next() & optional);
            }
        }
    }
}
