//! The thread that runs coroutines (QEMU's AioContext in an IOThread), and who runs now.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};

use super::imp::{self, Fiber};
use super::waiter::Waiter;

pub(super) type Entry = Box<dyn FnOnce() + Send>;

enum Event {
    Enter(Coroutine),
    Stop,
}

/// A coroutine, from anywhere: it can be entered, and that is all.
#[derive(Clone)]
pub struct Coroutine(Arc<Inner>);

struct Inner {
    events: Sender<Event>,
    /// The first function; taken when it is entered first.
    entry: parking_lot::Mutex<Option<Entry>>,
    /// Index of its fiber in the leader's table, once it has one.
    fiber: AtomicUsize,
    /// It is in the queue of its context.
    queued: AtomicBool,
}

impl Coroutine {
    /// Lets its context run it soon: from its start, or from where it yielded. An entered coroutine
    /// that neither started nor yielded yet is entered once. After its end this does nothing.
    pub fn enter(&self) {
        if !self.0.queued.swap(true, Ordering::AcqRel) {
            // The context is gone only while the process ends: nobody is left to care.
            let _ = self.0.events.send(Event::Enter(self.clone()));
        }
    }
}

/// A thread that runs coroutines. It lives as long as the process unless [`AioContext::stop`]ped.
pub struct AioContext {
    events: Sender<Event>,
    live: Arc<AtomicUsize>,
}

impl AioContext {
    /// Starts the thread.
    pub fn start(name: &str) -> std::io::Result<Self> {
        let (events, receiver) = unbounded();
        let live = Arc::new(AtomicUsize::new(0));
        let counter = live.clone();
        imp::start_thread(name, move || Leader::new(receiver, counter))?;
        Ok(Self { events, live })
    }

    /// A coroutine that will run `entry` when it is entered.
    pub fn create(&self, entry: impl FnOnce() + Send + 'static) -> Coroutine {
        Coroutine(Arc::new(Inner {
            events: self.events.clone(),
            entry: parking_lot::Mutex::new(Some(Box::new(entry))),
            fiber: AtomicUsize::new(usize::MAX),
            queued: AtomicBool::new(false),
        }))
    }

    /// Creates and enters.
    pub fn spawn(&self, entry: impl FnOnce() + Send + 'static) {
        self.create(entry).enter();
    }

    /// Runs `work` as a coroutine and blocks the calling thread until it is done.
    pub fn block_on<R: Send + 'static>(&self, work: impl FnOnce() -> R + Send + 'static) -> R {
        let (sender, receiver) = mpsc::channel();
        self.spawn(move || {
            let _ = sender.send(work());
        });
        receiver.recv().expect("a coroutine runs to its end")
    }

    /// How many coroutines have started and not ended.
    pub fn live(&self) -> usize {
        self.live.load(Ordering::Acquire)
    }

    /// Ends the thread after what was entered before; coroutines that wait then never go on.
    pub fn stop(&self) {
        let _ = self.events.send(Event::Stop);
    }
}

/// Someone who sleeps until a deadline; the order is of deadlines, then of coming.
struct Sleeper {
    key: Reverse<(Instant, u64)>,
    waiter: Waiter,
}

impl PartialEq for Sleeper {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}
impl Eq for Sleeper {}
impl PartialOrd for Sleeper {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Sleeper {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key.cmp(&other.key)
    }
}

/// What the coroutines of a thread and its leader share.
#[derive(Default)]
struct Local {
    current: Option<Coroutine>,
    sleepers: BinaryHeap<Sleeper>,
    slept: u64,
}

thread_local! {
    static LOCAL: RefCell<Local> = RefCell::default();
}

fn with_local<R>(act: impl FnOnce(&mut Local) -> R) -> R {
    LOCAL.with_borrow_mut(act)
}

/// The coroutine that runs, if this is one.
pub fn current() -> Option<Coroutine> {
    with_local(|local| local.current.clone())
}

/// Whether a coroutine runs.
pub fn in_coroutine() -> bool {
    with_local(|local| local.current.is_some())
}

/// Runs `work` on the calling thread, which is no coroutine's: what it waits for blocks. It goes
/// through a pointer, since Asyncify would instrument what calls it directly for nothing.
pub fn blocking<R>(work: impl FnOnce() -> R) -> R {
    assert!(!in_coroutine(), "a coroutine must not block its thread");
    let mut answer = None;
    let job: Box<dyn FnOnce() + '_> = Box::new(|| answer = Some(work()));
    std::hint::black_box(job)();
    answer.expect("the work has been done")
}

/// Leaves the processor until somebody enters the coroutine. That may be somebody who meant an
/// earlier yield, so callers look again at what they wait for, or use a [`Waiter`].
pub fn yield_now() {
    assert!(in_coroutine(), "only a coroutine can yield");
    imp::suspend();
}

/// Waits for some time, at least.
pub fn sleep(duration: Duration) {
    if !in_coroutine() {
        return thread::sleep(duration);
    }
    let waiter = Waiter::new();
    with_local(|local| {
        local.slept += 1;
        local.sleepers.push(Sleeper {
            key: Reverse((Instant::now() + duration, local.slept)),
            waiter: waiter.clone(),
        });
    });
    waiter.wait();
}

/// Free fibers that are kept; QEMU keeps as many for each thread.
const FREE_FIBERS_MAX: usize = 64;

/// Decides who runs next. Lives on the context's thread.
pub(super) struct Leader {
    events: Receiver<Event>,
    live: Arc<AtomicUsize>,
    fibers: Vec<Option<Fiber>>,
    /// Fibers that have stacks and nothing to do.
    free: Vec<usize>,
    /// Indices without a fiber.
    vacant: Vec<usize>,
    running: Option<usize>,
}

impl Leader {
    fn new(events: Receiver<Event>, live: Arc<AtomicUsize>) -> Self {
        Self {
            events,
            live,
            fibers: Vec::new(),
            free: Vec::new(),
            vacant: Vec::new(),
            running: None,
        }
    }

    /// The fiber to switch to, when one has yielded or ended; `None` when the thread shall end.
    pub fn next(&mut self) -> Option<&mut Fiber> {
        self.leave();
        let coroutine = loop {
            match self.wait()? {
                coroutine if coroutine.0.fiber.load(Ordering::Relaxed) != usize::MAX => {
                    break coroutine;
                }
                coroutine => {
                    let entry = coroutine.0.entry.lock().take();
                    // Without one it has ended.
                    let Some(entry) = entry else { continue };
                    let fiber = self.prepare(entry);
                    coroutine.0.fiber.store(fiber, Ordering::Relaxed);
                    break coroutine;
                }
            }
        };
        let index = coroutine.0.fiber.load(Ordering::Relaxed);
        // Whoever enters it from now on queues it again; what others did before they found it
        // queued is seen. A plain store would do neither: it can come after the coroutine's loads.
        coroutine.0.queued.swap(false, Ordering::AcqRel);
        with_local(|local| local.current = Some(coroutine));
        self.running = Some(index);
        self.fibers[index].as_mut()
    }

    /// After a switch: whoever ran waits or has ended.
    fn leave(&mut self) {
        let left = with_local(|local| local.current.take());
        let (Some(index), Some(coroutine)) = (self.running.take(), left) else {
            return;
        };
        let fiber = self.fibers[index].as_ref().expect("it has just run");
        fiber.check_stack();
        if !fiber.is_idle() {
            return;
        }
        coroutine.0.fiber.store(usize::MAX, Ordering::Relaxed);
        self.live.fetch_sub(1, Ordering::AcqRel);
        if self.free.len() < FREE_FIBERS_MAX {
            self.free.push(index);
        } else {
            self.fibers[index] = None;
            self.vacant.push(index);
        }
    }

    /// The next coroutine that was entered; wakes sleepers meanwhile.
    fn wait(&mut self) -> Option<Coroutine> {
        loop {
            let event = match wake_sleepers() {
                None => self.events.recv().ok()?,
                Some(deadline) => match self.events.recv_deadline(deadline) {
                    Ok(event) => event,
                    Err(RecvTimeoutError::Timeout) => continue,
                    Err(RecvTimeoutError::Disconnected) => return None,
                },
            };
            match event {
                Event::Enter(coroutine) => return Some(coroutine),
                Event::Stop => return None,
            }
        }
    }

    /// A fiber that will run `entry`.
    fn prepare(&mut self, entry: Entry) -> usize {
        self.live.fetch_add(1, Ordering::AcqRel);
        let index = self.free.pop().unwrap_or_else(|| {
            let index = self.vacant.pop().unwrap_or(self.fibers.len());
            if index == self.fibers.len() {
                self.fibers.push(None);
            }
            self.fibers[index] = Some(Fiber::new());
            index
        });
        let fiber = self.fibers[index].as_mut().expect("free ones are there");
        fiber.set_entry(entry);
        index
    }
}

/// Enters those whose time has come; the next deadline.
fn wake_sleepers() -> Option<Instant> {
    let now = Instant::now();
    loop {
        let due = with_local(|local| {
            let Reverse((deadline, _)) = local.sleepers.peek()?.key;
            if deadline > now {
                return Some(Err(deadline));
            }
            local.sleepers.pop().map(Ok)
        });
        match due? {
            Ok(sleeper) => sleeper.waiter.notify(),
            Err(deadline) => return Some(deadline),
        }
    }
}
