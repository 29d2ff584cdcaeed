//! What every back end of coroutines must do: a table of checks that panic when they fail. Natively
//! a unit test runs it, under Node `tests/coroutine` does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::*;
use crate::thread_pool;

/// Each check with its name.
pub const CASES: &[(&str, fn())] = &[
    ("runs in order", runs_in_order),
    ("yields and goes on", yields_and_goes_on),
    ("keeps its locals", keeps_its_locals),
    ("deep stacks", deep_stacks),
    ("thousands wait at once", thousands_wait_at_once),
    ("stacks are used again", stacks_are_used_again),
    ("entered from other threads", entered_from_other_threads),
    ("entered early", entered_early),
    ("sleeps", sleeps),
    ("blocking work", blocking_work),
    ("mutex", mutex),
    ("rwlock", rwlock),
    ("queue", queue),
    ("outside of coroutines", outside_of_coroutines),
    ("stops", stops),
];

fn context() -> AioContext {
    AioContext::start("test").expect("a thread can be had")
}

fn runs_in_order() {
    let context = context();
    let seen = Arc::new(Mutex::new(Vec::new()));
    assert!(!in_coroutine());
    for number in 0..100 {
        let seen = seen.clone();
        context.spawn(move || {
            assert!(in_coroutine());
            seen.lock().push(number);
        });
    }
    context.block_on(|| ());
    assert_eq!(*seen.lock(), (0..100).collect::<Vec<_>>());
}

fn yields_and_goes_on() {
    let context = context();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let spawn = |name: char| {
        let seen = seen.clone();
        context.create(move || {
            for round in 0..3 {
                seen.lock().push((name, round));
                current().expect("this is a coroutine").enter();
                yield_now();
            }
        })
    };
    let (a, b) = (spawn('a'), spawn('b'));
    context.block_on(move || {
        a.enter();
        b.enter();
    });
    while context.live() > 0 {
        std::thread::yield_now();
    }
    let wanted = [('a', 0), ('b', 0), ('a', 1), ('b', 1), ('a', 2), ('b', 2)];
    assert_eq!(*seen.lock(), wanted);
}

/// Mixes its locals of several types with what others do in between.
fn mixed(seed: u64) -> (u64, f64, String) {
    let (mut integer, mut float, mut text) = (seed, seed as f64, String::new());
    let mut array = [0u32; 16];
    for round in 0..20u32 {
        array[(round % 16) as usize] += round ^ seed as u32;
        integer = integer.rotate_left(7).wrapping_mul(0x9e37_79b9) ^ u64::from(round);
        current().expect("this is a coroutine").enter();
        yield_now();
        float = float * 1.5 + f64::from(round);
        text.push(char::from(b'a' + (integer % 26) as u8));
    }
    (
        integer ^ u64::from(array.iter().fold(0, |a, b| a ^ b)),
        float,
        text,
    )
}

fn keeps_its_locals() {
    let context = Arc::new(context());
    // One after the other, then all at once.
    let alone: Vec<_> = (0..10)
        .map(|seed| context.block_on(move || mixed(seed)))
        .collect();
    let together = Arc::new(Mutex::new(vec![None; 10]));
    for seed in 0..10 {
        let together = together.clone();
        context.spawn(move || {
            let answer = mixed(seed);
            together.lock()[seed as usize] = Some(answer);
        });
    }
    wait_until(|| together.lock().iter().all(Option::is_some));
    let together: Vec<_> = together.lock().drain(..).flatten().collect();
    assert_eq!(alone, together);
}

fn wait_until(done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "it never happens"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Yields at the bottom of a recursion, and checks every frame on the way back.
fn recurse(depth: u32) -> u32 {
    let mark = std::hint::black_box(depth * 3);
    if depth == 0 {
        sleep(Duration::from_millis(1));
        return 0;
    }
    let below = recurse(depth - 1);
    assert_eq!(mark, depth * 3);
    below + 1
}

fn deep_stacks() {
    let context = context();
    assert_eq!(context.block_on(|| recurse(200)), 200);
}

fn thousands_wait_at_once() {
    const COUNT: usize = 2000;
    let context = context();
    let gate = Arc::new(CoQueue::new());
    let passed = Arc::new(AtomicUsize::new(0));
    for number in 0..COUNT {
        let (gate, passed) = (gate.clone(), passed.clone());
        context.spawn(move || {
            let own = number;
            gate.wait();
            assert_eq!(own, number);
            passed.fetch_add(1, Ordering::Relaxed);
        });
    }
    context.block_on(|| ());
    // All but the one that block_on made, which may not have been counted out yet.
    wait_until(|| context.live() == COUNT);
    assert_eq!(passed.load(Ordering::Relaxed), 0);
    gate.wake_all();
    wait_until(|| context.live() == 0);
    assert_eq!(passed.load(Ordering::Relaxed), COUNT);
}

fn stacks_are_used_again() {
    let context = context();
    for round in 0..1000u64 {
        assert_eq!(context.block_on(move || mixed_once(round)), round + 1);
    }
}

fn mixed_once(round: u64) -> u64 {
    current().expect("this is a coroutine").enter();
    yield_now();
    round + 1
}

fn entered_from_other_threads() {
    let context = context();
    let total = Arc::new(AtomicUsize::new(0));
    for _ in 0..50 {
        let total = total.clone();
        context.spawn(move || {
            for _ in 0..10 {
                let waiter = Waiter::new();
                let other = waiter.clone();
                thread_pool::submit(move || other.notify());
                waiter.wait();
                total.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    wait_until(|| total.load(Ordering::Relaxed) == 500);
}

/// Who enters a coroutine before it yields does not enter it for nothing; twice is once.
fn entered_early() {
    let context = context();
    let turns = context.block_on(|| {
        let me = current().expect("this is a coroutine");
        me.enter();
        me.enter();
        yield_now();
        let late = me.clone();
        let entered = Arc::new(AtomicBool::new(false));
        let flag = entered.clone();
        thread_pool::submit(move || {
            std::thread::sleep(Duration::from_millis(20));
            flag.store(true, Ordering::Release);
            late.enter();
        });
        yield_now();
        entered.load(Ordering::Acquire)
    });
    assert!(turns);
}

fn sleeps() {
    let context = context();
    let order = Arc::new(Mutex::new(Vec::new()));
    for ms in [30u64, 10, 20] {
        let order = order.clone();
        context.spawn(move || {
            let start = Instant::now();
            sleep(Duration::from_millis(ms));
            assert!(start.elapsed() >= Duration::from_millis(ms));
            order.lock().push(ms);
        });
    }
    wait_until(|| order.lock().len() == 3);
    assert_eq!(*order.lock(), [10, 20, 30]);
}

/// While one waits for a worker, others run; answers come back to who asked.
fn blocking_work() {
    let context = context();
    let started = Arc::new(AtomicBool::new(false));
    let (free, flag) = (started.clone(), started.clone());
    let answers = Arc::new(Mutex::new(Vec::new()));
    let first = answers.clone();
    context.spawn(move || {
        let answer = thread_pool::run(move || {
            wait_until(|| flag.load(Ordering::Acquire));
            42
        });
        first.lock().push(answer);
    });
    context.spawn(move || free.store(true, Ordering::Release));
    for number in 0..100 {
        let answers = answers.clone();
        context.spawn(move || {
            let answer = thread_pool::run(move || number * 2);
            assert_eq!(answer, number * 2);
            answers.lock().push(answer);
        });
    }
    wait_until(|| answers.lock().len() == 101);
}

fn mutex() {
    let context = context();
    let value = Arc::new(CoMutex::new(0u32));
    for _ in 0..50 {
        let value = value.clone();
        context.spawn(move || {
            for _ in 0..10 {
                let mut guard = value.lock();
                let seen = *guard;
                sleep(Duration::from_micros(10));
                *guard = seen + 1;
            }
        });
    }
    // A thread takes its turns, too.
    for _ in 0..10 {
        *value.lock() += 1;
    }
    wait_until(|| value.try_lock().is_some_and(|value| *value == 510));
}

fn rwlock() {
    let context = context();
    let pair = Arc::new(CoRwLock::new((0u32, 0u32)));
    let done = Arc::new(AtomicUsize::new(0));
    let most = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
    for number in 0..60 {
        let (pair, done, most) = (pair.clone(), done.clone(), most.clone());
        context.spawn(move || {
            if number % 3 == 0 {
                let mut both = pair.write();
                both.0 += 1;
                sleep(Duration::from_micros(50));
                both.1 += 1;
            } else {
                let both = pair.read();
                let readers = most.0.fetch_add(1, Ordering::Relaxed) + 1;
                most.1.fetch_max(readers, Ordering::Relaxed);
                assert_eq!(both.0, both.1);
                sleep(Duration::from_micros(50));
                assert_eq!(both.0, both.1);
                most.0.fetch_sub(1, Ordering::Relaxed);
            }
            done.fetch_add(1, Ordering::Relaxed);
        });
    }
    wait_until(|| done.load(Ordering::Relaxed) == 60);
    assert_eq!(*pair.read(), (20, 20));
    assert!(most.1.load(Ordering::Relaxed) > 1, "readers share");
}

fn queue() {
    let context = context();
    let queue = Arc::new(CoQueue::new());
    let seen = Arc::new(Mutex::new(Vec::new()));
    for number in 0..5 {
        let (queue, seen) = (queue.clone(), seen.clone());
        context.spawn(move || {
            queue.wait();
            seen.lock().push(number);
        });
    }
    context.block_on(|| ());
    for count in 1..=5 {
        assert!(queue.wake_one());
        wait_until(|| seen.lock().len() == count);
    }
    assert!(!queue.wake_one());
    assert_eq!(*seen.lock(), [0, 1, 2, 3, 4]);
}

fn outside_of_coroutines() {
    assert!(!in_coroutine() && current().is_none());
    assert_eq!(thread_pool::run(|| 7), 7);
    let waiter = Waiter::new();
    let other = waiter.clone();
    thread_pool::submit(move || other.notify());
    waiter.wait();
    *CoMutex::new(1).lock() += 1;
}

fn stops() {
    let context = context();
    assert_eq!(context.block_on(|| 1), 1);
    context.stop();
}
