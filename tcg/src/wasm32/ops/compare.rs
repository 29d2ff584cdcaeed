//! Comparisons.

use wasm_encoder::Instruction as I;

use super::Context;
use crate::arith::compare;
use crate::ir::{Cond, Temp, Type};

/// Pushes whether `a cond b`, as an i32 that is 0 or 1.
pub fn condition(cx: &mut Context<'_>, ty: Type, cond: Cond, a: Temp, b: Temp) {
    if let (Some(a), Some(b)) = (cx.const_value(a), cx.const_value(b)) {
        return cx.body.i32_const(u32::from(compare(ty, cond, a, b)));
    }
    match cond {
        Cond::Always => return cx.body.i32_const(1),
        Cond::Never => return cx.body.i32_const(0),
        _ => cx.push(ty, a),
    }
    if cond == Cond::Eq && cx.const_value(b) == Some(0) {
        return cx.put_either(ty, I::I32Eqz, I::I64Eqz);
    }
    cx.push(ty, b);
    match cond {
        Cond::Eq => cx.put_either(ty, I::I32Eq, I::I64Eq),
        Cond::Ne => cx.put_either(ty, I::I32Ne, I::I64Ne),
        Cond::Lt => cx.put_either(ty, I::I32LtS, I::I64LtS),
        Cond::Ge => cx.put_either(ty, I::I32GeS, I::I64GeS),
        Cond::Le => cx.put_either(ty, I::I32LeS, I::I64LeS),
        Cond::Gt => cx.put_either(ty, I::I32GtS, I::I64GtS),
        Cond::Ltu => cx.put_either(ty, I::I32LtU, I::I64LtU),
        Cond::Geu => cx.put_either(ty, I::I32GeU, I::I64GeU),
        Cond::Leu => cx.put_either(ty, I::I32LeU, I::I64LeU),
        Cond::Gtu => cx.put_either(ty, I::I32GtU, I::I64GtU),
        Cond::TstEq | Cond::TstNe | Cond::Always | Cond::Never => {
            cx.put_either(ty, I::I32And, I::I64And);
            cx.put_either(ty, I::I32Eqz, I::I64Eqz);
            if cond == Cond::TstNe {
                cx.put(I::I32Eqz);
            }
        }
    }
}
