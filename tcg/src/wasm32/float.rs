//! Calls of floating-point helpers: the common case inline, the call for all else.
//!
//! The inline code computes with WebAssembly's own operations, which are those of IEEE 754 in
//! roundTiesToEven with subnormals, and branches to the call unless the result and the flags are
//! provably the helper's. It cannot see the engine's flags and never writes the guest's, so what it
//! takes must raise none, or only "inexact" where that is set already ("sticky"). NaNs, whose bits
//! WebAssembly leaves open, are never taken. A comment gives the proof of each condition.

mod convert;
mod fused;
#[cfg(test)]
mod tests;

use wasm_encoder::{BlockType, MemArg, MemArgTarget, ValType};

use super::body::{Body, CPU, Frame, Local};
use super::ops::Context;
use crate::builder::NO_TEMP;
use crate::float::{FloatFormat, FloatHelper, FloatOp, FloatRounding};
use crate::ir::{HelperId, Temp};

/// What a single has above it in 64 bits; also the least pattern that is a boxed single.
const BOX: u64 = !0 << 32;

/// Emits a call of `helper` whose common case is inline. False, with nothing emitted, if there is
/// nothing to be had over a plain call. `args` has [`NO_TEMP`] where there is no argument, and `d`
/// is that if nobody wants the result.
pub fn emit(cx: &mut Context<'_>, d: Temp, args: [Temp; 4], helper: HelperId) -> bool {
    let info = cx.options.helpers[usize::from(helper.0)];
    let Some(float) = info.float else {
        return false;
    };
    let control = cx.function.const_value(args[0]);
    let control = control.filter(|_| float.op.rounds()).unwrap_or(0);
    let signs = float.rules.negate_product | float.rules.negate_addend;
    let rounding = match float.op {
        FloatOp::Fma => float.rules.rounding(control & !signs),
        _ => float.rules.rounding(control),
    };
    let known = !float.op.rounds() || cx.function.const_value(args[0]).is_some();
    if !known || !may_inline(float.op, rounding) {
        return false;
    }
    let args = args.map(|temp| operand(cx, temp));
    let d = (d != NO_TEMP).then(|| cx.locals.local(cx.body, d));
    let import = cx.imports.index(info.function, info.nargs);
    let double = gives_double(&float);
    let ty = if double { ValType::F64 } else { ValType::I64 };
    let done = cx.body.open_block(BlockType::Result(ty));
    let slow = cx.body.open_block(BlockType::Empty);
    let mut inline = Inline {
        body: cx.body,
        float,
        operands: &args[usize::from(float.op.rounds())..],
        control,
        rounding,
        slow,
    };
    inline.emit();
    cx.body.br(done);
    cx.body.close();
    cx.body.get(CPU);
    for &arg in &args[..usize::from(info.nargs)] {
        push(cx.body, arg);
    }
    cx.body.sink().call(import);
    if double {
        cx.body.sink().f64_reinterpret_i64();
    }
    cx.body.close();
    if double {
        cx.body.sink().i64_reinterpret_f64();
    }
    match d {
        Some(d) => cx.body.set(d),
        None => {
            cx.body.sink().drop();
        }
    }
    true
}

/// Whether an operation in this mode has an inline form.
fn may_inline(op: FloatOp, rounding: Option<FloatRounding>) -> bool {
    use FloatOp::*;
    match op {
        Add | Sub | Mul | Div | Sqrt | Fma => rounding == Some(FloatRounding::NearestEven),
        ToI32 | ToU32 | ToI64 | ToU64 => rounding.is_some(),
        // Exact ones need no rounding mode.
        FromI32 | FromU32 | FromI64 | FromU64 | Convert => true,
        Eq | Lt | Le | Min | Max => true,
    }
}

/// An argument of the call.
#[derive(Clone, Copy)]
enum Operand {
    Local(Local),
    Const(u64),
}

fn operand(cx: &mut Context<'_>, temp: Temp) -> Operand {
    match cx.function.const_value(temp) {
        Some(value) => Operand::Const(value),
        None if temp == NO_TEMP => Operand::Const(0),
        None => Operand::Local(cx.locals.local(cx.body, temp)),
    }
}

fn push(body: &mut Body, operand: Operand) {
    match operand {
        Operand::Local(local) => body.get(local),
        Operand::Const(value) => body.i64_const(value),
    }
}

/// Such results leave both arms as doubles: an engine undoes two reinterpretations in a row, so
/// that a chain of operations stays in its floating-point registers.
fn gives_double(float: &FloatHelper) -> bool {
    use FloatOp::*;
    match float.op {
        Eq | Lt | Le | ToI32 | ToU32 | ToI64 | ToU64 => false,
        Convert => float.format == FloatFormat::Single,
        _ => float.format == FloatFormat::Double,
    }
}

/// The inline arm of one call.
struct Inline<'a> {
    body: &'a mut Body,
    float: FloatHelper,
    /// Without the rounding mode.
    operands: &'a [Operand],
    control: u64,
    rounding: Option<FloatRounding>,
    /// A branch to it calls the helper.
    slow: Frame,
}

impl Inline<'_> {
    /// Leaves the result on the stack (see [`gives_double`]), or branches.
    fn emit(&mut self) {
        use FloatOp::*;
        match (self.float.op, self.float.format) {
            (Add | Sub | Mul | Div | Sqrt, _) => self.arithmetic(),
            (Fma, FloatFormat::Single) => self.fused_single(),
            (Fma, FloatFormat::Double) => self.fused_double(),
            (Eq | Lt | Le, _) => self.comparison(),
            (Min | Max, _) => self.minimum_maximum(),
            (ToI32 | ToU32 | ToI64 | ToU64, _) => self.float_to_integer(),
            (FromI32 | FromU32 | FromI64 | FromU64, _) => self.integer_to_float(),
            (Convert, FloatFormat::Single) => self.promote(),
            (Convert, FloatFormat::Double) => self.demote(),
        }
    }

    fn is_single(&self) -> bool {
        self.float.format == FloatFormat::Single
    }

    /// Calls the helper if the condition on the stack is true.
    fn slow_if(&mut self) {
        self.body.br_if_unlikely(self.slow);
    }

    fn slow_unless(&mut self) {
        self.body.sink().i32_eqz();
        self.slow_if();
    }

    /// Operands that are not boxed count as NaNs: for the helper. Those that are have ones in the
    /// upper halves, and only then has the conjunction of all.
    fn require_boxes(&mut self) {
        if !self.is_single() {
            return;
        }
        for index in 0..self.float.op.operands() {
            push(self.body, self.operands[index]);
            if index > 0 {
                self.body.sink().i64_and();
            }
        }
        self.body.i64_const(BOX);
        self.body.sink().i64_lt_u();
        self.slow_if();
    }

    /// Pushes nonzero if "inexact" is set: raising it changes nothing.
    fn push_sticky(&mut self) {
        let rules = self.float.rules;
        self.body.get(CPU);
        self.body.sink().i32_load8_u(MemArg {
            offset: u64::from(rules.flags_slot) * 8,
            align: 0,
            target: MemArgTarget::Memory(0),
            ordering: None,
        });
        self.body.i32_const(rules.inexact.into());
        self.body.sink().i32_and();
    }

    fn require_sticky(&mut self) {
        self.push_sticky();
        self.slow_unless();
    }

    /// Pushes an operand in its format.
    fn push_float(&mut self, index: usize) {
        push(self.body, self.operands[index]);
        if self.is_single() {
            self.body.sink().i32_wrap_i64().f32_reinterpret_i32();
        } else {
            self.body.sink().f64_reinterpret_i64();
        }
    }

    /// Pushes an operand as a double: each single is one. (A signaling NaN becomes a quiet one.)
    fn push_double(&mut self, index: usize) {
        self.push_float(index);
        if self.is_single() {
            self.body.sink().f64_promote_f32();
        }
    }

    /// From a number on the stack, of the format that is given, to the call's result, if it is
    /// [in range](Self::require_range).
    fn result_in_range(&mut self, format: FloatFormat, least: u32) {
        let single = format == FloatFormat::Single;
        if single {
            self.require_range(format, least);
            let bits = self.scratch_bits(single);
            self.body.get(bits);
            self.push_box();
        } else {
            let number = self.body.scratch(ValType::F64, 0);
            self.body.tee(number);
            self.require_range(format, least);
            self.body.get(number);
        }
    }

    /// Takes a number from the stack. Only if its exponent field is at least `least` and not that
    /// of infinities and NaNs it goes on.
    fn require_range(&mut self, format: FloatFormat, least: u32) {
        let single = format == FloatFormat::Single;
        let bits = self.scratch_bits(single);
        if single {
            self.body.sink().i32_reinterpret_f32();
            self.body.tee(bits);
            self.body.sink().i32_const(23).i32_shr_u();
        } else {
            self.body.sink().i64_reinterpret_f64();
            self.body.tee(bits);
            let mut sink = self.body.sink();
            sink.i64_const(52).i64_shr_u().i32_wrap_i64();
        }
        if least != 0 {
            self.body.i32_const(least);
            self.body.sink().i32_sub();
        }
        let max = if single { 0xff } else { 0x7ff };
        self.body.i32_const(max);
        self.body.sink().i32_and();
        self.body.i32_const(max - least);
        self.body.sink().i32_ge_u();
        self.slow_if();
    }

    fn scratch_bits(&mut self, single: bool) -> Local {
        let ty = if single { ValType::I32 } else { ValType::I64 };
        self.body.scratch(ty, 0)
    }

    /// From an i32 with the bits of a single to the call's result.
    fn push_box(&mut self) {
        self.body.sink().i64_extend_i32_u();
        self.body.i64_const(BOX);
        self.body.sink().i64_or();
    }

    /// From a number of the operands' format to the call's result, whatever it is.
    fn result(&mut self) {
        if self.is_single() {
            self.body.sink().i32_reinterpret_f32();
            self.push_box();
        }
    }

    fn scratch_float(&mut self, index: usize) -> Local {
        let ty = match self.float.format {
            FloatFormat::Single => ValType::F32,
            FloatFormat::Double => ValType::F64,
        };
        self.body.scratch(ty, index)
    }

    /// A finite result says that nothing was invalid, divided by zero or overflowed, and that no
    /// operand was a NaN; inexact is sticky. Underflow needs a result that is tiny and inexact: a
    /// sum or root of that size is exact; else the field must be above the least normal number's,
    /// which a tiny result can be rounded to.
    fn arithmetic(&mut self) {
        self.require_boxes();
        self.require_sticky();
        for index in 0..self.float.op.operands() {
            self.push_float(index);
        }
        let single = self.is_single();
        let mut sink = self.body.sink();
        match (self.float.op, single) {
            (FloatOp::Add, true) => sink.f32_add(),
            (FloatOp::Add, false) => sink.f64_add(),
            (FloatOp::Sub, true) => sink.f32_sub(),
            (FloatOp::Sub, false) => sink.f64_sub(),
            (FloatOp::Mul, true) => sink.f32_mul(),
            (FloatOp::Mul, false) => sink.f64_mul(),
            (FloatOp::Div, true) => sink.f32_div(),
            (FloatOp::Div, false) => sink.f64_div(),
            (_, true) => sink.f32_sqrt(),
            (_, false) => sink.f64_sqrt(),
        };
        let least = match self.float.op {
            FloatOp::Mul | FloatOp::Div => 2,
            _ => 0,
        };
        self.result_in_range(self.float.format, least);
    }

    /// No flags unless there is a NaN, which is when neither a <= b nor a >= b (or the like).
    fn comparison(&mut self) {
        self.require_boxes();
        let (first, second) = (
            self.body.scratch(ValType::I32, 0),
            self.body.scratch(ValType::I32, 1),
        );
        for local in [first, second] {
            self.push_float(0);
            self.push_float(1);
            self.relation(local == second);
            self.body.tee(local);
        }
        self.body.sink().i32_or();
        self.slow_unless();
        self.body.get(first);
        if self.float.op == FloatOp::Eq {
            self.body.get(second);
            self.body.sink().i32_and();
        }
        self.body.sink().i64_extend_i32_u();
    }

    /// The relation that is asked for, and one that holds whenever it does not (for `Eq`: two
    /// that both hold if it does).
    fn relation(&mut self, second: bool) {
        let single = self.is_single();
        let mut sink = self.body.sink();
        match (self.float.op, second, single) {
            (FloatOp::Lt, false, true) => sink.f32_lt(),
            (FloatOp::Lt, false, false) => sink.f64_lt(),
            (FloatOp::Le, true, true) => sink.f32_gt(),
            (FloatOp::Le, true, false) => sink.f64_gt(),
            (_, false, true) => sink.f32_le(),
            (_, false, false) => sink.f64_le(),
            (_, true, true) => sink.f32_ge(),
            (_, true, false) => sink.f64_ge(),
        };
    }

    /// WebAssembly has the operations of IEEE 754-2019, -0 below +0, with a NaN for each NaN.
    fn minimum_maximum(&mut self) {
        self.require_boxes();
        self.push_float(0);
        self.push_float(1);
        let single = self.is_single();
        let mut sink = self.body.sink();
        match (self.float.op, single) {
            (FloatOp::Min, true) => sink.f32_min(),
            (FloatOp::Min, false) => sink.f64_min(),
            (_, true) => sink.f32_max(),
            (_, false) => sink.f64_max(),
        };
        let result = self.scratch_float(0);
        self.body.tee(result);
        self.body.get(result);
        let mut sink = self.body.sink();
        match single {
            true => sink.f32_ne(),
            false => sink.f64_ne(),
        };
        self.slow_if();
        self.body.get(result);
        self.result();
    }
}
