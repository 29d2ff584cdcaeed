//! Turns instruction tables (`.decode` files) into a Rust decoder; used from build scripts.
//!
//! A table is lines of words; `#` starts a comment, a `\` at the end continues a line.
//!
//! | line | says |
//! |---|---|
//! | `%imm 31:s1 7:1 !function=f` | a field: runs of bits, highest first, then given to `f` |
//! | `&r rd:Reg imm` | an argument set: a struct; `i32`, or made by `Type::from(i32)` |
//! | `&r rd:Reg !extern` | the same set, declared in an earlier table |
//! | `@r ....... ..... ... ..... ....... &r %rd` | a format: what patterns share |
//! | `add 0000000 ..... ..... 000 ..... 0110011 @r` | a pattern: one method of the trait |
//! | `{` ... `}` | patterns that may overlap: tried in order until one accepts |
//! | `[` ... `]` | inside `{ }`: patterns that may not overlap |
//!
//! A run is `pos:len`, or `pos:slen` (the first alone) if signed. In formats and patterns, `0` and
//! `1` are fixed bits, `-` any bit, `.` a bit of a field, `name:len` and `name:slen` a field in
//! place, `%f` the member `f` from field `f`, `name=%f` and `name=7` a member from a field or a
//! constant.
//!
//! What must hold, or the build fails with file and line: every bit is accounted for, widths fit,
//! names are declared once and used, patterns outside `{ }` exclude each other, and a pattern's
//! members are exactly those of its argument set. Patterns of one name may stand in several
//! tables (a compressed form of the same instruction) if they have the same argument set.

mod check;
mod emit;
mod model;
mod parse;
mod tree;

use std::fmt;

/// One `.decode` file.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    /// For error messages.
    pub path: &'a str,
    pub text: &'a str,
    /// Names the decoder: `insn32` gives `decode_insn32` and `INSN32_PATTERNS`.
    pub name: &'a str,
    /// Bits of an instruction, up to 32.
    pub width: u32,
}

/// What is wrong with a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    pub path: String,
    pub line: usize,
    pub message: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

impl std::error::Error for Error {}

/// Rust source for all `tables`: argument structs, the trait `trait_name`, a decoder and a list of
/// patterns for each table, and the macro `for_each_insn!`.
pub fn generate(trait_name: &str, tables: &[Table<'_>]) -> Result<String, Error> {
    let models = load(tables)?;
    Ok(emit::source(trait_name, &models))
}

/// A decoder that runs without being compiled: for tests of tables and of this crate.
pub struct Interpreter {
    model: model::Model,
    tree: tree::Tree,
}

impl Interpreter {
    /// The decoder of the last of `tables`.
    pub fn new(tables: &[Table<'_>]) -> Result<Self, Error> {
        let mut models = load(tables)?;
        let model = models.pop().expect("at least one table");
        let tree = tree::build(&model.root, &model.patterns);
        Ok(Self { model, tree })
    }

    /// Name and members of the pattern that takes `insn`. A pattern whose name is in `refuse`
    /// answers no, as a trait method may.
    pub fn decode(&self, insn: u32, refuse: &[&str]) -> Option<(String, Vec<(String, i32)>)> {
        let accept = &|index: usize| !refuse.contains(&self.model.patterns[index].name.as_str());
        let pattern = &self.model.patterns[self.tree.find(insn, accept)?];
        let value = |(name, source): &(String, model::Source)| (name.clone(), source.value(insn));
        Some((
            pattern.name.clone(),
            pattern.members.iter().map(value).collect(),
        ))
    }

    /// Names of the patterns whose fixed bits `insn` has.
    pub fn matching(&self, insn: u32) -> Vec<&str> {
        let fits = |p: &&model::Pattern| insn & p.mask == p.bits;
        self.model
            .patterns
            .iter()
            .filter(fits)
            .map(|p| p.name.as_str())
            .collect()
    }
}

fn load(tables: &[Table<'_>]) -> Result<Vec<model::Model>, Error> {
    let mut models: Vec<model::Model> = Vec::new();
    for table in tables {
        let model = parse::parse(table, &models)?;
        check::check(&model)?;
        models.push(model);
    }
    check::check_together(&models)?;
    Ok(models)
}
