//! M: multiplication and division. The ops have RISC-V's answers for division by zero and overflow.

use tcg::builder::Builder;
use tcg::ir::OpVisitor;

insns! {
    [M] mul(R) = arith(Builder::mul);
    [M] mulh(R) = arith(Builder::mulsh);
    [M] mulhsu(R) = arith(Builder::mulsuh);
    [M] mulhu(R) = arith(Builder::muluh);
    [M] div(R) = arith(Builder::divs);
    [M] divu(R) = arith(Builder::divu);
    [M] rem(R) = arith(Builder::rems);
    [M] remu(R) = arith(Builder::remu);
    [M] mulw(R) = arith_low(Builder::mul);
    [M] divw(R) = arith32(Builder::divs);
    [M] divuw(R) = arith32(Builder::divu);
    [M] remw(R) = arith32(Builder::rems);
    [M] remuw(R) = arith32(Builder::remu);
}
