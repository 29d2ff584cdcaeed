//! Conversions between formats, to and from integers, and rounding to an integer.

use fpu::{Flags, RoundingMode, Status};
use rustc_apfloat::ieee::{BFloatS, DoubleS, HalfS, IeeeFloat, Semantics, SingleS};
use rustc_apfloat::{Float, FloatConvert};

use crate::formats::{F16, F32, F64, MODES, Ops, Unary, run};
use crate::random::{Random, cases};
use crate::reference::{Wide, finish, flags_of, round_of};

/// bfloat16 has conversions only; the rest of its row is never called.
const BF16: Ops = Ops {
    name: "BF16",
    exponent_bits: 8,
    fraction_bits: 7,
    ..F32
};

struct Conversion {
    from: Ops,
    to: Ops,
    ours: Unary,
    reference: fn(&Ops, u64, RoundingMode) -> (u64, Flags),
}

fn convert_reference<F: Semantics, G: Semantics, const FRACTION_BITS: usize>(
    to: &Ops,
    a: u64,
    mode: RoundingMode,
) -> (u64, Flags)
where
    IeeeFloat<F>: FloatConvert<IeeeFloat<G>> + FloatConvert<IeeeFloat<Wide<FRACTION_BITS>>>,
{
    let value = IeeeFloat::<F>::from_bits(a.into());
    let narrow = value.convert_r(round_of(mode), &mut false);
    let wide = value.convert_r(round_of(mode), &mut false);
    finish::<G, Wide<FRACTION_BITS>>(to, narrow, wide, mode)
}

macro_rules! conversions {
    ($(
        $name:ident $from:ident $bits:ident $from_s:ident $to:ident $to_s:ident $digits:literal;
    )*) => {
        [$(Conversion {
            from: $from,
            to: $to,
            ours: |a, s| fpu::$name(a as $bits, s).into(),
            reference: convert_reference::<$from_s, $to_s, $digits>,
        }),*]
    };
}

const CONVERSIONS: [Conversion; 8] = conversions! {
    f16_to_f32 F16 u16 HalfS F32 SingleS 23;
    f16_to_f64 F16 u16 HalfS F64 DoubleS 52;
    f32_to_f16 F32 u32 SingleS F16 HalfS 10;
    f32_to_f64 F32 u32 SingleS F64 DoubleS 52;
    f64_to_f16 F64 u64 DoubleS F16 HalfS 10;
    f64_to_f32 F64 u64 DoubleS F32 SingleS 23;
    bf16_to_f32 BF16 u16 BFloatS F32 SingleS 23;
    f32_to_bf16 F32 u32 SingleS BF16 BFloatS 7;
};

fn check_conversion(row: &Conversion, a: u64, mode: RoundingMode) {
    let (bits, mut flags) = (row.reference)(&row.to, a, mode);
    if row.from.is_signaling(a) {
        flags = Flags::INVALID;
    }
    for sticky in [Flags::NONE, Flags::INEXACT] {
        let mut status = Status::riscv(mode).with_flags(sticky);
        let result = (row.ours)(a, &mut status);
        let context = format!("{} to {} of {a:#x} {mode:?}", row.from.name, row.to.name);
        assert_eq!(
            (result, status.flags),
            (bits, flags | sticky),
            "{context}, expected {bits:#x}"
        );
    }
}

/// (bits, signed) of the integers in the order of `Ops::to_int`.
const INTS: [(u32, bool); 4] = [(32, true), (32, false), (64, true), (64, false)];

fn limits((bits, signed): (u32, bool)) -> (i128, i128) {
    if signed {
        (-1 << (bits - 1), (1 << (bits - 1)) - 1)
    } else {
        (0, (1 << bits) - 1)
    }
}

/// The number rounded to an integer, in a format that holds every integer of 64 bits.
fn rounded_reference(ops: &Ops, a: u64, mode: RoundingMode) -> (Option<i128>, bool) {
    fn of<S: Semantics>(a: u64, mode: RoundingMode) -> (Option<i128>, bool) {
        let mut exact = false;
        let value = IeeeFloat::<S>::from_bits(a.into());
        let result = value.to_i128_r(100, round_of(mode), &mut exact);
        let odd = i128::from(mode == RoundingMode::Odd && !exact);
        let sign = if value.is_negative() { -1 } else { 1 };
        let fits = !flags_of(result.status).contains(Flags::INVALID);
        // Truncation to an even number, in odd mode, goes one further from zero.
        let number = result.value + sign * (odd & (result.value & 1 ^ 1));
        (fits.then_some(number), !exact)
    }
    match ops.fraction_bits {
        10 => of::<HalfS>(a, mode),
        23 => of::<SingleS>(a, mode),
        _ => of::<DoubleS>(a, mode),
    }
}

fn check_to_int(ops: &Ops, a: u64, mode: RoundingMode) {
    let (rounded, inexact) = rounded_reference(ops, a, mode);
    for (index, int) in INTS.into_iter().enumerate() {
        let (low, high) = limits(int);
        let expected = match rounded {
            Some(number) if (low..=high).contains(&number) => (number, Flags(inexact.into())),
            _ if !ops.is_nan(a) && a & ops.sign() != 0 => (low, Flags::INVALID),
            _ => (high, Flags::INVALID),
        };
        let result = run(mode, |s| (ops.to_int[index])(a, s));
        assert_eq!(result, expected, "{} {a:#x} to {int:?} {mode:?}", ops.name);
    }
}

fn check_round_to_int(ops: &Ops, a: u64, mode: RoundingMode) {
    fn of<S: Semantics>(a: u64, mode: RoundingMode) -> u64 {
        let value = IeeeFloat::<S>::from_bits(a.into());
        value.round_to_integral(round_of(mode)).value.to_bits() as u64
    }
    if mode == RoundingMode::Odd {
        return;
    }
    let rounded = match ops.fraction_bits {
        10 => of::<HalfS>(a, mode),
        23 => of::<SingleS>(a, mode),
        _ => of::<DoubleS>(a, mode),
    };
    let expected = if ops.is_nan(a) {
        ops.canonical_nan()
    } else {
        rounded
    };
    let invalid = Flags(u8::from(ops.is_signaling(a)) * Flags::INVALID.0);
    let inexact = Flags(u8::from(!ops.is_nan(a) && rounded != a));
    let context = format!("{} {a:#x} {mode:?}", ops.name);
    let quiet = run(mode, |s| (ops.round_to_int)(a, false, s));
    assert_eq!(quiet, (expected, invalid), "{context}");
    let exact = run(mode, |s| (ops.round_to_int)(a, true, s));
    assert_eq!(exact, (expected, invalid | inexact), "{context}, exact");
}

fn check_modular(ops: &Ops, a: u64) {
    let (result, flags) = run(RoundingMode::Up, |s| (ops.modular)(a, s));
    let (_, expected_flags) = run(RoundingMode::TowardZero, |s| (ops.to_int[0])(a, s));
    assert_eq!(flags, expected_flags, "{} {a:#x}", ops.name);
    let expected = if a & ops.infinity() == ops.infinity() {
        0
    } else {
        let (negative, digits, exponent) = ops.decode(a);
        let low = match exponent {
            0..32 => digits << exponent,
            -63..0 => digits >> -exponent,
            _ => 0,
        };
        if negative {
            (low as i32).wrapping_neg()
        } else {
            low as i32
        }
    };
    assert_eq!(result, expected, "{} {a:#x}", ops.name);
}

fn check_from_int(ops: &Ops, index: usize, pattern: u64, mode: RoundingMode) {
    fn of<S: Semantics>(ops: &Ops, value: i128, mode: RoundingMode) -> (u64, Flags) {
        let narrow = IeeeFloat::<S>::from_i128_r(value, round_of(mode));
        let wide = IeeeFloat::<Wide<52>>::from_i128_r(value, round_of(mode));
        // Overflow is decided at the format's own precision, which only binary16 can exceed.
        let wide = match ops.fraction_bits {
            10 => {
                let own = IeeeFloat::<Wide<10>>::from_i128_r(value, round_of(mode));
                own.value.convert(&mut false)
            }
            _ => wide,
        };
        finish::<S, Wide<52>>(ops, narrow, wide, mode)
    }
    let value = match index {
        0 => i128::from(pattern as i32),
        1 => i128::from(pattern as u32),
        2 => i128::from(pattern as i64),
        _ => i128::from(pattern),
    };
    let expected = match ops.fraction_bits {
        10 => of::<HalfS>(ops, value, mode),
        23 => of::<SingleS>(ops, value, mode),
        _ => of::<DoubleS>(ops, value, mode),
    };
    let result = run(mode, |s| (ops.from_int[index])(value, s));
    assert_eq!(result, expected, "{value} to {} {mode:?}", ops.name);
}

fn check_all(ops: &Ops, a: u64) {
    for mode in MODES {
        check_to_int(ops, a, mode);
        check_round_to_int(ops, a, mode);
    }
    check_modular(ops, a);
}

#[test]
fn between_formats_specials() {
    for row in &CONVERSIONS {
        // Those of the narrower format too, widened, so that its halfway points are met.
        for a in row.from.specials() {
            for step in 0..=64 {
                for mode in MODES {
                    let mask = row.from.sign() | (row.from.sign() - 1);
                    check_conversion(row, a.wrapping_add(step) & mask, mode);
                }
            }
        }
    }
}

#[test]
fn between_formats_every_16_bit() {
    for row in CONVERSIONS.iter().filter(|row| row.from.sign() == 1 << 15) {
        for a in 0..=u16::MAX {
            check_conversion(row, a.into(), RoundingMode::NearestEven);
        }
    }
}

#[test]
fn between_formats_random() {
    let mut random = Random::new(3);
    for case in 0..cases() {
        let row = &CONVERSIONS[case as usize % CONVERSIONS.len()];
        let mut a = random.operand(&row.from);
        if random.below(2) == 0 && row.to.fraction_bits < row.from.fraction_bits {
            // Exponents around the narrower format's ends.
            let edge = [row.to.bias(), 1 - row.to.bias(), 1 - row.to.bias() - 8];
            let exponent = edge[random.below(3) as usize] + random.below(9) as i32 - 4;
            a = row.from.normal(exponent, random.pattern());
        }
        check_conversion(row, a, MODES[random.below(6) as usize]);
    }
}

#[test]
fn integers_from_specials() {
    for ops in [F16, F32, F64] {
        ops.specials().into_iter().for_each(|a| check_all(&ops, a));
        for exponent in [
            15, 16, 30, 31, 32, 33, 62, 63, 64, 65, 83, 84, 85, 95, 96, 127,
        ] {
            for fraction in [
                0,
                1,
                u64::MAX,
                u64::MAX << 1,
                u64::MAX << 20,
                u64::MAX << 21,
            ] {
                let a = ops.normal(exponent, fraction);
                check_all(&ops, a);
                check_all(&ops, a | ops.sign());
            }
        }
    }
}

#[test]
fn integers_from_every_f16() {
    (0..=u16::MAX).for_each(|a| check_all(&F16, a.into()));
}

#[test]
fn integers_random() {
    let mut random = Random::new(4);
    for case in 0..cases() / 8 {
        let ops = if case & 1 == 0 { F32 } else { F64 };
        let mut a = random.operand(&ops);
        if random.below(2) == 0 {
            a = ops.normal(random.below(72) as i32 - 4, random.pattern());
        }
        check_all(&ops, a);
    }
}

#[test]
fn from_integers() {
    let mut random = Random::new(5);
    for case in 0..cases() / 2 {
        let ops = [F16, F32, F64];
        let ops = &ops[case as usize % 3];
        let pattern = random.pattern() >> random.below(64);
        check_from_int(
            ops,
            random.below(4) as usize,
            pattern,
            MODES[random.below(6) as usize],
        );
    }
}

#[test]
fn from_integer_corners() {
    let corners = (0..64).flat_map(|bit| [1 << bit, (1 << bit) - 1, !(1 << bit), u64::MAX << bit]);
    for pattern in corners {
        for ops in [F16, F32, F64] {
            for index in 0..4 {
                MODES
                    .iter()
                    .for_each(|&mode| check_from_int(&ops, index, pattern, mode));
            }
        }
    }
}
