//! Comparison, minimum and maximum, classification (IEEE 754-2019, 5.11, 9.6, 5.7.2).

use crate::format::{Format, flush_input, is_nan, is_signaling, is_subnormal, sign_of};
use crate::nan::propagate;
use crate::{Flags, Relation, Status};

/// An integer that orders as the number does, with -0 directly below +0.
#[inline]
fn key<F: Format>(a: u64) -> i64 {
    let magnitude = (a & !F::SIGN) as i64;
    if sign_of::<F>(a) {
        !magnitude
    } else {
        magnitude
    }
}

/// Quiet comparisons raise invalid for signaling NaNs only, the others for every NaN.
#[inline]
pub fn compare<F: Format>(a: u64, b: u64, quiet: bool, s: &mut Status) -> Relation {
    if is_nan::<F>(a) || is_nan::<F>(b) {
        if !quiet || is_signaling::<F>(a) || is_signaling::<F>(b) {
            s.raise(Flags::INVALID);
        }
        return Relation::Unordered;
    }
    let (a, b) = (flush_input::<F>(a, s), flush_input::<F>(b, s));
    let both_zero = (a | b) & !F::SIGN == 0;
    if a == b || both_zero {
        Relation::Equal
    } else if key::<F>(a) < key::<F>(b) {
        Relation::Less
    } else {
        Relation::Greater
    }
}

#[inline]
pub fn eq<F: Format>(a: u64, b: u64, quiet: bool, s: &mut Status) -> bool {
    compare::<F>(a, b, quiet, s) == Relation::Equal
}

#[inline]
pub fn lt<F: Format>(a: u64, b: u64, quiet: bool, s: &mut Status) -> bool {
    compare::<F>(a, b, quiet, s) == Relation::Less
}

#[inline]
pub fn le<F: Format>(a: u64, b: u64, quiet: bool, s: &mut Status) -> bool {
    matches!(
        compare::<F>(a, b, quiet, s),
        Relation::Less | Relation::Equal
    )
}

/// The smaller or larger of two numbers; -0 is smaller than +0.
#[inline]
fn pick<F: Format>(a: u64, b: u64, larger: bool, s: &Status) -> u64 {
    let (a, b) = (flush_input::<F>(a, s), flush_input::<F>(b, s));
    if (key::<F>(a) < key::<F>(b)) != larger {
        a
    } else {
        b
    }
}

/// minimum, maximum: a NaN operand gives a NaN.
pub fn min_max<F: Format>(a: u64, b: u64, larger: bool, s: &mut Status) -> u64 {
    if is_nan::<F>(a) || is_nan::<F>(b) {
        return propagate::<F>(&[a, b], s);
    }
    pick::<F>(a, b, larger, s)
}

/// minimumNumber, maximumNumber: one NaN gives the other operand.
pub fn min_max_number<F: Format>(a: u64, b: u64, larger: bool, s: &mut Status) -> u64 {
    match (is_nan::<F>(a), is_nan::<F>(b)) {
        (false, false) => return pick::<F>(a, b, larger, s),
        (true, true) => return propagate::<F>(&[a, b], s),
        _ => {}
    }
    let (nan, number) = if is_nan::<F>(a) { (a, b) } else { (b, a) };
    if is_signaling::<F>(nan) {
        s.raise(Flags::INVALID);
    }
    flush_input::<F>(number, s)
}

/// RISC-V `fclass`: bit 0 is -infinity, then upward to +infinity at 7, signaling NaN, quiet NaN.
#[inline]
pub fn classify<F: Format>(a: u64) -> u32 {
    if is_nan::<F>(a) {
        return if is_signaling::<F>(a) { 1 << 8 } else { 1 << 9 };
    }
    let magnitude = a & !F::SIGN;
    let rank = if magnitude == 0 {
        0
    } else if is_subnormal::<F>(a) {
        1
    } else if magnitude < F::INFINITY {
        2
    } else {
        3
    };
    if sign_of::<F>(a) {
        1 << (3 - rank)
    } else {
        1 << (4 + rank)
    }
}
