//! Aliases (RISC-V Assembly Programmer's Manual, "Pseudoinstructions"), as objdump chooses them.

use super::{Disassembler, Text, csr_name, f, text, x};
use crate::decode::*;

const RA: usize = 1;

/// An alias that is a mnemonic and one string of operands.
fn some(mnemonic: &str, operands: String) -> Option<Text> {
    Some(text(mnemonic, operands))
}

pub fn empty(_: &Empty, name: &str, d: &Disassembler) -> Option<Text> {
    match name {
        "illegal" if d.insn == 0 => some("unimp", String::new()),
        "illegal" => Some(Text::default()),
        _ => None,
    }
}

pub fn r(a: &R, name: &str, _: &Disassembler) -> Option<Text> {
    let (rd, rs1, rs2) = (x(a.rd), x(a.rs1), x(a.rs2));
    match (name, a.rs1.is_zero(), a.rs2.is_zero()) {
        ("sub", true, _) => some("neg", format!("{rd},{rs2}")),
        ("subw", true, _) => some("negw", format!("{rd},{rs2}")),
        ("sltu", true, _) => some("snez", format!("{rd},{rs2}")),
        ("slt", _, true) => some("sltz", format!("{rd},{rs1}")),
        ("slt", true, _) => some("sgtz", format!("{rd},{rs2}")),
        ("add_uw", _, true) => some("zext.w", format!("{rd},{rs1}")),
        _ => None,
    }
}

pub fn i(a: &I, name: &str, _: &Disassembler) -> Option<Text> {
    let (rd, rs1) = (x(a.rd), x(a.rs1));
    let two = |name| some(name, format!("{rd},{rs1}"));
    match (name, a.imm) {
        ("addi", 0) if a.rd.is_zero() && a.rs1.is_zero() => some("nop", String::new()),
        ("addi", imm) if a.rs1.is_zero() => some("li", format!("{rd},{imm}")),
        ("addi", 0) => two("mv"),
        ("addiw", 0) => two("sext.w"),
        ("xori", -1) => two("not"),
        ("sltiu", 1) => two("seqz"),
        ("andi", 255) => two("zext.b"),
        _ => None,
    }
}

pub fn b(a: &B, name: &str, d: &Disassembler) -> Option<Text> {
    let (rs1, rs2, dest) = (x(a.rs1), x(a.rs2), d.dest(a.imm));
    let first = |name| some(name, format!("{rs1},{dest}"));
    let second = |name| some(name, format!("{rs2},{dest}"));
    match (name, a.rs1.is_zero(), a.rs2.is_zero()) {
        ("beq", _, true) => first("beqz"),
        ("bne", _, true) => first("bnez"),
        ("bge", true, _) => second("blez"),
        ("bge", _, true) => first("bgez"),
        ("blt", _, true) => first("bltz"),
        ("blt", true, _) => second("bgtz"),
        _ => None,
    }
}

pub fn j(a: &J, _: &str, d: &Disassembler) -> Option<Text> {
    match a.rd.index() {
        0 => some("j", d.dest(a.imm)),
        RA => some("jal", d.dest(a.imm)),
        _ => None,
    }
}

pub fn jr(a: &Jr, _: &str, _: &Disassembler) -> Option<Text> {
    let rs1 = x(a.rs1);
    let place = if a.imm == 0 {
        rs1.to_string()
    } else {
        format!("{}({rs1})", a.imm)
    };
    match (a.rd.index(), a.rs1.index()) {
        (0, RA) if a.imm == 0 => some("ret", String::new()),
        (0, _) => some("jr", place),
        (RA, _) => some("jalr", place),
        _ if a.imm == 0 => some("jalr", format!("{},{place}", x(a.rd))),
        _ => None,
    }
}

pub fn fence(a: &Fence, _: &str, _: &Disassembler) -> Option<Text> {
    match (a.fm, a.pred, a.succ) {
        (_, 15, 15) => some("fence", String::new()),
        (8, 3, 3) => some("fence.tso", String::new()),
        _ => None,
    }
}

/// The short names of accesses to the counters and to `fcsr`.
fn csr_read(csr: i32) -> Option<&'static str> {
    Some(match csr {
        0x001 => "frflags",
        0x002 => "frrm",
        0x003 => "frcsr",
        0xc00 => "rdcycle",
        0xc01 => "rdtime",
        0xc02 => "rdinstret",
        _ => return None,
    })
}

fn csr_write(csr: i32) -> Option<&'static str> {
    Some(match csr {
        0x001 => "fsflags",
        0x002 => "fsrm",
        0x003 => "fscsr",
        _ => return None,
    })
}

pub fn csr(a: &Csr, name: &str, d: &Disassembler) -> Option<Text> {
    let (rd, rs1, csr) = (x(a.rd), x(a.rs1), csr_name(a.csr));
    if d.insn == 0xc000_1073 {
        return some("unimp", String::new());
    }
    match (name, a.rd.is_zero(), a.rs1.is_zero()) {
        ("csrrs", _, true) => match csr_read(a.csr) {
            Some(name) => some(name, rd.into()),
            None => some("csrr", format!("{rd},{csr}")),
        },
        ("csrrw", zero, _) => match csr_write(a.csr) {
            Some(name) if zero => some(name, rs1.into()),
            Some(name) => some(name, format!("{rd},{rs1}")),
            None if zero => some("csrw", format!("{csr},{rs1}")),
            None => None,
        },
        ("csrrs", true, _) => some("csrs", format!("{csr},{rs1}")),
        ("csrrc", true, _) => some("csrc", format!("{csr},{rs1}")),
        _ => None,
    }
}

pub fn csri(a: &Csri, name: &str, _: &Disassembler) -> Option<Text> {
    let (rd, csr, uimm) = (x(a.rd), csr_name(a.csr), a.uimm);
    match (name, a.csr, a.rd.is_zero()) {
        ("csrrwi", 1, _) => some("fsflagsi", format!("{rd},{uimm}")),
        ("csrrwi", 2, _) => some("fsrmi", format!("{rd},{uimm}")),
        ("csrrwi", _, true) => some("csrwi", format!("{csr},{uimm}")),
        ("csrrsi", _, true) => some("csrsi", format!("{csr},{uimm}")),
        ("csrrci", _, true) => some("csrci", format!("{csr},{uimm}")),
        _ => None,
    }
}

pub fn mop_r(a: &MopR, _: &str, _: &Disassembler) -> Option<Text> {
    some(
        &format!("mop.r.{}", a.n),
        format!("{},{}", x(a.rd), x(a.rs1)),
    )
}

pub fn mop_rr(a: &MopRr, _: &str, _: &Disassembler) -> Option<Text> {
    some(
        &format!("mop.rr.{}", a.n),
        format!("{},{},{}", x(a.rd), x(a.rs1), x(a.rs2)),
    )
}

pub fn c_mop(a: &CMop, _: &str, _: &Disassembler) -> Option<Text> {
    some(&format!("c.mop.{}", 2 * a.n + 1), String::new())
}

pub fn sfence(a: &Sfence, name: &str, _: &Disassembler) -> Option<Text> {
    match (name, a.rs1.is_zero(), a.rs2.is_zero()) {
        ("sfence_vma", true, true) => some("sfence.vma", String::new()),
        ("sfence_vma", false, true) => some("sfence.vma", x(a.rs1).into()),
        _ => None,
    }
}

pub fn fff(a: &Fff, name: &str, _: &Disassembler) -> Option<Text> {
    if a.rs1 != a.rs2 {
        return None;
    }
    let (stem, format) = name.rsplit_once('_')?;
    let alias = match stem {
        "fsgnj" => "fmv",
        "fsgnjn" => "fneg",
        "fsgnjx" => "fabs",
        _ => return None,
    };
    some(
        &format!("{alias}.{format}"),
        format!("{},{}", f(a.rd), f(a.rs1)),
    )
}
