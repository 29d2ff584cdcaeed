//! Character devices: the host side (`chardev/`) and the device side (`hw/char`).

use std::sync::Arc;

/// The device side: takes what the host typed. Called from the main-loop thread.
pub trait CharFrontend: Send + Sync {
    /// How many bytes it can take now; 0 holds input back until `accept_input`.
    fn can_receive(&self) -> usize;
    /// Takes bytes, never more than `can_receive` said.
    fn receive(&self, bytes: &[u8]);
    /// A BREAK condition.
    fn receive_break(&self) {}
    /// The keyboard of a shared back end was switched to this device (Ctrl-A c).
    fn focused(&self) {}
    /// The window of the back end has so many columns and rows now.
    fn resized(&self, _columns: u16, _rows: u16) {}
}

/// The host side: takes what the guest prints, and feeds a front end.
pub trait CharBackend: Send + Sync {
    /// Writes all bytes, from any thread.
    fn write(&self, bytes: &[u8]);
    /// Connects the device.
    fn set_frontend(&self, frontend: Arc<dyn CharFrontend>);
    /// The front end has room again: held-back input may be delivered.
    fn accept_input(&self);
}
