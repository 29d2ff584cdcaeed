//! Interchange formats (IEEE 754-2019, 3.4), the unpacked form, and rounding (4.3, 7.4, 7.5, 7.6).
//!
//! An encoding travels as a `u64` whose upper bits are clear. Unpacked significands are `u64`s
//! normalised to bit 63, which leaves binary64 eleven bits for guard and sticky: enough, since
//! an exact result reduced to one guard bit plus a sticky bit already rounds correctly.

use crate::{Flags, RoundingMode, Status};

/// A binary format, told apart by the widths of its two fields.
pub trait Format {
    const EXPONENT_BITS: u32;
    const FRACTION_BITS: u32;

    const BIAS: i32 = (1 << (Self::EXPONENT_BITS - 1)) - 1;
    const FRACTION_MASK: u64 = (1 << Self::FRACTION_BITS) - 1;
    const SIGN: u64 = 1 << (Self::EXPONENT_BITS + Self::FRACTION_BITS);
    const INFINITY: u64 = ((1 << Self::EXPONENT_BITS) - 1) << Self::FRACTION_BITS;
    const QUIET: u64 = 1 << (Self::FRACTION_BITS - 1);
    /// How far a significand at bit 63 lies above its place in the encoding.
    const SHIFT: u32 = 63 - Self::FRACTION_BITS;
}

macro_rules! formats {
    ($($(#[$doc:meta])* $name:ident $exponent_bits:literal $fraction_bits:literal;)*) => {
        $($(#[$doc])* pub enum $name {}
        impl Format for $name {
            const EXPONENT_BITS: u32 = $exponent_bits;
            const FRACTION_BITS: u32 = $fraction_bits;
        })*
    };
}

formats! {
    /// binary16
    F16 5 10;
    /// bfloat16
    BF16 8 7;
    /// binary32
    F32 8 23;
    /// binary64
    F64 11 52;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Zero,
    /// Normal and subnormal numbers alike.
    Finite,
    Infinity,
    Nan,
}

/// If `Finite`: significand * 2^(exponent - 63), with bit 63 of the significand set.
#[derive(Clone, Copy, Debug)]
pub struct Unpacked {
    pub class: Class,
    pub sign: bool,
    pub exponent: i32,
    pub significand: u64,
}

#[inline]
pub fn sign_of<F: Format>(a: u64) -> bool {
    a & F::SIGN != 0
}

#[inline]
pub fn signed<F: Format>(sign: bool, magnitude: u64) -> u64 {
    if sign { magnitude | F::SIGN } else { magnitude }
}

#[inline]
pub fn is_nan<F: Format>(a: u64) -> bool {
    a & !F::SIGN > F::INFINITY
}

#[inline]
pub fn is_signaling<F: Format>(a: u64) -> bool {
    is_nan::<F>(a) && a & F::QUIET == 0
}

/// Whether the encoding is a nonzero number below the smallest normal one.
#[inline]
pub fn is_subnormal<F: Format>(a: u64) -> bool {
    a & F::INFINITY == 0 && a & F::FRACTION_MASK != 0
}

/// The operand as the operation is to see it: subnormals read as zero if the guest asked so.
#[inline]
pub fn flush_input<F: Format>(a: u64, s: &Status) -> u64 {
    if s.flush_inputs_to_zero && is_subnormal::<F>(a) {
        a & F::SIGN
    } else {
        a
    }
}

#[inline]
pub fn unpack<F: Format>(a: u64, s: &Status) -> Unpacked {
    let a = flush_input::<F>(a, s);
    let sign = sign_of::<F>(a);
    let field = ((a & F::INFINITY) >> F::FRACTION_BITS) as i32;
    let fraction = a & F::FRACTION_MASK;
    let of = |class, exponent, significand| Unpacked {
        class,
        sign,
        exponent,
        significand,
    };
    if a & F::INFINITY == F::INFINITY {
        of(
            if fraction == 0 {
                Class::Infinity
            } else {
                Class::Nan
            },
            0,
            0,
        )
    } else if field != 0 {
        of(
            Class::Finite,
            field - F::BIAS,
            1 << 63 | fraction << F::SHIFT,
        )
    } else if fraction != 0 {
        let zeros = fraction.leading_zeros();
        let exponent = 1 - F::BIAS + F::SHIFT as i32 - zeros as i32;
        of(Class::Finite, exponent, fraction << zeros)
    } else {
        of(Class::Zero, 0, 0)
    }
}

/// Shifts right; bits that fall off survive in bit 0 as "something was there".
#[inline]
pub fn shift_right_jam(a: u64, count: u32) -> u64 {
    match count {
        0 => a,
        1..64 => a >> count | u64::from(a << (64 - count) != 0),
        _ => u64::from(a != 0),
    }
}

#[inline]
pub fn shift_right_jam_128(a: u128, count: u32) -> u128 {
    match count {
        0 => a,
        1..128 => a >> count | u128::from(a << (128 - count) != 0),
        _ => u128::from(a != 0),
    }
}

/// The upper half, with the lower half jammed into its bit 0.
#[inline]
pub fn jam_to_64(a: u128) -> u64 {
    (a >> 64) as u64 | u64::from(a as u64 != 0)
}

/// Whether a magnitude goes to the next larger one: `odd` is its last kept bit, `rest` what was
/// cut off, `half` the value of `rest` that is a tie.
#[inline]
pub fn rounds_up(mode: RoundingMode, sign: bool, odd: bool, rest: u64, half: u64) -> bool {
    match mode {
        RoundingMode::NearestEven => rest > half || (rest == half && odd),
        RoundingMode::NearestMaxMagnitude => rest >= half,
        RoundingMode::TowardZero => false,
        RoundingMode::Down => sign && rest != 0,
        RoundingMode::Up => !sign && rest != 0,
        RoundingMode::Odd => !odd && rest != 0,
    }
}

/// Rounds away the `F::SHIFT` low bits; also tells whether they were not all zero.
#[inline]
fn round_significand<F: Format>(sign: bool, significand: u64, mode: RoundingMode) -> (u64, bool) {
    let rest = significand & ((1 << F::SHIFT) - 1);
    let kept = significand >> F::SHIFT;
    let up = rounds_up(mode, sign, kept & 1 != 0, rest, 1 << (F::SHIFT - 1));
    (kept + u64::from(up), rest != 0)
}

/// Encodes significand * 2^(exponent - 63), bit 63 set, bit 0 possibly sticky, with its flags.
#[inline]
pub fn round_pack<F: Format>(sign: bool, exponent: i32, significand: u64, s: &mut Status) -> u64 {
    let biased = exponent + F::BIAS;
    if biased <= 0 {
        return round_pack_tiny::<F>(sign, biased, significand, s);
    }
    let (kept, inexact) = round_significand::<F>(sign, significand, s.rounding);
    // The leading bit of `kept`, or a carry beyond it, adds into the exponent field.
    let magnitude = ((biased as u64 - 1) << F::FRACTION_BITS) + kept;
    if magnitude >= F::INFINITY {
        return overflow::<F>(sign, s);
    }
    if inexact {
        s.raise(Flags::INEXACT);
    }
    signed::<F>(sign, magnitude)
}

/// A magnitude below the smallest normal number, before rounding (7.5).
#[cold]
fn round_pack_tiny<F: Format>(sign: bool, biased: i32, significand: u64, s: &mut Status) -> u64 {
    let (unbounded, _) = round_significand::<F>(sign, significand, s.rounding);
    let grows_normal = biased == 0 && unbounded >> (F::FRACTION_BITS + 1) != 0;
    let tiny = !(s.tininess_after_rounding && grows_normal);
    if tiny && s.flush_to_zero {
        s.raise(Flags::UNDERFLOW | Flags::INEXACT);
        return signed::<F>(sign, 0);
    }
    let shifted = shift_right_jam(significand, (1 - biased) as u32);
    let (magnitude, inexact) = round_significand::<F>(sign, shifted, s.rounding);
    if inexact {
        s.raise(if tiny {
            Flags::UNDERFLOW | Flags::INEXACT
        } else {
            Flags::INEXACT
        });
    }
    signed::<F>(sign, magnitude)
}

/// 7.4: infinity, or the largest finite number where the mode rounds toward it.
#[cold]
fn overflow<F: Format>(sign: bool, s: &mut Status) -> u64 {
    s.raise(Flags::OVERFLOW | Flags::INEXACT);
    let infinite = match s.rounding {
        RoundingMode::NearestEven | RoundingMode::NearestMaxMagnitude => true,
        RoundingMode::TowardZero | RoundingMode::Odd => false,
        RoundingMode::Down => sign,
        RoundingMode::Up => !sign,
    };
    signed::<F>(sign, F::INFINITY - u64::from(!infinite))
}
