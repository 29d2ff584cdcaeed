//! The vCPU threads: one for each vCPU (MTTCG), or one in which they take turns (round-robin, and
//! always under `-icount`).
//!
//! A thread sleeps on its `Sleeper` while its vCPUs are halted or the machine is paused. Whoever
//! changes what it waits for calls `Sleeper::wake` afterwards.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use parking_lot::MutexGuard;

use crate::cpu::Sleeper;
use crate::cpu_exec::{Engine, Stop};
use crate::guest::GuestCpu;
use crate::machine::{IcountConfig, Machine};

/// Instructions in a turn: some milliseconds.
const TURN_INSNS: i64 = 200_000;

/// A thread and the vCPUs in it.
pub(crate) struct Thread<G> {
    pub(crate) machine: Arc<Machine<G>>,
    pub(crate) sleeper: Arc<Sleeper>,
    pub(crate) cpus: Vec<Box<G>>,
}

impl<G: GuestCpu> Thread<G> {
    /// The thread's body; gives the vCPUs back when the machine quits.
    pub(crate) fn run(mut self) -> Vec<Box<G>> {
        let machine = self.machine.clone();
        let first = self.cpus[0].common().shared.index;
        let mut engine = Engine::new(&machine, first);
        while self.wait() {
            match &machine.config.icount {
                Some(icount) => self.turns_by_clock(&mut engine, icount),
                None if self.cpus.len() == 1 => {
                    engine.cpu_exec(&mut self.cpus[0]);
                }
                None => self.turns(&mut engine),
            }
        }
        self.cpus
            .iter()
            .for_each(|cpu| machine.drop_work(cpu.common().shared.index));
        self.cpus
    }

    /// Does queued work; sleeps while paused, or while there is nothing to run (unless virtual time
    /// may pass meanwhile). False ends the thread.
    fn wait(&mut self) -> bool {
        let machine = self.machine.clone();
        let sleeper = self.sleeper.clone();
        loop {
            self.cpus.iter_mut().for_each(|cpu| machine.do_work(cpu));
            let mut guard = sleeper.lock.lock();
            if machine.quitting.load(Ordering::SeqCst) {
                return false;
            }
            if self.has_queued_work() {
                continue;
            }
            if machine.pausing.load(Ordering::SeqCst) {
                self.park(&mut guard);
            } else if machine.config.icount.is_none() && !self.can_run() {
                sleeper.wake.wait(&mut guard);
            } else {
                return true;
            }
        }
    }

    /// Sleeps once, and counts as parked meanwhile.
    fn park(&self, guard: &mut MutexGuard<'_, ()>) {
        let machine = &self.machine;
        *machine.parked.lock() += 1;
        machine.parked_changed.notify_all();
        self.sleeper.wake.wait(guard);
        *machine.parked.lock() -= 1;
    }

    fn has_queued_work(&self) -> bool {
        let queued = |cpu: &G| cpu.common().shared.work_pending.load(Ordering::SeqCst);
        self.cpus.iter().any(|cpu| queued(cpu))
    }

    fn can_run(&self) -> bool {
        self.cpus
            .iter()
            .any(|cpu| !cpu.common().is_halted() || cpu.has_work())
    }

    fn is_wanted(&self) -> bool {
        self.cpus
            .iter()
            .any(|cpu| self.machine.wants(&cpu.common().shared))
    }

    /// One turn for each vCPU.
    fn turns(&mut self, engine: &mut Engine<'_, G>) {
        for at in 0..self.cpus.len() {
            self.cpus[at].common_mut().icount_start(TURN_INSNS);
            engine.cpu_exec(&mut self.cpus[at]);
            if self.is_wanted() {
                return;
            }
        }
    }

    /// One turn for each vCPU, each to end when the next timer is due.
    fn turns_by_clock(&mut self, engine: &mut Engine<'_, G>, icount: &IcountConfig) {
        icount.hooks.run_due_timers();
        if !self.can_run() {
            return self.idle(icount);
        }
        for at in 0..self.cpus.len() {
            let cpu = &mut self.cpus[at];
            if cpu.common().is_halted() && !cpu.has_work() {
                continue;
            }
            cpu.common_mut().icount_start(budget(icount));
            let stop = engine.cpu_exec(cpu);
            cpu.common_mut().icount_sync();
            if stop != Stop::Halted {
                icount.hooks.run_due_timers();
            }
            if self.is_wanted() {
                return;
            }
        }
    }

    /// All vCPUs wait: the clock goes on to the next deadline, at once or as the host's does.
    fn idle(&mut self, icount: &IcountConfig) {
        let deadline = icount.hooks.next_deadline_ns();
        let rest = deadline.map(|d| d.saturating_sub(icount.clock.now_ns()).max(0));
        if let (Some(rest), false) = (rest, icount.sleep) {
            return icount.clock.warp(rest);
        }
        let started = Instant::now();
        {
            let sleeper = self.sleeper.clone();
            let mut guard = sleeper.lock.lock();
            if self.can_run() || self.is_wanted() {
                return;
            }
            match rest {
                None => sleeper.wake.wait(&mut guard),
                Some(rest) => {
                    let limit = Duration::from_nanos(rest as u64);
                    sleeper.wake.wait_for(&mut guard, limit);
                }
            }
        }
        if icount.sleep {
            let passed = i64::try_from(started.elapsed().as_nanos()).unwrap_or(i64::MAX);
            icount
                .clock
                .warp(rest.map_or(passed, |rest| passed.min(rest)));
        }
    }
}

/// Instructions until the next deadline, or a turn's worth.
fn budget(icount: &IcountConfig) -> i64 {
    match icount.hooks.next_deadline_ns() {
        None => TURN_INSNS,
        Some(deadline) => {
            let rest = deadline.saturating_sub(icount.clock.now_ns());
            icount.clock.instructions(rest).min(TURN_INSNS)
        }
    }
}
