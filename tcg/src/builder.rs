//! Makes a [`Function`] (the IR of one translation block) op by op.
//!
//! Front ends use [`Builder`]; simple folding happens here already, the rest in `optimize.rs`.

use crate::ir::{Op, Temp, TempKind, Type};

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

/// Appends ops to a function.
pub struct Builder {
    pub function: Function,
}

/// The temp of global number `index` of the guest's table.
pub const fn global(index: u16) -> Temp {
    Temp(index)
}
