//! Conversions between formats, and to and from integers.

use wasm_encoder::{BlockType, Ieee64, ValType};

use super::{Inline, push};
use crate::float::{FloatFormat, FloatOp, FloatRounding};

impl Inline<'_> {
    fn is_nearest_even(&self) -> bool {
        self.rounding == Some(FloatRounding::NearestEven)
    }

    /// The rounded number fits if its magnitude is below a limit, which leaves out the least
    /// signed integer, and NaNs; an unsigned one also equals its magnitude (-0 does, and is 0).
    /// Then invalid is not raised, and inexact only if rounding changed the number.
    pub(super) fn float_to_integer(&mut self) {
        self.require_boxes();
        let (number, rounded) = (
            self.body.scratch(ValType::F64, 0),
            self.body.scratch(ValType::F64, 1),
        );
        self.push_double(0);
        self.body.tee(number);
        let mut sink = self.body.sink();
        match self.rounding {
            Some(FloatRounding::NearestEven) => sink.f64_nearest(),
            Some(FloatRounding::Down) => sink.f64_floor(),
            Some(FloatRounding::Up) => sink.f64_ceil(),
            _ => sink.f64_trunc(),
        };
        let (limit_bits, signed) = match self.float.op {
            FloatOp::ToI32 => (31, true),
            FloatOp::ToU32 => (32, false),
            FloatOp::ToI64 => (63, true),
            _ => (64, false),
        };
        self.body.tee(rounded);
        let limit = 2_f64.powi(limit_bits);
        let limit = Ieee64::from(limit);
        self.body.sink().f64_abs().f64_const(limit).f64_lt();
        self.slow_unless();
        if !signed {
            self.body.get(rounded);
            self.body.get(rounded);
            self.body.sink().f64_abs().f64_ne();
            self.slow_if();
        }
        self.body.get(rounded);
        self.body.get(number);
        self.body.sink().f64_eq();
        self.push_sticky();
        self.body.sink().i32_or();
        self.slow_unless();
        self.body.get(rounded);
        let mut sink = self.body.sink();
        match self.float.op {
            FloatOp::ToI32 => sink.i32_trunc_sat_f64_s().i64_extend_i32_s(),
            FloatOp::ToU32 => sink.i32_trunc_sat_f64_u().i64_extend_i32_s(),
            FloatOp::ToI64 => sink.i64_trunc_sat_f64_s(),
            _ => sink.i64_trunc_sat_f64_u(),
        };
    }

    /// An integer that fits in the significand is exact in every mode. Any other may be inexact,
    /// and needs the mode that WebAssembly has; it is far from overflow and underflow.
    pub(super) fn integer_to_float(&mut self) {
        let always_exact = self.float.format == FloatFormat::Double
            && matches!(self.float.op, FloatOp::FromI32 | FloatOp::FromU32);
        if !always_exact {
            self.fits_significand();
            if self.is_nearest_even() {
                self.push_sticky();
                self.body.sink().i32_or();
            }
            self.slow_unless();
        }
        push(self.body, self.operands[0]);
        let single = self.is_single();
        let mut sink = self.body.sink();
        match (self.float.op, single) {
            (FloatOp::FromI32, true) => sink.i32_wrap_i64().f32_convert_i32_s(),
            (FloatOp::FromI32, false) => sink.i32_wrap_i64().f64_convert_i32_s(),
            (FloatOp::FromU32, true) => sink.i32_wrap_i64().f32_convert_i32_u(),
            (FloatOp::FromU32, false) => sink.i32_wrap_i64().f64_convert_i32_u(),
            (FloatOp::FromI64, true) => sink.f32_convert_i64_s(),
            (FloatOp::FromI64, false) => sink.f64_convert_i64_s(),
            (_, true) => sink.f32_convert_i64_u(),
            (_, false) => sink.f64_convert_i64_u(),
        };
        self.result();
    }

    /// Pushes whether the integer has the significand's bits at most: as a signed number with its
    /// sign among them, since that is the same value after a shift up and down again.
    fn fits_significand(&mut self) {
        let digits = if self.is_single() { 24 } else { 53 };
        let (narrow, signed) = match self.float.op {
            FloatOp::FromI32 => (true, true),
            FloatOp::FromU32 => (true, false),
            FloatOp::FromI64 => (false, true),
            _ => (false, false),
        };
        let integer = self.operands[0];
        push(self.body, integer);
        if !signed {
            // Upper bits of a narrow operand do not count.
            if narrow {
                self.body.sink().i32_wrap_i64().i64_extend_i32_u();
            }
            let mut sink = self.body.sink();
            sink.i64_const(digits).i64_shr_u().i64_eqz();
            return;
        }
        let shift = 64 - digits;
        if narrow {
            self.body.sink().i64_extend32_s();
        }
        let wide = self.body.scratch(ValType::I64, 0);
        self.body.tee(wide);
        let mut sink = self.body.sink();
        sink.i64_const(shift).i64_shl().i64_const(shift).i64_shr_s();
        self.body.get(wide);
        self.body.sink().i64_eq();
    }

    /// Each single that is no NaN is a double, exactly.
    pub(super) fn promote(&mut self) {
        self.require_boxes();
        let double = self.body.scratch(ValType::F64, 0);
        self.push_double(0);
        self.body.tee(double);
        self.body.get(double);
        self.body.sink().f64_ne();
        self.slow_if();
        self.body.get(double);
    }

    /// If the way back leads to the same number, it was exact in every mode, no NaN, and raised
    /// nothing. Else as `mul`: sticky, finite, and larger than the least normal number.
    pub(super) fn demote(&mut self) {
        let single = self.body.scratch(ValType::F32, 0);
        let exact = self.body.open_block(BlockType::Empty);
        self.push_float(0);
        self.body.sink().f32_demote_f64();
        self.body.tee(single);
        self.body.sink().f64_promote_f32();
        self.push_float(0);
        self.body.sink().f64_eq();
        if self.is_nearest_even() {
            self.body.br_if(exact);
            self.require_sticky();
            self.body.get(single);
            self.require_range(FloatFormat::Single, 2);
        } else {
            self.slow_unless();
        }
        self.body.close();
        self.body.get(single);
        self.body.sink().i32_reinterpret_f32();
        self.push_box();
    }
}
