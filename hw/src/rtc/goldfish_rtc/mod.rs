//! Goldfish RTC.
use include::{AccessSize, ClockType, IrqLine, MmioDevice, TimerService};
use parking_lot::Mutex;
use std::sync::Arc;

/// The clock. Window: 0x1000 bytes on virt (0x20 used).
pub struct GoldfishRtc {}

/// What `-rtc` chooses.
#[derive(Clone, Copy, Debug)]
pub struct RtcConfig {
    /// `-rtc clock=`: host, vm (virtual) or rt.
    pub clock: ClockType,
    /// `-rtc base=`: guest time since 1970 minus `clock`'s time, in ns (0 for host and utc).
    pub offset_ns: i64,
}

impl GoldfishRtc {
    pub fn new(
        _config: RtcConfig,
        _irq: IrqLine,
        _timers: Arc<dyn TimerService>,
    ) -> Arc<Mutex<Self>> {
        todo!()
    }
}

impl MmioDevice for GoldfishRtc {
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
