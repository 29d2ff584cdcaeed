//! Character devices.
pub mod serial;
