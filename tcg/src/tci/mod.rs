//! The Tiny Code Interpreter: register-allocated bytecode, dense and fused.

use crate::exec::{ExecEnv, Exit};
use crate::tb::TbHeader;

/// Runs `tb` and the blocks that it leads to, until one of the reasons in [`Exit`].
///
/// # Safety
/// `tb` is a valid block of a [`crate::CodeBuffer`] compiled for the guest of `env`, and so is all
/// that blocks are linked to; helpers in them take the CPU that starts at `env.state()`. TLB entries
/// of that CPU lead to memory that stays mapped.
#[allow(unsafe_code, reason = "runs generated code")]
pub unsafe fn exec<E: ExecEnv>(env: &mut E, tb: *const TbHeader) -> Exit {
    let _ = (env, tb);
    todo!("the interpreter follows")
}
