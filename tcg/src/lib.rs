//! The Tiny Code Generator: an IR for guest code, its optimizer and its back ends.
//!
//! **Architecture Invariant:** nothing here names a guest.

pub mod arith;
pub mod builder;
pub mod code_buffer;
pub mod compile;
pub mod cpu_state;
pub mod eval;
pub mod exec;
pub mod float;
pub mod ir;
pub mod liveness;
pub mod ops;
pub mod optimize;
pub mod printer;
pub mod tb;
pub mod tci;
pub mod wasm32;
mod wasm32_h;

pub use code_buffer::{BlockInfo, CodeBuffer, CodeBufferFull};
pub use compile::{CompileError, CompileOptions, CompiledBlock, Compiler};
pub use cpu_state::CpuState;
pub use exec::{ExecEnv, Exit, Fault};
pub use tb::TbHeader;

#[cfg(target_endian = "big")]
compile_error!("the interpreter reads guest memory in the host's order: little-endian hosts only");
