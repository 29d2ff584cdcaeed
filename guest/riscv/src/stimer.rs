//! Sstc's timer: STIP is up while `time` has reached `stimecmp` (Privileged manual,
//! chapter "Sstc").
//!
//! Three threads have reason to look: the hart that writes a CSR, the main loop when the time has
//! come, and whoever writes `mtime`. All do the same under one lock, so the last look is right.

use std::sync::{Arc, OnceLock, Weak};

use include::{ClockType, IrqLine, TickCounter, Timer, TimerService};
use parking_lot::Mutex;

/// The timer of one hart.
pub struct Stimer {
    counter: Arc<dyn TickCounter>,
    stip: IrqLine,
    timer: OnceLock<Arc<dyn Timer>>,
    /// `stimecmp`, while Sstc is switched on.
    compare: Mutex<Option<u64>>,
}

impl Stimer {
    /// A timer that is off.
    pub fn new(
        counter: Arc<dyn TickCounter>,
        timers: &dyn TimerService,
        stip: IrqLine,
    ) -> Arc<Self> {
        let stimer = Arc::new(Self {
            counter,
            stip,
            timer: OnceLock::new(),
            compare: Mutex::new(None),
        });
        let look = |weak: Weak<Self>| {
            Box::new(move || {
                if let Some(stimer) = weak.upgrade() {
                    stimer.update(*stimer.compare.lock());
                }
            })
        };
        let timer = timers.new_timer(ClockType::Virtual, look(Arc::downgrade(&stimer)));
        assert!(stimer.timer.set(timer).is_ok(), "a new cell is empty");
        stimer.counter.on_jump(look(Arc::downgrade(&stimer)));
        stimer
    }

    /// Takes another `stimecmp`; `None` switches the timer off, with STIP down.
    pub fn set(&self, compare: Option<u64>) {
        let mut held = self.compare.lock();
        *held = compare;
        self.update(*held);
    }

    /// The caller holds the lock of `compare`.
    fn update(&self, compare: Option<u64>) {
        let due = compare.is_some_and(|ticks| self.counter.ticks() >= ticks);
        self.stip.set(due);
        let timer = self.timer.get().expect("set by new");
        match compare.filter(|ticks| !due && *ticks != u64::MAX) {
            Some(ticks) => timer.modify_ns(self.counter.deadline_ns(ticks)),
            None => timer.cancel(),
        }
    }
}
