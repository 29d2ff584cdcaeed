//! Square root against its definition: the exact square of the result's neighbourhood, in
//! integers, must enclose the operand as the rounding mode demands.

use fpu::{Flags, RoundingMode, Status};

use crate::formats::{F16, F32, F64, MODES, Ops, run};
use crate::random::{Random, cases};

/// Whether `root` is the correctly rounded root of the positive `a`, and whether it is inexact.
fn is_root(ops: &Ops, a: u64, root: u64, mode: RoundingMode) -> (bool, bool) {
    let (_, radicand, radicand_exponent) = ops.decode(a);
    let (_, digits, exponent) = ops.decode(root);
    // In quarters of the root's unit; below a power of two the spacing is half a unit.
    let square = |quarters: u64| u128::from(quarters).pow(2);
    let shift = radicand_exponent - 2 * (exponent - 2);
    let target = u128::from(radicand) << shift;
    let step = if digits == ops.min_normal() { 2 } else { 4 };
    let r = 4 * digits;
    let inexact = square(r) != target;
    let below = square(r) <= target && target < square(r + 4);
    let above = square(r - step) < target && target <= square(r);
    let nearest = square(r - step / 2) <= target && target <= square(r + 2);
    let right = match mode {
        // A root never lies halfway: its square would have too many digits.
        RoundingMode::NearestEven | RoundingMode::NearestMaxMagnitude => nearest,
        RoundingMode::TowardZero | RoundingMode::Down => below,
        RoundingMode::Up => above,
        RoundingMode::Odd => !inexact || (digits & 1 == 1 && (below || above)),
    };
    (right, inexact)
}

fn expected_special(ops: &Ops, a: u64) -> Option<(u64, Flags)> {
    let invalid = (ops.canonical_nan(), Flags::INVALID);
    match a {
        _ if ops.is_signaling(a) => Some(invalid),
        _ if ops.is_nan(a) => Some((ops.canonical_nan(), Flags::NONE)),
        _ if ops.is_zero(a) || a == ops.infinity() => Some((a, Flags::NONE)),
        _ if a & ops.sign() != 0 => Some(invalid),
        _ => None,
    }
}

fn check(ops: &Ops, a: u64, mode: RoundingMode) {
    let (root, flags) = run(mode, |s| (ops.sqrt)(a, s));
    let context = || {
        format!(
            "{} sqrt({a:#x}) {mode:?} gave {root:#x} {flags:?}",
            ops.name
        )
    };
    match expected_special(ops, a) {
        Some(expected) => assert_eq!((root, flags), expected, "{}", context()),
        None => {
            let (right, inexact) = is_root(ops, a, root, mode);
            assert!(right, "{}", context());
            assert_eq!(flags, Flags(inexact.into()), "{}", context());
        }
    }
    let mut status = Status::riscv(mode).with_flags(Flags::INEXACT);
    assert_eq!(
        (ops.sqrt)(a, &mut status),
        root,
        "with the host, {}",
        context()
    );
    assert_eq!(
        status.flags,
        flags | Flags::INEXACT,
        "with the host, {}",
        context()
    );
}

#[test]
fn specials() {
    for ops in [F16, F32, F64] {
        for a in ops.specials() {
            MODES.iter().for_each(|&mode| check(&ops, a, mode));
        }
    }
}

#[test]
fn every_f16() {
    for a in 0..=u16::MAX {
        MODES.iter().for_each(|&mode| check(&F16, a.into(), mode));
    }
}

#[test]
fn random() {
    let mut random = Random::new(2);
    for case in 0..cases() {
        let ops = if case & 1 == 0 { F32 } else { F64 };
        let mut a = random.operand(&ops);
        if random.below(3) == 0 {
            // A square, or one unit beside it.
            let root = random.operand(&ops);
            let square = run(RoundingMode::NearestEven, |s| (ops.mul)(root, root, s)).0;
            a = square.wrapping_add(random.below(3)).wrapping_sub(1)
                & (ops.sign() | (ops.sign() - 1));
        }
        check(&ops, a, MODES[random.below(6) as usize]);
    }
}
