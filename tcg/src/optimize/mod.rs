//! The optimizer: constants, copies, known bits and peepholes in one forward pass, then dead code
//! (`liveness.rs`).
//!
//! Facts hold within an extended basic block: they survive a conditional branch that is not taken,
//! and are forgotten at a label that somebody branches to. A fact about a temp carries the temp's
//! version (how often it was assigned), so that an assignment makes it void by itself. The
//! constants of a function are found again by value, so nothing else is needed for them.

mod known_bits;
mod simplify;
#[cfg(test)]
mod tests;

use crate::arith;
use crate::builder::{Function, NO_TEMP};
use crate::cpu_state::SLOTS;
use crate::ir::*;
use known_bits::Bits;

/// A temp as it was at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Value {
    temp: Temp,
    version: u32,
}

/// What is known of a temp.
#[derive(Clone, Copy, Debug)]
struct Info {
    /// Counts assignments; never goes back.
    version: u32,
    /// The extended basic block in which the rest was learnt.
    block: u32,
    /// The same value is in another temp (a constant or a global, or what was there first).
    copy: Option<Value>,
    bits: Bits,
    /// The op that made the value, and the versions of its first two inputs then.
    def: Option<(Op, [u32; 2])>,
}

/// The pass; keeps its working memory from block to block.
#[derive(Default)]
pub struct Optimizer {
    infos: Vec<Info>,
    block: u32,
    label_uses: Vec<u32>,
    out: Vec<Op>,
}

impl Optimizer {
    /// Rewrites the ops of `function`.
    pub fn run(&mut self, function: &mut Function, helpers: &[HelperInfo]) {
        self.infos.clear();
        self.block = 1;
        self.count_labels(function);
        self.out.clear();
        let mut reachable = true;
        let mut ops = std::mem::take(&mut function.ops);
        for &op in &ops {
            if let OpKind::SetLabel { label } = op.kind {
                reachable = self.label(op, label, reachable);
            } else if reachable {
                reachable = self.op(function, helpers, op);
            } else {
                self.unreachable(op);
            }
        }
        std::mem::swap(&mut ops, &mut self.out);
        function.ops = ops;
    }

    fn count_labels(&mut self, function: &Function) {
        self.label_uses.clear();
        self.label_uses.resize(usize::from(function.labels), 0);
        for op in &function.ops {
            if let OpKind::Br { label } | OpKind::Brcond { label, .. } = op.kind {
                self.label_uses[usize::from(label.0)] += 1;
            }
        }
    }

    /// A label nobody branches to is none. Returns whether what follows can be reached.
    fn label(&mut self, op: Op, label: Label, mut reachable: bool) -> bool {
        let uses = &mut self.label_uses[usize::from(label.0)];
        if let Some(Op {
            kind: OpKind::Br { label: last },
            ..
        }) = self.out.last()
            && *last == label
        {
            self.out.pop();
            *uses -= 1;
            reachable = true;
        }
        if *uses == 0 {
            return reachable;
        }
        self.block += 1;
        self.out.push(op);
        true
    }

    fn unreachable(&mut self, op: Op) {
        if let OpKind::InsnStart { .. } = op.kind {
            // Borders count for what follows in the text, wherever it is reached from.
            self.out.push(op);
        }
        if let OpKind::Br { label } | OpKind::Brcond { label, .. } = op.kind {
            self.label_uses[usize::from(label.0)] -= 1;
        }
    }

    /// One op; returns whether the next can be reached.
    fn op(&mut self, function: &mut Function, helpers: &[HelperInfo], mut op: Op) -> bool {
        op.kind.inputs(|t| *t = self.resolve(function, *t));
        op = self.simplify(function, op);
        match op.kind {
            OpKind::Mov { d, a } if d == a => return true,
            OpKind::Brcond {
                cond: Cond::Never,
                label,
                ..
            } => {
                self.label_uses[usize::from(label.0)] -= 1;
                return true;
            }
            OpKind::Brcond {
                cond: Cond::Always,
                label,
                ..
            } => {
                op.kind = OpKind::Br { label };
            }
            OpKind::Call { helper, .. } if helper_writes(helpers, helper) => {
                self.forget_globals(function);
            }
            OpKind::St { offset, .. } if in_slots(offset) => self.forget_globals(function),
            _ => {}
        }
        self.out.push(op);
        self.learn(function, op);
        !op.kind.flags().has(OpFlags::BB_END)
    }

    /// What `learn` finds out stands for the outputs of the op from here on.
    fn learn(&mut self, function: &Function, mut op: Op) {
        let mut inputs = [NO_TEMP; 2];
        let mut versions = [0; 2];
        let mut count = 0;
        op.kind.inputs(|t| {
            if let Some(input) = inputs.get_mut(count) {
                (*input, versions[count]) = (*t, self.info(function, *t).version);
            }
            count += 1;
        });
        let bits = known_bits::result(
            op.kind,
            op.ty,
            |t| self.bits(function, t),
            |t| function.const_value(t),
        );
        let copied = match op.kind {
            OpKind::Mov { a, .. } => Some(Value {
                temp: a,
                version: self.info(function, a).version,
            }),
            _ => None,
        };
        let mut outputs = [NO_TEMP; 2];
        let mut index = 0;
        op.kind.outputs(|t| {
            outputs[index] = *t;
            index += 1;
        });
        let single = index == 1 && count <= 2;
        for (number, temp) in outputs.into_iter().take(index).enumerate() {
            let ty = function.temps[usize::from(temp.0)].ty;
            let bits = if number == 0 && ty == op.ty {
                bits
            } else {
                Bits::unknown(ty)
            };
            let info = self.assign(function, temp);
            info.bits = bits;
            info.def = single.then_some((op, versions));
        }
        if let (OpKind::Mov { d, a }, Some(value)) = (op.kind, copied) {
            self.copied(function, d, a, value);
        }
    }

    /// After `mov d, a`: both hold the value. A global is the better place to find it (it has a
    /// home), so later uses of a local `a` look at `d`.
    fn copied(&mut self, function: &Function, d: Temp, a: Temp, value: Value) {
        let global = |t: Temp| {
            matches!(
                function.temps[usize::from(t.0)].kind,
                TempKind::Global { .. }
            )
        };
        let local = |t: Temp| matches!(function.temps[usize::from(t.0)].kind, TempKind::Local);
        if global(d) && local(a) {
            let version = self.info(function, d).version;
            self.info_mut(function, a).copy = Some(Value { temp: d, version });
        } else {
            self.info_mut(function, d).copy = Some(value);
        }
    }

    /// The best temp that holds the same value as `temp`.
    fn resolve(&mut self, function: &Function, temp: Temp) -> Temp {
        let Some(Value {
            temp: source,
            version,
        }) = self.info(function, temp).copy
        else {
            return temp;
        };
        if self.info(function, source).version != version {
            return temp;
        }
        // Sources are roots when the copy is noted, but may have got a home since.
        match self.info(function, source).copy {
            Some(home) if self.info(function, home.temp).version == home.version => home.temp,
            _ => source,
        }
    }

    /// A new value for `temp`, of which nothing is known.
    fn assign(&mut self, function: &Function, temp: Temp) -> &mut Info {
        let ty = function.temps[usize::from(temp.0)].ty;
        let info = self.info_mut(function, temp);
        info.version += 1;
        (info.copy, info.def, info.bits) = (None, None, Bits::unknown(ty));
        info
    }

    fn forget_globals(&mut self, function: &Function) {
        for (index, temp) in (0..).zip(&function.temps) {
            match temp.kind {
                TempKind::Global { .. } => {
                    self.assign(function, Temp(index));
                }
                _ => break,
            }
        }
    }

    /// The facts about a temp, void if they are of another block.
    fn info_mut(&mut self, function: &Function, temp: Temp) -> &mut Info {
        while self.infos.len() < function.temps.len() {
            let temp = function.temps[self.infos.len()];
            let bits = Bits::unknown(temp.ty);
            self.infos.push(Info {
                version: 0,
                block: 0,
                copy: None,
                bits,
                def: None,
            });
        }
        let info = &mut self.infos[usize::from(temp.0)];
        if info.block != self.block {
            let temp = function.temps[usize::from(temp.0)];
            info.block = self.block;
            (info.copy, info.def) = (None, None);
            info.bits = match temp.kind {
                TempKind::Const(value) => Bits::constant(temp.ty, value),
                _ => Bits::unknown(temp.ty),
            };
        }
        info
    }

    fn info(&mut self, function: &Function, temp: Temp) -> Info {
        *self.info_mut(function, temp)
    }

    /// Read-only: temps not seen in this block are unknown.
    fn bits(&self, function: &Function, temp: Temp) -> Bits {
        let info = function.temps[usize::from(temp.0)];
        match (info.kind, self.infos.get(usize::from(temp.0))) {
            (TempKind::Const(value), _) => Bits::constant(info.ty, value),
            (_, Some(known)) if known.block == self.block => known.bits,
            _ => Bits::unknown(info.ty),
        }
    }

    /// The op that made the value of `temp`, if its inputs still have the values that they had.
    fn definition(&mut self, function: &Function, temp: Temp) -> Option<Op> {
        let (mut op, versions) = self.info(function, temp).def?;
        let mut index = 0;
        let mut same = true;
        let kind = &mut op.kind;
        kind.inputs(|t| {
            same &= index < 2 && self.info(function, *t).version == versions[index.min(1)];
            index += 1;
        });
        same.then_some(op)
    }
}

fn helper_writes(helpers: &[HelperInfo], helper: HelperId) -> bool {
    helpers
        .get(usize::from(helper.0))
        .is_none_or(|info| info.flags.writes_globals())
}

/// A field of the CPU state that may be a global's slot.
pub fn in_slots(offset: i32) -> bool {
    usize::try_from(offset).is_ok_and(|offset| offset < SLOTS * size_of::<u64>())
}

/// The constant that an op computes, if its inputs are constants.
fn fold(function: &Function, mut op: Op) -> Option<(u64, u64)> {
    let mut constant = true;
    op.kind
        .inputs(|t| constant &= function.const_value(*t).is_some());
    if !constant {
        return None;
    }
    arith::evaluate(op.kind, op.ty, |t| function.const_value(t).unwrap_or(0))
}
