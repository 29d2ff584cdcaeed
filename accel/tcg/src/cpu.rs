//! What every vCPU has, whatever its architecture.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use include::{AddressSpace, Clock, IrqSink};
use parking_lot::{Condvar, Mutex};
use tcg::CpuState;

/// The side of a vCPU that other threads see.
pub struct VcpuShared {
    pub index: usize,
    /// See `CpuState::exit_request`.
    pub exit_request: AtomicU32,
    /// Levels of the CPU's interrupt inputs, by the guest's numbers (RISC-V: bits of `mip`).
    pub irq_levels: AtomicU64,
    /// The CPU waits for an interrupt (WFI); guarded by `sleep` when it changes.
    pub halted: AtomicBool,
    pub sleep: Mutex<()>,
    pub wake: Condvar,
}

impl VcpuShared {
    /// Makes the vCPU leave generated code soon, or wakes it.
    pub fn kick(&self) {
        self.exit_request.store(1, Ordering::SeqCst);
        let _guard = self.sleep.lock();
        self.wake.notify_all();
    }
}

impl IrqSink for VcpuShared {
    fn set_irq(&self, number: u32, level: bool) {
        let bit = 1u64 << (number & 63);
        if level {
            let old = self.irq_levels.fetch_or(bit, Ordering::SeqCst);
            if old & bit == 0 {
                self.kick();
            }
        } else {
            self.irq_levels.fetch_and(!bit, Ordering::SeqCst);
        }
    }
}

/// First field of every guest CPU.
#[repr(C)]
pub struct CpuCommon {
    /// Must stay first: generated code finds it at the CPU's address.
    pub state: CpuState,
    pub shared: Arc<VcpuShared>,
    pub memory: Arc<dyn AddressSpace>,
    pub clock: Arc<dyn Clock>,
    // The accelerator's own fields (second-level TLB, jump lists, statistics) follow here; the
    // accelerator's author adds them with methods:
    //   fn tlb_flush(&mut self), tlb_flush_page(addr), tlb_flush_asid(asid), set_asid(asid),
    //   request_exclusive / async work on other vCPUs, phys_ldq(paddr) -> Option<u64>,
    //   phys_cmpxchgq(paddr, old, new) -> Option<u64>  (page-table walks).
}
