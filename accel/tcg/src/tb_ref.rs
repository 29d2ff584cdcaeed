//! Blocks by address: the one place that follows such an address, and that enters generated code.
//!
//! What must hold: a [`TbRef`] is made from what `CodeBuffer::push` returned, and dies at the next
//! flush of the code buffer. A flush needs an [`ExclusiveSection`], during which no vCPU runs; a
//! vCPU holds a `TbRef` only while it runs (`Exclusive::enter` to `leave`), and `TbCache` empties
//! all its tables at a flush. Jump caches are emptied before a vCPU runs again (`jump_generation`).

#![expect(unsafe_code, reason = "blocks are known by address")]

use std::ptr::NonNull;

use tcg::exec::{ExecEnv, Exit};
use tcg::{CodeBuffer, TbHeader};

use crate::cpu::CpuCommon;
use crate::exclusive::ExclusiveSection;
use crate::guest::GuestCpu;

/// See the module's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TbRef(NonNull<TbHeader>);

// SAFETY: what changes in a header is atomic; see the module's text for its life.
unsafe impl Send for TbRef {}

// SAFETY: as above.
unsafe impl Sync for TbRef {}

// SAFETY: `CpuState::exit_request` points into `CpuCommon::shared`, an `Arc` that is never
// replaced, so that the CPU may move to its thread; all else in it is `Send`.
unsafe impl Send for CpuCommon {}

impl TbRef {
    /// What `CodeBuffer::push` returned.
    pub(crate) fn new(header: NonNull<TbHeader>) -> Self {
        Self(header)
    }

    /// The block that generated code, or a table of this crate, named.
    pub(crate) fn from_address(address: usize) -> Option<Self> {
        NonNull::new(address as *mut TbHeader).map(Self)
    }

    pub(crate) fn address(self) -> usize {
        self.0.as_ptr() as usize
    }

    pub(crate) fn pointer(self) -> *const TbHeader {
        self.0.as_ptr()
    }

    pub(crate) fn header(&self) -> &TbHeader {
        // SAFETY: the header lives until the next flush; see the module's text.
        unsafe { self.0.as_ref() }
    }
}

/// Runs generated code from `tb` on.
pub(crate) fn run<E: ExecEnv>(env: &mut E, tb: TbRef) -> Exit {
    // SAFETY: all blocks are compiled for the one guest type of the accelerator, whose helper rows
    // are typed (`Helper`); `check_layout` saw that the CPU starts with its state. TLB entries are
    // made from `RamPage`s (`ram.rs`).
    unsafe { tcg::tci::exec(env, tb.0.as_ptr()) }
}

/// Forgets all blocks; the caller has emptied all tables.
pub(crate) fn reset(buffer: &mut CodeBuffer, _nobody_runs: &ExclusiveSection<'_>) {
    // SAFETY: no vCPU runs, and the module's text says who else holds addresses.
    unsafe { buffer.reset() }
}

/// Checks that generated code can find the CPU by the address of its state.
pub(crate) fn check_layout<G: GuestCpu>(cpu: &G) {
    let common = cpu.common();
    let whole = std::ptr::from_ref(cpu) as usize;
    let state = &raw const common.state as usize;
    assert!(
        whole == state,
        "the guest CPU starts with its CpuCommon and is repr(C)"
    );
}
