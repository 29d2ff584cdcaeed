//! The RISC-V guest: RV64GC and the extensions that `isa.rs` lists (Unprivileged manual 20240411
//! and later ratified chapters), with M, S and U modes (Privileged manual, same edition).
//!
//! **Architecture Invariant:** no unsafe code here, and nothing of the host.

#![forbid(unsafe_code)]

mod bit_helper;
pub mod cpu;
pub mod csr;
pub mod decode;
mod disas;
mod fpu_helper;
mod guest;
mod helpers;
pub mod isa;
mod mmu;
mod mstatus;
pub mod pmp;
mod stimer;
mod system_helper;
mod translate;
mod trap;

pub use cpu::RiscvCpu;
pub use isa::{Ext, Isa, IsaError};
