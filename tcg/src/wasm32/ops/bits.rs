//! Bit fields, counts of zeros, byte swaps. All but [`deposit`] and [`count_zeros`] work on the
//! number on top of the stack.

use wasm_encoder::Instruction as I;

use super::Context;
use crate::arith::{cut, low_mask};
use crate::ir::{Temp, Type};

/// Pushes `b` if `a` is 0, else what `instruction` makes of `a`.
pub fn count_zeros(cx: &mut Context<'_>, ty: Type, [a, b]: [Temp; 2], instruction: &I<'static>) {
    if cx.const_value(b) == Some(ty.bits().into()) {
        cx.push(ty, a);
        return cx.put(instruction.clone());
    }
    cx.push(ty, b);
    cx.push(ty, a);
    cx.put(instruction.clone());
    cx.push(ty, a);
    cx.put_either(ty, I::I32Eqz, I::I64Eqz);
    cx.put(I::Select);
}

/// Swaps the low two bytes of an i32; the others become 0.
pub fn swap16(cx: &mut Context<'_>) {
    let value = cx.scratch(Type::I32, 1);
    cx.body.tee(value);
    cx.body.sink().i32_const(8).i32_shl();
    cx.body.sink().i32_const(0xff00).i32_and();
    cx.body.get(value);
    cx.body.sink().i32_const(8).i32_shr_u();
    cx.body.sink().i32_const(0xff).i32_and().i32_or();
}

/// Swaps the bytes of an i32.
pub fn swap32(cx: &mut Context<'_>) {
    let value = cx.scratch(Type::I32, 1);
    cx.body.tee(value);
    cx.body.sink().i32_const(8).i32_rotl();
    cx.body.sink().i32_const(0x00ff_00ff).i32_and();
    cx.body.get(value);
    cx.body.sink().i32_const(8).i32_rotr();
    cx.body.i32_const(0xff00_ff00);
    cx.body.sink().i32_and().i32_or();
}

/// Swaps the bytes of an i64: neighbours, then the pairs of each half, then the halves.
pub fn swap64(cx: &mut Context<'_>) {
    for (shift, mask) in [(8, 0x00ff_00ff_00ff_00ff), (16, 0x0000_ffff_0000_ffff)] {
        let value = cx.scratch(Type::I64, 0);
        cx.body.tee(value);
        cx.body.sink().i64_const(mask).i64_and();
        cx.body.sink().i64_const(shift).i64_shl();
        cx.body.get(value);
        cx.body.sink().i64_const(shift).i64_shr_u();
        cx.body.sink().i64_const(mask).i64_and().i64_or();
    }
    cx.body.sink().i64_const(32).i64_rotl();
}

/// Cuts to `len` bits.
fn mask(cx: &mut Context<'_>, ty: Type, len: u8) {
    match ty {
        _ if u32::from(len) >= ty.bits() => {}
        // Shorter than the constant.
        Type::I64 if len == 32 => {
            cx.put(I::I32WrapI64);
            cx.put(I::I64ExtendI32U);
        }
        _ => {
            cx.push_const(ty, low_mask(len));
            cx.put_either(ty, I::I32And, I::I64And);
        }
    }
}

fn shift_left(cx: &mut Context<'_>, ty: Type, count: u32) {
    if count != 0 {
        cx.push_const(ty, count.into());
        cx.put_either(ty, I::I32Shl, I::I64Shl);
    }
}

/// See [`crate::arith::extract`].
pub fn extract(cx: &mut Context<'_>, ty: Type, pos: u8, len: u8) {
    if pos != 0 {
        cx.push_const(ty, pos.into());
        cx.put_either(ty, I::I32ShrU, I::I64ShrU);
    }
    if u32::from(pos) + u32::from(len) < ty.bits() {
        mask(cx, ty, len);
    }
}

/// See [`crate::arith::sextract`].
pub fn sextract(cx: &mut Context<'_>, ty: Type, pos: u8, len: u8) {
    if pos == 0 && matches!(len, 8 | 16 | 32) {
        return sign_extend(cx, ty, u64::from(len) / 8);
    }
    let end = u32::from(pos) + u32::from(len);
    shift_left(cx, ty, ty.bits().saturating_sub(end));
    let unused = ty.bits().saturating_sub(len.into());
    if unused != 0 {
        cx.push_const(ty, unused.into());
        cx.put_either(ty, I::I32ShrS, I::I64ShrS);
    }
}

/// Extends the low `bytes` by their sign.
pub fn sign_extend(cx: &mut Context<'_>, ty: Type, bytes: u64) {
    match (ty, bytes) {
        (_, 1) => cx.put_either(ty, I::I32Extend8S, I::I64Extend8S),
        (_, 2) => cx.put_either(ty, I::I32Extend16S, I::I64Extend16S),
        (Type::I64, 4) => cx.put(I::I64Extend32S),
        _ => {}
    }
}

/// Pushes `a` with the field replaced by the low bits of `b`.
pub fn deposit(cx: &mut Context<'_>, ty: Type, [a, b]: [Temp; 2], pos: u8, len: u8) {
    let field = cut(ty, low_mask(len) << pos);
    if field == cut(ty, !0) {
        return cx.push(ty, b);
    }
    cx.push(ty, a);
    cx.push_const(ty, !field);
    cx.put_either(ty, I::I32And, I::I64And);
    match cx.const_value(b) {
        Some(b) => cx.push_const(ty, b << pos & field),
        None => {
            cx.push(ty, b);
            if u32::from(pos) + u32::from(len) < ty.bits() {
                mask(cx, ty, len);
            }
            shift_left(cx, ty, pos.into());
        }
    }
    cx.put_either(ty, I::I32Or, I::I64Or);
}
