//! Clocks and timers, by QEMU's names for the clocks.

use std::sync::Arc;

/// Which clock (QEMU's `QEMUClockType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClockType {
    /// Guest time: stands still while the machine is stopped; counts instructions under `-icount`.
    Virtual,
    /// Wall clock of the host (ns since 1970), for real-time clocks.
    Host,
    /// Monotonic host time that never stops.
    Realtime,
}

/// Reads clocks.
pub trait Clock: Send + Sync {
    /// Nanoseconds on that clock.
    fn now_ns(&self, clock: ClockType) -> i64;
}

/// What a timer does when it fires: runs on the main-loop thread, without any device lock held.
pub type TimerCallback = Box<dyn Fn() + Send + Sync>;

/// Makes timers; the main loop in `util` implements it.
pub trait TimerService: Clock {
    /// A disarmed timer on `clock`.
    fn new_timer(&self, clock: ClockType, callback: TimerCallback) -> Arc<dyn Timer>;
}

/// A one-shot timer.
pub trait Timer: Send + Sync {
    /// Arms for the absolute time `deadline_ns` of its clock (replacing what was armed). A past
    /// deadline fires soon, never inside this call.
    fn modify_ns(&self, deadline_ns: i64);
    /// Disarms. A callback that already started may still be running.
    fn cancel(&self);
}

/// A counter that runs at a fixed rate off [`ClockType::Virtual`], such as RISC-V's `mtime`.
pub trait TickCounter: Send + Sync {
    /// The counter now.
    fn ticks(&self) -> u64;
    /// The time on [`ClockType::Virtual`] at which the counter reaches `ticks` (saturating).
    fn deadline_ns(&self, ticks: u64) -> i64;
    /// Has `callback` run after each write that makes the counter jump, in the writer's thread and
    /// with the counter's device locked.
    fn on_jump(&self, callback: Box<dyn Fn() + Send + Sync>);
    /// Ticks a second.
    fn frequency_hz(&self) -> u64;
}
