//! Correctly rounded arithmetic on integers only (IEEE 754-2019, 5.4.1).
//!
//! Each operation forms the exact result, or enough of it plus a sticky bit, and rounds once.

use crate::format::{
    Class, Format, Unpacked, jam_to_64, round_pack, shift_right_jam, shift_right_jam_128, signed,
    unpack,
};
use crate::nan::{invalid, propagate, propagate_fma};
use crate::{Flags, RoundingMode, Status};

/// 6.3: the sign of a sum that is exactly zero though its terms' signs differ.
fn cancelled<F: Format>(s: &Status) -> u64 {
    signed::<F>(s.rounding == RoundingMode::Down, 0)
}

#[inline(never)]
pub fn add<F: Format>(a: u64, b: u64, s: &mut Status) -> u64 {
    add_or_sub::<F>(a, b, false, s)
}

#[inline(never)]
pub fn sub<F: Format>(a: u64, b: u64, s: &mut Status) -> u64 {
    add_or_sub::<F>(a, b, true, s)
}

/// `negate` inverts b's sign, though not a NaN's.
#[inline]
fn add_or_sub<F: Format>(a: u64, b: u64, negate: bool, s: &mut Status) -> u64 {
    let x = unpack::<F>(a, s);
    let mut y = unpack::<F>(b, s);
    y.sign ^= negate;
    match (x.class, y.class) {
        (Class::Finite, Class::Finite) => add_finite::<F>(x, y, s),
        (Class::Nan, _) | (_, Class::Nan) => propagate::<F>(&[a, b], s),
        (Class::Infinity, Class::Infinity) if x.sign != y.sign => invalid::<F>(s),
        (Class::Infinity, _) => signed::<F>(x.sign, F::INFINITY),
        (_, Class::Infinity) => signed::<F>(y.sign, F::INFINITY),
        (Class::Zero, Class::Zero) if x.sign == y.sign => signed::<F>(x.sign, 0),
        (Class::Zero, Class::Zero) => cancelled::<F>(s),
        (Class::Zero, _) => round_pack::<F>(y.sign, y.exponent, y.significand, s),
        (_, Class::Zero) => round_pack::<F>(x.sign, x.exponent, x.significand, s),
    }
}

fn add_finite<F: Format>(x: Unpacked, y: Unpacked, s: &mut Status) -> u64 {
    let x_larger = (x.exponent, x.significand) >= (y.exponent, y.significand);
    let (big, small) = if x_larger { (x, y) } else { (y, x) };
    let shift = (big.exponent - small.exponent) as u32;
    // One place is kept free for the carry; no format has a bit there to lose.
    let low = shift_right_jam(small.significand >> 1, shift);
    let high = big.significand >> 1;
    let sum = if big.sign == small.sign {
        high + low
    } else {
        high - low
    };
    if sum == 0 {
        return cancelled::<F>(s);
    }
    let zeros = sum.leading_zeros();
    round_pack::<F>(big.sign, big.exponent + 1 - zeros as i32, sum << zeros, s)
}

#[inline(never)]
pub fn mul<F: Format>(a: u64, b: u64, s: &mut Status) -> u64 {
    let x = unpack::<F>(a, s);
    let y = unpack::<F>(b, s);
    let sign = x.sign ^ y.sign;
    match (x.class, y.class) {
        (Class::Finite, Class::Finite) => {
            let (exponent, product) = product(x, y);
            round_pack::<F>(sign, exponent, jam_to_64(product), s)
        }
        (Class::Nan, _) | (_, Class::Nan) => propagate::<F>(&[a, b], s),
        (Class::Infinity, Class::Zero) | (Class::Zero, Class::Infinity) => invalid::<F>(s),
        (Class::Infinity, _) | (_, Class::Infinity) => signed::<F>(sign, F::INFINITY),
        (Class::Zero, _) | (_, Class::Zero) => signed::<F>(sign, 0),
    }
}

/// The exact product, normalised to bit 127, and the exponent of that bit.
#[inline]
fn product(x: Unpacked, y: Unpacked) -> (i32, u128) {
    let product = u128::from(x.significand) * u128::from(y.significand);
    let zeros = product.leading_zeros();
    (x.exponent + y.exponent + 1 - zeros as i32, product << zeros)
}

/// a * b + c with one rounding; callers negate operands for the other three forms.
#[inline(never)]
pub fn fma<F: Format>(a: u64, b: u64, c: u64, s: &mut Status) -> u64 {
    let (x, y, z) = (unpack::<F>(a, s), unpack::<F>(b, s), unpack::<F>(c, s));
    let sign = x.sign ^ y.sign;
    let both = (x.class, y.class);
    let no_product = matches!(
        both,
        (Class::Infinity, Class::Zero) | (Class::Zero, Class::Infinity)
    );
    if x.class == Class::Nan || y.class == Class::Nan || z.class == Class::Nan {
        return propagate_fma::<F>((a, b, c), no_product, s);
    }
    if no_product {
        return invalid::<F>(s);
    }
    let product_infinite = x.class == Class::Infinity || y.class == Class::Infinity;
    match (both, z.class) {
        ((Class::Finite, Class::Finite), Class::Finite) => fma_finite::<F>(x, y, z, s),
        ((Class::Finite, Class::Finite), Class::Zero) => {
            let (exponent, product) = product(x, y);
            round_pack::<F>(sign, exponent, jam_to_64(product), s)
        }
        (_, Class::Infinity) if product_infinite && sign != z.sign => invalid::<F>(s),
        (_, Class::Infinity) => signed::<F>(z.sign, F::INFINITY),
        _ if product_infinite => signed::<F>(sign, F::INFINITY),
        (_, Class::Zero) if sign == z.sign => signed::<F>(sign, 0),
        (_, Class::Zero) => cancelled::<F>(s),
        _ => round_pack::<F>(z.sign, z.exponent, z.significand, s),
    }
}

fn fma_finite<F: Format>(x: Unpacked, y: Unpacked, z: Unpacked, s: &mut Status) -> u64 {
    let (exponent, product) = product(x, y);
    let product = (exponent, product >> 1, x.sign ^ y.sign);
    let addend = (z.exponent, u128::from(z.significand) << 63, z.sign);
    let product_larger = (product.0, product.1) >= (addend.0, addend.1);
    let (big, small) = if product_larger {
        (product, addend)
    } else {
        (addend, product)
    };
    let low = shift_right_jam_128(small.1, (big.0 - small.0) as u32);
    let sum = if big.2 == small.2 {
        big.1 + low
    } else {
        big.1 - low
    };
    if sum == 0 {
        return cancelled::<F>(s);
    }
    let zeros = sum.leading_zeros();
    round_pack::<F>(big.2, big.0 + 1 - zeros as i32, jam_to_64(sum << zeros), s)
}

#[inline(never)]
pub fn div<F: Format>(a: u64, b: u64, s: &mut Status) -> u64 {
    let x = unpack::<F>(a, s);
    let y = unpack::<F>(b, s);
    let sign = x.sign ^ y.sign;
    match (x.class, y.class) {
        (Class::Finite, Class::Finite) => {
            let quotient = quotient::<F>(x.significand, y.significand);
            let zeros = quotient.leading_zeros();
            let exponent = x.exponent - y.exponent - zeros as i32;
            round_pack::<F>(sign, exponent, quotient << zeros, s)
        }
        (Class::Nan, _) | (_, Class::Nan) => propagate::<F>(&[a, b], s),
        (Class::Infinity, Class::Infinity) | (Class::Zero, Class::Zero) => invalid::<F>(s),
        (Class::Infinity, _) => signed::<F>(sign, F::INFINITY),
        (Class::Zero, _) | (_, Class::Infinity) => signed::<F>(sign, 0),
        (Class::Finite, Class::Zero) => {
            s.raise(Flags::DIVBYZERO);
            signed::<F>(sign, F::INFINITY)
        }
    }
}

/// x / y * 2^63 with a sticky bit 0, to at least two bits more than the format's precision.
#[inline]
fn quotient<F: Format>(x: u64, y: u64) -> u64 {
    if F::FRACTION_BITS < 28 {
        // The operands' low halves are zero: a 63-bit dividend gives 31 significant bits.
        let (dividend, divisor) = (x >> 1, y >> 32);
        return (dividend / divisor) << 32 | u64::from(!dividend.is_multiple_of(divisor));
    }
    let dividend = u128::from(x) << 63;
    let divisor = u128::from(y);
    let quotient = dividend / divisor;
    quotient as u64 | u64::from(quotient * divisor != dividend)
}

#[inline(never)]
pub fn sqrt<F: Format>(a: u64, s: &mut Status) -> u64 {
    let x = unpack::<F>(a, s);
    match x.class {
        Class::Nan => propagate::<F>(&[a], s),
        Class::Zero => signed::<F>(x.sign, 0),
        _ if x.sign => invalid::<F>(s),
        Class::Infinity => F::INFINITY,
        Class::Finite => {
            // An even exponent halves; the root of [2^126, 2^128) has bit 63 as its first.
            let radicand = u128::from(x.significand) << (63 + (x.exponent & 1));
            let root = radicand.isqrt();
            let sticky = u64::from(root * root != radicand);
            round_pack::<F>(false, x.exponent >> 1, root as u64 | sticky, s)
        }
    }
}
