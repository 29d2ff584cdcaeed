//! Evaluates the ops of one instruction, as the op table words their meaning; stops where the
//! block is left. Memory and calls are not here.

use tcg::builder::Function;
use tcg::ir::{Cond, Label, Op, OpKind, Temp, TempKind, Type};

use crate::cpu::slot;

/// Values of all temps.
pub struct Machine {
    temps: Vec<Option<u64>>,
    /// The block was left.
    pub left: bool,
}

/// What comes after an op.
enum Next {
    Op,
    Label(Label),
    Leave,
}

fn sign_extend(value: u64, bits: u32) -> u64 {
    ((value << (64 - bits)) as i64 >> (64 - bits)) as u64
}

fn holds(cond: Cond, ty: Type, a: u64, b: u64) -> bool {
    let (sa, sb) = (
        sign_extend(a, ty.bits()) as i64,
        sign_extend(b, ty.bits()) as i64,
    );
    match cond {
        Cond::Eq => a == b,
        Cond::Ne => a != b,
        Cond::Lt => sa < sb,
        Cond::Ge => sa >= sb,
        Cond::Le => sa <= sb,
        Cond::Gt => sa > sb,
        Cond::Ltu => a < b,
        Cond::Geu => a >= b,
        Cond::Leu => a <= b,
        Cond::Gtu => a > b,
        Cond::TstEq => a & b == 0,
        Cond::TstNe => a & b != 0,
        Cond::Always => true,
        Cond::Never => false,
    }
}

impl Machine {
    /// All x registers are zero.
    pub fn new(function: &Function) -> Self {
        let value = |(index, info): (usize, &tcg::builder::TempInfo)| match info.kind {
            TempKind::Const(value) => Some(value),
            TempKind::Global { .. } => (1..slot::F0).contains(&index).then_some(0),
            TempKind::Local => None,
        };
        let temps = function.temps.iter().enumerate().map(value).collect();
        Self { temps, left: false }
    }

    pub fn x(&self, index: usize) -> u64 {
        self.temps[slot::X0 + index].expect("x registers have values")
    }

    pub fn set_x(&mut self, index: usize, value: u64) {
        self.temps[slot::X0 + index] = Some(value);
    }

    pub fn pc(&self) -> u64 {
        self.temps[slot::PC].expect("the pc was set")
    }

    pub fn run(&mut self, function: &Function) {
        let mut at = 0;
        while let Some(op) = function.ops.get(at) {
            at += 1;
            match self.step(op) {
                Next::Op => {}
                Next::Leave => {
                    self.left = true;
                    return;
                }
                Next::Label(label) => {
                    let set = |op: &Op| op.kind == OpKind::SetLabel { label };
                    at = function.ops.iter().position(set).expect("labels are set");
                }
            }
        }
    }

    fn get(&self, temp: Temp) -> u64 {
        self.temps[usize::from(temp.0)].unwrap_or_else(|| panic!("{temp:?} has no value"))
    }

    fn step(&mut self, op: &Op) -> Next {
        match op.kind {
            OpKind::InsnStart { .. } | OpKind::SetLabel { .. } | OpKind::GotoTb { .. } => Next::Op,
            OpKind::Br { label } => Next::Label(label),
            OpKind::Brcond { a, b, cond, label } => {
                match holds(cond, op.ty, self.get(a), self.get(b)) {
                    true => Next::Label(label),
                    false => Next::Op,
                }
            }
            OpKind::GotoPtr {} | OpKind::ExitTb { .. } => Next::Leave,
            mut kind => {
                let value = self.value(op.ty, kind);
                let value = if op.ty == Type::I32 {
                    u64::from(value as u32)
                } else {
                    value
                };
                kind.outputs(|d| self.temps[usize::from(d.0)] = Some(value));
                Next::Op
            }
        }
    }

    fn value(&self, ty: Type, kind: OpKind) -> u64 {
        match kind {
            OpKind::Mov { a, .. } => self.get(a),
            OpKind::Not { a, .. } => !self.get(a),
            OpKind::Ctpop { a, .. } => self.get(a).count_ones().into(),
            OpKind::Bswap64 { a, .. } => self.get(a).swap_bytes(),
            OpKind::Extrl { a, .. } | OpKind::Extu { a, .. } => self.get(a) & 0xffff_ffff,
            OpKind::Exts { a, .. } => sign_extend(self.get(a), 32),
            OpKind::Extract { a, pos, len, .. } => self.get(a) << (64 - pos - len) >> (64 - len),
            OpKind::Sextract { a, pos, len, .. } => sign_extend(self.get(a) >> pos, len.into()),
            OpKind::Deposit { a, b, pos, len, .. } => {
                let mask = u64::MAX >> (64 - len) << pos;
                self.get(a) & !mask | self.get(b) << pos & mask
            }
            OpKind::Setcond { a, b, cond, .. } => holds(cond, ty, self.get(a), self.get(b)).into(),
            OpKind::Movcond {
                a, b, t, f, cond, ..
            } => {
                let holds = holds(cond, ty, self.get(a), self.get(b));
                if holds { self.get(t) } else { self.get(f) }
            }
            _ => self.binary(ty, kind),
        }
    }

    fn binary(&self, ty: Type, mut kind: OpKind) -> u64 {
        let mut inputs = Vec::new();
        kind.inputs(|temp| inputs.push(self.get(*temp)));
        let [a, b] = inputs[..] else {
            panic!("{kind:?} is not evaluated here")
        };
        let bits = ty.bits();
        let (sa, sb) = (sign_extend(a, bits) as i64, sign_extend(b, bits) as i64);
        let count = b as u32 & (bits - 1);
        match kind {
            OpKind::Add { .. } => a.wrapping_add(b),
            OpKind::Sub { .. } => a.wrapping_sub(b),
            OpKind::Mul { .. } => a.wrapping_mul(b),
            OpKind::Muluh { .. } => ((u128::from(a) * u128::from(b)) >> 64) as u64,
            OpKind::Mulsh { .. } => ((i128::from(sa) * i128::from(sb)) >> 64) as u64,
            OpKind::Mulsuh { .. } => (i128::from(sa).wrapping_mul(b.into()) >> 64) as u64,
            OpKind::Divs { .. } => {
                if sb == 0 {
                    !0
                } else {
                    sa.wrapping_div(sb) as u64
                }
            }
            OpKind::Rems { .. } => {
                if sb == 0 {
                    a
                } else {
                    sa.wrapping_rem(sb) as u64
                }
            }
            OpKind::Divu { .. } => a.checked_div(b).unwrap_or(!0),
            OpKind::Remu { .. } => a.checked_rem(b).unwrap_or(a),
            OpKind::And { .. } => a & b,
            OpKind::Or { .. } => a | b,
            OpKind::Xor { .. } => a ^ b,
            OpKind::Andc { .. } => a & !b,
            OpKind::Orc { .. } => a | !b,
            OpKind::Eqv { .. } => !(a ^ b),
            OpKind::Shl { .. } => a << count,
            OpKind::Shr { .. } => a >> count,
            OpKind::Sar { .. } => (sa >> count) as u64,
            OpKind::Rotl { .. } if bits == 32 => (a as u32).rotate_left(count).into(),
            OpKind::Rotr { .. } if bits == 32 => (a as u32).rotate_right(count).into(),
            OpKind::Rotl { .. } => a.rotate_left(count),
            OpKind::Rotr { .. } => a.rotate_right(count),
            OpKind::Clz { .. } if a == 0 => b,
            OpKind::Ctz { .. } if a == 0 => b,
            OpKind::Clz { .. } => u64::from(a.leading_zeros()) - u64::from(64 - bits),
            OpKind::Ctz { .. } => a.trailing_zeros().into(),
            _ => panic!("{kind:?} is not evaluated here"),
        }
    }
}
