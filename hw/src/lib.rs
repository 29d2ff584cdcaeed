//! Device models, in folders as QEMU's `hw/`.
//!
//! **Architecture Invariant:** devices never name a CPU or an accelerator, and never talk to the
//! host: what they need comes through the traits of `include`. There is no unsafe code here.
//!
//! A device is an `Arc<parking_lot::Mutex<Device>>`, mapped on the bus as
//! `Arc<Mutex<dyn MmioDevice>>` (see [`core::Mapping`]). Lock order: device, then what is behind
//! it (virtio slot, interrupt controller), then the atomics of a vCPU. Timer callbacks run on
//! the main-loop thread with no lock held and take the lock of their own device only.

#![forbid(unsafe_code)]

pub mod block;
pub mod char;
pub mod core;
pub mod intc;
pub mod misc;
#[path = "9pfs/mod.rs"]
pub mod ninep;
pub mod nvram;
pub mod rtc;
pub mod virtio;
