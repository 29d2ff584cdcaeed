//! From selected instructions to bytecode: slots for virtual registers by linear scan, branch
//! distances.

use super::bytecode::{Opcode, Word};
use super::low::{LowOp, Reg};
use crate::CompileError;
use crate::builder::Function;
use crate::cpu_state::SLOT_ZERO;
use crate::ir::TempKind;

const NEVER: u32 = u32::MAX;

/// Where a virtual register is alive, as instruction numbers, and its slot.
#[derive(Clone, Copy, Debug)]
struct Interval {
    first: u32,
    last: u32,
    slot: u8,
    /// Has its slot.
    placed: bool,
    /// The slot is never free for others: a global's, or one for a value alive in a loop.
    fixed: bool,
}

/// Working memory, kept from block to block.
#[derive(Default)]
pub struct Emitter {
    intervals: Vec<Interval>,
    /// Word position of each instruction.
    positions: Vec<u32>,
    free: [u64; 4],
}

impl Emitter {
    /// Appends the instructions to `code`. `labels[l]` is the number of the instruction that label
    /// `l` stands in front of. Returns the position of each instruction (and of the end).
    pub fn emit(
        &mut self,
        function: &Function,
        reg_count: usize,
        low: &[LowOp],
        labels: &[u32],
        code: &mut Vec<u64>,
    ) -> Result<&[u32], CompileError> {
        self.set_fixed(function, reg_count);
        self.find_intervals(low, labels)?;
        self.positions.clear();
        for (number, op) in low.iter().enumerate() {
            self.positions.push(code.len() as u32);
            if !op.dead {
                self.put(number as u32, op, code)?;
            }
        }
        self.positions.push(code.len() as u32);
        self.patch_branches(low, labels, code);
        fuse_pairs(code);
        Ok(&self.positions)
    }

    /// Globals have their slots; the slots above the highest are for the others.
    fn set_fixed(&mut self, function: &Function, reg_count: usize) {
        let unplaced = Interval {
            first: NEVER,
            last: 0,
            slot: 0,
            placed: false,
            fixed: false,
        };
        self.intervals.clear();
        self.intervals.resize(reg_count, unplaced);
        self.free = [!0; 4];
        let mut top = None;
        for (interval, temp) in self.intervals.iter_mut().zip(&function.temps) {
            if let TempKind::Global { slot } = temp.kind {
                *interval = Interval {
                    slot,
                    placed: true,
                    fixed: true,
                    ..unplaced
                };
                top = top.max(Some(slot));
            }
        }
        for slot in (0..=top.unwrap_or(0)).chain(SLOT_ZERO..=u8::MAX) {
            self.free[usize::from(slot / 64)] &= !(1 << (slot % 64));
        }
    }

    fn find_intervals(&mut self, low: &[LowOp], labels: &[u32]) -> Result<(), CompileError> {
        for (number, op) in (0..).zip(low).filter(|(_, op)| !op.dead) {
            for index in op.regs().filter_map(Reg::index) {
                let interval = &mut self.intervals[index];
                interval.first = interval.first.min(number);
                interval.last = number;
            }
        }
        for (end, op) in (0..).zip(low).filter(|(_, op)| !op.dead) {
            let Some(label) = op.label else { continue };
            let start = labels[usize::from(label.0)];
            if start <= end {
                self.fix_in_loop(start, end)?;
            }
        }
        Ok(())
    }

    /// Loops inside a block are rare: what is alive in one keeps its slot for the whole block.
    fn fix_in_loop(&mut self, start: u32, end: u32) -> Result<(), CompileError> {
        for index in 0..self.intervals.len() {
            let i = self.intervals[index];
            if !i.placed && i.first <= end && i.last >= start {
                let slot = self.take()?;
                self.intervals[index] = Interval {
                    slot,
                    placed: true,
                    fixed: true,
                    ..i
                };
            }
        }
        Ok(())
    }

    /// Slots of inputs that end here may serve the outputs: handlers read before they write.
    fn put(&mut self, number: u32, op: &LowOp, code: &mut Vec<u64>) -> Result<(), CompileError> {
        // What `d` and `c0` are, outputs often, keeps its slot to the end of the instruction.
        let late = [op.d, op.c[0]];
        for reg in op.regs().filter(|reg| !late.contains(reg)) {
            self.release_ended(number, reg);
        }
        for index in op.regs().filter_map(Reg::index) {
            if !self.intervals[index].placed {
                let slot = self.take()?;
                self.intervals[index].slot = slot;
                self.intervals[index].placed = true;
            }
        }
        self.put_words(op, code);
        for reg in late {
            self.release_ended(number, reg);
        }
        Ok(())
    }

    fn release_ended(&mut self, number: u32, reg: Reg) {
        let Some(index) = reg.index() else { return };
        let i = self.intervals[index];
        if !i.fixed && i.placed && i.last == number {
            self.free[usize::from(i.slot / 64)] |= 1 << (i.slot % 64);
        }
    }

    fn put_words(&self, op: &LowOp, code: &mut Vec<u64>) {
        let slot = |reg: Reg| reg.index().map_or(reg.byte(), |i| self.intervals[i].slot);
        let [c0, c1, c2, c3, c4] = op.c.map(slot);
        let (bytes, second) = if op.op == Opcode::Cmpxchg2 {
            (
                [c0, 0, 0, 0],
                u64::from_le_bytes([c1, c2, c3, c4, 0, 0, 0, 0]),
            )
        } else {
            ([c0, c1, c2, 0], op.second)
        };
        let imm = op.imm | i32::from_le_bytes(bytes);
        code.push(Word::new(op.op, slot(op.d), slot(op.a), slot(op.b), imm).0);
        if op.op.is_long() {
            code.push(second);
        }
    }

    fn take(&mut self) -> Result<u8, CompileError> {
        for (index, word) in self.free.iter_mut().enumerate() {
            if *word != 0 {
                let bit = word.trailing_zeros();
                *word &= *word - 1;
                return Ok((index as u32 * 64 + bit) as u8);
            }
        }
        Err(CompileError::TooManyTemps)
    }

    fn patch_branches(&self, low: &[LowOp], labels: &[u32], code: &mut [u64]) {
        for (op, &at) in low.iter().zip(&self.positions) {
            let (false, Some(label)) = (op.dead, op.label) else {
                continue;
            };
            let to = self.positions[labels[usize::from(label.0)] as usize];
            let distance = i64::from(to) - i64::from(at) - 1;
            let word = &mut code[at as usize];
            *word = *word & 0xffff_ffff | (distance as u64) << 32;
        }
    }
}

/// Makes pairs of instructions save a dispatch where there is an opcode for both.
fn fuse_pairs(code: &mut [u64]) {
    let mut at = 0;
    while let (Some(&first), Some(&second)) = (code.get(at), code.get(at + 1)) {
        let Some(op) = Word(first).opcode() else {
            return;
        };
        let fused = Word(second).opcode().and_then(|second| op.fuse(second));
        if op.is_long() {
            at += 2;
        } else if let Some(fused) = fused {
            code[at] = first & !0xff | fused as u64;
            at += 1;
            at += Word(second)
                .opcode()
                .map_or(1, |op| 1 + usize::from(op.is_long()));
        } else {
            at += 1;
        }
    }
}
