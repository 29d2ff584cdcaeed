//! What an operation reads besides its operands, and the flags it leaves (IEEE 754-2019, 4 and 7).

use std::ops::{BitOr, BitOrAssign};

/// Rounding-direction attribute (4.3). The first five are RISC-V's `rm` values in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum RoundingMode {
    /// roundTiesToEven, RISC-V RNE.
    #[default]
    NearestEven = 0,
    /// roundTowardZero, RTZ.
    TowardZero = 1,
    /// roundTowardNegative, RDN.
    Down = 2,
    /// roundTowardPositive, RUP.
    Up = 3,
    /// roundTiesToAway, RMM.
    NearestMaxMagnitude = 4,
    /// Truncate, then set the last bit if anything was lost: safe to round again later.
    Odd = 5,
}

impl RoundingMode {
    /// The mode of a RISC-V `frm` or static `rm` field; `None` for the reserved values and DYN.
    pub const fn from_riscv(rm: u8) -> Option<Self> {
        match rm {
            0 => Some(Self::NearestEven),
            1 => Some(Self::TowardZero),
            2 => Some(Self::Down),
            3 => Some(Self::Up),
            4 => Some(Self::NearestMaxMagnitude),
            _ => None,
        }
    }
}

/// Exception flags (7), at RISC-V's `fflags` positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Flags(pub u8);

impl Flags {
    pub const NONE: Self = Self(0);
    /// NX
    pub const INEXACT: Self = Self(1);
    /// UF
    pub const UNDERFLOW: Self = Self(2);
    /// OF
    pub const OVERFLOW: Self = Self(4);
    /// DZ
    pub const DIVBYZERO: Self = Self(8);
    /// NV
    pub const INVALID: Self = Self(16);

    #[inline]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    #[inline]
    pub const fn bits(self) -> u8 {
        self.0
    }
}

impl BitOr for Flags {
    type Output = Self;
    #[inline]
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Flags {
    #[inline]
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// Which operand's payload a NaN result carries when [`Status::default_nan`] is off (6.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum NanRule {
    /// The first operand that is a NaN (x86 SSE).
    #[default]
    First,
    /// The first signaling NaN, else the first quiet one; fma's addend comes first (Arm).
    SignalingFirst,
}

/// The integer delivered, with invalid raised, for a NaN or an out-of-range operand (5.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum IntOverflow {
    /// The nearest representable integer; NaN gives the largest (RISC-V).
    #[default]
    Saturate,
    /// The nearest representable integer; NaN gives zero (Arm, wasm).
    SaturateNanZero,
    /// "Integer indefinite": only the top bit set if signed, all bits set if unsigned (x86).
    Indefinite,
}

/// Result of a comparison (5.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum Relation {
    Less = -1,
    Equal = 0,
    Greater = 1,
    Unordered = 2,
}

/// The floating-point environment of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    pub rounding: RoundingMode,
    /// Sticky: operations only ever set bits here.
    pub flags: Flags,
    /// Every NaN result is the default NaN, whatever the operands' payloads.
    pub default_nan: bool,
    /// Sign of the default NaN (set on x86).
    pub default_nan_negative: bool,
    pub nan_rule: NanRule,
    /// Tininess is detected after rounding (RISC-V, x86), else before (Arm); 7.5.
    pub tininess_after_rounding: bool,
    /// Tiny results become zero, raising underflow and inexact (x86 FTZ).
    pub flush_to_zero: bool,
    /// Subnormal operands count as zero, raising nothing (x86 DAZ).
    pub flush_inputs_to_zero: bool,
    /// `fma(inf, 0, quiet NaN)` raises invalid (RISC-V, Arm; not x86); 7.2 c.
    pub fma_inf_zero_nan_invalid: bool,
    pub int_overflow: IntOverflow,
}

impl Status {
    /// RISC-V: canonical positive NaNs, tininess after rounding, saturating conversions.
    #[inline]
    pub const fn riscv(rounding: RoundingMode) -> Self {
        Self {
            rounding,
            flags: Flags::NONE,
            default_nan: true,
            default_nan_negative: false,
            nan_rule: NanRule::First,
            tininess_after_rounding: true,
            flush_to_zero: false,
            flush_inputs_to_zero: false,
            fma_inf_zero_nan_invalid: true,
            int_overflow: IntOverflow::Saturate,
        }
    }

    /// The same with flags that are already sticky: lets the host's arithmetic be used more often.
    #[inline]
    pub const fn with_flags(mut self, flags: Flags) -> Self {
        self.flags = flags;
        self
    }

    #[inline]
    pub fn raise(&mut self, flags: Flags) {
        self.flags |= flags;
    }
}
