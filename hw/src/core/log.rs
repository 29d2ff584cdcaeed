//! Log lines about the guest, under the names of QEMU's `-d` items.
//!
//! They are at debug level, so that a guest can fill a log only when the user asked for it.

/// The guest did something that the manual forbids (`-d guest_errors`).
macro_rules! log_guest_error {
    ($($arg:tt)+) => { ::log::debug!(target: "guest_errors", $($arg)+) };
}

pub(crate) use log_guest_error;
