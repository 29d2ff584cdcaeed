//! Which blocks become a region: from a hot block on along the edges that have been taken often.
//!
//! A block's IR is made anew from the guest's code; the block in the cache stands for the code not
//! having changed since (the region is entered into `TbCache` under the lock under which blocks
//! are removed). Edges by links stay in a page. All others are taken only when the jump cache says
//! at run time that they lead to the very block, so nothing is assumed of the page tables.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::Ordering;

use tcg::Compiler;
use tcg::builder::Function;
use tcg::cpu_state::{CpuState, PAGE_BITS, PAGE_MASK};
use tcg::ir::{OpKind, Temp, TempKind};
use tcg::wasm32::RegionBlock;

use super::NEVER;
use crate::guest::{Access, GuestCpu};
use crate::machine::Machine;
use crate::tb_hash::Key;
use crate::tb_ref::TbRef;
use crate::translator::{self, Start};

/// Limits of a region: what V8's optimizing compiler takes in a few milliseconds.
const BLOCKS_MAX: usize = 48;
const INSNS_MAX: u32 = 400;
/// A block is warm when it has been run this share of what makes it hot.
const WARM_SHARE: u32 = 8;
/// Entries of a region: each is one more comparison for all behind it.
const ENTRIES_MAX: usize = 8;
/// Blocks that a computed jump is compared with.
const CANDIDATES_MAX: usize = 4;

/// A block of a region to be.
pub(crate) struct PlannedBlock {
    pub(crate) tb: TbRef,
    function: Function,
    icount: Option<u32>,
    /// Numbers of blocks of the plan.
    direct: [Option<usize>; 2],
    indirect: Vec<usize>,
}

impl PlannedBlock {
    pub(crate) fn region_block(&self) -> RegionBlock<'_> {
        RegionBlock {
            tb: self.tb.address() as u32,
            pc: self.tb.header().pc,
            function: &self.function,
            icount: self.icount,
            direct: self.direct,
            indirect: self.indirect.clone(),
        }
    }
}

/// A region to be.
pub(crate) struct Plan {
    pub(crate) blocks: Vec<PlannedBlock>,
    /// Numbers of the blocks that it may be entered at; the seed is the first, and block 0.
    pub(crate) entries: Vec<usize>,
    pub(crate) insns: u32,
}

/// What a block's IR says of where it goes.
struct Ends {
    /// Addresses that `goto_ptr` is known to go to.
    known: Vec<u64>,
    /// There is a `goto_ptr` to an address that is computed.
    computed: bool,
    /// The block notes where it ends: a call.
    returns_to: Option<u64>,
}

/// A block and where it leads.
struct Found {
    tb: TbRef,
    function: Function,
    direct: [Option<TbRef>; 2],
    known: Vec<TbRef>,
    computed: bool,
    returns_to: Option<TbRef>,
}

impl Found {
    /// Where it goes itself, as far as that is known.
    fn nexts(&self) -> impl Iterator<Item = TbRef> {
        self.direct.iter().flatten().chain(&self.known).copied()
    }
}

/// Looks blocks up, each once.
struct Finder<'a, G> {
    machine: &'a Machine<G>,
    compiler: &'a mut Compiler,
    cpu: &'a mut G,
    found: HashMap<TbRef, Option<Found>>,
}

impl<G: GuestCpu> Finder<'_, G> {
    fn find(&mut self, tb: TbRef) -> Option<&Found> {
        let Self {
            machine,
            compiler,
            cpu,
            found,
        } = self;
        let entry = found.entry(tb);
        entry
            .or_insert_with(|| find(machine, compiler, cpu, tb))
            .as_ref()
    }

    /// The warm blocks around the seed that `may` be in the region, nearest first.
    fn around(&mut self, seed: TbRef, may: impl Fn(TbRef) -> bool) -> Vec<TbRef> {
        let (mut blocks, mut insns) = (Vec::new(), 0);
        let mut queue = VecDeque::from([seed]);
        let mut queued = HashSet::from([seed]);
        while let Some(tb) = queue.pop_front() {
            let icount = tb.header().icount;
            let full = blocks.len() >= BLOCKS_MAX || insns + icount > INSNS_MAX;
            if full && !blocks.is_empty() {
                continue;
            }
            let machine = self.machine;
            let Some(block) = self.find(tb) else {
                continue;
            };
            for next in block.nexts().chain(block.returns_to) {
                if may(next) && is_warm(machine, next) && queued.insert(next) {
                    queue.push_back(next);
                }
            }
            insns += icount;
            blocks.push(tb);
        }
        blocks
    }

    /// The blocks from which the seed is reached again.
    fn in_loop(&self, seed: TbRef, blocks: &[TbRef]) -> HashSet<TbRef> {
        let all = || blocks.iter().filter_map(|tb| self.found[tb].as_ref());
        let returns: Vec<TbRef> = all().filter_map(|block| block.returns_to).collect();
        let mut reaching = HashSet::from([seed]);
        let mut more = true;
        while more {
            more = false;
            for block in all() {
                let computed = returns.iter().filter(|_| block.computed).copied();
                let mut nexts = block.nexts().chain(computed);
                more |= nexts.any(|next| reaching.contains(&next)) && reaching.insert(block.tb);
            }
        }
        reaching
    }
}

/// The region around a hot block; `None` if the block is not what it was. `has_code` tells which
/// blocks are entries of regions. These are left out, so that code is not made many times over,
/// unless they are in a loop with the seed.
pub(crate) fn plan<G: GuestCpu>(
    machine: &Machine<G>,
    compiler: &mut Compiler,
    cpu: &mut G,
    seed: TbRef,
    has_code: impl Fn(TbRef) -> bool,
) -> Option<Plan> {
    let mut finder = Finder {
        machine,
        compiler,
        cpu,
        found: HashMap::new(),
    };
    let mut blocks = finder.around(seed, |_| true);
    if blocks.iter().any(|&tb| tb != seed && has_code(tb)) {
        let in_loop = finder.in_loop(seed, &blocks);
        blocks = finder.around(seed, |tb| in_loop.contains(&tb) || !has_code(tb));
    }
    if *blocks.first()? != seed {
        return None;
    }
    let mut found = finder.found;
    let take = |tb: &TbRef| found.remove(tb).flatten();
    let found: Vec<Found> = blocks.iter().filter_map(take).collect();
    Some(Plan {
        insns: blocks.iter().map(|tb| tb.header().icount).sum(),
        entries: entries(&found, has_code),
        blocks: connect(found, machine.counts()),
    })
}

/// The seed, and where calls return to from functions that are not in the region.
fn entries(found: &[Found], has_code: impl Fn(TbRef) -> bool) -> Vec<usize> {
    let number = |tb: TbRef| found.iter().position(|block| block.tb == tb);
    let calls_out = |block: &&Found| !block.nexts().any(|next| number(next).is_some());
    let calls = found.iter().filter(calls_out);
    let mut entries = vec![0];
    let sites = calls.filter_map(|block| block.returns_to.filter(|&site| !has_code(site)));
    for entry in sites.filter_map(number) {
        if entries.len() < ENTRIES_MAX && !entries.contains(&entry) {
            entries.push(entry);
        }
    }
    entries
}

/// Turns headers into numbers of blocks.
fn connect(found: Vec<Found>, counts: bool) -> Vec<PlannedBlock> {
    let order: Vec<TbRef> = found.iter().map(|block| block.tb).collect();
    let number = |tb: &TbRef| order.iter().position(|other| other == tb);
    let returns: Vec<usize> = found
        .iter()
        .filter_map(|block| number(&block.returns_to?))
        .collect();
    let planned = |block: Found| {
        let mut indirect: Vec<usize> = block.known.iter().filter_map(number).collect();
        if block.computed {
            indirect.extend(&returns);
        }
        indirect.dedup();
        indirect.truncate(CANDIDATES_MAX);
        PlannedBlock {
            tb: block.tb,
            icount: counts.then_some(block.tb.header().icount),
            direct: block.direct.map(|tb| number(&tb?)),
            indirect,
            function: block.function,
        }
    };
    found.into_iter().map(planned).collect()
}

fn is_warm<G: GuestCpu>(machine: &Machine<G>, tb: TbRef) -> bool {
    let header = tb.header();
    let Some(jit) = &machine.jit else {
        return false;
    };
    let threshold = jit.config.threshold;
    let warm =
        |left: u32| left != NEVER && threshold.saturating_sub(left) >= threshold / WARM_SHARE;
    let counts = &header.exec_count[..machine.threads()];
    !header.is_invalid()
        && counts
            .iter()
            .any(|count| warm(count.load(Ordering::Relaxed)))
}

/// The block's IR, and the blocks that it leads to.
fn find<G: GuestCpu>(
    machine: &Machine<G>,
    compiler: &mut Compiler,
    cpu: &mut G,
    tb: TbRef,
) -> Option<Found> {
    let (key, ram, second) = machine.tbs.origin(tb)?;
    let start = Start {
        key,
        ram,
        mmu_idx: cpu.fetch_mmu_idx(),
    };
    let header = tb.header();
    let (function, second_now) = translator::again(machine, compiler, cpu, &start, header.icount)?;
    if second_now != second {
        // The page that its last instruction reaches into is another one at the moment.
        return None;
    }
    let ends = ends(&function, machine.pc_temp, key.pc);
    let direct = [0, 1].map(|slot| {
        let target = header.jmp_target[slot].load(Ordering::Acquire);
        TbRef::from_address(target).filter(|tb| !tb.header().is_invalid())
    });
    let mut at = |pc: &u64| find_at(machine, cpu, *pc, &key);
    Some(Found {
        tb,
        direct,
        known: ends.known.iter().filter_map(&mut at).collect(),
        computed: ends.computed,
        returns_to: ends.returns_to.as_ref().and_then(&mut at),
        function,
    })
}

/// The block at a guest address: the one that this CPU last went to, or one like that of `from`.
fn find_at<G: GuestCpu>(machine: &Machine<G>, cpu: &mut G, pc: u64, from: &Key) -> Option<TbRef> {
    let state = &cpu.common().state;
    let entry = &state.jump_cache[CpuState::jump_cache_index(pc)];
    if entry.pc == pc && entry.flags_gen >> 32 == state.flags_gen >> 32 {
        return TbRef::from_address(entry.tb);
    }
    let mmu_idx = cpu.fetch_mmu_idx();
    let page = cpu.common_mut().tlb_lookup(pc, Access::Fetch, mmu_idx)?;
    let key = Key {
        phys: u64::from(page.ram?.index) << PAGE_BITS | pc & !PAGE_MASK,
        pc,
        ..*from
    };
    machine.tbs.find(&key, || None)
}

fn ends(function: &Function, pc_temp: Temp, first: u64) -> Ends {
    let mut ends = Ends {
        known: Vec::new(),
        computed: false,
        returns_to: None,
    };
    let mut pc = None;
    let mut noted = Vec::new();
    let mut last_insn = first;
    for op in &function.ops {
        match op.kind {
            OpKind::InsnStart { pc, .. } => last_insn = pc,
            OpKind::Mov { d, a } if d == pc_temp => pc = function.const_value(a),
            OpKind::Mov { d, a } => {
                let info = function.temps[usize::from(d.0)];
                if let (TempKind::Global { .. }, Some(value)) = (info.kind, function.const_value(a))
                {
                    noted.push(value);
                }
            }
            OpKind::SetLabel { .. } => pc = None,
            OpKind::GotoPtr {} => match pc {
                Some(pc) => ends.known.push(pc),
                None => ends.computed = true,
            },
            _ => (),
        }
    }
    // A call leaves the address behind its last instruction in a register.
    let behind = |value: &&u64| (1..=16).contains(&value.wrapping_sub(last_insn));
    ends.returns_to = noted.iter().rev().find(behind).copied();
    ends
}
