//! The public operations: one row each, all rows of a kind sharing one generic function.

use crate::{Relation, Status};

macro_rules! todo_rows {
    ($($name:ident($($arg:ident: $ty:ty),*) -> $out:ty;)*) => {
        $(pub fn $name($($arg: $ty,)* s: &mut Status) -> $out { let _ = ($($arg,)* s); todo!() })*
    };
}

macro_rules! format_rows {
    ($bits:ty; $add:ident $sub:ident $mul:ident $div:ident $sqrt:ident $fma:ident
     $round:ident $eqq:ident $eqs:ident $ltq:ident $lts:ident $leq:ident $les:ident
     $cmp:ident $cmpq:ident $minn:ident $maxn:ident $min:ident $max:ident
     $i32:ident $u32:ident $i64:ident $u64:ident $modular:ident
     $fi32:ident $fu32:ident $fi64:ident $fu64:ident $classify:ident) => {
        todo_rows! {
            $add(a: $bits, b: $bits) -> $bits;
            $sub(a: $bits, b: $bits) -> $bits;
            $mul(a: $bits, b: $bits) -> $bits;
            $div(a: $bits, b: $bits) -> $bits;
            $sqrt(a: $bits) -> $bits;
            $fma(a: $bits, b: $bits, c: $bits) -> $bits;
            $round(a: $bits, exact: bool) -> $bits;
            $eqq(a: $bits, b: $bits) -> bool;
            $eqs(a: $bits, b: $bits) -> bool;
            $ltq(a: $bits, b: $bits) -> bool;
            $lts(a: $bits, b: $bits) -> bool;
            $leq(a: $bits, b: $bits) -> bool;
            $les(a: $bits, b: $bits) -> bool;
            $cmp(a: $bits, b: $bits) -> Relation;
            $cmpq(a: $bits, b: $bits) -> Relation;
            $minn(a: $bits, b: $bits) -> $bits;
            $maxn(a: $bits, b: $bits) -> $bits;
            $min(a: $bits, b: $bits) -> $bits;
            $max(a: $bits, b: $bits) -> $bits;
            $i32(a: $bits) -> i32;
            $u32(a: $bits) -> u32;
            $i64(a: $bits) -> i64;
            $u64(a: $bits) -> u64;
            $modular(a: $bits) -> i32;
            $fi32(a: i32) -> $bits;
            $fu32(a: u32) -> $bits;
            $fi64(a: i64) -> $bits;
            $fu64(a: u64) -> $bits;
        }
        /// RISC-V's ten-bit `fclass` mask.
        pub fn $classify(a: $bits) -> u32 { let _ = a; todo!() }
    };
}

format_rows! { u16; f16_add f16_sub f16_mul f16_div f16_sqrt f16_fma f16_round_to_int
    f16_eq_quiet f16_eq_signaling f16_lt_quiet f16_lt_signaling f16_le_quiet f16_le_signaling
    f16_compare f16_compare_quiet f16_minimum_number f16_maximum_number f16_minimum f16_maximum
    f16_to_i32 f16_to_u32 f16_to_i64 f16_to_u64 f16_to_int_modular
    i32_to_f16 u32_to_f16 i64_to_f16 u64_to_f16 f16_classify }
format_rows! { u32; f32_add f32_sub f32_mul f32_div f32_sqrt f32_fma f32_round_to_int
    f32_eq_quiet f32_eq_signaling f32_lt_quiet f32_lt_signaling f32_le_quiet f32_le_signaling
    f32_compare f32_compare_quiet f32_minimum_number f32_maximum_number f32_minimum f32_maximum
    f32_to_i32 f32_to_u32 f32_to_i64 f32_to_u64 f32_to_int_modular
    i32_to_f32 u32_to_f32 i64_to_f32 u64_to_f32 f32_classify }
format_rows! { u64; f64_add f64_sub f64_mul f64_div f64_sqrt f64_fma f64_round_to_int
    f64_eq_quiet f64_eq_signaling f64_lt_quiet f64_lt_signaling f64_le_quiet f64_le_signaling
    f64_compare f64_compare_quiet f64_minimum_number f64_maximum_number f64_minimum f64_maximum
    f64_to_i32 f64_to_u32 f64_to_i64 f64_to_u64 f64_to_int_modular
    i32_to_f64 u32_to_f64 i64_to_f64 u64_to_f64 f64_classify }

todo_rows! {
    f16_to_f32(a: u16) -> u32;
    f16_to_f64(a: u16) -> u64;
    f32_to_f16(a: u32) -> u16;
    f32_to_f64(a: u32) -> u64;
    f64_to_f16(a: u64) -> u16;
    f64_to_f32(a: u64) -> u32;
    bf16_to_f32(a: u16) -> u32;
    f32_to_bf16(a: u32) -> u16;
}
