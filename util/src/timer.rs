//! Clocks and timer lists, one list for each [`ClockType`].
//!
//! What must hold: callbacks run without any lock of this module; arming and cancelling are a
//! short critical section (they are on the path of the guest's timer tick); the virtual clock
//! never goes backwards, and stands still while the machine is stopped.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use include::{Clock, ClockType, Timer, TimerCallback, TimerService};
use parking_lot::Mutex;

/// All clocks, in the order of their lists.
pub const CLOCKS: [ClockType; 3] = [ClockType::Virtual, ClockType::Host, ClockType::Realtime];

/// The deadline of a list in which nothing is armed, or of a timer that is not.
const NEVER: i64 = i64::MAX;

/// While a timer on the host's wall clock is armed, the loop looks at that clock this often, since
/// somebody may set it.
const HOST_CLOCK_RECHECK: Duration = Duration::from_secs(1);

/// Tells whoever waits for the next deadline that an earlier one was armed.
type Notify = Box<dyn Fn() + Send + Sync>;

/// Virtual time that somebody else counts (`-icount`).
struct VirtualSource {
    now_ns: Box<dyn Fn() -> i64 + Send + Sync>,
    notify: Notify,
}

/// The clocks and timer lists of one machine.
pub struct Timers {
    this: Weak<Timers>,
    start: Instant,
    /// What to subtract from the monotonic clock to get virtual time, while it runs.
    virtual_offset_ns: AtomicI64,
    /// Virtual time while it stands still, or [`RUNNING`].
    virtual_frozen_ns: AtomicI64,
    virtual_source: OnceLock<VirtualSource>,
    lists: [TimerList; 3],
    next_id: AtomicU64,
    notify: Notify,
}

const RUNNING: i64 = i64::MIN;

#[derive(Default)]
struct TimerList {
    armed: Mutex<Armed>,
}

#[derive(Default)]
struct Armed {
    by_deadline: BTreeMap<(i64, u64), Arc<TimerCell>>,
    /// The loop will look again by itself at this time, so only earlier deadlines wake it.
    announced_ns: i64,
}

struct TimerCell {
    id: u64,
    clock: ClockType,
    callback: TimerCallback,
    /// The key in `by_deadline`, or [`NEVER`]; changed under the list's lock only.
    deadline_ns: AtomicI64,
    /// Taken off the list by `run_due`, and not run yet.
    due: AtomicBool,
}

/// What devices hold; dropping it disarms the timer.
struct TimerHandle {
    timers: Arc<Timers>,
    cell: Arc<TimerCell>,
}

impl Timers {
    /// Clocks that stand at virtual time 0, stopped. `notify` is called, without locks, when a
    /// deadline was armed that is earlier than what [`Timers::time_to_wait`] last saw.
    pub fn new(notify: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            this: this.clone(),
            start: Instant::now(),
            virtual_offset_ns: AtomicI64::new(0),
            virtual_frozen_ns: AtomicI64::new(0),
            virtual_source: OnceLock::new(),
            lists: Default::default(),
            next_id: AtomicU64::new(0),
            notify: Box::new(notify),
        })
    }

    /// Virtual time comes from `now_ns` from here on, and its deadlines are run by whoever calls
    /// [`Timers::run_due`]; `notify` is called when an earlier virtual deadline was armed.
    /// At most once, before the first vCPU runs.
    pub fn set_virtual_source(
        &self,
        now_ns: impl Fn() -> i64 + Send + Sync + 'static,
        notify: impl Fn() + Send + Sync + 'static,
    ) {
        let source = VirtualSource {
            now_ns: Box::new(now_ns),
            notify: Box::new(notify),
        };
        assert!(
            self.virtual_source.set(source).is_ok(),
            "virtual time has one source"
        );
    }

    /// Lets virtual time go on. Returns at once if it already does.
    pub fn start_virtual(&self) {
        let frozen = self.virtual_frozen_ns.load(Ordering::Acquire);
        if frozen == RUNNING {
            return;
        }
        self.virtual_offset_ns
            .store(self.monotonic_ns() - frozen, Ordering::Release);
        self.virtual_frozen_ns.store(RUNNING, Ordering::Release);
        self.notify_list(ClockType::Virtual);
    }

    /// Stops virtual time. The vCPUs must have stopped before.
    pub fn stop_virtual(&self) {
        let now = self.now_ns(ClockType::Virtual);
        self.virtual_frozen_ns.store(now, Ordering::Release);
    }

    /// The earliest armed deadline of a clock, for whoever waits for it: `notify` is called when
    /// an earlier one than this is armed.
    pub fn next_deadline_ns(&self, clock: ClockType) -> Option<i64> {
        let mut armed = self.list(clock).armed.lock();
        let first = armed
            .by_deadline
            .first_key_value()
            .map(|(&(deadline, _), _)| deadline);
        armed.announced_ns = first.unwrap_or(NEVER);
        first
    }

    /// Runs the callbacks whose time has come, each at most once. True if there were any.
    pub fn run_due(&self, clock: ClockType) -> bool {
        let due = self.take_due(clock);
        for cell in &due {
            // Cancelled or armed anew, perhaps by a callback before this one?
            if cell.due.swap(false, Ordering::AcqRel) {
                (cell.callback)();
            }
        }
        !due.is_empty()
    }

    /// How long the main loop may wait before a deadline of one of its clocks; `None`: for ever.
    pub fn time_to_wait(&self) -> Option<Duration> {
        CLOCKS
            .into_iter()
            .filter_map(|clock| self.time_to_wait_for(clock))
            .min()
    }

    /// Runs the callbacks that are due on the clocks that the main loop serves.
    pub fn run_all_due(&self) {
        for clock in CLOCKS {
            if self.main_loop_serves(clock) {
                self.run_due(clock);
            }
        }
    }

    fn main_loop_serves(&self, clock: ClockType) -> bool {
        clock != ClockType::Virtual
            || (self.virtual_source.get().is_none()
                && self.virtual_frozen_ns.load(Ordering::Acquire) == RUNNING)
    }

    fn time_to_wait_for(&self, clock: ClockType) -> Option<Duration> {
        if !self.main_loop_serves(clock) {
            return None;
        }
        let ns = self
            .next_deadline_ns(clock)?
            .saturating_sub(self.now_ns(clock))
            .max(0);
        let wait = Duration::from_nanos(ns as u64);
        Some(if clock == ClockType::Host {
            wait.min(HOST_CLOCK_RECHECK)
        } else {
            wait
        })
    }

    fn take_due(&self, clock: ClockType) -> Vec<Arc<TimerCell>> {
        let mut armed = self.list(clock).armed.lock();
        if armed.by_deadline.is_empty() {
            return Vec::new();
        }
        let now = self.now_ns(clock);
        let mut due = Vec::new();
        while let Some(entry) = armed.by_deadline.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let cell = entry.remove();
            cell.deadline_ns.store(NEVER, Ordering::Relaxed);
            cell.due.store(true, Ordering::Release);
            due.push(cell);
        }
        due
    }

    fn list(&self, clock: ClockType) -> &TimerList {
        &self.lists[clock as usize]
    }

    fn notify_list(&self, clock: ClockType) {
        match self.virtual_source.get() {
            Some(source) if clock == ClockType::Virtual => (source.notify)(),
            _ => (self.notify)(),
        }
    }

    fn monotonic_ns(&self) -> i64 {
        self.start.elapsed().as_nanos() as i64
    }
}

impl Clock for Timers {
    fn now_ns(&self, clock: ClockType) -> i64 {
        match clock {
            ClockType::Realtime => self.monotonic_ns(),
            ClockType::Host => host_ns(),
            ClockType::Virtual => {
                if let Some(source) = self.virtual_source.get() {
                    return (source.now_ns)();
                }
                match self.virtual_frozen_ns.load(Ordering::Acquire) {
                    RUNNING => {
                        let offset = self.virtual_offset_ns.load(Ordering::Acquire);
                        self.monotonic_ns() - offset
                    }
                    frozen => frozen,
                }
            }
        }
    }
}

fn host_ns() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_nanos() as i64,
        Err(before) => -(before.duration().as_nanos() as i64),
    }
}

impl TimerService for Timers {
    fn new_timer(&self, clock: ClockType, callback: TimerCallback) -> Arc<dyn Timer> {
        let cell = TimerCell {
            id: self.next_id.fetch_add(1, Ordering::Relaxed),
            clock,
            callback,
            deadline_ns: AtomicI64::new(NEVER),
            due: AtomicBool::new(false),
        };
        let timers = self.this.upgrade().expect("`self` is alive, so its Arc is");
        Arc::new(TimerHandle {
            timers,
            cell: Arc::new(cell),
        })
    }
}

impl TimerHandle {
    /// Puts the timer at `deadline_ns`, or takes it off; true if the waiter must be told.
    fn rearm(&self, deadline_ns: i64) -> bool {
        let cell = &self.cell;
        let mut armed = self.timers.list(cell.clock).armed.lock();
        cell.due.store(false, Ordering::Release);
        let old = cell.deadline_ns.swap(deadline_ns, Ordering::Relaxed);
        if old == deadline_ns {
            return false;
        }
        if old != NEVER {
            armed.by_deadline.remove(&(old, cell.id));
        }
        if deadline_ns == NEVER {
            return false;
        }
        armed
            .by_deadline
            .insert((deadline_ns, cell.id), cell.clone());
        let earlier = deadline_ns < armed.announced_ns;
        if earlier {
            // One wake-up is enough until the loop has looked.
            armed.announced_ns = deadline_ns;
        }
        earlier
    }
}

impl Timer for TimerHandle {
    fn modify_ns(&self, deadline_ns: i64) {
        if self.rearm(deadline_ns) {
            self.timers.notify_list(self.cell.clock);
        }
    }

    fn cancel(&self) {
        self.rearm(NEVER);
    }
}

impl Drop for TimerHandle {
    fn drop(&mut self) {
        self.cancel();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    /// Timers whose virtual time is a variable, and a count of notifications.
    fn hand_cranked() -> (Arc<Timers>, Arc<AtomicI64>, Arc<AtomicU32>) {
        let now = Arc::new(AtomicI64::new(0));
        let notified = Arc::new(AtomicU32::new(0));
        let timers = Timers::new(|| ());
        let (clock, count) = (now.clone(), notified.clone());
        timers.set_virtual_source(
            move || clock.load(Ordering::SeqCst),
            move || {
                count.fetch_add(1, Ordering::SeqCst);
            },
        );
        (timers, now, notified)
    }

    fn counting(timers: &Arc<Timers>) -> (Arc<dyn Timer>, Arc<AtomicU32>) {
        let fired = Arc::new(AtomicU32::new(0));
        let count = fired.clone();
        let callback = Box::new(move || {
            count.fetch_add(1, Ordering::SeqCst);
        });
        (timers.new_timer(ClockType::Virtual, callback), fired)
    }

    #[test]
    fn fires_once_at_its_deadline() {
        let (timers, now, _) = hand_cranked();
        let (timer, fired) = counting(&timers);
        timer.modify_ns(100);
        now.store(99, Ordering::SeqCst);
        assert!(!timers.run_due(ClockType::Virtual));
        now.store(100, Ordering::SeqCst);
        assert!(timers.run_due(ClockType::Virtual));
        assert!(!timers.run_due(ClockType::Virtual));
        assert_eq!(fired.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn rearming_replaces_and_cancel_disarms() {
        let (timers, now, _) = hand_cranked();
        let (timer, fired) = counting(&timers);
        timer.modify_ns(10);
        timer.modify_ns(1000);
        assert_eq!(timers.next_deadline_ns(ClockType::Virtual), Some(1000));
        now.store(500, Ordering::SeqCst);
        timers.run_due(ClockType::Virtual);
        timer.cancel();
        now.store(5000, Ordering::SeqCst);
        timers.run_due(ClockType::Virtual);
        assert_eq!(fired.load(Ordering::SeqCst), 0);
        timer.modify_ns(1);
        drop(timer);
        assert_eq!(timers.next_deadline_ns(ClockType::Virtual), None);
    }

    #[test]
    fn a_callback_may_cancel_the_next_and_rearm_itself() {
        let (timers, now, _) = hand_cranked();
        let (victim, fired) = counting(&timers);
        let own: Arc<OnceLock<Arc<dyn Timer>>> = Arc::default();
        let (me, other) = (own.clone(), victim.clone());
        let callback = Box::new(move || {
            other.cancel();
            me.get().unwrap().modify_ns(0);
        });
        own.set(timers.new_timer(ClockType::Virtual, callback))
            .ok()
            .unwrap();
        own.get().unwrap().modify_ns(1);
        victim.modify_ns(2);
        now.store(10, Ordering::SeqCst);
        assert!(timers.run_due(ClockType::Virtual));
        assert_eq!(fired.load(Ordering::SeqCst), 0);
        assert_eq!(timers.next_deadline_ns(ClockType::Virtual), Some(0));
    }

    #[test]
    fn only_an_earlier_deadline_notifies() {
        let (timers, _, notified) = hand_cranked();
        let (first, _) = counting(&timers);
        let (second, _) = counting(&timers);
        timers.next_deadline_ns(ClockType::Virtual);
        first.modify_ns(100);
        first.modify_ns(200);
        second.modify_ns(150);
        assert_eq!(notified.load(Ordering::SeqCst), 1);
        second.modify_ns(50);
        assert_eq!(notified.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn virtual_time_stands_still_while_stopped() {
        let timers = Timers::new(|| ());
        assert_eq!(timers.now_ns(ClockType::Virtual), 0);
        timers.start_virtual();
        std::thread::sleep(Duration::from_millis(2));
        timers.stop_virtual();
        let stopped = timers.now_ns(ClockType::Virtual);
        assert!(stopped >= 2_000_000);
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(timers.now_ns(ClockType::Virtual), stopped);
        timers.start_virtual();
        let resumed = timers.now_ns(ClockType::Virtual);
        assert!(resumed >= stopped && resumed < stopped + 1_000_000_000);
    }
}
