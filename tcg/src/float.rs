//! What back ends may know of a helper that computes in floating point, so as to do the common
//! case inline. The helper stays right for everything: inline code must give its result and
//! leave its flags, or call it.
//!
//! Operands and results are I64 temps. A double fills one; a single lies in the low half, boxed
//! in ones, and an operand that is not boxed so is for the helper. Operations are those of IEEE
//! 754 with subnormals; what is left open there (bits of NaNs, tininess) is for the helper, too.

/// A helper's operation.
#[derive(Clone, Copy, Debug)]
pub struct FloatHelper {
    pub op: FloatOp,
    /// Of the floating-point operands; of the result if there are none.
    pub format: FloatFormat,
    pub rules: &'static FloatRules,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FloatFormat {
    Single,
    Double,
}

/// An operation with its arguments: `rm` is a rounding mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FloatOp {
    /// `(rm, a, b)`
    Add,
    Sub,
    Mul,
    Div,
    /// `(rm, a)`
    Sqrt,
    /// `(control, a, b, c)`: a * b + c, rounded once; `control` is a rounding mode with signs, see
    /// [`FloatRules::negate_product`].
    Fma,
    /// `(a, b)`: 0 or 1. Which NaNs raise flags is the helper's business.
    Eq,
    Lt,
    Le,
    /// `(a, b)`: -0 is less than +0. What NaNs give is the helper's business.
    Min,
    Max,
    /// `(rm, a)`: to an integer; 32-bit ones are sign-extended, whether they have a sign or not.
    ToI32,
    ToU32,
    ToI64,
    ToU64,
    /// `(rm, a)`: from an integer, of whose argument the low bits count.
    FromI32,
    FromU32,
    FromI64,
    FromU64,
    /// `(rm, a)`: from `format` to the other one.
    Convert,
}

impl FloatOp {
    /// Argument 0 is a rounding mode; operands come behind it.
    pub const fn rounds(self) -> bool {
        use FloatOp::*;
        !matches!(self, Eq | Lt | Le | Min | Max)
    }

    /// Number of operands behind the rounding mode.
    pub const fn operands(self) -> usize {
        use FloatOp::*;
        match self {
            Fma => 3,
            Add | Sub | Mul | Div | Eq | Lt | Le | Min | Max => 2,
            _ => 1,
        }
    }

    /// Operands are integers.
    pub const fn is_from_integer(self) -> bool {
        use FloatOp::*;
        matches!(self, FromI32 | FromU32 | FromI64 | FromU64)
    }
}

/// What all helpers of a guest have in common.
#[derive(Clone, Copy, Debug)]
pub struct FloatRules {
    /// The slot of `CpuState::slots` whose low byte has the accrued flags; no global.
    pub flags_slot: u8,
    /// "Inexact" in it.
    pub inexact: u8,
    /// Rounding modes, as the helpers' first arguments have them.
    pub nearest_even: u64,
    pub toward_zero: u64,
    pub down: u64,
    pub up: u64,
    /// Bits of [`FloatOp::Fma`]'s control argument: the product's or the addend's sign is inverted.
    pub negate_product: u64,
    pub negate_addend: u64,
}

/// A rounding mode that inline code can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FloatRounding {
    NearestEven,
    TowardZero,
    Down,
    Up,
}

impl FloatRules {
    /// What a rounding-mode argument means; `None` is for the helper.
    pub fn rounding(&self, argument: u64) -> Option<FloatRounding> {
        [
            (self.nearest_even, FloatRounding::NearestEven),
            (self.toward_zero, FloatRounding::TowardZero),
            (self.down, FloatRounding::Down),
            (self.up, FloatRounding::Up),
        ]
        .into_iter()
        .find_map(|(value, mode)| (value == argument).then_some(mode))
    }
}
