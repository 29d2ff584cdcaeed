//! Makes what `run.mjs` needs to compare inline floating point with the helpers: a module with a
//! function for each helper and rounding mode, and a table of operands with the results and the
//! flags of the helpers, computed here.
//!
//! `float_node FOLDER` writes `module.wasm`, `rows.bin` and `functions.json` there.

mod module;
mod operands;
mod reference;

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs, io};

use accel_tcg::GuestCpu;
use guest_riscv::RiscvCpu;
use tcg::float::{FloatHelper, FloatOp};

use module::ModuleOfCalls;
use operands::Operands;
use reference::Reference;

/// A function of the module: a helper, by its number, and its first argument if that is a mode.
pub struct Call {
    pub helper: usize,
    pub control: Option<u64>,
}

/// The modes to be tried, and for fused multiply-add the signs with them.
fn controls(float: &FloatHelper) -> Vec<Option<u64>> {
    use FloatOp::*;
    match float.op {
        Fma => [0, 8, 16, 24].map(Some).to_vec(),
        ToI32 | ToU32 | ToI64 | ToU64 => [0, 1, 2, 3].map(Some).to_vec(),
        FromI32 | FromU32 | FromI64 | FromU64 | Convert => [0, 1].map(Some).to_vec(),
        op if op.rounds() => vec![Some(0)],
        _ => vec![None],
    }
}

fn main() -> io::Result<()> {
    let folder = env::args().nth(1).expect("usage: float_node FOLDER");
    let folder = Path::new(&folder);
    let mut reference = Reference::new();
    let mut module = ModuleOfCalls::new();
    let (mut rows, mut list) = (Vec::<u8>::new(), String::from("["));
    for (helper, row) in RiscvCpu::helpers().iter().enumerate() {
        let Some(float) = row.float else {
            continue;
        };
        for control in controls(&float) {
            let call = Call { helper, control };
            module.add(&call, &float);
            let first = rows.len() / ROW_BYTES;
            let mut operands = Operands::new(float);
            let ordinary = operands.ordinary();
            for case in ordinary.iter().chain(&operands.special()) {
                let (result, flags) = reference.call(&call, *case);
                let [a, b, c, before] = *case;
                for word in [a, b, c, before, result, flags, 0, 0] {
                    rows.extend(word.to_le_bytes());
                }
            }
            let (end, ordinary) = (rows.len() / ROW_BYTES, ordinary.len());
            let comma = if first == 0 { "" } else { "," };
            let (name, control) = (row.name, control.unwrap_or(0));
            let _ = write!(
                list,
                "{comma}\n{{\"name\": \"{name}\", \"control\": {control}, \"first\": {first}, \
                 \"end\": {end}, \"ordinary\": {ordinary}}}"
            );
        }
    }
    fs::write(folder.join("module.wasm"), module.finish())?;
    fs::write(folder.join("rows.bin"), rows)?;
    fs::write(folder.join("functions.json"), list + "\n]\n")
}

/// Three operands, the flags before; the result and flags to be; what was found.
const ROW_BYTES: usize = 8 * 8;
