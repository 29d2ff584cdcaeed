//! F: single precision, and what all formats share.
//!
//! Loads, stores, moves and sign injection are inline; arithmetic calls `fpu_helper.rs`, which
//! checks the boxes of its operands. Values narrower than 64 bits are boxed in ones.

use tcg::builder::Builder;
use tcg::ir::{Cond, MemOp, Op, OpKind, OpVisitor, Temp, Type};

use super::Translator;
use crate::cpu::tb_flags;
use crate::decode::*;
use crate::fpu_helper::{NEG_ADDEND, NEG_PRODUCT};
use crate::helpers::Helper;
use crate::isa::Ext;

/// A format's width and canonical NaN (boxed).
#[derive(Clone, Copy, Debug)]
pub(super) struct Format {
    pub bits: u8,
    pub nan: u64,
}

pub(super) const HALF: Format = Format {
    bits: 16,
    nan: 0xffff_ffff_ffff_7e00,
};
pub(super) const SINGLE: Format = Format {
    bits: 32,
    nan: 0xffff_ffff_7fc0_0000,
};
pub(super) const DOUBLE: Format = Format {
    bits: 64,
    nan: 0x7ff8_0000_0000_0000,
};

impl Format {
    /// The ones above a value; also the least pattern that is a boxed value.
    const fn box_bits(self) -> u64 {
        if self.bits == 64 { 0 } else { !0 << self.bits }
    }
}

/// What an instruction writes beside flags.
#[derive(Clone, Copy, Debug)]
enum Dest {
    X(Temp),
    F(Temp),
}

/// Where `fsgnj` and its likes take the sign from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sign {
    Copy,
    Negate,
    Xor,
}

insns! {
    [F] flw(Fload) = fload(SINGLE, MemOp::UL);
    [F] fsw(Fstore) = fstore(MemOp::UL);
    [F] fmv_x_w(Xf) = move_to_x(SINGLE);
    [F] fmv_w_x(Fx) = move_from_x(SINGLE);
    [F] fmadd_s(FfffRm) = fused(Helper::fmadd_s, 0);
    [F] fmsub_s(FfffRm) = fused(Helper::fmadd_s, NEG_ADDEND);
    [F] fnmsub_s(FfffRm) = fused(Helper::fmadd_s, NEG_PRODUCT);
    [F] fnmadd_s(FfffRm) = fused(Helper::fmadd_s, NEG_PRODUCT | NEG_ADDEND);
    [F] fadd_s(FffRm) = call_fff_rm(Helper::fadd_s);
    [F] fsub_s(FffRm) = call_fff_rm(Helper::fsub_s);
    [F] fmul_s(FffRm) = call_fff_rm(Helper::fmul_s);
    [F] fdiv_s(FffRm) = call_fff_rm(Helper::fdiv_s);
    [F] fsqrt_s(FfRm) = call_ff_rm(Helper::fsqrt_s);
    [F] fsgnj_s(Fff) = sign_inject(SINGLE, Sign::Copy);
    [F] fsgnjn_s(Fff) = sign_inject(SINGLE, Sign::Negate);
    [F] fsgnjx_s(Fff) = sign_inject(SINGLE, Sign::Xor);
    [F] fmin_s(Fff) = call_fff(Helper::fmin_s);
    [F] fmax_s(Fff) = call_fff(Helper::fmax_s);
    [F] fle_s(Xff) = call_xff(Helper::fle_s);
    [F] flt_s(Xff) = call_xff(Helper::flt_s);
    [F] feq_s(Xff) = call_xff(Helper::feq_s);
    [F] fclass_s(Xf) = call_xf(Helper::fclass_s);
    [F] fcvt_w_s(XfRm) = call_xf_rm(Helper::fcvt_w_s);
    [F] fcvt_wu_s(XfRm) = call_xf_rm(Helper::fcvt_wu_s);
    [F] fcvt_l_s(XfRm) = call_xf_rm(Helper::fcvt_l_s);
    [F] fcvt_lu_s(XfRm) = call_xf_rm(Helper::fcvt_lu_s);
    [F] fcvt_s_w(FxRm) = call_fx_rm(Helper::fcvt_s_w);
    [F] fcvt_s_wu(FxRm) = call_fx_rm(Helper::fcvt_s_wu);
    [F] fcvt_s_l(FxRm) = call_fx_rm(Helper::fcvt_s_l);
    [F] fcvt_s_lu(FxRm) = call_fx_rm(Helper::fcvt_s_lu);
}

/// Permission, rounding mode, bookkeeping.
impl Translator<'_, '_> {
    /// False when mstatus.FS is Off.
    pub(super) fn fp_on(&self) -> bool {
        self.flag(tb_flags::FS_ON)
    }

    /// The rounding mode that `rm` means; `None` if it is reserved.
    pub(super) fn rounding(&self, rm: i32) -> Option<u64> {
        let dynamic = u64::from(self.context.tb_flags >> tb_flags::FRM_SHIFT & 7);
        let mode = if rm == 7 { dynamic } else { rm as u64 };
        (mode <= 4).then_some(mode)
    }

    /// An f register changes: mstatus.FS becomes Dirty, once in a block.
    pub(super) fn mark_dirty(&mut self) {
        if !self.is_dirty() {
            self.call_void(Helper::mark_fs_dirty, &[]);
        }
    }

    fn is_dirty(&mut self) -> bool {
        let helper = Helper::mark_fs_dirty.id();
        let marks = |op: &Op| matches!(op.kind, OpKind::Call { helper: h, .. } if h == helper);
        self.flag(tb_flags::FS_DIRTY) || self.b().function.ops.iter().any(marks)
    }

    /// Calls a helper that may accrue flags. As in QEMU, flags make FS Dirty when they change.
    fn call_accruing(&mut self, helper: Helper, d: Dest, args: &[Temp]) {
        match d {
            Dest::F(d) => {
                self.call(helper, d, args);
                self.mark_dirty();
            }
            Dest::X(d) if self.is_dirty() => self.call(helper, d, args),
            Dest::X(d) => {
                let before = self.temp();
                self.call(Helper::fflags, before, &[]);
                self.call(helper, d, args);
                self.call_void(Helper::mark_fs_dirty_unless, &[before]);
            }
        }
    }

    /// The value of `reg` if it is boxed as it should be, else the canonical NaN.
    fn unboxed(&mut self, reg: Reg, format: Format) -> Temp {
        let value = self.f(reg);
        if format.bits == 64 {
            return value;
        }
        let (least, nan) = (self.constant(format.box_bits()), self.constant(format.nan));
        let checked = self.temp();
        self.b()
            .movcond(Type::I64, checked, value, least, value, nan, Cond::Geu);
        checked
    }

    /// Writes `value`, whose upper bits do not matter, boxed.
    fn set_f(&mut self, rd: Reg, value: Temp, format: Format) {
        let d = self.f(rd);
        if format.bits == 64 {
            self.mov(d, value);
        } else {
            let ones = self.constant(format.box_bits());
            self.b().or(Type::I64, d, value, ones);
        }
        self.mark_dirty();
    }
}

/// Loads, stores, moves.
impl Translator<'_, '_> {
    /// c.fld and its likes need Zcd beside D.
    fn may_access(&self) -> bool {
        self.fp_on() && (self.length != 2 || self.has(Ext::Zcd))
    }

    pub(super) fn fload(&mut self, a: &Fload, format: Format, mem: MemOp) -> bool {
        if !self.may_access() {
            return false;
        }
        let (addr, value, oi) = (self.address(a.rs1, a.imm), self.temp(), self.oi(mem));
        self.b().qemu_ld(Type::I64, value, addr, oi);
        self.set_f(a.rd, value, format);
        true
    }

    pub(super) fn fstore(&mut self, a: &Fstore, mem: MemOp) -> bool {
        if !self.may_access() {
            return false;
        }
        let (addr, value, oi) = (self.address(a.rs1, a.imm), self.f(a.rs2), self.oi(mem));
        self.b().qemu_st(Type::I64, value, addr, oi);
        true
    }

    /// The low bits as they are, sign-extended.
    pub(super) fn move_to_x(&mut self, a: &Xf, format: Format) -> bool {
        if !self.fp_on() {
            return false;
        }
        let (value, d) = (self.f(a.rs1), self.x_dest(a.rd));
        self.b().sextract(Type::I64, d, value, 0, format.bits);
        true
    }

    pub(super) fn move_from_x(&mut self, a: &Fx, format: Format) -> bool {
        if !self.fp_on() {
            return false;
        }
        let value = self.x(a.rs1);
        self.set_f(a.rd, value, format);
        true
    }

    pub(super) fn sign_inject(&mut self, a: &Fff, format: Format, sign: Sign) -> bool {
        if !self.fp_on() {
            return false;
        }
        let bit = self.constant(1 << (format.bits - 1));
        let x = self.unboxed(a.rs1, format);
        if a.rs1 == a.rs2 {
            // fmv, fneg, fabs
            let value = match sign {
                Sign::Copy => x,
                Sign::Negate => self.op2(Builder::xor, x, bit),
                Sign::Xor => self.op2(Builder::andc, x, bit),
            };
            self.set_f(a.rd, value, format);
            return true;
        }
        let y = self.unboxed(a.rs2, format);
        let y = self.op2(Builder::and, y, bit);
        let value = match sign {
            Sign::Copy => {
                let x = self.op2(Builder::andc, x, bit);
                self.op2(Builder::or, x, y)
            }
            Sign::Negate => {
                let x = self.op2(Builder::or, x, bit);
                self.op2(Builder::xor, x, y)
            }
            Sign::Xor => self.op2(Builder::xor, x, y),
        };
        self.set_f(a.rd, value, format);
        true
    }
}

/// Calls, by the files of their operands.
impl Translator<'_, '_> {
    pub(super) fn fused(&mut self, a: &FfffRm, helper: Helper, signs: u64) -> bool {
        let mode = match self.rounding(a.rm) {
            Some(mode) if self.fp_on() => mode,
            _ => return false,
        };
        let control = self.constant(mode | signs);
        let (x, y, z, d) = (self.f(a.rs1), self.f(a.rs2), self.f(a.rs3), self.f(a.rd));
        self.call(helper, d, &[control, x, y, z]);
        self.mark_dirty();
        true
    }

    /// Calls a helper that rounds. False if the mode is reserved or floating point is off.
    fn call_rounding(&mut self, helper: Helper, rm: i32, d: Dest, operands: &[Temp]) -> bool {
        let mode = match self.rounding(rm) {
            Some(mode) if self.fp_on() => mode,
            _ => return false,
        };
        let mode = self.constant(mode);
        let args = [&[mode], operands].concat();
        self.call_accruing(helper, d, &args);
        true
    }

    /// Calls a helper that does not round but may accrue flags.
    fn call_plain(&mut self, helper: Helper, d: Dest, operands: &[Temp]) -> bool {
        if !self.fp_on() {
            return false;
        }
        self.call_accruing(helper, d, operands);
        true
    }

    pub(super) fn call_fff_rm(&mut self, a: &FffRm, helper: Helper) -> bool {
        let (x, y, d) = (self.f(a.rs1), self.f(a.rs2), self.f(a.rd));
        self.call_rounding(helper, a.rm, Dest::F(d), &[x, y])
    }

    pub(super) fn call_ff_rm(&mut self, a: &FfRm, helper: Helper) -> bool {
        let (x, d) = (self.f(a.rs1), self.f(a.rd));
        self.call_rounding(helper, a.rm, Dest::F(d), &[x])
    }

    pub(super) fn call_xf_rm(&mut self, a: &XfRm, helper: Helper) -> bool {
        let (x, d) = (self.f(a.rs1), self.x_dest(a.rd));
        self.call_rounding(helper, a.rm, Dest::X(d), &[x])
    }

    pub(super) fn call_fx_rm(&mut self, a: &FxRm, helper: Helper) -> bool {
        let (x, d) = (self.x(a.rs1), self.f(a.rd));
        self.call_rounding(helper, a.rm, Dest::F(d), &[x])
    }

    pub(super) fn call_fff(&mut self, a: &Fff, helper: Helper) -> bool {
        let (x, y, d) = (self.f(a.rs1), self.f(a.rs2), self.f(a.rd));
        self.call_plain(helper, Dest::F(d), &[x, y])
    }

    pub(super) fn call_xff(&mut self, a: &Xff, helper: Helper) -> bool {
        let (x, y, d) = (self.f(a.rs1), self.f(a.rs2), self.x_dest(a.rd));
        self.call_plain(helper, Dest::X(d), &[x, y])
    }

    /// No flags: `fclass`.
    pub(super) fn call_xf(&mut self, a: &Xf, helper: Helper) -> bool {
        if !self.fp_on() {
            return false;
        }
        let (x, d) = (self.f(a.rs1), self.x_dest(a.rd));
        self.call(helper, d, &[x]);
        true
    }

    pub(super) fn call_xf_flags(&mut self, a: &Xf, helper: Helper) -> bool {
        let (x, d) = (self.f(a.rs1), self.x_dest(a.rd));
        self.call_plain(helper, Dest::X(d), &[x])
    }

    pub(super) fn constant_f(&mut self, a: &Fli, value: u64) -> bool {
        if !self.fp_on() {
            return false;
        }
        let value = self.constant(value);
        self.set_f(a.rd, value, DOUBLE);
        true
    }
}
