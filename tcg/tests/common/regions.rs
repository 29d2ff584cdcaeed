//! Random regions: several random functions whose exits lead to one another, and what the evaluator
//! makes of them.

use super::maker::{CONDS, make};
use super::*;
use tcg::builder::{Function, global};
use tcg::cpu_state::JumpCacheEntry;
use tcg::eval::{EvalExit, Evaluator};
use tcg::wasm32::{Region, RegionBlock};

/// Blocks of a region at most.
pub const BLOCKS_MAX: usize = 10;

/// Where an exit slot leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// It is not linked.
    None,
    /// To a block of the region, which the region knows.
    Inside(usize),
    /// To a block of the region; the region does not know.
    Linked(usize),
    /// To the block outside.
    Outside,
}

/// A block, and where it leads.
#[derive(Clone, Debug)]
pub struct Block {
    pub function: Function,
    pub pc: u64,
    pub icount: Option<u32>,
    pub links: [Link; 2],
    pub indirect: Vec<usize>,
    /// The jump cache has it.
    pub cached: bool,
}

/// A random region; its first entry is what it is entered at.
#[derive(Clone, Debug)]
pub struct Made {
    pub blocks: Vec<Block>,
    pub entries: Vec<usize>,
    pub start: usize,
}

/// How a region is left. Headers are numbers of blocks; the block outside has the one behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    Next(usize),
    Slot(usize, u8),
    Main,
    Lookup,
    Request(usize),
    /// By `exit_tb`.
    Exception(usize),
    /// The words of the `insn_start` of the block.
    Raised(usize, u64, u64),
    OutOfBudget,
}

/// A guest address for each block; their places in the jump cache differ.
pub fn pc_of(block: usize) -> u64 {
    0x8000_0000 + 0x1002 * block as u64
}

impl Made {
    pub fn new(r: &mut Random) -> Self {
        let count = 1 + r.below(BLOCKS_MAX);
        let counts = r.one_in(4);
        let blocks: Vec<Block> = (0..count)
            .map(|number| Block {
                function: connected(r, count),
                pc: pc_of(number),
                icount: counts.then(|| r.below(4) as u32),
                links: [(); 2].map(|()| match r.below(8) {
                    0 => Link::None,
                    1 => Link::Outside,
                    2 => Link::Linked(r.below(count)),
                    _ => Link::Inside(r.below(count)),
                }),
                indirect: (0..count).filter(|_| r.one_in(2)).collect(),
                cached: !r.one_in(8),
            })
            .collect();
        let mut entries: Vec<usize> = (0..count).filter(|_| r.one_in(3)).collect();
        if entries.is_empty() || r.one_in(4) {
            entries = vec![r.below(count)];
        }
        let start = r.pick(&entries);
        Self {
            blocks,
            entries,
            start,
        }
    }

    /// What the back end is given, with the headers' addresses.
    pub fn region(&self, tbs: &[u32]) -> Region<'_> {
        let block = |number: usize| {
            let block = &self.blocks[number];
            RegionBlock {
                tb: tbs[number],
                pc: block.pc,
                function: &block.function,
                icount: block.icount,
                direct: block.links.map(|link| match link {
                    Link::Inside(to) => Some(to),
                    _ => None,
                }),
                indirect: block.indirect.clone(),
            }
        };
        Region {
            blocks: (0..self.blocks.len()).map(block).collect(),
            entries: self.entries.clone(),
        }
    }

    /// The entries of the jump cache that say where the blocks are.
    pub fn fill_jump_cache(&self, state: &mut CpuState, tbs: &[u32]) {
        // Entries of other generations are void.
        state.flags_gen = ((state.flags_gen >> 32) + 1) << 32 | 7;
        for (number, block) in self.blocks.iter().enumerate() {
            let entry = &mut state.jump_cache[CpuState::jump_cache_index(block.pc)];
            *entry = JumpCacheEntry {
                pc: block.pc,
                flags_gen: state.flags_gen ^ u64::from(!block.cached),
                tb: tbs[number] as usize,
            };
        }
    }

    /// Runs the region's blocks one by one, as the region must; `budget` in ops.
    pub fn evaluate(&self, env: &mut Env, helpers: &[HelperInfo], budget: u32) -> Left {
        let mut at = self.start;
        let mut budget = budget;
        loop {
            let block = &self.blocks[at];
            if let Some(count) = block.icount {
                let left = env.state.icount_left - i64::from(count);
                if left < 0 {
                    return Left::Request(at);
                }
                env.state.icount_left = left;
            }
            let mut evaluator = Evaluator {
                env,
                helpers,
                linked: block.links.map(|link| link != Link::None),
                budget,
            };
            // SAFETY: the function was made for this environment.
            let exit = unsafe { evaluator.run(&block.function) };
            // Each block takes something off the budget, if it is empty too.
            budget = evaluator.budget.saturating_sub(1);
            let next = match exit {
                EvalExit::GotoTb(slot) => match block.links[usize::from(slot)] {
                    Link::Inside(to) => Ok(to),
                    Link::Linked(to) => self.over_header(to),
                    Link::Outside | Link::None => Err(Left::Next(self.blocks.len())),
                },
                EvalExit::GotoPtr => self.jump(env, at),
                EvalExit::Exit(TbExit::Slot(slot)) => Err(Left::Slot(at, slot)),
                EvalExit::Exit(TbExit::Main) => Err(Left::Main),
                EvalExit::Exit(TbExit::Exception) => Err(Left::Exception(at)),
                EvalExit::Exception { pc, extra } => Err(Left::Raised(at, pc, extra)),
                EvalExit::OutOfBudget => Err(Left::OutOfBudget),
            };
            match next {
                Ok(to) => at = to,
                Err(left) => return left,
            }
        }
    }

    /// Blocks that are entries have the region as their instance.
    fn over_header(&self, to: usize) -> Result<usize, Left> {
        match self.entries.contains(&to) {
            true => Ok(to),
            false => Err(Left::Next(to)),
        }
    }

    fn jump(&self, env: &Env, from: usize) -> Result<usize, Left> {
        let pc = env.state.slots[usize::from(PC)];
        let found = self
            .blocks
            .iter()
            .position(|block| block.pc == pc && block.cached);
        match found {
            None => Err(Left::Lookup),
            Some(to) if self.blocks[from].indirect.contains(&to) => Ok(to),
            Some(to) => self.over_header(to),
        }
    }
}

/// A random function that often jumps to the blocks of its region.
fn connected(r: &mut Random, count: usize) -> Function {
    let mut function = make(r);
    let ops = std::mem::take(&mut function.ops);
    for mut op in ops {
        let is_jump = match op.kind {
            OpKind::GotoPtr {} => true,
            OpKind::ExitTb { exit } => exit == TbExit::Main && r.one_in(2),
            _ => false,
        };
        if is_jump {
            let mut target =
                |r: &mut Random| function.constant(Type::I64, pc_of(r.below(count + 1)));
            let (a, b) = (target(r), target(r));
            let d = global(PC);
            let kind = match r.below(2) {
                0 => OpKind::Mov { d, a },
                _ => OpKind::Movcond {
                    d,
                    a: global(r.below(8) as u16),
                    b: global(r.below(8) as u16),
                    t: a,
                    f: b,
                    cond: r.pick(&CONDS),
                },
            };
            function.ops.push(Op {
                kind,
                ty: Type::I64,
            });
            op.kind = OpKind::GotoPtr {};
        }
        function.ops.push(op);
    }
    function
}
