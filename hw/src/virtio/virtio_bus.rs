//! One virtio device and the state that every transport keeps for it.
use parking_lot::Mutex;
use std::sync::Arc;

/// What a transport (a slot) has room for: one device, its queues, its interrupt.
pub struct VirtioBus {}

/// A virtio device (methods to follow).
pub trait VirtioDevice: Send {}

/// The slot has a device already.
#[derive(Debug, thiserror::Error)]
#[error("the virtio bus has a device already")]
pub struct BusOccupied;

impl VirtioBus {
    /// Puts a device into the slot, before the machine runs.
    pub fn plug(
        _bus: &Arc<Mutex<Self>>,
        _device: Box<dyn VirtioDevice>,
    ) -> Result<(), BusOccupied> {
        todo!()
    }
}
