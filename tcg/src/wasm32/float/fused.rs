//! Fused multiply-add, which WebAssembly does not have.
//!
//! "Rounded" is to nearest, ties to even, unless another format is named: to binary64.

use wasm_encoder::{Ieee64, ValType};

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

    /// Dekker's product and Knuth's sum make a * b + c = sum + (sum_error + product_error), all
    /// exact. The term in parentheses, rounded, is off by half a unit of its last place at most; if
    /// the sum with a unit more and with a unit less than it is the same number, then that is the
    /// rounded exact sum, since rounding is monotonic (Ziv's test).
    ///
    /// Infinities and NaNs on the way, also from overflow, end in a difference of the two that is
    /// NaN. A product above 2^-960 has no digits below 2^-1074, and neither has any number, so
    /// that the errors are numbers, and a result that is tiny is exact.
    pub(super) fn fused_double(&mut self) {
        const PRODUCT_MIN: f64 = f64::from_bits((1023 - 960) << 52);
        self.require_sticky();
        let [product, error, addend, sum, part] =
            [0, 1, 2, 3, 4].map(|index| self.body.scratch(ValType::F64, index));
        self.product(PRODUCT_MIN);
        self.push_signed(2);
        self.body.tee(addend);
        self.body.get(product);
        self.body.sink().f64_add();
        self.body.tee(sum);
        // part = sum - product; error += (product - (sum - part)) + (addend - part)
        self.body.get(product);
        self.body.sink().f64_sub();
        self.body.set(part);
        self.body.get(product);
        self.body.get(sum);
        self.body.get(part);
        self.body.sink().f64_sub().f64_sub();
        self.body.get(addend);
        self.body.get(part);
        self.body.sink().f64_sub().f64_add();
        self.body.get(error);
        self.body.sink().f64_add();
        self.body.set(error);
        self.nearest_sum();
    }

    /// The result from the sum (scratch 3) and the rounded error (scratch 1).
    fn nearest_sum(&mut self) {
        let [error, sum, above, unit] =
            [1, 3, 2, 4].map(|index| self.body.scratch(ValType::F64, index));
        self.body.get(sum);
        self.body.get(error);
        self.body.get(error);
        let relative = Ieee64::from(f64::EPSILON);
        self.body.sink().f64_const(relative).f64_mul();
        self.body.tee(unit);
        self.body.sink().f64_add().f64_add();
        self.body.tee(above);
        self.body.get(sum);
        self.body.get(error);
        self.body.get(unit);
        self.body.sink().f64_sub().f64_add();
        // The difference of equal finite numbers is +0.
        self.body.sink().f64_sub().i64_reinterpret_f64();
        self.body.sink().i64_eqz();
        self.slow_unless();
        self.body.get(above);
        self.body.sink().i64_reinterpret_f64();
    }

    /// The rounded product (scratch 0), which must be at least `least`, and what rounding took from
    /// it (scratch 1).
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
        self.body.get(a_high);
        self.body.get(b_high);
        self.body.sink().f64_mul();
        self.body.get(product);
        self.body.sink().f64_sub();
        for (x, y) in [(a_high, b_low), (a_low, b_high), (a_low, b_low)] {
            self.body.get(x);
            self.body.get(y);
            self.body.sink().f64_mul().f64_add();
        }
        self.body.set(error);
    }
}
