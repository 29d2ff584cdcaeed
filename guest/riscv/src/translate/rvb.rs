//! Zba, Zbb, Zbc, Zbs: bit manipulation.

use tcg::builder::Builder;
use tcg::ir::{Cond, OpVisitor, Temp, Type};

use super::{Op1, Op2, Translator};
use crate::decode::*;
use crate::helpers::Helper;

insns! {
    [Zba] sh1add(R) = shift_add(1);
    [Zba] sh2add(R) = shift_add(2);
    [Zba] sh3add(R) = shift_add(3);
    [Zba] add_uw(R) = shift_add_uw(0);
    [Zba] sh1add_uw(R) = shift_add_uw(1);
    [Zba] sh2add_uw(R) = shift_add_uw(2);
    [Zba] sh3add_uw(R) = shift_add_uw(3);
    [Zba] slli_uw(Shift) = shift_uw();

    [Zbb|Zbkb] andn(R) = arith(Builder::andc);
    [Zbb|Zbkb] orn(R) = arith(Builder::orc);
    [Zbb|Zbkb] xnor(R) = arith(Builder::eqv);
    [Zbb] clz(R1) = count_zeros(Builder::clz);
    [Zbb] ctz(R1) = count_zeros(Builder::ctz);
    [Zbb] cpop(R1) = unary(Builder::ctpop);
    [Zbb] clzw(R1) = count_zeros32(Builder::clz);
    [Zbb] ctzw(R1) = count_zeros32(Builder::ctz);
    [Zbb] cpopw(R1) = population32();
    [Zbb] max(R) = choose(Cond::Gt);
    [Zbb] maxu(R) = choose(Cond::Gtu);
    [Zbb] min(R) = choose(Cond::Lt);
    [Zbb] minu(R) = choose(Cond::Ltu);
    [Zbb] sext_b(R1) = sign_extend(8);
    [Zbb] sext_h(R1) = sign_extend(16);
    [Zbb] zext_h(R1) = zero_extend(16);
    [Zbb|Zbkb] rol(R) = arith(Builder::rotl);
    [Zbb|Zbkb] ror(R) = arith(Builder::rotr);
    [Zbb|Zbkb] rori(Shift) = shift_imm(Builder::rotr);
    [Zbb|Zbkb] rolw(R) = arith32(Builder::rotl);
    [Zbb|Zbkb] rorw(R) = arith32(Builder::rotr);
    [Zbb|Zbkb] roriw(Shift) = rotate32();
    [Zbb] orc_b(R1) = or_combine();
    [Zbb|Zbkb] rev8(R1) = unary(Builder::bswap64);

    [Zbc] clmul(R) = call_xx(Helper::clmul);
    [Zbc] clmulh(R) = call_xx(Helper::clmulh);
    [Zbc] clmulr(R) = call_xx(Helper::clmulr);

    [Zbs] bclr(R) = single_bit(Builder::andc);
    [Zbs] binv(R) = single_bit(Builder::xor);
    [Zbs] bset(R) = single_bit(Builder::or);
    [Zbs] bext(R) = extract_bit();
    [Zbs] bclri(Shift) = single_bit_imm(Builder::andc);
    [Zbs] binvi(Shift) = single_bit_imm(Builder::xor);
    [Zbs] bseti(Shift) = single_bit_imm(Builder::or);
    [Zbs] bexti(Shift) = extract_bit_imm();
}

impl Translator<'_, '_> {
    pub(super) fn unary(&mut self, a: &R1, op: Op1) -> bool {
        let (x, d) = (self.x(a.rs1), self.x_dest(a.rd));
        op(self.b(), Type::I64, d, x);
        true
    }

    pub(super) fn call_xx(&mut self, a: &R, helper: Helper) -> bool {
        let (x, y, d) = (self.x(a.rs1), self.x(a.rs2), self.x_dest(a.rd));
        self.call(helper, d, &[x, y]);
        true
    }

    pub(super) fn sign_extend(&mut self, a: &R1, bits: u8) -> bool {
        let (x, d) = (self.x(a.rs1), self.x_dest(a.rd));
        self.b().sextract(Type::I64, d, x, 0, bits);
        true
    }

    pub(super) fn zero_extend(&mut self, a: &R1, bits: u8) -> bool {
        let (x, d) = (self.x(a.rs1), self.x_dest(a.rd));
        self.b().extract(Type::I64, d, x, 0, bits);
        true
    }

    /// `rd = (x << count) + rs2`
    fn add_shifted(&mut self, a: &R, x: Temp, count: u64) -> bool {
        let (count, y) = (self.constant(count), self.x(a.rs2));
        let shifted = self.op2(Builder::shl, x, count);
        let d = self.x_dest(a.rd);
        self.b().add(Type::I64, d, shifted, y);
        true
    }

    fn shift_add(&mut self, a: &R, count: u64) -> bool {
        let x = self.x(a.rs1);
        self.add_shifted(a, x, count)
    }

    fn shift_add_uw(&mut self, a: &R, count: u64) -> bool {
        let x = self.x(a.rs1);
        let x = self.zext(x, 32);
        self.add_shifted(a, x, count)
    }

    fn shift_uw(&mut self, a: &Shift) -> bool {
        let x = self.x(a.rs1);
        let (x, count) = (self.zext(x, 32), self.constant(a.shamt as u64));
        let d = self.x_dest(a.rd);
        self.b().shl(Type::I64, d, x, count);
        true
    }

    fn count_zeros(&mut self, a: &R1, op: Op2) -> bool {
        let (x, width, d) = (self.x(a.rs1), self.constant(64), self.x_dest(a.rd));
        op(self.b(), Type::I64, d, x, width);
        true
    }

    fn count_zeros32(&mut self, a: &R1, op: Op2) -> bool {
        let (x, count) = (self.x32(a.rs1), self.temp32());
        let width = self.b().constant(Type::I32, 32);
        op(self.b(), Type::I32, count, x, width);
        let d = self.x_dest(a.rd);
        self.b().extu(Type::I64, d, count);
        true
    }

    fn population32(&mut self, a: &R1) -> bool {
        let x = self.x(a.rs1);
        let (x, d) = (self.zext(x, 32), self.x_dest(a.rd));
        self.b().ctpop(Type::I64, d, x);
        true
    }

    fn choose(&mut self, a: &R, cond: Cond) -> bool {
        let (x, y, d) = (self.x(a.rs1), self.x(a.rs2), self.x_dest(a.rd));
        self.b().movcond(Type::I64, d, x, y, x, y, cond);
        true
    }

    fn rotate32(&mut self, a: &Shift) -> bool {
        let (x, result) = (self.x32(a.rs1), self.temp32());
        let count = self.b().constant(Type::I32, a.shamt as u64);
        self.b().rotr(Type::I32, result, x, count);
        let d = self.x_dest(a.rd);
        self.b().exts(Type::I64, d, result);
        true
    }

    /// Every byte becomes all ones if it has a one: adding 0x7f carries into bit 7 unless the low
    /// seven bits are zero, and bit 7 itself is or-ed in; then 0x80 becomes 0xff in each byte.
    fn or_combine(&mut self, a: &R1) -> bool {
        let x = self.x(a.rs1);
        let low = self.constant(0x7f7f_7f7f_7f7f_7f7f);
        let t = self.op2(Builder::and, x, low);
        let t = self.op2(Builder::add, t, low);
        let t = self.op2(Builder::or, t, x);
        let high = self.op2(Builder::andc, t, low);
        let (one, seven) = (self.constant(1), self.constant(7));
        let left = self.op2(Builder::shl, high, one);
        let right = self.op2(Builder::shr, high, seven);
        let d = self.x_dest(a.rd);
        self.b().sub(Type::I64, d, left, right);
        true
    }

    fn single_bit(&mut self, a: &R, op: Op2) -> bool {
        let (x, count, one) = (self.x(a.rs1), self.x(a.rs2), self.constant(1));
        let bit = self.op2(Builder::shl, one, count);
        let d = self.x_dest(a.rd);
        op(self.b(), Type::I64, d, x, bit);
        true
    }

    fn single_bit_imm(&mut self, a: &Shift, op: Op2) -> bool {
        let (x, bit) = (self.x(a.rs1), self.constant(1 << (a.shamt & 63)));
        let d = self.x_dest(a.rd);
        op(self.b(), Type::I64, d, x, bit);
        true
    }

    fn extract_bit(&mut self, a: &R) -> bool {
        let (x, count) = (self.x(a.rs1), self.x(a.rs2));
        let shifted = self.op2(Builder::shr, x, count);
        let d = self.x_dest(a.rd);
        self.b().extract(Type::I64, d, shifted, 0, 1);
        true
    }

    fn extract_bit_imm(&mut self, a: &Shift) -> bool {
        let (x, d) = (self.x(a.rs1), self.x_dest(a.rd));
        self.b().extract(Type::I64, d, x, a.shamt as u8, 1);
        true
    }
}
