//! virtio 1.2: transports, rings and devices.
pub mod virtio_bus;
pub mod virtio_mmio;
pub mod virtio_rng;
