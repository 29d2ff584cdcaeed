//! The Rust source of a decoder.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::model::{ArgSet, Model, Pattern, Segment, Source};
use crate::tree::{self, Tree};

/// See [`crate::generate`].
pub fn source(trait_name: &str, models: &[Model]) -> String {
    let mut out = String::from(EXTRACT);
    for set in models
        .iter()
        .flat_map(|m| &m.sets)
        .filter(|set| !set.external)
    {
        argument_set(&mut out, set);
    }
    let mut methods: BTreeMap<&str, &str> = BTreeMap::new();
    for pattern in models.iter().flat_map(|m| &m.patterns) {
        methods.insert(&pattern.name, &pattern.set);
    }
    trait_source(&mut out, trait_name, &methods);
    for_each(&mut out, &methods);
    for model in models {
        fields(&mut out, model);
        decoder(&mut out, trait_name, model);
        pattern_list(&mut out, model);
    }
    out
}

const EXTRACT: &str = "\
/// Fixed bits of a pattern: its instructions are those with `insn & mask == bits`.
#[derive(Clone, Copy, Debug)]
pub struct Pattern {
    pub name: &'static str,
    pub mask: u32,
    pub bits: u32,
}
#[inline(always)]
const fn extract(insn: u32, pos: u32, len: u32) -> i32 {
    (insn << (32 - pos - len) >> (32 - len)) as i32
}
#[inline(always)]
const fn sextract(insn: u32, pos: u32, len: u32) -> i32 {
    ((insn << (32 - pos - len)) as i32) >> (32 - len)
}
";

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a String takes all");
}

/// `fr_rm` becomes `FrRm`.
fn camel(name: &str) -> String {
    let word = |word: &str| word[..1].to_uppercase() + &word[1..];
    name.split('_')
        .filter(|w| !w.is_empty())
        .map(word)
        .collect()
}

fn argument_set(out: &mut String, set: &ArgSet) {
    put(
        out,
        format_args!("#[derive(Clone, Copy, Debug, PartialEq, Eq)]\n"),
    );
    put(out, format_args!("pub struct {} {{\n", camel(&set.name)));
    for (member, ty) in &set.members {
        put(
            out,
            format_args!("    pub {member}: {},\n", ty.as_deref().unwrap_or("i32")),
        );
    }
    put(out, format_args!("}}\n"));
}

fn trait_source(out: &mut String, trait_name: &str, methods: &BTreeMap<&str, &str>) {
    put(
        out,
        format_args!("/// One method per instruction; false refuses it.\n"),
    );
    put(out, format_args!("pub trait {trait_name} {{\n"));
    for (name, set) in methods {
        put(
            out,
            format_args!(
                "    fn trans_{name}(&mut self, a: &{}) -> bool;\n",
                camel(set)
            ),
        );
    }
    put(out, format_args!("}}\n"));
}

fn for_each(out: &mut String, methods: &BTreeMap<&str, &str>) {
    put(
        out,
        format_args!("/// Calls `$m! {{ name method ArgumentSet; ... }}` with all methods.\n"),
    );
    put(
        out,
        format_args!("macro_rules! for_each_insn {{\n    ($m:ident) => {{ $m! {{\n"),
    );
    for (name, set) in methods {
        put(
            out,
            format_args!("        {name} trans_{name} {};\n", camel(set)),
        );
    }
    put(
        out,
        format_args!("    }} }};\n}}\npub(crate) use for_each_insn;\n"),
    );
}

fn run(segment: &Segment) -> String {
    let name = if segment.signed {
        "sextract"
    } else {
        "extract"
    };
    format!("{name}(insn, {}, {})", segment.pos, segment.len)
}

/// The segments joined, most significant first, then the function.
fn joined(segments: &[Segment], function: Option<&str>) -> String {
    let mut shift = 0;
    let mut parts = Vec::new();
    for segment in segments.iter().rev() {
        let part = run(segment);
        parts.push(if shift == 0 {
            part
        } else {
            format!("{part} << {shift}")
        });
        shift += segment.len;
    }
    parts.reverse();
    let value = parts.join(" | ");
    match function {
        Some(function) => format!("{function}({value})"),
        None => value,
    }
}

/// A function for each named field.
fn fields(out: &mut String, model: &Model) {
    let mut named: BTreeMap<&str, String> = BTreeMap::new();
    for (_, source) in model.patterns.iter().flat_map(|p| &p.members) {
        if let Source::Bits {
            segments,
            function,
            field: Some(field),
        } = source
        {
            named.insert(field, joined(segments, function.as_deref()));
        }
    }
    for (field, value) in named {
        put(out, format_args!("#[inline(always)]\n"));
        put(
            out,
            format_args!("fn {}_{field}(insn: u32) -> i32 {{\n", model.name),
        );
        put(out, format_args!("    {value}\n}}\n"));
    }
}

fn decoder(out: &mut String, trait_name: &str, model: &Model) {
    let name = &model.name;
    let tree = tree::build(&model.root, &model.patterns);
    put(
        out,
        format_args!("/// Calls the method for `insn`; false if there is none or it refuses.\n"),
    );
    put(
        out,
        format_args!("pub fn decode_{name}<T: {trait_name}>(insn: u32, t: &mut T)"),
    );
    put(out, format_args!(" -> bool {{\n"));
    emit_tree(out, model, &tree, 1);
    put(out, format_args!("}}\n"));
}

fn emit_tree(out: &mut String, model: &Model, tree: &Tree, depth: usize) {
    let pad = "    ".repeat(depth);
    match tree {
        Tree::Leaf {
            mask,
            bits,
            pattern,
        } => {
            let test = test(*mask, *bits);
            put(
                out,
                format_args!("{pad}{test}{}\n", call(model, &model.patterns[*pattern])),
            );
        }
        Tree::Guard { mask, bits, inside } => {
            put(out, format_args!("{pad}{}({{\n", test(*mask, *bits)));
            emit_tree(out, model, inside, depth + 1);
            put(out, format_args!("{pad}}})\n"));
        }
        Tree::Match { shift, mask, arms } => {
            let insn = match shift {
                0 => String::from("insn"),
                _ => format!("insn >> {shift}"),
            };
            put(out, format_args!("{pad}match {insn} & {mask:#x} {{\n"));
            for (value, inside) in arms {
                put(out, format_args!("{pad}    {value:#x} => {{\n"));
                emit_tree(out, model, inside, depth + 2);
                put(out, format_args!("{pad}    }}\n"));
            }
            put(out, format_args!("{pad}    _ => false,\n{pad}}}\n"));
        }
        Tree::Any(trees) => {
            for (index, inside) in trees.iter().enumerate() {
                put(
                    out,
                    format_args!("{pad}{}({{\n", if index == 0 { "" } else { "|| " }),
                );
                emit_tree(out, model, inside, depth + 1);
                put(out, format_args!("{pad}}})\n"));
            }
        }
    }
}

fn test(mask: u32, bits: u32) -> String {
    if mask == 0 {
        String::new()
    } else {
        format!("insn & {mask:#010x} == {bits:#010x} && ")
    }
}

fn call(model: &Model, pattern: &Pattern) -> String {
    let set = model
        .sets
        .iter()
        .find(|set| set.name == pattern.set)
        .expect("resolved");
    let member = |((name, source), (_, ty)): (&(String, Source), &(String, Option<String>))| {
        let value = match source {
            Source::Const(value) => value.to_string(),
            Source::Bits {
                field: Some(field), ..
            } => format!("{}_{field}(insn)", model.name),
            Source::Bits {
                segments, function, ..
            } => joined(segments, function.as_deref()),
        };
        match ty {
            Some(ty) => format!("{name}: {ty}::from({value})"),
            None => format!("{name}: {value}"),
        }
    };
    let members: Vec<String> = pattern
        .members
        .iter()
        .zip(&set.members)
        .map(member)
        .collect();
    format!(
        "t.trans_{}(&{} {{ {} }})",
        pattern.name,
        camel(&set.name),
        members.join(", ")
    )
}

fn pattern_list(out: &mut String, model: &Model) {
    let name = model.name.to_uppercase();
    put(
        out,
        format_args!("/// All patterns of the table, in its order.\n"),
    );
    put(
        out,
        format_args!("pub const {name}_PATTERNS: &[Pattern] = &[\n"),
    );
    for Pattern {
        name, mask, bits, ..
    } in &model.patterns
    {
        put(out, format_args!("    Pattern {{ name: {name:?}, "));
        put(
            out,
            format_args!("mask: {mask:#010x}, bits: {bits:#010x} }},\n"),
        );
    }
    put(out, format_args!("];\n"));
}
