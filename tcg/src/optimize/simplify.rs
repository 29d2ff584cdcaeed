//! Peepholes: one op into a cheaper one with the same result. Inputs were resolved already.

use super::known_bits::Bits;
use super::{Optimizer, fold};
use crate::arith::{self, cut, low_mask};
use crate::builder::{Function, NO_TEMP};
use crate::ir::*;

/// A move of a constant.
fn constant(function: &mut Function, ty: Type, d: Temp, value: u64) -> OpKind {
    OpKind::Mov {
        d,
        a: function.constant(ty, value),
    }
}

impl Optimizer {
    /// Rewrites until nothing changes (a rewrite makes an op simpler, so few rounds do).
    pub(super) fn simplify(&mut self, function: &mut Function, mut op: Op) -> Op {
        for _ in 0..4 {
            let Some(kind) = self.simplify_once(function, op) else {
                break;
            };
            op.kind = kind;
        }
        op
    }

    fn simplify_once(&mut self, function: &mut Function, op: Op) -> Option<OpKind> {
        let mut kind = op.kind;
        let (mut d, mut outputs) = (NO_TEMP, 0);
        kind.outputs(|t| {
            d = *t;
            outputs += 1;
        });
        if outputs == 1 && !matches!(kind, OpKind::Mov { .. }) {
            if let Some((value, _)) = fold(function, op) {
                return Some(constant(function, op.ty, d, value));
            }
            if arith::evaluate(kind, op.ty, |_| 0).is_some()
                && self.result_bits(function, op).maybe == 0
            {
                return Some(constant(function, op.ty, d, 0));
            }
        }
        match arith::binary_inputs(kind) {
            Some((a, b)) => self.binary(function, op, d, a, b),
            None => self.other(function, op, d),
        }
    }

    fn result_bits(&self, function: &Function, op: Op) -> Bits {
        let get = |t| self.bits(function, t);
        super::known_bits::result(op.kind, op.ty, get, |t| function.const_value(t))
    }

    fn binary(
        &mut self,
        function: &mut Function,
        op: Op,
        d: Temp,
        a: Temp,
        b: Temp,
    ) -> Option<OpKind> {
        let ty = op.ty;
        match (function.const_value(a), function.const_value(b)) {
            (Some(_), _) => self.constant_left(function, op, d, a, b),
            (_, Some(c)) => self.constant_right(function, op, d, a, c),
            _ if a == b => match op.kind {
                OpKind::Sub { .. } | OpKind::Xor { .. } | OpKind::Andc { .. } => {
                    Some(constant(function, ty, d, 0))
                }
                OpKind::And { .. } | OpKind::Or { .. } => Some(OpKind::Mov { d, a }),
                OpKind::Eqv { .. } | OpKind::Orc { .. } => Some(constant(function, ty, d, !0)),
                _ => None,
            },
            _ => None,
        }
    }

    /// Constants of commutative ops go to the right; shifts of zero are zero.
    fn constant_left(
        &mut self,
        function: &mut Function,
        op: Op,
        d: Temp,
        a: Temp,
        b: Temp,
    ) -> Option<OpKind> {
        let zero = function.const_value(a) == Some(0);
        Some(match op.kind {
            OpKind::Add { .. } => OpKind::Add { d, a: b, b: a },
            OpKind::Mul { .. } => OpKind::Mul { d, a: b, b: a },
            OpKind::Muluh { .. } => OpKind::Muluh { d, a: b, b: a },
            OpKind::Mulsh { .. } => OpKind::Mulsh { d, a: b, b: a },
            OpKind::And { .. } => OpKind::And { d, a: b, b: a },
            OpKind::Or { .. } => OpKind::Or { d, a: b, b: a },
            OpKind::Xor { .. } => OpKind::Xor { d, a: b, b: a },
            OpKind::Eqv { .. } => OpKind::Eqv { d, a: b, b: a },
            OpKind::Sub { .. } if zero => OpKind::Neg { d, a: b },
            OpKind::Orc { .. } if zero => OpKind::Not { d, a: b },
            OpKind::Shl { .. } | OpKind::Shr { .. } | OpKind::Sar { .. } if zero => {
                constant(function, op.ty, d, 0)
            }
            _ => return None,
        })
    }

    fn constant_right(
        &mut self,
        function: &mut Function,
        op: Op,
        d: Temp,
        a: Temp,
        c: u64,
    ) -> Option<OpKind> {
        let ty = op.ty;
        let width = u64::from(ty.bits());
        let mov = Some(OpKind::Mov { d, a });
        let ones = c == cut(ty, !0);
        let power = c.is_power_of_two().then(|| u64::from(c.trailing_zeros()));
        match op.kind {
            OpKind::Add { .. } => self.add_constant(function, op, d, a, c),
            OpKind::Sub { .. } => {
                let b = function.constant(ty, c.wrapping_neg());
                Some(OpKind::Add { d, a, b })
            }
            OpKind::And { .. } => self.and_constant(function, ty, d, a, c),
            OpKind::Or { .. } | OpKind::Xor { .. } if c == 0 => mov,
            OpKind::Or { .. } if ones => Some(constant(function, ty, d, !0)),
            OpKind::Xor { .. } if ones => Some(OpKind::Not { d, a }),
            OpKind::Andc { .. } => Some(OpKind::And {
                d,
                a,
                b: function.constant(ty, !c),
            }),
            OpKind::Orc { .. } => Some(OpKind::Or {
                d,
                a,
                b: function.constant(ty, !c),
            }),
            OpKind::Eqv { .. } => Some(OpKind::Xor {
                d,
                a,
                b: function.constant(ty, !c),
            }),
            OpKind::Shl { .. }
            | OpKind::Shr { .. }
            | OpKind::Sar { .. }
            | OpKind::Rotl { .. }
            | OpKind::Rotr { .. }
                if c.is_multiple_of(width) =>
            {
                mov
            }
            OpKind::Sar { .. } if self.bits(function, a).significant == 1 => mov,
            OpKind::Mul { .. } if c == 0 => Some(constant(function, ty, d, 0)),
            OpKind::Mul { .. } | OpKind::Divu { .. } if c == 1 => mov,
            OpKind::Mul { .. } => power.map(|n| OpKind::Shl {
                d,
                a,
                b: function.constant(ty, n),
            }),
            OpKind::Divu { .. } => power.map(|n| OpKind::Shr {
                d,
                a,
                b: function.constant(ty, n),
            }),
            OpKind::Remu { .. } => power.map(|_| OpKind::And {
                d,
                a,
                b: function.constant(ty, c.wrapping_sub(1)),
            }),
            _ => None,
        }
    }

    /// `x + 0`, and `(x + c) + c'`.
    fn add_constant(
        &mut self,
        function: &mut Function,
        op: Op,
        d: Temp,
        a: Temp,
        c: u64,
    ) -> Option<OpKind> {
        if c == 0 {
            return Some(OpKind::Mov { d, a });
        }
        if !matches!(function.temps[usize::from(a.0)].kind, TempKind::Local) {
            return None;
        }
        let Op {
            kind: OpKind::Add { a: base, b, .. },
            ty,
        } = self.definition(function, a)?
        else {
            return None;
        };
        let first = function.const_value(b).filter(|_| ty == op.ty)?;
        let b = function.constant(ty, first.wrapping_add(c));
        Some(OpKind::Add { d, a: base, b })
    }

    fn and_constant(
        &mut self,
        function: &mut Function,
        ty: Type,
        d: Temp,
        a: Temp,
        c: u64,
    ) -> Option<OpKind> {
        if self.bits(function, a).maybe & !c == 0 {
            return Some(OpKind::Mov { d, a });
        }
        let len = c.trailing_ones() as u8;
        // Longer masks fit no immediate.
        (ty == Type::I64 && len >= 32 && c == low_mask(len)).then_some(OpKind::Extract {
            d,
            a,
            pos: 0,
            len,
        })
    }

    fn other(&mut self, function: &mut Function, op: Op, d: Temp) -> Option<OpKind> {
        let ty = op.ty;
        match op.kind {
            OpKind::Extract { a, pos, len, .. } => {
                let fits = self.bits(function, a).maybe & !low_mask(len) == 0;
                (pos == 0 && fits).then_some(OpKind::Mov { d, a })
            }
            OpKind::Sextract { a, pos, len, .. } => self.sextract(function, d, a, pos, len),
            OpKind::Deposit { a, b, pos, len, .. } => self.deposit(function, ty, d, a, b, pos, len),
            OpKind::Extrl { a, .. } => match self.definition(function, a)?.kind {
                OpKind::Exts { a, .. } | OpKind::Extu { a, .. } => Some(OpKind::Mov { d, a }),
                _ => None,
            },
            OpKind::Exts { a, .. } => match self.definition(function, a)?.kind {
                OpKind::Extrl { a, .. } if self.bits(function, a).significant <= 32 => {
                    Some(OpKind::Mov { d, a })
                }
                OpKind::Extrl { a, .. } => Some(OpKind::Sextract {
                    d,
                    a,
                    pos: 0,
                    len: 32,
                }),
                _ => None,
            },
            OpKind::Extu { a, .. } => match self.definition(function, a)?.kind {
                OpKind::Extrl { a, .. } => Some(OpKind::Extract {
                    d,
                    a,
                    pos: 0,
                    len: 32,
                }),
                _ => None,
            },
            OpKind::Setcond { a, b, cond, .. } => self.setcond(function, ty, d, a, b, cond),
            OpKind::Negsetcond { a, b, cond, .. } => {
                let known = self.known_condition(function, ty, a, b, cond)?;
                Some(constant(function, ty, d, u64::from(known).wrapping_neg()))
            }
            OpKind::Movcond {
                a, b, t, f, cond, ..
            } => self.movcond(function, ty, (d, t, f), a, b, cond),
            OpKind::Brcond { a, b, cond, label } => self.brcond(function, op, a, b, cond, label),
            _ => None,
        }
    }

    fn sextract(
        &mut self,
        function: &Function,
        d: Temp,
        a: Temp,
        pos: u8,
        len: u8,
    ) -> Option<OpKind> {
        let bits = self.bits(function, a);
        if pos == 0 && bits.significant <= len {
            return Some(OpKind::Mov { d, a });
        }
        let sign = bits.maybe >> (pos + len - 1) & 1;
        (sign == 0).then_some(OpKind::Extract { d, a, pos, len })
    }

    #[expect(clippy::too_many_arguments, reason = "the op has them")]
    fn deposit(
        &mut self,
        function: &mut Function,
        ty: Type,
        d: Temp,
        a: Temp,
        b: Temp,
        pos: u8,
        len: u8,
    ) -> Option<OpKind> {
        if u32::from(len) == ty.bits() {
            return Some(OpKind::Mov { d, a: b });
        }
        if function.const_value(a) == Some(0) {
            if pos == 0 {
                return Some(OpKind::Extract { d, a: b, pos, len });
            }
            let fits = self.bits(function, b).maybe & !low_mask(len) == 0;
            if fits || u32::from(pos + len) == ty.bits() {
                return Some(OpKind::Shl {
                    d,
                    a: b,
                    b: function.constant(ty, pos.into()),
                });
            }
        }
        if function.const_value(b) == Some(0) {
            let mask = function.constant(ty, !(low_mask(len) << pos));
            return Some(OpKind::And { d, a, b: mask });
        }
        None
    }

    /// What a comparison always gives.
    fn known_condition(
        &mut self,
        function: &Function,
        ty: Type,
        a: Temp,
        b: Temp,
        cond: Cond,
    ) -> Option<bool> {
        if let (Some(a), Some(b)) = (function.const_value(a), function.const_value(b)) {
            return Some(arith::compare(ty, cond, a, b));
        }
        if a == b && !matches!(cond, Cond::TstEq | Cond::TstNe) {
            return Some(arith::compare(ty, cond, 0, 0));
        }
        let (possible, zero) = (
            self.bits(function, a).maybe,
            function.const_value(b) == Some(0),
        );
        match cond {
            Cond::Always => Some(true),
            Cond::Never => Some(false),
            Cond::Ltu if zero => Some(false),
            Cond::Geu if zero => Some(true),
            Cond::TstEq if possible & self.bits(function, b).maybe == 0 => Some(true),
            Cond::TstNe if possible & self.bits(function, b).maybe == 0 => Some(false),
            Cond::Lt if zero && possible >> (ty.bits() - 1) == 0 => Some(false),
            Cond::Ge if zero && possible >> (ty.bits() - 1) == 0 => Some(true),
            _ => None,
        }
    }

    /// The comparison behind `a cond b`, where `a` is a truth value and `b` is 0 (or 1): its
    /// operands, condition and type.
    fn behind(
        &mut self,
        function: &Function,
        a: Temp,
        b: Temp,
        cond: Cond,
    ) -> Option<(Temp, Temp, Cond, Type)> {
        let b = function.const_value(b)?;
        let holds = match (cond, b) {
            (Cond::Ne, 0) | (Cond::Eq, 1) | (Cond::Gtu, 0) => true,
            (Cond::Eq, 0) | (Cond::Ne, 1) => false,
            _ => return None,
        };
        let op = self.definition(function, a)?;
        let OpKind::Setcond { a, b, cond, .. } = op.kind else {
            return None;
        };
        Some((a, b, if holds { cond } else { cond.invert() }, op.ty))
    }

    fn setcond(
        &mut self,
        function: &mut Function,
        ty: Type,
        d: Temp,
        a: Temp,
        b: Temp,
        cond: Cond,
    ) -> Option<OpKind> {
        if let Some(known) = self.known_condition(function, ty, a, b, cond) {
            return Some(constant(function, ty, d, known.into()));
        }
        if function.const_value(a).is_some() && cond.swap() != cond {
            return Some(OpKind::Setcond {
                d,
                a: b,
                b: a,
                cond: cond.swap(),
            });
        }
        let truth = self.bits(function, a).maybe == 1;
        match (cond, function.const_value(b)) {
            (Cond::Ne | Cond::Gtu, Some(0)) | (Cond::Eq, Some(1)) if truth => {
                return Some(OpKind::Mov { d, a });
            }
            _ => {}
        }
        let (a, b, cond, inner) = self.behind(function, a, b, cond)?;
        (inner == ty).then_some(OpKind::Setcond { d, a, b, cond })
    }

    fn movcond(
        &mut self,
        function: &mut Function,
        ty: Type,
        (d, t, f): (Temp, Temp, Temp),
        a: Temp,
        b: Temp,
        cond: Cond,
    ) -> Option<OpKind> {
        if let Some(known) = self.known_condition(function, ty, a, b, cond) {
            return Some(OpKind::Mov {
                d,
                a: if known { t } else { f },
            });
        }
        if t == f {
            return Some(OpKind::Mov { d, a: t });
        }
        match (function.const_value(t), function.const_value(f)) {
            (Some(1), Some(0)) => return Some(OpKind::Setcond { d, a, b, cond }),
            (Some(0), Some(1)) => {
                return Some(OpKind::Setcond {
                    d,
                    a,
                    b,
                    cond: cond.invert(),
                });
            }
            _ => {}
        }
        let (a, b, cond, inner) = self.behind(function, a, b, cond)?;
        (inner == ty).then_some(OpKind::Movcond {
            d,
            a,
            b,
            t,
            f,
            cond,
        })
    }

    fn brcond(
        &mut self,
        function: &mut Function,
        op: Op,
        a: Temp,
        b: Temp,
        cond: Cond,
        label: Label,
    ) -> Option<OpKind> {
        if matches!(cond, Cond::Always | Cond::Never) {
            return None;
        }
        if let Some(known) = self.known_condition(function, op.ty, a, b, cond) {
            let cond = if known { Cond::Always } else { Cond::Never };
            return Some(OpKind::Brcond { a, b, cond, label });
        }
        let (a, b, cond, inner) = self.behind(function, a, b, cond)?;
        (inner == op.ty).then_some(OpKind::Brcond { a, b, cond, label })
    }
}
