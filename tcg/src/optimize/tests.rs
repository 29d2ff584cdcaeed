//! What the optimizer and the liveness pass make of small functions, as printed ops.

use super::Optimizer;
use crate::builder::{Builder, GlobalInfo, NO_TEMP, global};
use crate::ir::*;
use crate::liveness::Liveness;
use crate::printer;

const I64: Type = Type::I64;

fn globals() -> [GlobalInfo; 4] {
    let row = |slot, name| GlobalInfo {
        name,
        slot,
        ty: I64,
    };
    [row(0, "a"), row(1, "b"), row(2, "c"), row(3, "d")]
}

fn helpers() -> [HelperInfo; 2] {
    let row = |name, flags| HelperInfo {
        name,
        function: 0,
        nargs: 1,
        flags,
        float: None,
    };
    [
        row("pure", HelperFlags::PURE),
        row("change", HelperFlags::NONE),
    ]
}

const A: Temp = global(0);
const B: Temp = global(1);
const C: Temp = global(2);
const D: Temp = global(3);

/// Makes a function, optimizes it, compares the ops (`; ` between them) in front of its exit.
#[track_caller]
fn check(make: impl FnOnce(&mut Builder), expected: &str) {
    let mut b = Builder::new(&globals());
    make(&mut b);
    b.exit_tb(I64, TbExit::Main);
    Optimizer::default().run(&mut b.function, &helpers());
    Liveness::default().run(&mut b.function, &helpers());
    let text = printer::print(&b.function, &globals(), &helpers());
    let ops: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|l| *l != "exit_tb main")
        .collect();
    assert_eq!(ops.join("; ").replace("_i64", ""), expected);
}

fn k(b: &mut Builder, value: u64) -> Temp {
    b.constant(I64, value)
}

/// `method(A, B, constant)`.
#[track_caller]
fn check_constant(method: fn(&mut Builder, Type, Temp, Temp, Temp), constant: u64, expected: &str) {
    check(
        |b| {
            let c = k(b, constant);
            method(b, I64, A, B, c);
        },
        expected,
    );
}

#[test]
fn strength() {
    check_constant(Builder::add, 0, "mov a,b");
    check_constant(Builder::sub, 5, "add a,b,$0xfffffffffffffffb");
    check_constant(Builder::and, !0, "mov a,b");
    check_constant(Builder::and, 0, "mov a,$0x0");
    check_constant(Builder::and, 0xffff_ffff, "extract a,b,$0x0,$0x20");
    check_constant(Builder::or, 0, "mov a,b");
    check_constant(Builder::or, !0, "mov a,$0xffffffffffffffff");
    check_constant(Builder::xor, !0, "not a,b");
    check_constant(Builder::andc, 1, "and a,b,$0xfffffffffffffffe");
    check_constant(Builder::shl, 64, "mov a,b");
    check_constant(Builder::mul, 8, "shl a,b,$0x3");
    check_constant(Builder::mul, 1, "mov a,b");
    check_constant(Builder::divu, 16, "shr a,b,$0x4");
    check_constant(Builder::remu, 16, "and a,b,$0xf");
    check(|b| b.sub(I64, A, B, B), "mov a,$0x0");
    check(|b| b.and(I64, A, B, B), "mov a,b");
    check(|b| b.mov(I64, A, A), "");
}

#[test]
fn constants_and_copies() {
    let li = |b: &mut Builder| {
        let (high, low) = (k(b, 0x12000), k(b, 0x345));
        b.mov(I64, A, high);
        let t = b.new_temp(I64);
        b.add(I64, t, A, low);
        b.sextract(I64, A, t, 0, 32);
    };
    check(li, "mov a,$0x12345");
    let copies = |b: &mut Builder| {
        b.mov(I64, A, B);
        b.add(I64, C, A, A);
        b.add(I64, B, B, C);
        b.add(I64, D, A, B);
    };
    check(copies, "mov a,b; add c,b,b; add b,b,c; add d,a,b");
    let chain = |b: &mut Builder| {
        let (t, u) = (b.new_temp(I64), b.new_temp(I64));
        let (x, y) = (k(b, 16), k(b, 24));
        b.add(I64, t, B, x);
        b.add(I64, u, t, y);
        b.mov(I64, A, u);
    };
    check(chain, "add tmp5,b,$0x28; mov a,tmp5");
}

#[test]
fn known_bits() {
    let extended_twice = |b: &mut Builder| {
        let t = b.new_temp(I64);
        b.sextract(I64, t, B, 0, 16);
        b.sextract(I64, A, t, 0, 32);
    };
    check(extended_twice, "sextract tmp4,b,$0x0,$0x10; mov a,tmp4");
    let word_of_word = |b: &mut Builder| {
        b.qemu_ld(I64, A, B, MemOpIdx::new(MemOp::SL, 0));
        b.sextract(I64, A, A, 0, 32);
    };
    check(word_of_word, "qemu_ld a,b,lesl,0");
    let masked = |b: &mut Builder| {
        b.qemu_ld(I64, A, B, MemOpIdx::new(MemOp::UB, 0));
        let mask = k(b, 0xff);
        b.and(I64, C, A, mask);
        let high = k(b, 0x100);
        b.and(I64, D, A, high);
    };
    check(masked, "qemu_ld a,b,leub,0; mov c,a; mov d,$0x0");
    let positive = |b: &mut Builder| {
        let three = k(b, 3);
        let t = b.new_temp(I64);
        b.shr(I64, t, B, three);
        let zero = k(b, 0);
        b.setcond(I64, A, t, zero, Cond::Lt);
    };
    check(positive, "mov a,$0x0");
    let narrow = |b: &mut Builder| {
        let (x, y) = (b.new_temp(Type::I32), b.new_temp(I64));
        b.qemu_ld(I64, y, B, MemOpIdx::new(MemOp::SL, 0));
        b.extrl(Type::I32, x, y);
        b.exts(I64, A, x);
    };
    check(narrow, "qemu_ld tmp5,b,lesl,0; mov a,tmp5");
}

#[test]
fn conditions() {
    let through_flag = |b: &mut Builder| {
        let (t, zero, l) = (b.new_temp(I64), k(b, 0), b.new_label());
        b.setcond(I64, t, A, B, Cond::Lt);
        b.brcond(I64, t, zero, Cond::Eq, l);
        b.mov(I64, A, B);
        b.set_label(I64, l);
    };
    check(through_flag, "brcond a,b,ge,$L0; mov a,b; set_label $L0");
    let never = |b: &mut Builder| {
        let (zero, l) = (k(b, 0), b.new_label());
        b.brcond(I64, A, zero, Cond::Ltu, l);
        b.mov(I64, A, B);
        b.set_label(I64, l);
        b.add(I64, C, A, zero);
    };
    check(never, "mov a,b; mov c,b");
    let always = |b: &mut Builder| {
        let l = b.new_label();
        b.brcond(I64, A, A, Cond::Eq, l);
        b.mov(I64, A, B);
        b.exit_tb(I64, TbExit::Slot(0));
        b.set_label(I64, l);
        b.mov(I64, C, A);
    };
    check(always, "mov c,a");
    let select = |b: &mut Builder| {
        let (one, zero) = (k(b, 1), k(b, 0));
        b.movcond(I64, A, B, C, zero, one, Cond::Eq);
    };
    check(select, "setcond a,b,c,ne");
}

#[test]
fn dead_code() {
    let overwritten = |b: &mut Builder| {
        b.add(I64, A, B, C);
        b.sub(I64, A, B, C);
    };
    check(overwritten, "sub a,b,c");
    let seen_by_a_fault = |b: &mut Builder| {
        b.add(I64, A, B, C);
        b.qemu_ld(I64, D, B, MemOpIdx::new(MemOp::UQ, 0));
        b.sub(I64, A, B, C);
    };
    check(seen_by_a_fault, "add a,b,c; qemu_ld d,b,leuq,0; sub a,b,c");
    let seen_at_a_label = |b: &mut Builder| {
        let l = b.new_label();
        b.add(I64, A, B, C);
        b.brcond(I64, B, C, Cond::Eq, l);
        b.sub(I64, A, B, C);
        b.set_label(I64, l);
    };
    check(
        seen_at_a_label,
        "add a,b,c; brcond b,c,eq,$L0; sub a,b,c; set_label $L0",
    );
    let unused_call = |b: &mut Builder| {
        let t = b.new_temp(I64);
        b.call(I64, t, A, NO_TEMP, NO_TEMP, NO_TEMP, HelperId(0));
    };
    check(unused_call, "");
    let a_helper_changes_globals = |b: &mut Builder| {
        let five = k(b, 5);
        b.mov(I64, A, five);
        b.call(I64, NO_TEMP, B, NO_TEMP, NO_TEMP, NO_TEMP, HelperId(1));
        b.add(I64, C, A, five);
    };
    check(
        a_helper_changes_globals,
        "mov a,$0x5; call b,change; add c,a,$0x5",
    );
}
