//! Add, subtract, multiply, divide and fused multiply-add against the reference, both with
//! clear flags (integer code) and with inexact already set (the host's, where it may be used).

use fpu::{Flags, RoundingMode, Status};

use crate::formats::{F16, F32, F64, MODES, Ops};
use crate::random::{Random, cases};
use crate::reference::{Op, arithmetic};

const OPS: [Op; 5] = [Op::Add, Op::Sub, Op::Mul, Op::Div, Op::Fma];

fn ours(ops: &Ops, op: Op, [a, b, c]: [u64; 3], status: &mut Status) -> u64 {
    match op {
        Op::Add => (ops.add)(a, b, status),
        Op::Sub => (ops.sub)(a, b, status),
        Op::Mul => (ops.mul)(a, b, status),
        Op::Div => (ops.div)(a, b, status),
        Op::Fma => (ops.fma)(a, b, c, status),
    }
}

fn check(ops: &Ops, op: Op, abc: [u64; 3], mode: RoundingMode) {
    let (bits, flags) = arithmetic(ops, op, abc, mode);
    for sticky in [Flags::NONE, Flags::INEXACT] {
        let mut status = Status::riscv(mode).with_flags(sticky);
        let result = ours(ops, op, abc, &mut status);
        assert_eq!(
            (format!("{result:#x}"), status.flags),
            (format!("{bits:#x}"), flags | sticky),
            "{} {op:?} {abc:#x?} {mode:?}, flags {sticky:?} before",
            ops.name,
        );
    }
}

fn check_specials(ops: &Ops) {
    let specials = ops.specials();
    for &a in &specials {
        for &b in &specials {
            for mode in MODES {
                for op in [Op::Add, Op::Sub, Op::Mul, Op::Div] {
                    check(ops, op, [a, b, 0], mode);
                }
            }
        }
    }
}

/// A quarter of the modes' cross product each time: the operands take turns.
fn check_fma_specials(ops: &Ops) {
    let specials = ops.specials();
    let mut turn = 0;
    for &a in &specials {
        for &b in &specials {
            for &c in &specials {
                turn += 1;
                let modes = if cfg!(debug_assertions) {
                    1
                } else {
                    MODES.len()
                };
                for step in 0..modes {
                    check(ops, Op::Fma, [a, b, c], MODES[(turn + step) % MODES.len()]);
                }
            }
        }
    }
}

fn random_operands(ops: &Ops, op: Op, random: &mut Random) -> [u64; 3] {
    let a = random.operand(ops);
    let b = match (op, random.below(3)) {
        (_, 0) => random.operand(ops),
        (Op::Add | Op::Sub, _) => random.near(ops, a),
        (Op::Fma, 1) => random.near(ops, a),
        (Op::Mul | Op::Fma, _) => random.factor(ops, a, false),
        (Op::Div, 1) => random.near(ops, a),
        (Op::Div, _) => random.factor(ops, a, true),
    };
    let c = match (op, random.below(3)) {
        (Op::Fma, 1..) => {
            let product = (ops.mul)(a, b, &mut Status::riscv(RoundingMode::NearestEven));
            random.near(ops, product)
        }
        _ => random.operand(ops),
    };
    [a, b, c]
}

fn check_random(ops: &Ops, salt: u64) {
    let mut random = Random::new(salt);
    for case in 0..cases() {
        let op = OPS[case as usize % OPS.len()];
        // Half of the cases in the mode that nearly all code uses.
        let mode = MODES[(random.below(12) as usize).saturating_sub(6)];
        check(ops, op, random_operands(ops, op, &mut random), mode);
    }
}

#[test]
fn specials() {
    [F16, F32, F64].iter().for_each(check_specials);
}

#[test]
fn fma_specials() {
    [F16, F32, F64].iter().for_each(check_fma_specials);
}

#[test]
fn random_f16() {
    check_random(&F16, 16);
}

#[test]
fn random_f32() {
    check_random(&F32, 32);
}

#[test]
fn random_f64() {
    check_random(&F64, 64);
}
