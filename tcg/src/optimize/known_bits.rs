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
        OpKind::Sar { a, b, .. } => sar(ty, get(a), count(b)),
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

/// `by` is the count, if it is known.
fn sar(ty: Type, a: Bits, by: Option<u8>) -> Bits {
    let sign = 1u64 << (ty.bits() - 1);
    let maybe = match by {
        _ if a.maybe & sign != 0 => !0,
        Some(by) => a.maybe >> by,
        None => low_mask(64 - a.maybe.leading_zeros() as u8),
    };
    Bits {
        maybe,
        significant: a.significant.saturating_sub(by.unwrap_or(0)).max(1),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arith::evaluate;

    const A: Temp = Temp(1);
    const B: Temp = Temp(2);
    const VALUES: [u64; 14] = [
        0,
        1,
        2,
        15,
        0x6996,
        0x7f,
        0x80,
        0xffff,
        0x7fff_ffff,
        0x8000_0000,
        0xffff_ffff_ffff_ff80,
        0x8000_0000_0000_0000,
        0x7fff_ffff_ffff_ffff,
        !0,
    ];

    fn kinds() -> Vec<OpKind> {
        let (d, a, b) = (Temp(0), A, B);
        let mut kinds = vec![
            OpKind::Mov { d, a },
            OpKind::And { d, a, b },
            OpKind::Or { d, a, b },
            OpKind::Xor { d, a, b },
            OpKind::Andc { d, a, b },
            OpKind::Orc { d, a, b },
            OpKind::Eqv { d, a, b },
            OpKind::Not { d, a },
            OpKind::Neg { d, a },
            OpKind::Add { d, a, b },
            OpKind::Sub { d, a, b },
            OpKind::Mul { d, a, b },
            OpKind::Shl { d, a, b },
            OpKind::Shr { d, a, b },
            OpKind::Sar { d, a, b },
            OpKind::Rotl { d, a, b },
            OpKind::Clz { d, a, b },
            OpKind::Ctz { d, a, b },
            OpKind::Ctpop { d, a },
        ];
        for (pos, len) in [(0, 1), (0, 8), (3, 5), (8, 24), (0, 32), (31, 1)] {
            kinds.push(OpKind::Extract { d, a, pos, len });
            kinds.push(OpKind::Sextract { d, a, pos, len });
            kinds.push(OpKind::Deposit { d, a, b, pos, len });
        }
        kinds
    }

    fn holds(bits: Bits, ty: Type, value: u64) -> bool {
        let value = cut(ty, value);
        value & !bits.maybe == 0 && significant(signed(ty, value)) <= bits.significant
    }

    /// Pairs of values for either input, and whatever comes out of any two of them.
    #[test]
    fn what_is_known_is_true() {
        let pairs = || VALUES.iter().flat_map(|&x| VALUES.map(|y| (x, y)));
        for ty in [Type::I32, Type::I64] {
            let known = |(x, y): (u64, u64)| Bits::constant(ty, x).either(Bits::constant(ty, y));
            let all = pairs().flat_map(|a| pairs().map(move |b| (a, b)));
            for (a, b) in all {
                let get = |temp| if temp == A { known(a) } else { known(b) };
                let constant = |temp| {
                    let (x, y) = if temp == A { a } else { b };
                    (cut(ty, x) == cut(ty, y)).then_some(cut(ty, x))
                };
                for kind in kinds() {
                    let bits = result(kind, ty, get, constant);
                    for (x, y) in [(a.0, b.0), (a.0, b.1), (a.1, b.0), (a.1, b.1)] {
                        let input = |temp| cut(ty, if temp == A { x } else { y });
                        let Some((value, _)) = evaluate(kind, ty, input) else {
                            panic!("{kind:?} has no value");
                        };
                        let is_true = holds(bits, ty, value);
                        assert!(
                            is_true,
                            "{ty:?} {kind:?} of {x:#x}, {y:#x} is {value:#x}: {bits:x?}"
                        );
                    }
                }
            }
        }
    }
}
