//! What every vCPU has, whatever its architecture.
//!
//! A [`CpuCommon`] belongs to the vCPU's thread; other threads see its [`VcpuShared`] only.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use include::{AddressSpace, Clock, IrqSink, PhysAddr};
use parking_lot::{Condvar, Mutex};
use tcg::CpuState;
use tcg::cpu_state::{
    JUMP_CACHE_ENTRIES, JumpCacheEntry, MMU_MODES, NO_EXCEPTION, SLOTS, TLB_ENTRIES, TlbEntry,
};

use crate::icount::IcountClock;
use crate::jump_cache::JumpBook;
use crate::ram::HostPage;
use crate::stats::CpuStats;
use crate::tb_cache::TbCache;
use crate::tlb::Tlb;

/// Where a thread of vCPUs sleeps.
#[derive(Default)]
pub(crate) struct Sleeper {
    pub(crate) lock: Mutex<()>,
    pub(crate) wake: Condvar,
    /// The vCPUs that take turns in this thread, if more than one does.
    pub(crate) turns: OnceLock<Vec<Weak<VcpuShared>>>,
}

impl Sleeper {
    /// Wakes the thread, and ends the turn of the vCPU that runs in it. What the thread waits for
    /// was changed before this call.
    pub(crate) fn wake(&self) {
        for vcpu in self
            .turns
            .get()
            .into_iter()
            .flatten()
            .filter_map(Weak::upgrade)
        {
            vcpu.exit_request.store(1, Ordering::SeqCst);
        }
        let _guard = self.lock.lock();
        self.wake.notify_all();
    }
}

/// The side of a vCPU that other threads see.
#[derive(Default)]
pub struct VcpuShared {
    pub index: usize,
    /// See `CpuState::exit_request`.
    pub exit_request: AtomicU32,
    /// Levels of the CPU's interrupt inputs, by the guest's numbers (RISC-V: bits of `mip`).
    pub irq_levels: AtomicU64,
    /// The CPU waits for an interrupt (WFI). Only its own thread changes it.
    pub halted: AtomicBool,
    /// The CPU is in or about to enter generated code (see `exclusive.rs`).
    pub(crate) running: AtomicBool,
    /// A sample is wanted (see `profile.rs`).
    pub(crate) sample: AtomicBool,
    /// Work is queued for it (see `vcpus.rs`).
    pub(crate) work_pending: AtomicBool,
    /// RAM pages that now hold code: the vCPU must take away its right to store there unseen.
    pub(crate) protect: Mutex<Vec<u32>>,
    pub(crate) protect_pending: AtomicBool,
    /// Its thread's bed, once it has a thread.
    pub(crate) sleeper: OnceLock<Arc<Sleeper>>,
}

impl VcpuShared {
    /// Makes the vCPU leave generated code soon, or wakes it.
    pub fn kick(&self) {
        self.exit_request.store(1, Ordering::SeqCst);
        if let Some(sleeper) = self.sleeper.get() {
            sleeper.wake();
        }
    }
}

impl IrqSink for VcpuShared {
    fn set_irq(&self, number: u32, level: bool) {
        let bit = 1u64 << (number & 63);
        if level {
            let old = self.irq_levels.fetch_or(bit, Ordering::SeqCst);
            if old & bit == 0 {
                self.kick();
            }
        } else {
            self.irq_levels.fetch_and(!bit, Ordering::SeqCst);
        }
    }
}

/// Exceptions of the accelerator's own in `CpuState::exception`; guests number theirs elsewhere.
pub(crate) mod internal_exception {
    /// The instruction must be run alone: it stores to code, or reads a device under `-icount`.
    pub const ALONE: i64 = i64::MIN + 1;
    /// The instruction must be run alone while no other vCPU runs.
    pub const EXCLUSIVE: i64 = i64::MIN + 2;
}

/// How the instruction that runs now was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Alone {
    /// In a block like any other.
    No,
    /// In a block of its own: what it does ends the block.
    Yes,
    /// And no other vCPU runs.
    Exclusive,
}

/// First field of every guest CPU.
#[repr(C)]
pub struct CpuCommon {
    /// Must stay first: generated code finds it at the CPU's address.
    pub state: CpuState,
    pub shared: Arc<VcpuShared>,
    pub memory: Arc<dyn AddressSpace>,
    pub clock: Arc<dyn Clock>,
    pub(crate) tlb: Tlb,
    pub(crate) jumps: JumpBook,
    /// The blocks, once the CPU belongs to an accelerator.
    pub(crate) tbs: Option<Arc<TbCache>>,
    pub(crate) alone: Alone,
    /// Other vCPUs run in other threads.
    pub(crate) parallel: bool,
    /// `TbCache::jump_generation` that the jump cache is good for.
    pub(crate) jump_generation: u64,
    /// `-icount`, or slices of instructions: see `icount.rs`.
    pub(crate) icount: Option<Arc<IcountClock>>,
    /// Instructions of the running slice (what `CpuState::icount_left` was at its start).
    pub(crate) icount_budget: i64,
    /// By a hash of the RAM page: the page, and how often data in it was stored lately.
    pub(crate) mixed_pages: [(u32, u32); MIXED_PAGES],
    pub(crate) stats: CpuStats,
    /// The last request was seen in WebAssembly.
    pub(crate) asked_in_region: bool,
    /// The block that is hot is so because of a loop that has been long in a region already.
    pub(crate) long_loop: bool,
}

/// Pages with code and data that are watched at a time.
const MIXED_PAGES: usize = 16;
/// So many stores to data beside code are seen one by one, before it is asked whether the code is
/// still worth it.
pub(crate) const MIXED_STORES: u32 = 128;

impl CpuCommon {
    /// vCPU number `index` after power-on, not yet part of an accelerator.
    pub fn new(index: usize, memory: Arc<dyn AddressSpace>, clock: Arc<dyn Clock>) -> Self {
        let shared = Arc::new(VcpuShared {
            index,
            ..VcpuShared::default()
        });
        let empty = JumpCacheEntry {
            pc: 0,
            flags_gen: 0,
            tb: 0,
        };
        Self {
            state: CpuState {
                slots: [0; SLOTS],
                exit_request: &raw const shared.exit_request,
                exception: NO_EXCEPTION,
                flags_gen: 1 << 32,
                icount_left: 0,
                tb_instance_offset: 0,
                fault_insn: 0,
                tlb: [[TlbEntry::EMPTY; TLB_ENTRIES]; MMU_MODES],
                jump_cache: [empty; JUMP_CACHE_ENTRIES],
            },
            shared,
            memory,
            clock,
            tlb: Tlb::new(),
            jumps: JumpBook::new(),
            tbs: None,
            alone: Alone::No,
            parallel: false,
            jump_generation: 0,
            icount: None,
            icount_budget: 0,
            mixed_pages: [(u32::MAX, 0); MIXED_PAGES],
            stats: CpuStats::default(),
            asked_in_region: false,
            long_loop: false,
        }
    }

    /// Leaves a guest exception pending.
    pub fn raise(&mut self, exception: i64) {
        self.state.exception = exception;
    }

    /// No exception is pending any more.
    pub fn clear_exception(&mut self) {
        self.state.exception = NO_EXCEPTION;
    }

    /// Makes generated code return to the execution loop at the next block.
    pub fn request_exit(&self) {
        self.shared.exit_request.store(1, Ordering::SeqCst);
    }

    /// Halts the CPU until [`GuestCpu::has_work`](crate::GuestCpu::has_work) says so; the
    /// instruction must end its block with `TbExit::Main`.
    pub fn halt(&mut self) {
        self.shared.halted.store(true, Ordering::SeqCst);
    }

    /// The CPU waits for an interrupt.
    pub fn is_halted(&self) -> bool {
        self.shared.halted.load(Ordering::SeqCst)
    }

    /// A cycle counter: instructions under `-icount`, else nanoseconds.
    pub fn cycles(&mut self) -> u64 {
        match self.icount_executed() {
            Some(count) => count,
            None => self.clock.now_ns(include::ClockType::Virtual) as u64,
        }
    }

    /// Loads 8 aligned bytes of RAM for a page-table walk; `None` where there is no RAM.
    pub fn phys_ldq(&mut self, addr: PhysAddr) -> Option<u64> {
        self.phys_load(addr, 8)
    }

    /// Loads 4 aligned bytes of RAM for a page-table walk; `None` where there is no RAM.
    pub fn phys_ldl(&mut self, addr: PhysAddr) -> Option<u32> {
        self.phys_load(addr, 4).map(|value| value as u32)
    }

    /// Compares 8 aligned bytes of RAM with `old` and stores `new` if they are the same, as one
    /// atomic step; returns what was there. `None` where there is no RAM that can be written.
    pub fn phys_cmpxchgq(&mut self, addr: PhysAddr, old: u64, new: u64) -> Option<u64> {
        let page = self.memory.ram_page(addr)?;
        if !page.writable || addr.0 & 7 != 0 {
            return None;
        }
        let seen = HostPage::new(&page).cmpxchg(addr.0, 8, old, new);
        if seen == old {
            self.stored(page.index, addr.0, 8);
        }
        Some(seen)
    }

    fn phys_load(&self, addr: PhysAddr, bytes: u64) -> Option<u64> {
        let page = self.memory.ram_page(addr)?;
        (addr.0 & (bytes - 1) == 0).then(|| HostPage::new(&page).load(addr.0, bytes))
    }

    /// Data was stored the slow way because code is in its page. Often that code is long dead: a
    /// page that had a program once, and has something else now.
    pub(crate) fn stored_beside_code(&mut self, page: u32) {
        self.stats.slow_stores += 1;
        let entry = &mut self.mixed_pages[page as usize % MIXED_PAGES];
        if entry.0 != page {
            *entry = (page, 0);
        }
        entry.1 += 1;
        if entry.1.is_multiple_of(MIXED_STORES)
            && let Some(tbs) = &self.tbs
            && tbs.clone().evict(page, entry.1, &self.shared)
        {
            entry.1 = 0;
            self.jumps_flush();
        }
    }

    /// Bytes of RAM were stored in a page that may hold code: blocks made from them go.
    pub(crate) fn stored(&mut self, page: u32, addr: u64, bytes: u64) {
        if let Some(tbs) = &self.tbs
            && tbs.has_code_at(page, addr, bytes)
        {
            let gone = tbs
                .clone()
                .invalidate_range(page, addr, bytes, Some(&self.shared));
            if gone {
                self.jumps_flush();
            }
        }
    }
}
