//! Text of instructions for `-d in_asm`, as binutils' objdump writes it for RISC-V.
//!
//! The second implementation of [`Decode`]: names and operands come from the decode tables (the
//! argument set says how operands are written), only the aliases of the assembler manual are here.

mod alias;

use crate::csr;
use crate::decode::*;

/// Column where operands start.
const OPERANDS_COLUMN: usize = 16;

/// ABI names of f0 to f31.
const F_NAMES: [&str; 32] = [
    "ft0", "ft1", "ft2", "ft3", "ft4", "ft5", "ft6", "ft7", "fs0", "fs1", "fa0", "fa1", "fa2",
    "fa3", "fa4", "fa5", "fa6", "fa7", "fs2", "fs3", "fs4", "fs5", "fs6", "fs7", "fs8", "fs9",
    "fs10", "fs11", "ft8", "ft9", "ft10", "ft11",
];

/// Values of `fli`.
const FLI_NAMES: [&str; 32] = [
    "-0x1p+0", "min", "0x1p-16", "0x1p-15", "0x1p-8", "0x1p-7", "0x1p-4", "0x1p-3", "0x1p-2",
    "0x1.4p-2", "0x1.8p-2", "0x1.cp-2", "0x1p-1", "0x1.4p-1", "0x1.8p-1", "0x1.cp-1", "0x1p+0",
    "0x1.4p+0", "0x1.8p+0", "0x1.cp+0", "0x1p+1", "0x1.4p+1", "0x1.8p+1", "0x1p+2", "0x1p+3",
    "0x1p+4", "0x1p+7", "0x1p+8", "0x1p+15", "0x1p+16", "inf", "nan",
];

/// Conversions that are exact: written without a rounding mode if it is zero.
const EXACT: [&str; 6] = [
    "fcvt_d_w",
    "fcvt_d_wu",
    "fcvt_d_s",
    "fcvt_d_h",
    "fcvt_s_h",
    "fcvt_s_bf16",
];

/// See `GuestCpu::disassemble`.
pub fn disassemble(pc: u64, insn: u64, length: usize) -> String {
    let insn = if length == 2 {
        insn & 0xffff
    } else {
        insn & 0xffff_ffff
    };
    let mut d = Disassembler {
        pc,
        insn: insn as u32,
        text: Text::default(),
    };
    if !decode(insn as u32, length, &mut d) || d.text.mnemonic.is_empty() {
        d.text = text(
            ".insn",
            format!("{length}, {insn:#0width$x}", width = 2 + 2 * length),
        );
    }
    if d.text.operands.is_empty() {
        return d.text.mnemonic;
    }
    let (mnemonic, operands) = (d.text.mnemonic, d.text.operands);
    format!(
        "{:<width$}{operands}",
        format!("{mnemonic} "),
        width = OPERANDS_COLUMN
    )
}

/// One instruction's text.
#[derive(Debug, Default, PartialEq, Eq)]
struct Text {
    mnemonic: String,
    operands: String,
}

fn text(mnemonic: impl Into<String>, operands: impl Into<String>) -> Text {
    Text {
        mnemonic: mnemonic.into(),
        operands: operands.into(),
    }
}

struct Disassembler {
    pc: u64,
    insn: u32,
    text: Text,
}

/// How an argument set is written.
trait Operands {
    /// An alias that objdump prefers to the row's name.
    fn alias(&self, _name: &str, _d: &Disassembler) -> Option<Text> {
        None
    }
    /// What follows the name with a dot (`.aqrl`).
    fn suffix(&self) -> String {
        String::new()
    }
    fn operands(&self, name: &str, d: &Disassembler) -> String;
}

/// `fcvt_w_s` is `fcvt.w.s`; Zcb's instructions are written as the ones that they abbreviate.
fn mnemonic(name: &str) -> String {
    let name = if name == "c_mop" {
        name
    } else {
        name.strip_prefix("c_").unwrap_or(name)
    };
    name.replace('_', ".")
}

macro_rules! implement_decode {
    ($($name:ident $method:ident $set:ident;)*) => {
        impl Decode for Disassembler {
            $(fn $method(&mut self, a: &$set) -> bool {
                self.show(stringify!($name), a)
            })*
        }
    };
}
for_each_insn!(implement_decode);

impl Disassembler {
    fn show(&mut self, name: &str, a: &dyn Operands) -> bool {
        self.text = a
            .alias(name, self)
            .unwrap_or_else(|| text(mnemonic(name) + &a.suffix(), a.operands(name, self)));
        true
    }

    /// The destination of a jump.
    fn dest(&self, imm: i32) -> String {
        format!("{:#x}", self.pc.wrapping_add_signed(imm.into()))
    }
}

fn x(reg: Reg) -> &'static str {
    crate::cpu::X_NAMES[reg.index()]
}

fn f(reg: Reg) -> &'static str {
    F_NAMES[reg.index()]
}

/// Name of a CSR, or its number.
fn csr_name(number: i32) -> String {
    csr::name(number as u16).unwrap_or_else(|| format!("{number:#x}"))
}

/// `,rm` unless it is the dynamic one.
fn rounding(rm: i32) -> &'static str {
    match rm {
        0 => ",rne",
        1 => ",rtz",
        2 => ",rdn",
        3 => ",rup",
        4 => ",rmm",
        7 => "",
        _ => ",unknown",
    }
}

fn rounding_of_conversion(name: &str, rm: i32) -> &'static str {
    if rm == 0 && EXACT.contains(&name) {
        ""
    } else {
        rounding(rm)
    }
}

/// `iorw` from the bits of `fence`.
fn fence_set(bits: i32) -> String {
    let letters = ['w', 'r', 'o', 'i'];
    let set: String = (0..4)
        .rev()
        .filter(|i| bits >> i & 1 != 0)
        .map(|i| letters[i])
        .collect();
    if set.is_empty() {
        "unknown".into()
    } else {
        set
    }
}

fn ordering(aq: i32, rl: i32) -> String {
    match (aq, rl) {
        (0, 0) => "",
        (0, _) => ".rl",
        (_, 0) => ".aq",
        _ => ".aqrl",
    }
    .into()
}

macro_rules! operands {
    ($($set:ident($a:ident, $name:ident, $d:ident) $(alias $alias:path)? = $text:expr;)*) => {
        $(impl Operands for $set {
            $(fn alias(&self, name: &str, d: &Disassembler) -> Option<Text> {
                $alias(self, name, d)
            })?
            fn operands(&self, $name: &str, $d: &Disassembler) -> String {
                let $a = self;
                $text
            }
        })*
    };
}

operands! {
    Empty(_a, _name, _d) alias alias::empty = String::new();
    R(a, _name, _d) alias alias::r = format!("{},{},{}", x(a.rd), x(a.rs1), x(a.rs2));
    R1(a, _name, _d) = format!("{},{}", x(a.rd), x(a.rs1));
    I(a, _name, _d) alias alias::i = format!("{},{},{}", x(a.rd), x(a.rs1), a.imm);
    Shift(a, _name, _d) = format!("{},{},{:#x}", x(a.rd), x(a.rs1), a.shamt);
    Load(a, _name, _d) = format!("{},{}({})", x(a.rd), a.imm, x(a.rs1));
    Store(a, _name, _d) = format!("{},{}({})", x(a.rs2), a.imm, x(a.rs1));
    Fload(a, _name, _d) = format!("{},{}({})", f(a.rd), a.imm, x(a.rs1));
    Fstore(a, _name, _d) = format!("{},{}({})", f(a.rs2), a.imm, x(a.rs1));
    B(a, _name, d) alias alias::b = format!("{},{},{}", x(a.rs1), x(a.rs2), d.dest(a.imm));
    U(a, _name, _d) = format!("{},{:#x}", x(a.rd), a.imm as u32 >> 12);
    J(a, _name, d) alias alias::j = format!("{},{}", x(a.rd), d.dest(a.imm));
    Jr(a, _name, _d) alias alias::jr = format!("{},{}({})", x(a.rd), a.imm, x(a.rs1));
    Fence(a, _name, _d) alias alias::fence =
        format!("{},{}", fence_set(a.pred), fence_set(a.succ));
    Csr(a, _name, _d) alias alias::csr =
        format!("{},{},{}", x(a.rd), csr_name(a.csr), x(a.rs1));
    Csri(a, _name, _d) alias alias::csri =
        format!("{},{},{}", x(a.rd), csr_name(a.csr), a.uimm);
    MopR(a, _name, _d) alias alias::mop_r = format!("{},{}", x(a.rd), x(a.rs1));
    MopRr(a, _name, _d) alias alias::mop_rr =
        format!("{},{},{}", x(a.rd), x(a.rs1), x(a.rs2));
    CMop(_a, _name, _d) alias alias::c_mop = String::new();
    Cbo(a, _name, _d) = format!("({})", x(a.rs1));
    Prefetch(a, _name, _d) = format!("{}({})", a.imm, x(a.rs1));
    Sfence(a, _name, _d) alias alias::sfence = format!("{},{}", x(a.rs1), x(a.rs2));
    Fff(a, _name, _d) alias alias::fff = format!("{},{},{}", f(a.rd), f(a.rs1), f(a.rs2));
    FffRm(a, _name, _d) =
        format!("{},{},{}{}", f(a.rd), f(a.rs1), f(a.rs2), rounding(a.rm));
    FfffRm(a, _name, _d) = format!(
        "{},{},{},{}{}", f(a.rd), f(a.rs1), f(a.rs2), f(a.rs3), rounding(a.rm)
    );
    FfRm(a, name, _d) =
        format!("{},{}{}", f(a.rd), f(a.rs1), rounding_of_conversion(name, a.rm));
    Xff(a, _name, _d) = format!("{},{},{}", x(a.rd), f(a.rs1), f(a.rs2));
    Xf(a, name, _d) = format!(
        "{},{}{}", x(a.rd), f(a.rs1), if name == "fcvtmod_w_d" { ",rtz" } else { "" }
    );
    XfRm(a, _name, _d) = format!("{},{}{}", x(a.rd), f(a.rs1), rounding(a.rm));
    Fx(a, _name, _d) = format!("{},{}", f(a.rd), x(a.rs1));
    FxRm(a, name, _d) =
        format!("{},{}{}", f(a.rd), x(a.rs1), rounding_of_conversion(name, a.rm));
    Fli(a, _name, _d) = format!("{},{}", f(a.rd), FLI_NAMES[a.index.index()]);
}

impl Operands for Lr {
    fn suffix(&self) -> String {
        ordering(self.aq, self.rl)
    }
    fn operands(&self, _name: &str, _d: &Disassembler) -> String {
        format!("{},({})", x(self.rd), x(self.rs1))
    }
}

impl Operands for Amo {
    fn suffix(&self) -> String {
        ordering(self.aq, self.rl)
    }
    fn operands(&self, _name: &str, _d: &Disassembler) -> String {
        format!("{},{},({})", x(self.rd), x(self.rs2), x(self.rs1))
    }
}

#[cfg(test)]
mod tests;
