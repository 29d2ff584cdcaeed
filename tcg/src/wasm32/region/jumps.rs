//! Jumps to a computed address: inside the region, or to what the jump cache has.
//!
//! A block of the region that the jump may lead to is compared with what the jump cache has for
//! that block's pc: there the code is found with a constant address, and if the entry is of the
//! moment (`flags_gen`), it stands for page tables and flags being as they were.

use std::mem::offset_of;

use wasm_encoder::{BlockType, MemArg};

use super::{Edges, Emitter};
use crate::cpu_state::{CpuState, JUMP_CACHE_BITS, JUMP_CACHE_ENTRIES, JumpCacheEntry};
use crate::ir::{Op, OpKind};
use crate::wasm32::Leave;
use crate::wasm32::body::{CPU, Local};
use crate::wasm32::flow::{BasicBlock, End, Slots};
use crate::wasm32::ops::at;

/// Where in the jump cache an entry's field is, for the address of the CPU.
fn field(entry: usize, offset: usize) -> MemArg {
    let entry = offset_of!(CpuState, jump_cache) + entry * size_of::<JumpCacheEntry>();
    at((entry + offset) as u64)
}

impl Emitter<'_> {
    /// The end of a basic block in `goto_ptr`.
    pub(super) fn goto_ptr(&mut self, edges: &Edges<'_>, block: &BasicBlock, dirty: Slots) {
        let known = self.known_pc(block);
        if let End::Computed(candidates) = &block.end {
            let asks = self.may_request(block);
            for &to in candidates {
                self.candidate(edges, to, (known, asks), dirty);
            }
        }
        self.write_back(dirty);
        self.look_up(known);
        self.body.open_if(BlockType::Empty);
        self.go_to_header(Slots::default(), Leave::Next);
        self.body.close();
        self.leave(Leave::Lookup as u32, Slots::default());
    }

    /// Whether the last instruction calls a helper, which may have unmasked an interrupt. That is
    /// due at once, so the function is left if there is a request, as the function entered sees.
    fn may_request(&self, block: &BasicBlock) -> bool {
        let ops = &self.region.blocks[block.block].function.ops[block.ops.clone()];
        let of_last = |op: &&Op| !matches!(op.kind, OpKind::InsnStart { .. });
        let mut last = ops.iter().rev().take_while(of_last);
        last.any(|op| matches!(op.kind, OpKind::Call { .. }))
    }

    /// The pc at the end of a basic block, if that is known.
    fn known_pc(&self, block: &BasicBlock) -> Option<u64> {
        let function = self.region.blocks[block.block].function;
        let infos = &self.flow.ops[block.block];
        let changes = |index: &usize| {
            let info = &infos[*index];
            info.effects.reload || info.written.contains(self.options.pc_slot)
        };
        let last = block.ops.clone().rev().find(changes)?;
        match function.ops[last].kind {
            OpKind::Mov { a, .. } => function.const_value(a),
            _ => None,
        }
    }

    /// Goes to the block if it is what the jump cache has for its pc, which is the CPU's; `asks`:
    /// and if nobody wants the CPU.
    fn candidate(
        &mut self,
        edges: &Edges<'_>,
        to: usize,
        (known, asks): (Option<u64>, bool),
        dirty: Slots,
    ) {
        let block = &self.region.blocks[self.flow.blocks[to].block];
        let entry = CpuState::jump_cache_index(block.pc);
        let inside = Edges {
            next: None,
            ..*edges
        };
        match known {
            Some(pc) if pc != block.pc => return,
            Some(_) => {}
            None => {
                self.push_pc();
                self.body.i64_const(block.pc);
                self.body.sink().i64_eq();
                self.body.open_if(BlockType::Empty);
            }
        }
        let tb = field(entry, offset_of!(JumpCacheEntry, tb));
        self.body.get(CPU);
        self.body.sink().i32_load(tb);
        self.body.i32_const(block.tb);
        self.body.sink().i32_eq();
        self.compare_flags(CPU, entry);
        self.body.sink().i32_and();
        if asks {
            self.push_request();
            self.body.sink().i32_eqz().i32_and();
        }
        self.edge_if(&inside, to, dirty);
        if known.is_none() {
            self.body.close();
        }
    }

    fn push_pc(&mut self) {
        let pc = self.pool.global(self.options.pc_slot);
        self.body.get(pc);
    }

    /// Whether an entry is of the moment; its address is `base` and a constant.
    fn compare_flags(&mut self, base: Local, entry: usize) {
        let flags = field(entry, offset_of!(JumpCacheEntry, flags_gen));
        self.body.get(base);
        self.body.sink().i64_load(flags);
        self.body.get(CPU);
        let now = at(offset_of!(CpuState, flags_gen) as u64);
        self.body.sink().i64_load(now).i64_eq();
    }

    /// Sets `header` to what the jump cache has for the CPU's pc, or 0; leaves it on the stack.
    fn look_up(&mut self, known: Option<u64>) {
        let (base, entry) = match known {
            Some(pc) => (CPU, CpuState::jump_cache_index(pc)),
            None => (self.find_entry(), 0),
        };
        self.body.get(base);
        let tb = field(entry, offset_of!(JumpCacheEntry, tb));
        self.body.sink().i32_load(tb).i32_const(0);
        self.body.get(base);
        let tag = field(entry, offset_of!(JumpCacheEntry, pc));
        self.body.sink().i64_load(tag);
        match known {
            Some(pc) => self.body.i64_const(pc),
            None => self.push_pc(),
        }
        self.body.sink().i64_eq();
        self.compare_flags(base, entry);
        self.body.sink().i32_and().select();
        self.body.tee(self.own.header);
    }

    /// The local with what to add to the offset of entry 0, to have the entry for the pc. The index
    /// is `CpuState::jump_cache_index`.
    fn find_entry(&mut self) -> Local {
        let entry = self.own.index;
        self.push_pc();
        self.body.sink().i64_const(1).i64_shr_u().i32_wrap_i64();
        self.body.tee(entry);
        self.body.get(entry);
        self.body.i32_const(JUMP_CACHE_BITS);
        self.body.sink().i32_shr_u().i32_xor();
        self.body.i32_const(JUMP_CACHE_ENTRIES as u32 - 1);
        self.body.sink().i32_and();
        self.body.i32_const(size_of::<JumpCacheEntry>().ilog2());
        self.body.sink().i32_shl();
        self.body.get(CPU);
        self.body.sink().i32_add();
        self.body.set(entry);
        entry
    }
}
