//! A megabyte of RAM at 0, a ROM page, a device, and an accelerator around the toy CPUs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use accel_tcg::{CpuCommon, TbCache, TcgAccel, TcgConfig};
use include::{AccessSize, AddressSpace, BusError, Clock, ClockType, PhysAddr, RamPage};

use super::ToyCpu;

pub const RAM_BYTES: u64 = 1 << 20;
pub const ROM: u64 = 0x20_0000;
pub const DEVICE: u64 = 0x1000_0000;

/// 16 bytes, so that RAM is aligned as RAM is.
#[repr(align(16))]
#[derive(Default)]
struct Cell([AtomicU64; 2]);

/// Guest memory.
pub struct Memory {
    ram: Vec<Cell>,
    /// Number of device reads.
    pub reads: AtomicU64,
    pub written: AtomicU64,
    pub tbs: OnceLock<Arc<TbCache>>,
}

impl Memory {
    fn byte(&self, addr: u64) -> Option<(&AtomicU64, u32)> {
        let cell = self.ram.get((addr / 16) as usize)?;
        Some((&cell.0[(addr / 8 % 2) as usize], (addr % 8 * 8) as u32))
    }

    pub fn word(&self, addr: u64) -> u64 {
        self.byte(addr)
            .map_or(0, |(word, _)| word.load(Ordering::SeqCst))
    }

    /// Puts instructions at an even address.
    pub fn put(&self, addr: u64, code: &[u32]) {
        let bytes: Vec<u8> = code.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.write(PhysAddr(addr), &bytes).expect("RAM");
    }
}

impl AddressSpace for Memory {
    fn ram_page(&self, addr: PhysAddr) -> Option<RamPage> {
        let rom = addr.0 >> 12 == ROM >> 12;
        let at = if rom { RAM_BYTES } else { addr.0 & !0xfff };
        if at >= RAM_BYTES && !rom {
            return None;
        }
        let host = std::ptr::from_ref(&self.ram[(at / 16) as usize])
            .cast::<u8>()
            .cast_mut();
        Some(RamPage {
            host,
            index: (at >> 12) as u32,
            writable: !rom,
        })
    }
    fn ram_pages(&self) -> u32 {
        (RAM_BYTES >> 12) as u32 + 1
    }
    fn io_read(&self, addr: PhysAddr, _size: AccessSize) -> Result<u64, BusError> {
        if addr.0 >> 12 != DEVICE >> 12 {
            return Err(BusError);
        }
        Ok(self.reads.fetch_add(1, Ordering::SeqCst) + 100)
    }
    fn io_write(&self, addr: PhysAddr, _size: AccessSize, value: u64) -> Result<(), BusError> {
        if addr.0 >> 12 != DEVICE >> 12 {
            return Err(BusError);
        }
        self.written.store(value, Ordering::SeqCst);
        Ok(())
    }
    fn read(&self, _addr: PhysAddr, _buf: &mut [u8]) -> Result<(), BusError> {
        Err(BusError)
    }
    fn write(&self, addr: PhysAddr, data: &[u8]) -> Result<(), BusError> {
        for (at, byte) in (addr.0..).zip(data) {
            let (word, shift) = self.byte(at).ok_or(BusError)?;
            let new = |old: u64| old & !(0xff << shift) | u64::from(*byte) << shift;
            word.update(Ordering::SeqCst, Ordering::SeqCst, new);
        }
        if let Some(tbs) = self.tbs.get() {
            let last = (addr.0 + data.len() as u64 - 1) >> 12;
            tbs.ram_written((addr.0 >> 12) as u32, (last - (addr.0 >> 12)) as u32 + 1);
        }
        Ok(())
    }
}

struct NoClock;
impl Clock for NoClock {
    fn now_ns(&self, _clock: ClockType) -> i64 {
        0
    }
}

/// A machine with toy CPUs.
pub struct Board {
    pub memory: Arc<Memory>,
    pub accel: TcgAccel<ToyCpu>,
}

impl Board {
    pub fn new(cpus: usize, config: TcgConfig) -> Self {
        let memory = Arc::new(Memory {
            ram: (0..(RAM_BYTES + 4096) / 16)
                .map(|_| Cell::default())
                .collect(),
            reads: AtomicU64::new(0),
            written: AtomicU64::new(0),
            tbs: OnceLock::new(),
        });
        let cpu = |i| {
            let common = CpuCommon::new(i, memory.clone(), Arc::new(NoClock));
            Box::new(ToyCpu::new(common))
        };
        let accel = TcgAccel::new(config, (0..cpus).map(cpu).collect()).expect("an accelerator");
        memory.tbs.get_or_init(|| accel.tb_cache());
        Self { memory, accel }
    }

    pub fn single() -> Self {
        Self::new(1, TcgConfig::default())
    }

    /// Changes a CPU, before or while it runs.
    pub fn with<R: Send + 'static>(
        &self,
        index: usize,
        work: impl FnOnce(&mut ToyCpu) -> R + Send + 'static,
    ) -> R {
        self.accel
            .run_on_cpu(index, work)
            .expect("the machine runs")
    }

    /// Starts all CPUs at `pc` and waits until each is done.
    pub fn run(&self, pc: u64) {
        self.accel.start();
        self.accel.pause();
        self.accel.request_reset(pc);
        self.accel.resume();
        self.wait(|cpu| cpu.done);
    }

    /// Waits until all CPUs say so.
    pub fn wait(&self, until: impl Fn(&mut ToyCpu) -> bool + Send + Sync + Copy + 'static) {
        let started = Instant::now();
        while !self.accel.for_each_cpu(until).iter().all(|done| *done) {
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "the guest hangs"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub fn x(&self, n: usize) -> u64 {
        self.with(0, move |cpu| cpu.x(n))
    }

    pub fn log(&self) -> Vec<(i64, u64, u64)> {
        self.with(0, |cpu| cpu.log.clone())
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        self.accel.quit();
        self.accel.join();
    }
}
