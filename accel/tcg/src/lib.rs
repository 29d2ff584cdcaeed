//! The TCG accelerator: execution loop, translator loop, block cache, soft TLB, vCPU threads.
//!
//! **Architecture Invariant:** nothing here names a guest; what a guest is, [`GuestCpu`] says.

pub mod accel;
pub mod atomic;
pub mod cpu;
mod cpu_exec;
mod env;
mod exclusive;
pub mod guest;
pub mod icount;
mod jit;
mod jump_cache;
pub mod ldst;
mod machine;
pub mod profile;
mod ram;
pub mod stats;
pub mod tb_cache;
mod tb_hash;
mod tb_ref;
mod tlb;
mod translator;
mod vcpus;

pub use accel::TcgAccel;
pub use cpu::{CpuCommon, VcpuShared};
pub use guest::{Access, GuestCpu, Helper, HelperFn, TlbFill, TranslateContext, TranslateEnd};
pub use icount::{IcountClock, IcountHooks};
pub use jit::{JitConfig, is_available as has_wasm_engine};
pub use machine::{Error, IcountConfig, MAX_CPUS, TcgConfig, Threads};
pub use stats::Stats;
pub use tb_cache::TbCache;
pub use tcg::Fault;
