//! What boards and devices share.

pub mod device_tree;
pub mod loader;
mod log;
#[cfg(test)]
pub(crate) mod testing;

use std::sync::Arc;

use include::{MmioDevice, PhysAddr};
use parking_lot::Mutex;

pub(crate) use log::log_guest_error;

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
