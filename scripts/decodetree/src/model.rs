//! What a table says, with all names resolved.

use crate::Error;

/// A run of instruction bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    pub pos: u32,
    pub len: u32,
    pub signed: bool,
}

impl Segment {
    pub fn mask(self) -> u32 {
        (u32::MAX >> (32 - self.len)) << self.pos
    }

    pub fn value(self, insn: u32) -> i32 {
        let top = insn << (32 - self.pos - self.len);
        if self.signed {
            top as i32 >> (32 - self.len)
        } else {
            (top >> (32 - self.len)) as i32
        }
    }
}

/// Where the value of a member comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Bits {
        segments: Vec<Segment>,
        function: Option<String>,
        field: Option<String>,
    },
    Const(i32),
}

impl Source {
    /// Instruction bits that it reads.
    pub fn mask(&self) -> u32 {
        match self {
            Self::Bits { segments, .. } => segments.iter().fold(0, |m, s| m | s.mask()),
            Self::Const(_) => 0,
        }
    }

    /// The value before its function.
    pub fn value(&self, insn: u32) -> i32 {
        match self {
            Self::Bits { segments, .. } => segments
                .iter()
                .fold(0, |v, s| v.checked_shl(s.len).unwrap_or(0) | s.value(insn)),
            Self::Const(value) => *value,
        }
    }
}

/// An argument set: `(member, type)`, the type `None` for `i32`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgSet {
    pub name: String,
    pub members: Vec<(String, Option<String>)>,
    /// Declared in another table.
    pub external: bool,
    pub line: usize,
}

/// An instruction.
#[derive(Clone, Debug)]
pub struct Pattern {
    pub name: String,
    pub mask: u32,
    pub bits: u32,
    pub set: String,
    /// In the set's order.
    pub members: Vec<(String, Source)>,
    pub line: usize,
}

/// A pattern (by index) or a group of them.
#[derive(Clone, Debug)]
pub enum Item {
    Pattern(usize),
    Group { overlap: bool, items: Vec<Item> },
}

/// One table.
#[derive(Clone, Debug)]
pub struct Model {
    pub path: String,
    pub name: String,
    pub width: u32,
    pub sets: Vec<ArgSet>,
    pub patterns: Vec<Pattern>,
    pub root: Vec<Item>,
}

impl Model {
    pub fn error(&self, line: usize, message: String) -> Error {
        Error {
            path: self.path.clone(),
            line,
            message,
        }
    }
}
