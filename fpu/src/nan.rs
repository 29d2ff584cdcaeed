//! NaN results (IEEE 754-2019, 6.2): the default NaN, and propagation where a guest has it.

use crate::format::{Format, is_nan, is_signaling, signed};
use crate::{Flags, NanRule, Status};

#[inline]
pub fn default_nan<F: Format>(s: &Status) -> u64 {
    signed::<F>(s.default_nan_negative, F::INFINITY | F::QUIET)
}

/// 7.2: the result of an operation that has none.
#[cold]
pub fn invalid<F: Format>(s: &mut Status) -> u64 {
    s.raise(Flags::INVALID);
    default_nan::<F>(s)
}

/// The result of an operation at least one of whose operands is a NaN.
#[cold]
pub fn propagate<F: Format>(operands: &[u64], s: &mut Status) -> u64 {
    let signaling = operands.iter().copied().find(|&a| is_signaling::<F>(a));
    if signaling.is_some() {
        s.raise(Flags::INVALID);
    }
    if s.default_nan {
        return default_nan::<F>(s);
    }
    let first = operands.iter().copied().find(|&a| is_nan::<F>(a));
    let chosen = match s.nan_rule {
        NanRule::First => first,
        NanRule::SignalingFirst => signaling.or(first),
    };
    chosen.map_or_else(|| default_nan::<F>(s), |a| a | F::QUIET)
}

/// NaN operands of `fma`, at least one; also the infinity times zero plus NaN of 7.2 c.
#[cold]
pub fn propagate_fma<F: Format>(
    (a, b, c): (u64, u64, u64),
    infinity_times_zero: bool,
    s: &mut Status,
) -> u64 {
    if infinity_times_zero && s.fma_inf_zero_nan_invalid && !is_signaling::<F>(c) {
        return invalid::<F>(s);
    }
    match s.nan_rule {
        NanRule::First => propagate::<F>(&[a, b, c], s),
        NanRule::SignalingFirst => propagate::<F>(&[c, a, b], s),
    }
}
