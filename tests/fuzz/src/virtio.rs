//! Drivers that mean harm: whatever a guest puts into registers, rings and requests of a virtio
//! device, nobody panics, hangs or keeps more at work than the queues hold, and ROM stays as it is.
//! After a reset an honest driver is served.
//!
//! The memory is the emulator's own, so rings and buffers lie in RAM, across its ends, in ROM, in
//! the device's own window, or nowhere. Requests of the disk end when the harness says, so resets
//! come in their middle.

mod disk;
mod driver;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use fsdev::memory::Memory;
use hw::block::virtio_blk::{BlkConfig, VirtioBlk};
use hw::char::virtio_console::{PortConfig, VirtioSerial};
use hw::ninep::virtio::Virtio9p;
use hw::virtio::virtio_bus::{COMMON_FEATURES, VirtioBus, VirtioDevice};
use hw::virtio::virtio_mmio::{VIRTIO_MMIO_SIZE, VirtioMmio, VirtioMmioConfig};
use hw::virtio::virtio_rng::{RngConfig, VirtioRng};
use include::{
    CharBackend, CharFrontend, Clock, ClockType, IrqLine, PhysAddr, Timer, TimerCallback,
    TimerService,
};
use parking_lot::Mutex;
use tinamou::memory::{MemoryBuilder, PhysMemory};
use util::coroutine::AioContext;
use util::mmap_alloc::RamBlock;

use crate::Mutator;
use disk::Disk;
use driver::Driver;

pub const RAM: u64 = 0x8000_0000;
pub const RAM_BYTES: u64 = 1 << 20;
pub const ROM: u64 = 0x1000;
/// Where the device's registers are.
pub const WINDOW: u64 = 0x1000_1000;
/// What a driver does before the last reset.
const STEPS: usize = 60;

/// What is attacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Block,
    Share,
    Console,
    Random,
}

/// A machine of one slot.
pub struct Machine {
    pub kind: Kind,
    pub legacy: bool,
    pub memory: Arc<PhysMemory>,
    pub slot: Arc<Mutex<VirtioMmio>>,
    pub disk: Arc<Disk>,
    pub timers: Arc<Timers>,
    pub console: Arc<Console>,
    pub context: Arc<AioContext>,
}

impl Machine {
    fn new(kind: Kind, legacy: bool, context: Arc<AioContext>) -> Self {
        let memory = Arc::new(PhysMemory::default());
        let config = VirtioMmioConfig {
            force_legacy: legacy,
        };
        let slot = VirtioMmio::new(config, memory.clone(), IrqLine::unconnected());
        let machine = Self {
            kind,
            legacy,
            memory,
            slot,
            disk: Arc::default(),
            timers: Arc::default(),
            console: Arc::default(),
            context,
        };
        machine.seal();
        let common = COMMON_FEATURES.iter().fold(0, |all, (_, bit, _)| all | bit);
        let plugged = VirtioBus::plug_with(&machine.slot.lock().bus(), machine.device(), common);
        plugged.expect("an empty slot");
        machine
    }

    fn seal(&self) {
        let ram = RamBlock::alloc(RAM_BYTES).expect("a megabyte");
        let mut builder = MemoryBuilder::default();
        let built = builder
            .ram("ram", PhysAddr(RAM), ram)
            .and_then(|()| builder.rom("rom", PhysAddr(ROM), 4096))
            .and_then(|()| {
                let slot = self.slot.clone();
                builder.device("virtio", PhysAddr(WINDOW), VIRTIO_MMIO_SIZE, slot)
            })
            .and_then(|()| self.memory.seal(builder));
        built.expect("a good map");
        self.memory.set_ram_observer(Box::new(|first, count| {
            let end = first.checked_add(count).expect("pages of RAM");
            assert!(u64::from(end) <= (RAM_BYTES + 4096) >> 12, "no such page");
        }));
    }

    fn device(&self) -> Box<dyn VirtioDevice> {
        match self.kind {
            Kind::Block => {
                let config = BlkConfig {
                    queues: 2,
                    ..BlkConfig::default()
                };
                VirtioBlk::new(config, self.disk.clone())
            }
            Kind::Share => {
                let fs = Memory::new(1 << 20);
                Virtio9p::new("share", fs, self.context.clone()).expect("a good tag")
            }
            Kind::Console => self.serial(),
            Kind::Random => {
                let config = RngConfig {
                    max_bytes: 10_000,
                    period_ms: 1,
                };
                let source = |buf: &mut [u8]| {
                    buf.fill(0x77);
                    Ok(())
                };
                VirtioRng::new(config, Box::new(source), self.timers.clone())
            }
        }
    }

    fn serial(&self) -> Box<VirtioSerial> {
        let mut device = VirtioSerial::new(3, self.timers.clone()).expect("three ports");
        for is_console in [true, false] {
            let config = PortConfig {
                is_console,
                nr: None,
                name: Some(format!("port-{is_console}")),
                backend: is_console.then(|| self.console.clone() as Arc<dyn CharBackend>),
            };
            device.add_port(config).expect("a free port");
        }
        device
    }
}

/// A terminal that somebody types on when the harness says.
#[derive(Default)]
pub struct Console(Mutex<Option<Arc<dyn CharFrontend>>>);

impl Console {
    pub fn type_in(&self, bytes: &[u8]) {
        let Some(frontend) = self.0.lock().clone() else {
            return;
        };
        let room = frontend.can_receive().min(bytes.len());
        frontend.receive(&bytes[..room]);
        frontend.resized(bytes.len() as u16, 25);
    }
}

impl CharBackend for Console {
    fn write(&self, _bytes: &[u8]) {}
    fn set_frontend(&self, frontend: Arc<dyn CharFrontend>) {
        *self.0.lock() = Some(frontend);
    }
    fn accept_input(&self) {}
}

/// Clocks that the harness moves.
#[derive(Default)]
pub struct Timers {
    now_ns: AtomicI64,
    timers: Mutex<Vec<Arc<ManualTimer>>>,
}

struct ManualTimer {
    deadline_ns: Mutex<Option<i64>>,
    callback: TimerCallback,
}

impl Timer for ManualTimer {
    fn modify_ns(&self, deadline_ns: i64) {
        *self.deadline_ns.lock() = Some(deadline_ns);
    }
    fn cancel(&self) {
        *self.deadline_ns.lock() = None;
    }
}

impl Clock for Timers {
    fn now_ns(&self, _clock: ClockType) -> i64 {
        self.now_ns.load(Ordering::Relaxed)
    }
}

impl TimerService for Timers {
    fn new_timer(&self, _clock: ClockType, callback: TimerCallback) -> Arc<dyn Timer> {
        let timer = Arc::new(ManualTimer {
            deadline_ns: Mutex::default(),
            callback,
        });
        self.timers.lock().push(timer.clone());
        timer
    }
}

impl Timers {
    /// Lets two milliseconds pass, and fires what is due by then, each timer once.
    pub fn pass(&self) {
        let now = self.now_ns.fetch_add(2_000_000, Ordering::Relaxed) + 2_000_000;
        let timers = self.timers.lock().clone();
        for timer in timers {
            let due = timer.deadline_ns.lock().take_if(|at| *at <= now).is_some();
            if due {
                (timer.callback)();
            }
        }
    }
}

/// Attacks a device of each kind, behind a legacy or a modern transport.
pub fn attack(random: &mut Mutator, context: &Arc<AioContext>) {
    let kinds = [Kind::Block, Kind::Share, Kind::Console, Kind::Random];
    let kind = kinds[random.below(kinds.len())];
    let legacy = random.below(3) == 0;
    let machine = Machine::new(kind, legacy, context.clone());
    let mut driver = Driver::new(&machine, random);
    for _ in 0..STEPS {
        driver.step();
    }
    driver.serve_honestly();
    let mut rom = [0; 4096];
    let read = include::AddressSpace::read(&*machine.memory, PhysAddr(ROM), &mut rom);
    assert!(
        read.is_ok() && rom == [0; 4096],
        "{kind:?}: ROM was written"
    );
}
