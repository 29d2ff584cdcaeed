//! The WebAssembly back end: hot *regions* of many translation blocks become functions of modules
//! that are made at run time.
//!
//! A generated function is `(cpu: i32, tb: i32) -> i32`: the address of the `CpuState`, the header
//! of the block to start with (one of the region's entries), and back a [`Leave`]. It is reached
//! through the function table of its thread, by the index in `TbHeader::wasm_instance` of the
//! thread (`CpuState::tb_instance_offset`); a block whose index is 0 is left to the interpreter.
//!
//! Guest registers are locals of the function; memory has them when it is left, and where a helper
//! may look at them. The code for helpers and slow paths is imported from the main module by
//! function pointer, with the signature of a helper: `(cpu: i32, i64 × nargs) -> i64`.

pub mod body;
pub mod float;
mod flow;
pub mod groups;
pub mod imports;
mod memory;
pub mod module;
pub mod ops;
mod region;
pub mod structure;

pub use module::{Module, ModuleBuilder};

use crate::builder::Function;
use crate::ir::HelperInfo;

/// What a generated function returns: the address of a block's header, with one of these in its
/// low 3 bits (headers are aligned to 8).
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// Go on with the block, which has no instance in this thread. The pc global may be stale.
    Next = 0,
    /// Exit 0 of the block is not linked; the pc global is up to date.
    Slot0 = 1,
    /// Exit 1 of the block is not linked; the pc global is up to date.
    Slot1 = 2,
    /// State that decides about interrupts or translation changed; pc is up to date. No block.
    Main = 3,
    /// The jump cache has no block for the pc global. No block.
    Lookup = 4,
    /// An exit was requested, or the budget of `-icount` does not hold the block: nothing of it
    /// was run, and the pc global may be stale.
    Request = 5,
    /// An exception is pending, raised by instruction `CpuState::fault_insn` of the block.
    Exception = 6,
    /// A loop of the region used its budget up, and its block has no instance in this thread. The
    /// pc global may be stale.
    Loop = 7,
}

impl Leave {
    /// What a function's result says.
    pub fn of(result: u32) -> Self {
        const ALL: [Leave; 8] = [
            Leave::Next,
            Leave::Slot0,
            Leave::Slot1,
            Leave::Main,
            Leave::Lookup,
            Leave::Request,
            Leave::Exception,
            Leave::Loop,
        ];
        ALL[(result & LEAVE_MASK) as usize]
    }
}

/// The bits of a function's result that hold a [`Leave`].
pub const LEAVE_MASK: u32 = 7;

/// Slow paths of the accelerator, as function pointers (indices of the main module's table). Each
/// has the signature of a helper. If it leaves an exception pending, its result does not count.
#[derive(Clone, Copy, Debug)]
pub struct SlowPaths {
    /// `(cpu, addr, oi) -> value`, extended.
    pub load: usize,
    /// `(cpu, addr, value, oi) -> 0`
    pub store: usize,
    /// `(cpu, addr, oi) -> low`; the high half is in `CpuState::slots[SLOT_DISCARD]`.
    pub load2: usize,
    /// `(cpu, addr, low, high, oi) -> 0`
    pub store2: usize,
    /// `(cpu, addr, expected, new, oi) -> old`, extended.
    pub cmpxchg: usize,
    /// `(cpu, addr, oi) -> low of old`, high as `load2`. The operands are in `slots[244..248]`:
    /// expected low and high, new low and high.
    pub cmpxchg2: usize,
    /// `(cpu, addr, value, rmw, oi) -> old`, extended; `rmw` is `RmwOp as u64`.
    pub rmw: usize,
}

/// First of the four slots that carry the operands of [`SlowPaths::cmpxchg2`].
pub const CMPXCHG2_SLOT: u8 = 244;

/// How a region goes on in a block that has an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TailCalls {
    /// The engine has none: it returns the block.
    None,
    /// Through the function table, which each module imports.
    Table,
    /// By the imported function `imports::CHAIN`, which has the table: for engines where a table
    /// knows every instance that ever imported it, and keeps it.
    Chain,
}

/// What is the same for all regions of a machine.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    pub helpers: &'a [HelperInfo],
    pub slow_paths: SlowPaths,
    /// Slot of the guest's pc global.
    pub pc_slot: u8,
    pub tail_calls: TailCalls,
}

/// A translation block of a region.
pub struct RegionBlock<'a> {
    /// Address of its header.
    pub tb: u32,
    /// Guest address of its first instruction.
    pub pc: u64,
    /// Its IR after the optimizer and liveness, over the same globals as all others.
    pub function: &'a Function,
    /// `-icount`: the guest instructions that it takes off the budget at its start.
    pub icount: Option<u32>,
    /// By exit slot: the block of the region that it leads to. Such an edge stays in one page, so
    /// it holds as long as the block does.
    pub direct: [Option<usize>; 2],
    /// Blocks of the region that its `goto_ptr` often leads to. Taken only when the jump cache
    /// has that very block for the pc and the flags of the moment.
    pub indirect: Vec<usize>,
}

/// A region to be compiled.
pub struct Region<'a> {
    pub blocks: Vec<RegionBlock<'a>>,
    /// The blocks that it may be entered at, the most frequent first. At least one.
    pub entries: Vec<usize>,
}

/// Why a region has no code: it stays with the interpreter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegionError {
    #[error("the region is too large for one function")]
    TooLarge,
}
