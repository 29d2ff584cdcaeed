//! Flattened device trees (Devicetree Specification 0.4, chapter 5) of other people.
//!
//! A board writes its own tree with `vm-fdt`. This module is for trees that a user brings
//! (`-dtb`): it walks the tokens with every bound checked, gives them a tree to look at, and
//! replaces properties of a node while everything else stays byte for byte. `vm-fdt` cannot write
//! such trees back, as it refuses names that the specification discourages (`__symbols__`).

mod node;
mod patch;
mod tokens;

pub use node::{Node, Property};
pub use patch::set_properties;
pub use tokens::FdtError;

use std::ops::Range;

use tokens::{Fdt, Token};

/// Reads a whole tree.
pub fn parse(blob: &[u8]) -> Result<Node, FdtError> {
    node::parse(&Fdt::new(blob)?)
}

/// The bytes that the tree takes at the start of `blob` (`totalsize`).
pub fn total_size(blob: &[u8]) -> Result<usize, FdtError> {
    Ok(Fdt::new(blob)?.total_size)
}

/// Where in `blob` the values of all properties called `name` are.
pub fn property_values(blob: &[u8], name: &str) -> Result<Vec<Range<usize>>, FdtError> {
    let mut values = Vec::new();
    for token in Fdt::new(blob)?.tokens() {
        if let Token::Property { name: found, value } = token?
            && found == name
        {
            values.push(value);
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests;
