//! The book on a vCPU's jump cache (`CpuState::jump_cache`): what must go when translations go.
//!
//! Forgetting everything is one addition (`CpuState::flush_jump_cache`), but then each block of the
//! kernel must be looked up again after each context switch. So entries for code in pages of one
//! address space are listed, to be dropped one by one; those for global pages stay, and a filter
//! says which pages may have some.

use std::sync::atomic::Ordering;

use tcg::CpuState;
use tcg::cpu_state::{JumpCacheEntry, PAGE_BITS, PAGE_MASK};

use tcg::tb::TB_CF_TWO_PAGES;

use crate::cpu::CpuCommon;
use crate::tb_ref::TbRef;

/// More listed entries than this, and all are forgotten instead.
const LISTED_MAX: usize = 4096;
const FILTER_WORDS: usize = 64;
/// No instruction is longer than this: a block that starts so close to its page's end may depend
/// on the next page too.
const INSN_BYTES_MAX: u64 = 16;

const EMPTY: JumpCacheEntry = JumpCacheEntry {
    pc: 0,
    flags_gen: 0,
    tb: 0,
};

/// See the module's text.
pub(crate) struct JumpBook {
    /// Indices of entries that hold for this address space only; an index may stand here twice, or
    /// mean a newer entry.
    local: Vec<u16>,
    /// By a hash of the page: whether a global entry may be for code there.
    global_pages: [u64; FILTER_WORDS],
}

impl JumpBook {
    pub(crate) fn new() -> Self {
        Self {
            local: Vec::new(),
            global_pages: [0; FILTER_WORDS],
        }
    }

    fn filter_bit(pc: u64) -> (usize, u64) {
        let page = pc >> PAGE_BITS;
        let hash = page ^ page >> 12;
        ((hash >> 6) as usize % FILTER_WORDS, 1 << (hash & 63))
    }

    fn note_global(&mut self, pc: u64) {
        for at in [pc, pc.wrapping_add(INSN_BYTES_MAX - 1)] {
            let (word, bit) = Self::filter_bit(at);
            self.global_pages[word] |= bit;
        }
    }

    fn may_be_global(&self, addr: u64) -> bool {
        let (word, bit) = Self::filter_bit(addr);
        self.global_pages[word] & bit != 0
    }
}

/// Whether a block at `pc` may be made from bytes of the page at `vpage`.
fn touches(pc: u64, vpage: u64) -> bool {
    let last = pc.wrapping_add(INSN_BYTES_MAX - 1);
    pc & PAGE_MASK == vpage || last & PAGE_MASK == vpage
}

impl CpuCommon {
    /// Forgets all.
    pub(crate) fn jumps_flush(&mut self) {
        self.state.flush_jump_cache();
        self.jumps.local.clear();
        self.jumps.global_pages = [0; FILTER_WORDS];
    }

    /// Enters the block for the CPU's pc; `global`: its page is the same in all address spaces.
    pub(crate) fn jumps_enter(&mut self, pc: u64, tb: TbRef, global: bool) {
        let flags = tb.header().cflags.load(Ordering::Relaxed);
        let global = global && flags & TB_CF_TWO_PAGES == 0;
        if global {
            self.jumps.note_global(pc);
        } else if self.jumps.local.len() >= LISTED_MAX {
            self.jumps_flush();
        }
        let index = CpuState::jump_cache_index(pc);
        if !global {
            self.jumps.local.push(index as u16);
        }
        let flags_gen = self.state.flags_gen;
        self.state.jump_cache[index] = JumpCacheEntry {
            pc,
            flags_gen,
            tb: tb.address(),
        };
    }

    /// Forgets what holds for the current address space only.
    pub(crate) fn jumps_drop_local(&mut self) {
        for index in self.jumps.local.drain(..) {
            self.state.jump_cache[usize::from(index)] = EMPTY;
        }
    }

    /// Forgets what holds for a page of the current address space only.
    pub(crate) fn jumps_drop_local_page(&mut self, vpage: u64) {
        let cache = &mut self.state.jump_cache;
        self.jumps.local.retain(|&index| {
            let entry = &mut cache[usize::from(index)];
            let gone = touches(entry.pc, vpage);
            if gone {
                *entry = EMPTY;
            }
            !gone
        });
    }

    /// Forgets what holds for a page.
    pub(crate) fn jumps_drop_page(&mut self, vpage: u64) {
        if self.jumps.may_be_global(vpage) {
            self.jumps_flush();
        } else {
            self.jumps_drop_local_page(vpage);
        }
    }
}
