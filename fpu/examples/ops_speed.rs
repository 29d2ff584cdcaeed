//! Nanoseconds per operation: with inexact sticky (host arithmetic) and not (integer code).
//! `cargo run --release -p fpu --example ops_speed`

use std::hint::black_box;
use std::time::Instant;

use fpu::{Flags, RoundingMode, Status};

const OPERANDS: usize = 1024;
const ROUNDS: usize = 2000;

fn measure(
    operands: &[u64],
    sticky: Flags,
    operation: impl Fn(u64, u64, &mut Status) -> u64,
) -> f64 {
    let start = Instant::now();
    let mut sum = 0;
    for _ in 0..ROUNDS {
        for pair in operands.windows(2) {
            let mut status = Status::riscv(RoundingMode::NearestEven).with_flags(black_box(sticky));
            sum ^= operation(pair[0], pair[1], &mut status);
        }
    }
    black_box(sum);
    start.elapsed().as_nanos() as f64 / (ROUNDS * (OPERANDS - 1)) as f64
}

fn operands(to_bits: impl Fn(f64) -> u64) -> Vec<u64> {
    let mut x = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        to_bits(1.0 + (x >> 11) as f64 / 4.5e15 * 1000.0)
    };
    (0..OPERANDS).map(|_| next()).collect()
}

macro_rules! report {
    ($bits:ident $operands:expr; $($name:ident($($arg:tt)*))*) => {
        let operands = $operands;
        $({
            let run = |sticky| measure(&operands, sticky, |a, b, s| {
                let (a, b) = (a as $bits, b as $bits);
                let _ = b;
                report!(@call $name a b s $($arg)*) as u64
            });
            let (sticky, clear) = (run(Flags::INEXACT), run(Flags::NONE));
            println!("{:18} {sticky:6.1} {clear:6.1}", stringify!($name));
        })*
    };
    (@call $name:ident $a:ident $b:ident $s:ident 1) => { fpu::$name($a, $s) };
    (@call $name:ident $a:ident $b:ident $s:ident 2) => { fpu::$name($a, $b, $s) };
    (@call $name:ident $a:ident $b:ident $s:ident 3) => { fpu::$name($a, $b, $b, $s) };
}

fn main() {
    println!("{:18} {:>6} {:>6}", "ns per operation", "sticky", "clear");
    report! { u64 operands(f64::to_bits);
    f64_add(2) f64_sub(2) f64_mul(2) f64_div(2) f64_sqrt(1) f64_fma(3) f64_lt_signaling(2)
    f64_to_f32(1) f64_to_i64(1) f64_to_i32(1) f64_to_u64(1) f64_minimum_number(2) }
    report! { u32 operands(|x| (x as f32).to_bits().into());
    f32_add(2) f32_sub(2) f32_mul(2) f32_div(2) f32_sqrt(1) f32_fma(3) f32_to_f64(1) }
    report! { u64 operands(|x| x as u64); u64_to_f64(1) u64_to_f32(1) }
}
