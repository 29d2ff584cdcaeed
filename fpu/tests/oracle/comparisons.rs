//! Comparisons, minimum, maximum and classification, against APFloat's order and categories.

use std::cmp::Ordering;

use fpu::{Flags, Relation, RoundingMode};
use rustc_apfloat::ieee::{DoubleS, HalfS, IeeeFloat, Semantics, SingleS};
use rustc_apfloat::{Category, Float};

use crate::formats::{F16, F32, F64, Ops, run};
use crate::random::{Random, cases};

fn order(ops: &Ops, a: u64, b: u64) -> Option<Ordering> {
    fn of<S: Semantics>(a: u64, b: u64) -> Option<Ordering> {
        let of = |a: u64| IeeeFloat::<S>::from_bits(a.into());
        of(a).partial_cmp(&of(b))
    }
    match ops.fraction_bits {
        10 => of::<HalfS>(a, b),
        23 => of::<SingleS>(a, b),
        _ => of::<DoubleS>(a, b),
    }
}

fn invalid_if(condition: bool) -> Flags {
    if condition {
        Flags::INVALID
    } else {
        Flags::NONE
    }
}

fn check(ops: &Ops, a: u64, b: u64) {
    let order = order(ops, a, b);
    let any_signaling = ops.is_signaling(a) || ops.is_signaling(b);
    let context = format!("{} {a:#x} {b:#x}", ops.name);
    let truths = [
        order == Some(Ordering::Equal),
        order == Some(Ordering::Less),
        matches!(order, Some(Ordering::Less | Ordering::Equal)),
    ];
    let relation = match order {
        Some(Ordering::Less) => Relation::Less,
        Some(Ordering::Equal) => Relation::Equal,
        Some(Ordering::Greater) => Relation::Greater,
        None => Relation::Unordered,
    };
    for signaling in [false, true] {
        let flags = invalid_if(any_signaling || (signaling && order.is_none()));
        for (index, truth) in truths.into_iter().enumerate() {
            let compare = ops.compare[index + 3 * usize::from(signaling)];
            let result = run(RoundingMode::Down, |s| compare(a, b, s));
            assert_eq!(
                result,
                (truth, flags),
                "{context}, comparison {index} {signaling}"
            );
        }
        let compare = ops.relation[usize::from(signaling)];
        let result = run(RoundingMode::Up, |s| compare(a, b, s));
        assert_eq!(result, (relation, flags), "{context} {signaling}");
    }
    check_min_max(ops, a, b, order);
}

fn check_min_max(ops: &Ops, a: u64, b: u64, order: Option<Ordering>) {
    let flags = invalid_if(ops.is_signaling(a) || ops.is_signaling(b));
    // Equal but different are only the zeros, and only the sign bit tells them apart.
    let (low, high) = match order {
        Some(Ordering::Greater) => (b, a),
        Some(Ordering::Equal) if a & ops.sign() == 0 => (b, a),
        _ => (a, b),
    };
    let nan = ops.canonical_nan();
    let expected = match (ops.is_nan(a), ops.is_nan(b)) {
        (false, false) => [low, high, low, high],
        (true, true) => [nan; 4],
        (true, false) => [nan, nan, b, b],
        (false, true) => [nan, nan, a, a],
    };
    for (operation, expected) in ops.min_max.into_iter().zip(expected) {
        let result = run(RoundingMode::NearestEven, |s| operation(a, b, s));
        assert_eq!(result, (expected, flags), "{} {a:#x} {b:#x}", ops.name);
    }
}

fn check_classify(ops: &Ops, a: u64) {
    fn of<S: Semantics>(a: u64) -> usize {
        let value = IeeeFloat::<S>::from_bits(a.into());
        let negative = value.is_negative();
        let rank = match value.category() {
            Category::NaN => return if value.is_signaling() { 8 } else { 9 },
            Category::Zero => 0,
            Category::Normal if value.is_denormal() => 1,
            Category::Normal => 2,
            Category::Infinity => 3,
        };
        if negative { 3 - rank } else { 4 + rank }
    }
    let bit = match ops.fraction_bits {
        10 => of::<HalfS>(a),
        23 => of::<SingleS>(a),
        _ => of::<DoubleS>(a),
    };
    assert_eq!((ops.classify)(a), 1 << bit, "{} {a:#x}", ops.name);
}

#[test]
fn specials() {
    for ops in [F16, F32, F64] {
        let specials = ops.specials();
        for &a in &specials {
            check_classify(&ops, a);
            specials.iter().for_each(|&b| check(&ops, a, b));
        }
    }
}

#[test]
fn classify_every_f16() {
    (0..=u16::MAX).for_each(|a| check_classify(&F16, a.into()));
}

#[test]
fn random() {
    let mut random = Random::new(6);
    for case in 0..cases() / 4 {
        let ops = [F16, F32, F64];
        let ops = &ops[case as usize % 3];
        let a = random.operand(ops);
        let b = if case & 8 == 0 {
            random.near(ops, a)
        } else {
            random.operand(ops)
        };
        check(ops, a, b);
        check_classify(ops, a);
    }
}
