//! RV32I and RV64I, Zifencei, Zihintpause, Zimop.

use tcg::builder::Builder;
use tcg::ir::{Barrier, Cond, MemOp, OpVisitor, Type};

use super::{Op2, Translator};
use crate::decode::*;
use crate::trap::Cause;

insns! {
    beq(B) = branch(Cond::Eq);
    bne(B) = branch(Cond::Ne);
    blt(B) = branch(Cond::Lt);
    bge(B) = branch(Cond::Ge);
    bltu(B) = branch(Cond::Ltu);
    bgeu(B) = branch(Cond::Geu);

    lb(Load) = load(MemOp::SB);
    lh(Load) = load(MemOp::SW);
    lw(Load) = load(MemOp::SL);
    ld(Load) = load(MemOp::UQ);
    lbu(Load) = load(MemOp::UB);
    lhu(Load) = load(MemOp::UW);
    lwu(Load) = load(MemOp::UL);
    sb(Store) = store(MemOp::UB);
    sh(Store) = store(MemOp::UW);
    sw(Store) = store(MemOp::UL);
    sd(Store) = store(MemOp::UQ);

    slti(I) = compare_imm(Cond::Lt);
    sltiu(I) = compare_imm(Cond::Ltu);
    xori(I) = arith_imm(Builder::xor);
    ori(I) = arith_imm(Builder::or);
    andi(I) = arith_imm(Builder::and);
    slli(Shift) = shift_imm(Builder::shl);
    srli(Shift) = shift_imm(Builder::shr);
    srai(Shift) = shift_imm(Builder::sar);

    add(R) = arith(Builder::add);
    sub(R) = arith(Builder::sub);
    sll(R) = arith(Builder::shl);
    slt(R) = compare(Cond::Lt);
    sltu(R) = compare(Cond::Ltu);
    xor(R) = arith(Builder::xor);
    srl(R) = arith(Builder::shr);
    sra(R) = arith(Builder::sar);
    or(R) = arith(Builder::or);
    and(R) = arith(Builder::and);

    addw(R) = arith_low(Builder::add);
    subw(R) = arith_low(Builder::sub);
    sllw(R) = arith32(Builder::shl);
    srlw(R) = arith32(Builder::shr);
    sraw(R) = arith32(Builder::sar);

    [Zicbop] prefetch_i(Prefetch) = nothing();
    [Zicbop] prefetch_r(Prefetch) = nothing();
    [Zicbop] prefetch_w(Prefetch) = nothing();
    [Zifencei] fence_i(Empty) = refetch();
    [Zihintpause] pause(Empty) = refetch();
    [Zimop] mop_r(MopR) = zero_mop_r();
    [Zimop] mop_rr(MopRr) = zero_mop_rr();
}

/// Operand patterns that other extensions share.
impl Translator<'_, '_> {
    pub(super) fn arith(&mut self, a: &R, op: Op2) -> bool {
        let (x, y) = (self.x(a.rs1), self.x(a.rs2));
        let d = self.x_dest(a.rd);
        op(self.b(), Type::I64, d, x, y);
        true
    }

    fn arith_imm(&mut self, a: &I, op: Op2) -> bool {
        let (x, y) = (self.x(a.rs1), self.constant(a.imm as i64 as u64));
        let d = self.x_dest(a.rd);
        op(self.b(), Type::I64, d, x, y);
        true
    }

    pub(super) fn shift_imm(&mut self, a: &Shift, op: Op2) -> bool {
        let (x, y) = (self.x(a.rs1), self.constant(a.shamt as u64));
        let d = self.x_dest(a.rd);
        op(self.b(), Type::I64, d, x, y);
        true
    }

    /// A word operation whose low half depends on low halves alone.
    pub(super) fn arith_low(&mut self, a: &R, op: Op2) -> bool {
        let (x, y) = (self.x(a.rs1), self.x(a.rs2));
        let sum = self.op2(op, x, y);
        let d = self.x_dest(a.rd);
        self.b().sextract(Type::I64, d, sum, 0, 32);
        true
    }

    /// A word operation, on words.
    pub(super) fn arith32(&mut self, a: &R, op: Op2) -> bool {
        let (x, y) = (self.x32(a.rs1), self.x32(a.rs2));
        let result = self.temp32();
        op(self.b(), Type::I32, result, x, y);
        let d = self.x_dest(a.rd);
        self.b().exts(Type::I64, d, result);
        true
    }

    fn compare(&mut self, a: &R, cond: Cond) -> bool {
        let (x, y) = (self.x(a.rs1), self.x(a.rs2));
        let d = self.x_dest(a.rd);
        self.b().setcond(Type::I64, d, x, y, cond);
        true
    }

    fn compare_imm(&mut self, a: &I, cond: Cond) -> bool {
        let (x, y) = (self.x(a.rs1), self.constant(a.imm as i64 as u64));
        let d = self.x_dest(a.rd);
        self.b().setcond(Type::I64, d, x, y, cond);
        true
    }

    pub(super) fn load(&mut self, a: &Load, mem: MemOp) -> bool {
        let addr = self.address(a.rs1, a.imm);
        let (d, oi) = (self.x_dest(a.rd), self.oi(mem));
        self.b().qemu_ld(Type::I64, d, addr, oi);
        true
    }

    pub(super) fn store(&mut self, a: &Store, mem: MemOp) -> bool {
        let addr = self.address(a.rs1, a.imm);
        let (value, oi) = (self.x(a.rs2), self.oi(mem));
        self.b().qemu_st(Type::I64, value, addr, oi);
        true
    }

    fn branch(&mut self, a: &B, cond: Cond) -> bool {
        let (x, y) = (self.x(a.rs1), self.x(a.rs2));
        let taken = self.b().new_label();
        self.b().brcond(Type::I64, x, y, cond, taken);
        let next = self.next_pc();
        self.goto(next, 1);
        self.b().set_label(Type::I64, taken);
        self.jump(a.imm);
        true
    }

    /// Jumps relative to this instruction; false if the destination faults.
    fn jump(&mut self, imm: i32) {
        let dest = self.context.pc.wrapping_add_signed(imm.into());
        if self.misaligns(dest) {
            let tval = self.constant(dest);
            self.raise(Cause::InstructionMisaligned, tval);
        } else {
            self.goto(dest, 0);
        }
    }

    /// A hint.
    pub(super) fn nothing<T>(&mut self, _: &T) -> bool {
        true
    }

    /// What comes next is fetched anew, and other CPUs of the same thread get their turn.
    fn refetch(&mut self, _: &Empty) -> bool {
        self.exit_to_next();
        true
    }

    fn zero(&mut self, rd: Reg) -> bool {
        let (d, zero) = (self.x_dest(rd), self.constant(0));
        self.mov(d, zero);
        true
    }

    fn zero_mop_r(&mut self, a: &MopR) -> bool {
        self.zero(a.rd)
    }

    fn zero_mop_rr(&mut self, a: &MopRr) -> bool {
        self.zero(a.rd)
    }
}

/// Instructions that are like no other.
impl Translator<'_, '_> {
    pub(super) fn lui(&mut self, a: &U) -> bool {
        let (d, value) = (self.x_dest(a.rd), self.constant(a.imm as i64 as u64));
        self.mov(d, value);
        true
    }

    pub(super) fn auipc(&mut self, a: &U) -> bool {
        let pc = self.context.pc.wrapping_add_signed(a.imm.into());
        let (d, value) = (self.x_dest(a.rd), self.constant(pc));
        self.mov(d, value);
        true
    }

    fn link(&mut self, rd: Reg) {
        let (d, next) = (self.x_dest(rd), self.next_pc());
        let next = self.constant(next);
        self.mov(d, next);
    }

    pub(super) fn jal(&mut self, a: &J) -> bool {
        if !self.misaligns(self.context.pc.wrapping_add_signed(a.imm.into())) {
            self.link(a.rd);
        }
        self.jump(a.imm);
        true
    }

    pub(super) fn jalr(&mut self, a: &Jr) -> bool {
        let dest = self.address(a.rs1, a.imm);
        let mask = self.constant(!1);
        let dest = self.op2(Builder::and, dest, mask);
        self.check_alignment(dest);
        self.link(a.rd);
        self.goto_computed(dest);
        true
    }

    pub(super) fn addi(&mut self, a: &I) -> bool {
        if a.imm != 0 && !a.rs1.is_zero() {
            return self.arith_imm(a, Builder::add);
        }
        let value = match a.imm {
            0 => self.x(a.rs1),
            imm => self.constant(imm as i64 as u64),
        };
        let d = self.x_dest(a.rd);
        self.mov(d, value);
        true
    }

    pub(super) fn addiw(&mut self, a: &I) -> bool {
        let sum = self.address(a.rs1, a.imm);
        let d = self.x_dest(a.rd);
        self.b().sextract(Type::I64, d, sum, 0, 32);
        true
    }

    pub(super) fn slliw(&mut self, a: &Shift) -> bool {
        let (x, count) = (self.x(a.rs1), self.constant(a.shamt as u64));
        let shifted = self.op2(Builder::shl, x, count);
        let d = self.x_dest(a.rd);
        self.b().sextract(Type::I64, d, shifted, 0, 32);
        true
    }

    pub(super) fn srliw(&mut self, a: &Shift) -> bool {
        if a.shamt == 0 {
            return self.sraiw(a);
        }
        let (x, d) = (self.x(a.rs1), self.x_dest(a.rd));
        self.b()
            .extract(Type::I64, d, x, a.shamt as u8, 32 - a.shamt as u8);
        true
    }

    pub(super) fn sraiw(&mut self, a: &Shift) -> bool {
        let (x, d) = (self.x(a.rs1), self.x_dest(a.rd));
        self.b()
            .sextract(Type::I64, d, x, a.shamt as u8, 32 - a.shamt as u8);
        true
    }

    pub(super) fn fence(&mut self, _: &Fence) -> bool {
        self.b().mb(Type::I64, Barrier::Full);
        true
    }

    pub(super) fn ecall(&mut self, _: &Empty) -> bool {
        let cause = match self.privilege() {
            0 => Cause::EcallFromU,
            1 => Cause::EcallFromS,
            _ => Cause::EcallFromM,
        };
        let zero = self.constant(0);
        self.raise(cause, zero);
        true
    }

    pub(super) fn ebreak(&mut self, _: &Empty) -> bool {
        let pc = self.constant(self.context.pc);
        self.raise(Cause::Breakpoint, pc);
        true
    }
}
