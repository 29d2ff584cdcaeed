//! The TCG accelerator: execution loop, translator loop, block cache, soft TLB, vCPU threads.
//!
//! **Architecture Invariant:** nothing here names a guest; what a guest is, [`GuestCpu`] says.

pub mod atomic;
pub mod cpu;
mod exclusive;
pub mod guest;
pub mod icount;
pub mod ldst;
mod ram;
pub mod stats;
pub mod tb_cache;
mod tb_hash;
mod tb_ref;
mod tlb;

pub use cpu::{CpuCommon, VcpuShared};
pub use guest::{Access, GuestCpu, Helper, HelperFn, TlbFill, TranslateContext, TranslateEnd};
pub use icount::{IcountClock, IcountHooks};
pub use stats::Stats;
pub use tcg::Fault;
