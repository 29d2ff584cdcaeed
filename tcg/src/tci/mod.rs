//! The Tiny Code Interpreter: register-allocated bytecode, dense and fused.

pub mod bytecode;
pub mod disas;
mod emit;
mod exec;
mod insn;
mod low;
mod memory;
mod select;
mod select_ops;

use crate::CompileError;
use crate::builder::Function;
use crate::compile::{CompileOptions, CompiledBlock, pack_insns};
use crate::ir::HelperInfo;

pub use exec::exec;

/// Generates bytecode; keeps its working memory from block to block.
#[derive(Default)]
pub struct CodeGenerator {
    selection: select::Selection,
    emitter: emit::Emitter,
    rows: Vec<(u32, u64, u64)>,
}

impl CodeGenerator {
    /// Bytecode for a function as it is (see `compile.rs` for what comes before).
    pub fn generate(
        &mut self,
        function: &Function,
        helpers: &[HelperInfo],
        options: &CompileOptions,
    ) -> Result<CompiledBlock, CompileError> {
        let selection = &mut self.selection;
        selection.select(function, helpers, options)?;
        let mut code = Vec::with_capacity(selection.low.len() + 16);
        let (reg_count, low) = (selection.regs.len(), &selection.low);
        let positions =
            self.emitter
                .emit(function, reg_count, low, &selection.labels, &mut code)?;
        self.rows.clear();
        let row = |&(number, pc, extra): &(u32, u64, u64)| (positions[number as usize], pc, extra);
        self.rows.extend(selection.insns.iter().map(row));
        Ok(CompiledBlock {
            code,
            insns: pack_insns(&self.rows),
        })
    }
}
