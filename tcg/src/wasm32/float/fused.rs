//! Fused multiply-add, which WebAssembly does not have.
//!
//! "Rounded" is to nearest, ties to even, unless another format is named: to binary64.

use wasm_encoder::{BlockType, Ieee64, ValType};

use super::super::body::Local;
use super::Inline;
use crate::float::FloatFormat;

/// Halves of a significand: rounding to 26 bits adds half of a unit of the last, and clears below.
const SPLIT_HALF: i64 = 1 << 26;
const SPLIT_MASK: i64 = -1 << 27;

impl Inline<'_> {
    /// Pushes an operand, negated if the control argument says so.
    fn push_signed(&mut self, index: usize) {
        self.push_double(index);
        let rules = self.float.rules;
        let sign = match index {
            0 => rules.negate_product,
            2 => rules.negate_addend,
            _ => 0,
        };
        if self.control & sign != 0 {
            self.body.sink().f64_neg();
        }
    }

    /// A product of two singles is exact in a double; rounding the sum to a double first changes
    /// the single only if the double is a tie of singles (both lie on the same side of every tie
    /// that it is not). A single in range has its ties where the 29 bits that it lacks are 1, 0 …
    pub(super) fn fused_single(&mut self) {
        const LACKING: i64 = (1 << 29) - 1;
        const TIE: i64 = 1 << 28;
        self.require_boxes();
        self.require_sticky();
        self.push_signed(0);
        self.push_signed(1);
        self.body.sink().f64_mul();
        self.push_signed(2);
        self.body.sink().f64_add();
        let sum = self.body.scratch(ValType::F64, 0);
        self.body.tee(sum);
        let mut sink = self.body.sink();
        sink.i64_reinterpret_f64().i64_const(LACKING).i64_and();
        sink.i64_const(TIE).i64_eq();
        self.slow_if();
        self.body.get(sum);
        self.body.sink().f32_demote_f64();
        self.result_in_range(FloatFormat::Single, 2);
    }

    /// Dekker's product and his sum make a * b + c = sum + (sum_error + product_error), all exact.
    /// The term in parentheses, rounded, is off by half a unit of its last place at most. If the
    /// sum with a unit more and with a unit less is the same number, then that is also the sum with
    /// the term as it is, and the rounded exact sum, since rounding is monotonic (Ziv's test).
    ///
    /// Infinities and NaNs on the way, also from overflow, end in a difference of the two that is
    /// NaN. A product above 2^-960 has no digits below 2^-1074, and neither has any number, so
    /// that the errors are numbers, and a result that is tiny is exact.
    pub(super) fn fused_double(&mut self) {
        const PRODUCT_MIN: f64 = f64::from_bits((1023 - 960) << 52);
        self.require_sticky();
        let [product, error, addend, sum] =
            [0, 1, 2, 3].map(|index| self.body.scratch(ValType::F64, index));
        self.product(PRODUCT_MIN);
        self.push_signed(2);
        self.body.tee(addend);
        self.body.get(product);
        self.body.sink().f64_add();
        self.body.set(sum);
        // What rounding took from the sum: the smaller term less the part of it that is there.
        self.body.get(product);
        self.body.sink().f64_abs();
        self.body.get(addend);
        self.body.sink().f64_abs().f64_ge();
        self.body.open_if(BlockType::Result(ValType::F64));
        self.smaller_less_part(addend, product, sum);
        self.body.else_arm();
        self.smaller_less_part(product, addend, sum);
        self.body.close();
        self.body.get(error);
        self.body.sink().f64_add();
        self.body.set(error);
        self.nearest_sum(sum, error);
    }

    fn smaller_less_part(&mut self, smaller: Local, larger: Local, sum: Local) {
        self.body.get(smaller);
        self.body.get(sum);
        self.body.get(larger);
        self.body.sink().f64_sub().f64_sub();
    }

    /// The result from the sum and the rounded error. The test is beside what the result needs.
    fn nearest_sum(&mut self, sum: Local, error: Local) {
        let unit = self.body.scratch(ValType::F64, 4);
        self.body.get(sum);
        self.body.get(error);
        self.body.get(error);
        let relative = Ieee64::from(f64::EPSILON);
        self.body.sink().f64_const(relative).f64_mul();
        self.body.tee(unit);
        self.body.sink().f64_add().f64_add();
        self.body.get(sum);
        self.body.get(error);
        self.body.get(unit);
        self.body.sink().f64_sub().f64_add();
        // The difference of equal finite numbers is +0.
        let mut sink = self.body.sink();
        sink.f64_sub().i64_reinterpret_f64().i64_eqz();
        self.slow_unless();
        self.body.get(sum);
        self.body.get(error);
        self.body.sink().f64_add();
    }

    /// The rounded product (scratch 0), which must be at least `least`, and what rounding took from
    /// it (scratch 1). In units of the factors' last places, low halves are 2^26 at most and high
    /// ones 26 bits above 27 zeros; so each difference and sum is of at most 53 bits, and exact.
    fn product(&mut self, least: f64) {
        let [product, error, a_high, a_low, b_high, b_low] =
            [0, 1, 2, 3, 4, 5].map(|index| self.body.scratch(ValType::F64, index));
        // a_low and b_low have the whole numbers until the halves are known.
        self.push_signed(0);
        self.body.tee(a_low);
        self.push_signed(1);
        self.body.tee(b_low);
        self.body.sink().f64_mul();
        self.body.tee(product);
        let least = Ieee64::from(least);
        self.body.sink().f64_abs().f64_const(least).f64_ge();
        self.slow_unless();
        for (low, high) in [(a_low, a_high), (b_low, b_high)] {
            self.body.get(low);
            self.body.get(low);
            let mut sink = self.body.sink();
            sink.i64_reinterpret_f64().i64_const(SPLIT_HALF).i64_add();
            sink.i64_const(SPLIT_MASK).i64_and().f64_reinterpret_i64();
            self.body.tee(high);
            self.body.sink().f64_sub();
            self.body.set(low);
        }
        self.push_product(a_high, b_high);
        self.body.get(product);
        self.body.sink().f64_sub();
        self.push_product(a_high, b_low);
        self.push_product(a_low, b_high);
        self.body.sink().f64_add().f64_add();
        self.push_product(a_low, b_low);
        self.body.sink().f64_add();
        self.body.set(error);
    }

    fn push_product(&mut self, a: Local, b: Local) {
        self.body.get(a);
        self.body.get(b);
        self.body.sink().f64_mul();
    }
}
