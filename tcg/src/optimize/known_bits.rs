//! Which bits of a value are known: forward facts about results from facts about inputs.

use crate::arith::{cut, low_mask, signed};
use crate::ir::{MemOp, OpKind, Temp, Type};

/// What is known of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bits {
    /// Bits that may be 1.
    pub maybe: u64,
    /// The value is the sign extension (to its type's width) of that many low bits; 1 at least.
    pub significant: u8,
}

impl Bits {
    /// Nothing.
    pub const fn unknown(ty: Type) -> Self {
        Self {
            maybe: cut(ty, !0),
            significant: ty.bits() as u8,
        }
    }

    /// Everything.
    pub const fn constant(ty: Type, value: u64) -> Self {
        Self {
            maybe: cut(ty, value),
            significant: significant(signed(ty, value)),
        }
    }

    /// A number of `len` bits.
    pub const fn unsigned(ty: Type, len: u8) -> Self {
        Self {
            maybe: low_mask(len),
            significant: ty.bits() as u8,
        }
        .tidy(ty)
    }

    /// A number that is sign-extended from `len` bits.
    pub const fn sign_extended(ty: Type, len: u8) -> Self {
        let all = Self::unknown(ty);
        Self {
            significant: if len < all.significant {
                len
            } else {
                all.significant
            },
            ..all
        }
    }

    /// Either of two values.
    pub fn either(self, other: Self) -> Self {
        Self {
            maybe: self.maybe | other.maybe,
            significant: self.significant.max(other.significant),
        }
    }

    /// Draws from each half what it says about the other.
    const fn tidy(mut self, ty: Type) -> Self {
        self.maybe = cut(ty, self.maybe);
        let highest = 64 - self.maybe.leading_zeros() as u8;
        if highest < self.significant {
            self.significant = highest + 1;
        }
        let width = ty.bits() as u8;
        if self.significant > width {
            self.significant = width;
        }
        self
    }
}

/// Bits that say all of a signed number, one of the sign among them.
const fn significant(value: i64) -> u8 {
    let magnitude = if value < 0 { !value } else { value };
    65 - magnitude.leading_zeros() as u8
}

/// A value in memory of `mem.bytes()`, extended by its sign flag.
fn loaded(ty: Type, mem: MemOp) -> Bits {
    let len = (8 * mem.bytes()).min(64) as u8;
    if u32::from(len) >= ty.bits() {
        Bits::unknown(ty)
    } else if mem.is_signed() {
        Bits::sign_extended(ty, len)
    } else {
        Bits::unsigned(ty, len)
    }
}

/// What is known of an op's first output. `get` knows the inputs, `constant` their values.
pub fn result(
    kind: OpKind,
    ty: Type,
    get: impl Fn(Temp) -> Bits,
    constant: impl Fn(Temp) -> Option<u64>,
) -> Bits {
    let width = ty.bits() as u8;
    let count = |t: Temp| Some((constant(t)? % u64::from(width)) as u8);
    let unknown = Bits::unknown(ty);
    let bits = match kind {
        OpKind::Mov { a, .. } => get(a),
        OpKind::And { a, b, .. } => Bits {
            maybe: get(a).maybe & get(b).maybe,
            ..get(a).either(get(b))
        },
        OpKind::Or { a, b, .. } | OpKind::Xor { a, b, .. } => get(a).either(get(b)),
        OpKind::Andc { a, b, .. } => Bits {
            maybe: get(a).maybe,
            ..get(a).either(get(b))
        },
        OpKind::Orc { a, b, .. } | OpKind::Eqv { a, b, .. } => Bits {
            significant: get(a).either(get(b)).significant,
            ..unknown
        },
        OpKind::Not { a, .. } => Bits {
            significant: get(a).significant,
            ..unknown
        },
        OpKind::Add { a, b, .. } => sum(ty, get(a), get(b)),
        OpKind::Sub { a, b, .. } => {
            let longer = get(a).either(get(b)).significant;
            Bits {
                significant: longer.saturating_add(1),
                ..unknown
            }
        }
        OpKind::Shl { a, b, .. } => match count(b) {
            Some(n) => Bits {
                maybe: get(a).maybe << n,
                significant: get(a).significant.saturating_add(n),
            },
            None => unknown,
        },
        OpKind::Shr { a, b, .. } => match count(b) {
            Some(n) => Bits {
                maybe: get(a).maybe >> n,
                ..unknown
            },
            None => Bits {
                maybe: low_mask(64 - get(a).maybe.leading_zeros() as u8),
                ..unknown
            },
        },
        OpKind::Sar { a, b, .. } => sar(ty, get(a), count(b).unwrap_or(0)),
        OpKind::Extract { a, pos, len, .. } => Bits {
            maybe: get(a).maybe >> pos & low_mask(len),
            ..unknown
        },
        OpKind::Sextract { a, pos, len, .. } => sextract(ty, get(a), pos, len),
        OpKind::Deposit { a, b, pos, len, .. } => {
            let mask = low_mask(len) << pos;
            Bits {
                maybe: get(a).maybe & !mask | get(b).maybe << pos & mask,
                ..unknown
            }
        }
        _ => changed_width(kind, ty, get),
    };
    bits.tidy(ty)
}

fn sum(ty: Type, a: Bits, b: Bits) -> Bits {
    let maybe = match a.maybe.checked_add(b.maybe) {
        Some(most) => low_mask(64 - most.leading_zeros() as u8),
        None => !0,
    };
    let _ = ty;
    Bits {
        maybe,
        significant: a.significant.max(b.significant).saturating_add(1),
    }
}

fn sar(ty: Type, a: Bits, by: u8) -> Bits {
    let sign = 1u64 << (ty.bits() - 1);
    let maybe = if a.maybe & sign == 0 {
        a.maybe >> by
    } else {
        !0
    };
    Bits {
        maybe,
        significant: a.significant.saturating_sub(by).max(1),
    }
}

fn sextract(ty: Type, a: Bits, pos: u8, len: u8) -> Bits {
    let field = a.maybe >> pos & low_mask(len);
    let sign = 1u64 << (len - 1);
    let maybe = if field & sign == 0 {
        field
    } else {
        cut(ty, !0)
    };
    let known = if pos == 0 { a.significant } else { u8::MAX };
    Bits {
        maybe,
        significant: len.min(known),
    }
}

fn changed_width(kind: OpKind, ty: Type, get: impl Fn(Temp) -> Bits) -> Bits {
    let unknown = Bits::unknown(ty);
    match kind {
        OpKind::Extrl { a, .. } => Bits {
            maybe: get(a).maybe,
            significant: get(a).significant.min(32),
        },
        OpKind::Extrh { a, .. } => Bits {
            maybe: get(a).maybe >> 32,
            ..unknown
        },
        OpKind::Exts { a, .. } => {
            let high = if get(a).maybe >> 31 & 1 == 0 {
                0
            } else {
                !0 << 32
            };
            Bits {
                maybe: get(a).maybe | high,
                significant: get(a).significant,
            }
        }
        OpKind::Extu { a, .. } => Bits {
            maybe: get(a).maybe,
            ..unknown
        },
        OpKind::Setcond { .. } => Bits {
            maybe: 1,
            ..unknown
        },
        OpKind::Negsetcond { .. } => Bits {
            significant: 1,
            ..unknown
        },
        OpKind::Movcond { t, f, .. } => get(t).either(get(f)),
        OpKind::Ctpop { .. } => Bits {
            maybe: 0x7f,
            ..unknown
        },
        OpKind::Clz { b, .. } | OpKind::Ctz { b, .. } => Bits {
            maybe: 0x7f | get(b).maybe,
            ..unknown
        },
        OpKind::Bswap16 { .. } => Bits {
            maybe: 0xffff,
            ..unknown
        },
        OpKind::Bswap32 { .. } => Bits {
            maybe: 0xffff_ffff,
            ..unknown
        },
        OpKind::Ld { mem, .. } => loaded(ty, mem),
        OpKind::QemuLd { oi, .. } => loaded(ty, oi.mem()),
        OpKind::AtomicCmpxchg { oi, .. } | OpKind::AtomicRmw { oi, .. } => loaded(ty, oi.mem()),
        _ => unknown,
    }
}
