//! From instructions to TCG ops: one method per row of the decode tables, in a file for each
//! extension. (Unprivileged manual 20240411, Privileged manual of the same date.)
//!
//! What must hold: whatever may fault comes before the destination register is written, so that
//! traps are precise; a method that returns false (illegal instruction) has emitted nothing.
//! Reads of x0 are the constant 0, and writes of x0 go to a temp that nobody reads.

#[macro_use]
mod rows;

mod control;
mod privileged;
mod rva;
mod rvb;
mod rvd;
mod rvf;
mod rvi;
mod rvk;
mod rvm;
mod rvzacas;
mod rvzc;
mod rvzfa;
mod rvzfh;
mod rvzicond;

#[cfg(test)]
mod tests;

use accel_tcg::{TranslateContext, TranslateEnd};
use tcg::builder::{Builder, NO_TEMP, global};
use tcg::ir::{MemOp, MemOpIdx, Op, OpKind, OpVisitor, Temp, Type};

use crate::cpu::{RiscvCpu, slot, tb_flags};
use crate::decode::{Decode, Reg, decode, length_of};
use crate::helpers::Helper;
use crate::isa::{Ext, Isa};

/// A builder's method for an op with two inputs.
type Op2 = fn(&mut Builder, Type, Temp, Temp, Temp);
/// And with one.
type Op1 = fn(&mut Builder, Type, Temp, Temp);

/// One instruction under translation.
struct Translator<'a, 'b> {
    isa: &'a Isa,
    context: &'a mut TranslateContext<'b>,
    insn: u32,
    length: u64,
    end: TranslateEnd,
}

/// See `GuestCpu::insn_length`.
pub fn insn_length(bytes: &[u8]) -> Option<usize> {
    let low = u16::from_le_bytes([*bytes.first()?, *bytes.get(1)?]);
    let length = length_of(low);
    (bytes.len() >= length).then_some(length)
}

/// See `GuestCpu::translate_insn`.
pub fn translate_insn(
    cpu: &RiscvCpu,
    context: &mut TranslateContext<'_>,
    insn: u64,
    length: usize,
) -> TranslateEnd {
    translate(&cpu.isa, context, insn, length)
}

fn translate(
    isa: &Isa,
    context: &mut TranslateContext<'_>,
    insn: u64,
    length: usize,
) -> TranslateEnd {
    let insn = if length == 2 {
        insn as u32 & 0xffff
    } else {
        insn as u32
    };
    set_extra(context.builder, insn);
    let end = TranslateEnd::Next;
    let mut t = Translator {
        isa,
        context,
        insn,
        length: length as u64,
        end,
    };
    let legal = (length != 2 || isa.has(Ext::Zca)) && decode(insn, length, &mut t);
    if !legal {
        t.raise_illegal();
    }
    t.end
}

/// The instruction's bits go with its `insn_start`: an illegal-instruction trap reports them.
fn set_extra(builder: &mut Builder, insn: u32) {
    if let Some(Op {
        kind: OpKind::InsnStart { extra, .. },
        ..
    }) = builder.function.ops.last_mut()
    {
        *extra = insn.into();
    }
}

macro_rules! implement_decode {
    ($($name:ident $method:ident $set:ident;)*) => {
        impl Decode for Translator<'_, '_> {
            $(fn $method(&mut self, a: &crate::decode::$set) -> bool {
                self.$name(a)
            })*
        }
    };
}
crate::decode::for_each_insn!(implement_decode);

impl Translator<'_, '_> {
    fn b(&mut self) -> &mut Builder {
        self.context.builder
    }

    fn has(&self, ext: Ext) -> bool {
        self.isa.has(ext)
    }

    fn constant(&mut self, value: u64) -> Temp {
        self.b().constant(Type::I64, value)
    }

    fn temp(&mut self) -> Temp {
        self.b().new_temp(Type::I64)
    }

    fn temp32(&mut self) -> Temp {
        self.b().new_temp(Type::I32)
    }

    /// An x register to read.
    fn x(&mut self, reg: Reg) -> Temp {
        if reg.is_zero() {
            self.constant(0)
        } else {
            global((slot::X0 + reg.index()) as u16)
        }
    }

    /// An x register to write.
    fn x_dest(&mut self, reg: Reg) -> Temp {
        if reg.is_zero() {
            self.temp()
        } else {
            global((slot::X0 + reg.index()) as u16)
        }
    }

    /// An f register, to read or write: always the 64 bits, boxed if the value is narrower.
    fn f(&self, reg: Reg) -> Temp {
        global((slot::F0 + reg.index()) as u16)
    }

    /// The low half of an x register.
    fn x32(&mut self, reg: Reg) -> Temp {
        let value = self.x(reg);
        let half = self.temp32();
        self.b().extrl(Type::I32, half, value);
        half
    }

    fn mov(&mut self, d: Temp, a: Temp) {
        self.b().mov(Type::I64, d, a);
    }

    /// `op` on 64 bits, into a fresh temp.
    fn op2(&mut self, op: Op2, a: Temp, b: Temp) -> Temp {
        let d = self.temp();
        op(self.b(), Type::I64, d, a, b);
        d
    }

    /// Zero-extends the low `bits` into a fresh temp.
    fn zext(&mut self, a: Temp, bits: u8) -> Temp {
        let d = self.temp();
        self.b().extract(Type::I64, d, a, 0, bits);
        d
    }

    /// Calls a helper whose result goes to `d`.
    fn call(&mut self, helper: Helper, d: Temp, args: &[Temp]) {
        let arg = |i: usize| args.get(i).copied().unwrap_or(NO_TEMP);
        let (a0, a1, a2, a3) = (arg(0), arg(1), arg(2), arg(3));
        self.b().call(Type::I64, d, a0, a1, a2, a3, helper.id());
    }

    /// Calls a helper for its effects.
    fn call_void(&mut self, helper: Helper, args: &[Temp]) {
        self.call(helper, NO_TEMP, args);
    }

    fn flag(&self, flag: u32) -> bool {
        self.context.tb_flags & flag != 0
    }

    /// A memory access in the mode that data has now.
    fn oi(&self, mem: MemOp) -> MemOpIdx {
        MemOpIdx::new(mem, (self.context.tb_flags & tb_flags::MMU_IDX) as u8)
    }

    /// `rs1 + imm`
    fn address(&mut self, rs1: Reg, imm: i32) -> Temp {
        let base = self.x(rs1);
        if imm == 0 {
            return base;
        }
        let imm = self.constant(imm as i64 as u64);
        self.op2(Builder::add, base, imm)
    }
}
