//! From IR to a compiled block: optimizer, liveness, code generation.

use crate::builder::Function;
use crate::ir::HelperInfo;
use crate::liveness::Liveness;
use crate::optimize::Optimizer;
use crate::tci;

/// How to compile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompileOptions {
    /// Slot of the guest's pc global: `goto_ptr` looks the next block up by it.
    pub pc_slot: u8,
    /// `-icount`: the guest instructions of the block, which it takes off the budget at its start.
    pub icount: Option<u32>,
}

/// A block ready for the code buffer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompiledBlock {
    /// Bytecode; positions in `Exit::Exception` are indices of these words.
    pub code: Vec<u64>,
    /// Which guest instruction each position belongs to, packed: see [`find_insn`].
    pub insns: Vec<u8>,
}

/// Why a block cannot be compiled: translate fewer guest instructions and try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    #[error("the block has more live temps than the interpreter has slots")]
    TooManyTemps,
    #[error("the block has more code than a branch can cross")]
    TooLong,
}

/// Compiles blocks; keeps its working memory from one to the next, so make one and use it often.
#[derive(Default)]
pub struct Compiler {
    optimizer: Optimizer,
    liveness: Liveness,
    generator: tci::CodeGenerator,
}

impl Compiler {
    /// Optimizes `function` in place, for any back end.
    pub fn optimize(&mut self, function: &mut Function, helpers: &[HelperInfo]) {
        self.optimizer.run(function, helpers);
        self.liveness.run(function, helpers);
    }

    /// Optimizes `function` in place (so that `-d op_opt` can print it) and generates bytecode.
    pub fn compile(
        &mut self,
        function: &mut Function,
        helpers: &[HelperInfo],
        options: &CompileOptions,
    ) -> Result<CompiledBlock, CompileError> {
        self.optimize(function, helpers);
        self.generator.generate(function, helpers, options)
    }
}

/// The words `(pc, extra)` of the `insn_start` that the op at `position` belongs to: the last at
/// or in front of it. `insns` is [`CompiledBlock::insns`].
pub fn find_insn(insns: &[u8], position: u32) -> Option<(u64, u64)> {
    let mut reader = Leb { bytes: insns };
    let (mut at, mut pc, mut extra) = (0u64, 0u64, 0u64);
    let mut found = None;
    while let Some(delta) = reader.next() {
        at = at.wrapping_add(delta as u64);
        if at > u64::from(position) {
            break;
        }
        pc = pc.wrapping_add(reader.next()? as u64);
        extra = extra.wrapping_add(reader.next()? as u64);
        found = Some((pc, extra));
    }
    found
}

/// The words `(pc, extra)` of `insn_start` number `index`, from 0.
pub fn nth_insn(insns: &[u8], index: u32) -> Option<(u64, u64)> {
    let mut reader = Leb { bytes: insns };
    let (mut pc, mut extra) = (0u64, 0u64);
    for _ in 0..=index {
        reader.next()?;
        pc = pc.wrapping_add(reader.next()? as u64);
        extra = extra.wrapping_add(reader.next()? as u64);
    }
    Some((pc, extra))
}

/// Packs `(position, pc, extra)` rows in ascending order of position, as differences.
pub(crate) fn pack_insns(rows: &[(u32, u64, u64)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(rows.len() * 3 + 8);
    let mut last = (0u32, 0u64, 0u64);
    for row in rows {
        put_leb(&mut out, i64::from(row.0 - last.0));
        put_leb(&mut out, row.1.wrapping_sub(last.1) as i64);
        put_leb(&mut out, row.2.wrapping_sub(last.2) as i64);
        last = *row;
    }
    out
}

/// Signed LEB128.
fn put_leb(out: &mut Vec<u8>, mut value: i64) {
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        if value == i64::from((byte as i8) << 1 >> 1 >> 6) {
            out.push(byte);
            return;
        }
        out.push(byte | 0x80);
    }
}

struct Leb<'a> {
    bytes: &'a [u8],
}

impl Leb<'_> {
    fn next(&mut self) -> Option<i64> {
        let mut value = 0i64;
        let mut shift = 0;
        loop {
            let (&byte, rest) = self.bytes.split_first()?;
            self.bytes = rest;
            value |= i64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                let unused = 64u32.saturating_sub(shift);
                return Some(value << unused >> unused);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn insns_are_found() {
        let rows = [
            (0, 0x8000_0000, 0),
            (3, 0x8000_0002, u64::MAX),
            (9, u64::MAX, 1 << 63),
            (9, 4, 5),
        ];
        let packed = pack_insns(&rows);
        let expected = [rows[0], rows[0], rows[0], rows[1], rows[1], rows[1]];
        for (position, row) in expected.iter().enumerate() {
            assert_eq!(find_insn(&packed, position as u32), Some((row.1, row.2)));
        }
        assert_eq!(find_insn(&packed, 8), Some((0x8000_0002, u64::MAX)));
        assert_eq!(find_insn(&packed, 9), Some((4, 5)));
        assert_eq!(find_insn(&packed, 1 << 30), Some((4, 5)));
        assert_eq!(find_insn(&[], 0), None);
        for (index, row) in (0..).zip(rows) {
            assert_eq!(nth_insn(&packed, index), Some((row.1, row.2)));
        }
        assert_eq!(nth_insn(&packed, 4), None);
    }

    #[test]
    fn leb_round_trips() {
        for value in [
            0,
            1,
            -1,
            63,
            64,
            -64,
            -65,
            i64::MAX,
            i64::MIN,
            0x1234_5678_9abc,
        ] {
            let mut out = Vec::new();
            put_leb(&mut out, value);
            assert_eq!(Leb { bytes: &out }.next(), Some(value));
        }
    }
}
