//! A device tree as a tree, and as source text.

use std::fmt::{self, Write};

use super::FdtError;
use super::tokens::{Fdt, Token};

/// A property of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    pub name: String,
    pub value: Vec<u8>,
}

/// A node, with its properties and children in the order of the blob.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// With its unit address; empty for the root.
    pub name: String,
    pub properties: Vec<Property>,
    pub children: Vec<Node>,
}

impl Node {
    /// The value of the property `name`.
    pub fn property(&self, name: &str) -> Option<&[u8]> {
        let found = self
            .properties
            .iter()
            .find(|property| property.name == name);
        found.map(|property| &property.value[..])
    }

    /// The node at `path` below this one: `soc/serial@10000000`.
    pub fn node(&self, path: &str) -> Option<&Node> {
        path.split('/')
            .filter(|part| !part.is_empty())
            .try_fold(self, |node, part| {
                node.children.iter().find(|child| child.name == part)
            })
    }

    /// Takes the children that `keep` refuses out of this node (not of deeper ones).
    pub fn retain_children(&mut self, keep: impl Fn(&str) -> bool) {
        self.children.retain(|child| keep(&child.name));
    }
}

/// Reads the tokens into a tree.
pub fn parse(fdt: &Fdt<'_>) -> Result<Node, FdtError> {
    let mut open: Vec<Node> = Vec::new();
    for token in fdt.tokens() {
        match token? {
            Token::BeginNode { name } => {
                open.push(Node {
                    name: name.into(),
                    ..Node::default()
                });
            }
            Token::Property { name, value } => {
                let node = open.last_mut().ok_or(FdtError::Nesting)?;
                let value = fdt.blob[value].to_vec();
                node.properties.push(Property {
                    name: name.into(),
                    value,
                });
            }
            Token::EndNode => {
                let node = open.pop().ok_or(FdtError::Nesting)?;
                match open.last_mut() {
                    Some(parent) => parent.children.push(node),
                    None => return Ok(node),
                }
            }
        }
    }
    Err(FdtError::Nesting)
}

/// Device tree source, with every property typed by what its bytes look like.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_node(f, self, 0)
    }
}

fn write_node(f: &mut fmt::Formatter<'_>, node: &Node, depth: usize) -> fmt::Result {
    let indent = "\t".repeat(depth);
    let name = if node.name.is_empty() {
        "/"
    } else {
        &node.name
    };
    writeln!(f, "{indent}{name} {{")?;
    for property in &node.properties {
        writeln!(
            f,
            "{indent}\t{}{};",
            property.name,
            value_text(&property.value)
        )?;
    }
    for child in &node.children {
        writeln!(f)?;
        write_node(f, child, depth + 1)?;
    }
    writeln!(f, "{indent}}};")
}

/// ` = ...`, or nothing for an empty value.
fn value_text(value: &[u8]) -> String {
    if value.is_empty() {
        return String::new();
    }
    let mut text = String::from(" = ");
    if let Some(strings) = strings(value) {
        text += &strings
            .iter()
            .map(|s| format!("{s:?}"))
            .collect::<Vec<_>>()
            .join(", ");
    } else if value.len().is_multiple_of(4) {
        let cells = value.chunks_exact(4).map(|cell| {
            let cell = cell
                .iter()
                .fold(0u32, |word, byte| word << 8 | u32::from(*byte));
            format!("{cell:#x}")
        });
        let _ = write!(text, "<{}>", cells.collect::<Vec<_>>().join(" "));
    } else {
        let bytes = value.iter().map(|byte| format!("{byte:02x}"));
        let _ = write!(text, "[{}]", bytes.collect::<Vec<_>>().join(" "));
    }
    text
}

/// The value as NUL-terminated, printable, non-empty strings.
fn strings(value: &[u8]) -> Option<Vec<&str>> {
    let text = str::from_utf8(value.strip_suffix(&[0])?).ok()?;
    let strings: Vec<&str> = text.split('\0').collect();
    let printable = |s: &&str| !s.is_empty() && s.bytes().all(|b| (0x20..0x7f).contains(&b));
    strings.iter().all(printable).then_some(strings)
}
