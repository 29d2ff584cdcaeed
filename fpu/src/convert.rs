//! Conversions: between formats (IEEE 754-2019, 5.4.2), to and from integers (5.8), and
//! rounding to an integer in the same format (5.3.1, 5.9).

use crate::format::{
    Class, Format, Unpacked, is_signaling, round_pack, rounds_up, sign_of, signed, unpack,
};
use crate::hard::Host;
use crate::nan::{default_nan, propagate};
use crate::{Flags, IntOverflow, RoundingMode, Status};

/// From one format to another, rounding if the second is narrower.
#[inline]
pub fn convert<F: Format, G: Format>(a: u64, s: &mut Status) -> u64 {
    let x = unpack::<F>(a, s);
    match x.class {
        Class::Zero => signed::<G>(x.sign, 0),
        Class::Infinity => signed::<G>(x.sign, G::INFINITY),
        Class::Nan => convert_nan::<F, G>(a, s),
        Class::Finite => round_pack::<G>(x.sign, x.exponent, x.significand, s),
    }
}

/// The payload keeps its leading bits.
#[cold]
fn convert_nan<F: Format, G: Format>(a: u64, s: &mut Status) -> u64 {
    if is_signaling::<F>(a) {
        s.raise(Flags::INVALID);
    }
    if s.default_nan {
        return default_nan::<G>(s);
    }
    let payload = (a & F::FRACTION_MASK) << F::SHIFT >> G::SHIFT;
    signed::<G>(sign_of::<F>(a), G::INFINITY | G::QUIET | payload)
}

/// The magnitude of a finite number below 2^64 rounded to an integer, and whether it changed.
#[inline]
fn round_magnitude(x: Unpacked, mode: RoundingMode) -> (u64, bool) {
    // `fraction` counts units of 2^-64; below a half, all that matters is that it is not zero.
    let (whole, fraction) = match x.exponent {
        63.. => (x.significand, 0),
        0..63 => (
            x.significand >> (63 - x.exponent),
            x.significand << (x.exponent + 1),
        ),
        -1 => (0, x.significand),
        _ => (0, 1),
    };
    let up = rounds_up(mode, x.sign, whole & 1 != 0, fraction, 1 << 63);
    (whole + u64::from(up), fraction != 0)
}

/// An integer type as seen by a conversion: how far it reaches on both sides of zero.
pub trait Int: Copy {
    const MAX_POSITIVE: u64;
    const MAX_NEGATIVE: u64;
    /// x86's answer where there is no right one.
    const INDEFINITE: Self;
    fn from_parts(negative: bool, magnitude: u64) -> Self;
    fn to_parts(self) -> (bool, u64);
}

macro_rules! ints {
    ($($name:ident $indefinite:expr;)*) => {
        $(impl Int for $name {
            const MAX_POSITIVE: u64 = $name::MAX as u64;
            const MAX_NEGATIVE: u64 = ($name::MIN as i64).unsigned_abs();
            const INDEFINITE: Self = $indefinite;
            #[inline]
            fn from_parts(negative: bool, magnitude: u64) -> Self {
                (if negative { magnitude.wrapping_neg() } else { magnitude }) as Self
            }
            #[inline]
            fn to_parts(self) -> (bool, u64) {
                #[allow(unused_comparisons, reason = "half of the types have no sign")]
                let negative = self < 0;
                (negative, if negative { (self as u64).wrapping_neg() } else { self as u64 })
            }
        })*
    };
}

ints! {
    i32 i32::MIN;
    u32 u32::MAX;
    i64 i64::MIN;
    u64 u64::MAX;
}

/// convertToIntegerExact in the mode of `s`; invalid if the rounded number does not fit.
#[inline]
pub fn to_int<F: Host, I: Int>(a: u64, s: &mut Status) -> I {
    let sign = sign_of::<F>(a);
    let limit = if sign {
        I::MAX_NEGATIVE
    } else {
        I::MAX_POSITIVE
    };
    match F::round_magnitude(a, s) {
        Some((magnitude, inexact)) if magnitude <= limit => {
            s.raise(if inexact { Flags::INEXACT } else { Flags::NONE });
            I::from_parts(sign, magnitude)
        }
        _ => soft_to_int::<F, I>(a, limit, s),
    }
}

#[inline(never)]
fn soft_to_int<F: Format, I: Int>(a: u64, limit: u64, s: &mut Status) -> I {
    let x = unpack::<F>(a, s);
    match x.class {
        Class::Zero => return I::from_parts(false, 0),
        Class::Finite if x.exponent <= 63 => {
            let (magnitude, inexact) = round_magnitude(x, s.rounding);
            if magnitude <= limit {
                s.raise(if inexact { Flags::INEXACT } else { Flags::NONE });
                return I::from_parts(x.sign, magnitude);
            }
        }
        _ => {}
    }
    s.raise(Flags::INVALID);
    match (s.int_overflow, x.class) {
        (IntOverflow::Indefinite, _) => I::INDEFINITE,
        (IntOverflow::Saturate, Class::Nan) => I::from_parts(false, I::MAX_POSITIVE),
        (IntOverflow::SaturateNanZero, Class::Nan) => I::from_parts(false, 0),
        _ => I::from_parts(x.sign, limit),
    }
}

/// Truncated modulo 2^32, with the flags of a truncating `to_int::<i32>`; infinity and NaN give
/// zero (RISC-V `fcvtmod.w.d`, Arm `FJCVTZS`, ECMAScript's ToInt32).
#[inline]
pub fn to_int_modular<F: Host>(a: u64, s: &mut Status) -> i32 {
    let mut truncating = Status {
        rounding: RoundingMode::TowardZero,
        ..*s
    };
    to_int::<F, i32>(a, &mut truncating);
    s.flags = truncating.flags;
    let x = unpack::<F>(a, s);
    let magnitude = match (x.class, x.exponent) {
        (Class::Finite, 0..64) => x.significand >> (63 - x.exponent),
        (Class::Finite, 64..127) => x.significand << (x.exponent - 63),
        _ => 0,
    };
    i32::from_parts(x.sign, magnitude)
}

/// convertFromInt
#[inline]
pub fn from_int<F: Format, I: Int>(value: I, s: &mut Status) -> u64 {
    let (sign, magnitude) = value.to_parts();
    if magnitude == 0 {
        return 0;
    }
    let zeros = magnitude.leading_zeros();
    round_pack::<F>(sign, 63 - zeros as i32, magnitude << zeros, s)
}

/// roundToIntegralExact if `exact` (inexact may be raised), else the roundToIntegral operations.
#[inline]
pub fn round_to_int<F: Format>(a: u64, exact: bool, s: &mut Status) -> u64 {
    let x = unpack::<F>(a, s);
    match x.class {
        Class::Zero => return signed::<F>(x.sign, 0),
        Class::Nan => return propagate::<F>(&[a], s),
        Class::Finite if x.exponent < F::FRACTION_BITS as i32 => {}
        _ => return a,
    }
    let (magnitude, inexact) = round_magnitude(x, s.rounding);
    if inexact && exact {
        s.raise(Flags::INEXACT);
    }
    // 6.3: the sign stays even if the number rounds to zero.
    let zeros = magnitude.leading_zeros();
    match magnitude {
        0 => signed::<F>(x.sign, 0),
        _ => round_pack::<F>(x.sign, 63 - zeros as i32, magnitude << zeros, s),
    }
}
