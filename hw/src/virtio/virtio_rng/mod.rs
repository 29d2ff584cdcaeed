//! virtio-rng, the entropy device (virtio 1.2, 5.4): one queue of buffers to fill.
//!
//! The properties `max-bytes` and `period` are QEMU's: a period begins with the first byte that
//! is given; when it has yielded `max-bytes`, requests wait for its end.

#[cfg(test)]
mod tests;

use std::io;
use std::sync::{Arc, Weak};

use include::{ClockType, Timer, TimerService};
use parking_lot::Mutex;

use crate::virtio::spec::device_id;
use crate::virtio::virtio_bus::{VirtioBus, VirtioDevice, VirtioState};
use crate::virtio::virtqueue::{Element, QueueError};

/// Where random bytes come from; fills the buffer, or says what failed.
pub type EntropySource = Box<dyn FnMut(&mut [u8]) -> io::Result<()> + Send>;

const QUEUE: u16 = 0;
const QUEUE_SIZE: u16 = 8;
/// A request is answered with no more than this: drivers ask again, and hosts are spared.
const ANSWER_BYTES_MAX: usize = 4096;
const NS_PER_MS: i64 = 1_000_000;

/// QEMU's properties of virtio-rng.
#[derive(Clone, Copy, Debug)]
pub struct RngConfig {
    /// `max-bytes`: how much a period yields.
    pub max_bytes: u64,
    /// `period`, in milliseconds.
    pub period_ms: u32,
}

impl Default for RngConfig {
    fn default() -> Self {
        Self {
            max_bytes: i64::MAX as u64,
            period_ms: 1 << 16,
        }
    }
}

/// The entropy device; plug it with `VirtioBus::plug`.
pub struct VirtioRng {
    config: RngConfig,
    source: EntropySource,
    timers: Arc<dyn TimerService>,
    /// Ends the period; from `realize` on.
    timer: Option<Arc<dyn Timer>>,
    /// What the period may still yield.
    quota: u64,
    /// When the period ends, if one has begun.
    period_end_ns: Option<i64>,
}

impl VirtioRng {
    pub fn new(
        config: RngConfig,
        source: EntropySource,
        timers: Arc<dyn TimerService>,
    ) -> Box<Self> {
        let quota = config.max_bytes;
        Box::new(Self {
            config,
            source,
            timers,
            timer: None,
            quota,
            period_end_ns: None,
        })
    }

    fn arm(&self, deadline_ns: i64) {
        if let Some(timer) = &self.timer {
            timer.modify_ns(deadline_ns);
        }
    }

    /// Begins a period unless one is running, and ends one that is over.
    fn keep_period(&mut self) {
        let now = self.timers.now_ns(ClockType::Virtual);
        if self.period_end_ns.is_some_and(|end| end <= now) {
            self.period_end_ns = None;
            self.quota = self.config.max_bytes;
        }
        if self.period_end_ns.is_none() {
            let length = i64::from(self.config.period_ms.max(1)) * NS_PER_MS;
            self.period_end_ns = Some(now.saturating_add(length));
        }
    }

    /// Fills waiting buffers as far as the quota goes.
    fn serve(&mut self, state: &mut VirtioState) {
        if !state.is_driver_ok() {
            return;
        }
        self.keep_period();
        // A guest that refills the queue all the time must not keep this thread here.
        for _ in 0..QUEUE_SIZE {
            if self.quota == 0 {
                return self.arm(self.period_end_ns.unwrap_or(i64::MAX));
            }
            let Some(element) = state.pop(QUEUE) else {
                return;
            };
            match self.fill(state, &element) {
                Ok(written) => state.push(QUEUE, element, written),
                Err(error) => return state.fail(error),
            }
            state.notify(QUEUE);
        }
        self.arm(self.timers.now_ns(ClockType::Virtual));
    }

    fn fill(&mut self, state: &VirtioState, element: &Element) -> Result<u32, QueueError> {
        let mut bytes = [0; ANSWER_BYTES_MAX];
        let wanted = element
            .writable_len()
            .min(self.quota)
            .min(ANSWER_BYTES_MAX as u64) as usize;
        let bytes = &mut bytes[..wanted];
        if let Err(error) = (self.source)(bytes) {
            // The guest's driver takes an empty answer for "nothing now", and asks again.
            log::warn!("virtio-rng: the host gives no random bytes: {error}");
            return Ok(0);
        }
        self.quota -= wanted as u64;
        element
            .write(&**state.memory(), 0, bytes)
            .map(|written| written as u32)
    }
}

impl VirtioDevice for VirtioRng {
    fn device_id(&self) -> u32 {
        device_id::RNG
    }

    fn features(&self) -> u64 {
        0
    }

    fn queue_sizes(&self) -> &[u16] {
        &[QUEUE_SIZE]
    }

    fn config(&self) -> &[u8] {
        &[]
    }

    /// The configuration space is empty, so this is never called.
    fn write_config(&mut self, _offset: usize, _bytes: &[u8]) {}

    fn realize(&mut self, bus: Weak<Mutex<VirtioBus>>) {
        let fired = move || {
            if let Some(bus) = bus.upgrade() {
                bus.lock().wake();
            }
        };
        self.timer = Some(self.timers.new_timer(ClockType::Virtual, Box::new(fired)));
    }

    fn queue_notify(&mut self, _queue: u16, state: &mut VirtioState) {
        self.serve(state);
    }

    fn wake(&mut self, state: &mut VirtioState) {
        self.serve(state);
    }

    /// The quota stays: a guest cannot get more by resetting.
    fn reset(&mut self) {
        if let Some(timer) = &self.timer {
            timer.cancel();
        }
    }
}
