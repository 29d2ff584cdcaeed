//! The host's own arithmetic, where it gives the same bits and flags as the integer code.
//!
//! Rust's f32 and f64 `+ - * /` and `sqrt` are the IEEE 754 operations in roundTiesToEven, with
//! subnormals, on every host here (SSE2, NEON, wasm); only the bits of NaNs are left open. The
//! host's flags are out of reach, so a result is taken only if they are known without looking:
//!
//! - the guest rounds to nearest even and flushes no subnormals, and inexact is already sticky, or
//!   the error of the result can be had exactly, and is 0 (numbers that are integers, mostly);
//! - the result is finite: neither invalid, nor division by zero, nor overflow has happened, and
//!   no operand was a NaN;
//! - it is larger than the smallest normal number, so it is not tiny even if rounding made it
//!   grow. A sum needs no such bound: one that is subnormal is exact, which 7.5 does not flag;
//!   nor does any other exact result.
//!
//! A zero result of `mul` is also taken when an operand is zero. A conversion to an
//! integer needs no sticky flag: going back shows whether it was exact. All else is for the
//! integer code of the other modules.

use crate::format::{F16, F32, F64, Format};
use crate::{Flags, RoundingMode, Status};

/// A format whose operations the host may have; `None` sends the caller to the integer code.
pub trait Host: Format {
    fn add(_a: u64, _b: u64, _s: &Status) -> Option<u64> {
        None
    }
    fn sub(_a: u64, _b: u64, _s: &Status) -> Option<u64> {
        None
    }
    fn mul(_a: u64, _b: u64, _s: &Status) -> Option<u64> {
        None
    }
    fn div(_a: u64, _b: u64, _s: &Status) -> Option<u64> {
        None
    }
    fn sqrt(_a: u64, _s: &Status) -> Option<u64> {
        None
    }
    fn fma(_a: u64, _b: u64, _c: u64, _s: &Status) -> Option<u64> {
        None
    }
    /// The magnitude rounded as `s` says to an integer below 2^63, and whether it was inexact.
    fn round_magnitude(_a: u64, _s: &Status) -> Option<(u64, bool)> {
        None
    }
}

impl Host for F16 {}

#[inline]
fn usable(s: &Status) -> bool {
    s.rounding == RoundingMode::NearestEven && !s.flush_to_zero && !s.flush_inputs_to_zero
}

#[inline]
fn sticky(s: &Status) -> bool {
    s.flags.contains(Flags::INEXACT)
}

/// A range of magnitudes, 2^+-400, that keeps [`two_product`] within the exponents.
#[inline]
fn moderate(a: f64) -> bool {
    (1023 - 400..1023 + 400).contains(&(a.to_bits() >> 52 & 0x7ff))
}

/// That a * b is `product`, without rounding. May say no though it is.
#[inline]
fn is_product(a: f64, b: f64, product: f64) -> bool {
    moderate(a) && moderate(b) && two_product(a, b) == (product, 0.0)
}

macro_rules! host {
    ($format:ident $float:ident $bits:ident $fma:item) => {
        impl Host for $format {
            #[inline]
            fn add(a: u64, b: u64, s: &Status) -> Option<u64> {
                let (a, b) = ($float::from_bits(a as $bits), $float::from_bits(b as $bits));
                let r = a + b;
                // Knuth's sum, as two_sum.
                let exact = || {
                    let b_part = r - a;
                    (a - (r - b_part)) + (b - b_part) == 0.0
                };
                let sure = r.is_finite() && (sticky(s) || exact());
                (usable(s) && sure).then(|| r.to_bits().into())
            }

            #[inline]
            fn sub(a: u64, b: u64, s: &Status) -> Option<u64> {
                let minus_b = -$float::from_bits(b as $bits);
                Self::add(a, minus_b.to_bits().into(), s)
            }

            #[inline]
            fn mul(a: u64, b: u64, s: &Status) -> Option<u64> {
                let (a, b) = ($float::from_bits(a as $bits), $float::from_bits(b as $bits));
                let r = a * b;
                let sure = a == 0.0
                    || b == 0.0
                    || sticky(s) && r.abs() > $float::MIN_POSITIVE
                    || is_product(a.into(), b.into(), r.into());
                (usable(s) && r.is_finite() && sure).then(|| r.to_bits().into())
            }

            #[inline]
            fn div(a: u64, b: u64, s: &Status) -> Option<u64> {
                let (a, b) = ($float::from_bits(a as $bits), $float::from_bits(b as $bits));
                let r = a / b;
                let sure = sticky(s) && r.abs() > $float::MIN_POSITIVE
                    || is_product(r.into(), b.into(), a.into());
                (usable(s) && r.is_finite() && sure).then(|| r.to_bits().into())
            }

            #[inline]
            fn sqrt(a: u64, s: &Status) -> Option<u64> {
                let a = $float::from_bits(a as $bits);
                let r = a.sqrt();
                let sure = sticky(s) && r > $float::MIN_POSITIVE
                    || is_product(r.into(), r.into(), a.into());
                (usable(s) && r.is_finite() && sure).then(|| r.to_bits().into())
            }

            #[inline]
            fn round_magnitude(a: u64, s: &Status) -> Option<(u64, bool)> {
                if s.flush_inputs_to_zero {
                    return None;
                }
                round_magnitude($float::from_bits(a as $bits).abs().into(), s.rounding)
            }

            $fma
        }
    };
}

host! { F32 f32 u32
    #[inline]
    fn fma(a: u64, b: u64, c: u64, s: &Status) -> Option<u64> {
        let of = |bits: u64| f64::from(f32::from_bits(bits as u32));
        // 24 + 24 bits of product fit in a binary64, so only the sum can be inexact.
        let (product, addend) = (of(a) * of(b), of(c));
        let r = add_to_odd(product, addend) as f32;
        let exact = || two_sum(product, addend) == (r.into(), 0.0);
        let sure = r.is_finite() && r.abs() > f32::MIN_POSITIVE && (sticky(s) || exact());
        (usable(s) && sure).then(|| r.to_bits().into())
    }
}
host! { F64 f64 u64
    #[inline]
    fn fma(a: u64, b: u64, c: u64, s: &Status) -> Option<u64> {
        let [a, b, c] = [a, b, c].map(f64::from_bits);
        // And an addend below 2^900: no step below leaves the exponent range.
        let addend = c.to_bits() >> 52 & 0x7ff;
        if !(usable(s) && moderate(a) && moderate(b) && addend < 1023 + 900) {
            return None;
        }
        let (r, exact) = fused(a, b, c);
        (r.abs() > f64::MIN_POSITIVE && (sticky(s) || exact)).then(|| r.to_bits())
    }
}

/// a * b + c with one rounding, in the host's f64 arithmetic: `f64::mul_add` is a call to libm
/// on a host without the instruction, wasm among them, and may be slower than module `arith`
/// (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums", figure 4). True if nothing
/// was rounded away; may be false even so.
#[inline]
fn fused(a: f64, b: f64, c: f64) -> (f64, bool) {
    let (product, product_error) = two_product(a, b);
    let (low, low_error) = two_sum(c, product_error);
    let (high, high_error) = two_sum(product, low);
    let exact = high_error == 0.0 && low_error == 0.0;
    (high + add_to_odd(high_error, low_error), exact)
}

/// Dekker's product: the rounded product, and exactly what the rounding took from it.
#[inline]
fn two_product(a: f64, b: f64) -> (f64, f64) {
    let split = |a: f64| {
        let scaled = a * f64::from((1 << 27) + 1);
        let high = scaled - (scaled - a);
        (high, a - high)
    };
    let product = a * b;
    let ((a_high, a_low), (b_high, b_low)) = (split(a), split(b));
    let error = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low;
    (product, error)
}

/// The sign is left for the caller's range check.
#[inline]
fn round_magnitude(magnitude: f64, mode: RoundingMode) -> Option<(u64, bool)> {
    // Above 2^52 a binary64 has no place for a fraction, so the host's sum rounds one away.
    const TWO_52: f64 = (1_u64 << 52) as f64;
    const TWO_63: f64 = (1_u64 << 63) as f64;
    let (rounded, limit) = match mode {
        RoundingMode::TowardZero => (magnitude, TWO_63),
        RoundingMode::NearestEven => ((magnitude + TWO_52) - TWO_52, TWO_52),
        _ => return None,
    };
    // Out of range are NaNs, too. As i64, since that is one instruction where u64 is several.
    (magnitude < limit).then(|| {
        let whole = rounded as i64;
        (whole as u64, whole as f64 != magnitude)
    })
}

/// Knuth's sum: the rounded sum, and exactly what the rounding took from it.
#[inline]
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let b_part = sum - a;
    (sum, (a - (sum - b_part)) + (b - b_part))
}

/// a + b rounded to odd: 53 bits that may be rounded again, alone or in a sum with a number much
/// larger, as if they were the exact sum (theorem 1 of the same paper). The operands must be
/// far enough from the largest number for the sum to be finite, or the result will not be used.
#[inline]
fn add_to_odd(a: f64, b: f64) -> f64 {
    let (sum, error) = two_sum(a, b);
    let bits = sum.to_bits();
    if error == 0.0 || bits & 1 != 0 {
        return sum;
    }
    // The even neighbour was taken; the odd one lies in the direction of the error.
    let away = (error > 0.0) == (sum > 0.0);
    f64::from_bits(if away { bits + 1 } else { bits - 1 })
}
