//! Interpreter instructions whose operands are still virtual registers, and what is known of those
//! while instructions are selected.

use super::bytecode::Opcode;
use crate::cpu_state::SLOT_ZERO;
use crate::ir::Label;

/// A virtual register (a temp of the function, or one more that selection made), or a byte that
/// goes into the instruction as it is: a fixed slot or a small constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reg(u16);

impl Reg {
    const RAW: u16 = 0xff00;
    /// Virtual registers there can be.
    pub const COUNT_MAX: usize = Self::RAW as usize;
    /// An operand that is not there.
    pub const NONE: Self = Self::raw(0);
    pub const ZERO: Self = Self::raw(SLOT_ZERO);

    /// The virtual register of that number, below [`Self::COUNT_MAX`].
    pub const fn new(index: usize) -> Self {
        Self(index as u16)
    }
    pub const fn raw(byte: u8) -> Self {
        Self(Self::RAW | byte as u16)
    }
    /// The number of a virtual register.
    pub const fn index(self) -> Option<usize> {
        if self.0 < Self::RAW {
            Some(self.0 as usize)
        } else {
            None
        }
    }
    pub const fn byte(self) -> u8 {
        self.0 as u8
    }
}

/// An instruction before slots are assigned.
#[derive(Clone, Copy, Debug)]
pub struct LowOp {
    pub op: Opcode,
    /// Fused into another one: not there any more.
    pub dead: bool,
    pub d: Reg,
    pub a: Reg,
    pub b: Reg,
    /// Bytes of `imm` from the lowest; for `Cmpxchg2`, all but the first are bytes of the second
    /// word.
    pub c: [Reg; 5],
    /// Or-ed to those bytes.
    pub imm: i32,
    /// Destination of a branch: `imm` becomes the distance.
    pub label: Option<Label>,
    pub second: u64,
}

impl LowOp {
    pub const fn new(op: Opcode, d: Reg, a: Reg, b: Reg) -> Self {
        let c = [Reg::NONE; 5];
        Self {
            op,
            dead: false,
            d,
            a,
            b,
            c,
            imm: 0,
            label: None,
            second: 0,
        }
    }
    pub const fn imm(self, imm: i32) -> Self {
        Self { imm, ..self }
    }
    pub const fn label(self, label: Label) -> Self {
        Self {
            label: Some(label),
            ..self
        }
    }
    pub const fn second(self, second: u64) -> Self {
        Self { second, ..self }
    }
    pub fn c(mut self, regs: &[Reg]) -> Self {
        self.c[..regs.len()].copy_from_slice(regs);
        self
    }
    /// All operands, outputs too.
    pub fn regs(&self) -> impl Iterator<Item = Reg> {
        [self.d, self.a, self.b].into_iter().chain(self.c)
    }
}

/// Which operands an instruction writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outputs {
    None,
    /// `d`.
    One,
    /// `d` and `c[0]`.
    Two,
}

/// What is known of a virtual register during selection. Positions are those of instructions
/// plus 1; 0 is never.
#[derive(Clone, Copy, Debug, Default)]
pub struct RegInfo {
    pub global: bool,
    /// Defined in one place only.
    pub single_def: bool,
    /// I32 values in globals are zero-extended.
    pub global_i32: bool,
    /// The value is sign-extended from its low half.
    pub sext32: bool,
    /// Uses in the IR that were not selected yet.
    pub uses_left: u32,
    pub last_def: u32,
    pub last_use: u32,
}
