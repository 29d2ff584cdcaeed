//! The execution loop of one vCPU: exceptions, requests, interrupts, blocks.
//!
//! The vCPU *runs* (see `exclusive.rs`) while it holds a block: from `enter` to `leave`. Whatever
//! needs all vCPUs out (first code in a page, a full code buffer) happens between a `leave` and the
//! next `enter`, after which nothing found before is used.

use tcg::cpu_state::NO_EXCEPTION;
use tcg::exec::Exit;
use tcg::tb::TB_CF_TWO_PAGES;
use util::log::Item;

use std::sync::atomic::Ordering;

use crate::cpu::{Alone, internal_exception};
use crate::env::{self, Env};
use crate::guest::GuestCpu;
use crate::jit::{JitThread, NEVER};
use crate::machine::Machine;
use crate::tb_ref::{self, TbRef};
use crate::translator::{self, CF_NO_CHAIN, Failure, Scratch, Start, count_flags};

/// Why the loop returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The vCPU waits for an interrupt.
    Halted,
    /// Its turn, or its instructions, are used up.
    Budget,
    /// Its thread has something else to do.
    Request,
}

/// A vCPU thread's means of execution.
pub(crate) struct Engine<'a, G> {
    machine: &'a Machine<G>,
    scratch: Scratch,
    jit: Option<JitThread>,
}

impl<'a, G: GuestCpu> Engine<'a, G> {
    /// For thread number `thread` of those that run vCPUs.
    pub(crate) fn new(machine: &'a Machine<G>, thread: usize) -> Self {
        let jit = machine.jit.as_ref();
        Self {
            machine,
            scratch: Scratch::default(),
            jit: jit.map(|jit| JitThread::new(jit.clone(), thread)),
        }
    }

    /// Runs the vCPU until there is a reason to stop.
    pub(crate) fn cpu_exec(&mut self, cpu: &mut G) -> Stop {
        loop {
            // An instruction that is run alone may itself raise one.
            while cpu.common().state.exception != NO_EXCEPTION {
                self.take_exception(cpu);
            }
            if let Some(stop) = self.take_requests(cpu) {
                return stop;
            }
            self.run_blocks(cpu);
        }
    }

    fn take_exception(&mut self, cpu: &mut G) {
        let exception = cpu.common().state.exception;
        match exception {
            internal_exception::ALONE => self.run_alone(cpu, Alone::Yes),
            internal_exception::EXCLUSIVE => self.run_alone(cpu, Alone::Exclusive),
            _ => {
                cpu.common_mut().stats.exceptions += 1;
                let index = cpu.common().shared.index;
                let pc = cpu.pc();
                util::qemu_log!(
                    Item::Int,
                    "vCPU {index}: exception {exception} at {pc:#x}\n"
                );
                cpu.do_exception();
            }
        }
    }

    /// Looks at what others want, and at interrupts.
    fn take_requests(&mut self, cpu: &mut G) -> Option<Stop> {
        let shared = &cpu.common().shared;
        let asked = shared.exit_request.load(Ordering::Relaxed) != 0;
        if asked {
            // Cleared first: what is asked from here on is asked again.
            shared.exit_request.store(0, Ordering::SeqCst);
        }
        if self.machine.wants(shared) {
            return Some(Stop::Request);
        }
        if cpu.common().is_halted() {
            if !cpu.has_work() {
                return Some(Stop::Halted);
            }
            cpu.common().shared.halted.store(false, Ordering::SeqCst);
        }
        if cpu.do_interrupt() {
            cpu.common_mut().stats.interrupts += 1;
            let index = cpu.common().shared.index;
            util::qemu_log!(Item::Int, "vCPU {index}: interrupt, to {:#x}\n", cpu.pc());
        }
        if self.machine.counts() && cpu.common().state.icount_left <= 0 {
            return Some(Stop::Budget);
        }
        (asked && self.machine.takes_turns()).then_some(Stop::Request)
    }

    /// The vCPU runs from here on, and knows of all changes to the cache.
    fn enter(&mut self, cpu: &mut G) {
        self.machine.exclusive.enter(&cpu.common().shared);
        if let Some(jit) = &mut self.jit {
            jit.enter(self.machine.tbs.flush_count());
        }
        let common = cpu.common_mut();
        if common.shared.protect_pending.swap(false, Ordering::SeqCst) {
            let pages = std::mem::take(&mut *common.shared.protect.lock());
            common.tlb_protect_pages(&pages);
        }
        let generation = self.machine.tbs.jump_generation();
        if generation != common.jump_generation {
            common.jump_generation = generation;
            common.jumps_flush();
        }
    }

    fn leave(&self, cpu: &G) {
        self.machine.exclusive.leave(&cpu.common().shared);
    }

    /// Runs blocks until something wants the loop's attention.
    fn run_blocks(&mut self, cpu: &mut G) {
        self.enter(cpu);
        let mut next = self.next_block(cpu, self.machine.cflags());
        while let Some(tb) = next {
            next = match self.run(cpu, tb) {
                Exit::Slot { tb, slot } => self.follow(cpu, tb as usize, slot),
                Exit::Lookup => self.next_block(cpu, self.machine.cflags()),
                Exit::Hot { tb } => self.heat(cpu, tb as usize),
                Exit::Main => None,
                Exit::Request { tb } => self.requested(cpu, tb as usize),
                Exit::Exception { tb, position } => {
                    self.restore(cpu, tb as usize, position);
                    None
                }
                Exit::ExceptionAt { tb, insn } => {
                    self.restore_insn(cpu, tb as usize, insn);
                    None
                }
            };
        }
        self.leave(cpu);
    }

    fn run(&mut self, cpu: &mut G, tb: TbRef) -> Exit {
        if util::log::enabled(Item::Exec) || util::log::enabled(Item::Cpu) {
            log_block(cpu, tb);
        }
        let thread = self.jit.as_ref().map(JitThread::thread);
        let budget = cpu.common().state.icount_left;
        let exit = tb_ref::run(
            &mut Env {
                cpu,
                machine: self.machine,
                thread,
            },
            tb,
        );
        let common = cpu.common_mut();
        let stats = &mut common.stats;
        if common.icount.is_some() {
            stats.insns_counted += budget.wrapping_sub(common.state.icount_left) as u64;
        }
        stats.exits += 1;
        match exit {
            Exit::Main => stats.exits_main += 1,
            Exit::Request { .. } => stats.exits_request += 1,
            Exit::Slot { .. } | Exit::Lookup => stats.exits_lookup += 1,
            Exit::Exception { .. } | Exit::ExceptionAt { .. } | Exit::Hot { .. } => (),
        }
        exit
    }

    /// An exit without a link was taken: finds where it leads, and links it.
    fn follow(&mut self, cpu: &mut G, from: usize, slot: u8) -> Option<TbRef> {
        let seen = self.machine.tbs.flush_count();
        let to = self.next_block(cpu, self.machine.cflags())?;
        let cflags = to.header().cflags.load(Ordering::Relaxed);
        let linkable = cflags & (TB_CF_TWO_PAGES | CF_NO_CHAIN) == 0;
        if linkable
            && seen == self.machine.tbs.flush_count()
            && let Some(from) = TbRef::from_address(from)
        {
            self.machine.tbs.link(from, slot, to);
        }
        Some(to)
    }

    /// A block that is run often: it, or what is around it, is compiled.
    fn heat(&mut self, cpu: &mut G, tb: usize) -> Option<TbRef> {
        let tb = TbRef::from_address(tb)?;
        match &mut self.jit {
            Some(jit) => jit.heat(self.machine, cpu, tb),
            None => tb.header().reset_counts(NEVER),
        }
        Some(tb)
    }

    /// A block was not entered: somebody wants the vCPU, or its budget is too small for the block.
    fn requested(&mut self, cpu: &mut G, tb: usize) -> Option<TbRef> {
        let tb = TbRef::from_address(tb)?;
        let (pc, count) = (tb.header().pc, i64::from(tb.header().icount));
        cpu.set_pc(pc);
        let common = cpu.common_mut();
        let in_region = std::mem::take(&mut common.asked_in_region);
        if common.shared.sample.swap(false, Ordering::Relaxed) {
            let bytes = self.machine.tbs.bytes_of(tb);
            self.machine.profile.note(pc, bytes, in_region);
        }
        let left = common.state.icount_left;
        if common.shared.exit_request.load(Ordering::Relaxed) != 0 || left <= 0 || left >= count {
            return None;
        }
        if common.icount.is_none() {
            // The end of a turn need not be exact.
            common.icount_start(0);
            return None;
        }
        self.next_block(cpu, count_flags(left as u32) | CF_NO_CHAIN)
    }

    /// Makes the CPU's state that of the instruction that raised an exception.
    fn restore(&mut self, cpu: &mut G, tb: usize, position: u32) {
        let Some(tb) = TbRef::from_address(tb) else {
            return;
        };
        let found = self.machine.tbs.find_insn(tb, position);
        self.restore_to(cpu, tb, found);
    }

    /// The same for an instruction by its number in the block.
    fn restore_insn(&mut self, cpu: &mut G, tb: usize, insn: u32) {
        let Some(tb) = TbRef::from_address(tb) else {
            return;
        };
        let found = self.machine.tbs.nth_insn(tb, insn);
        self.restore_to(cpu, tb, found);
    }

    /// `found` has the words of the `insn_start`, and how many instructions are complete.
    fn restore_to(&mut self, cpu: &mut G, tb: TbRef, found: Option<(u64, u64, u32)>) {
        let (pc, extra, done) = found.expect("each op belongs to an instruction");
        if self.machine.counts() {
            let not_done = tb.header().icount.saturating_sub(done);
            cpu.common_mut().state.icount_left += i64::from(not_done);
        }
        cpu.restore_state(pc, extra);
    }

    /// The block at the CPU's pc, translated if need be; `None` with an exception pending, or when
    /// a request is better looked at first.
    fn next_block(&mut self, cpu: &mut G, cflags: u32) -> Option<TbRef> {
        let usual = cflags == self.machine.cflags() && cflags & CF_NO_CHAIN == 0;
        if usual && let Some(tb) = env::recall(cpu) {
            return Some(tb);
        }
        loop {
            let mmu_idx = cpu.fetch_mmu_idx();
            let pc = cpu.pc();
            let Ok((page, ram)) = translator::fetch_page(cpu, pc, mmu_idx) else {
                return None;
            };
            let (once, global) = (page.is_once(), page.is_global());
            // A permission that holds for one fetch makes a block of one instruction.
            let cflags = if once {
                count_flags(1) | CF_NO_CHAIN
            } else {
                cflags
            };
            let key = env::key(cpu, ram, cflags);
            let found = match env::find_block(self.machine, cpu, &key) {
                Some(tb) => Ok(tb),
                None => {
                    let start = Start { key, ram, mmu_idx };
                    translator::generate(self.machine, &mut self.scratch, cpu, &start)
                }
            };
            match found {
                Ok(tb) => {
                    if usual && !once {
                        cpu.common_mut().jumps_enter(pc, tb, global);
                    }
                    return Some(tb);
                }
                Err(Failure::Fault) => return None,
                Err(Failure::Protect(page)) => self.protect(cpu, page),
                Err(Failure::Full) => self.flush(cpu),
            }
        }
    }

    /// Stores to a RAM page are seen from here on, by whatever vCPU.
    fn protect(&mut self, cpu: &mut G, page: u32) {
        self.leave(cpu);
        {
            let section = self.machine.exclusive.start();
            self.machine.tbs.mark(page, &cpu.common().shared, &section);
        }
        cpu.common_mut().tlb_protect(page);
        self.enter(cpu);
    }

    /// Throws all blocks away.
    fn flush(&mut self, cpu: &mut G) {
        let seen = self.machine.tbs.flush_count();
        self.leave(cpu);
        {
            let section = self.machine.exclusive.start();
            self.machine.tbs.flush(seen, &section);
            if let Some(jit) = &self.machine.jit {
                jit.store.clear();
            }
        }
        self.enter(cpu);
    }

    /// Runs the instruction at the pc in a block of its own, which returns here.
    fn run_alone(&mut self, cpu: &mut G, how: Alone) {
        cpu.common_mut().clear_exception();
        let cflags = count_flags(1) | CF_NO_CHAIN;
        self.enter(cpu);
        let Some(mut tb) = self.next_block(cpu, cflags) else {
            return self.leave(cpu);
        };
        let mut section = None;
        if how == Alone::Exclusive {
            self.leave(cpu);
            section = Some(self.machine.exclusive.start());
            // Somebody may have thrown it away meanwhile; then all is tried again.
            match self.known_alone(cpu, cflags) {
                Some(found) => tb = found,
                None => return,
            }
        }
        cpu.common_mut().alone = how;
        let exit = self.run(cpu, tb);
        cpu.common_mut().alone = Alone::No;
        match exit {
            Exit::Exception { tb, position } => self.restore(cpu, tb as usize, position),
            Exit::ExceptionAt { tb, insn } => self.restore_insn(cpu, tb as usize, insn),
            Exit::Request { tb } => {
                self.requested(cpu, tb as usize);
            }
            Exit::Slot { .. } | Exit::Lookup | Exit::Main | Exit::Hot { .. } => (),
        }
        if section.is_none() {
            self.leave(cpu);
        }
    }

    fn known_alone(&self, cpu: &mut G, cflags: u32) -> Option<TbRef> {
        let (pc, mmu_idx) = (cpu.pc(), cpu.fetch_mmu_idx());
        let (_, ram) = translator::fetch_page(cpu, pc, mmu_idx).ok()?;
        let key = env::key(cpu, ram, cflags);
        env::find_block(self.machine, cpu, &key)
    }
}

fn log_block<G: GuestCpu>(cpu: &G, tb: TbRef) {
    let header = tb.header();
    if !util::log::in_filter(header.pc) {
        return;
    }
    let index = cpu.common().shared.index;
    util::qemu_log!(
        Item::Exec,
        "Trace {index}: {:#x} [{:016x}/{:08x}/{:08x}]\n",
        tb.address(),
        header.pc,
        header.tb_flags,
        header.cflags.load(Ordering::Relaxed)
    );
    util::qemu_log!(Item::Cpu, "{}", cpu.dump());
}
