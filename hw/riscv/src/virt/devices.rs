//! What the board puts where the options name nothing.

use std::sync::Arc;

use include::{CharBackend, CharFrontend};

/// `-serial none`: what the guest prints is lost.
pub struct NoBackend;

impl CharBackend for NoBackend {
    fn write(&self, _bytes: &[u8]) {}
    fn set_frontend(&self, _frontend: Arc<dyn CharFrontend>) {}
    fn accept_input(&self) {}
}
