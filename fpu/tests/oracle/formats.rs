//! The formats under test: widths, operations with `u64` encodings, and special values.

use fpu::{Flags, Relation, RoundingMode, Status};

pub const MODES: [RoundingMode; 6] = [
    RoundingMode::NearestEven,
    RoundingMode::TowardZero,
    RoundingMode::Down,
    RoundingMode::Up,
    RoundingMode::NearestMaxMagnitude,
    RoundingMode::Odd,
];

pub type Unary = fn(u64, &mut Status) -> u64;
pub type Binary = fn(u64, u64, &mut Status) -> u64;
pub type Ternary = fn(u64, u64, u64, &mut Status) -> u64;

pub struct Ops {
    pub name: &'static str,
    pub exponent_bits: u32,
    pub fraction_bits: u32,
    pub add: Binary,
    pub sub: Binary,
    pub mul: Binary,
    pub div: Binary,
    pub fma: Ternary,
    pub sqrt: Unary,
    pub round_to_int: fn(u64, bool, &mut Status) -> u64,
    /// eq, lt, le: quiet, then signaling.
    pub compare: [fn(u64, u64, &mut Status) -> bool; 6],
    pub relation: [fn(u64, u64, &mut Status) -> Relation; 2],
    /// minimum, maximum, minimumNumber, maximumNumber
    pub min_max: [Binary; 4],
    pub classify: fn(u64) -> u32,
    /// i32, u32, i64, u64
    pub to_int: [fn(u64, &mut Status) -> i128; 4],
    pub from_int: [fn(i128, &mut Status) -> u64; 4],
    pub modular: fn(u64, &mut Status) -> i32,
}

macro_rules! ops {
    ($name:ident $bits:ident $e:literal $f:literal; $add:ident $sub:ident $mul:ident $div:ident
     $fma:ident $sqrt:ident $round:ident [$($compare:ident)*] [$($relation:ident)*]
     [$($min_max:ident)*] $classify:ident [$($to:ident)*]
     [$($from:ident $int:ident)*] $modular:ident) => {
        pub const $name: Ops = Ops {
            name: stringify!($name),
            exponent_bits: $e,
            fraction_bits: $f,
            add: |a, b, s| fpu::$add(a as $bits, b as $bits, s).into(),
            sub: |a, b, s| fpu::$sub(a as $bits, b as $bits, s).into(),
            mul: |a, b, s| fpu::$mul(a as $bits, b as $bits, s).into(),
            div: |a, b, s| fpu::$div(a as $bits, b as $bits, s).into(),
            fma: |a, b, c, s| fpu::$fma(a as $bits, b as $bits, c as $bits, s).into(),
            sqrt: |a, s| fpu::$sqrt(a as $bits, s).into(),
            round_to_int: |a, exact, s| fpu::$round(a as $bits, exact, s).into(),
            compare: [$(|a, b, s| fpu::$compare(a as $bits, b as $bits, s)),*],
            relation: [$(|a, b, s| fpu::$relation(a as $bits, b as $bits, s)),*],
            min_max: [$(|a, b, s| fpu::$min_max(a as $bits, b as $bits, s).into()),*],
            classify: |a| fpu::$classify(a as $bits),
            to_int: [$(|a, s| fpu::$to(a as $bits, s).into()),*],
            from_int: [$(|a, s| fpu::$from(a as $int, s).into()),*],
            modular: |a, s| fpu::$modular(a as $bits, s),
        };
    };
}

ops! { F16 u16 5 10; f16_add f16_sub f16_mul f16_div f16_fma f16_sqrt f16_round_to_int
[f16_eq_quiet f16_lt_quiet f16_le_quiet f16_eq_signaling f16_lt_signaling f16_le_signaling]
[f16_compare_quiet f16_compare]
[f16_minimum f16_maximum f16_minimum_number f16_maximum_number] f16_classify
[f16_to_i32 f16_to_u32 f16_to_i64 f16_to_u64]
[i32_to_f16 i32 u32_to_f16 u32 i64_to_f16 i64 u64_to_f16 u64] f16_to_int_modular }
ops! { F32 u32 8 23; f32_add f32_sub f32_mul f32_div f32_fma f32_sqrt f32_round_to_int
[f32_eq_quiet f32_lt_quiet f32_le_quiet f32_eq_signaling f32_lt_signaling f32_le_signaling]
[f32_compare_quiet f32_compare]
[f32_minimum f32_maximum f32_minimum_number f32_maximum_number] f32_classify
[f32_to_i32 f32_to_u32 f32_to_i64 f32_to_u64]
[i32_to_f32 i32 u32_to_f32 u32 i64_to_f32 i64 u64_to_f32 u64] f32_to_int_modular }
ops! { F64 u64 11 52; f64_add f64_sub f64_mul f64_div f64_fma f64_sqrt f64_round_to_int
[f64_eq_quiet f64_lt_quiet f64_le_quiet f64_eq_signaling f64_lt_signaling f64_le_signaling]
[f64_compare_quiet f64_compare]
[f64_minimum f64_maximum f64_minimum_number f64_maximum_number] f64_classify
[f64_to_i32 f64_to_u32 f64_to_i64 f64_to_u64]
[i32_to_f64 i32 u32_to_f64 u32 i64_to_f64 i64 u64_to_f64 u64] f64_to_int_modular }

impl Ops {
    pub fn sign(&self) -> u64 {
        1 << (self.exponent_bits + self.fraction_bits)
    }
    pub fn infinity(&self) -> u64 {
        self.sign() - self.min_normal()
    }
    pub fn min_normal(&self) -> u64 {
        1 << self.fraction_bits
    }
    pub fn quiet(&self) -> u64 {
        self.min_normal() >> 1
    }
    pub fn canonical_nan(&self) -> u64 {
        self.infinity() | self.quiet()
    }
    pub fn bias(&self) -> i32 {
        (1 << (self.exponent_bits - 1)) - 1
    }
    pub fn is_nan(&self, a: u64) -> bool {
        a & !self.sign() > self.infinity()
    }
    pub fn is_signaling(&self, a: u64) -> bool {
        self.is_nan(a) && a & self.quiet() == 0
    }
    pub fn is_infinite(&self, a: u64) -> bool {
        a & !self.sign() == self.infinity()
    }
    pub fn is_zero(&self, a: u64) -> bool {
        a & !self.sign() == 0
    }
    /// Encodes 2^exponent * 1.fraction; exponents out of range are clamped.
    pub fn normal(&self, exponent: i32, fraction: u64) -> u64 {
        let field = (exponent + self.bias()).clamp(1, (1 << self.exponent_bits) - 2) as u64;
        field << self.fraction_bits | (fraction & (self.min_normal() - 1))
    }
    /// A finite number as (negative, significand, exponent): significand * 2^exponent.
    pub fn decode(&self, a: u64) -> (bool, u64, i32) {
        let field = (a & self.infinity()) >> self.fraction_bits;
        let fraction = a & (self.min_normal() - 1);
        let lowest = 1 - self.bias() - self.fraction_bits as i32;
        match field {
            0 => (a & self.sign() != 0, fraction, lowest),
            _ => (
                a & self.sign() != 0,
                fraction | self.min_normal(),
                lowest + field as i32 - 1,
            ),
        }
    }

    /// Both signs of: zero, the ends of every class, powers of two, halfway makers, NaNs.
    pub fn specials(&self) -> Vec<u64> {
        let (normal, infinity) = (self.min_normal(), self.infinity());
        let precision = self.fraction_bits as i32;
        let mut all = vec![
            0,
            1,
            2,
            3,
            normal >> 1,
            normal - 2,
            normal - 1,
            normal,
            normal + 1,
        ];
        all.extend([2 * normal, 2 * normal - 1, 2 * normal + 1]);
        all.extend([infinity - normal, infinity - 2, infinity - 1, infinity]);
        all.extend([
            infinity + 1,
            infinity | self.quiet(),
            infinity | self.quiet() | 5,
        ]);
        for exponent in [
            -precision - 2,
            -precision - 1,
            -precision,
            -1,
            0,
            1,
            precision,
        ] {
            all.push(self.normal(exponent, 0));
        }
        let one = self.normal(0, 0);
        all.extend([
            one - 1,
            one + 1,
            one + 2,
            one | self.quiet(),
            one + self.quiet() + 1,
        ]);
        all.extend([
            self.normal(1 - self.bias() + precision, 0),
            self.normal(self.bias() - 1, 1),
        ]);
        let negative: Vec<u64> = all.iter().map(|a| a | self.sign()).collect();
        all.extend(negative);
        all
    }
}

/// Runs one operation under RISC-V rules from clear flags.
pub fn run<T>(mode: RoundingMode, operation: impl FnOnce(&mut Status) -> T) -> (T, Flags) {
    let mut status = Status::riscv(mode);
    let result = operation(&mut status);
    (result, status.flags)
}
