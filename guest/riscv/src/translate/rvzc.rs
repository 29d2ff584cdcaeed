//! Zcb and Zcmop: compressed instructions that need their own extension. All others of 16 bits
//! decode as the 32-bit instruction that they abbreviate.

use tcg::builder::Builder;
use tcg::ir::{MemOp, OpVisitor};

insns! {
    [Zcb] c_lbu(Load) = load(MemOp::UB);
    [Zcb] c_lhu(Load) = load(MemOp::UW);
    [Zcb] c_lh(Load) = load(MemOp::SW);
    [Zcb] c_sb(Store) = store(MemOp::UB);
    [Zcb] c_sh(Store) = store(MemOp::UW);
    [Zcb] c_zext_b(R1) = zero_extend(8);
    [Zcb][Zbb] c_sext_b(R1) = sign_extend(8);
    [Zcb][Zbb] c_zext_h(R1) = zero_extend(16);
    [Zcb][Zbb] c_sext_h(R1) = sign_extend(16);
    [Zcb][Zba] c_zext_w(R1) = zero_extend(32);
    [Zcb] c_not(R1) = unary(Builder::not);
    [Zcb][M] c_mul(R) = arith(Builder::mul);
    [Zcmop] c_mop(CMop) = nothing();
    illegal(Empty) = reserved();
}

impl super::Translator<'_, '_> {
    /// An encoding that is not what its row's fields would make of it.
    fn reserved(&mut self, _: &crate::decode::Empty) -> bool {
        self.raise_illegal();
        true
    }
}
