//! What RISC-V does not use: other guests' choices where the standard leaves one, by example.

use fpu::{Flags, IntOverflow, NanRule, RoundingMode, Status};

use crate::formats::MODES;

const QUIET: u32 = 0x7fc0_0001;
const QUIET_NEGATIVE: u32 = 0xffc0_0002;
const SIGNALING: u32 = 0x7f80_0003;
const INFINITY: u32 = 0x7f80_0000;
const MIN_NORMAL: u32 = 0x0080_0000;
const ONE: u32 = 0x3f80_0000;

fn x86() -> Status {
    Status {
        default_nan: false,
        default_nan_negative: true,
        fma_inf_zero_nan_invalid: false,
        int_overflow: IntOverflow::Indefinite,
        ..Status::riscv(RoundingMode::NearestEven)
    }
}

fn arm() -> Status {
    Status {
        default_nan: false,
        nan_rule: NanRule::SignalingFirst,
        tininess_after_rounding: false,
        int_overflow: IntOverflow::SaturateNanZero,
        ..Status::riscv(RoundingMode::NearestEven)
    }
}

fn check<T: PartialEq + std::fmt::Debug>(
    mut status: Status,
    operation: impl Fn(&mut Status) -> T,
    expected: (T, Flags),
) {
    // The host may only be used once inexact is set, and must not be used under these policies.
    for sticky in [Flags::NONE, Flags::INEXACT] {
        status.flags = sticky;
        let result = operation(&mut status);
        let (value, flags) = &expected;
        assert_eq!((&result, status.flags), (value, *flags | sticky));
    }
}

#[test]
fn nan_payloads() {
    let none = Flags::NONE;
    check(
        x86(),
        |s| fpu::f32_add(QUIET, QUIET_NEGATIVE, s),
        (QUIET, none),
    );
    check(
        x86(),
        |s| fpu::f32_sub(ONE, QUIET_NEGATIVE, s),
        (QUIET_NEGATIVE, none),
    );
    check(
        x86(),
        |s| fpu::f32_mul(QUIET, SIGNALING, s),
        (QUIET, Flags::INVALID),
    );
    let quieted = SIGNALING | 0x40_0000;
    check(
        arm(),
        |s| fpu::f32_mul(QUIET, SIGNALING, s),
        (quieted, Flags::INVALID),
    );
    check(
        arm(),
        |s| fpu::f32_fma(ONE, QUIET, QUIET_NEGATIVE, s),
        (QUIET_NEGATIVE, none),
    );
    check(
        x86(),
        |s| fpu::f32_fma(ONE, QUIET, QUIET_NEGATIVE, s),
        (QUIET, none),
    );
    check(
        x86(),
        |s| fpu::f32_sqrt(SIGNALING, s),
        (quieted, Flags::INVALID),
    );
    check(
        x86(),
        |s| fpu::f32_to_f64(SIGNALING, s),
        (0x7ff8_0000_6000_0000, Flags::INVALID),
    );
    check(
        x86(),
        |s| fpu::f32_to_f16(QUIET_NEGATIVE, s),
        (0xfe00, none),
    );
    check(x86(), |s| fpu::f32_minimum(ONE, QUIET, s), (QUIET, none));
}

#[test]
fn default_nans() {
    check(
        x86(),
        |s| fpu::f32_div(0, 0, s),
        (0xffc0_0000, Flags::INVALID),
    );
    check(
        arm(),
        |s| fpu::f32_div(0, 0, s),
        (0x7fc0_0000, Flags::INVALID),
    );
}

#[test]
fn fma_of_infinity_zero_and_nan() {
    check(
        x86(),
        |s| fpu::f32_fma(INFINITY, 0, QUIET, s),
        (QUIET, Flags::NONE),
    );
    check(
        arm(),
        |s| fpu::f32_fma(0, INFINITY, QUIET, s),
        (0x7fc0_0000, Flags::INVALID),
    );
    let quieted = SIGNALING | 0x40_0000;
    check(
        arm(),
        |s| fpu::f32_fma(0, INFINITY, SIGNALING, s),
        (quieted, Flags::INVALID),
    );
}

#[test]
fn integers_out_of_range() {
    let invalid = Flags::INVALID;
    check(x86(), |s| fpu::f32_to_i32(INFINITY, s), (i32::MIN, invalid));
    check(x86(), |s| fpu::f32_to_u64(QUIET, s), (u64::MAX, invalid));
    check(
        x86(),
        |s| fpu::f32_to_i64(0xff80_0000, s),
        (i64::MIN, invalid),
    );
    check(arm(), |s| fpu::f32_to_i32(QUIET, s), (0, invalid));
    check(arm(), |s| fpu::f32_to_i32(INFINITY, s), (i32::MAX, invalid));
    check(arm(), |s| fpu::f32_to_u32(0xbf80_0000, s), (0, invalid));
}

/// Both operands lie below the smallest normal number, and round to it as subnormals.
#[test]
fn tininess() {
    // (1 - 2^-25) * 2^-126: were the exponent unbounded, 24 digits would round to 2^-126.
    let scaled = 0x3fef_ffff_f000_0000 - (126 << 52);
    let (inexact, both) = (Flags::INEXACT, Flags::INEXACT | Flags::UNDERFLOW);
    check(x86(), |s| fpu::f64_to_f32(scaled, s), (MIN_NORMAL, inexact));
    check(arm(), |s| fpu::f64_to_f32(scaled, s), (MIN_NORMAL, both));
    // (1 - 2^-24) * 2^-126 has 24 digits: still below after that rounding.
    let digits = 0x3fef_ffff_e000_0000 - (126 << 52);
    check(x86(), |s| fpu::f64_to_f32(digits, s), (MIN_NORMAL, both));
    check(arm(), |s| fpu::f64_to_f32(digits, s), (MIN_NORMAL, both));
}

#[test]
fn flushing() {
    let both = Flags::INEXACT | Flags::UNDERFLOW;
    let half = 0x3f00_0000;
    for mode in MODES {
        let base = Status {
            rounding: mode,
            ..x86()
        };
        let ftz = Status {
            flush_to_zero: true,
            ..base
        };
        let daz = Status {
            flush_inputs_to_zero: true,
            ..base
        };
        check(ftz, |s| fpu::f32_mul(MIN_NORMAL, half, s), (0, both));
        check(
            ftz,
            |s| fpu::f32_sub(MIN_NORMAL, MIN_NORMAL | 1, s),
            (1 << 31, both),
        );
        check(
            base,
            |s| fpu::f32_mul(MIN_NORMAL, half, s),
            (MIN_NORMAL >> 1, Flags::NONE),
        );
        check(daz, |s| fpu::f32_add(1, ONE, s), (ONE, Flags::NONE));
        check(
            daz,
            |s| fpu::f32_div(ONE, 1, s),
            (INFINITY, Flags::DIVBYZERO),
        );
        check(
            daz,
            |s| fpu::f32_eq_quiet(1, 0x8000_0001, s),
            (true, Flags::NONE),
        );
        check(
            daz,
            |s| fpu::f32_sqrt(0x8000_0001, s),
            (1 << 31, Flags::NONE),
        );
    }
}

#[test]
fn modes_of_riscv() {
    let modes: Vec<_> = (0..8).filter_map(RoundingMode::from_riscv).collect();
    assert_eq!(modes, MODES[..5]);
}
