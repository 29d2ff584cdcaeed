//! 16550A UART.
use include::{AccessSize, CharBackend, IrqLine, MmioDevice, TimerService};
use parking_lot::Mutex;
use std::sync::Arc;

/// The UART. Window: 0x100 bytes on virt (8 used), register shift 0.
pub struct Serial {}

impl Serial {
    /// Connects itself as the front end of `backend`.
    pub fn new(
        _backend: Arc<dyn CharBackend>,
        _irq: IrqLine,
        _timers: Arc<dyn TimerService>,
    ) -> Arc<Mutex<Self>> {
        todo!()
    }
}

impl MmioDevice for Serial {
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
