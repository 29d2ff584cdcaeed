//! RISC-V ACLINT.
use include::{AccessSize, Clock, IrqLine, MmioDevice, TickCounter, TimerService};
use parking_lot::Mutex;
use std::sync::Arc;

/// The counter `mtime`; readable from any thread without a lock.
pub struct Mtime {}

impl Mtime {
    /// A counter off the virtual clock; `frequency_hz` (virt: 10 MHz) divides 10^9.
    pub fn new(_clock: Arc<dyn Clock>, _frequency_hz: u64) -> Arc<Self> {
        todo!()
    }
}

impl TickCounter for Mtime {
    fn ticks(&self) -> u64 {
        todo!()
    }
    fn deadline_ns(&self, _ticks: u64) -> i64 {
        todo!()
    }
    fn frequency_hz(&self) -> u64 {
        todo!()
    }
}

/// MTIMER. Window: [`MTIMER_SIZE`]; mtimecmp of hart n at 8 n, mtime at 0x7ff8.
pub struct AclintMtimer {}

/// Bytes in the window of [`AclintMtimer`].
pub const MTIMER_SIZE: u64 = 0x8000;
/// Bytes in the window of [`AclintSwi`].
pub const SWI_SIZE: u64 = 0x4000;

impl AclintMtimer {
    /// `mtip[n]` is the timer interrupt of hart n.
    pub fn new(
        _mtime: Arc<Mtime>,
        _timers: Arc<dyn TimerService>,
        _mtip: Vec<IrqLine>,
    ) -> Arc<Mutex<Self>> {
        todo!()
    }
}

/// MSWI. Window: [`SWI_SIZE`]; msip of hart n at 4 n.
pub struct AclintSwi {}

impl AclintSwi {
    /// `msip[n]` is the software interrupt of hart n.
    pub fn new(_msip: Vec<IrqLine>) -> Arc<Mutex<Self>> {
        todo!()
    }
}

impl MmioDevice for AclintMtimer {
    fn read(&mut self, _offset: u64, _size: AccessSize) -> u64 {
        todo!()
    }
    fn write(&mut self, _offset: u64, _size: AccessSize, _value: u64) {
        todo!()
    }
    fn reset(&mut self) {
        todo!()
    }
}

impl MmioDevice for AclintSwi {
    fn read(&mut self, _offset: u64, _size: AccessSize) -> u64 {
        todo!()
    }
    fn write(&mut self, _offset: u64, _size: AccessSize, _value: u64) {
        todo!()
    }
    fn reset(&mut self) {
        todo!()
    }
}
