//! The main loop: one thread that runs bottom halves, events and timer callbacks, one at a time.
//!
//! Devices and back ends may rely on it: what is posted here never runs at the same time as
//! another callback of the loop, and never inside the call that posted it. Wall-clock and
//! monotonic time come from `std::time`, which works under emscripten too.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::timer::Timers;

/// Work for the loop's thread.
pub type BottomHalf = Box<dyn FnOnce() + Send>;

/// Between two looks at the timers the loop runs at most this many posted events.
const EVENTS_PER_PASS_MAX: usize = 64;

enum Event {
    Run(BottomHalf),
    /// Look at the timers and at `quit` again.
    Wake,
}

/// The loop; share it as an `Arc`.
pub struct MainLoop {
    timers: Arc<Timers>,
    sender: Sender<Event>,
    receiver: Receiver<Event>,
    quit: AtomicBool,
}

/// Posts work from any thread.
#[derive(Clone)]
pub struct Poster {
    sender: Sender<Event>,
}

impl Poster {
    /// Lets the loop's thread run `work` soon, after what was posted before.
    pub fn post(&self, work: impl FnOnce() + Send + 'static) {
        self.send(Event::Run(Box::new(work)));
    }

    fn send(&self, event: Event) {
        // The loop is gone only while the process ends: nobody is left to care.
        let _ = self.sender.send(event);
    }
}

impl MainLoop {
    /// A loop that nobody runs yet.
    pub fn new() -> Arc<Self> {
        let (sender, receiver) = unbounded();
        let waker = Poster {
            sender: sender.clone(),
        };
        let timers = Timers::new(move || waker.send(Event::Wake));
        Arc::new(Self {
            timers,
            sender,
            receiver,
            quit: AtomicBool::new(false),
        })
    }

    /// The clocks and timers that this loop serves.
    pub fn timers(&self) -> &Arc<Timers> {
        &self.timers
    }

    /// A handle that only posts.
    pub fn poster(&self) -> Poster {
        Poster {
            sender: self.sender.clone(),
        }
    }

    /// See [`Poster::post`].
    pub fn post(&self, work: impl FnOnce() + Send + 'static) {
        self.poster().post(work);
    }

    /// Runs on the calling thread until [`MainLoop::quit`].
    pub fn run(&self) {
        while !self.quit.load(Ordering::Acquire) {
            self.iterate(None);
        }
    }

    /// Ends [`MainLoop::run`], from any thread.
    pub fn quit(&self) {
        self.quit.store(true, Ordering::Release);
        self.poster().send(Event::Wake);
    }

    /// One pass: waits for an event or a deadline (not longer than `limit`), runs what is there.
    pub fn iterate(&self, limit: Option<Duration>) {
        let wait = [self.timers.time_to_wait(), limit]
            .into_iter()
            .flatten()
            .min();
        let first = match wait {
            None => self.receiver.recv().ok(),
            Some(wait) => self.receiver.recv_timeout(wait).ok(),
        };
        if let Some(event) = first {
            Self::handle(event);
            self.receiver
                .try_iter()
                .take(EVENTS_PER_PASS_MAX - 1)
                .for_each(Self::handle);
        }
        self.timers.run_all_due();
    }

    fn handle(event: Event) {
        match event {
            Event::Run(work) => work(),
            Event::Wake => (),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Instant;

    use include::{Clock, ClockType, TimerService};

    use super::*;

    #[test]
    fn events_run_in_order_and_quit_ends_the_loop() {
        let main_loop = MainLoop::new();
        let seen = Arc::new(Mutex::new(Vec::new()));
        for number in 0..100 {
            let seen = seen.clone();
            main_loop.post(move || seen.lock().unwrap().push(number));
        }
        let end = main_loop.clone();
        main_loop.post(move || end.quit());
        main_loop.run();
        assert_eq!(*seen.lock().unwrap(), (0..100).collect::<Vec<_>>());
    }

    /// A timer that is armed from another thread, earlier than what the loop waits for, fires.
    #[test]
    fn an_earlier_deadline_wakes_the_loop() {
        let main_loop = MainLoop::new();
        let far = main_loop
            .timers()
            .new_timer(ClockType::Realtime, Box::new(|| ()));
        let now = main_loop.timers().now_ns(ClockType::Realtime);
        far.modify_ns(now + 3_600_000_000_000);
        let end = main_loop.clone();
        let near = main_loop
            .timers()
            .new_timer(ClockType::Realtime, Box::new(move || end.quit()));
        let started = Instant::now();
        let other = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(5));
            near.modify_ns(now + 10_000_000);
            near
        });
        main_loop.run();
        assert!(started.elapsed() < Duration::from_secs(60));
        other.join().unwrap();
    }

    #[test]
    fn virtual_timers_wait_for_the_clock_to_start() {
        let main_loop = MainLoop::new();
        let end = main_loop.clone();
        let timer = main_loop
            .timers()
            .new_timer(ClockType::Virtual, Box::new(move || end.quit()));
        timer.modify_ns(0);
        main_loop.iterate(Some(Duration::from_millis(1)));
        assert!(!main_loop.quit.load(Ordering::SeqCst));
        main_loop.timers().start_virtual();
        main_loop.run();
    }
}
