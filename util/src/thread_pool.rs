//! Threads for work that blocks (QEMU's `util/thread-pool.c`): files, block devices.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex};
use std::thread;

use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::coroutine::{Waiter, in_coroutine};

type Job = Box<dyn FnOnce() + Send>;

/// At most this many calls block at a time. Under emscripten each worker takes some MiB.
pub const WORKERS_MAX: usize = if cfg!(target_os = "emscripten") {
    4
} else {
    16
};

struct Pool {
    sender: Sender<Job>,
    receiver: Receiver<Job>,
    workers: AtomicUsize,
    /// Jobs that were handed in and have not ended.
    jobs: AtomicUsize,
}

static POOL: LazyLock<Pool> = LazyLock::new(|| {
    let (sender, receiver) = unbounded();
    Pool {
        sender,
        receiver,
        workers: AtomicUsize::new(0),
        jobs: AtomicUsize::new(0),
    }
});

/// Hands `job` to a worker.
pub fn submit(job: impl FnOnce() + Send + 'static) {
    submit_boxed(Box::new(job));
}

fn submit_boxed(job: Job) {
    let jobs = POOL.jobs.fetch_add(1, Ordering::AcqRel) + 1;
    if jobs > POOL.workers.load(Ordering::Acquire) {
        add_worker();
    }
    POOL.sender.send(job).expect("the pool keeps its receiver");
}

/// One more, unless there are enough. A host that gives no thread leaves the work to the others.
fn add_worker() {
    let more = |count: usize| (count < WORKERS_MAX).then_some(count + 1);
    let added = POOL
        .workers
        .fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
    let Ok(number) = added else { return };
    let spawned = thread::Builder::new()
        .name(format!("worker-{number}"))
        .spawn(|| {
            for job in &POOL.receiver {
                job();
                POOL.jobs.fetch_sub(1, Ordering::AcqRel);
            }
        });
    if let Err(error) = spawned {
        POOL.workers.fetch_sub(1, Ordering::AcqRel);
        assert!(number > 1, "no thread for blocking work: {error}");
    }
}

/// Runs work that blocks: from a coroutine on a worker, while the coroutine waits; from elsewhere
/// at once.
pub fn run<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    if !in_coroutine() {
        return work();
    }
    let waiter = Waiter::new();
    let answer = std::sync::Arc::new(Mutex::new(None));
    submit_boxed(answering(work, answer.clone(), waiter.clone()));
    waiter.wait();
    let mut answer = answer.lock().expect("nobody panics with it");
    answer.take().expect("a worker answers before it notifies")
}

type Answer<R> = std::sync::Arc<Mutex<Option<R>>>;

fn answering<R: Send + 'static>(
    work: impl FnOnce() -> R + Send + 'static,
    answer: Answer<R>,
    waiter: Waiter,
) -> Job {
    Box::new(move || {
        let result = work();
        *answer.lock().expect("nobody panics with it") = Some(result);
        waiter.notify();
    })
}
