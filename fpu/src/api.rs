//! The public operations: rows that bind a name to one generic function and a format.

use crate::format::{BF16, F16, F32, F64};
use crate::hard::Host;
use crate::{Relation, Status, arith, compare, convert};

/// `name(args) = host operation, integer operation`
macro_rules! arithmetic {
    ($bits:ty, $format:ty; $($(#[$doc:meta])* $name:ident($($arg:ident)*) $op:ident;)*) => {
        $(
            $(#[$doc])*
            #[inline]
            pub fn $name($($arg: $bits,)* s: &mut Status) -> $bits {
                $(let $arg = u64::from($arg);)*
                match <$format as Host>::$op($($arg,)* s) {
                    Some(result) => result as $bits,
                    None => arith::$op::<$format>($($arg,)* s) as $bits,
                }
            }
        )*
    };
}

/// `name(bits, constant arguments) -> type = generic function`
macro_rules! rows {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $ty:ty),*) -> $out:ty = $call:expr;)*) => {
        $(
            $(#[$doc])*
            #[inline]
            pub fn $name($($arg: $ty,)* s: &mut Status) -> $out {
                let call: fn($($ty,)* &mut Status) -> $out = $call;
                call($($arg,)* s)
            }
        )*
    };
}

macro_rules! format_rows {
    ($bits:ty, $format:ty; $add:ident $sub:ident $mul:ident $div:ident $sqrt:ident $fma:ident
     $round:ident $eqq:ident $eqs:ident $ltq:ident $lts:ident $leq:ident $les:ident
     $cmp:ident $cmpq:ident $minn:ident $maxn:ident $min:ident $max:ident
     $i32:ident $u32:ident $i64:ident $u64:ident $modular:ident
     $fi32:ident $fu32:ident $fi64:ident $fu64:ident $classify:ident) => {
        arithmetic! { $bits, $format;
            $add(a b) add;
            $sub(a b) sub;
            $mul(a b) mul;
            $div(a b) div;
            $sqrt(a) sqrt;
            /// a * b + c, rounded once; negate operands' signs for the other three forms.
            $fma(a b c) fma;
        }
        rows! {
            /// To an integer in the mode of `s`; inexact is raised only if `exact`.
            $round(a: $bits, exact: bool) -> $bits =
                |a, exact, s| convert::round_to_int::<$format>(a.into(), exact, s) as $bits;
            $eqq(a: $bits, b: $bits) -> bool =
                |a, b, s| compare::eq::<$format>(a.into(), b.into(), true, s);
            $eqs(a: $bits, b: $bits) -> bool =
                |a, b, s| compare::eq::<$format>(a.into(), b.into(), false, s);
            $ltq(a: $bits, b: $bits) -> bool =
                |a, b, s| compare::lt::<$format>(a.into(), b.into(), true, s);
            $lts(a: $bits, b: $bits) -> bool =
                |a, b, s| compare::lt::<$format>(a.into(), b.into(), false, s);
            $leq(a: $bits, b: $bits) -> bool =
                |a, b, s| compare::le::<$format>(a.into(), b.into(), true, s);
            $les(a: $bits, b: $bits) -> bool =
                |a, b, s| compare::le::<$format>(a.into(), b.into(), false, s);
            /// Signaling: every NaN raises invalid.
            $cmp(a: $bits, b: $bits) -> Relation =
                |a, b, s| compare::compare::<$format>(a.into(), b.into(), false, s);
            $cmpq(a: $bits, b: $bits) -> Relation =
                |a, b, s| compare::compare::<$format>(a.into(), b.into(), true, s);
            /// A single NaN operand gives the other one (RISC-V `fmin`); -0 < +0.
            $minn(a: $bits, b: $bits) -> $bits =
                |a, b, s| compare::min_max_number::<$format>(a.into(), b.into(), false, s) as $bits;
            $maxn(a: $bits, b: $bits) -> $bits =
                |a, b, s| compare::min_max_number::<$format>(a.into(), b.into(), true, s) as $bits;
            /// A NaN operand gives a NaN (RISC-V `fminm`); -0 < +0.
            $min(a: $bits, b: $bits) -> $bits =
                |a, b, s| compare::min_max::<$format>(a.into(), b.into(), false, s) as $bits;
            $max(a: $bits, b: $bits) -> $bits =
                |a, b, s| compare::min_max::<$format>(a.into(), b.into(), true, s) as $bits;
            /// Out of range: invalid alone, and [`Status::int_overflow`] has the value.
            $i32(a: $bits) -> i32 = |a, s| convert::to_int::<$format, i32>(a.into(), s);
            $u32(a: $bits) -> u32 = |a, s| convert::to_int::<$format, u32>(a.into(), s);
            $i64(a: $bits) -> i64 = |a, s| convert::to_int::<$format, i64>(a.into(), s);
            $u64(a: $bits) -> u64 = |a, s| convert::to_int::<$format, u64>(a.into(), s);
            /// Truncated modulo 2^32; NaN and infinity give 0; flags as a truncating `to_i32`.
            $modular(a: $bits) -> i32 = |a, s| convert::to_int_modular::<$format>(a.into(), s);
            $fi32(a: i32) -> $bits = |a, s| convert::from_int::<$format, i32>(a, s) as $bits;
            $fu32(a: u32) -> $bits = |a, s| convert::from_int::<$format, u32>(a, s) as $bits;
            $fi64(a: i64) -> $bits = |a, s| convert::from_int::<$format, i64>(a, s) as $bits;
            $fu64(a: u64) -> $bits = |a, s| convert::from_int::<$format, u64>(a, s) as $bits;
        }
        /// RISC-V's ten-bit `fclass` mask.
        #[inline]
        pub fn $classify(a: $bits) -> u32 {
            compare::classify::<$format>(a.into())
        }
    };
}

format_rows! { u16, F16; f16_add f16_sub f16_mul f16_div f16_sqrt f16_fma f16_round_to_int
f16_eq_quiet f16_eq_signaling f16_lt_quiet f16_lt_signaling f16_le_quiet f16_le_signaling
f16_compare f16_compare_quiet f16_minimum_number f16_maximum_number f16_minimum f16_maximum
f16_to_i32 f16_to_u32 f16_to_i64 f16_to_u64 f16_to_int_modular
i32_to_f16 u32_to_f16 i64_to_f16 u64_to_f16 f16_classify }
format_rows! { u32, F32; f32_add f32_sub f32_mul f32_div f32_sqrt f32_fma f32_round_to_int
f32_eq_quiet f32_eq_signaling f32_lt_quiet f32_lt_signaling f32_le_quiet f32_le_signaling
f32_compare f32_compare_quiet f32_minimum_number f32_maximum_number f32_minimum f32_maximum
f32_to_i32 f32_to_u32 f32_to_i64 f32_to_u64 f32_to_int_modular
i32_to_f32 u32_to_f32 i64_to_f32 u64_to_f32 f32_classify }
format_rows! { u64, F64; f64_add f64_sub f64_mul f64_div f64_sqrt f64_fma f64_round_to_int
f64_eq_quiet f64_eq_signaling f64_lt_quiet f64_lt_signaling f64_le_quiet f64_le_signaling
f64_compare f64_compare_quiet f64_minimum_number f64_maximum_number f64_minimum f64_maximum
f64_to_i32 f64_to_u32 f64_to_i64 f64_to_u64 f64_to_int_modular
i32_to_f64 u32_to_f64 i64_to_f64 u64_to_f64 f64_classify }

rows! {
    f16_to_f32(a: u16) -> u32 = |a, s| convert::convert::<F16, F32>(a.into(), s) as u32;
    f16_to_f64(a: u16) -> u64 = |a, s| convert::convert::<F16, F64>(a.into(), s);
    f32_to_f16(a: u32) -> u16 = |a, s| convert::convert::<F32, F16>(a.into(), s) as u16;
    f32_to_f64(a: u32) -> u64 = |a, s| convert::convert::<F32, F64>(a.into(), s);
    f64_to_f16(a: u64) -> u16 = |a, s| convert::convert::<F64, F16>(a, s) as u16;
    f64_to_f32(a: u64) -> u32 = |a, s| convert::convert::<F64, F32>(a, s) as u32;
    bf16_to_f32(a: u16) -> u32 = |a, s| convert::convert::<BF16, F32>(a.into(), s) as u32;
    f32_to_bf16(a: u32) -> u16 = |a, s| convert::convert::<F32, BF16>(a.into(), s) as u16;
}
