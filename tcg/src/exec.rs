//! What an engine (the interpreter, later generated WebAssembly) needs of the accelerator, and how
//! it comes back.

use crate::CpuState;
use crate::ir::{MemOpIdx, RmwOp};
use crate::tb::TbHeader;

/// A guest exception was raised; it is pending in `CpuState::exception`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault;

/// The accelerator's side of execution, for one guest CPU. All of these are slow paths: the engine
/// tries the TLB in [`CpuState`] first, and calls on a miss, a device, a page crossing, a store to
/// a page with code, a misaligned access with `MemOp::ALIGN`.
///
/// Values are passed zero-extended from the access's size in guest order already turned into
/// numbers: `load_slow` returns what the IR's op defines (swapped when big-endian, extended by the
/// sign bit of `oi`), `store_slow` gets the number whose low bytes are to be stored.
pub trait ExecEnv {
    /// The CPU; stays valid and at its place during `exec`.
    fn state(&mut self) -> *mut CpuState;

    fn load_slow(&mut self, addr: u64, oi: MemOpIdx) -> Result<u64, Fault>;
    fn store_slow(&mut self, addr: u64, value: u64, oi: MemOpIdx) -> Result<(), Fault>;
    /// 16 bytes, as (low, high) numbers.
    fn load2_slow(&mut self, addr: u64, oi: MemOpIdx) -> Result<(u64, u64), Fault>;
    fn store2_slow(&mut self, addr: u64, low: u64, high: u64, oi: MemOpIdx) -> Result<(), Fault>;

    /// Stores `new` if memory holds `expected` (both cut to the size); returns the old value,
    /// extended by the sign bit of `oi`. Misaligned addresses fault.
    fn cmpxchg_slow(
        &mut self,
        addr: u64,
        expected: u64,
        new: u64,
        oi: MemOpIdx,
    ) -> Result<u64, Fault>;
    /// 16 bytes, pairs are (low, high). Always called: there is no inline path for it.
    fn cmpxchg2(
        &mut self,
        addr: u64,
        expected: (u64, u64),
        new: (u64, u64),
        oi: MemOpIdx,
    ) -> Result<(u64, u64), Fault>;
    /// Read-modify-write; returns the old value, extended by the sign bit of `oi`.
    fn rmw_slow(&mut self, addr: u64, value: u64, rmw: RmwOp, oi: MemOpIdx) -> Result<u64, Fault>;

    /// `goto_ptr` missed the jump cache: the block for the current pc and flags, if there is one
    /// translated already. Null leaves to the execution loop with [`Exit::Lookup`]. May fill the
    /// jump cache.
    fn lookup_tb(&mut self) -> *const TbHeader;

    /// Whether blocks count their executions down (`TbHeader::exec_count`).
    const COUNTS: bool;
    /// A block whose count is 0 is to be run: runs what it has been compiled to, and returns the
    /// block to interpret then, or why not.
    fn enter_hot(&mut self, tb: *const TbHeader) -> Result<*const TbHeader, Exit>;
}

/// Why `exec` returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// `exit_tb` of exit `slot` of `tb`, which is not linked: the pc global is up to date. Link it.
    Slot { tb: *const TbHeader, slot: u8 },
    /// State that decides about interrupts or translation changed; pc is up to date.
    Main,
    /// `goto_ptr` found nothing; pc is up to date.
    Lookup,
    /// `tb` is hot and has not been compiled. Nothing of it was run, and the pc global is stale.
    Hot { tb: *const TbHeader },
    /// An exit was requested, or the instruction budget of `-icount` does not hold `tb`: nothing of
    /// `tb` was run, and the pc global is stale: take it from `tb`.
    Request { tb: *const TbHeader },
    /// An exception is pending, raised by the op at `position` of `tb` (see `CompiledBlock`).
    Exception { tb: *const TbHeader, position: u32 },
    /// An exception is pending, raised by guest instruction number `insn` of `tb`.
    ExceptionAt { tb: *const TbHeader, insn: u32 },
}
