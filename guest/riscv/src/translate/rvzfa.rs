//! Zfa: additional floating-point instructions.

use super::Translator;
use super::rvf::{DOUBLE, Format, HALF, SINGLE};
use crate::decode::*;
use crate::helpers::Helper;

/// Values of `fli`, as single-precision encodings; entry 1 is the least normal number of each
/// format.
const FLI_SINGLE: [u32; 32] = [
    0xbf80_0000,
    0x0080_0000,
    0x3780_0000,
    0x3800_0000,
    0x3b80_0000,
    0x3c00_0000,
    0x3d80_0000,
    0x3e00_0000,
    0x3e80_0000,
    0x3ea0_0000,
    0x3ec0_0000,
    0x3ee0_0000,
    0x3f00_0000,
    0x3f20_0000,
    0x3f40_0000,
    0x3f60_0000,
    0x3f80_0000,
    0x3fa0_0000,
    0x3fc0_0000,
    0x3fe0_0000,
    0x4000_0000,
    0x4020_0000,
    0x4040_0000,
    0x4080_0000,
    0x4100_0000,
    0x4180_0000,
    0x4300_0000,
    0x4380_0000,
    0x4700_0000,
    0x4780_0000,
    0x7f80_0000,
    0x7fc0_0000,
];
/// 2^-16 and 2^-15 are subnormal here; 2^16 is infinity.
const FLI_HALF: [u16; 32] = [
    0xbc00, 0x0400, 0x0100, 0x0200, 0x1c00, 0x2000, 0x2c00, 0x3000, 0x3400, 0x3500, 0x3600, 0x3700,
    0x3800, 0x3900, 0x3a00, 0x3b00, 0x3c00, 0x3d00, 0x3e00, 0x3f00, 0x4000, 0x4100, 0x4200, 0x4400,
    0x4800, 0x4c00, 0x5800, 0x5c00, 0x7800, 0x7c00, 0x7c00, 0x7e00,
];
/// The high halves; the low ones are zero.
const FLI_DOUBLE: [u32; 32] = [
    0xbff0_0000,
    0x0010_0000,
    0x3ef0_0000,
    0x3f00_0000,
    0x3f70_0000,
    0x3f80_0000,
    0x3fb0_0000,
    0x3fc0_0000,
    0x3fd0_0000,
    0x3fd4_0000,
    0x3fd8_0000,
    0x3fdc_0000,
    0x3fe0_0000,
    0x3fe4_0000,
    0x3fe8_0000,
    0x3fec_0000,
    0x3ff0_0000,
    0x3ff4_0000,
    0x3ff8_0000,
    0x3ffc_0000,
    0x4000_0000,
    0x4004_0000,
    0x4008_0000,
    0x4010_0000,
    0x4020_0000,
    0x4030_0000,
    0x4060_0000,
    0x4070_0000,
    0x40e0_0000,
    0x40f0_0000,
    0x7ff0_0000,
    0x7ff8_0000,
];

insns! {
    [Zfa] fminm_s(Fff) = call_fff(Helper::fminm_s);
    [Zfa] fmaxm_s(Fff) = call_fff(Helper::fmaxm_s);
    [Zfa] fleq_s(Xff) = call_xff(Helper::fleq_s);
    [Zfa] fltq_s(Xff) = call_xff(Helper::fltq_s);
    [Zfa] fround_s(FfRm) = call_ff_rm(Helper::fround_s);
    [Zfa] froundnx_s(FfRm) = call_ff_rm(Helper::froundnx_s);
    [Zfa] fli_s(Fli) = load_immediate(SINGLE);
    [Zfa][D] fminm_d(Fff) = call_fff(Helper::fminm_d);
    [Zfa][D] fmaxm_d(Fff) = call_fff(Helper::fmaxm_d);
    [Zfa][D] fleq_d(Xff) = call_xff(Helper::fleq_d);
    [Zfa][D] fltq_d(Xff) = call_xff(Helper::fltq_d);
    [Zfa][D] fround_d(FfRm) = call_ff_rm(Helper::fround_d);
    [Zfa][D] froundnx_d(FfRm) = call_ff_rm(Helper::froundnx_d);
    [Zfa][D] fli_d(Fli) = load_immediate(DOUBLE);
    [Zfa][Zfh] fminm_h(Fff) = call_fff(Helper::fminm_h);
    [Zfa][Zfh] fmaxm_h(Fff) = call_fff(Helper::fmaxm_h);
    [Zfa][Zfh] fleq_h(Xff) = call_xff(Helper::fleq_h);
    [Zfa][Zfh] fltq_h(Xff) = call_xff(Helper::fltq_h);
    [Zfa][Zfh] fround_h(FfRm) = call_ff_rm(Helper::fround_h);
    [Zfa][Zfh] froundnx_h(FfRm) = call_ff_rm(Helper::froundnx_h);
    [Zfa][Zfh] fli_h(Fli) = load_immediate(HALF);
    [Zfa][D] fcvtmod_w_d(Xf) = call_xf_flags(Helper::fcvtmod_w_d);
}

impl Translator<'_, '_> {
    fn load_immediate(&mut self, a: &Fli, format: Format) -> bool {
        let index = a.index.index();
        let value = match format.bits {
            16 => u64::from(FLI_HALF[index]) | !0 << 16,
            32 => u64::from(FLI_SINGLE[index]) | !0 << 32,
            _ => u64::from(FLI_DOUBLE[index]) << 32,
        };
        self.constant_f(a, value)
    }
}
