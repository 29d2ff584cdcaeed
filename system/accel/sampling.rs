//! A timer that asks now and then where the vCPUs are, and `-d perf`, which reports it at the end.

use std::sync::{Arc, OnceLock};

use accel_tcg::TcgAccel;
use guest_riscv::RiscvCpu;
use include::{Clock, ClockType, Timer, TimerService};
use util::timer::Timers;

/// Between two samples: seldom enough to cost nothing, or often enough for a report.
pub const SELDOM_NS: i64 = 50_000_000;
pub const OFTEN_NS: i64 = 1_000_000;

/// Samples as long as the timer that it returns lives.
pub fn start(
    accel: &Arc<TcgAccel<RiscvCpu>>,
    timers: &Arc<Timers>,
    period_ns: i64,
) -> Arc<dyn Timer> {
    let own: Arc<OnceLock<std::sync::Weak<dyn Timer>>> = Arc::default();
    let (sampled, again, clock) = (accel.clone(), own.clone(), timers.clone());
    let callback = move || {
        sampled.sample();
        if let Some(timer) = again.get().and_then(std::sync::Weak::upgrade) {
            timer.modify_ns(clock.now_ns(ClockType::Realtime) + period_ns);
        }
    };
    let timer = timers.new_timer(ClockType::Realtime, Box::new(callback));
    own.get_or_init(|| Arc::downgrade(&timer));
    timer.modify_ns(timers.now_ns(ClockType::Realtime) + period_ns);
    timer
}
