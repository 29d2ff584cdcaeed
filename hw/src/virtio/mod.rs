//! virtio 1.2: transports, rings and devices.
//!
//! A transport (`virtio_mmio`) owns a `virtio_bus`, which holds one device, its queues and its
//! interrupt. A device sees neither the transport nor another device: it gets the bus's state as
//! an argument, and may keep a weak reference to the bus for work that ends later.
//!
//! What must hold: nothing that the guest puts in a ring can make the device read or write
//! outside RAM, run without end, or allocate without a bound. A broken ring stops its device
//! until the guest resets it.

pub mod drivers;
pub mod spec;
pub mod virtio_bus;
pub mod virtio_mmio;
pub mod virtio_rng;
pub mod virtqueue;
