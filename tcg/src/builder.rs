//! Makes a [`Function`] (the IR of one translation block) op by op.
//!
//! Front ends use [`Builder`]; simple folding happens here already, the rest in `optimize.rs`.

use crate::for_each_op;
use crate::ir::*;

/// A guest register known to the IR: a row of the guest's table of globals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GlobalInfo {
    pub name: &'static str,
    pub slot: u8,
    pub ty: Type,
}

/// A temp's kind and type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TempInfo {
    pub kind: TempKind,
    pub ty: Type,
}

/// The IR of one block. Temps `0..globals.len()` are the globals, in the order of the table.
#[derive(Clone, Debug, Default)]
pub struct Function {
    pub temps: Vec<TempInfo>,
    pub ops: Vec<Op>,
    pub labels: u16,
}

impl Function {
    /// The temp that holds `value` (an I32 constant is kept zero-extended).
    pub fn constant(&mut self, ty: Type, value: u64) -> Temp {
        let value = if ty == Type::I32 {
            u64::from(value as u32)
        } else {
            value
        };
        let info = TempInfo {
            kind: TempKind::Const(value),
            ty,
        };
        if let Some(index) = self.temps.iter().rposition(|t| *t == info) {
            return Temp(index as u16);
        }
        self.temps.push(info);
        Temp((self.temps.len() - 1) as u16)
    }

    /// The value of a temp that is a constant.
    pub fn const_value(&self, temp: Temp) -> Option<u64> {
        match self.temps.get(usize::from(temp.0))?.kind {
            TempKind::Const(value) => Some(value),
            _ => None,
        }
    }
}

/// Placeholder for an operand that is not there (`call` without result or with fewer arguments).
pub const NO_TEMP: Temp = Temp(u16::MAX);

/// Appends ops to a function. One method per row of the op table, with the operands in the row's
/// order after the type: `b.add(Type::I64, d, a, b)`.
pub struct Builder {
    pub function: Function,
}

impl Builder {
    /// An empty function over the guest's globals.
    pub fn new(globals: &[GlobalInfo]) -> Self {
        let temps = globals
            .iter()
            .map(|g| TempInfo {
                kind: TempKind::Global { slot: g.slot },
                ty: g.ty,
            })
            .collect();
        Self {
            function: Function {
                temps,
                ..Function::default()
            },
        }
    }

    /// A fresh local temp.
    pub fn new_temp(&mut self, ty: Type) -> Temp {
        self.push_temp(TempInfo {
            kind: TempKind::Local,
            ty,
        })
    }

    /// The temp that holds `value` (an I32 constant is kept zero-extended).
    pub fn constant(&mut self, ty: Type, value: u64) -> Temp {
        self.function.constant(ty, value)
    }

    /// A fresh label; `set_label` places it.
    pub fn new_label(&mut self) -> Label {
        self.function.labels += 1;
        Label(self.function.labels - 1)
    }

    fn push_temp(&mut self, info: TempInfo) -> Temp {
        self.function.temps.push(info);
        Temp((self.function.temps.len() - 1) as u16)
    }

    fn push(&mut self, kind: OpKind, ty: Type) {
        self.function.ops.push(Op { kind, ty });
    }
}

macro_rules! builder_methods {
    ($($name:ident = $variant:ident {
        $($out:ident),* <- $($inp:ident),* ; $($imm:ident : $imm_ty:ty),*
    } [$($flag:ident),*];)*) => {
        impl OpVisitor for Builder {
            type Output = ();
            $(fn $name(&mut self, ty: Type $(, $out: Temp)* $(, $inp: Temp)* $(, $imm: $imm_ty)*) {
                self.push(OpKind::$variant { $($out,)* $($inp,)* $($imm,)* }, ty);
            })*
        }
    };
}
for_each_op!(builder_methods);

/// The temp of global number `index` of the guest's table.
pub const fn global(index: u16) -> Temp {
    Temp(index)
}
