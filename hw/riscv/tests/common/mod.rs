//! The host side of a machine, made of fakes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use hw::virtio::drivers::Host;
use include::{
    AccessSize, AddressSpace, BlockBackend, BusError, CharBackend, Clock, ClockType, FileSystem,
    IrqSink, PhysAddr, RamPage, RunStateControl, ShutdownCause, Timer, TimerCallback, TimerService,
};
use parking_lot::Mutex;
use util::coroutine::AioContext;

pub const RAM_BASE: u64 = 0x8000_0000;

/// RAM from [`RAM_BASE`] on, and nothing else.
pub struct Ram(Mutex<Vec<u8>>);

impl Ram {
    pub fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(vec![0; bytes])))
    }

    pub fn bytes(&self, addr: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.read(PhysAddr(addr), &mut bytes)
            .expect("the test reads RAM");
        bytes
    }

    fn range(addr: PhysAddr, len: usize, ram: usize) -> Result<std::ops::Range<usize>, BusError> {
        let start = addr.0.checked_sub(RAM_BASE).ok_or(BusError)?;
        let end = start
            .checked_add(len as u64)
            .filter(|end| *end <= ram as u64)
            .ok_or(BusError)?;
        Ok(start as usize..end as usize)
    }
}

impl AddressSpace for Ram {
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
        buf.copy_from_slice(&ram[Self::range(addr, buf.len(), ram.len())?]);
        Ok(())
    }
    fn write(&self, addr: PhysAddr, data: &[u8]) -> Result<(), BusError> {
        let mut ram = self.0.lock();
        let range = Self::range(addr, data.len(), ram.len())?;
        ram[range].copy_from_slice(data);
        Ok(())
    }
}

/// Time stands still.
pub struct NoTime;

impl Clock for NoTime {
    fn now_ns(&self, _clock: ClockType) -> i64 {
        0
    }
}

impl TimerService for NoTime {
    fn new_timer(&self, _clock: ClockType, _callback: TimerCallback) -> Arc<dyn Timer> {
        Arc::new(NoTime)
    }
}

impl Timer for NoTime {
    fn modify_ns(&self, _deadline_ns: i64) {}
    fn cancel(&self) {}
}

/// Remembers how the machine was asked to end.
#[derive(Default)]
pub struct RunState(pub Mutex<Vec<String>>);

impl RunStateControl for RunState {
    fn shutdown_request(&self, cause: ShutdownCause) {
        self.0.lock().push(format!("{cause:?}"));
    }
    fn reset_request(&self) {
        self.0.lock().push("reset".into());
    }
    fn pause_request(&self) {}
    fn resume_request(&self) {}
}

/// `mip` of a hart, as far as wires drive it.
#[derive(Default)]
pub struct Mip(pub Mutex<u64>);

impl IrqSink for Mip {
    fn set_irq(&self, number: u32, level: bool) {
        let mut bits = self.0.lock();
        *bits = *bits & !(1 << number) | u64::from(level) << number;
    }
}

/// Counts up, so that no two seeds are the same.
pub fn entropy() -> hw_riscv::virt::Entropy {
    let next = AtomicU8::new(1);
    Arc::new(move |buf| {
        buf.fill(next.fetch_add(1, Ordering::Relaxed));
        Ok(())
    })
}

/// A host that has nothing but numbers.
pub struct NoHost;

impl Host for NoHost {
    fn drive(&self, _id: &str) -> Result<Arc<dyn BlockBackend>, String> {
        Err("there is no drive".into())
    }
    fn chardev(&self, _id: &str) -> Result<Arc<dyn CharBackend>, String> {
        Err("there is no chardev".into())
    }
    fn share(&self, _id: &str) -> Result<Arc<dyn FileSystem>, String> {
        Err("there is no share".into())
    }
    fn random(&self, buf: &mut [u8]) -> std::io::Result<()> {
        entropy()(buf)
    }
    fn context(&self) -> Arc<AioContext> {
        panic!("nothing waits for this host")
    }
    fn timers(&self) -> Arc<dyn TimerService> {
        Arc::new(NoTime)
    }
}
