//! Zfhmin and Zfh: half precision.

use tcg::ir::MemOp;

use super::rvf::{HALF, Sign};
use crate::fpu_helper::{NEG_ADDEND, NEG_PRODUCT};
use crate::helpers::Helper;

insns! {
    [Zfhmin] flh(Fload) = fload(HALF, MemOp::UW);
    [Zfhmin] fsh(Fstore) = fstore(MemOp::UW);
    [Zfhmin] fmv_x_h(Xf) = move_to_x(HALF);
    [Zfhmin] fmv_h_x(Fx) = move_from_x(HALF);
    [Zfhmin] fcvt_s_h(FfRm) = call_ff_rm(Helper::fcvt_s_h);
    [Zfhmin] fcvt_h_s(FfRm) = call_ff_rm(Helper::fcvt_h_s);
    [Zfhmin][D] fcvt_d_h(FfRm) = call_ff_rm(Helper::fcvt_d_h);
    [Zfhmin][D] fcvt_h_d(FfRm) = call_ff_rm(Helper::fcvt_h_d);
    [Zfh] fmadd_h(FfffRm) = fused(Helper::fmadd_h, 0);
    [Zfh] fmsub_h(FfffRm) = fused(Helper::fmadd_h, NEG_ADDEND);
    [Zfh] fnmsub_h(FfffRm) = fused(Helper::fmadd_h, NEG_PRODUCT);
    [Zfh] fnmadd_h(FfffRm) = fused(Helper::fmadd_h, NEG_PRODUCT | NEG_ADDEND);
    [Zfh] fadd_h(FffRm) = call_fff_rm(Helper::fadd_h);
    [Zfh] fsub_h(FffRm) = call_fff_rm(Helper::fsub_h);
    [Zfh] fmul_h(FffRm) = call_fff_rm(Helper::fmul_h);
    [Zfh] fdiv_h(FffRm) = call_fff_rm(Helper::fdiv_h);
    [Zfh] fsqrt_h(FfRm) = call_ff_rm(Helper::fsqrt_h);
    [Zfh] fsgnj_h(Fff) = sign_inject(HALF, Sign::Copy);
    [Zfh] fsgnjn_h(Fff) = sign_inject(HALF, Sign::Negate);
    [Zfh] fsgnjx_h(Fff) = sign_inject(HALF, Sign::Xor);
    [Zfh] fmin_h(Fff) = call_fff(Helper::fmin_h);
    [Zfh] fmax_h(Fff) = call_fff(Helper::fmax_h);
    [Zfh] fle_h(Xff) = call_xff(Helper::fle_h);
    [Zfh] flt_h(Xff) = call_xff(Helper::flt_h);
    [Zfh] feq_h(Xff) = call_xff(Helper::feq_h);
    [Zfh] fclass_h(Xf) = call_xf(Helper::fclass_h);
    [Zfh] fcvt_w_h(XfRm) = call_xf_rm(Helper::fcvt_w_h);
    [Zfh] fcvt_wu_h(XfRm) = call_xf_rm(Helper::fcvt_wu_h);
    [Zfh] fcvt_l_h(XfRm) = call_xf_rm(Helper::fcvt_l_h);
    [Zfh] fcvt_lu_h(XfRm) = call_xf_rm(Helper::fcvt_lu_h);
    [Zfh] fcvt_h_w(FxRm) = call_fx_rm(Helper::fcvt_h_w);
    [Zfh] fcvt_h_wu(FxRm) = call_fx_rm(Helper::fcvt_h_wu);
    [Zfh] fcvt_h_l(FxRm) = call_fx_rm(Helper::fcvt_h_l);
    [Zfh] fcvt_h_lu(FxRm) = call_fx_rm(Helper::fcvt_h_lu);
}
