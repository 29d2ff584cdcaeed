//! Locks that a coroutine may hold while it waits (QEMU's CoMutex, CoRwlock and CoQueue). They are
//! fair: who came first gets in first. Threads outside of coroutines may use them too.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};

use parking_lot::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::Waiter;

/// Who waits for something to happen, in the order of coming.
#[derive(Default)]
pub struct CoQueue {
    waiters: Mutex<VecDeque<Waiter>>,
}

impl CoQueue {
    pub fn new() -> Self {
        Self::default()
    }

    /// Joins the queue without waiting yet, so that a lock can be given back between.
    pub fn join(&self) -> Waiter {
        let waiter = Waiter::new();
        self.waiters.lock().push_back(waiter.clone());
        waiter
    }

    /// Waits for its turn.
    pub fn wait(&self) {
        self.join().wait();
    }

    /// Lets the first one go; false if nobody waits.
    pub fn wake_one(&self) -> bool {
        let first = self.waiters.lock().pop_front();
        first.inspect(Waiter::notify).is_some()
    }

    /// Lets all go who wait now.
    pub fn wake_all(&self) {
        let all = std::mem::take(&mut *self.waiters.lock());
        all.iter().for_each(Waiter::notify);
    }
}

/// A mutex that may be held across a wait.
#[derive(Default)]
pub struct CoMutex<T> {
    turn: Mutex<Turn>,
    value: Mutex<T>,
}

#[derive(Default)]
struct Turn {
    taken: bool,
    waiters: VecDeque<Waiter>,
}

/// The mutex is given back when this is dropped.
pub struct CoMutexGuard<'a, T> {
    mutex: &'a CoMutex<T>,
    value: Option<MutexGuard<'a, T>>,
}

impl<T> CoMutex<T> {
    pub const fn new(value: T) -> Self {
        Self {
            turn: Mutex::new(Turn {
                taken: false,
                waiters: VecDeque::new(),
            }),
            value: Mutex::new(value),
        }
    }

    /// Waits until nobody has it.
    pub fn lock(&self) -> CoMutexGuard<'_, T> {
        if let Some(waiter) = self.take_or_queue() {
            waiter.wait();
        }
        CoMutexGuard {
            mutex: self,
            value: Some(self.value.try_lock().expect("its turn excludes others")),
        }
    }

    /// The value, if nobody has it.
    pub fn try_lock(&self) -> Option<CoMutexGuard<'_, T>> {
        let mut turn = self.turn.lock();
        if std::mem::replace(&mut turn.taken, true) {
            return None;
        }
        drop(turn);
        Some(CoMutexGuard {
            mutex: self,
            value: Some(self.value.try_lock().expect("its turn excludes others")),
        })
    }

    fn take_or_queue(&self) -> Option<Waiter> {
        let mut turn = self.turn.lock();
        if !std::mem::replace(&mut turn.taken, true) {
            return None;
        }
        let waiter = Waiter::new();
        turn.waiters.push_back(waiter.clone());
        Some(waiter)
    }

    /// Hands the turn to the next one, so that nobody can come between.
    fn release(&self) {
        let mut turn = self.turn.lock();
        match turn.waiters.pop_front() {
            Some(next) => next.notify(),
            None => turn.taken = false,
        }
    }

    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T> Deref for CoMutexGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.value.as_ref().expect("there until it is dropped")
    }
}

impl<T> DerefMut for CoMutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("there until it is dropped")
    }
}

impl<T> Drop for CoMutexGuard<'_, T> {
    fn drop(&mut self) {
        self.value = None;
        self.mutex.release();
    }
}

/// Many readers or one writer, across waits; a writer that waits keeps later readers out.
#[derive(Default)]
pub struct CoRwLock<T> {
    turns: Mutex<Turns>,
    value: RwLock<T>,
}

#[derive(Default)]
struct Turns {
    readers: usize,
    writer: bool,
    waiters: VecDeque<(bool, Waiter)>,
}

impl Turns {
    fn admits(&self, write: bool) -> bool {
        !self.writer && (!write || self.readers == 0)
    }

    fn admit(&mut self, write: bool) {
        match write {
            true => self.writer = true,
            false => self.readers += 1,
        }
    }

    /// Lets in whoever may be let in, from the front.
    fn advance(&mut self) {
        while let Some(&(write, _)) = self.waiters.front() {
            if !self.admits(write) {
                return;
            }
            self.admit(write);
            if let Some((_, waiter)) = self.waiters.pop_front() {
                waiter.notify();
            }
        }
    }
}

/// Shared access, until it is dropped.
pub struct CoReadGuard<'a, T> {
    lock: &'a CoRwLock<T>,
    value: Option<RwLockReadGuard<'a, T>>,
}

/// Access for one, until it is dropped.
pub struct CoWriteGuard<'a, T> {
    lock: &'a CoRwLock<T>,
    value: Option<RwLockWriteGuard<'a, T>>,
}

impl<T> CoRwLock<T> {
    pub fn new(value: T) -> Self {
        Self {
            turns: Mutex::default(),
            value: RwLock::new(value),
        }
    }

    /// Waits until nobody writes or waits to write.
    pub fn read(&self) -> CoReadGuard<'_, T> {
        self.enter(false);
        CoReadGuard {
            lock: self,
            value: Some(self.value.try_read().expect("its turn excludes writers")),
        }
    }

    /// Waits until nobody else has it.
    pub fn write(&self) -> CoWriteGuard<'_, T> {
        self.enter(true);
        CoWriteGuard {
            lock: self,
            value: Some(self.value.try_write().expect("its turn excludes others")),
        }
    }

    fn enter(&self, write: bool) {
        if let Some(waiter) = self.admit_or_queue(write) {
            waiter.wait();
        }
    }

    fn admit_or_queue(&self, write: bool) -> Option<Waiter> {
        let mut turns = self.turns.lock();
        if turns.waiters.is_empty() && turns.admits(write) {
            turns.admit(write);
            return None;
        }
        let waiter = Waiter::new();
        turns.waiters.push_back((write, waiter.clone()));
        Some(waiter)
    }

    fn leave(&self, write: bool) {
        let mut turns = self.turns.lock();
        match write {
            true => turns.writer = false,
            false => turns.readers -= 1,
        }
        turns.advance();
    }
}

impl<T> Deref for CoReadGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.value.as_ref().expect("there until it is dropped")
    }
}

impl<T> Drop for CoReadGuard<'_, T> {
    fn drop(&mut self) {
        self.value = None;
        self.lock.leave(false);
    }
}

impl<T> Deref for CoWriteGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.value.as_ref().expect("there until it is dropped")
    }
}

impl<T> DerefMut for CoWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("there until it is dropped")
    }
}

impl<T> Drop for CoWriteGuard<'_, T> {
    fn drop(&mut self) {
        self.value = None;
        self.lock.leave(true);
    }
}
