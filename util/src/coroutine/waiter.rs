//! One wait of one coroutine or thread: what locks, queues and sleeping are made of.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};

use super::context::{self, Coroutine};

enum Who {
    Coroutine(Coroutine),
    Thread(Thread),
}

struct Inner {
    notified: AtomicBool,
    who: Who,
}

/// Made by who will wait; [`Waiter::notify`] may come from anywhere, before or after.
#[derive(Clone)]
pub struct Waiter(Arc<Inner>);

impl Waiter {
    /// For the calling coroutine; outside of coroutines, for the calling thread.
    pub fn new() -> Self {
        let who = match context::current() {
            Some(coroutine) => Who::Coroutine(coroutine),
            None => Who::Thread(thread::current()),
        };
        Self(Arc::new(Inner {
            notified: AtomicBool::new(false),
            who,
        }))
    }

    /// Returns when somebody has called [`Waiter::notify`].
    pub fn wait(&self) {
        while !self.is_notified() {
            match &self.0.who {
                Who::Coroutine(_) => context::yield_now(),
                Who::Thread(_) => thread::park(),
            }
        }
    }

    /// Ends the wait.
    pub fn notify(&self) {
        self.0.notified.store(true, Ordering::Release);
        match &self.0.who {
            Who::Coroutine(coroutine) => coroutine.enter(),
            Who::Thread(thread) => thread.unpark(),
        }
    }

    /// Whether the wait is over.
    pub fn is_notified(&self) -> bool {
        self.0.notified.load(Ordering::Acquire)
    }
}

impl Default for Waiter {
    fn default() -> Self {
        Self::new()
    }
}
