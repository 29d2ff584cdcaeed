//! A (Zaamo, Zalrsc) and Zabha: load-reserved, store-conditional and atomic memory operations.
//!
//! The reservation is an address and the value read there; `sc` is a compare-and-swap against that
//! value. It fails wrongly never, and succeeds although the word was written in between only if
//! the same value was written back, as in QEMU.

use tcg::builder::global;
use tcg::ir::{Barrier, Cond, MemOp, OpVisitor, RmwOp, Type};

use super::Translator;
use crate::cpu::{NO_RESERVATION, slot};
use crate::decode::*;

pub(super) const BYTE: MemOp = MemOp::SB.with(MemOp::ALIGN);
pub(super) const HALF: MemOp = MemOp::SW.with(MemOp::ALIGN);
pub(super) const WORD: MemOp = MemOp::SL.with(MemOp::ALIGN);
pub(super) const DOUBLE: MemOp = MemOp::UQ.with(MemOp::ALIGN);

insns! {
    [Zalrsc] lr_w(Lr) = load_reserved(WORD);
    [Zalrsc] lr_d(Lr) = load_reserved(DOUBLE);
    [Zalrsc] sc_w(Amo) = store_conditional(WORD);
    [Zalrsc] sc_d(Amo) = store_conditional(DOUBLE);

    [Zaamo] amoswap_w(Amo) = amo(RmwOp::Xchg, WORD);
    [Zaamo] amoadd_w(Amo) = amo(RmwOp::Add, WORD);
    [Zaamo] amoxor_w(Amo) = amo(RmwOp::Xor, WORD);
    [Zaamo] amoand_w(Amo) = amo(RmwOp::And, WORD);
    [Zaamo] amoor_w(Amo) = amo(RmwOp::Or, WORD);
    [Zaamo] amomin_w(Amo) = amo(RmwOp::Smin, WORD);
    [Zaamo] amomax_w(Amo) = amo(RmwOp::Smax, WORD);
    [Zaamo] amominu_w(Amo) = amo(RmwOp::Umin, WORD);
    [Zaamo] amomaxu_w(Amo) = amo(RmwOp::Umax, WORD);

    [Zaamo] amoswap_d(Amo) = amo(RmwOp::Xchg, DOUBLE);
    [Zaamo] amoadd_d(Amo) = amo(RmwOp::Add, DOUBLE);
    [Zaamo] amoxor_d(Amo) = amo(RmwOp::Xor, DOUBLE);
    [Zaamo] amoand_d(Amo) = amo(RmwOp::And, DOUBLE);
    [Zaamo] amoor_d(Amo) = amo(RmwOp::Or, DOUBLE);
    [Zaamo] amomin_d(Amo) = amo(RmwOp::Smin, DOUBLE);
    [Zaamo] amomax_d(Amo) = amo(RmwOp::Smax, DOUBLE);
    [Zaamo] amominu_d(Amo) = amo(RmwOp::Umin, DOUBLE);
    [Zaamo] amomaxu_d(Amo) = amo(RmwOp::Umax, DOUBLE);

    [Zabha] amoswap_b(Amo) = amo(RmwOp::Xchg, BYTE);
    [Zabha] amoadd_b(Amo) = amo(RmwOp::Add, BYTE);
    [Zabha] amoxor_b(Amo) = amo(RmwOp::Xor, BYTE);
    [Zabha] amoand_b(Amo) = amo(RmwOp::And, BYTE);
    [Zabha] amoor_b(Amo) = amo(RmwOp::Or, BYTE);
    [Zabha] amomin_b(Amo) = amo(RmwOp::Smin, BYTE);
    [Zabha] amomax_b(Amo) = amo(RmwOp::Smax, BYTE);
    [Zabha] amominu_b(Amo) = amo(RmwOp::Umin, BYTE);
    [Zabha] amomaxu_b(Amo) = amo(RmwOp::Umax, BYTE);

    [Zabha] amoswap_h(Amo) = amo(RmwOp::Xchg, HALF);
    [Zabha] amoadd_h(Amo) = amo(RmwOp::Add, HALF);
    [Zabha] amoxor_h(Amo) = amo(RmwOp::Xor, HALF);
    [Zabha] amoand_h(Amo) = amo(RmwOp::And, HALF);
    [Zabha] amoor_h(Amo) = amo(RmwOp::Or, HALF);
    [Zabha] amomin_h(Amo) = amo(RmwOp::Smin, HALF);
    [Zabha] amomax_h(Amo) = amo(RmwOp::Smax, HALF);
    [Zabha] amominu_h(Amo) = amo(RmwOp::Umin, HALF);
    [Zabha] amomaxu_h(Amo) = amo(RmwOp::Umax, HALF);
}

impl Translator<'_, '_> {
    fn load_reserved(&mut self, a: &Lr, mem: MemOp) -> bool {
        if a.rl != 0 {
            self.b().mb(Type::I64, Barrier::Full);
        }
        let (addr, value, oi) = (self.x(a.rs1), self.temp(), self.oi(mem));
        self.b().qemu_ld(Type::I64, value, addr, oi);
        if a.aq != 0 {
            self.b().mb(Type::I64, Barrier::Full);
        }
        self.mov(global(slot::LOAD_RES as u16), addr);
        self.mov(global(slot::LOAD_VAL as u16), value);
        let d = self.x_dest(a.rd);
        self.mov(d, value);
        true
    }

    fn store_conditional(&mut self, a: &Amo, mem: MemOp) -> bool {
        let reserved = global(slot::LOAD_RES as u16);
        let expected = global(slot::LOAD_VAL as u16);
        let (addr, value, oi) = (self.x(a.rs1), self.x(a.rs2), self.oi(mem));
        let d = self.x_dest(a.rd);
        let (fail, done) = (self.b().new_label(), self.b().new_label());
        self.b().brcond(Type::I64, addr, reserved, Cond::Ne, fail);
        let old = self.temp();
        self.b()
            .atomic_cmpxchg(Type::I64, old, addr, expected, value, oi);
        self.b().setcond(Type::I64, d, old, expected, Cond::Ne);
        self.b().br(Type::I64, done);
        self.b().set_label(Type::I64, fail);
        let (one, none) = (self.constant(1), self.constant(NO_RESERVATION));
        self.b().mb(Type::I64, Barrier::Full);
        self.mov(d, one);
        self.b().set_label(Type::I64, done);
        self.mov(reserved, none);
        true
    }

    fn amo(&mut self, a: &Amo, rmw: RmwOp, mem: MemOp) -> bool {
        let (addr, value, oi) = (self.x(a.rs1), self.x(a.rs2), self.oi(mem));
        let d = self.x_dest(a.rd);
        self.b().atomic_rmw(Type::I64, d, addr, value, rmw, oi);
        true
    }
}
