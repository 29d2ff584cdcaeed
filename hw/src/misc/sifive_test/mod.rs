//! SiFive test finisher.
use include::{AccessSize, MmioDevice, RunStateControl};
use parking_lot::Mutex;
use std::sync::Arc;

/// The finisher. Window: 0x1000 bytes on virt (4 used).
pub struct SifiveTest {}

impl SifiveTest {
    pub fn new(_run_state: Arc<dyn RunStateControl>) -> Arc<Mutex<Self>> {
        todo!()
    }
}

impl MmioDevice for SifiveTest {
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
