//! What generated code calls when its fast paths do not do.

use tcg::cpu_state::CpuState;
use tcg::exec::{ExecEnv, Exit};
use tcg::ir::{MemOpIdx, RmwOp};
use tcg::wasm32::{LEAVE_MASK, Leave};
use tcg::{Fault, TbHeader};

use std::sync::atomic::Ordering;

use crate::guest::{Access, GuestCpu};
use crate::machine::Machine;
use crate::tb_hash::Key;
use crate::tb_ref::TbRef;
use crate::tlb::PageRam;
use crate::{atomic, jit, ldst};

/// A CPU in generated code.
pub(crate) struct Env<'a, G> {
    pub(crate) cpu: &'a mut G,
    pub(crate) machine: &'a Machine<G>,
    /// Number of this thread, if it has code compiled.
    pub(crate) thread: Option<usize>,
}

impl<G: GuestCpu> ExecEnv for Env<'_, G> {
    fn state(&mut self) -> *mut CpuState {
        // The address of the whole CPU, so that helpers may use all of it: `check_layout`.
        std::ptr::from_mut(self.cpu).cast()
    }

    fn load_slow(&mut self, addr: u64, oi: MemOpIdx) -> Result<u64, Fault> {
        ldst::load(self.cpu, addr, oi)
    }

    fn store_slow(&mut self, addr: u64, value: u64, oi: MemOpIdx) -> Result<(), Fault> {
        ldst::store(self.cpu, addr, value, oi)
    }

    fn load2_slow(&mut self, addr: u64, oi: MemOpIdx) -> Result<(u64, u64), Fault> {
        ldst::load2(self.cpu, addr, oi)
    }

    fn store2_slow(&mut self, addr: u64, low: u64, high: u64, oi: MemOpIdx) -> Result<(), Fault> {
        ldst::store2(self.cpu, addr, low, high, oi)
    }

    fn cmpxchg_slow(
        &mut self,
        addr: u64,
        expected: u64,
        new: u64,
        oi: MemOpIdx,
    ) -> Result<u64, Fault> {
        atomic::cmpxchg(self.cpu, addr, expected, new, oi)
    }

    fn cmpxchg2(
        &mut self,
        addr: u64,
        expected: (u64, u64),
        new: (u64, u64),
        oi: MemOpIdx,
    ) -> Result<(u64, u64), Fault> {
        atomic::cmpxchg2(self.cpu, addr, expected, new, oi)
    }

    fn rmw_slow(&mut self, addr: u64, value: u64, rmw: RmwOp, oi: MemOpIdx) -> Result<u64, Fault> {
        atomic::rmw(self.cpu, addr, value, rmw, oi)
    }

    fn lookup_tb(&mut self) -> *const TbHeader {
        match find_known(self.machine, self.cpu) {
            Some(tb) => tb.pointer(),
            None => std::ptr::null(),
        }
    }

    const COUNTS: bool = cfg!(target_os = "emscripten");

    fn enter_hot(&mut self, tb: *const TbHeader) -> Result<*const TbHeader, Exit> {
        let mut next = TbRef::from_address(tb as usize).ok_or(Exit::Lookup)?;
        let Some(thread) = self.thread else {
            return Err(Exit::Hot { tb });
        };
        loop {
            let header = next.header();
            let slot = header.wasm_instance[thread].load(Ordering::Relaxed);
            if slot == 0 {
                return self.interpret(thread, next);
            }
            next = self.call(slot, next)?;
        }
    }
}

impl<G: GuestCpu> Env<'_, G> {
    /// A block without an instance, behind a region: what the interpreter does where it enters one.
    /// (The region may have unmasked an interrupt.)
    fn interpret(&self, thread: usize, next: TbRef) -> Result<*const TbHeader, Exit> {
        let tb = next.pointer();
        if self
            .cpu
            .common()
            .shared
            .exit_request
            .load(Ordering::Relaxed)
            != 0
        {
            return Err(Exit::Request { tb });
        }
        let count = &next.header().exec_count[thread];
        let left = count.load(Ordering::Relaxed);
        if left == 0 {
            return Err(Exit::Hot { tb });
        }
        count.store(left - 1, Ordering::Relaxed);
        Ok(tb)
    }

    /// Runs a region; the block to go on with.
    fn call(&mut self, slot: u32, tb: TbRef) -> Result<TbRef, Exit> {
        let budget = self.cpu.common().state.icount_left;
        let left = jit::call(slot, self.cpu, tb);
        let common = self.cpu.common_mut();
        common.stats.region_calls += 1;
        common.stats.region_leaves[Leave::of(left) as usize] += 1;
        common.stats.insns_compiled += budget.wrapping_sub(common.state.icount_left) as u64;
        let tb = (left & !LEAVE_MASK) as usize;
        let block = tb as *const TbHeader;
        let exit = match Leave::of(left) {
            Leave::Next => return TbRef::from_address(tb).ok_or(Exit::Lookup),
            Leave::Lookup => return find_known(self.machine, self.cpu).ok_or(Exit::Lookup),
            Leave::Slot0 => Exit::Slot { tb: block, slot: 0 },
            Leave::Slot1 => Exit::Slot { tb: block, slot: 1 },
            Leave::Main => Exit::Main,
            Leave::Request => {
                self.cpu.common_mut().asked_in_region = true;
                Exit::Request { tb: block }
            }
            Leave::Loop => return self.go_round(tb),
            Leave::Exception => Exit::ExceptionAt {
                tb: block,
                insn: self.cpu.common().state.fault_insn,
            },
        };
        Err(exit)
    }
}

impl<G: GuestCpu> Env<'_, G> {
    /// A loop has made thousands of rounds in a region that it cannot be entered at: its block is
    /// hot now, unless it is to stay with the interpreter.
    fn go_round(&mut self, tb: usize) -> Result<TbRef, Exit> {
        let tb = TbRef::from_address(tb).ok_or(Exit::Lookup)?;
        let header = tb.header();
        let Some(thread) = self.thread else {
            return Ok(tb);
        };
        let linked = header.wasm_instance[thread].load(Ordering::Relaxed) != 0;
        // A count that is never used up may have been counted down a little.
        let is_never = header.exec_count[thread].load(Ordering::Relaxed) > jit::NEVER / 2;
        if linked || is_never {
            return Ok(tb);
        }
        header.exec_count[thread].store(0, Ordering::Relaxed);
        self.cpu.common_mut().long_loop = true;
        Err(Exit::Hot { tb: tb.pointer() })
    }
}

/// The block for the CPU's pc and flags, without a page-table walk or translation.
fn find_known<G: GuestCpu>(machine: &Machine<G>, cpu: &mut G) -> Option<TbRef> {
    let (pc, mmu_idx) = (cpu.pc(), cpu.fetch_mmu_idx());
    let page = cpu.common_mut().tlb_lookup(pc, Access::Fetch, mmu_idx)?;
    let cflags = machine.cflags();
    let tb = find_block(machine, cpu, &key(cpu, page.ram?, cflags))?;
    cpu.common_mut().jumps_enter(pc, tb, page.is_global());
    Some(tb)
}

/// What a block at the CPU's pc is known by.
pub(crate) fn key<G: GuestCpu>(cpu: &G, ram: PageRam, cflags: u32) -> Key {
    let pc = cpu.pc();
    let phys = u64::from(ram.index) << tcg::cpu_state::PAGE_BITS | pc & !tcg::cpu_state::PAGE_MASK;
    Key {
        phys,
        pc,
        flags: cpu.common().state.tb_flags(),
        cflags,
    }
}

/// The block for a key, if it is translated and its second page, if any, is still the same.
pub(crate) fn find_block<G: GuestCpu>(
    machine: &Machine<G>,
    cpu: &mut G,
    key: &Key,
) -> Option<TbRef> {
    machine.tbs.find(key, || {
        let border = (key.pc | !tcg::cpu_state::PAGE_MASK).wrapping_add(1);
        let mmu_idx = cpu.fetch_mmu_idx();
        let page = cpu
            .common_mut()
            .tlb_lookup(border, Access::Fetch, mmu_idx)?;
        page.ram.map(|ram| ram.index)
    })
}

/// The block that the jump cache has for the CPU's pc.
pub(crate) fn recall<G: GuestCpu>(cpu: &G) -> Option<TbRef> {
    let pc = cpu.pc();
    let state = &cpu.common().state;
    let entry = &state.jump_cache[CpuState::jump_cache_index(pc)];
    let hit = entry.pc == pc && entry.flags_gen == state.flags_gen;
    if hit {
        TbRef::from_address(entry.tb)
    } else {
        None
    }
}
