//! What the pure ops of the table compute, as plain functions: the optimizer folds constants with
//! them, and the evaluator (`eval.rs`) runs on them. I32 values are zero-extended here.
//!
//! Total: every input has one result, the same on every host.

use crate::ir::{Cond, OpKind, Temp, Type};

/// Cut to the type's width.
pub const fn cut(ty: Type, value: u64) -> u64 {
    match ty {
        Type::I32 => value as u32 as u64,
        Type::I64 => value,
    }
}

/// The value as a signed number.
pub const fn signed(ty: Type, value: u64) -> i64 {
    match ty {
        Type::I32 => value as i32 as i64,
        Type::I64 => value as i64,
    }
}

/// The low `len` bits.
pub const fn low_mask(len: u8) -> u64 {
    if len >= 64 { !0 } else { (1 << len) - 1 }
}

/// Bits `pos..pos + len` as a number.
pub const fn extract(value: u64, pos: u8, len: u8) -> u64 {
    value >> pos & low_mask(len)
}

/// The same, sign-extended.
pub const fn sextract(value: u64, pos: u8, len: u8) -> u64 {
    let unused = 64 - len as u32;
    ((extract(value, pos, len) << unused) as i64 >> unused) as u64
}

/// Compares.
pub const fn compare(ty: Type, cond: Cond, a: u64, b: u64) -> bool {
    let (a, b) = (cut(ty, a), cut(ty, b));
    let (sa, sb) = (signed(ty, a), signed(ty, b));
    match cond {
        Cond::Eq => a == b,
        Cond::Ne => a != b,
        Cond::Lt => sa < sb,
        Cond::Ge => sa >= sb,
        Cond::Le => sa <= sb,
        Cond::Gt => sa > sb,
        Cond::Ltu => a < b,
        Cond::Geu => a >= b,
        Cond::Leu => a <= b,
        Cond::Gtu => a > b,
        Cond::TstEq => a & b == 0,
        Cond::TstNe => a & b != 0,
        Cond::Always => true,
        Cond::Never => false,
    }
}

/// The results of a pure op, for the values that `get` gives its inputs: the first output, and the
/// second if it has two. `None` for ops that are not pure.
pub fn evaluate(kind: OpKind, ty: Type, get: impl Fn(Temp) -> u64) -> Option<(u64, u64)> {
    let one = |value: u64| Some((cut(ty, value), 0));
    if let Some((a, b)) = binary_inputs(kind) {
        return one(binary(kind, ty, get(a), get(b)));
    }
    match kind {
        OpKind::Mov { a, .. } => one(get(a)),
        OpKind::Neg { a, .. } => one(get(a).wrapping_neg()),
        OpKind::Not { a, .. } => one(!get(a)),
        OpKind::Ctpop { a, .. } => one(u64::from(cut(ty, get(a)).count_ones())),
        OpKind::Bswap16 { a, .. } => one(u64::from((get(a) as u16).swap_bytes())),
        OpKind::Bswap32 { a, .. } => one(u64::from((get(a) as u32).swap_bytes())),
        OpKind::Bswap64 { a, .. } => one(cut(ty, get(a)).swap_bytes()),
        OpKind::Extract { a, pos, len, .. } => one(extract(get(a), pos, len)),
        OpKind::Sextract { a, pos, len, .. } => one(sextract(get(a), pos, len)),
        OpKind::Deposit { a, b, pos, len, .. } => {
            let mask = low_mask(len) << pos;
            one(get(a) & !mask | get(b) << pos & mask)
        }
        OpKind::Extrl { a, .. } => one(get(a)),
        OpKind::Extrh { a, .. } => one(get(a) >> 32),
        OpKind::Exts { a, .. } => one(get(a) as i32 as u64),
        OpKind::Extu { a, .. } => one(u64::from(get(a) as u32)),
        OpKind::Setcond { a, b, cond, .. } => one(compare(ty, cond, get(a), get(b)).into()),
        OpKind::Negsetcond { a, b, cond, .. } => {
            one(u64::from(compare(ty, cond, get(a), get(b))).wrapping_neg())
        }
        OpKind::Movcond {
            a, b, t, f, cond, ..
        } => one(if compare(ty, cond, get(a), get(b)) {
            get(t)
        } else {
            get(f)
        }),
        _ => pairs(kind, ty, get),
    }
}

macro_rules! binary_ops {
    ($($variant:ident)*) => {
        /// The inputs of an op with two of them and one result that depends on nothing else.
        pub const fn binary_inputs(kind: OpKind) -> Option<(Temp, Temp)> {
            match kind {
                $(OpKind::$variant { a, b, .. } => Some((a, b)),)*
                _ => None,
            }
        }
    };
}
binary_ops! {
    Add Sub Mul Muluh Mulsh Mulsuh Divs Divu Rems Remu And Or Xor Andc Orc Eqv
    Shl Shr Sar Rotl Rotr Clz Ctz
}

fn binary(kind: OpKind, ty: Type, a: u64, b: u64) -> u64 {
    let (a, b) = (cut(ty, a), cut(ty, b));
    let (sa, sb) = (signed(ty, a), signed(ty, b));
    let (wa, wb) = (i128::from(sa), i128::from(sb));
    let width = ty.bits();
    let count = b as u32 % width;
    match kind {
        OpKind::Add { .. } => a.wrapping_add(b),
        OpKind::Sub { .. } => a.wrapping_sub(b),
        OpKind::Mul { .. } => a.wrapping_mul(b),
        OpKind::Muluh { .. } => ((u128::from(a) * u128::from(b)) >> width) as u64,
        OpKind::Mulsh { .. } => ((wa * wb) >> width) as u64,
        OpKind::Mulsuh { .. } => ((wa * i128::from(b)) >> width) as u64,
        OpKind::Divs { .. } if b == 0 => !0,
        OpKind::Divs { .. } => (wa / wb) as u64,
        OpKind::Divu { .. } => a.checked_div(b).unwrap_or(!0),
        OpKind::Rems { .. } if b == 0 => a,
        OpKind::Rems { .. } => (wa % wb) as u64,
        OpKind::Remu { .. } => a.checked_rem(b).unwrap_or(a),
        OpKind::And { .. } => a & b,
        OpKind::Or { .. } => a | b,
        OpKind::Xor { .. } => a ^ b,
        OpKind::Andc { .. } => a & !b,
        OpKind::Orc { .. } => a | !b,
        OpKind::Eqv { .. } => !(a ^ b),
        OpKind::Shl { .. } => a << count,
        OpKind::Shr { .. } => a >> count,
        OpKind::Sar { .. } => (sa >> count) as u64,
        OpKind::Rotl { .. } => rotate_left(a, count, width),
        OpKind::Rotr { .. } => rotate_left(a, (width - count) % width, width),
        OpKind::Clz { .. } | OpKind::Ctz { .. } if a == 0 => b,
        OpKind::Clz { .. } => u64::from(a.leading_zeros() - (64 - width)),
        OpKind::Ctz { .. } => u64::from(a.trailing_zeros()),
        _ => 0,
    }
}

fn rotate_left(a: u64, count: u32, width: u32) -> u64 {
    if count == 0 {
        a
    } else {
        a << count | a >> (width - count)
    }
}

/// Ops with two results.
fn pairs(kind: OpKind, ty: Type, get: impl Fn(Temp) -> u64) -> Option<(u64, u64)> {
    let width = ty.bits();
    let value = |t: Temp| u128::from(cut(ty, get(t)));
    let pair = |low: Temp, high: Temp| value(high) << width | value(low);
    let split = |v: u128| Some((cut(ty, v as u64), cut(ty, (v >> width) as u64)));
    let wide = |t: Temp| i128::from(signed(ty, get(t)));
    match kind {
        OpKind::Add2 { al, ah, bl, bh, .. } => split(pair(al, ah).wrapping_add(pair(bl, bh))),
        OpKind::Sub2 { al, ah, bl, bh, .. } => split(pair(al, ah).wrapping_sub(pair(bl, bh))),
        OpKind::Mulu2 { a, b, .. } => split(value(a) * value(b)),
        OpKind::Muls2 { a, b, .. } => split((wide(a) * wide(b)) as u128),
        OpKind::Addc { a, b, ci, .. } => split(value(a) + value(b) + (value(ci) & 1)),
        OpKind::Subb { a, b, bi, .. } => {
            let (difference, borrow) =
                split(value(a).wrapping_sub(value(b)).wrapping_sub(value(bi) & 1))?;
            Some((difference, borrow & 1))
        }
        _ => None,
    }
}
