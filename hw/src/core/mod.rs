//! What boards and devices share.

use std::sync::Arc;

use include::{MmioDevice, PhysAddr};
use parking_lot::Mutex;

/// One device window on the bus.
pub struct Mapping {
    /// What the memory map shows.
    pub name: &'static str,
    /// First address of the window.
    pub base: PhysAddr,
    /// Bytes in the window.
    pub size: u64,
    /// Whoever answers there.
    pub device: Arc<Mutex<dyn MmioDevice>>,
}
