//! A region as basic blocks, and what must be known of the guest registers there: which may have
//! changed since memory had them (`dirty`), and which are still needed (`live`).
//!
//! A way out of the region needs what may be dirty there, faults included. So at its start the
//! region loads just what is live there.

use std::ops::Range;

use super::{Options, Region, RegionBlock};
use crate::builder::Function;
use crate::cpu_state::SLOTS;
use crate::ir::*;
use crate::optimize::in_slots;

/// A set of guest registers, by slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Slots([u64; SLOTS / 64]);

impl Slots {
    pub const ALL: Self = Self([!0; SLOTS / 64]);

    pub fn insert(&mut self, slot: u8) {
        self.0[usize::from(slot) / 64] |= 1 << (slot % 64);
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
        let words = self.0.into_iter().zip((0u8..).step_by(64));
        words.flat_map(|(mut word, first)| {
            std::iter::from_fn(move || {
                let bit = word.trailing_zeros() as u8;
                word &= word.wrapping_sub(1);
                (bit < 64).then(|| first + bit)
            })
        })
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

fn effects(kind: OpKind, options: &Options<'_>) -> Effects {
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
        OpKind::ExitTb {
            exit: TbExit::Exception,
        } => Effects {
            faults: true,
            ..Effects::default()
        },
        // Whether it is linked or not, the region is left: one write-back serves both ways.
        OpKind::GotoTb { .. } => Effects {
            write_back: true,
            leaves: true,
            ..Effects::default()
        },
        OpKind::GotoPtr {} | OpKind::ExitTb { .. } => Effects {
            leaves: true,
            ..Effects::default()
        },
        _ => Effects {
            faults: kind.flags().has(OpFlags::MAY_FAULT),
            ..Effects::default()
        },
    }
}

/// What the analysis asks of an op.
#[derive(Clone, Copy, Debug)]
pub struct OpInfo {
    /// Guest registers among its inputs and outputs.
    pub read: Slots,
    pub written: Slots,
    pub effects: Effects,
}

fn op_info(function: &Function, op: Op, options: &Options<'_>) -> OpInfo {
    let temps = &function.temps;
    let (mut read, mut written) = (Slots::default(), Slots::default());
    let slot = |temp: &Temp| match temps.get(usize::from(temp.0)).map(|info| info.kind) {
        Some(TempKind::Global { slot }) => Some(slot),
        _ => None,
    };
    let mut kind = op.kind;
    if let OpKind::GotoPtr {} = kind {
        read.insert(options.pc_slot);
    }
    kind.inputs(|temp| slot(temp).into_iter().for_each(|slot| read.insert(slot)));
    kind.outputs(|temp| slot(temp).into_iter().for_each(|slot| written.insert(slot)));
    OpInfo {
        read,
        written,
        effects: effects(op.kind, options),
    }
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
    /// By block of the region, by op.
    pub ops: Vec<Vec<OpInfo>>,
}

/// More sets than this, and further faults write back all that the region ever changes.
const FAULT_SETS_MAX: usize = 16;

impl Flow {
    pub fn new(region: &Region<'_>, options: &Options<'_>) -> Self {
        let (blocks, starts) = basic_blocks(region);
        let count = blocks.len();
        let info = |block: &RegionBlock<'_>| {
            let ops = block.function.ops.iter();
            ops.map(|&op| op_info(block.function, op, options))
                .collect()
        };
        let mut flow = Self {
            blocks,
            starts,
            dirty: vec![Slots::default(); count],
            live: vec![Slots::default(); count],
            used: Slots::default(),
            fault_sets: Vec::new(),
            ops: region.blocks.iter().map(info).collect(),
        };
        let reachable = flow.reachable(region);
        flow.find_dirty(&reachable);
        flow.find_fault_sets(&reachable);
        flow.find_live(&reachable);
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

    /// The ops of a basic block.
    fn infos(&self, at: usize) -> &[OpInfo] {
        let block = &self.blocks[at];
        &self.ops[block.block][block.ops.clone()]
    }

    fn find_dirty(&mut self, reachable: &[bool]) {
        // What a block makes dirty, and whether what was so stays so.
        let transfer: Vec<(Slots, bool)> = (0..self.blocks.len())
            .map(|at| {
                let infos = self.infos(at);
                let dirty = infos
                    .iter()
                    .fold(Slots::default(), |dirty, op| op.dirty(dirty));
                (dirty, !infos.iter().any(|op| op.effects.write_back))
            })
            .collect();
        let mut work: Vec<usize> = (0..self.blocks.len())
            .rev()
            .filter(|&b| reachable[b])
            .collect();
        let mut visited = vec![false; self.blocks.len()];
        while let Some(at) = work.pop() {
            visited[at] = true;
            let (made, keeps) = transfer[at];
            let dirty = if keeps {
                made.union(self.dirty[at])
            } else {
                made
            };
            for to in self.blocks[at].end.successors() {
                let joined = self.dirty[to].union(dirty);
                if joined != self.dirty[to] || !visited[to] {
                    self.dirty[to] = joined;
                    work.push(to);
                }
            }
        }
    }

    fn find_fault_sets(&mut self, reachable: &[bool]) {
        let (mut sets, mut used): (Vec<Slots>, Slots) = (Vec::new(), Slots::default());
        let mut changed = Slots::default();
        for at in (0..self.blocks.len()).filter(|&b| reachable[b]) {
            let mut dirty = self.dirty[at];
            for op in self.infos(at) {
                let before = op.dirty_before(dirty);
                if op.effects.faults && !sets.contains(&before) {
                    sets.push(before);
                }
                used = used.union(op.read).union(op.written);
                changed = changed.union(op.written);
                dirty = op.dirty(dirty);
            }
        }
        if sets.len() > FAULT_SETS_MAX {
            // Nothing may be written back over what a helper that raised has changed.
            sets.sort_by_key(|set| *set != Slots::default());
            sets.truncate(FAULT_SETS_MAX - 1);
            sets.push(changed);
        }
        self.fault_sets = sets;
        self.used = used;
    }

    /// The number of the set that a fault with these dirty registers writes back.
    pub fn fault_set(&self, dirty: Slots) -> usize {
        let found = self.fault_sets.iter().position(|set| *set == dirty);
        found.unwrap_or(self.fault_sets.len().saturating_sub(1))
    }

    fn find_live(&mut self, reachable: &[bool]) {
        let mut predecessors = vec![Vec::new(); self.blocks.len()];
        for at in (0..self.blocks.len()).filter(|&b| reachable[b]) {
            for to in self.blocks[at].end.successors() {
                predecessors[to].push(at);
            }
        }
        // What a block needs whatever follows, and what it passes on.
        let transfer: Vec<(Slots, Slots)> = (0..self.blocks.len())
            .map(|at| {
                let needs = self.live_through(at, Slots::default(), |_, _| ());
                let passes =
                    self.infos(at)
                        .iter()
                        .fold(Slots::ALL, |passes, op| match op.effects.reload {
                            true => Slots::default(),
                            false => passes.difference(op.written),
                        });
                (needs, passes)
            })
            .collect();
        let mut work: Vec<usize> = (0..self.blocks.len()).filter(|&b| reachable[b]).collect();
        while let Some(at) = work.pop() {
            let (needs, passes) = transfer[at];
            let live = needs.union(passes.intersection(self.live_behind(at)));
            if live != self.live[at] {
                self.live[at] = live;
                work.extend(&predecessors[at]);
            }
        }
    }

    /// What is live at the end of a basic block.
    pub fn live_behind(&self, at: usize) -> Slots {
        let successors = self.blocks[at].end.successors().into_iter();
        successors.fold(Slots::default(), |live, to| live.union(self.live[to]))
    }

    /// What is live at the start of a basic block, with `live` at its end; tells `note` what is
    /// live behind each op.
    pub fn live_through(
        &self,
        at: usize,
        mut live: Slots,
        mut note: impl FnMut(usize, Slots),
    ) -> Slots {
        let infos = self.infos(at);
        let mut dirty = self.dirty[at];
        let needed: Vec<Slots> = infos
            .iter()
            .map(|op| {
                let needed = self.needed(op, dirty);
                dirty = op.dirty(dirty);
                needed
            })
            .collect();
        let first = self.blocks[at].ops.start;
        for (index, op) in infos.iter().enumerate().rev() {
            note(first + index, live);
            if op.effects.reload {
                live = Slots::default();
            }
            live = live
                .difference(op.written)
                .union(op.read)
                .union(needed[index]);
        }
        // A block may not be entered (`-icount`, the budget of loops): then it is left here.
        match self.blocks[at].is_start {
            true => live.union(self.dirty[at]),
            false => live,
        }
    }

    /// What the ways out of an op write back.
    fn needed(&self, op: &OpInfo, dirty: Slots) -> Slots {
        let mut needed = Slots::default();
        if op.effects.write_back || op.effects.leaves {
            needed = dirty;
        }
        if op.effects.faults {
            let set = self.fault_set(op.dirty_before(dirty));
            // Blocks that cannot be reached have no set.
            needed = needed.union(self.fault_sets.get(set).copied().unwrap_or_default());
        }
        needed
    }
}

impl OpInfo {
    /// What may be dirty when the op does its work.
    pub fn dirty_before(&self, dirty: Slots) -> Slots {
        match self.effects.write_back {
            true => Slots::default(),
            false => dirty,
        }
    }

    /// What may be dirty behind it.
    pub fn dirty(&self, dirty: Slots) -> Slots {
        self.dirty_before(dirty).union(self.written)
    }
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
