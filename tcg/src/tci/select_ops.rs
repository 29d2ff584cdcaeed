//! Instruction selection, op by op: the visitor of the op table.

use super::bytecode::{COMPARE_OPS, CompareOps, Opcode};
use super::low::{LowOp, Outputs, Reg};
use super::memory::tlb_offset;
use super::select::Selector;
use crate::builder::NO_TEMP;
use crate::cpu_state::MMU_MODES;
use crate::ir::*;

use Opcode::*;
use Outputs::{One, Two};

/// Rows `op(a, b) => I64 instruction, I32 instruction`.
macro_rules! plain_binary {
    ($($name:ident => $op:ident, $op_w:ident;)*) => {
        $(fn $name(&mut self, ty: Type, d: Temp, a: Temp, b: Temp) {
            self.plain(pick(ty, $op, $op_w), d, a, b);
        })*
    };
}

/// Rows `op(a) => I64 instruction, I32 instruction`.
macro_rules! plain_unary {
    ($($name:ident => $op:ident, $op_w:ident;)*) => {
        $(fn $name(&mut self, ty: Type, d: Temp, a: Temp) {
            self.plain_unary(pick(ty, $op, $op_w), d, a);
        })*
    };
}

/// Rows `op => instruction with a register, with an immediate` for I64, then for I32.
macro_rules! with_immediate {
    ($($name:ident => $op:ident $op_imm:ident, $op_w:ident $op_imm_w:ident;)*) => {
        $(fn $name(&mut self, ty: Type, d: Temp, a: Temp, b: Temp) {
            let (op, imm) = pick(ty, ($op, $op_imm), ($op_w, $op_imm_w));
            self.with_immediate(op, imm, d, a, b);
        })*
    };
}

/// Rows for pairs: `dl, dh <- al, ah, bl, bh`.
macro_rules! pairs {
    ($($name:ident => $op:ident, $op_w:ident;)*) => {
        $(fn $name(
            &mut self, ty: Type, dl: Temp, dh: Temp, al: Temp, ah: Temp, bl: Temp, bh: Temp,
        ) {
            let (al, ah) = (self.input(al), self.input(ah));
            let (bl, bh) = (self.input(bl), self.input(bh));
            let c = [self.output(dh), ah, bh];
            self.push(LowOp::new(pick(ty, $op, $op_w), self.output(dl), al, bl).c(&c), Two);
        })*
    };
}

/// Rows for double-width products: `dl, dh <- a, b`.
macro_rules! products {
    ($($name:ident => $op:ident, $op_w:ident;)*) => {
        $(fn $name(&mut self, ty: Type, dl: Temp, dh: Temp, a: Temp, b: Temp) {
            let (a, b) = (self.input(a), self.input(b));
            let op = LowOp::new(pick(ty, $op, $op_w), self.output(dl), a, b);
            self.push(op.c(&[self.output(dh)]), Two);
        })*
    };
}

/// Rows for carries: `d, co <- a, b, ci`.
macro_rules! carries {
    ($($name:ident => $op:ident, $op_w:ident;)*) => {
        $(fn $name(&mut self, ty: Type, d: Temp, co: Temp, a: Temp, b: Temp, ci: Temp) {
            let (a, b, ci) = (self.input(a), self.input(b), self.input(ci));
            let op = LowOp::new(pick(ty, $op, $op_w), self.output(d), a, b);
            self.push(op.c(&[self.output(co), ci]), Two);
        })*
    };
}

fn pick<T>(ty: Type, wide: T, narrow: T) -> T {
    match ty {
        Type::I64 => wide,
        Type::I32 => narrow,
    }
}

impl OpVisitor for Selector<'_> {
    type Output = ();

    plain_binary! {
        muluh => MulUH, MulUHW;
        mulsh => MulSH, MulSHW;
        mulsuh => MulSUH, MulSUHW;
        divs => DivS, DivSW;
        divu => DivU, DivUW;
        rems => RemS, RemSW;
        remu => RemU, RemUW;
        clz => Clz, ClzW;
        ctz => Ctz, CtzW;
    }

    plain_unary! {
        ctpop => Ctpop, CtpopW;
        bswap16 => Bswap16, Bswap16;
        bswap32 => Bswap32, Bswap32;
    }

    with_immediate! {
        and => And AndI, And AndI;
        or => Or OrI, Or OrI;
        xor => Xor XorI, Xor XorI;
        shl => Shl ShlI, ShlW ShlIW;
        shr => Shr ShrI, ShrW ShrIW;
        sar => Sar SarI, SarW SarIW;
        rotl => RotL RotLI, RotLW RotLIW;
        mul => Mul MulI, MulW MulW;
    }

    pairs! {
        add2 => Add2, Add2W;
        sub2 => Sub2, Sub2W;
    }

    products! {
        mulu2 => MulU2, MulU2W;
        muls2 => MulS2, MulS2W;
    }

    carries! {
        addc => AddC, AddCW;
        subb => SubB, SubBW;
    }

    fn mov(&mut self, _ty: Type, d: Temp, a: Temp) {
        Selector::mov(self, d, a);
    }

    fn add(&mut self, ty: Type, d: Temp, a: Temp, b: Temp) {
        let (a, b) = if self.const_value(a).is_some() {
            (b, a)
        } else {
            (a, b)
        };
        match self.const_imm(b) {
            Some(imm) => self.add_imm(ty, d, a, imm),
            None => self.plain(pick(ty, Add, AddW), d, a, b),
        }
    }

    fn sub(&mut self, ty: Type, d: Temp, a: Temp, b: Temp) {
        match self.const_imm(b).and_then(i32::checked_neg) {
            Some(imm) => self.add_imm(ty, d, a, imm),
            None => self.plain(pick(ty, Sub, SubW), d, a, b),
        }
    }

    fn neg(&mut self, ty: Type, d: Temp, a: Temp) {
        let a = self.input(a);
        self.push(
            LowOp::new(pick(ty, Sub, SubW), self.output(d), Reg::ZERO, a),
            One,
        );
    }

    fn not(&mut self, _ty: Type, d: Temp, a: Temp) {
        self.immediate(XorI, d, a, -1);
    }

    fn andc(&mut self, _ty: Type, d: Temp, a: Temp, b: Temp) {
        match self.const_imm(b) {
            Some(imm) => self.immediate(AndI, d, a, !imm),
            None => self.plain(AndC, d, a, b),
        }
    }

    fn orc(&mut self, _ty: Type, d: Temp, a: Temp, b: Temp) {
        match self.const_imm(b) {
            Some(imm) => self.immediate(OrI, d, a, !imm),
            None => self.plain(OrC, d, a, b),
        }
    }

    fn eqv(&mut self, _ty: Type, d: Temp, a: Temp, b: Temp) {
        match self.const_imm(b) {
            Some(imm) => self.immediate(XorI, d, a, !imm),
            None => self.plain(Eqv, d, a, b),
        }
    }

    fn rotr(&mut self, ty: Type, d: Temp, a: Temp, b: Temp) {
        match self.const_imm(b) {
            Some(imm) => self.immediate(pick(ty, RotLI, RotLIW), d, a, imm.wrapping_neg()),
            None => self.plain(pick(ty, RotR, RotRW), d, a, b),
        }
    }

    fn bswap64(&mut self, ty: Type, d: Temp, a: Temp) {
        match ty {
            Type::I64 => self.plain_unary(Bswap64, d, a),
            // The low half of the swapped value is the zero high half.
            Type::I32 => self.load_constant(self.output(d), 0),
        }
    }

    fn extract(&mut self, _ty: Type, d: Temp, a: Temp, pos: u8, len: u8) {
        match (pos, len) {
            (0, 32) => self.plain_unary(ExtU, d, a),
            (0, 1..=31) => self.immediate(AndI, d, a, (1u32 << len).wrapping_sub(1) as i32),
            _ if pos + len == 64 => self.immediate(ShrI, d, a, i32::from(pos)),
            _ => self.immediate(Extract, d, a, field(pos, len)),
        }
    }

    fn sextract(&mut self, _ty: Type, d: Temp, a: Temp, pos: u8, len: u8) {
        match (pos, len) {
            (0, 32) => self.sext32(d, a),
            _ if pos + len == 64 => self.immediate(SarI, d, a, i32::from(pos)),
            _ => self.immediate(SExtract, d, a, field(pos, len)),
        }
    }

    fn deposit(&mut self, _ty: Type, d: Temp, a: Temp, b: Temp, pos: u8, len: u8) {
        let (a, b) = (self.input(a), self.input(b));
        let imm = i32::from(pos) | i32::from(len) << 8;
        self.push(LowOp::new(Deposit, self.output(d), a, b).imm(imm), One);
    }

    fn extrl(&mut self, _ty: Type, d: Temp, a: Temp) {
        // Whoever reads an I32 reads the low half.
        let a = self.input(a);
        let op = if self.writes_i32_global(self.output(d)) {
            ExtU
        } else {
            Mov
        };
        self.push(LowOp::new(op, self.output(d), a, Reg::NONE), One);
    }

    fn extrh(&mut self, _ty: Type, d: Temp, a: Temp) {
        self.immediate(SarI, d, a, 32);
    }

    fn exts(&mut self, _ty: Type, d: Temp, a: Temp) {
        self.sext32(d, a);
    }

    fn extu(&mut self, _ty: Type, d: Temp, a: Temp) {
        self.plain_unary(ExtU, d, a);
    }

    fn setcond(&mut self, ty: Type, d: Temp, a: Temp, b: Temp, cond: Cond) {
        if let Some(imm) = self.const_imm(b)
            && let Some(op) = set_imm(ty, cond, imm)
        {
            return self.immediate(op, d, a, imm);
        }
        match self.compare(cond, a, b) {
            Ok((ops, a, b)) => {
                let op = LowOp::new(pick(ty, ops.set, ops.set_w), self.output(d), a, b);
                self.push(op, One);
            }
            Err(always) => self.load_constant(self.output(d), u64::from(always)),
        }
    }

    fn negsetcond(&mut self, ty: Type, d: Temp, a: Temp, b: Temp, cond: Cond) {
        match self.compare(cond, a, b) {
            Ok((ops, a, b)) => {
                let bit = self.scratch();
                self.push(LowOp::new(pick(ty, ops.set, ops.set_w), bit, a, b), One);
                self.push(LowOp::new(SubW, self.output(d), Reg::ZERO, bit), One);
            }
            Err(always) => self.load_constant(self.output(d), u64::from(always).wrapping_neg()),
        }
    }

    fn movcond(&mut self, ty: Type, d: Temp, a: Temp, b: Temp, t: Temp, f: Temp, cond: Cond) {
        match self.compare(cond, a, b) {
            Ok((ops, a, b)) => {
                let c = [self.input(t), self.input(f)];
                let op = LowOp::new(pick(ty, ops.mov, ops.mov_w), self.output(d), a, b);
                self.push(op.c(&c), One);
            }
            Err(always) => Selector::mov(self, d, if always { t } else { f }),
        }
    }

    fn set_label(&mut self, _ty: Type, label: Label) {
        self.start_block(label);
    }

    fn br(&mut self, _ty: Type, label: Label) {
        self.push(
            LowOp::new(Br, Reg::NONE, Reg::NONE, Reg::NONE).label(label),
            Outputs::None,
        );
    }

    fn brcond(&mut self, ty: Type, a: Temp, b: Temp, cond: Cond, label: Label) {
        match self.compare(cond, a, b) {
            Ok((ops, a, b)) => self.branch(ty, ops, a, b, label),
            Err(true) => self.br(ty, label),
            Err(false) => {}
        }
    }

    fn ld(&mut self, ty: Type, d: Temp, offset: i32, mem: MemOp) {
        let op = match (mem.bytes(), mem.is_signed() || ty == Type::I32) {
            (1, _) => {
                if mem.is_signed() {
                    LdS8
                } else {
                    LdU8
                }
            }
            (2, _) => {
                if mem.is_signed() {
                    LdS16
                } else {
                    LdU16
                }
            }
            (4, false) => LdU32,
            (4, true) => LdS32,
            _ => Ld64,
        };
        self.push(
            LowOp::new(op, self.output(d), Reg::NONE, Reg::NONE).imm(offset),
            One,
        );
    }

    fn st(&mut self, _ty: Type, a: Temp, offset: i32, mem: MemOp) {
        let op = match mem.bytes() {
            1 => St8,
            2 => St16,
            4 => St32,
            _ => St64,
        };
        let value = self.input(a);
        self.push(
            LowOp::new(op, Reg::NONE, Reg::NONE, value).imm(offset),
            Outputs::None,
        );
    }

    fn qemu_ld(&mut self, ty: Type, d: Temp, addr: Temp, oi: MemOpIdx) {
        let mem = oi.mem();
        let op = match (mem.bytes(), mem.is_signed() || ty == Type::I32) {
            _ if !inline(oi) => None,
            (1, _) => Some(if mem.is_signed() { QLdS8 } else { QLdU8 }),
            (2, _) => Some(if mem.is_signed() { QLdS16 } else { QLdU16 }),
            (4, false) => Some(QLdU32),
            (4, true) => Some(QLdS32),
            _ => Some(QLd64),
        };
        let Some(op) = op else {
            let addr = self.input(addr);
            let op = LowOp::new(QLd, self.output(d), addr, Reg::NONE);
            return self.push(op.imm(i32::from(oi.0)), One);
        };
        let (base, imm) = self.address(addr, oi);
        // The slow path extends as the instruction does.
        let signed = if op == QLdS32 {
            mem.with(MemOp::SB)
        } else {
            mem
        };
        self.push(
            LowOp::new(op, self.output(d), base, Reg::raw(signed.0)).imm(imm),
            One,
        );
    }

    fn qemu_st(&mut self, _ty: Type, v: Temp, addr: Temp, oi: MemOpIdx) {
        let op = match oi.mem().bytes() {
            _ if !inline(oi) => None,
            1 => Some(QSt8),
            2 => Some(QSt16),
            4 => Some(QSt32),
            _ => Some(QSt64),
        };
        let value = self.input(v);
        let Some(op) = op else {
            let addr = self.input(addr);
            let op = LowOp::new(QSt, Reg::NONE, addr, value);
            return self.push(op.imm(i32::from(oi.0)), Outputs::None);
        };
        let (base, imm) = self.address(addr, oi);
        let mem = Reg::raw(oi.mem().0);
        self.push(LowOp::new(op, mem, base, value).imm(imm), Outputs::None);
    }

    fn qemu_ld2(&mut self, _ty: Type, dl: Temp, dh: Temp, addr: Temp, oi: MemOpIdx) {
        let addr = self.input(addr);
        let op = LowOp::new(QLd2, self.output(dl), addr, Reg::NONE).c(&[self.output(dh)]);
        self.push(op.imm(high(oi)), Two);
    }

    fn qemu_st2(&mut self, _ty: Type, vl: Temp, vh: Temp, addr: Temp, oi: MemOpIdx) {
        let (vl, vh, addr) = (self.input(vl), self.input(vh), self.input(addr));
        let op = LowOp::new(QSt2, Reg::NONE, addr, vl).c(&[vh]);
        self.push(op.imm(high(oi)), Outputs::None);
    }

    fn atomic_cmpxchg(
        &mut self,
        _ty: Type,
        d: Temp,
        addr: Temp,
        expected: Temp,
        new: Temp,
        oi: MemOpIdx,
    ) {
        let (addr, expected, new) = (self.input(addr), self.input(expected), self.input(new));
        let op = LowOp::new(Cmpxchg, self.output(d), addr, expected).c(&[new]);
        self.push(op.imm(high(oi)), One);
    }

    fn atomic_cmpxchg2(
        &mut self,
        _ty: Type,
        dl: Temp,
        dh: Temp,
        addr: Temp,
        el: Temp,
        eh: Temp,
        nl: Temp,
        nh: Temp,
        oi: MemOpIdx,
    ) {
        let addr = self.input(addr);
        let [el, eh, nl, nh] = [el, eh, nl, nh].map(|t| self.input(t));
        let op = LowOp::new(Cmpxchg2, self.output(dl), addr, Reg::NONE);
        self.push(op.c(&[self.output(dh), el, eh, nl, nh]).imm(high(oi)), Two);
    }

    fn atomic_rmw(&mut self, _ty: Type, d: Temp, addr: Temp, v: Temp, rmw: RmwOp, oi: MemOpIdx) {
        let (addr, v) = (self.input(addr), self.input(v));
        let op = LowOp::new(Rmw, self.output(d), addr, v).c(&[Reg::raw(rmw as u8)]);
        self.push(op.imm(high(oi)), One);
    }

    fn mb(&mut self, _ty: Type, barrier: Barrier) {
        if barrier == Barrier::Full {
            self.push(
                LowOp::new(Fence, Reg::NONE, Reg::NONE, Reg::NONE),
                Outputs::None,
            );
        }
    }

    fn call(
        &mut self,
        _ty: Type,
        d: Temp,
        a0: Temp,
        a1: Temp,
        a2: Temp,
        a3: Temp,
        helper: HelperId,
    ) {
        let info = self.helpers[usize::from(helper.0)];
        let args = [a0, a1, a2, a3].map(|t| {
            if t == NO_TEMP {
                Reg::ZERO
            } else {
                self.input(t)
            }
        });
        let raise = info.flags.has(HelperFlags::MAY_RAISE);
        let (plain, raising) = match info.nargs {
            0 => (Call0, CallR0),
            1 => (Call1, CallR1),
            2 => (Call2, CallR2),
            3 => (Call3, CallR3),
            _ => (Call4, CallR4),
        };
        let op = LowOp::new(
            if raise { raising } else { plain },
            self.output(d),
            args[0],
            args[1],
        );
        self.push(op.c(&args[2..]).second(info.function as u64), One);
        if info.flags.writes_globals() {
            self.forget_globals();
        }
    }

    fn insn_start(&mut self, _ty: Type, pc: u64, extra: u64) {
        let here = self.s.low.len() as u32;
        self.s.insns.push((here, pc, extra));
    }

    fn goto_tb(&mut self, _ty: Type, slot: u8) {
        let op = LowOp::new(GotoTb, Reg::raw(slot & 1), Reg::NONE, Reg::NONE);
        self.push(op, Outputs::None);
    }

    fn goto_ptr(&mut self, _ty: Type) {
        if self.fuse_goto_ptr() {
            return;
        }
        let pc = Reg::raw(self.options.pc_slot);
        self.push(LowOp::new(GotoPtr, Reg::NONE, pc, Reg::NONE), Outputs::None);
    }

    fn exit_tb(&mut self, _ty: Type, exit: TbExit) {
        let (op, slot) = match exit {
            TbExit::Slot(slot) => (ExitSlot, slot & 1),
            TbExit::Main => (ExitMain, 0),
            TbExit::Exception => (ExitException, 0),
        };
        self.push(
            LowOp::new(op, Reg::raw(slot), Reg::NONE, Reg::NONE),
            Outputs::None,
        );
    }
}

/// Operands of `Extract` and `SExtract`.
fn field(pos: u8, len: u8) -> i32 {
    i32::from(64 - pos - len) | i32::from(64 - len) << 8
}

/// The `MemOpIdx` in the high half of an immediate.
fn high(oi: MemOpIdx) -> i32 {
    i32::from(oi.0) << 16
}

/// The access has an instruction of its own.
fn inline(oi: MemOpIdx) -> bool {
    let mem = oi.mem();
    let plain = !mem.is_big_endian() && !mem.must_align() && mem.bytes() <= 8;
    plain && oi.mmu_idx() < MMU_MODES
}

/// The instruction that compares with an immediate. Sign-extended I32 values compare as I64 ones.
fn set_imm(ty: Type, cond: Cond, imm: i32) -> Option<Opcode> {
    match (ty, cond) {
        (Type::I32, _) => None,
        (_, Cond::Eq | Cond::Ne) if imm == 0 => None,
        (_, Cond::Eq) => Some(SetEqI),
        (_, Cond::Ne) => Some(SetNeI),
        (_, Cond::Lt) => Some(SetLtI),
        (_, Cond::Ge) => Some(SetGeI),
        (_, Cond::Ltu) => Some(SetLtUI),
        (_, Cond::Geu) => Some(SetGeUI),
        _ => None,
    }
}

/// The instruction with a sign-extended 32-bit result that does `op` and the extension.
fn with_sext32(op: &LowOp) -> Option<Opcode> {
    match op.op {
        Add => Some(AddW),
        Sub => Some(SubW),
        Mul => Some(MulW),
        AddI => Some(AddIW),
        ShlI if (0..32).contains(&(op.imm & 63)) => Some(ShlIW),
        _ => None,
    }
}

impl Selector<'_> {
    fn plain(&mut self, op: Opcode, d: Temp, a: Temp, b: Temp) {
        let (a, b) = (self.input(a), self.input(b));
        self.push(LowOp::new(op, self.output(d), a, b), One);
    }

    fn plain_unary(&mut self, op: Opcode, d: Temp, a: Temp) {
        let a = self.input(a);
        self.push(LowOp::new(op, self.output(d), a, Reg::NONE), One);
    }

    fn with_immediate(&mut self, op: Opcode, op_imm: Opcode, d: Temp, a: Temp, b: Temp) {
        let commutes = matches!(op, And | Or | Xor | Mul | MulW);
        let swap = commutes && self.const_value(a).is_some();
        let (a, b) = if swap { (b, a) } else { (a, b) };
        match self.const_imm(b) {
            Some(imm) if op_imm != op => self.immediate(op_imm, d, a, imm),
            _ => self.plain(op, d, a, b),
        }
    }

    /// `d <- a, imm`, fused with a shift that made `a` where one instruction does both.
    fn immediate(&mut self, op: Opcode, d: Temp, a: Temp, imm: i32) {
        let reg = Reg::new(usize::from(a.0));
        if matches!(op, ShrI | SarI)
            && let Some((number, shift)) = self.foldable_into(reg, d)
            && shift.op == ShlI
        {
            let fused = if op == ShrI { Extract } else { SExtract };
            self.fold(reg, number);
            let fields = shift.imm & 63 | (imm & 63) << 8;
            let fused = LowOp::new(fused, self.output(d), shift.a, Reg::NONE);
            return self.push(fused.imm(fields), One);
        }
        let a = self.input(a);
        self.push(LowOp::new(op, self.output(d), a, Reg::NONE).imm(imm), One);
    }

    fn add_imm(&mut self, ty: Type, d: Temp, a: Temp, imm: i32) {
        self.immediate(pick(ty, AddI, AddIW), d, a, imm);
    }

    fn sext32(&mut self, d: Temp, a: Temp) {
        let reg = Reg::new(usize::from(a.0));
        if self.const_value(a).is_none() && self.reg_is_sext32(reg) {
            return Selector::mov(self, d, a);
        }
        if let Some((number, op)) = self.foldable_into(reg, d)
            && let Some(fused) = with_sext32(&op)
        {
            self.fold(reg, number);
            let fused = LowOp {
                op: fused,
                d: self.output(d),
                ..op
            };
            return self.push(fused, One);
        }
        self.immediate(AddIW, d, a, 0);
    }

    /// Base and `imm` of a load or store: a displacement is taken in where it fits, and a constant
    /// address is formed from a register that holds a constant nearby.
    fn address(&mut self, addr: Temp, oi: MemOpIdx) -> (Reg, i32) {
        let tlb = i32::from(tlb_offset(oi.mmu_idx())) << 16;
        let with = |displacement: i64| tlb | i32::from(displacement as u16);
        let fits = |displacement: i64| i16::try_from(displacement).is_ok();
        if let Some(value) = self.const_value(addr) {
            let distance = |held: u64| value.wrapping_sub(held) as i64;
            let near = self.known_constant(|held| fits(distance(held)));
            return match near {
                Some((held, reg)) => (reg, with(distance(held))),
                None if fits(value as i64) => (Reg::ZERO, with(value as i64)),
                None => (self.constant(value), with(0)),
            };
        }
        let reg = Reg::new(usize::from(addr.0));
        if let Some((number, op)) = self.foldable(reg)
            && op.op == AddI
            && fits(op.imm.into())
        {
            self.fold(reg, number);
            return (op.a, with(op.imm.into()));
        }
        (self.input(addr), with(0))
    }

    /// Instructions and operands for a condition; `Err` says what it always is.
    fn compare(&mut self, cond: Cond, a: Temp, b: Temp) -> Result<(CompareOps, Reg, Reg), bool> {
        let (index, swap) = match cond {
            Cond::Eq => (0, false),
            Cond::Ne => (1, false),
            Cond::Lt => (2, false),
            Cond::Gt => (2, true),
            Cond::Ge => (3, false),
            Cond::Le => (3, true),
            Cond::Ltu => (4, false),
            Cond::Gtu => (4, true),
            Cond::Geu => (5, false),
            Cond::Leu => (5, true),
            Cond::TstEq => (6, false),
            Cond::TstNe => (7, false),
            Cond::Always => return Err(true),
            Cond::Never => return Err(false),
        };
        let (a, b) = (self.input(a), self.input(b));
        Ok(if swap {
            (COMPARE_OPS[index], b, a)
        } else {
            (COMPARE_OPS[index], a, b)
        })
    }

    fn branch(&mut self, ty: Type, ops: CompareOps, a: Reg, b: Reg, label: Label) {
        // Sign-extended values compare alike in both widths.
        let both = self.reg_is_sext32(a) && self.reg_is_sext32(b);
        let wide = ty == Type::I64 || both;
        let op = if wide { ops.br } else { ops.br_w };
        let op = LowOp::new(op, Reg::NONE, a, b).label(label);
        let chained = if wide {
            self.chained_exits(label)
        } else {
            None
        };
        let Some((taken, dropped)) = chained else {
            return self.push(op, Outputs::None);
        };
        (self.skip, self.dropped) = (true, Some(dropped));
        self.push(
            LowOp {
                op: ops.chain,
                d: Reg::raw(taken & 1),
                ..op
            },
            Outputs::None,
        );
    }

    /// The instruction in front makes the pc: goes there at once.
    fn fuse_goto_ptr(&mut self) -> bool {
        let number = self.s.low.len();
        let function = self.function;
        let Some(last) = self.s.low.last_mut().filter(|op| !op.dead) else {
            return false;
        };
        let made = last.d.index().and_then(|index| function.temps.get(index));
        let is_pc = made.is_some_and(|temp| {
            temp.ty == Type::I64
                && temp.kind
                    == TempKind::Global {
                        slot: self.options.pc_slot,
                    }
        });
        let fused = match last.op {
            AndI => GotoPtrAnd,
            MovI => GotoPtrImm,
            _ => return false,
        };
        if is_pc && number as u32 > self.block_start {
            last.op = fused;
            return true;
        }
        false
    }

    /// A helper may have changed any of them.
    fn forget_globals(&mut self) {
        let here = self.s.low.len() as u32;
        for info in self.s.regs.iter_mut().filter(|info| info.global) {
            info.last_def = here;
            info.sext32 = false;
        }
    }
}
