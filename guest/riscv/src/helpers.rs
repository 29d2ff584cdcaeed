//! The helper table: functions that generated code calls, one row each.
//!
//! A row is `name(arguments) flags;` under its module. The function is an
//! `extern "C" fn(&mut RiscvCpu, u64 for each argument) -> u64`, which the table checks. One with
//! `= Op Format` behind the flags is floating point that back ends may do inline.

use tcg::float::{FloatFormat, FloatHelper, FloatOp};
use tcg::ir::{HelperFlags, HelperId};

use crate::cpu::RiscvCpu;
use crate::fpu_helper::RULES;

/// The constructor of a row by its number of arguments.
macro_rules! constructor {
    () => {
        accel_tcg::Helper::of0
    };
    ($a:ident) => {
        accel_tcg::Helper::of1
    };
    ($a:ident $b:ident) => {
        accel_tcg::Helper::of2
    };
    ($a:ident $b:ident $c:ident) => {
        accel_tcg::Helper::of3
    };
    ($a:ident $b:ident $c:ident $d:ident) => {
        accel_tcg::Helper::of4
    };
}

macro_rules! helpers {
    ($($module:ident { $(
        $name:ident($($arg:ident),*) $($flag:ident)|+ $(= $op:ident $format:ident)?;
    )* })*) => {
        /// A row of the table.
        #[allow(non_camel_case_types, reason = "helpers have their functions' names")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Helper { $($($name,)*)* }

        static TABLE: &[accel_tcg::Helper<RiscvCpu>] = &[$($(
            constructor!($($arg)*)(
                stringify!($name),
                crate::$module::$name,
                HelperFlags::NONE$(.with(HelperFlags::$flag))+,
            )$(.with_float(FloatHelper {
                op: FloatOp::$op,
                format: FloatFormat::$format,
                rules: &RULES,
            }))?,
        )*)*];
    };
}

impl Helper {
    pub const fn id(self) -> HelperId {
        HelperId(self as u16)
    }
}

/// The table for `GuestCpu::helpers`.
pub fn table() -> &'static [accel_tcg::Helper<RiscvCpu>] {
    TABLE
}

helpers! {
    system_helper {
        raise_exception(cause, tval) NO_WRITE_GLOBALS | MAY_RAISE;
        csr_read(csr) NO_WRITE_GLOBALS | MAY_RAISE;
        csr_write(csr, value) NO_WRITE_GLOBALS | MAY_RAISE;
        csr_read_write(csr, value, mask) NO_WRITE_GLOBALS | MAY_RAISE;
        mark_fs_dirty() NO_GLOBALS;
        mark_fs_dirty_unless(fflags) NO_GLOBALS;
        fflags() NO_GLOBALS;
        mret() NONE | MAY_RAISE;
        sret() NONE | MAY_RAISE;
        wfi() NONE | MAY_RAISE;
        wrs_nto() NONE | MAY_RAISE;
        wrs_sto() NONE;
        sfence_vma(addr, asid, which) NO_WRITE_GLOBALS | MAY_RAISE;
        cbo_inval(addr) NO_WRITE_GLOBALS | MAY_RAISE;
        cbo_clean(addr) NO_WRITE_GLOBALS | MAY_RAISE;
        cbo_flush(addr) NO_WRITE_GLOBALS | MAY_RAISE;
        cbo_zero(addr) NO_WRITE_GLOBALS | MAY_RAISE;
    }
    bit_helper {
        clmul(a, b) PURE | NO_GLOBALS;
        clmulh(a, b) PURE | NO_GLOBALS;
        clmulr(a, b) PURE | NO_GLOBALS;
        brev8(a) PURE | NO_GLOBALS;
    }
    fpu_helper {
        fadd_s(rm, a, b) NO_GLOBALS = Add Single;
        fsub_s(rm, a, b) NO_GLOBALS = Sub Single;
        fmul_s(rm, a, b) NO_GLOBALS = Mul Single;
        fdiv_s(rm, a, b) NO_GLOBALS = Div Single;
        fadd_d(rm, a, b) NO_GLOBALS = Add Double;
        fsub_d(rm, a, b) NO_GLOBALS = Sub Double;
        fmul_d(rm, a, b) NO_GLOBALS = Mul Double;
        fdiv_d(rm, a, b) NO_GLOBALS = Div Double;
        fadd_h(rm, a, b) NO_GLOBALS;
        fsub_h(rm, a, b) NO_GLOBALS;
        fmul_h(rm, a, b) NO_GLOBALS;
        fdiv_h(rm, a, b) NO_GLOBALS;
        fsqrt_s(rm, a) NO_GLOBALS = Sqrt Single;
        fsqrt_d(rm, a) NO_GLOBALS = Sqrt Double;
        fsqrt_h(rm, a) NO_GLOBALS;
        fcvt_s_d(rm, a) NO_GLOBALS = Convert Double;
        fcvt_s_h(rm, a) NO_GLOBALS;
        fcvt_d_s(rm, a) NO_GLOBALS = Convert Single;
        fcvt_d_h(rm, a) NO_GLOBALS;
        fcvt_h_s(rm, a) NO_GLOBALS;
        fcvt_h_d(rm, a) NO_GLOBALS;
        fmadd_s(control, a, b, c) NO_GLOBALS = Fma Single;
        fmadd_d(control, a, b, c) NO_GLOBALS = Fma Double;
        fmadd_h(control, a, b, c) NO_GLOBALS;
        fround_s(rm, a) NO_GLOBALS;
        froundnx_s(rm, a) NO_GLOBALS;
        fround_d(rm, a) NO_GLOBALS;
        froundnx_d(rm, a) NO_GLOBALS;
        fround_h(rm, a) NO_GLOBALS;
        froundnx_h(rm, a) NO_GLOBALS;
        fmin_s(a, b) NO_GLOBALS = Min Single;
        fmax_s(a, b) NO_GLOBALS = Max Single;
        fminm_s(a, b) NO_GLOBALS = Min Single;
        fmaxm_s(a, b) NO_GLOBALS = Max Single;
        fmin_d(a, b) NO_GLOBALS = Min Double;
        fmax_d(a, b) NO_GLOBALS = Max Double;
        fminm_d(a, b) NO_GLOBALS = Min Double;
        fmaxm_d(a, b) NO_GLOBALS = Max Double;
        fmin_h(a, b) NO_GLOBALS;
        fmax_h(a, b) NO_GLOBALS;
        fminm_h(a, b) NO_GLOBALS;
        fmaxm_h(a, b) NO_GLOBALS;
        feq_s(a, b) NO_GLOBALS = Eq Single;
        flt_s(a, b) NO_GLOBALS = Lt Single;
        fle_s(a, b) NO_GLOBALS = Le Single;
        fltq_s(a, b) NO_GLOBALS = Lt Single;
        fleq_s(a, b) NO_GLOBALS = Le Single;
        feq_d(a, b) NO_GLOBALS = Eq Double;
        flt_d(a, b) NO_GLOBALS = Lt Double;
        fle_d(a, b) NO_GLOBALS = Le Double;
        fltq_d(a, b) NO_GLOBALS = Lt Double;
        fleq_d(a, b) NO_GLOBALS = Le Double;
        feq_h(a, b) NO_GLOBALS;
        flt_h(a, b) NO_GLOBALS;
        fle_h(a, b) NO_GLOBALS;
        fltq_h(a, b) NO_GLOBALS;
        fleq_h(a, b) NO_GLOBALS;
        fclass_s(a) PURE | NO_GLOBALS;
        fclass_d(a) PURE | NO_GLOBALS;
        fclass_h(a) PURE | NO_GLOBALS;
        fcvt_w_s(rm, a) NO_GLOBALS = ToI32 Single;
        fcvt_wu_s(rm, a) NO_GLOBALS = ToU32 Single;
        fcvt_l_s(rm, a) NO_GLOBALS = ToI64 Single;
        fcvt_lu_s(rm, a) NO_GLOBALS = ToU64 Single;
        fcvt_w_d(rm, a) NO_GLOBALS = ToI32 Double;
        fcvt_wu_d(rm, a) NO_GLOBALS = ToU32 Double;
        fcvt_l_d(rm, a) NO_GLOBALS = ToI64 Double;
        fcvt_lu_d(rm, a) NO_GLOBALS = ToU64 Double;
        fcvt_w_h(rm, a) NO_GLOBALS;
        fcvt_wu_h(rm, a) NO_GLOBALS;
        fcvt_l_h(rm, a) NO_GLOBALS;
        fcvt_lu_h(rm, a) NO_GLOBALS;
        fcvt_s_w(rm, a) NO_GLOBALS = FromI32 Single;
        fcvt_s_wu(rm, a) NO_GLOBALS = FromU32 Single;
        fcvt_s_l(rm, a) NO_GLOBALS = FromI64 Single;
        fcvt_s_lu(rm, a) NO_GLOBALS = FromU64 Single;
        fcvt_d_w(rm, a) NO_GLOBALS = FromI32 Double;
        fcvt_d_wu(rm, a) NO_GLOBALS = FromU32 Double;
        fcvt_d_l(rm, a) NO_GLOBALS = FromI64 Double;
        fcvt_d_lu(rm, a) NO_GLOBALS = FromU64 Double;
        fcvt_h_w(rm, a) NO_GLOBALS;
        fcvt_h_wu(rm, a) NO_GLOBALS;
        fcvt_h_l(rm, a) NO_GLOBALS;
        fcvt_h_lu(rm, a) NO_GLOBALS;
        fcvtmod_w_d(a) NO_GLOBALS;
    }
}
