//! Zacas: compare-and-swap; with Zabha, of bytes and halfwords too.

use tcg::ir::{MemOp, OpVisitor, Temp, Type};

use super::Translator;
use super::rva::{BYTE, DOUBLE, HALF, WORD};
use crate::decode::*;
use crate::isa::Ext;

insns! {
    [Zacas][Zabha] amocas_b(Amo) = compare_and_swap(BYTE);
    [Zacas][Zabha] amocas_h(Amo) = compare_and_swap(HALF);
    [Zacas] amocas_w(Amo) = compare_and_swap(WORD);
    [Zacas] amocas_d(Amo) = compare_and_swap(DOUBLE);
}

impl Translator<'_, '_> {
    fn compare_and_swap(&mut self, a: &Amo, mem: MemOp) -> bool {
        let (addr, expected, new) = (self.x(a.rs1), self.x(a.rd), self.x(a.rs2));
        let (old, oi) = (self.temp(), self.oi(mem));
        self.b()
            .atomic_cmpxchg(Type::I64, old, addr, expected, new, oi);
        let d = self.x_dest(a.rd);
        self.mov(d, old);
        true
    }

    /// The register pair that starts with the even `reg`; that of x0 is zero.
    fn pair(&mut self, reg: Reg) -> (Temp, Temp) {
        let high = if reg.is_zero() {
            reg
        } else {
            Reg::from(reg.index() as i32 + 1)
        };
        (self.x(reg), self.x(high))
    }

    pub(super) fn amocas_q(&mut self, a: &Amo) -> bool {
        let odd = (a.rd.index() | a.rs2.index()) & 1 != 0;
        if !self.has(Ext::Zacas) || odd {
            return false;
        }
        let addr = self.x(a.rs1);
        let ((el, eh), (nl, nh)) = (self.pair(a.rd), self.pair(a.rs2));
        let (dl, dh) = (self.temp(), self.temp());
        let oi = self.oi(MemOp::UO.with(MemOp::ALIGN));
        self.b()
            .atomic_cmpxchg2(Type::I64, dl, dh, addr, el, eh, nl, nh, oi);
        if !a.rd.is_zero() {
            let (low, high) = self.pair(a.rd);
            self.mov(low, dl);
            self.mov(high, dh);
        }
        true
    }
}
