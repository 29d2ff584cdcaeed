//! `-icount`: virtual time is the number of executed instructions, shifted.
//!
//! Round-robin mode counts the same way to slice time between vCPUs, without a clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use include::ClockType;

use crate::cpu::CpuCommon;

/// The virtual clock of `-icount`: read by the main loop's clocks, written by the vCPU thread.
#[derive(Debug, Default)]
pub struct IcountClock {
    shift: u32,
    executed: AtomicU64,
    /// Time that passed while all vCPUs slept.
    warped_ns: AtomicI64,
}

impl IcountClock {
    /// A clock at 0; each instruction takes `2^shift` ns.
    pub fn new(shift: u32) -> Arc<Self> {
        Arc::new(Self {
            shift: shift.min(32),
            ..Self::default()
        })
    }

    /// Virtual time in ns.
    pub fn now_ns(&self) -> i64 {
        let executed = self.executed.load(Ordering::SeqCst) << self.shift;
        (executed as i64).wrapping_add(self.warped_ns.load(Ordering::SeqCst))
    }

    /// Instructions executed by all vCPUs.
    pub fn executed(&self) -> u64 {
        self.executed.load(Ordering::SeqCst)
    }

    /// Time jumps while nothing runs.
    pub(crate) fn warp(&self, ns: i64) {
        self.warped_ns.fetch_add(ns.max(0), Ordering::SeqCst);
    }

    /// How many instructions fit before `ns` more have passed (at least 1).
    pub(crate) fn instructions(&self, ns: i64) -> i64 {
        let round_up = (1i64 << self.shift) - 1;
        (ns.max(0).saturating_add(round_up) >> self.shift).max(1)
    }
}

/// What the main loop does for `-icount`, on the vCPU thread.
pub trait IcountHooks: Send + Sync {
    /// The earliest deadline on the virtual clock.
    fn next_deadline_ns(&self) -> Option<i64>;
    /// Fires the timers of the virtual clock that are due.
    fn run_due_timers(&self);
}

impl IcountHooks for util::timer::Timers {
    fn next_deadline_ns(&self) -> Option<i64> {
        self.next_deadline_ns(ClockType::Virtual)
    }

    fn run_due_timers(&self) {
        self.run_due(ClockType::Virtual);
    }
}

impl CpuCommon {
    /// Instructions executed so far, by all vCPUs, up to and with the one whose block ends with it.
    /// `None` unless instructions are counted.
    pub fn icount_executed(&mut self) -> Option<u64> {
        self.icount_sync();
        self.icount.as_ref().map(|clock| clock.executed())
    }

    /// Makes the virtual clock show what was executed until now. Guests call it before they read a
    /// clock.
    pub fn icount_sync(&mut self) {
        if let Some(clock) = &self.icount {
            let done = self.icount_budget.wrapping_sub(self.state.icount_left);
            clock.executed.fetch_add(done as u64, Ordering::SeqCst);
            self.icount_budget = self.state.icount_left;
        }
    }

    /// Starts a slice.
    pub(crate) fn icount_start(&mut self, budget: i64) {
        self.state.icount_left = budget;
        self.icount_budget = budget;
    }
}
