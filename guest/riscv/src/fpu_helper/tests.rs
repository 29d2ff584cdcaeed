//! That each helper is joined to the right operation, boxes, flags and signs; the arithmetic itself
//! is proved in crate `fpu`.

use std::sync::Arc;

use accel_tcg::CpuCommon;
use include::{AccessSize, AddressSpace, BusError, Clock, ClockType, PhysAddr, RamPage};

use super::*;
use crate::isa::Isa;

struct Nothing;

impl AddressSpace for Nothing {
    fn ram_page(&self, _: PhysAddr) -> Option<RamPage> {
        None
    }
    fn ram_pages(&self) -> u32 {
        0
    }
    fn io_read(&self, _: PhysAddr, _: AccessSize) -> Result<u64, BusError> {
        Err(BusError)
    }
    fn io_write(&self, _: PhysAddr, _: AccessSize, _: u64) -> Result<(), BusError> {
        Err(BusError)
    }
    fn read(&self, _: PhysAddr, _: &mut [u8]) -> Result<(), BusError> {
        Err(BusError)
    }
    fn write(&self, _: PhysAddr, _: &[u8]) -> Result<(), BusError> {
        Err(BusError)
    }
}

impl Clock for Nothing {
    fn now_ns(&self, _: ClockType) -> i64 {
        0
    }
}

fn cpu() -> RiscvCpu {
    let isa = Isa::model("max").expect("a model");
    RiscvCpu::new(isa, CpuCommon::new(0, Arc::new(Nothing), Arc::new(Nothing)))
}

const NX: u64 = 1;
const DZ: u64 = 8;
const NV: u64 = 16;

fn s(value: f32) -> u64 {
    !0 << 32 | u64::from(value.to_bits())
}

fn d(value: f64) -> u64 {
    value.to_bits()
}

fn h(bits: u16) -> u64 {
    !0 << 16 | u64::from(bits)
}

/// Calls a helper on a fresh CPU; its result and `fflags`.
fn run(helper: impl FnOnce(&mut RiscvCpu) -> u64) -> (u64, u64) {
    let mut cpu = cpu();
    let result = helper(&mut cpu);
    (result, cpu.common.state.slots[slot::FFLAGS])
}

#[track_caller]
fn check(found: (u64, u64), result: u64, flags: u64) {
    assert_eq!(found, (result, flags), "{:#x} {result:#x}", found.0);
}

#[test]
fn arithmetic() {
    check(run(|c| fadd_s(c, 0, s(1.5), s(2.0))), s(3.5), 0);
    check(run(|c| fsub_d(c, 0, d(1.5), d(2.0))), d(-0.5), 0);
    check(run(|c| fmul_s(c, 0, s(3.0), s(-2.0))), s(-6.0), 0);
    check(run(|c| fdiv_d(c, 0, d(1.0), d(0.0))), d(f64::INFINITY), DZ);
    check(run(|c| fsqrt_s(c, 0, s(9.0))), s(3.0), 0);
    check(run(|c| fsqrt_d(c, 0, d(-1.0))), 0x7ff8_0000_0000_0000, NV);
    check(run(|c| fadd_h(c, 0, h(0x3c00), h(0x4000))), h(0x4200), 0);
    // 1 / 3, downwards and upwards
    check(
        run(|c| fdiv_s(c, 2, s(1.0), s(3.0))),
        !0 << 32 | 0x3eaa_aaaa,
        NX,
    );
    check(
        run(|c| fdiv_s(c, 3, s(1.0), s(3.0))),
        !0 << 32 | 0x3eaa_aaab,
        NX,
    );
}

#[test]
fn fused_signs() {
    let fused = |control| run(|c| fmadd_d(c, control, d(2.0), d(3.0), d(1.0)));
    check(fused(0), d(7.0), 0);
    check(fused(NEG_ADDEND), d(5.0), 0);
    check(fused(NEG_PRODUCT), d(-5.0), 0);
    check(fused(NEG_PRODUCT | NEG_ADDEND), d(-7.0), 0);
    check(
        run(|c| fmadd_s(c, NEG_ADDEND, s(2.0), s(3.0), s(1.0))),
        s(5.0),
        0,
    );
    // 1 * 2 + 1 in half precision
    check(
        run(|c| fmadd_h(c, NEG_PRODUCT, h(0x3c00), h(0x4000), h(0x3c00))),
        h(0xbc00),
        0,
    );
}

#[test]
fn boxes() {
    let nan = !0 << 32 | 0x7fc0_0000;
    check(run(|c| fadd_s(c, 0, d(1.0), s(1.0))), nan, 0);
    check(run(|c| fadd_h(c, 0, s(1.0), h(0x3c00))), h(0x7e00), 0);
    check(run(|c| fclass_s(c, 0x3f80_0000)), 1 << 9, 0);
    check(run(|c| fclass_s(c, s(-0.0))), 1 << 3, 0);
    check(run(|c| fclass_d(c, d(f64::NEG_INFINITY))), 1, 0);
    check(run(|c| fcvt_w_s(c, 0, 0x3f80_0000)), 0x7fff_ffff, NV);
}

#[test]
fn comparisons() {
    let nan = d(f64::NAN);
    check(run(|c| feq_d(c, d(1.0), d(1.0))), 1, 0);
    check(run(|c| flt_d(c, d(1.0), d(1.0))), 0, 0);
    check(run(|c| fle_d(c, d(1.0), d(1.0))), 1, 0);
    check(run(|c| flt_s(c, s(-1.0), s(1.0))), 1, 0);
    check(run(|c| feq_d(c, nan, d(1.0))), 0, 0);
    check(run(|c| flt_d(c, nan, d(1.0))), 0, NV);
    check(run(|c| fle_d(c, d(1.0), nan)), 0, NV);
    check(run(|c| fltq_d(c, nan, d(1.0))), 0, 0);
    check(run(|c| fleq_d(c, d(0.0), d(-0.0))), 1, 0);
}

#[test]
fn minimum_and_maximum() {
    let nan = d(f64::NAN);
    check(run(|c| fmin_d(c, nan, d(1.0))), d(1.0), 0);
    check(run(|c| fmax_d(c, d(-0.0), d(0.0))), d(0.0), 0);
    check(run(|c| fmin_s(c, s(2.0), s(1.0))), s(1.0), 0);
    check(run(|c| fminm_d(c, nan, d(1.0))), nan, 0);
    check(run(|c| fmaxm_d(c, d(2.0), d(1.0))), d(2.0), 0);
}

#[test]
fn conversions() {
    check(run(|c| fcvt_w_d(c, 1, d(-1.5))), -1i64 as u64, NX);
    check(run(|c| fcvt_wu_d(c, 1, d(4294967295.0))), !0, 0);
    check(run(|c| fcvt_wu_s(c, 0, s(-1.0))), 0, NV);
    check(
        run(|c| fcvt_l_d(c, 0, d(-9e18))),
        -9_000_000_000_000_000_000i64 as u64,
        0,
    );
    check(run(|c| fcvt_lu_s(c, 0, s(1e30))), !0, NV);
    check(run(|c| fcvt_s_w(c, 0, 0xffff_ffff)), s(-1.0), 0);
    check(run(|c| fcvt_s_wu(c, 0, !0 << 31)), s(2147483648.0), 0);
    check(run(|c| fcvt_d_l(c, 0, !0)), d(-1.0), 0);
    check(run(|c| fcvt_d_lu(c, 1, !0)), d(1.844674407370955e19), NX);
    check(run(|c| fcvt_h_w(c, 0, 1)), h(0x3c00), 0);
    check(run(|c| fcvt_d_s(c, 0, s(1.5))), d(1.5), 0);
    check(run(|c| fcvt_s_d(c, 0, d(1.5))), s(1.5), 0);
    check(run(|c| fcvt_h_d(c, 0, d(1.0))), h(0x3c00), 0);
    check(run(|c| fcvt_d_h(c, 0, h(0x3c00))), d(1.0), 0);
    check(run(|c| fcvt_s_h(c, 0, h(0xc000))), s(-2.0), 0);
    check(run(|c| fcvt_h_s(c, 0, s(-2.0))), h(0xc000), 0);
    check(run(|c| fcvtmod_w_d(c, d(4294967301.0))), 5, NV);
    check(run(|c| fround_d(c, 0, d(2.5))), d(2.0), 0);
    check(run(|c| froundnx_d(c, 3, d(2.5))), d(3.0), NX);
    check(run(|c| fround_s(c, 1, s(-2.5))), s(-2.0), 0);
}

#[test]
fn flags_stay() {
    let mut cpu = cpu();
    fdiv_d(&mut cpu, 0, d(1.0), d(0.0));
    fadd_d(&mut cpu, 0, d(1.0), d(2.0));
    fsqrt_d(&mut cpu, 0, d(-1.0));
    assert_eq!(cpu.common.state.slots[slot::FFLAGS], DZ | NV);
}
