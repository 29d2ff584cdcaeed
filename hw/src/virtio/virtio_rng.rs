//! virtio-rng.
use super::virtio_bus::VirtioDevice;
use include::TimerService;
use std::sync::Arc;

/// Where random bytes come from; fills the buffer, or says what failed.
pub type EntropySource = Box<dyn FnMut(&mut [u8]) -> std::io::Result<()> + Send>;

/// QEMU's properties of virtio-rng.
#[derive(Clone, Copy, Debug)]
pub struct RngConfig {
    /// `max-bytes`: how much a period yields (default: no limit).
    pub max_bytes: u64,
    /// `period`: milliseconds (default 65536).
    pub period_ms: u32,
}

/// The entropy device; plug it with `VirtioBus::plug`.
pub struct VirtioRng {}

impl VirtioRng {
    pub fn new(
        _config: RngConfig,
        _source: EntropySource,
        _timers: Arc<dyn TimerService>,
    ) -> Box<Self> {
        todo!()
    }
}

impl VirtioDevice for VirtioRng {}
