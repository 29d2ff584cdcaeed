//! The driver: it knows how things are done, and now and then does them otherwise.

use std::time::{Duration, Instant};

use include::{AccessSize, AddressSpace, Errno, MmioDevice, PhysAddr};

use super::{Kind, Machine, RAM, RAM_BYTES, ROM, WINDOW};
use crate::Mutator;

/// Registers (virtio 1.2, 4.2.2 and 4.2.4).
mod register {
    pub const FEATURES: u64 = 0x010;
    pub const FEATURES_SEL: u64 = 0x014;
    pub const DRIVER_FEATURES: u64 = 0x020;
    pub const DRIVER_FEATURES_SEL: u64 = 0x024;
    pub const PAGE_SIZE: u64 = 0x028;
    pub const QUEUE_SEL: u64 = 0x030;
    pub const QUEUE_NUM: u64 = 0x038;
    pub const QUEUE_ALIGN: u64 = 0x03c;
    pub const QUEUE_PFN: u64 = 0x040;
    pub const QUEUE_READY: u64 = 0x044;
    pub const NOTIFY: u64 = 0x050;
    pub const ACK: u64 = 0x064;
    pub const STATUS: u64 = 0x070;
    /// Low and high halves of three addresses.
    pub const ADDRESSES: [u64; 3] = [0x080, 0x090, 0x0a0];
}

const NEXT: u16 = 1;
const WRITE: u16 = 2;
const INDIRECT: u16 = 4;
const AVAIL: u16 = 1 << 7;
const USED: u16 = 1 << 15;
const PACKED: u64 = 1 << 34;
/// Queues that the driver uses.
const QUEUES: usize = 6;
/// Each queue has four pages for its rings; behind them are indirect tables and buffers.
const RINGS: u64 = RAM + 0x1000;
const RING_BYTES: u64 = 0x4000;
const TABLES: u64 = RAM + 0x4_0000;
const BUFFERS: u64 = RAM + 0x5_0000;
/// How long one step may take.
const STEP: Duration = Duration::from_secs(10);
/// How long an honest driver waits.
const PATIENCE: Duration = Duration::from_secs(60);

/// A piece of a request: where, how long, and whether the device writes it.
type Piece = (u64, u32, u16);

pub struct Driver<'a> {
    machine: &'a Machine,
    random: &'a mut Mutator,
    packed: bool,
    /// Descriptors of each queue.
    size: u16,
    /// Descriptors that were filled, for each queue.
    offered: [u16; QUEUES],
    buffer: u64,
}

impl<'a> Driver<'a> {
    pub fn new(machine: &'a Machine, random: &'a mut Mutator) -> Self {
        let mut driver = Self {
            machine,
            random,
            packed: false,
            // virtio-rng has no more.
            size: if machine.kind == Kind::Random { 8 } else { 16 },
            offered: [0; QUEUES],
            buffer: BUFFERS,
        };
        driver.begin(true);
        driver
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.random.below(count) == 0
    }

    /// A number below, from the harness's numbers.
    fn below(&mut self, end: u64) -> u64 {
        self.random.below(end as usize) as u64
    }

    fn read(&self, offset: u64) -> u64 {
        self.machine.slot.lock().read(offset, AccessSize::Word)
    }

    fn write(&self, offset: u64, value: u64) {
        let value = value & 0xffff_ffff;
        self.machine
            .slot
            .lock()
            .write(offset, AccessSize::Word, value);
    }

    /// Puts bytes into RAM; elsewhere nothing happens.
    fn put(&self, addr: u64, bytes: &[u8]) {
        let _ = self.machine.memory.write(PhysAddr(addr), bytes);
    }

    fn get_u16(&self, addr: u64) -> u16 {
        let mut bytes = [0; 2];
        let read = self.machine.memory.read(PhysAddr(addr), &mut bytes);
        read.expect("the rings are RAM");
        u16::from_le_bytes(bytes)
    }

    /// Somewhere that hurts.
    fn bad_address(&mut self) -> u64 {
        match self.random.below(9) {
            0 => RAM + self.below(RAM_BYTES),
            1 => RAM + RAM_BYTES - self.below(64),
            2 => RAM.wrapping_sub(self.below(64)),
            3 => ROM + self.below(4096),
            4 => WINDOW + self.below(0x200),
            5 => u64::MAX - self.below(64),
            6 => RINGS + self.below(RING_BYTES * QUEUES as u64),
            7 => self.random.edge_number(),
            _ => self.random.word(),
        }
    }

    fn bad_length(&mut self) -> u32 {
        match self.random.below(4) {
            0 => 0,
            1 => u32::MAX - self.below(32) as u32,
            2 => self.below(1 << 20) as u32,
            _ => self.random.word() as u32,
        }
    }

    /// Resets the device and sets it up.
    fn begin(&mut self, honest: bool) {
        self.offered = [0; QUEUES];
        let wants_packed = !self.machine.legacy && self.one_in(2);
        if self.machine.legacy {
            self.write(register::PAGE_SIZE, 4096);
        }
        self.write(register::STATUS, 0);
        self.write(register::STATUS, 3);
        let mut features = 0;
        for half in [0, 1] {
            self.write(register::FEATURES_SEL, half);
            features |= self.read(register::FEATURES) << (32 * half);
        }
        if !wants_packed {
            features &= !PACKED;
        }
        if !honest && self.one_in(3) {
            features ^= 1 << self.random.below(64);
        }
        self.packed = features & PACKED != 0;
        for half in [0, 1] {
            self.write(register::DRIVER_FEATURES_SEL, half);
            self.write(register::DRIVER_FEATURES, features >> (32 * half));
        }
        self.write(register::STATUS, 11);
        for queue in 0..QUEUES as u64 {
            let good = honest || !self.one_in(4);
            self.set_up(queue, good);
        }
        self.write(register::STATUS, 15);
    }

    fn rings(&self, queue: usize) -> [u64; 3] {
        let base = RINGS + RING_BYTES * queue as u64;
        let size = u64::from(self.size);
        match self.machine.legacy {
            true => [base, base + 16 * size, base + 4096],
            false => [base, base + 0x1000, base + 0x2000],
        }
    }

    fn set_up(&mut self, queue: u64, honest: bool) {
        let mut rings = self.rings(queue as usize);
        self.put(rings[0], &[0; RING_BYTES as usize]);
        let mut size = u64::from(self.size);
        if !honest {
            let part = self.random.below(3);
            rings[part] = self.bad_address();
            if self.one_in(4) {
                size = self.below(2000);
            }
        }
        self.write(register::QUEUE_SEL, queue);
        self.write(register::QUEUE_NUM, size);
        if self.machine.legacy {
            let align = if honest { 4096 } else { self.random.word() };
            self.write(register::QUEUE_ALIGN, align);
            self.write(register::QUEUE_PFN, rings[0] >> 12);
            return;
        }
        for (offset, addr) in register::ADDRESSES.into_iter().zip(rings) {
            self.write(offset, addr);
            self.write(offset + 4, addr >> 32);
        }
        self.write(register::QUEUE_READY, 1);
    }

    /// Does something.
    pub fn step(&mut self) {
        let start = Instant::now();
        match self.random.below(16) {
            0 => {
                let honest = self.one_in(2);
                self.begin(honest);
            }
            1 => self.poke_register(),
            2 => self.poke_rings(),
            3 | 4 => self.end_requests(),
            5 => self.machine.timers.pass(),
            6 => self.machine.console.type_in(b"a line\n"),
            7 => self.write(register::ACK, 3),
            8 => {
                let queue = self.below(QUEUES as u64 + 2);
                self.write(register::NOTIFY, queue);
            }
            _ => self.ask(),
        }
        let took = start.elapsed();
        assert!(took < STEP, "{:?}: {took:?}", self.machine.kind);
    }

    fn poke_register(&mut self) {
        let sizes = [AccessSize::Byte, AccessSize::Half, AccessSize::Word];
        let size = sizes[self.random.below(sizes.len())];
        let offset = self.below(0x200) & !(size.bytes() - 1);
        let value = self.bad_address() & size.mask();
        let mut slot = self.machine.slot.lock();
        let read = slot.read(offset, size);
        assert_eq!(read & !size.mask(), 0, "{offset:#x}: too wide");
        slot.write(offset, size, value);
    }

    fn poke_rings(&mut self) {
        for _ in 0..8 {
            let at = RINGS + self.below(RING_BYTES * QUEUES as u64);
            let value = self.bad_address().to_le_bytes();
            let count = 1 + self.random.below(8);
            self.put(at, &value[..count]);
        }
    }

    fn end_requests(&mut self) {
        for _ in 0..self.random.below(40) {
            let failed = self.one_in(8);
            let result = if failed { Err(Errno::ENOSPC) } else { Ok(()) };
            let random = &mut *self.random;
            self.machine
                .disk
                .end_one(|count| random.below(count), result);
        }
    }

    /// Makes a request available, mostly a good one, and mostly says so.
    fn ask(&mut self) {
        let queue = match self.machine.kind {
            Kind::Block => self.random.below(2),
            Kind::Console => self.random.below(QUEUES),
            Kind::Share | Kind::Random => 0,
        };
        let request = self.request(queue);
        let mut pieces = self.pieces(&request);
        for _ in 0..self.random.below(3) {
            self.spoil(&mut pieces);
        }
        self.offer(queue, &pieces);
        if !self.one_in(4) {
            self.write(register::NOTIFY, queue as u64);
        }
    }

    /// What the device reads.
    fn request(&mut self, queue: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self.machine.kind {
            Kind::Block => {
                let kinds = [0, 1, 1, 4, 8, 11, 13, self.random.word() as u32];
                let kind = kinds[self.random.below(kinds.len())];
                bytes.extend(kind.to_le_bytes());
                bytes.extend([0; 4]);
                let sector = match self.one_in(8) {
                    true => self.random.edge_number(),
                    false => self.below(520),
                };
                bytes.extend(sector.to_le_bytes());
                let data = match kind {
                    1 => 512 * self.random.below(9),
                    11 | 13 => 16,
                    _ => 0,
                };
                bytes.extend((0..data).map(|_| self.random.below(4) as u8));
            }
            Kind::Share => {
                let len = 7 + self.random.below(48);
                bytes.extend((0..len).map(|_| self.random.below(6) as u8));
                bytes[..4].copy_from_slice(&(len as u32).to_le_bytes());
                bytes[4] = (self.random.below(64) * 2) as u8;
                if self.one_in(3) {
                    bytes = VERSION.to_vec();
                }
            }
            Kind::Console if queue == 3 => {
                let words = [(); 4].map(|()| self.random.below(8) as u16);
                bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
            }
            Kind::Console if queue % 2 == 1 => bytes.resize(self.random.below(5000), b'x'),
            Kind::Console | Kind::Random => (),
        }
        bytes
    }

    /// The request in pieces, and room for an answer.
    fn pieces(&mut self, request: &[u8]) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let at = self.room(request.len());
        self.put(at, request);
        let mut done = 0;
        while done < request.len() {
            let count = match self.one_in(3) {
                true => 1 + self.random.below(request.len() - done),
                false => request.len() - done,
            };
            pieces.push((at + done as u64, count as u32, 0));
            done += count;
        }
        let answers = match self.machine.kind {
            Kind::Block => vec![512 * self.random.below(5), 1],
            Kind::Share => vec![20 + self.random.below(9000)],
            _ => vec![self.random.below(5000)],
        };
        for len in answers {
            let at = self.room(len);
            pieces.push((at, len as u32, WRITE));
        }
        pieces
    }

    fn room(&mut self, len: usize) -> u64 {
        if self.buffer + len as u64 > RAM + RAM_BYTES {
            self.buffer = BUFFERS;
        }
        let at = self.buffer;
        self.buffer += (len as u64).next_multiple_of(16);
        at
    }

    fn spoil(&mut self, pieces: &mut Vec<Piece>) {
        let which = self.random.below(pieces.len());
        let (addr, length) = (self.bad_address(), self.bad_length());
        match self.random.below(6) {
            0 => pieces[which].0 = addr,
            1 => pieces[which].1 = length,
            2 => pieces[which].2 ^= 1 << self.random.below(16),
            3 => pieces.truncate(which.max(1)),
            4 => pieces.extend_from_within(..),
            _ => pieces.swap(0, which),
        }
    }

    /// Writes a chain, in the ring or in an indirect table, and makes it available.
    fn offer(&mut self, queue: usize, pieces: &[Piece]) {
        let spoilt = self.one_in(12);
        if self.one_in(3) {
            let bytes = (16 * pieces.len()) as u32;
            let bytes = if spoilt { self.bad_length() } else { bytes };
            for (index, piece) in pieces.iter().enumerate() {
                let last = index + 1 == pieces.len();
                let next = if last { 0 } else { index as u16 + 1 };
                let flags = piece.2 | if last || self.packed { 0 } else { NEXT };
                self.descriptor(TABLES + 16 * index as u64, piece, [flags, next]);
            }
            return self.chain(queue, &[(TABLES, bytes, INDIRECT)], false);
        }
        self.chain(queue, &pieces[..pieces.len().min(self.size.into())], spoilt);
    }

    /// A descriptor whose last two fields are `tail`: flags and next, or id and flags.
    fn descriptor(&self, at: u64, piece: &Piece, tail: [u16; 2]) {
        let tail = if self.packed { [0, tail[0]] } else { tail };
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&piece.0.to_le_bytes());
        bytes[8..12].copy_from_slice(&piece.1.to_le_bytes());
        bytes[12..14].copy_from_slice(&tail[0].to_le_bytes());
        bytes[14..].copy_from_slice(&tail[1].to_le_bytes());
        self.put(at, &bytes);
    }

    fn chain(&mut self, queue: usize, pieces: &[Piece], spoilt: bool) {
        let [table, available, _] = self.rings(queue);
        let offered = self.offered[queue];
        for (index, piece) in (0u16..).zip(pieces) {
            let last = usize::from(index) + 1 == pieces.len();
            let place = offered.wrapping_add(index);
            let mut flags = piece.2 | if last && !spoilt { 0 } else { NEXT };
            if self.packed {
                // The wrap counter begins with 1.
                let wrapped = place / self.size % 2 == 1;
                flags |= if wrapped { USED } else { AVAIL };
            }
            let next = if last && spoilt {
                0
            } else {
                place.wrapping_add(1) % self.size
            };
            self.descriptor(
                table + 16 * u64::from(place % self.size),
                piece,
                [flags, next],
            );
        }
        if self.packed {
            self.offered[queue] = offered.wrapping_add(pieces.len() as u16);
            return;
        }
        // Only as many chains as there are descriptors: heads are where the chain begins.
        let head = offered % self.size;
        let head = if spoilt && self.one_in(3) {
            self.random.word() as u16
        } else {
            head
        };
        let entries = self.get_u16_or_zero(available + 2);
        let slot = u64::from(entries % self.size);
        self.put(available + 4 + 2 * slot, &head.to_le_bytes());
        self.put(available + 2, &entries.wrapping_add(1).to_le_bytes());
        self.offered[queue] = offered.wrapping_add(pieces.len() as u16);
    }

    fn get_u16_or_zero(&self, addr: u64) -> u16 {
        let mut bytes = [0; 2];
        let _ = self.machine.memory.read(PhysAddr(addr), &mut bytes);
        u16::from_le_bytes(bytes)
    }

    /// After all that, a driver without malice.
    pub fn serve_honestly(&mut self) {
        while self.machine.disk.end_one(|_| 0, Ok(())) {}
        self.begin(true);
        let (queue, request): (usize, &[u8]) = match self.machine.kind {
            Kind::Block => (0, &[0; 16]),
            Kind::Share => (0, VERSION),
            Kind::Console => (1, b"hello\n"),
            Kind::Random => (0, b""),
        };
        let at = self.room(request.len());
        self.put(at, request);
        let mut pieces = vec![(at, request.len() as u32, 0)];
        pieces.retain(|piece| piece.1 > 0);
        let answer = self.room(513);
        pieces.push((answer, 513, WRITE));
        self.chain(queue, &pieces, false);
        self.write(register::NOTIFY, queue as u64);
        let start = Instant::now();
        while !self.is_answered(queue) {
            let kind = self.machine.kind;
            assert!(
                start.elapsed() < PATIENCE,
                "{kind:?} serves nobody any more"
            );
            self.machine.disk.end_one(|_| 0, Ok(()));
            self.machine.timers.pass();
            std::thread::yield_now();
        }
    }

    fn is_answered(&self, queue: usize) -> bool {
        let [table, _, used] = self.rings(queue);
        match self.packed {
            true => self.get_u16(table + 14) & (AVAIL | USED) == AVAIL | USED,
            false => self.get_u16(used + 2) == 1,
        }
    }
}

/// Tversion of 9P2000.L.
const VERSION: &[u8] = b"\x15\0\0\0\x64\xff\xff\0\x20\0\0\x08\x009P2000.L";
