//! Dead code: a backward pass that removes ops whose results nobody uses, and assignments to
//! globals that are overwritten before anybody can look at them.
//!
//! Globals are alive wherever somebody outside may look: at the block's ends, at ops that may
//! fault, at helpers that read them. Locals are alive where a later op uses them, over branches
//! too; at a backward branch everything is taken to be alive.

use crate::builder::Function;
use crate::ir::*;
use crate::optimize::in_slots;

/// The pass; keeps its working memory from block to block.
#[derive(Default)]
pub struct Liveness {
    live: Vec<u64>,
    globals: Vec<u64>,
    /// What is alive at each label; empty while the pass has not come to it.
    labels: Vec<Vec<u64>>,
    keep: Vec<bool>,
}

impl Liveness {
    /// Removes dead ops from `function`.
    pub fn run(&mut self, function: &mut Function, helpers: &[HelperInfo]) {
        let words = function.temps.len().div_ceil(64);
        self.globals.clear();
        self.globals.resize(words, 0);
        for (index, temp) in function.temps.iter().enumerate() {
            if let TempKind::Global { .. } = temp.kind {
                self.globals[index / 64] |= 1 << (index % 64);
            }
        }
        self.live.clone_from(&self.globals);
        self.labels.iter_mut().for_each(Vec::clear);
        let labels = usize::from(function.labels).max(self.labels.len());
        self.labels.resize(labels, Vec::new());
        self.keep.clear();
        for op in function.ops.iter_mut().rev() {
            let keep = self.op(helpers, &mut op.kind);
            self.keep.push(keep);
        }
        let mut keep = self.keep.iter().rev();
        function
            .ops
            .retain(|_| keep.next().copied().unwrap_or(true));
    }

    fn op(&mut self, helpers: &[HelperInfo], kind: &mut OpKind) -> bool {
        match *kind {
            OpKind::SetLabel { label } => {
                self.labels[usize::from(label.0)].clone_from(&self.live);
                return true;
            }
            OpKind::Br { label } => self.branch(label, true),
            OpKind::Brcond { label, .. } => self.branch(label, false),
            OpKind::GotoPtr {} | OpKind::ExitTb { .. } => self.live.clone_from(&self.globals),
            OpKind::GotoTb { .. } => self.all_globals(),
            OpKind::InsnStart { .. } | OpKind::Mb { .. } => return true,
            _ => return self.plain(helpers, kind),
        }
        kind.inputs(|t| self.set(*t));
        true
    }

    /// Ops that may have results.
    fn plain(&mut self, helpers: &[HelperInfo], kind: &mut OpKind) -> bool {
        let mut wanted = false;
        kind.outputs(|t| wanted |= self.is_live(*t));
        let effects = self.effects(helpers, *kind);
        if !wanted && !effects.any {
            return false;
        }
        kind.outputs(|t| self.clear(*t));
        if effects.reads_globals {
            self.all_globals();
        }
        kind.inputs(|t| self.set(*t));
        true
    }

    fn effects(&self, helpers: &[HelperInfo], kind: OpKind) -> Effects {
        match kind {
            OpKind::Call { helper, .. } => {
                let flags = helpers
                    .get(usize::from(helper.0))
                    .map_or(HelperFlags::NONE, |info| info.flags);
                Effects {
                    any: !flags.has(HelperFlags::PURE),
                    reads_globals: flags.reads_globals(),
                }
            }
            OpKind::Ld { offset, .. } => Effects {
                any: false,
                reads_globals: in_slots(offset),
            },
            OpKind::St { .. } => Effects {
                any: true,
                reads_globals: false,
            },
            _ => {
                let faults = kind.flags().has(OpFlags::MAY_FAULT);
                Effects {
                    any: faults,
                    reads_globals: faults,
                }
            }
        }
    }

    /// What is alive at the destination is alive here.
    fn branch(&mut self, label: Label, always: bool) {
        let there = &self.labels[usize::from(label.0)];
        if there.is_empty() {
            self.live.fill(!0);
        } else if always {
            self.live.clone_from(there);
        } else {
            for (live, there) in self.live.iter_mut().zip(there) {
                *live |= there;
            }
        }
    }

    fn all_globals(&mut self) {
        for (live, global) in self.live.iter_mut().zip(&self.globals) {
            *live |= global;
        }
    }

    fn is_live(&self, temp: Temp) -> bool {
        self.live[usize::from(temp.0) / 64] >> (temp.0 % 64) & 1 != 0
    }

    fn set(&mut self, temp: Temp) {
        self.live[usize::from(temp.0) / 64] |= 1 << (temp.0 % 64);
    }

    fn clear(&mut self, temp: Temp) {
        self.live[usize::from(temp.0) / 64] &= !(1 << (temp.0 % 64));
    }
}

/// What an op does beyond its results.
#[derive(Clone, Copy, Debug)]
struct Effects {
    any: bool,
    reads_globals: bool,
}
