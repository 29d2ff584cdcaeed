//! Prints one number made of results and flags of every operation on a million random operands.
//! Built for two hosts it must print the same: the proof that results do not depend on the host.
//! `cargo run --release -p fpu --example ops_digest`

use fpu::{Flags, RoundingMode, Status};

const CASES: usize = 1_000_000;

struct Digest {
    random: u64,
    sum: u64,
    status: Status,
}

impl Digest {
    fn next(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    /// Anything, or few digits with an exponent near that of one: sums tie and cancel.
    fn operand(&mut self, exponent_bits: u32, fraction_bits: u32) -> u64 {
        let bits = exponent_bits + fraction_bits + 1;
        let any = self.next() >> (64 - bits);
        if self.next() >> 62 == 0 {
            return any;
        }
        let bias = (1 << (exponent_bits - 1)) - 1;
        let exponent = bias - 32 + (self.next() >> 58);
        let fraction = (any >> (self.next() >> 59)) & ((1 << fraction_bits) - 1);
        (any >> (bits - 1)) << (bits - 1)
            | (exponent & ((1 << exponent_bits) - 1)) << fraction_bits
            | fraction
    }

    /// With inexact clear, then sticky: the second may use the host, and must agree.
    fn add(&mut self, operation: impl Fn(&mut Status) -> u64) {
        let mut soft = self.status;
        let mut hard = self.status.with_flags(Flags::INEXACT);
        let result = operation(&mut soft);
        assert_eq!(result, operation(&mut hard), "host and integer code differ");
        assert_eq!(
            soft.flags | Flags::INEXACT,
            hard.flags,
            "host and integer code differ"
        );
        let word = result ^ u64::from(soft.flags.0) << 56;
        self.sum = (self.sum ^ word)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(23);
    }
}

macro_rules! format {
    ($digest:ident $bits:ident $e:literal $f:literal;
     $($one:ident)*; $($two:ident)*; $fma:ident) => {
        let (a, b, c) = (
            $digest.operand($e, $f) as $bits,
            $digest.operand($e, $f) as $bits,
            $digest.operand($e, $f) as $bits,
        );
        $($digest.add(|s| fpu::$one(a, s) as u64);)*
        $($digest.add(|s| fpu::$two(a, b, s) as u64);)*
        $digest.add(|s| fpu::$fma(a, b, c, s).into());
    };
}

fn main() {
    let mode = RoundingMode::NearestEven;
    let mut digest = Digest {
        random: 0x1234_5678_9abc_def1,
        sum: 0,
        status: Status::riscv(mode),
    };
    for case in 0..CASES {
        // Mostly to the nearest: the only mode in which the host is asked.
        let rm = (case % 8) as u8;
        digest.status = Status::riscv(RoundingMode::from_riscv(rm).unwrap_or(mode));
        format! { digest u16 5 10; f16_sqrt f16_to_i32 f16_to_u64 f16_to_f32 f16_to_f64;
        f16_add f16_sub f16_mul f16_div f16_minimum f16_le_quiet; f16_fma }
        format! { digest u32 8 23; f32_sqrt f32_to_i32 f32_to_u64 f32_to_f64 f32_to_bf16;
        f32_add f32_sub f32_mul f32_div f32_minimum f32_le_quiet; f32_fma }
        format! { digest u64 11 52; f64_sqrt f64_to_i32 f64_to_u64 f64_to_f32 f64_to_int_modular;
        f64_add f64_sub f64_mul f64_div f64_minimum f64_le_quiet; f64_fma }
        let integer = digest.next() >> (case % 64);
        digest.add(|s| fpu::u64_to_f32(integer, s).into());
        digest.add(|s| fpu::i64_to_f64(integer as i64, s));
    }
    println!("{:016x}", digest.sum);
}
