//! Both ring formats from the side of the guest: good rings, each way to break one, random bytes.

use super::*;
use crate::core::testing::{FakeMemory, RAM_BASE, Random};
use crate::virtio::spec::descriptor::{AVAIL, INDIRECT, NEXT, SIZE, USED, WRITE};

const QUEUE_SIZE: u16 = 8;
const TABLE: u64 = RAM_BASE + 0x8000;
const BUFFERS: u64 = RAM_BASE + 0x1_0000;
const LAYOUT: Layout = Layout {
    descriptors: PhysAddr(RAM_BASE + 0x1000),
    driver: PhysAddr(RAM_BASE + 0x2000),
    device: PhysAddr(RAM_BASE + 0x3000),
};

/// The guest's half of a queue.
struct Rig {
    memory: Arc<FakeMemory>,
    queue: VirtQueue,
}

impl Rig {
    fn new(features: u64) -> Self {
        let memory = FakeMemory::new(0x2_0000);
        let mut queue = VirtQueue::new(memory.clone(), QUEUE_SIZE);
        assert!(queue.set_layout(LAYOUT) && queue.start(features));
        Self { memory, queue }
    }

    fn put_u16(&self, addr: u64, value: u16) {
        self.memory.put(addr, &value.to_le_bytes());
    }

    fn get_u16(&self, addr: u64) -> u16 {
        u16::from_le_bytes(self.memory.get(addr))
    }

    /// A descriptor in the split format; in the packed one the last two fields swap.
    fn descriptor(&self, base: u64, index: u16, addr: u64, len: u32, tail: [u16; 2]) {
        let at = base + SIZE as u64 * u64::from(index);
        self.memory.put(at, &addr.to_le_bytes());
        self.memory.put(at + 8, &len.to_le_bytes());
        self.put_u16(at + 12, tail[0]);
        self.put_u16(at + 14, tail[1]);
    }

    fn split(&self, index: u16, addr: u64, len: u32, flags: u16, next: u16) {
        self.descriptor(LAYOUT.descriptors.0, index, addr, len, [flags, next]);
    }

    fn packed(&self, index: u16, addr: u64, len: u32, id: u16, flags: u16) {
        self.descriptor(LAYOUT.descriptors.0, index, addr, len, [id, flags]);
    }

    /// Puts `heads` into the available ring; `index` is what it was before.
    fn offer(&self, index: u16, heads: &[u16]) {
        for (ahead, head) in (0..).zip(heads) {
            let slot = u64::from(index.wrapping_add(ahead) % QUEUE_SIZE);
            self.put_u16(LAYOUT.driver.0 + 4 + 2 * slot, *head);
        }
        self.put_u16(LAYOUT.driver.0 + 2, index.wrapping_add(heads.len() as u16));
    }

    fn pop(&mut self) -> Element {
        self.queue.pop().expect("a good queue").expect("a buffer")
    }

    fn used(&self, slot: u64) -> (u32, u32) {
        let entry = u64::from_le_bytes(self.memory.get(LAYOUT.device.0 + 4 + 8 * slot));
        (entry as u32, (entry >> 32) as u32)
    }
}

fn segment(addr: u64, len: u32) -> Segment {
    Segment {
        addr: PhysAddr(addr),
        len,
    }
}

#[test]
fn legacy_layout_is_the_manuals() {
    // A queue of 256 in Linux's vring_size example: the used ring begins on the third page.
    let layout = Layout::legacy(PhysAddr(0x10_0000), 256, 4096);
    assert_eq!(layout.driver.0, 0x10_1000);
    assert_eq!(layout.device.0, 0x10_2000);
    assert_eq!(Layout::legacy(PhysAddr(0), 8, 0).device.0, 128 + 22);
}

#[test]
fn split_chain_there_and_back() {
    let mut rig = Rig::new(0);
    assert_eq!(rig.queue.pop(), Ok(None));
    rig.memory.put(BUFFERS, b"question");
    rig.split(3, BUFFERS, 4, NEXT, 5);
    rig.split(5, BUFFERS + 4, 4, NEXT, 0);
    rig.split(0, BUFFERS + 0x100, 3, WRITE | NEXT, 1);
    rig.split(1, BUFFERS + 0x200, 10, WRITE, 0);
    rig.offer(0, &[3]);
    let element = rig.pop();
    assert_eq!(
        element.readable(),
        [segment(BUFFERS, 4), segment(BUFFERS + 4, 4)]
    );
    assert_eq!((element.readable_len(), element.writable_len()), (8, 13));
    let mut bytes = [0; 16];
    assert_eq!(element.read(&*rig.memory, 2, &mut bytes), Ok(6));
    assert_eq!(&bytes[..6], b"estion");
    assert_eq!(element.write(&*rig.memory, 1, b"answer"), Ok(6));
    assert_eq!(&rig.memory.get::<3>(BUFFERS + 0x100), b"\0an");
    assert_eq!(&rig.memory.get::<5>(BUFFERS + 0x200), b"swer\0");
    assert_eq!(element.write(&*rig.memory, 0, &[7; 20]), Ok(13));
    rig.queue.push(element, 7).unwrap();
    assert_eq!(rig.used(0), (3, 7));
    assert_eq!(rig.get_u16(LAYOUT.device.0 + 2), 1);
    assert_eq!(rig.queue.pop(), Ok(None));
}

#[test]
fn split_indices_wrap() {
    let mut rig = Rig::new(feature::EVENT_IDX);
    rig.split(2, BUFFERS, 1, WRITE, 0);
    for index in 0..70_000u32 {
        rig.offer(index as u16, &[2]);
        let element = rig.pop();
        rig.queue.push(element, index).unwrap();
        assert_eq!(rig.used(u64::from(index) % 8), (2, index));
    }
}

#[test]
fn indirect_table_may_end_a_chain() {
    let mut rig = Rig::new(feature::INDIRECT_DESC);
    rig.split(0, BUFFERS, 1, NEXT, 1);
    rig.split(1, TABLE, 3 * SIZE as u32, INDIRECT, 0);
    rig.descriptor(TABLE, 0, BUFFERS + 16, 2, [NEXT, 2]);
    rig.descriptor(TABLE, 2, BUFFERS + 32, 3, [WRITE, 0]);
    rig.offer(0, &[0]);
    let element = rig.pop();
    assert_eq!(
        element.readable(),
        [segment(BUFFERS, 1), segment(BUFFERS + 16, 2)]
    );
    assert_eq!(element.writable(), [segment(BUFFERS + 32, 3)]);
}

/// Sets a ring up wrongly, and names the error that the device must find.
fn check_broken(features: u64, set_up: impl Fn(&Rig), expected: QueueError) {
    let mut rig = Rig::new(features);
    set_up(&rig);
    assert_eq!(rig.queue.pop(), Err(expected));
}

#[test]
fn broken_split_rings_are_found() {
    use QueueError::*;
    check_broken(0, |rig| rig.put_u16(LAYOUT.driver.0 + 2, 9), IndexJump(9));
    check_broken(0, |rig| rig.offer(0, &[8]), NoDescriptor(8));
    let chain = |descriptors: &'static [(u32, u16, u16)]| {
        move |rig: &Rig| {
            for (index, &(len, flags, next)) in (0..).zip(descriptors) {
                rig.split(index, TABLE, len, flags, next);
            }
            rig.offer(0, &[0]);
        }
    };
    check_broken(0, chain(&[(1, NEXT, 0)]), ChainTooLong);
    check_broken(0, chain(&[(1, NEXT, 1), (1, NEXT, 0)]), ChainTooLong);
    check_broken(0, chain(&[(1, NEXT, 77)]), NoDescriptor(77));
    check_broken(0, chain(&[(1, NEXT | WRITE, 1), (1, 0, 0)]), Order);
    check_broken(0, chain(&[(24, INDIRECT, 0)]), Indirect(24));
    check_broken(0, chain(&[(0, INDIRECT, 0)]), Indirect(0));
    check_broken(0, chain(&[(16, INDIRECT | NEXT, 0)]), Indirect(16));
    check_broken(0, chain(&[(0xffff_fff0, INDIRECT, 0)]), ChainTooLong);
    let in_table = |tail: [u16; 2], expected| {
        let set_up = move |rig: &Rig| {
            rig.descriptor(TABLE, 0, BUFFERS, 16, tail);
            rig.split(0, TABLE, 32, INDIRECT, 0);
            rig.offer(0, &[0]);
        };
        check_broken(0, set_up, expected);
    };
    in_table([NEXT, 0], ChainTooLong);
    in_table([NEXT, 2], NoDescriptor(2));
    in_table([INDIRECT, 0], Indirect(16));
    check_broken(
        0,
        |rig| {
            rig.split(0, 0x1000, 32, INDIRECT, 0);
            rig.offer(0, &[0]);
        },
        Memory,
    );
}

#[test]
fn buffers_outside_ram_fail_when_used() {
    let mut rig = Rig::new(0);
    rig.split(0, u64::MAX - 3, 16, NEXT, 1);
    rig.split(1, 0x1000, 16, WRITE, 1);
    rig.offer(0, &[0]);
    let element = rig.pop();
    assert_eq!(
        element.read(&*rig.memory, 0, &mut [0; 8]),
        Err(QueueError::Memory)
    );
    assert_eq!(
        element.write(&*rig.memory, 0, &[0; 8]),
        Err(QueueError::Memory)
    );
}

#[test]
fn a_guest_cannot_have_more_in_flight_than_the_queue_holds() {
    let mut rig = Rig::new(0);
    rig.split(0, BUFFERS, 1, 0, 0);
    rig.offer(0, &[0; 8]);
    let held: Vec<Element> = (0..8).map(|_| rig.pop()).collect();
    rig.offer(8, &[0]);
    assert_eq!(rig.queue.pop(), Err(QueueError::TooManyBuffers));
    assert_eq!(held.len(), 8);
}

#[test]
fn buffers_from_before_a_reset_are_forgotten() {
    let mut rig = Rig::new(0);
    rig.split(0, BUFFERS, 1, WRITE, 0);
    rig.offer(0, &[0]);
    let element = rig.pop();
    rig.queue.reset();
    assert!(!rig.queue.is_ready() && rig.queue.pop() == Ok(None));
    assert!(rig.queue.set_layout(LAYOUT) && rig.queue.start(0));
    rig.queue.push(element, 1).unwrap();
    assert_eq!(rig.get_u16(LAYOUT.device.0 + 2), 0);
}

/// One buffer after another; which pushes interrupt?
fn interrupts(rig: &mut Rig, pushes: u16, before: impl Fn(&Rig, u16)) -> Vec<bool> {
    rig.split(0, BUFFERS, 1, WRITE, 0);
    let push = |index| {
        before(rig, index);
        rig.offer(index, &[0]);
        let element = rig.pop();
        rig.queue.push(element, 1).unwrap();
        rig.queue.needs_interrupt().unwrap()
    };
    (0..pushes).map(push).collect()
}

#[test]
fn split_interrupts_follow_the_flag_or_the_event_index() {
    let flag = LAYOUT.driver.0;
    let event = LAYOUT.driver.0 + 4 + 2 * u64::from(QUEUE_SIZE);
    assert_eq!(interrupts(&mut Rig::new(0), 2, |_, _| ()), [true, true]);
    let mask = |rig: &Rig, index| rig.put_u16(flag, index % 2);
    assert_eq!(
        interrupts(&mut Rig::new(0), 4, mask),
        [true, false, true, false]
    );
    let mut rig = Rig::new(feature::EVENT_IDX);
    let third = |rig: &Rig, _| rig.put_u16(event, 2);
    assert_eq!(
        interrupts(&mut rig, 5, third),
        [true, false, true, false, false]
    );
    let mut rig = Rig::new(feature::NOTIFY_ON_EMPTY);
    assert_eq!(
        interrupts(&mut rig, 2, |rig, _| rig.put_u16(flag, 1)),
        [true, true]
    );
}

#[test]
fn split_notifications_can_be_switched() {
    let available_event = LAYOUT.device.0 + 4 + 8 * u64::from(QUEUE_SIZE);
    let mut rig = Rig::new(0);
    rig.queue.set_notification(false).unwrap();
    assert_eq!(rig.get_u16(LAYOUT.device.0), 1);
    rig.queue.set_notification(true).unwrap();
    assert_eq!(rig.get_u16(LAYOUT.device.0), 0);
    let mut rig = Rig::new(feature::EVENT_IDX);
    rig.split(0, BUFFERS, 1, WRITE, 0);
    rig.offer(0, &[0, 0]);
    rig.pop();
    assert_eq!(rig.get_u16(available_event), 1);
    rig.queue.set_notification(false).unwrap();
    rig.pop();
    assert_eq!(rig.get_u16(available_event), 1);
    rig.queue.set_notification(true).unwrap();
    assert_eq!(rig.get_u16(available_event), 2);
}

#[test]
fn sizes_that_a_queue_can_have() {
    let memory = FakeMemory::new(16);
    let mut queue = VirtQueue::new(memory, 8);
    assert!(!queue.set_size(0) && !queue.set_size(16));
    assert!(queue.set_size(6) && !queue.start(0) && queue.start(feature::RING_PACKED));
    assert!(
        !queue.set_size(8) && !queue.set_layout(LAYOUT),
        "not while it runs"
    );
}

/// Flags that make a packed descriptor available in the round with that wrap counter.
fn available(wrap: bool) -> u16 {
    if wrap { AVAIL } else { USED }
}

#[test]
fn packed_ring_goes_round() {
    let mut rig = Rig::new(feature::RING_PACKED);
    assert_eq!(rig.queue.pop(), Ok(None));
    // Chains of three in a ring of eight start at every slot sooner or later.
    let (mut slot, mut wrap) = (0, true);
    for round in 0..100u16 {
        let (mut at, mut at_wrap) = (slot, wrap);
        let mut flags = [0; 3];
        for (part, kind) in [NEXT, NEXT | WRITE, WRITE].into_iter().enumerate() {
            flags[part] = kind | available(at_wrap);
            rig.packed(at, BUFFERS + u64::from(at), 1, round, flags[part]);
            (at, at_wrap) = if at == 7 {
                (0, !at_wrap)
            } else {
                (at + 1, at_wrap)
            };
        }
        let element = rig.pop();
        assert_eq!(element.readable(), [segment(BUFFERS + u64::from(slot), 1)]);
        assert_eq!(element.writable_len(), 2);
        assert_eq!(rig.queue.pop(), Ok(None));
        rig.queue.push(element, 2).unwrap();
        let used = LAYOUT.descriptors.0 + 16 * u64::from(slot);
        let expected = WRITE | if wrap { AVAIL | USED } else { 0 };
        assert_eq!(rig.get_u16(used + 14), expected);
        assert_eq!((rig.get_u16(used + 12), rig.get_u16(used + 8)), (round, 2));
        (slot, wrap) = (at, at_wrap);
    }
}

#[test]
fn packed_indirect_table_is_taken_whole() {
    let mut rig = Rig::new(feature::RING_PACKED);
    rig.descriptor(TABLE, 0, BUFFERS, 5, [0, 0]);
    rig.descriptor(TABLE, 1, BUFFERS + 8, 6, [0, WRITE]);
    rig.packed(0, TABLE, 32, 42, INDIRECT | AVAIL);
    let element = rig.pop();
    assert_eq!((element.readable_len(), element.writable_len()), (5, 6));
    rig.queue.push(element, 6).unwrap();
    assert_eq!(rig.get_u16(LAYOUT.descriptors.0 + 12), 42);
}

#[test]
fn broken_packed_rings_are_found() {
    let all = |flags: u16| {
        move |rig: &Rig| (0..8).for_each(|index| rig.packed(index, TABLE, 16, 0, flags))
    };
    let packed = feature::RING_PACKED;
    check_broken(packed, all(AVAIL | NEXT), QueueError::ChainTooLong);
    check_broken(
        packed,
        all(AVAIL | NEXT | INDIRECT),
        QueueError::Indirect(16),
    );
    let nested = |rig: &Rig| {
        rig.descriptor(TABLE, 0, TABLE, 16, [0, INDIRECT]);
        rig.packed(0, TABLE, 16, 0, AVAIL | INDIRECT);
    };
    check_broken(packed, nested, QueueError::Indirect(16));
}

#[test]
fn packed_interrupts_follow_the_event_structure() {
    let check = |wish: u16, flags: u16, expected: [bool; 4]| {
        let mut rig = Rig::new(feature::RING_PACKED);
        rig.put_u16(LAYOUT.driver.0, wish);
        rig.put_u16(LAYOUT.driver.0 + 2, flags);
        let told = [0, 1, 2, 3].map(|slot| {
            rig.packed(slot, BUFFERS, 1, slot, WRITE | AVAIL);
            let element = rig.pop();
            rig.queue.push(element, 1).unwrap();
            rig.queue.needs_interrupt().unwrap()
        });
        assert_eq!(told, expected, "{wish:#x} {flags}");
    };
    check(0, 0, [true; 4]);
    check(0, 1, [false; 4]);
    check(0x8002, 2, [true, false, true, false]);
    check(0x0002, 2, [true, false, false, false]);
}

#[test]
fn random_rings_do_no_harm() {
    for seed in 1..200 {
        let mut random = Random::new(seed);
        let features = random.next() & (feature::EVENT_IDX | feature::RING_PACKED);
        let mut rig = Rig::new(features);
        for _ in 0..50 {
            let addr = RAM_BASE + 0x1000 + random.below(0x2200);
            let value = random.value().to_le_bytes();
            rig.memory.put(addr, &value[..1 + random.below(8) as usize]);
            rig.put_u16(LAYOUT.driver.0 + 2, random.below(4) as u16);
            while let Ok(Some(element)) = rig.queue.pop() {
                let mut bytes = [0; 64];
                let _ = element.read(&*rig.memory, random.value(), &mut bytes);
                let _ = element.write(&*rig.memory, random.below(32), &bytes);
                let _ = rig.queue.push(element, 1);
                let _ = rig.queue.needs_interrupt();
            }
        }
    }
}
