//! Ops that do not branch, as WebAssembly.

use super::Options;
use super::body::{Body, Frame, Local};
use super::imports::Imports;
use crate::builder::Function;
use crate::ir::{Op, Temp};

/// Where the locals of a block's temps are.
pub trait Locals {
    /// The local of a temp that is no constant.
    fn local(&mut self, body: &mut Body, temp: Temp) -> Local;
    /// A local for a moment, of type i32 or i64: number `index` of those of its type.
    fn scratch32(&mut self, body: &mut Body, index: usize) -> Local;
    fn scratch64(&mut self, body: &mut Body, index: usize) -> Local;
}

/// What an op that raises an exception does: it sets two locals and branches.
#[derive(Clone, Copy, Debug)]
pub struct FaultExit {
    /// The code there writes the guest registers back and leaves with the value of `leave`.
    pub frame: Frame,
    pub leave: Local,
    pub insn: Local,
    /// What to leave with: the block's header and `Leave::Exception`.
    pub leave_value: u32,
    /// Number of the guest instruction in its block, from 0.
    pub insn_index: u32,
}

/// What the code of an op needs.
pub struct Context<'a> {
    pub body: &'a mut Body,
    pub locals: &'a mut dyn Locals,
    pub imports: &'a mut Imports,
    pub options: &'a Options<'a>,
    pub function: &'a Function,
    pub fault: FaultExit,
}

/// Emits an op that is none of `set_label`, `br`, `brcond`, `insn_start`, `goto_tb`, `goto_ptr`,
/// `exit_tb`. The caller has written back, and reloads, what a call or an access to the state's
/// slots needs.
pub fn emit(cx: &mut Context<'_>, op: &Op) {
    let _ = (cx, op);
    todo!()
}
