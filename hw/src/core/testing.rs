//! A machine made of fakes, for tests that poke registers.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use include::{
    AccessSize, AddressSpace, BusError, CharBackend, CharFrontend, Clock, ClockType, IrqLine,
    IrqSink, MmioDevice, PhysAddr, RamPage, Timer, TimerCallback, TimerService,
};
use parking_lot::Mutex;

/// Where [`FakeMemory`] begins.
pub const RAM_BASE: u64 = 0x8000_0000;

/// RAM from [`RAM_BASE`] on, and nothing else.
pub struct FakeMemory(Mutex<Vec<u8>>);

impl FakeMemory {
    pub fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(vec![0; bytes])))
    }

    pub fn get<const N: usize>(&self, addr: u64) -> [u8; N] {
        let mut bytes = [0; N];
        self.read(PhysAddr(addr), &mut bytes)
            .expect("the test reads RAM");
        bytes
    }

    pub fn put(&self, addr: u64, bytes: &[u8]) {
        self.write(PhysAddr(addr), bytes)
            .expect("the test writes RAM");
    }
}

fn ram_range(addr: PhysAddr, len: usize, ram: usize) -> Result<std::ops::Range<usize>, BusError> {
    let start = addr.0.checked_sub(RAM_BASE).ok_or(BusError)?;
    let end = start.checked_add(len as u64).ok_or(BusError)?;
    if end > ram as u64 {
        Err(BusError)
    } else {
        Ok(start as usize..end as usize)
    }
}

impl AddressSpace for FakeMemory {
    fn ram_page(&self, _addr: PhysAddr) -> Option<RamPage> {
        None
    }
    fn ram_pages(&self) -> u32 {
        0
    }
    fn io_read(&self, _addr: PhysAddr, _size: AccessSize) -> Result<u64, BusError> {
        Err(BusError)
    }
    fn io_write(&self, _addr: PhysAddr, _size: AccessSize, _value: u64) -> Result<(), BusError> {
        Err(BusError)
    }
    fn read(&self, addr: PhysAddr, buf: &mut [u8]) -> Result<(), BusError> {
        let ram = self.0.lock();
        buf.copy_from_slice(&ram[ram_range(addr, buf.len(), ram.len())?]);
        Ok(())
    }
    fn write(&self, addr: PhysAddr, data: &[u8]) -> Result<(), BusError> {
        let mut ram = self.0.lock();
        let range = ram_range(addr, data.len(), ram.len())?;
        ram[range].copy_from_slice(data);
        Ok(())
    }
}

struct FakeTimer {
    deadline_ns: Mutex<Option<i64>>,
    callback: TimerCallback,
    armed: Arc<AtomicU64>,
}

impl Timer for FakeTimer {
    fn modify_ns(&self, deadline_ns: i64) {
        self.armed.fetch_add(1, Ordering::Relaxed);
        *self.deadline_ns.lock() = Some(deadline_ns);
    }
    fn cancel(&self) {
        *self.deadline_ns.lock() = None;
    }
}

/// Clocks that the test moves by hand; all three show the same time.
#[derive(Default)]
pub struct ManualTimers {
    now_ns: AtomicI64,
    timers: Mutex<Vec<Arc<FakeTimer>>>,
    armed: Arc<AtomicU64>,
}

impl ManualTimers {
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Moves time on and fires what is due, in order of deadline.
    pub fn advance(&self, ns: i64) {
        let end = self.now_ns.load(Ordering::Relaxed).saturating_add(ns);
        while let Some((timer, deadline)) = self.next_due(end) {
            self.now_ns.fetch_max(deadline, Ordering::Relaxed);
            (timer.callback)();
        }
        self.now_ns.store(end, Ordering::Relaxed);
    }

    fn next_due(&self, end: i64) -> Option<(Arc<FakeTimer>, i64)> {
        let timers = self.timers.lock();
        let due = timers
            .iter()
            .filter_map(|t| (*t.deadline_ns.lock()).map(|d| (t, d)));
        let (timer, deadline) = due.filter(|(_, d)| *d <= end).min_by_key(|(_, d)| *d)?;
        *timer.deadline_ns.lock() = None;
        Some((timer.clone(), deadline))
    }

    /// How often any timer was armed.
    pub fn times_armed(&self) -> u64 {
        self.armed.load(Ordering::Relaxed)
    }
}

impl Clock for ManualTimers {
    fn now_ns(&self, _clock: ClockType) -> i64 {
        self.now_ns.load(Ordering::Relaxed)
    }
}

impl TimerService for ManualTimers {
    fn new_timer(&self, _clock: ClockType, callback: TimerCallback) -> Arc<dyn Timer> {
        let armed = self.armed.clone();
        let timer = Arc::new(FakeTimer {
            deadline_ns: Mutex::new(None),
            callback,
            armed,
        });
        self.timers.lock().push(timer.clone());
        timer
    }
}

/// Remembers the level of up to 64 wires.
#[derive(Default)]
pub struct RecordingIrq {
    levels: AtomicU64,
}

impl RecordingIrq {
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }
    pub fn line(self: &Arc<Self>, number: u32) -> IrqLine {
        IrqLine::new(self.clone(), number)
    }
    pub fn lines(self: &Arc<Self>, count: u32) -> Vec<IrqLine> {
        (0..count).map(|number| self.line(number)).collect()
    }
    pub fn level(&self, number: u32) -> bool {
        self.levels.load(Ordering::Relaxed) >> number & 1 != 0
    }
    /// All levels, wire 0 in bit 0.
    pub fn levels(&self) -> u64 {
        self.levels.load(Ordering::Relaxed)
    }
}

impl IrqSink for RecordingIrq {
    fn set_irq(&self, number: u32, level: bool) {
        let bit = 1 << number;
        if !level {
            self.levels.fetch_and(!bit, Ordering::Relaxed);
        } else {
            self.levels.fetch_or(bit, Ordering::Relaxed);
        }
    }
}

/// A terminal without a screen.
#[derive(Default)]
pub struct FakeBackend {
    pub output: Mutex<Vec<u8>>,
    pub frontend: Mutex<Option<Arc<dyn CharFrontend>>>,
    pub accepts: AtomicU64,
}

impl FakeBackend {
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Types as much as the device takes, and says how much that was.
    pub fn type_in(&self, bytes: &[u8]) -> usize {
        let frontend = self.frontend.lock().clone().expect("a front end is there");
        let room = frontend.can_receive().min(bytes.len());
        frontend.receive(&bytes[..room]);
        room
    }
}

impl CharBackend for FakeBackend {
    fn write(&self, bytes: &[u8]) {
        self.output.lock().extend_from_slice(bytes);
    }
    fn set_frontend(&self, frontend: Arc<dyn CharFrontend>) {
        *self.frontend.lock() = Some(frontend);
    }
    fn accept_input(&self) {
        self.accepts.fetch_add(1, Ordering::Relaxed);
    }
}

/// A small generator (xorshift64*), so that a failing seed can be run again.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed | 1)
    }
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 32) % end
    }
    /// A value as guests write them: small, a few bits, near an end of the range, or anything.
    pub fn value(&mut self) -> u64 {
        match self.below(6) {
            0 => self.below(4),
            1 => 1 << self.below(64),
            2 => u64::MAX - self.below(4),
            3 => RAM_BASE + self.below(0x1_0000),
            4 => self.below(0x1_0000),
            _ => self.next(),
        }
    }
}

/// Random reads and writes of all widths that the window takes; must neither panic nor hang.
pub fn fuzz(device: &Arc<Mutex<dyn MmioDevice>>, window: u64, seed: u64, timers: &ManualTimers) {
    let mut random = Random::new(seed);
    let (min, max) = {
        let device = device.lock();
        (device.min_access(), device.max_access())
    };
    for step in 0..20_000 {
        let size = AccessSize::from_bytes(1 << random.below(4)).expect("a power of two");
        if size < min || size > max || size.bytes() > window {
            continue;
        }
        let aligned = random.below(16) != 0;
        let offset = random.below(window - size.bytes() + 1);
        let offset = if aligned {
            offset & !(size.bytes() - 1)
        } else {
            offset
        };
        if random.below(3) == 0 {
            let value = device.lock().read(offset, size);
            assert_eq!(value & !size.mask(), 0, "seed {seed} step {step}: too wide");
        } else {
            let value = random.value();
            device.lock().write(offset, size, value & size.mask());
        }
        if random.below(64) == 0 {
            timers.advance(random.below(10_000_000) as i64);
        }
        if random.below(4096) == 0 {
            device.lock().reset();
        }
    }
}
