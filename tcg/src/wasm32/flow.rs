//! A region as basic blocks, and what must be known of the guest registers there: which may have
//! changed since memory had them (`dirty`), and which are still needed (`live`).
//!
//! A way out of the region needs what may be dirty there, faults included. So at its start the
//! region loads just what is live there.

use std::ops::Range;

use super::{Options, Region};
use crate::cpu_state::SLOTS;
use crate::ir::*;
use crate::optimize::in_slots;

/// A set of guest registers, by slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Slots([u64; SLOTS / 64]);

impl Slots {
    pub fn insert(&mut self, slot: u8) {
        self.0[usize::from(slot) / 64] |= 1 << (slot % 64);
    }

    pub fn remove(&mut self, slot: u8) {
        self.0[usize::from(slot) / 64] &= !(1 << (slot % 64));
    }

    pub fn contains(&self, slot: u8) -> bool {
        self.0[usize::from(slot) / 64] >> (slot % 64) & 1 != 0
    }

    pub fn union(mut self, other: Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(a, b)| *a |= b);
        self
    }

    pub fn intersection(mut self, other: Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(a, b)| *a &= b);
        self
    }

    pub fn difference(mut self, other: Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(a, b)| *a &= !b);
        self
    }

    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..=u8::MAX).filter(move |&slot| self.contains(slot))
    }
}

/// Where a basic block goes on, beside the ways out of the region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// There is no way on in the region.
    Leave,
    /// To a basic block.
    Goto(usize),
    /// Its last op is a `brcond`: to the first if it holds, else to the second.
    Branch(usize, usize),
    /// Its last op is a `goto_ptr`: to any of these, or out.
    Computed(Vec<usize>),
}

impl End {
    pub fn successors(&self) -> Vec<usize> {
        match self {
            Self::Leave => Vec::new(),
            Self::Goto(to) => vec![*to],
            // The one that is not taken comes next.
            Self::Branch(taken, next) => vec![*next, *taken],
            Self::Computed(to) => to.clone(),
        }
    }
}

/// A basic block: ops of one block of the region.
#[derive(Clone, Debug)]
pub struct BasicBlock {
    /// Number of the region's block.
    pub block: usize,
    /// Its ops, but for labels and `br`.
    pub ops: Range<usize>,
    /// It starts the block.
    pub is_start: bool,
    /// Guest instructions of the block that start in front of it.
    pub insns: u32,
    pub end: End,
}

/// What an op does to guest registers beyond its own operands.
#[derive(Clone, Copy, Debug, Default)]
pub struct Effects {
    /// Memory must have all before it.
    pub write_back: bool,
    /// Memory may have others after it.
    pub reload: bool,
    /// It may leave the region with an exception.
    pub faults: bool,
    /// It may leave the region otherwise.
    pub leaves: bool,
}

pub fn effects(kind: OpKind, options: &Options<'_>) -> Effects {
    match kind {
        OpKind::Call { helper, .. } => {
            let info = options.helpers.get(usize::from(helper.0));
            let flags = info.map_or(HelperFlags::NONE, |info| info.flags);
            Effects {
                write_back: flags.reads_globals(),
                reload: flags.writes_globals(),
                faults: flags.has(HelperFlags::MAY_RAISE),
                leaves: false,
            }
        }
        OpKind::Ld { offset, .. } => Effects {
            write_back: in_slots(offset),
            ..Effects::default()
        },
        OpKind::St { offset, .. } => Effects {
            write_back: in_slots(offset),
            reload: in_slots(offset),
            ..Effects::default()
        },
        OpKind::GotoTb { .. } | OpKind::GotoPtr {} | OpKind::ExitTb { .. } => Effects {
            leaves: true,
            ..Effects::default()
        },
        _ => Effects {
            faults: kind.flags().has(OpFlags::MAY_FAULT),
            ..Effects::default()
        },
    }
}

/// Guest registers that an op reads and writes.
pub fn slots_of(region: &Region<'_>, block: usize, op: Op) -> (Slots, Slots) {
    let temps = &region.blocks[block].function.temps;
    let (mut read, mut written) = (Slots::default(), Slots::default());
    let slot = |temp: &Temp| match temps.get(usize::from(temp.0)).map(|info| info.kind) {
        Some(TempKind::Global { slot }) => Some(slot),
        _ => None,
    };
    let mut kind = op.kind;
    kind.inputs(|temp| slot(temp).into_iter().for_each(|slot| read.insert(slot)));
    kind.outputs(|temp| slot(temp).into_iter().for_each(|slot| written.insert(slot)));
    (read, written)
}

/// See the module's text.
pub struct Flow {
    pub blocks: Vec<BasicBlock>,
    /// By block of the region: its first basic block.
    pub starts: Vec<usize>,
    /// By basic block: what may be dirty at its start.
    pub dirty: Vec<Slots>,
    /// By basic block: what is live at its start.
    pub live: Vec<Slots>,
    /// What the region reads or writes anywhere.
    pub used: Slots,
    /// The sets that faults write back.
    pub fault_sets: Vec<Slots>,
}

/// More sets than this, and further faults write back all that the region ever changes.
const FAULT_SETS_MAX: usize = 16;

impl Flow {
    pub fn new(region: &Region<'_>, options: &Options<'_>) -> Self {
        let (blocks, starts) = basic_blocks(region);
        let count = blocks.len();
        let mut flow = Self {
            blocks,
            starts,
            dirty: vec![Slots::default(); count],
            live: vec![Slots::default(); count],
            used: Slots::default(),
            fault_sets: Vec::new(),
        };
        let reachable = flow.reachable(region);
        flow.find_dirty(region, options, &reachable);
        flow.find_fault_sets(region, options, &reachable);
        flow.find_live(region, options, &reachable);
        flow
    }

    /// Basic blocks that can be reached from the entries.
    pub fn reachable(&self, region: &Region<'_>) -> Vec<bool> {
        let mut reachable = vec![false; self.blocks.len()];
        let mut work: Vec<usize> = region.entries.iter().map(|&e| self.starts[e]).collect();
        while let Some(at) = work.pop() {
            if !std::mem::replace(&mut reachable[at], true) {
                work.extend(self.blocks[at].end.successors());
            }
        }
        reachable
    }

    fn find_dirty(&mut self, region: &Region<'_>, options: &Options<'_>, reachable: &[bool]) {
        let mut work: Vec<usize> = (0..self.blocks.len())
            .rev()
            .filter(|&b| reachable[b])
            .collect();
        let mut visited = vec![false; self.blocks.len()];
        while let Some(at) = work.pop() {
            visited[at] = true;
            let dirty = self.dirty_after(region, options, at);
            for to in self.blocks[at].end.successors() {
                let joined = self.dirty[to].union(dirty);
                if joined != self.dirty[to] || !visited[to] {
                    self.dirty[to] = joined;
                    work.push(to);
                }
            }
        }
    }

    fn dirty_after(&mut self, region: &Region<'_>, options: &Options<'_>, at: usize) -> Slots {
        let block = self.blocks[at].clone();
        let mut dirty = self.dirty[at];
        for &op in &region.blocks[block.block].function.ops[block.ops] {
            let (read, written) = slots_of(region, block.block, op);
            self.used = self.used.union(read).union(written);
            dirty = step_dirty(dirty, written, effects(op.kind, options));
        }
        dirty
    }

    fn find_fault_sets(&mut self, region: &Region<'_>, options: &Options<'_>, reachable: &[bool]) {
        let (mut sets, mut all): (Vec<Slots>, Slots) = (Vec::new(), Slots::default());
        for at in (0..self.blocks.len()).filter(|&b| reachable[b]) {
            let block = &self.blocks[at];
            let mut dirty = self.dirty[at];
            for &op in &region.blocks[block.block].function.ops[block.ops.clone()] {
                let effects = effects(op.kind, options);
                let before = if effects.write_back {
                    Slots::default()
                } else {
                    dirty
                };
                if (effects.faults || is_exception(op.kind)) && !sets.contains(&before) {
                    sets.push(before);
                }
                let (_, written) = slots_of(region, block.block, op);
                all = all.union(written);
                dirty = step_dirty(dirty, written, effects);
            }
        }
        if sets.len() > FAULT_SETS_MAX {
            sets.truncate(FAULT_SETS_MAX - 1);
            sets.push(all);
        }
        self.fault_sets = sets;
    }

    /// The number of the set that a fault with these dirty registers writes back.
    pub fn fault_set(&self, dirty: Slots) -> usize {
        let found = self.fault_sets.iter().position(|set| *set == dirty);
        found.unwrap_or(self.fault_sets.len().saturating_sub(1))
    }

    fn find_live(&mut self, region: &Region<'_>, options: &Options<'_>, reachable: &[bool]) {
        let mut predecessors = vec![Vec::new(); self.blocks.len()];
        for at in (0..self.blocks.len()).filter(|&b| reachable[b]) {
            for to in self.blocks[at].end.successors() {
                predecessors[to].push(at);
            }
        }
        let mut work: Vec<usize> = (0..self.blocks.len()).filter(|&b| reachable[b]).collect();
        while let Some(at) = work.pop() {
            let live = self.live_through(region, options, at, |_, _| ());
            if live != self.live[at] {
                self.live[at] = live;
                work.extend(&predecessors[at]);
            }
        }
    }

    /// What is live at the start of a basic block; tells `note` what is live behind each op.
    pub fn live_through(
        &self,
        region: &Region<'_>,
        options: &Options<'_>,
        at: usize,
        mut note: impl FnMut(usize, Slots),
    ) -> Slots {
        let block = &self.blocks[at];
        let ops = &region.blocks[block.block].function.ops[block.ops.clone()];
        let needed = self.needed(region, options, at);
        let successors = block.end.successors().into_iter();
        let mut live = successors.fold(Slots::default(), |live, to| live.union(self.live[to]));
        for (index, &op) in ops.iter().enumerate().rev() {
            note(block.ops.start + index, live);
            let (read, written) = slots_of(region, block.block, op);
            let effects = effects(op.kind, options);
            if effects.reload {
                live = Slots::default();
            }
            written.iter().for_each(|slot| live.remove(slot));
            live = live.union(read).union(needed[index]);
        }
        live.union(self.needed_at_start(region, at))
    }

    /// By op: what its ways out write back.
    fn needed(&self, region: &Region<'_>, options: &Options<'_>, at: usize) -> Vec<Slots> {
        let block = &self.blocks[at];
        let mut dirty = self.dirty[at];
        let ops = &region.blocks[block.block].function.ops[block.ops.clone()];
        let needed = ops.iter().map(|&op| {
            let effects = effects(op.kind, options);
            let mut needed = Slots::default();
            if effects.write_back || effects.leaves {
                needed = dirty;
            }
            if effects.faults || is_exception(op.kind) {
                let before = if effects.write_back {
                    Slots::default()
                } else {
                    dirty
                };
                needed = needed.union(self.fault_sets[self.fault_set(before)]);
            }
            if let OpKind::GotoPtr {} = op.kind {
                needed.insert(options.pc_slot);
            }
            dirty = step_dirty(dirty, slots_of(region, block.block, op).1, effects);
            needed
        });
        needed.collect()
    }

    /// A block may not be entered (`-icount`, the budget of loops): then it is left at its start.
    fn needed_at_start(&self, _region: &Region<'_>, at: usize) -> Slots {
        match self.blocks[at].is_start {
            true => self.dirty[at],
            false => Slots::default(),
        }
    }
}

pub fn is_exception(kind: OpKind) -> bool {
    let exception = TbExit::Exception;
    matches!(kind, OpKind::ExitTb { exit } if exit == exception)
}

/// What may be dirty behind an op.
pub fn step_dirty(dirty: Slots, written: Slots, effects: Effects) -> Slots {
    let before = if effects.write_back {
        Slots::default()
    } else {
        dirty
    };
    before.union(written)
}

/// Cuts the blocks of a region at labels and branches. Also returns where each block starts.
fn basic_blocks(region: &Region<'_>) -> (Vec<BasicBlock>, Vec<usize>) {
    let mut cut = Cut::default();
    for number in 0..region.blocks.len() {
        cut.block(region, number);
    }
    let starts = cut.starts;
    for (block, end) in cut.blocks.iter_mut().zip(cut.ends) {
        let labels = &cut.labels[block.block];
        let at = |label: Label| labels[usize::from(label.0)];
        block.end = match end {
            Cutting::Leave => End::Leave,
            Cutting::Next(next) => End::Goto(next),
            Cutting::Br(label) => End::Goto(at(label)),
            Cutting::Brcond(label, next) => End::Branch(at(label), next),
            Cutting::Direct(to) => End::Goto(starts[to]),
            Cutting::Computed(to) => End::Computed(to.iter().map(|&to| starts[to]).collect()),
        };
    }
    (cut.blocks, starts)
}

/// An end whose label may not have been met yet.
enum Cutting {
    Leave,
    Next(usize),
    Br(Label),
    Brcond(Label, usize),
    Direct(usize),
    Computed(Vec<usize>),
}

#[derive(Default)]
struct Cut {
    blocks: Vec<BasicBlock>,
    ends: Vec<Cutting>,
    starts: Vec<usize>,
    /// By block, by label.
    labels: Vec<Vec<usize>>,
}

impl Cut {
    fn block(&mut self, region: &Region<'_>, number: usize) {
        let block = &region.blocks[number];
        let ops = &block.function.ops;
        self.starts.push(self.blocks.len());
        self.labels
            .push(vec![0; usize::from(block.function.labels)]);
        let (mut from, mut insns, mut next_insns) = (0, 0, 0);
        // Behind an op that always goes elsewhere, until the next label.
        let mut dead = false;
        for (index, op) in ops.iter().enumerate() {
            let next = self.blocks.len() + 1;
            let end = match op.kind {
                OpKind::InsnStart { .. } => {
                    next_insns += 1;
                    continue;
                }
                OpKind::SetLabel { label } => {
                    if !dead {
                        self.push(number, from..index, insns, Cutting::Next(next));
                    }
                    self.labels[number][usize::from(label.0)] = self.blocks.len();
                    (from, insns, dead) = (index + 1, next_insns, false);
                    continue;
                }
                _ if dead => continue,
                OpKind::Br { label } => (index, Cutting::Br(label)),
                OpKind::Brcond { label, .. } => (index + 1, Cutting::Brcond(label, next)),
                OpKind::GotoTb { slot } => match block.direct[usize::from(slot & 1)] {
                    Some(to) => (index, Cutting::Direct(to)),
                    None => continue,
                },
                OpKind::ExitTb { .. } => (index + 1, Cutting::Leave),
                OpKind::GotoPtr {} => (index + 1, Cutting::Computed(block.indirect.clone())),
                _ => continue,
            };
            dead = !matches!(end.1, Cutting::Brcond(..));
            self.push(number, from..end.0, insns, end.1);
            (from, insns) = (index + 1, next_insns);
        }
        if !dead {
            self.push(number, from..ops.len(), insns, Cutting::Leave);
        }
    }

    fn push(&mut self, block: usize, ops: Range<usize>, insns: u32, end: Cutting) {
        self.blocks.push(BasicBlock {
            block,
            ops,
            is_start: self.blocks.len() == self.starts[block],
            insns,
            end: End::Leave,
        });
        self.ends.push(end);
    }
}
