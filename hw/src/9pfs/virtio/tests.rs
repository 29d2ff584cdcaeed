//! The device behind a modern slot, driven as Linux does it.

use std::time::{Duration, Instant};

use fsdev::memory::Memory;
use fsdev::synth::{Item, Synth};
use include::fsdev::mode;
use include::{AccessSize, MmioDevice};

use super::*;
use crate::core::testing::{FakeMemory, RAM_BASE, Random, RecordingIrq};
use crate::ninep::protocol::*;
use crate::virtio::virtio_mmio::{VirtioMmio, VirtioMmioConfig};

const TABLE: u64 = RAM_BASE + 0x1000;
const AVAILABLE: u64 = RAM_BASE + 0x2000;
const USED: u64 = RAM_BASE + 0x3000;
/// Each request has two descriptors and two pages.
const BUFFERS: u64 = RAM_BASE + 0x1_0000;
const BUFFER: u64 = 0x2000;
const RAM_BYTES: usize = 0x20_0000;

struct Rig {
    memory: Arc<FakeMemory>,
    irq: Arc<RecordingIrq>,
    slot: Arc<Mutex<VirtioMmio>>,
    context: Arc<AioContext>,
    offered: u16,
    seen: u16,
}

impl Rig {
    fn new(fs: Arc<dyn FileSystem>) -> Self {
        let (memory, irq) = (FakeMemory::new(RAM_BYTES), RecordingIrq::new());
        let config = VirtioMmioConfig {
            force_legacy: false,
        };
        let slot = VirtioMmio::new(config, memory.clone(), irq.line(0));
        let context = Arc::new(AioContext::start("9p").expect("a thread can be had"));
        let device = Virtio9p::new("share", fs, context.clone()).expect("a good tag");
        VirtioBus::plug(&slot.lock().bus(), device).expect("an empty slot");
        let mut rig = Self {
            memory,
            irq,
            slot,
            context,
            offered: 0,
            seen: 0,
        };
        rig.reset();
        rig
    }

    fn read(&self, offset: u64) -> u64 {
        self.slot.lock().read(offset, AccessSize::Word)
    }

    fn write(&self, offset: u64, value: u64) {
        self.slot.lock().write(offset, AccessSize::Word, value);
    }

    /// Resets the device, and sets it up as Linux does.
    fn reset(&mut self) {
        (self.offered, self.seen) = (0, 0);
        self.write(0x070, 0);
        self.memory.put(AVAILABLE, &[0; 0x200]);
        self.memory.put(USED, &[0; 0x800]);
        let writes = [
            (0x070, 3),
            (0x024, 1),
            (0x020, 1),
            (0x024, 0),
            (0x020, 1),
            (0x070, 11),
            (0x030, 0),
            (0x038, 128),
            (0x080, TABLE),
            (0x084, 0),
            (0x090, AVAILABLE),
            (0x094, 0),
            (0x0a0, USED),
            (0x0a4, 0),
            (0x044, 1),
            (0x070, 15),
        ];
        for (offset, value) in writes {
            self.write(offset, value);
        }
    }

    /// Offers a buffer with `message` to read and `room` bytes to write to; its slot.
    fn offer(&mut self, message: &[u8], room: u32) -> u64 {
        let slot = u64::from(self.offered % 64);
        let addr = BUFFERS + slot * BUFFER * 2;
        self.memory.put(addr, message);
        self.descriptor(2 * slot, addr, message.len() as u32, 1, 2 * slot + 1);
        self.descriptor(2 * slot + 1, addr + BUFFER, room, 2, 0);
        self.make_available(2 * slot);
        slot
    }

    fn descriptor(&self, index: u64, addr: u64, len: u32, flags: u16, next: u64) {
        let at = TABLE + 16 * index;
        self.memory.put(at, &addr.to_le_bytes());
        self.memory.put(at + 8, &len.to_le_bytes());
        self.memory.put(at + 12, &flags.to_le_bytes());
        self.memory.put(at + 14, &(next as u16).to_le_bytes());
    }

    fn make_available(&mut self, head: u64) {
        let at = AVAILABLE + 4 + 2 * u64::from(self.offered % 128);
        self.memory.put(at, &(head as u16).to_le_bytes());
        self.offered += 1;
        self.memory.put(AVAILABLE + 2, &self.offered.to_le_bytes());
    }

    fn kick(&self) {
        self.write(0x050, 0);
    }

    fn used(&self) -> u16 {
        u16::from_le_bytes(self.memory.get(USED + 2))
    }

    /// The next used buffer: its slot and how much was written.
    fn next(&mut self) -> (u64, u32) {
        let start = Instant::now();
        while self.used() == self.seen {
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "there is no answer"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        let at = USED + 4 + 8 * u64::from(self.seen % 128);
        self.seen += 1;
        let id = u32::from_le_bytes(self.memory.get(at));
        (
            u64::from(id) / 2,
            u32::from_le_bytes(self.memory.get(at + 4)),
        )
    }

    /// Waits for a used buffer; false if the device stops instead.
    fn wait(&self) -> bool {
        let start = Instant::now();
        while self.used() == self.seen {
            // Neither memory nor the slot is looked at meanwhile, lest their locks be missed.
            while self.irq.levels() == 0 {
                assert!(
                    start.elapsed() < Duration::from_secs(60),
                    "there is no answer"
                );
                std::thread::sleep(Duration::from_micros(20));
            }
            self.write(0x064, 3);
            if self.read(0x070) & 64 != 0 {
                return false;
            }
        }
        true
    }

    fn rpc(&mut self, message: impl Into<Message>) -> Message {
        self.offer(&message.into().encode(1), BUFFER as u32);
        self.kick();
        let (slot, written) = self.next();
        self.reply(slot, written)
    }

    fn reply(&self, slot: u64, written: u32) -> Message {
        let mut bytes = vec![0; written as usize];
        let addr = BUFFERS + slot * BUFFER * 2 + BUFFER;
        let read = self.memory.read(include::PhysAddr(addr), &mut bytes);
        read.expect("the buffer is RAM");
        Message::decode(bytes).expect("an answer is a message").1
    }

    fn attach(&mut self) {
        let version = b"9P2000.L".to_vec();
        let answer = self.rpc(Tversion {
            msize: 8192,
            version,
        });
        assert_eq!(answer.name(), "Rversion");
        let attach = Tattach {
            fid: 1,
            afid: u32::MAX,
            ..Tattach::default()
        };
        assert_eq!(self.rpc(attach).name(), "Rattach");
    }

    /// Waits until no coroutine runs any more.
    fn settle(&self) {
        let start = Instant::now();
        while self.context.live() > 0 {
            assert!(start.elapsed() < Duration::from_secs(60), "it never ends");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

use include::AddressSpace as _;

#[test]
fn the_mount_tag_is_in_the_configuration_space() {
    let rig = Rig::new(Memory::new(1 << 20));
    rig.write(0x014, 0);
    // VIRTIO_9P_MOUNT_TAG.
    assert_eq!((rig.read(0x008), rig.read(0x010) & 1), (9, 1));
    let byte = |at| rig.slot.lock().read(0x100u64 + at, AccessSize::Byte) as u8;
    let config: Vec<u8> = (0..7).map(byte).collect();
    assert_eq!(config, b"\x05\0share");
    let context = rig.context.clone();
    for tag in [String::new(), "x".repeat(33)] {
        let refused = Virtio9p::new(&tag, Memory::new(1), context.clone());
        assert!(refused.err().expect("a bad tag").contains("mount tag"));
    }
}

#[test]
fn requests_are_answered() {
    let mut rig = Rig::new(Memory::new(1 << 20));
    rig.attach();
    let create = Tlcreate {
        fid: 1,
        name: b"file".to_vec(),
        flags: 2,
        mode: 0o644,
        gid: 0,
    };
    assert_eq!(rig.rpc(create).name(), "Rlcreate");
    let data = Payload::from(vec![5; 8000]);
    let written = rig.rpc(Twrite {
        fid: 1,
        offset: 0,
        data: data.clone(),
    });
    assert_eq!(written, Rwrite { count: 8000 }.into());
    let read = rig.rpc(Tread {
        fid: 1,
        offset: 0,
        count: 8000,
    });
    assert_eq!(read, Rread { data }.into());
    let Message::Rgetattr(attr) = rig.rpc(Tgetattr {
        fid: 1,
        request_mask: 0x7ff,
    }) else {
        panic!("it is an Rgetattr");
    };
    assert_eq!((attr.size, attr.mode), (8000, mode::REGULAR | 0o644));
    assert_eq!(rig.irq.levels(), 1);
}

/// Many at a time, each answered once, in any order.
#[test]
fn many_requests_at_once() {
    let mut rig = Rig::new(Memory::new(1 << 20));
    rig.attach();
    for _ in 0..20 {
        let mut wanted: Vec<u64> = Vec::new();
        for _ in 0..64 {
            let statfs = Message::from(Tstatfs { fid: 1 }).encode(rig.offered);
            wanted.push(rig.offer(&statfs, BUFFER as u32));
        }
        rig.kick();
        let mut answered: Vec<u64> = (0..64).map(|_| rig.next().0).collect();
        answered.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(answered, wanted);
    }
}

#[test]
fn bad_requests_are_given_back() {
    let mut rig = Rig::new(Memory::new(1 << 20));
    rig.attach();
    let good = Message::from(Tstatfs { fid: 1 }).encode(1);
    let with_size = |size: u32| [&size.to_le_bytes(), &good[4..]].concat();
    let cases = [
        (good.clone(), 10),
        (good.clone(), 0),
        (b"\x07\0\0\0\x78".to_vec(), 100),
        (Vec::new(), 100),
        (with_size(0), 100),
        (with_size(6), 100),
        (with_size(12), 100),
        (with_size(u32::MAX), 100),
    ];
    for (message, room) in cases {
        rig.offer(&message, room);
        rig.kick();
        assert_eq!(rig.next().1, 0, "{message:?}");
    }
    // Less room than the answer takes: an error, which fits.
    rig.offer(&good, 20);
    rig.kick();
    let (slot, written) = rig.next();
    assert_eq!(rig.reply(slot, written), Rlerror { ecode: 90 }.into());
    assert_eq!(rig.rpc(Tstatfs { fid: 1 }).name(), "Rstatfs");
}

/// A message of one request as long as it says; a reply without end is bounded.
#[test]
fn huge_buffers_take_no_memory() {
    let mut rig = Rig::new(Memory::new(1 << 20));
    rig.attach();
    let message = Message::from(Tread {
        fid: 1,
        offset: 0,
        count: u32::MAX,
    })
    .encode(1);
    let slot = rig.offer(&message, u32::MAX);
    rig.descriptor(
        2 * slot,
        BUFFERS + slot * BUFFER * 2,
        u32::MAX,
        1,
        2 * slot + 1,
    );
    rig.kick();
    assert_eq!(rig.next().1, 11, "an Rlerror");
    // Outside RAM the device stops, until the guest resets it.
    let slot = rig.offer(&message, 100);
    rig.descriptor(2 * slot, RAM_BASE - 0x1000, 100, 1, 2 * slot + 1);
    rig.kick();
    assert_eq!(rig.read(0x070) & 64, 64);
    rig.reset();
    rig.attach();
}

/// Answers to requests from before a reset are not written anywhere.
#[test]
fn a_reset_forgets_requests_at_work() {
    let tree = Item::folder([("slow", Item::slow("slow", Duration::from_millis(300)))]);
    let mut rig = Rig::new(Synth::new(tree));
    rig.attach();
    let wname = List(vec![b"slow".to_vec()]);
    assert_eq!(
        rig.rpc(Twalk {
            fid: 1,
            newfid: 2,
            wname
        })
        .name(),
        "Rwalk"
    );
    assert_eq!(rig.rpc(Tlopen { fid: 2, flags: 0 }).name(), "Rlopen");
    let read = Message::from(Tread {
        fid: 2,
        offset: 0,
        count: 4,
    })
    .encode(1);
    let slots: Vec<u64> = (0..8).map(|_| rig.offer(&read, 100)).collect();
    rig.kick();
    rig.reset();
    for slot in &slots {
        rig.memory
            .put(BUFFERS + slot * BUFFER * 2 + BUFFER, &[0xee; 32]);
    }
    rig.settle();
    assert_eq!(rig.used(), 0);
    for slot in slots {
        let bytes: [u8; 32] = rig.memory.get(BUFFERS + slot * BUFFER * 2 + BUFFER);
        assert_eq!(bytes, [0xee; 32]);
    }
    // The new session knows no fid of the old one.
    let answer = rig.rpc(Tstatfs { fid: 1 });
    assert_eq!(answer, Rlerror { ecode: 71 }.into());
    rig.attach();
}

/// What is at work is bounded; the rest waits in the queue and is answered later.
#[test]
fn requests_at_work_are_bounded() {
    let tree = Item::folder([("slow", Item::slow("slow", Duration::from_millis(200)))]);
    let mut rig = Rig::new(Synth::new(tree));
    rig.attach();
    let wname = List(vec![b"slow".to_vec()]);
    assert_eq!(
        rig.rpc(Twalk {
            fid: 1,
            newfid: 2,
            wname
        })
        .name(),
        "Rwalk"
    );
    assert_eq!(rig.rpc(Tlopen { fid: 2, flags: 0 }).name(), "Rlopen");
    let read = Message::from(Tread {
        fid: 2,
        offset: 0,
        count: 4,
    })
    .encode(1);
    for _ in 0..60 {
        // Each asks for as much room as there can be.
        rig.offer(&read, MSIZE_MAX);
    }
    rig.kick();
    std::thread::sleep(Duration::from_millis(20));
    assert!(rig.context.live() <= 33, "{}", rig.context.live());
    for _ in 0..60 {
        assert_eq!(rig.next().1, 15);
    }
}

/// Random bytes in the queue, random chains: every buffer comes back or the device stops.
#[test]
fn random_requests() {
    for seed in 1..=4 {
        let mut random = Random::new(seed);
        let mut rig = Rig::new(Memory::new(1 << 20));
        rig.attach();
        for _ in 0..300 {
            let len = random.below(64) as usize;
            let mut message: Vec<u8> = (0..len).map(|_| random.next() as u8).collect();
            if len >= 11 && random.below(4) != 0 {
                message[..4].copy_from_slice(&(len as u32).to_le_bytes());
                message[4] = (random.below(64) * 2) as u8;
                message[7..11].copy_from_slice(&(random.below(4) as u32).to_le_bytes());
            }
            let slot = rig.offer(&message, random.below(200) as u32);
            if random.below(20) == 0 {
                let (addr, len) = (random.value(), random.value() as u32);
                let flags = random.below(8) as u16;
                rig.descriptor(2 * slot + 1, addr, len, flags, random.below(130));
            }
            rig.kick();
            if rig.wait() {
                rig.next();
            } else {
                rig.reset();
                rig.attach();
            }
        }
        rig.settle();
    }
}
