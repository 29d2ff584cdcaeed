//! Text of the IR, for `-d op` and `-d op_opt`: one op a line, outputs, inputs, constants.

use std::fmt::{self, Debug, Display, Write};

use crate::builder::{Function, GlobalInfo};
use crate::for_each_op;
use crate::ir::*;

/// Prints a function; `globals` and `helpers` are the guest's tables.
pub fn print(function: &Function, globals: &[GlobalInfo], helpers: &[HelperInfo]) -> String {
    let mut printer = Printer {
        function,
        globals,
        helpers,
        out: String::new(),
    };
    for op in &function.ops {
        let printed = match op.kind {
            OpKind::InsnStart { pc, extra } => {
                write!(printer.out, "\n ---- {pc:016x} {extra:016x}")
            }
            _ => op.visit(&mut printer),
        };
        if printed.is_err() {
            break;
        }
        printer.out.push('\n');
    }
    printer.out
}

struct Printer<'a> {
    function: &'a Function,
    globals: &'a [GlobalInfo],
    helpers: &'a [HelperInfo],
    out: String,
}

impl Printer<'_> {
    fn name(&mut self, name: &str, ty: Type) -> fmt::Result {
        let full = match (name, ty) {
            ("set_label" | "br" | "mb" | "goto_tb" | "goto_ptr" | "exit_tb" | "call", _) => {
                name.to_owned()
            }
            (_, Type::I32) => format!("{name}_i32"),
            (_, Type::I64) => format!("{name}_i64"),
        };
        write!(self.out, " {full} ")
    }

    fn separate(&mut self) {
        if !self.out.ends_with(' ') {
            self.out.push(',');
        }
    }

    fn temp(&mut self, temp: Temp) -> fmt::Result {
        let index = usize::from(temp.0);
        let Some(info) = self.function.temps.get(index) else {
            return Ok(());
        };
        self.separate();
        match info.kind {
            TempKind::Global { .. } => match self.globals.get(index) {
                Some(global) => write!(self.out, "{}", global.name),
                None => write!(self.out, "global{index}"),
            },
            TempKind::Const(value) => write!(self.out, "${value:#x}"),
            TempKind::Local => write!(self.out, "tmp{index}"),
        }
    }

    fn immediate(&mut self, value: &dyn Immediate) -> fmt::Result {
        self.separate();
        let text = value.text(self.helpers);
        self.out.write_str(&text)
    }
}

/// A constant field of an op.
trait Immediate {
    fn text(&self, helpers: &[HelperInfo]) -> String;
}

fn hex(value: impl Display + fmt::LowerHex) -> String {
    format!("${value:#x}")
}

fn lower(value: &impl Debug) -> String {
    format!("{value:?}").to_lowercase()
}

/// Rows `type(value) => text`.
macro_rules! immediates {
    ($($ty:ty: $value:ident => $text:expr;)*) => {
        $(impl Immediate for $ty {
            fn text(&self, _helpers: &[HelperInfo]) -> String {
                let $value = self;
                $text
            }
        })*
    };
}

immediates! {
    u8: v => hex(*v);
    i32: v => hex(*v);
    u64: v => hex(*v);
    Cond: v => lower(v);
    RmwOp: v => lower(v);
    Barrier: v => lower(v);
    TbExit: v => lower(v);
    Label: v => format!("$L{}", v.0);
    MemOp: v => mem(*v);
    MemOpIdx: v => format!("{},{}", mem(v.mem()), v.mmu_idx());
}

impl Immediate for HelperId {
    fn text(&self, helpers: &[HelperInfo]) -> String {
        match helpers.get(usize::from(self.0)) {
            Some(info) => info.name.to_owned(),
            None => format!("helper{}", self.0),
        }
    }
}

/// `leul`, `lesw`, `al+beuq` and so on.
fn mem(mem: MemOp) -> String {
    let align = if mem.must_align() { "al+" } else { "" };
    let atom = if mem.0 & MemOp::ATOM_WITHIN16.0 != 0 {
        "w16+"
    } else {
        ""
    };
    let order = if mem.is_big_endian() { "be" } else { "le" };
    let sign = if mem.is_signed() { 's' } else { 'u' };
    let size = ["b", "w", "l", "q", "o"]
        .get(usize::from(mem.0 & 7))
        .unwrap_or(&"?");
    format!("{align}{atom}{order}{sign}{size}")
}

macro_rules! printer_methods {
    ($($name:ident = $variant:ident {
        $($out:ident),* <- $($inp:ident),* ; $($imm:ident : $imm_ty:ty),*
    } [$($flag:ident),*];)*) => {
        impl OpVisitor for Printer<'_> {
            type Output = fmt::Result;
            $(fn $name(&mut self, ty: Type $(, $out: Temp)* $(, $inp: Temp)* $(, $imm: $imm_ty)*)
                -> fmt::Result
            {
                self.name(stringify!($name), ty)?;
                $(self.temp($out)?;)*
                $(self.temp($inp)?;)*
                $(self.immediate(&$imm)?;)*
                Ok(())
            })*
        }
    };
}
for_each_op!(printer_methods);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::{Builder, global};

    #[test]
    fn prints_a_block() {
        let globals = [
            GlobalInfo {
                name: "x1",
                slot: 1,
                ty: Type::I64,
            },
            GlobalInfo {
                name: "pc",
                slot: 32,
                ty: Type::I64,
            },
        ];
        let mut b = Builder::new(&globals);
        b.insn_start(Type::I64, 0x8000_0000, 0);
        let (t, c) = (b.new_temp(Type::I64), b.constant(Type::I64, 16));
        b.add(Type::I64, t, global(0), c);
        b.qemu_ld(
            Type::I64,
            global(0),
            t,
            MemOpIdx::new(MemOp::SL.with(MemOp::ALIGN), 3),
        );
        let l = b.new_label();
        b.brcond(Type::I64, global(0), c, Cond::Ltu, l);
        b.exit_tb(Type::I64, TbExit::Main);
        b.set_label(Type::I64, l);
        b.goto_ptr(Type::I64);
        let expected = "
 ---- 0000000080000000 0000000000000000
 add_i64 tmp2,x1,$0x10
 qemu_ld_i64 x1,tmp2,al+lesl,3
 brcond_i64 x1,$0x10,ltu,$L0
 exit_tb main
 set_label $L0
 goto_ptr \n";
        assert_eq!(print(&b.function, &globals, &[]), expected);
    }
}
