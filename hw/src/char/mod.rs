//! Character devices.
pub mod serial;
pub mod virtio_console;
