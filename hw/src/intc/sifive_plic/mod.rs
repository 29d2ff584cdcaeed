//! SiFive PLIC.
use include::{AccessSize, IrqLine, IrqSink, MmioDevice};
use parking_lot::Mutex;
use std::sync::Arc;

/// The PLIC. Window: `SifivePlic::window_size(contexts)`.
pub struct SifivePlic {}

/// What a board chooses.
#[derive(Clone, Copy, Debug)]
pub struct PlicConfig {
    /// Sources including the absent source 0 (virt: 96, so `riscv,ndev` is 95).
    pub sources: u32,
    /// Highest priority (virt: 7).
    pub priorities: u32,
}

impl SifivePlic {
    /// `outputs[n]` is driven by context n: hart 0 M, hart 0 S, hart 1 M, ...
    pub fn new(_config: PlicConfig, _outputs: Vec<IrqLine>) -> Arc<Mutex<Self>> {
        todo!()
    }
    /// The source inputs, for `IrqLine::new(plic.lock().inputs(), source)`.
    pub fn inputs(&self) -> Arc<dyn IrqSink> {
        todo!()
    }
    /// Bytes of the window for that many contexts (QEMU's `VIRT_PLIC_SIZE`).
    pub const fn window_size(contexts: u64) -> u64 {
        0x20_0000 + contexts * 0x1000
    }
}

impl MmioDevice for SifivePlic {
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
