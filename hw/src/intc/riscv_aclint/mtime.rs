//! The counter `mtime`, which vCPUs read (CSR `time`) far more often than the MTIMER device does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use include::{Clock, ClockType, TickCounter};
use parking_lot::RwLock;

const NS_PER_SECOND: u64 = 1_000_000_000;

/// A counter off the virtual clock; readable from any thread without a lock.
pub struct Mtime {
    clock: Arc<dyn Clock>,
    ns_per_tick: u64,
    /// What the guest made of it by writing `mtime`: added to the clock's ticks.
    delta: AtomicU64,
    /// Called after such a write.
    on_jump: RwLock<Vec<Box<dyn Fn() + Send + Sync>>>,
}

impl Mtime {
    /// `frequency_hz` (virt: 10 MHz) divides 10^9.
    pub fn new(clock: Arc<dyn Clock>, frequency_hz: u64) -> Arc<Self> {
        assert!(
            frequency_hz > 0 && NS_PER_SECOND.is_multiple_of(frequency_hz),
            "mtime frequency"
        );
        let ns_per_tick = NS_PER_SECOND / frequency_hz;
        Arc::new(Self {
            clock,
            ns_per_tick,
            delta: AtomicU64::new(0),
            on_jump: RwLock::default(),
        })
    }

    fn clock_ticks(&self) -> u64 {
        self.clock.now_ns(ClockType::Virtual).max(0) as u64 / self.ns_per_tick
    }

    /// Makes the counter show `ticks` now.
    pub(super) fn set(&self, ticks: u64) {
        self.delta
            .store(ticks.wrapping_sub(self.clock_ticks()), Ordering::Relaxed);
        self.on_jump.read().iter().for_each(|jumped| jumped());
    }

    /// When the counter gets to `ticks`; `None` if it has.
    pub(super) fn deadline_unless_reached(&self, ticks: u64) -> Option<i64> {
        let clock_ticks = self.clock_ticks();
        let now = clock_ticks.wrapping_add(self.delta.load(Ordering::Relaxed));
        let wait = ticks.checked_sub(now).filter(|wait| *wait > 0)?;
        let deadline = clock_ticks
            .saturating_add(wait)
            .saturating_mul(self.ns_per_tick);
        Some(i64::try_from(deadline).unwrap_or(i64::MAX))
    }
}

impl TickCounter for Mtime {
    fn ticks(&self) -> u64 {
        self.clock_ticks()
            .wrapping_add(self.delta.load(Ordering::Relaxed))
    }

    fn deadline_ns(&self, ticks: u64) -> i64 {
        let reached = || self.clock.now_ns(ClockType::Virtual);
        self.deadline_unless_reached(ticks).unwrap_or_else(reached)
    }

    fn on_jump(&self, callback: Box<dyn Fn() + Send + Sync>) {
        self.on_jump.write().push(callback);
    }

    fn frequency_hz(&self) -> u64 {
        NS_PER_SECOND / self.ns_per_tick
    }
}
