//! Division, and arithmetic in two words. Each function pushes its results, of two the high one
//! first: all inputs are read before the first output is written, which may be one of them.

use wasm_encoder::{BlockType, Instruction as I};

use super::{Context, value_type};
use crate::arith::cut;
use crate::ir::{Temp, Type};

/// Pushes `a / b`, signed. Dividing by 0 and -1 is apart: the one gives all ones, the other
/// negates, which does not overflow.
pub fn divs(cx: &mut Context<'_>, ty: Type, a: Temp, b: Temp) {
    let known = cx.const_value(b);
    let safe = known.is_some_and(|b| b != 0 && b != cut(ty, !0));
    if !safe {
        cx.push(ty, b);
        cx.push_const(ty, 1);
        cx.put_either(ty, I::I32Add, I::I64Add);
        cx.push_const(ty, 1);
        cx.put_either(ty, I::I32LeU, I::I64LeU);
        cx.body.open_if(BlockType::Result(value_type(ty)));
        cx.push_const(ty, !0);
        cx.push_const(ty, 0);
        cx.push(ty, a);
        cx.put_either(ty, I::I32Sub, I::I64Sub);
        cx.push(ty, b);
        cx.put_either(ty, I::I32Eqz, I::I64Eqz);
        cx.put(I::Select);
        cx.body.else_arm();
    }
    cx.push(ty, a);
    cx.push(ty, b);
    cx.put_either(ty, I::I32DivS, I::I64DivS);
    if !safe {
        cx.body.close();
    }
}

/// Pushes `a / b`, unsigned.
pub fn divu(cx: &mut Context<'_>, ty: Type, a: Temp, b: Temp) {
    let safe = cx.const_value(b).is_some_and(|b| b != 0);
    if !safe {
        cx.push(ty, b);
        cx.put_either(ty, I::I32Eqz, I::I64Eqz);
        cx.body.open_if(BlockType::Result(value_type(ty)));
        cx.push_const(ty, !0);
        cx.body.else_arm();
    }
    cx.push(ty, a);
    cx.push(ty, b);
    cx.put_either(ty, I::I32DivU, I::I64DivU);
    if !safe {
        cx.body.close();
    }
}

/// Pushes the remainder of `a / b` by `instruction`.
pub fn remainder(cx: &mut Context<'_>, ty: Type, [a, b]: [Temp; 2], instruction: &I<'static>) {
    let safe = cx.const_value(b).is_some_and(|b| b != 0);
    if !safe {
        cx.push(ty, b);
        cx.put_either(ty, I::I32Eqz, I::I64Eqz);
        cx.body.open_if(BlockType::Result(value_type(ty)));
        cx.push(ty, a);
        cx.body.else_arm();
    }
    cx.push(ty, a);
    cx.push(ty, b);
    cx.put(instruction.clone());
    if !safe {
        cx.body.close();
    }
}

/// Pushes the low word of the product.
pub fn low_product(cx: &mut Context<'_>, ty: Type, a: Temp, b: Temp) {
    cx.push(ty, a);
    cx.push(ty, b);
    cx.put_either(ty, I::I32Mul, I::I64Mul);
}

/// Pushes the high word of the product of `operands`, each signed or not.
pub fn high_product(cx: &mut Context<'_>, ty: Type, operands: [Temp; 2], signed: [bool; 2]) {
    match ty {
        Type::I32 => {
            for (operand, signed) in operands.into_iter().zip(signed) {
                cx.push(Type::I32, operand);
                let extend = (I::I64ExtendI32S, I::I64ExtendI32U);
                cx.put(if signed { extend.0 } else { extend.1 });
            }
            cx.body.sink().i64_mul();
            cx.body.sink().i64_const(32).i64_shr_u().i32_wrap_i64();
        }
        Type::I64 => {
            unsigned_high_product(cx, operands);
            // A negative operand read as unsigned is 2^64 too large.
            let [a, b] = operands;
            for (operand, other, signed) in [(a, b, signed[0]), (b, a, signed[1])] {
                if signed {
                    cx.push(ty, operand);
                    cx.body.sink().i64_const(63).i64_shr_s();
                    cx.push(ty, other);
                    cx.body.sink().i64_and().i64_sub();
                }
            }
        }
    }
}

/// The school's way with digits of 32 bits.
fn unsigned_high_product(cx: &mut Context<'_>, [a, b]: [Temp; 2]) {
    const LOW: i64 = 0xffff_ffff;
    let [al, bl, ah, bh] = [0, 1, 2, 3].map(|index| cx.scratch(Type::I64, index));
    for (operand, low, high) in [(a, al, ah), (b, bl, bh)] {
        cx.push(Type::I64, operand);
        cx.body.sink().i64_const(LOW).i64_and().local_set(low.0);
        cx.push(Type::I64, operand);
        cx.body.sink().i64_const(32).i64_shr_u().local_set(high.0);
    }
    let [al, bl, ah, bh] = [al, bl, ah, bh].map(|local| local.0);
    // ah * bh + (middle >> 32) + ((al * bh + low half of middle) >> 32), where middle is
    // ah * bl + (al * bl >> 32); none of the sums overflows.
    let middle = bl;
    cx.body.sink().local_get(ah).local_get(bl).i64_mul();
    cx.body.sink().local_get(al).local_get(bl).i64_mul();
    cx.body.sink().i64_const(32).i64_shr_u().i64_add();
    cx.body.sink().local_tee(middle).i64_const(32).i64_shr_u();
    cx.body.sink().local_get(ah).local_get(bh).i64_mul();
    cx.body.sink().i64_add();
    cx.body.sink().local_get(al).local_get(bh).i64_mul();
    cx.body.sink().local_get(middle).i64_const(LOW).i64_and();
    cx.body.sink().i64_add().i64_const(32).i64_shr_u();
    cx.body.sink().i64_add();
}

/// Extends the outcome of a comparison to a number.
fn truth(cx: &mut Context<'_>, ty: Type) {
    cx.convert(Type::I32, ty);
}

/// Pushes the sum of two pairs (low, high).
pub fn add2(cx: &mut Context<'_>, ty: Type, [al, ah]: [Temp; 2], [bl, bh]: [Temp; 2]) {
    let low = cx.scratch(ty, 0);
    cx.push(ty, al);
    cx.push(ty, bl);
    cx.put_either(ty, I::I32Add, I::I64Add);
    cx.body.tee(low);
    cx.push(ty, al);
    cx.put_either(ty, I::I32LtU, I::I64LtU);
    truth(cx, ty);
    cx.push(ty, ah);
    cx.put_either(ty, I::I32Add, I::I64Add);
    cx.push(ty, bh);
    cx.put_either(ty, I::I32Add, I::I64Add);
    cx.body.get(low);
}

/// Pushes the difference of two pairs (low, high).
pub fn sub2(cx: &mut Context<'_>, ty: Type, [al, ah]: [Temp; 2], [bl, bh]: [Temp; 2]) {
    cx.push(ty, ah);
    cx.push(ty, bh);
    cx.put_either(ty, I::I32Sub, I::I64Sub);
    cx.push(ty, al);
    cx.push(ty, bl);
    cx.put_either(ty, I::I32LtU, I::I64LtU);
    truth(cx, ty);
    cx.put_either(ty, I::I32Sub, I::I64Sub);
    cx.push(ty, al);
    cx.push(ty, bl);
    cx.put_either(ty, I::I32Sub, I::I64Sub);
}

/// Pushes a carry: 0 or 1, whatever the temp holds.
fn push_carry(cx: &mut Context<'_>, ty: Type, carry: Temp) {
    match cx.const_value(carry) {
        Some(value) => cx.push_const(ty, value & 1),
        None => {
            cx.push(ty, carry);
            cx.push_const(ty, 1);
            cx.put_either(ty, I::I32And, I::I64And);
        }
    }
}

/// Pushes the carry and the sum. At most one of the two additions carries.
pub fn addc(cx: &mut Context<'_>, ty: Type, [a, b, carry]: [Temp; 3]) {
    let (without, with) = (cx.scratch(ty, 0), cx.scratch(ty, 1));
    cx.push(ty, a);
    cx.push(ty, b);
    cx.put_either(ty, I::I32Add, I::I64Add);
    cx.body.tee(without);
    cx.push(ty, a);
    cx.put_either(ty, I::I32LtU, I::I64LtU);
    cx.body.get(without);
    push_carry(cx, ty, carry);
    cx.put_either(ty, I::I32Add, I::I64Add);
    cx.body.tee(with);
    cx.body.get(without);
    cx.put_either(ty, I::I32LtU, I::I64LtU);
    cx.put(I::I32Or);
    truth(cx, ty);
    cx.body.get(with);
}

/// Pushes the borrow and the difference. At most one of the two subtractions borrows.
pub fn subb(cx: &mut Context<'_>, ty: Type, [a, b, borrow]: [Temp; 3]) {
    let (without, with) = (cx.scratch(ty, 0), cx.scratch(ty, 1));
    cx.push(ty, a);
    cx.push(ty, b);
    cx.put_either(ty, I::I32LtU, I::I64LtU);
    cx.push(ty, a);
    cx.push(ty, b);
    cx.put_either(ty, I::I32Sub, I::I64Sub);
    cx.body.tee(without);
    cx.body.get(without);
    push_carry(cx, ty, borrow);
    cx.put_either(ty, I::I32Sub, I::I64Sub);
    cx.body.tee(with);
    cx.put_either(ty, I::I32LtU, I::I64LtU);
    cx.put(I::I32Or);
    truth(cx, ty);
    cx.body.get(with);
}
