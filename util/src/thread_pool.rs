//! Threads for work that blocks (QEMU's `util/thread-pool.c`): files, block devices.
#![expect(
    unsafe_code,
    reason = "a worker uses what the stack of a waiting coroutine has"
)]

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
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
/// at once. What the work borrows stays where it is: this returns after the work's end, and the
/// stack of a coroutine that waits is never freed (`Fiber`'s drop).
pub fn run<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    if !in_coroutine() {
        return work();
    }
    let mut answer = None;
    let waiter = Waiter::new();
    // SAFETY: `wait` returns only after the job has run and let go of what it borrows.
    unsafe { submit_borrowing(answering(work, &mut answer, waiter.clone())) };
    waiter.wait();
    answer.expect("a worker answers before it notifies")
}

fn answering<'a, R: Send>(
    work: impl FnOnce() -> R + Send + 'a,
    answer: &'a mut Option<R>,
    waiter: Waiter,
) -> Box<dyn FnOnce() + Send + 'a> {
    Box::new(move || {
        *answer = Some(work());
        waiter.notify();
    })
}

/// Hands in a job that borrows.
///
/// # Safety
/// The caller keeps what the job borrows until the job has run.
unsafe fn submit_borrowing(job: Box<dyn FnOnce() + Send + '_>) {
    // SAFETY: only the lifetime changes, for which the caller stands.
    submit_boxed(unsafe { std::mem::transmute::<Box<dyn FnOnce() + Send + '_>, Job>(job) });
}
