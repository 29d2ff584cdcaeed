//! D: double precision.

use tcg::ir::MemOp;

use super::rvf::{DOUBLE, Sign};
use crate::fpu_helper::{NEG_ADDEND, NEG_PRODUCT};
use crate::helpers::Helper;

insns! {
    [D] fld(Fload) = fload(DOUBLE, MemOp::UQ);
    [D] fsd(Fstore) = fstore(MemOp::UQ);
    [D] fmv_x_d(Xf) = move_to_x(DOUBLE);
    [D] fmv_d_x(Fx) = move_from_x(DOUBLE);
    [D] fcvt_s_d(FfRm) = call_ff_rm(Helper::fcvt_s_d);
    [D] fcvt_d_s(FfRm) = call_ff_rm(Helper::fcvt_d_s);
    [D] fmadd_d(FfffRm) = fused(Helper::fmadd_d, 0);
    [D] fmsub_d(FfffRm) = fused(Helper::fmadd_d, NEG_ADDEND);
    [D] fnmsub_d(FfffRm) = fused(Helper::fmadd_d, NEG_PRODUCT);
    [D] fnmadd_d(FfffRm) = fused(Helper::fmadd_d, NEG_PRODUCT | NEG_ADDEND);
    [D] fadd_d(FffRm) = call_fff_rm(Helper::fadd_d);
    [D] fsub_d(FffRm) = call_fff_rm(Helper::fsub_d);
    [D] fmul_d(FffRm) = call_fff_rm(Helper::fmul_d);
    [D] fdiv_d(FffRm) = call_fff_rm(Helper::fdiv_d);
    [D] fsqrt_d(FfRm) = call_ff_rm(Helper::fsqrt_d);
    [D] fsgnj_d(Fff) = sign_inject(DOUBLE, Sign::Copy);
    [D] fsgnjn_d(Fff) = sign_inject(DOUBLE, Sign::Negate);
    [D] fsgnjx_d(Fff) = sign_inject(DOUBLE, Sign::Xor);
    [D] fmin_d(Fff) = call_fff(Helper::fmin_d);
    [D] fmax_d(Fff) = call_fff(Helper::fmax_d);
    [D] fle_d(Xff) = call_xff(Helper::fle_d);
    [D] flt_d(Xff) = call_xff(Helper::flt_d);
    [D] feq_d(Xff) = call_xff(Helper::feq_d);
    [D] fclass_d(Xf) = call_xf(Helper::fclass_d);
    [D] fcvt_w_d(XfRm) = call_xf_rm(Helper::fcvt_w_d);
    [D] fcvt_wu_d(XfRm) = call_xf_rm(Helper::fcvt_wu_d);
    [D] fcvt_l_d(XfRm) = call_xf_rm(Helper::fcvt_l_d);
    [D] fcvt_lu_d(XfRm) = call_xf_rm(Helper::fcvt_lu_d);
    [D] fcvt_d_w(FxRm) = call_fx_rm(Helper::fcvt_d_w);
    [D] fcvt_d_wu(FxRm) = call_fx_rm(Helper::fcvt_d_wu);
    [D] fcvt_d_l(FxRm) = call_fx_rm(Helper::fcvt_d_l);
    [D] fcvt_d_lu(FxRm) = call_fx_rm(Helper::fcvt_d_lu);
}
