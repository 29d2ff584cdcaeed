//! Groups of accesses that look the TLB up once: those off one base at constant distances, as
//! stack frames and structures are used.
//!
//! The first access of a group checks that all of it lies in one page, and keeps the host address
//! of its lowest byte in a local, or 0. The others go there, or where there is 0, to their slow
//! paths. Between the first and the last of a group there is neither a label nor a call that
//! could change the TLB's meaning; what slow paths do to the TLB leaves RAM where it is.
//! Loads and stores are in groups of their own, since they compare different tags.

use std::collections::HashMap;

use super::memory::always_slow;
use crate::builder::Function;
use crate::ir::{HelperFlags, HelperInfo, MemOpIdx, Op, OpKind, Temp, Type};

/// Bytes from the first to the last of a group: small beside a page, for few to cross its border.
const SPAN_MAX: u64 = 512;
/// Groups of a run of ops without labels; each has a local.
const GROUPS_MAX: usize = 6;

/// An access of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Which of the locals has the group's host address.
    pub index: usize,
    /// Distance from the group's lowest byte.
    pub offset: u64,
    /// The first access looks the TLB up for this many bytes.
    pub first: Option<u64>,
}

/// The members of all groups of a function, by the index of their op.
#[derive(Clone, Debug, Default)]
pub struct Groups {
    members: HashMap<usize, Member>,
}

impl Groups {
    pub fn of(function: &Function, helpers: &[HelperInfo]) -> Self {
        let mut finder = Finder {
            function,
            values: HashMap::new(),
            roots: 0,
            open: Vec::new(),
            closed: 0,
            groups: Self::default(),
        };
        for (at, op) in function.ops.iter().enumerate() {
            finder.op(at, op, helpers);
        }
        finder.end_run();
        finder.groups
    }

    pub fn member(&self, op: usize) -> Option<Member> {
        self.members.get(&op).copied()
    }
}

/// A group that may get more members.
struct Group {
    root: u32,
    is_store: bool,
    mmu_idx: usize,
    /// Offsets from the root: the lowest byte, and the one behind the highest.
    low: u64,
    end: u64,
    /// Ops and their offsets.
    members: Vec<(usize, u64)>,
}

struct Finder<'a> {
    function: &'a Function,
    /// What temps hold: a value that has a number, plus a constant.
    values: HashMap<Temp, (u32, u64)>,
    roots: u32,
    open: Vec<Group>,
    /// Groups of this run that are closed, and keep their locals.
    closed: usize,
    groups: Groups,
}

impl Finder<'_> {
    fn op(&mut self, at: usize, op: &Op, helpers: &[HelperInfo]) {
        match op.kind {
            OpKind::SetLabel { .. } => return self.end_run(),
            OpKind::QemuLd { addr, oi, .. } => self.access(at, addr, oi, false),
            OpKind::QemuSt { addr, oi, .. } => self.access(at, addr, oi, true),
            // Slots may change, which globals are.
            OpKind::St { .. } => self.values.clear(),
            OpKind::Call { helper, .. } => {
                let flags = helpers.get(usize::from(helper.0)).map(|info| info.flags);
                let flags = flags.unwrap_or(HelperFlags::NONE);
                if flags.writes_globals() {
                    self.values.clear();
                }
                if !flags.has(HelperFlags::PURE) {
                    self.close();
                }
            }
            _ => {}
        }
        let sum = self.sum(op);
        let mut kind = op.kind;
        kind.outputs(|output| {
            self.values.remove(output);
            if let Some(value) = sum {
                self.values.insert(*output, value);
            }
        });
    }

    /// The value of an op that adds a constant.
    fn sum(&mut self, op: &Op) -> Option<(u32, u64)> {
        if op.ty != Type::I64 {
            return None;
        }
        let constant = |temp| self.function.const_value(temp);
        let (temp, distance) = match op.kind {
            OpKind::Mov { a, .. } => (a, 0),
            OpKind::Add { a, b, .. } => match (constant(a), constant(b)) {
                (None, Some(b)) => (a, b),
                (Some(a), None) => (b, a),
                _ => return None,
            },
            OpKind::Sub { a, b, .. } => (a, constant(b)?.wrapping_neg()),
            _ => return None,
        };
        if constant(temp).is_some() {
            return None;
        }
        let (root, offset) = self.value(temp);
        Some((root, offset.wrapping_add(distance)))
    }

    fn value(&mut self, temp: Temp) -> (u32, u64) {
        let roots = &mut self.roots;
        *self.values.entry(temp).or_insert_with(|| {
            *roots += 1;
            (*roots, 0)
        })
    }

    fn access(&mut self, at: usize, addr: Temp, oi: MemOpIdx, is_store: bool) {
        if always_slow(oi) || oi.mem().must_align() || self.function.const_value(addr).is_some() {
            return;
        }
        let (root, offset) = self.value(addr);
        let bytes = oi.mem().bytes();
        let mmu_idx = oi.mmu_idx();
        // Distances from the group's lowest byte as signed numbers, so that it may grow both ways.
        for group in &mut self.open {
            if (group.root, group.is_store, group.mmu_idx) != (root, is_store, mmu_idx) {
                continue;
            }
            let below = (group.low.wrapping_sub(offset) as i64).max(0) as u64;
            let end = offset.wrapping_add(bytes);
            let above = (end.wrapping_sub(group.end) as i64).max(0) as u64;
            let span = group.end.wrapping_sub(group.low);
            if below.max(above) <= SPAN_MAX && span + below + above <= SPAN_MAX {
                group.low = group.low.wrapping_sub(below);
                group.end = group.end.wrapping_add(above);
                group.members.push((at, offset));
                return;
            }
        }
        self.open.push(Group {
            root,
            is_store,
            mmu_idx,
            low: offset,
            end: offset.wrapping_add(bytes),
            members: vec![(at, offset)],
        });
    }

    /// No open group gets more members.
    fn close(&mut self) {
        for group in self.open.drain(..) {
            if group.members.len() < 2 || self.closed == GROUPS_MAX {
                continue;
            }
            let mut first = Some(group.end.wrapping_sub(group.low));
            for (op, offset) in group.members {
                let member = Member {
                    index: self.closed,
                    offset: offset.wrapping_sub(group.low),
                    first: first.take(),
                };
                self.groups.members.insert(op, member);
            }
            self.closed += 1;
        }
    }

    fn end_run(&mut self) {
        self.close();
        self.closed = 0;
        self.values.clear();
    }
}
