//! A serial device behind a slot, driven from the side of the guest, and typed at from the host's.

use super::spec::input_queue;
use super::*;
use crate::core::testing::{FakeBackend, FakeMemory, ManualTimers, RAM_BASE, Random, RecordingIrq};
use crate::virtio::virtio_mmio::{VirtioMmio, VirtioMmioConfig};
use include::{AccessSize, MmioDevice};

const SIZE: u64 = 8;
/// Each queue has its rings here, then come the buffers.
const RINGS: u64 = RAM_BASE + 0x1_0000;
const RING_BYTES: u64 = 0x1000;
const BUFFERS: u64 = RAM_BASE + 0x8_0000;
const BUFFER_BYTES: u64 = 0x1000;
const WRITE: u16 = 2;

struct Rig {
    memory: Arc<FakeMemory>,
    slot: Arc<Mutex<VirtioMmio>>,
    timers: Arc<ManualTimers>,
    console: Arc<FakeBackend>,
    line: Arc<FakeBackend>,
    offered: [u16; 16],
    taken: [u16; 16],
}

fn config(is_console: bool, name: Option<&str>, backend: &Arc<FakeBackend>) -> PortConfig {
    PortConfig {
        is_console,
        nr: None,
        name: name.map(str::to_string),
        backend: Some(backend.clone()),
    }
}

impl Rig {
    /// A console at port 0, a line at port 1 and one without a back end at port 3.
    fn new(features: u64) -> Self {
        let (memory, irq) = (FakeMemory::new(0x20_0000), RecordingIrq::new());
        let (timers, console, line) = (ManualTimers::new(), FakeBackend::new(), FakeBackend::new());
        let slot = VirtioMmio::new(
            VirtioMmioConfig {
                force_legacy: false,
            },
            memory.clone(),
            irq.line(0),
        );
        let mut device = VirtioSerial::new(5, timers.clone()).expect("5 ports");
        device.add_port(config(false, Some("line"), &line)).unwrap();
        device.add_port(config(true, None, &console)).unwrap();
        let nowhere = PortConfig {
            nr: Some(3),
            backend: None,
            ..config(false, None, &line)
        };
        device.add_port(nowhere).unwrap();
        VirtioBus::plug(&slot.lock().bus(), device).expect("an empty slot");
        let mut rig = Self {
            memory,
            slot,
            timers,
            console,
            line,
            offered: [0; 16],
            taken: [0; 16],
        };
        rig.start(features);
        rig
    }

    fn write(&self, offset: u64, value: u64) {
        self.slot.lock().write(offset, AccessSize::Word, value);
    }

    fn read(&self, offset: u64) -> u64 {
        self.slot.lock().read(offset, AccessSize::Word)
    }

    fn ring(queue: u16) -> u64 {
        RINGS + RING_BYTES * u64::from(queue)
    }

    /// From reset to ready, as a driver of version 1.
    fn start(&mut self, features: u64) {
        (self.offered, self.taken) = ([0; 16], [0; 16]);
        self.memory.put(RINGS, &[0; 0x1_0000]);
        self.write(0x070, 0);
        self.write(0x024, 0);
        self.write(0x020, features);
        self.write(0x024, 1);
        self.write(0x020, 1);
        self.write(0x070, 11);
        assert_eq!(self.read(0x070), 11, "features were accepted");
        for queue in 0..12 {
            let ring = Self::ring(queue);
            self.write(0x030, queue.into());
            self.write(0x038, SIZE);
            for (register, part) in [(0x080, 0), (0x090, 0x400), (0x0a0, 0x800)] {
                self.write(register, ring + part);
            }
            self.write(0x044, 1);
        }
        self.write(0x070, 15);
    }

    fn buffer(queue: u16, index: u16) -> u64 {
        BUFFERS + BUFFER_BYTES * (SIZE * u64::from(queue) + u64::from(index))
    }

    /// Offers buffer `index` of a queue, with `len` bytes of it.
    fn offer(&mut self, queue: u16, index: u16, len: u32, flags: u16) {
        let at = Self::ring(queue) + 16 * u64::from(index);
        let addr = Self::buffer(queue, index);
        self.memory.put(at, &addr.to_le_bytes());
        self.memory.put(at + 8, &len.to_le_bytes());
        self.memory.put(at + 12, &flags.to_le_bytes());
        self.offer_chain(queue, index);
    }

    fn offer_chain(&mut self, queue: u16, head: u16) {
        let (available, offered) = (Self::ring(queue) + 0x400, &mut self.offered[queue as usize]);
        let slot = u64::from(*offered) % SIZE;
        self.memory
            .put(available + 4 + 2 * slot, &head.to_le_bytes());
        *offered += 1;
        self.memory.put(available + 2, &offered.to_le_bytes());
        self.write(0x050, queue.into());
    }

    /// The guest sends bytes through a queue.
    fn send(&mut self, queue: u16, bytes: &[u8]) {
        self.memory.put(Self::buffer(queue, 0), bytes);
        self.offer(queue, 0, bytes.len() as u32, 0);
    }

    fn control(&mut self, id: u32, event: u16, value: u16) {
        let message = Control { id, event, value }.message(&[]);
        self.send(CONTROL_FROM_GUEST, &message);
    }

    /// What has come back through a queue since the last call.
    fn receive(&mut self, queue: u16) -> Vec<Vec<u8>> {
        let used = Self::ring(queue) + 0x800;
        let end = u16::from_le_bytes(self.memory.get(used + 2));
        let mut all = Vec::new();
        while self.taken[queue as usize] != end {
            let slot = u64::from(self.taken[queue as usize]) % SIZE;
            let [index, _, _, _, low, high, _, _] = self.memory.get(used + 4 + 8 * slot);
            let len = u16::from_le_bytes([low, high]);
            let addr = Self::buffer(queue, index.into());
            let bytes = (0..u64::from(len)).map(|at| self.memory.get::<1>(addr + at)[0]);
            all.push(bytes.collect());
            self.taken[queue as usize] += 1;
        }
        all
    }

    /// Control messages, as (port, event, value).
    fn messages(&mut self) -> Vec<(u32, u16, u16)> {
        let all = self.receive(CONTROL_TO_GUEST);
        let head = |message: &Vec<u8>| message[..8].try_into().expect("a whole head");
        let all = all.iter().map(|message| Control::parse(head(message)));
        all.map(|it| (it.id, it.event, it.value)).collect()
    }

    fn offer_input(&mut self, queue: u16, count: u16, len: u32) {
        for index in 0..count {
            self.offer(queue, index, len, WRITE);
        }
    }
}

#[test]
fn what_the_device_shows() {
    let rig = Rig::new(feature::MULTIPORT);
    assert_eq!(rig.read(0x008), 3);
    assert_eq!((rig.read(0x100), rig.read(0x104)), (0, 5));
    rig.write(0x014, 0);
    assert_eq!(rig.read(0x010) & 7, 7);
    let sizes = [0, 1, 2, 3, 4, 11, 12].map(|queue| {
        rig.write(0x030, queue);
        rig.read(0x034)
    });
    assert_eq!(sizes, [128, 128, 32, 32, 128, 128, 0]);
}

#[test]
fn ports_are_introduced() {
    let mut rig = Rig::new(feature::MULTIPORT);
    rig.offer_input(CONTROL_TO_GUEST, 7, 64);
    rig.control(u32::MAX, event::DEVICE_READY, 1);
    let add = event::DEVICE_ADD;
    assert_eq!(rig.messages(), [(1, add, 1), (0, add, 1), (3, add, 1)]);
    rig.control(0, event::PORT_READY, 1);
    let expected = [(0, event::CONSOLE_PORT, 1), (0, event::PORT_OPEN, 1)];
    assert_eq!(rig.messages(), expected);
    rig.control(1, event::PORT_READY, 1);
    let all = rig.receive(CONTROL_TO_GUEST);
    assert_eq!(all[0], b"\x01\0\0\0\x07\0\x01\0line\0");
    assert_eq!(all[1], [1, 0, 0, 0, 6, 0, 1, 0]);
    // Without a back end nothing is open at the host's end; and no driver, no answer.
    rig.control(3, event::PORT_READY, 1);
    rig.control(1, event::PORT_READY, 0);
    rig.control(9, event::PORT_READY, 1);
    rig.control(u32::MAX, event::DEVICE_READY, 0);
    rig.send(CONTROL_FROM_GUEST, &[0; 7]);
    assert_eq!(rig.messages(), []);
    assert_eq!(rig.receive(CONTROL_FROM_GUEST).len(), 8);
}

#[test]
fn messages_wait_for_buffers_but_not_without_bound() {
    let mut rig = Rig::new(feature::MULTIPORT);
    for _ in 0..MESSAGES_MAX {
        rig.control(1, event::PORT_READY, 1);
    }
    let mut count = 0;
    for index in 0..2 * MESSAGES_MAX {
        rig.offer(CONTROL_TO_GUEST, index as u16 % SIZE as u16, 64, WRITE);
        count += rig.receive(CONTROL_TO_GUEST).len();
    }
    assert_eq!(count, MESSAGES_MAX);
}

#[test]
fn output_goes_to_the_back_end() {
    let mut rig = Rig::new(feature::MULTIPORT);
    rig.send(1, b"console");
    rig.send(5, b"line");
    for nowhere in [7, 9, 11] {
        rig.send(nowhere, b"lost");
        assert_eq!(rig.receive(nowhere), [[]]);
    }
    assert_eq!(*rig.console.output.lock(), b"console");
    assert_eq!(*rig.line.output.lock(), b"line");
    assert_eq!(rig.receive(5), [[]]);
}

#[test]
fn input_waits_until_the_port_is_open_and_has_room() {
    let mut rig = Rig::new(feature::MULTIPORT);
    let queue = input_queue(1);
    rig.offer_input(queue, 2, 3);
    assert_eq!(rig.line.type_in(b"early"), 0);
    assert_eq!(
        rig.line.accepts.load(std::sync::atomic::Ordering::Relaxed),
        0
    );
    rig.control(1, event::PORT_OPEN, 1);
    assert_eq!(
        rig.line.accepts.load(std::sync::atomic::Ordering::Relaxed),
        1
    );
    assert_eq!(rig.line.type_in(b"abcd"), 4);
    assert_eq!(rig.receive(queue), [&b"abc"[..], b"d"]);
    // No buffers: it fills up, and lets more in when most of that is read.
    assert_eq!(rig.line.type_in(&[7; 5000]), 4096);
    assert_eq!(rig.line.type_in(b"more"), 0);
    rig.offer(queue, 0, 2047, WRITE);
    assert_eq!(
        rig.line.accepts.load(std::sync::atomic::Ordering::Relaxed),
        1
    );
    rig.offer(queue, 1, 1, WRITE);
    assert_eq!(
        rig.line.accepts.load(std::sync::atomic::Ordering::Relaxed),
        2
    );
    assert_eq!(rig.receive(queue), [vec![7; 2047], vec![7]]);
    // Closed: what was not read is lost.
    rig.control(1, event::PORT_OPEN, 0);
    rig.offer(queue, 2, 100, WRITE);
    assert_eq!(rig.line.type_in(b"x"), 0);
    rig.control(1, event::PORT_OPEN, 1);
    assert_eq!(rig.line.type_in(b"new"), 3);
    assert_eq!(rig.receive(queue), [b"new"]);
}

#[test]
fn a_driver_without_multiport_has_port_0() {
    let mut rig = Rig::new(0);
    assert_eq!(rig.line.type_in(b"x"), 0);
    assert_eq!(rig.console.type_in(b"hello"), 5);
    rig.offer(0, 0, 8, WRITE);
    assert_eq!(rig.receive(0), [b"hello"]);
    rig.write(0x070, 0);
    assert_eq!(rig.console.type_in(b"x"), 0);
}

#[test]
fn much_output_is_taken_in_portions() {
    let mut rig = Rig::new(feature::MULTIPORT);
    // One chain of 8 descriptors, each with the same 64 KiB.
    let ring = Rig::ring(1);
    for index in 0..8u16 {
        let at = ring + 16 * u64::from(index);
        self::put_descriptor(&rig, at, BUFFERS, 0x1_0000, u16::from(index < 7), index + 1);
    }
    rig.offer_chain(1, 0);
    assert_eq!(rig.console.output.lock().len(), 0x4_0000);
    assert_eq!(rig.receive(1).len(), 0);
    rig.timers.advance(1);
    assert_eq!(rig.console.output.lock().len(), 0x8_0000);
    rig.timers.advance(1);
    assert_eq!(rig.receive(1).len(), 1);
    // A reset in between ends it.
    rig.start(feature::MULTIPORT);
    for index in 0..8u16 {
        let at = ring + 16 * u64::from(index);
        self::put_descriptor(&rig, at, BUFFERS, 0x1_0000, u16::from(index < 7), index + 1);
    }
    rig.offer_chain(1, 0);
    rig.start(feature::MULTIPORT);
    rig.timers.advance(1);
    assert_eq!(rig.console.output.lock().len(), 0xc_0000);
}

fn put_descriptor(rig: &Rig, at: u64, addr: u64, len: u32, flags: u16, next: u16) {
    rig.memory.put(at, &addr.to_le_bytes());
    rig.memory.put(at + 8, &len.to_le_bytes());
    rig.memory.put(at + 12, &flags.to_le_bytes());
    rig.memory.put(at + 14, &next.to_le_bytes());
}

#[test]
fn emergency_output_needs_no_queue() {
    let rig = Rig::new(feature::MULTIPORT);
    rig.write(0x070, 0);
    rig.write(0x108, u64::from(b'!'));
    rig.write(0x104, 7);
    assert_eq!(*rig.console.output.lock(), b"!");
    assert_eq!((rig.read(0x104), rig.read(0x108)), (5, 0));
}

#[test]
fn the_size_of_a_window_reaches_the_guest() {
    let mut rig = Rig::new(feature::MULTIPORT | feature::SIZE);
    let window = rig.console.frontend.lock().clone().unwrap();
    window.resized(80, 25);
    assert_eq!(rig.read(0x100), 80 | 25 << 16);
    rig.offer_input(CONTROL_TO_GUEST, 7, 64);
    rig.control(0, event::PORT_READY, 1);
    assert_eq!(rig.messages().last(), Some(&(0, event::RESIZE, 0)));
    window.resized(132, 50);
    window.resized(132, 50);
    let all = rig.receive(CONTROL_TO_GUEST);
    assert_eq!(all, [[0, 0, 0, 0, 5, 0, 0, 0, 132, 0, 50, 0]]);
}

#[test]
fn ports_that_cannot_be() {
    let backend = FakeBackend::new();
    let mut device = VirtioSerial::new(3, ManualTimers::new()).unwrap();
    let with_nr = |nr, is_console| PortConfig {
        nr: Some(nr),
        ..config(is_console, None, &backend)
    };
    let mut check = |config: PortConfig, expected: &str| {
        let sentence = device.add_port(config).err();
        assert_eq!(sentence.as_deref().unwrap_or(""), expected);
    };
    check(with_nr(0, false), "port 0 is for virtconsole");
    check(with_nr(3, true), "nr=3 is not below max_ports=3");
    check(config(true, Some("a"), &backend), "");
    check(
        config(false, Some("a"), &backend),
        "there is a port named 'a' already",
    );
    check(with_nr(0, true), "there is a port 0 already");
    check(config(true, None, &backend), "");
    check(config(false, None, &backend), "");
    check(config(false, None, &backend), "all 3 ports are taken");
    for wrong in [0, 512, u32::MAX] {
        assert!(VirtioSerial::new(wrong, ManualTimers::new()).is_err());
    }
}

#[test]
fn random_guests_do_no_harm() {
    for seed in 1..40 {
        let mut rig = Rig::new(feature::MULTIPORT * (seed & 1));
        let mut random = Random::new(seed);
        for _ in 0..400 {
            let (queue, index) = (random.below(13) as u16, random.below(SIZE) as u16);
            match random.below(8) {
                0 => rig.timers.advance(1),
                1 => drop(rig.console.type_in(b"console")),
                2 => drop(rig.line.type_in(&[1; 3000])),
                3 => {
                    let event = random.below(9) as u16;
                    rig.control(random.below(6) as u32, event, random.below(2) as u16);
                }
                4 => rig.memory.put(
                    Rig::ring(queue) + 16 * random.below(SIZE),
                    &random.value().to_le_bytes(),
                ),
                5 if random.below(20) == 0 => rig.start(feature::MULTIPORT),
                _ => {
                    let flags = random.below(4) as u16;
                    rig.offer(queue, index, random.below(5000) as u32, flags);
                }
            }
        }
    }
}
