//! The TCG accelerator: execution loop, translator loop, block cache, soft TLB, vCPU threads.
//!
//! **Architecture Invariant:** nothing here names a guest; what a guest is, [`GuestCpu`] says.

pub mod cpu;
pub mod guest;

pub use cpu::{CpuCommon, VcpuShared};
pub use guest::{Access, GuestCpu, TlbFill, TranslateContext, TranslateEnd};
