//! Floating-point helpers: boxes, rounding mode and flags around the functions of crate `fpu`
//! (Unprivileged manual, chapters "F", "D", "Zfh", "Zfa").
//!
//! A helper gets f registers as they are, 64 bits wide, and returns them so; `rm` is a valid
//! rounding mode. An operand narrower than 64 bits that is not boxed in ones is the canonical NaN.

use fpu::{Flags, RoundingMode, Status};
use tcg::float::FloatRules;

use crate::cpu::{RiscvCpu, slot};

/// Bits of a fused multiply-add's control argument, above the rounding mode.
pub const NEG_PRODUCT: u64 = 8;
pub const NEG_ADDEND: u64 = 16;

/// What inline code has to know of the helpers.
pub static RULES: FloatRules = FloatRules {
    flags_slot: slot::FFLAGS as u8,
    inexact: Flags::INEXACT.bits(),
    nearest_even: RoundingMode::NearestEven as u64,
    toward_zero: RoundingMode::TowardZero as u64,
    down: RoundingMode::Down as u64,
    up: RoundingMode::Up as u64,
    negate_product: NEG_PRODUCT,
    negate_addend: NEG_ADDEND,
};

/// How a format lies in an f register.
trait Format {
    type Bits;
    fn unboxed(register: u64) -> Self::Bits;
    fn boxed(value: Self::Bits) -> u64;
}

struct Half;
struct Single;
struct Double;

impl Format for Half {
    type Bits = u16;
    fn unboxed(register: u64) -> u16 {
        if register >= !0 << 16 {
            register as u16
        } else {
            0x7e00
        }
    }
    fn boxed(value: u16) -> u64 {
        !0 << 16 | u64::from(value)
    }
}

impl Format for Single {
    type Bits = u32;
    fn unboxed(register: u64) -> u32 {
        if register >= !0 << 32 {
            register as u32
        } else {
            0x7fc0_0000
        }
    }
    fn boxed(value: u32) -> u64 {
        !0 << 32 | u64::from(value)
    }
}

impl Format for Double {
    type Bits = u64;
    fn unboxed(register: u64) -> u64 {
        register
    }
    fn boxed(value: u64) -> u64 {
        value
    }
}

/// Runs `f` with rounding mode `rm`, and accrues its flags.
fn accrue<T>(cpu: &mut RiscvCpu, rm: u64, f: impl FnOnce(&mut Status) -> T) -> T {
    let fflags = &mut cpu.common.state.slots[slot::FFLAGS];
    let rounding = RoundingMode::from_riscv(rm as u8).unwrap_or_default();
    let mut status = Status::riscv(rounding).with_flags(Flags(*fflags as u8));
    let result = f(&mut status);
    *fflags = status.flags.bits().into();
    result
}

macro_rules! binary {
    ($($name:ident = $op:ident in $format:ident;)*) => {
        $(pub extern "C" fn $name(cpu: &mut RiscvCpu, rm: u64, a: u64, b: u64) -> u64 {
            let (a, b) = ($format::unboxed(a), $format::unboxed(b));
            $format::boxed(accrue(cpu, rm, |s| fpu::$op(a, b, s)))
        })*
    };
}

macro_rules! unary {
    ($($name:ident = $op:ident, $from:ident to $to:ident;)*) => {
        $(pub extern "C" fn $name(cpu: &mut RiscvCpu, rm: u64, a: u64) -> u64 {
            let a = $from::unboxed(a);
            $to::boxed(accrue(cpu, rm, |s| fpu::$op(a, s)))
        })*
    };
}

macro_rules! fused {
    ($($name:ident = $op:ident in $format:ident, sign $sign:expr;)*) => {
        $(pub extern "C" fn $name(
            cpu: &mut RiscvCpu, control: u64, a: u64, b: u64, c: u64,
        ) -> u64 {
            let (mut a, b) = ($format::unboxed(a), $format::unboxed(b));
            let mut c = $format::unboxed(c);
            if control & NEG_PRODUCT != 0 {
                a ^= $sign;
            }
            if control & NEG_ADDEND != 0 {
                c ^= $sign;
            }
            $format::boxed(accrue(cpu, control & 7, |s| fpu::$op(a, b, c, s)))
        })*
    };
}

macro_rules! round_to_integral {
    ($($name:ident = $op:ident in $format:ident, exact $exact:expr;)*) => {
        $(pub extern "C" fn $name(cpu: &mut RiscvCpu, rm: u64, a: u64) -> u64 {
            let a = $format::unboxed(a);
            $format::boxed(accrue(cpu, rm, |s| fpu::$op(a, $exact, s)))
        })*
    };
}

macro_rules! minimum_maximum {
    ($($name:ident = $op:ident in $format:ident;)*) => {
        $(pub extern "C" fn $name(cpu: &mut RiscvCpu, a: u64, b: u64) -> u64 {
            let (a, b) = ($format::unboxed(a), $format::unboxed(b));
            $format::boxed(accrue(cpu, 0, |s| fpu::$op(a, b, s)))
        })*
    };
}

macro_rules! comparison {
    ($($name:ident = $op:ident in $format:ident;)*) => {
        $(pub extern "C" fn $name(cpu: &mut RiscvCpu, a: u64, b: u64) -> u64 {
            let (a, b) = ($format::unboxed(a), $format::unboxed(b));
            accrue(cpu, 0, |s| fpu::$op(a, b, s)).into()
        })*
    };
}

macro_rules! class {
    ($($name:ident = $op:ident in $format:ident;)*) => {
        $(pub extern "C" fn $name(_: &mut RiscvCpu, a: u64) -> u64 {
            fpu::$op($format::unboxed(a)).into()
        })*
    };
}

macro_rules! to_integer {
    ($($name:ident = $op:ident in $format:ident, through $int:ident;)*) => {
        $(pub extern "C" fn $name(cpu: &mut RiscvCpu, rm: u64, a: u64) -> u64 {
            let a = $format::unboxed(a);
            // Unsigned words are sign-extended, too.
            accrue(cpu, rm, |s| fpu::$op(a, s)) as $int as i64 as u64
        })*
    };
}

macro_rules! from_integer {
    ($($name:ident = $op:ident in $format:ident, from $int:ident;)*) => {
        $(pub extern "C" fn $name(cpu: &mut RiscvCpu, rm: u64, a: u64) -> u64 {
            $format::boxed(accrue(cpu, rm, |s| fpu::$op(a as $int, s)))
        })*
    };
}

binary! {
    fadd_s = f32_add in Single;
    fsub_s = f32_sub in Single;
    fmul_s = f32_mul in Single;
    fdiv_s = f32_div in Single;
    fadd_d = f64_add in Double;
    fsub_d = f64_sub in Double;
    fmul_d = f64_mul in Double;
    fdiv_d = f64_div in Double;
    fadd_h = f16_add in Half;
    fsub_h = f16_sub in Half;
    fmul_h = f16_mul in Half;
    fdiv_h = f16_div in Half;
}

unary! {
    fsqrt_s = f32_sqrt, Single to Single;
    fsqrt_d = f64_sqrt, Double to Double;
    fsqrt_h = f16_sqrt, Half to Half;
    fcvt_s_d = f64_to_f32, Double to Single;
    fcvt_s_h = f16_to_f32, Half to Single;
    fcvt_d_s = f32_to_f64, Single to Double;
    fcvt_d_h = f16_to_f64, Half to Double;
    fcvt_h_s = f32_to_f16, Single to Half;
    fcvt_h_d = f64_to_f16, Double to Half;
}

fused! {
    fmadd_s = f32_fma in Single, sign 1 << 31;
    fmadd_d = f64_fma in Double, sign 1 << 63;
    fmadd_h = f16_fma in Half, sign 1 << 15;
}

round_to_integral! {
    fround_s = f32_round_to_int in Single, exact false;
    froundnx_s = f32_round_to_int in Single, exact true;
    fround_d = f64_round_to_int in Double, exact false;
    froundnx_d = f64_round_to_int in Double, exact true;
    fround_h = f16_round_to_int in Half, exact false;
    froundnx_h = f16_round_to_int in Half, exact true;
}

minimum_maximum! {
    fmin_s = f32_minimum_number in Single;
    fmax_s = f32_maximum_number in Single;
    fminm_s = f32_minimum in Single;
    fmaxm_s = f32_maximum in Single;
    fmin_d = f64_minimum_number in Double;
    fmax_d = f64_maximum_number in Double;
    fminm_d = f64_minimum in Double;
    fmaxm_d = f64_maximum in Double;
    fmin_h = f16_minimum_number in Half;
    fmax_h = f16_maximum_number in Half;
    fminm_h = f16_minimum in Half;
    fmaxm_h = f16_maximum in Half;
}

comparison! {
    feq_s = f32_eq_quiet in Single;
    flt_s = f32_lt_signaling in Single;
    fle_s = f32_le_signaling in Single;
    fltq_s = f32_lt_quiet in Single;
    fleq_s = f32_le_quiet in Single;
    feq_d = f64_eq_quiet in Double;
    flt_d = f64_lt_signaling in Double;
    fle_d = f64_le_signaling in Double;
    fltq_d = f64_lt_quiet in Double;
    fleq_d = f64_le_quiet in Double;
    feq_h = f16_eq_quiet in Half;
    flt_h = f16_lt_signaling in Half;
    fle_h = f16_le_signaling in Half;
    fltq_h = f16_lt_quiet in Half;
    fleq_h = f16_le_quiet in Half;
}

class! {
    fclass_s = f32_classify in Single;
    fclass_d = f64_classify in Double;
    fclass_h = f16_classify in Half;
}

to_integer! {
    fcvt_w_s = f32_to_i32 in Single, through i32;
    fcvt_wu_s = f32_to_u32 in Single, through i32;
    fcvt_l_s = f32_to_i64 in Single, through i64;
    fcvt_lu_s = f32_to_u64 in Single, through i64;
    fcvt_w_d = f64_to_i32 in Double, through i32;
    fcvt_wu_d = f64_to_u32 in Double, through i32;
    fcvt_l_d = f64_to_i64 in Double, through i64;
    fcvt_lu_d = f64_to_u64 in Double, through i64;
    fcvt_w_h = f16_to_i32 in Half, through i32;
    fcvt_wu_h = f16_to_u32 in Half, through i32;
    fcvt_l_h = f16_to_i64 in Half, through i64;
    fcvt_lu_h = f16_to_u64 in Half, through i64;
}

from_integer! {
    fcvt_s_w = i32_to_f32 in Single, from i32;
    fcvt_s_wu = u32_to_f32 in Single, from u32;
    fcvt_s_l = i64_to_f32 in Single, from i64;
    fcvt_s_lu = u64_to_f32 in Single, from u64;
    fcvt_d_w = i32_to_f64 in Double, from i32;
    fcvt_d_wu = u32_to_f64 in Double, from u32;
    fcvt_d_l = i64_to_f64 in Double, from i64;
    fcvt_d_lu = u64_to_f64 in Double, from u64;
    fcvt_h_w = i32_to_f16 in Half, from i32;
    fcvt_h_wu = u32_to_f16 in Half, from u32;
    fcvt_h_l = i64_to_f16 in Half, from i64;
    fcvt_h_lu = u64_to_f16 in Half, from u64;
}

/// The low 32 bits of the truncated integer, as JavaScript has it.
pub extern "C" fn fcvtmod_w_d(cpu: &mut RiscvCpu, a: u64) -> u64 {
    let toward_zero = RoundingMode::TowardZero as u64;
    accrue(cpu, toward_zero, |s| fpu::f64_to_int_modular(a, s)) as i64 as u64
}

#[cfg(test)]
mod tests;
