//! What `rustc_apfloat` says, put into RISC-V's terms.
//!
//! What it lacks is added here: tininess after rounding and overflow to the largest finite number
//! (it looks at the delivered result; here the operation is repeated with a 15-bit exponent, as
//! 7.4 and 7.5 have it), roundToOdd (made of its truncation), and invalid for
//! infinity * 0 + quiet NaN.

use fpu::{Flags, RoundingMode};
use rustc_apfloat::ieee::{IeeeFloat, Semantics};
use rustc_apfloat::{Float, FloatConvert, Round, Status, StatusAnd};

use crate::formats::Ops;

/// A format with the precision of another and an exponent range that needs no subnormals.
pub struct Wide<const FRACTION_BITS: usize>;

impl<const FRACTION_BITS: usize> Semantics for Wide<FRACTION_BITS> {
    const BITS: usize = 1 + 15 + FRACTION_BITS;
    const EXP_BITS: usize = 15;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Add,
    Sub,
    Mul,
    Div,
    Fma,
}

pub fn round_of(mode: RoundingMode) -> Round {
    match mode {
        RoundingMode::NearestEven => Round::NearestTiesToEven,
        RoundingMode::TowardZero | RoundingMode::Odd => Round::TowardZero,
        RoundingMode::Down => Round::TowardNegative,
        RoundingMode::Up => Round::TowardPositive,
        RoundingMode::NearestMaxMagnitude => Round::NearestTiesToAway,
    }
}

/// All flags but those that [`finish`] decides.
pub fn flags_of(status: Status) -> Flags {
    let rows = [
        (Status::INEXACT, Flags::INEXACT),
        (Status::DIV_BY_ZERO, Flags::DIVBYZERO),
        (Status::INVALID_OP, Flags::INVALID),
    ];
    rows.iter()
        .filter(|row| status.contains(row.0))
        .fold(Flags::NONE, |all, row| all | row.1)
}

/// A result in the narrow format, given the same operation's result in a wide-range one.
pub fn finish<S: Semantics, W: Semantics>(
    ops: &Ops,
    narrow: StatusAnd<IeeeFloat<S>>,
    wide: StatusAnd<IeeeFloat<W>>,
    mode: RoundingMode,
) -> (u64, Flags) {
    let mut flags = flags_of(narrow.status);
    let mut bits = narrow.value.to_bits() as u64;
    if ops.is_nan(bits) {
        return (ops.canonical_nan(), flags);
    }
    let exponent = if wide.value.is_finite_non_zero() {
        wide.value.ilogb()
    } else {
        0
    };
    if flags.contains(Flags::INEXACT) {
        if exponent < 1 - ops.bias() {
            flags |= Flags::UNDERFLOW;
        }
        if exponent > ops.bias() {
            flags |= Flags::OVERFLOW;
        }
        if mode == RoundingMode::Odd {
            bits |= 1;
        }
    }
    (bits, flags)
}

fn apply<F: Float>(op: Op, a: F, b: F, c: F, round: Round) -> StatusAnd<F> {
    match op {
        Op::Add => a.add_r(b, round),
        Op::Sub => a.sub_r(b, round),
        Op::Mul => a.mul_r(b, round),
        Op::Div => a.div_r(b, round),
        Op::Fma => a.mul_add_r(b, c, round),
    }
}

fn widen<S: Semantics, W: Semantics>(a: u64) -> IeeeFloat<W>
where
    IeeeFloat<S>: FloatConvert<IeeeFloat<W>>,
{
    IeeeFloat::<S>::from_bits(a.into())
        .convert(&mut false)
        .value
}

fn in_format<S: Semantics, W: Semantics>(
    ops: &Ops,
    op: Op,
    [a, b, c]: [u64; 3],
    mode: RoundingMode,
) -> (u64, Flags)
where
    IeeeFloat<S>: FloatConvert<IeeeFloat<W>>,
{
    let round = round_of(mode);
    let of = |a: u64| IeeeFloat::<S>::from_bits(a.into());
    let narrow = apply(op, of(a), of(b), of(c), round);
    let wide = apply(op, widen::<S, W>(a), widen(b), widen(c), round);
    let (bits, mut flags) = finish(ops, narrow, wide, mode);
    let no_product = |a, b| ops.is_infinite(a) && ops.is_zero(b);
    if op == Op::Fma && (no_product(a, b) || no_product(b, a)) {
        flags |= Flags::INVALID;
    }
    (bits, flags)
}

pub fn arithmetic(ops: &Ops, op: Op, abc: [u64; 3], mode: RoundingMode) -> (u64, Flags) {
    use rustc_apfloat::ieee::{DoubleS, HalfS, SingleS};
    match ops.fraction_bits {
        10 => in_format::<HalfS, Wide<10>>(ops, op, abc, mode),
        23 => in_format::<SingleS, Wide<23>>(ops, op, abc, mode),
        _ => in_format::<DoubleS, Wide<52>>(ops, op, abc, mode),
    }
}
