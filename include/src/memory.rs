//! The physical address space as CPUs and devices see it; `system/memory` implements it.

use crate::{AccessSize, PhysAddr};

/// An access that nothing answered, or that its device refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BusError;

/// Where guest RAM (or ROM) under a physical page lives in the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RamPage {
    /// Host address of the first byte of the page. Valid as long as the machine lives.
    pub host: *mut u8,
    /// Index of the page over all RAM blocks of the machine, dense from 0.
    pub index: u32,
    /// False for ROM: stores are ignored.
    pub writable: bool,
}

/// The guest's physical memory: RAM and devices. Pages are 4 KiB (`PAGE_BITS` = 12) here.
pub trait AddressSpace: Send + Sync {
    /// RAM behind the page that contains `addr`, if it is RAM or ROM.
    fn ram_page(&self, addr: PhysAddr) -> Option<RamPage>;
    /// How many RAM pages there are: every `RamPage::index` is below this.
    fn ram_pages(&self) -> u32;
    /// A load from a device window, or (slowly) from RAM.
    fn io_read(&self, addr: PhysAddr, size: AccessSize) -> Result<u64, BusError>;
    /// A store to a device window, or (slowly) to RAM, which tells the code cache.
    fn io_write(&self, addr: PhysAddr, size: AccessSize, value: u64) -> Result<(), BusError>;
    /// Copies from RAM for a device (DMA). Fails, with nothing promised about `buf`, when any
    /// byte is not RAM.
    fn read(&self, addr: PhysAddr, buf: &mut [u8]) -> Result<(), BusError>;
    /// Copies to RAM for a device (DMA) and tells the code cache.
    fn write(&self, addr: PhysAddr, data: &[u8]) -> Result<(), BusError>;
}
