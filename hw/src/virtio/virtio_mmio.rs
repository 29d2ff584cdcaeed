//! virtio over MMIO.
use super::virtio_bus::VirtioBus;
use include::{AccessSize, AddressSpace, IrqLine, MmioDevice};
use parking_lot::Mutex;
use std::sync::Arc;

/// A transport slot. Window: 0x200 bytes (0x1000 on virt).
pub struct VirtioMmio {}

/// Properties of the transport.
#[derive(Clone, Copy, Debug)]
pub struct VirtioMmioConfig {
    /// QEMU's property `force-legacy` (default true): answer as version 1.
    pub force_legacy: bool,
}

impl VirtioMmio {
    pub fn new(
        _config: VirtioMmioConfig,
        _memory: Arc<dyn AddressSpace>,
        _irq: IrqLine,
    ) -> Arc<Mutex<Self>> {
        todo!()
    }
    /// Where a device plugs in.
    pub fn bus(&self) -> Arc<Mutex<VirtioBus>> {
        todo!()
    }
}

impl MmioDevice for VirtioMmio {
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
