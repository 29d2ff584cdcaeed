//! The Tiny Code Generator: an IR for guest code, its optimizer and its back ends.
//!
//! **Architecture Invariant:** nothing here names a guest.

pub mod builder;
pub mod cpu_state;
pub mod ir;
pub mod ops;

pub use cpu_state::CpuState;
