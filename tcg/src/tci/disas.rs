//! Text of bytecode, for `-d out_asm`.

use std::fmt::{self, Write};

use super::bytecode::{Opcode, Word, for_each_bytecode};

/// How a class prints its fields.
#[derive(Clone, Copy)]
enum Format {
    Binary,
    Immediate,
    Unary,
    Branch,
    Chain,
    Move,
    Load,
    Store,
    StateLoad,
    StateStore,
    Any,
}

macro_rules! define_format {
    (
        binary { $($bin:ident ($_ba:ident, $_bb:ident) $_be:expr;)* }
        immediate { $($imm:ident ($_ia:ident, $_ib:ident) $_ie:expr;)* }
        unary { $($una:ident ($_ua:ident) $_ue:expr;)* }
        compare { $($set:ident $set_w:ident $br:ident $br_w:ident $chain:ident $mov:ident
            $mov_w:ident ($_ca:ident, $_cb:ident) $_ce:expr;)* }
        load { $($ld:ident $_lt:ty;)* }
        store { $($st:ident $_st:ty;)* }
        state_load { $($sld:ident $_slt:ty;)* }
        state_store { $($sst:ident $_sst:ty;)* }
        step { $($step:ident $_sf:ident;)* }
        leave { $($leave:ident $_lf:ident;)* }
        fused { $($fused:ident $first:ident $second:ident;)* }
    ) => {
        impl Format {
            const fn of(op: Opcode) -> Self {
                match op.first() {
                    $(Opcode::$bin)|* $(| Opcode::$set)* $(| Opcode::$set_w)* => Self::Binary,
                    $(Opcode::$imm)|* => Self::Immediate,
                    $(Opcode::$una)|* => Self::Unary,
                    $(Opcode::$br | Opcode::$br_w)|* => Self::Branch,
                    $(Opcode::$chain)|* => Self::Chain,
                    $(Opcode::$mov | Opcode::$mov_w)|* => Self::Move,
                    $(Opcode::$ld)|* => Self::Load,
                    $(Opcode::$st)|* => Self::Store,
                    $(Opcode::$sld)|* => Self::StateLoad,
                    $(Opcode::$sst)|* => Self::StateStore,
                    $(Opcode::$step)|* $(| Opcode::$leave)* $(| Opcode::$fused)* => Self::Any,
                }
            }
        }
    };
}
for_each_bytecode!(define_format);

/// One line for each instruction: position, mnemonic, operands. A `+` follows the mnemonic of one
/// that does the next as well.
pub fn disassemble(code: &[u64]) -> String {
    let mut out = String::new();
    let mut at = 0;
    while let Some(&word) = code.get(at) {
        let w = Word(word);
        let Some(op) = w.opcode() else {
            let _ = writeln!(out, "{at:5}:  {word:#018x}");
            at += 1;
            continue;
        };
        let _ = write!(out, "{at:5}:  {:<10} ", mnemonic(op));
        let _ = operands(&mut out, op, w, at as i64 + 1);
        if op.is_long() {
            let _ = write!(out, ", {:#x}", code.get(at + 1).copied().unwrap_or(0));
        }
        out.push('\n');
        at += 1 + usize::from(op.is_long());
    }
    out
}

fn mnemonic(op: Opcode) -> String {
    let more = if op == op.first() { "" } else { "+" };
    format!("{:?}{more}", op.first()).to_lowercase()
}

fn operands(out: &mut String, op: Opcode, w: Word, next: i64) -> fmt::Result {
    let (d, a, b, imm) = (w.d(), w.a(), w.b(), w.imm());
    match Format::of(op) {
        Format::Binary => write!(out, "s{d}, s{a}, s{b}"),
        Format::Immediate => write!(out, "s{d}, s{a}, {imm:#x}"),
        Format::Unary => write!(out, "s{d}, s{a}"),
        Format::Branch => write!(out, "s{a}, s{b}, {}", next + imm),
        Format::Chain => {
            let taken = next + imm;
            write!(
                out,
                "s{a}, s{b}, exit {} or {taken}, else exit {}",
                d & 1,
                !d & 1
            )
        }
        Format::Move => write!(out, "s{d}, s{a}, s{b}, s{}, s{}", w.c(0), w.c(1)),
        Format::Load => write!(out, "s{d}, [s{a} + {}], mem {b:#x}", w.imm_low()),
        Format::Store => write!(out, "[s{a} + {}], s{b}, mem {d:#x}", w.imm_low()),
        Format::StateLoad => write!(out, "s{d}, state[{imm:#x}]"),
        Format::StateStore => write!(out, "state[{imm:#x}], s{b}"),
        Format::Any => write!(out, "s{d}, s{a}, s{b}, {imm:#x}"),
    }
}
