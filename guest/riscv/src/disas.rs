//! Disassembly.

pub fn disassemble(_pc: u64, insn: u64, length: usize) -> String {
    format!(".insn {length}, {insn:#x}")
}
