//! The order of tests: nested matches on the bits that tell most patterns apart.
//!
//! What must hold: the tree finds a pattern exactly when a linear search of the table does.

use crate::model::{Item, Pattern};

/// Widest run of bits that one match looks at.
const MATCH_BITS_MAX: u32 = 8;

/// A decision tree; see [`build`].
#[derive(Debug)]
pub enum Tree {
    /// If `insn & mask == bits`, the pattern.
    Leaf {
        mask: u32,
        bits: u32,
        pattern: usize,
    },
    /// If `insn & mask == bits`, what is inside.
    Guard {
        mask: u32,
        bits: u32,
        inside: Box<Tree>,
    },
    /// The arm of `insn >> shift & mask`.
    Match {
        shift: u32,
        mask: u32,
        arms: Vec<(u32, Tree)>,
    },
    /// The first that takes the instruction.
    Any(Vec<Tree>),
}

impl Tree {
    /// The pattern that takes `insn`, given which patterns accept.
    pub fn find(&self, insn: u32, accept: &dyn Fn(usize) -> bool) -> Option<usize> {
        match self {
            Self::Leaf {
                mask,
                bits,
                pattern,
            } => (insn & mask == *bits && accept(*pattern)).then_some(*pattern),
            Self::Guard { mask, bits, inside } => {
                if insn & mask == *bits {
                    inside.find(insn, accept)
                } else {
                    None
                }
            }
            Self::Match { shift, mask, arms } => {
                let value = insn >> shift & mask;
                arms.iter().find(|(v, _)| *v == value)?.1.find(insn, accept)
            }
            Self::Any(trees) => trees.iter().find_map(|tree| tree.find(insn, accept)),
        }
    }
}

/// An item with the fixed bits that everything inside it shares.
struct Node<'a> {
    item: &'a Item,
    mask: u32,
    bits: u32,
}

/// The tree for the items of a table.
pub fn build(items: &[Item], patterns: &[Pattern]) -> Tree {
    build_items(items, patterns, 0)
}

fn build_items(items: &[Item], patterns: &[Pattern], known: u32) -> Tree {
    let nodes = items.iter().map(|item| node(item, patterns)).collect();
    build_nodes(nodes, patterns, known)
}

fn node<'a>(item: &'a Item, patterns: &[Pattern]) -> Node<'a> {
    let (mask, bits) = shared_bits(item, patterns);
    Node { item, mask, bits }
}

fn shared_bits(item: &Item, patterns: &[Pattern]) -> (u32, u32) {
    match item {
        Item::Pattern(index) => (patterns[*index].mask, patterns[*index].bits),
        Item::Group { items, .. } => {
            let parts = items.iter().map(|item| shared_bits(item, patterns));
            let both = |(m, b): (u32, u32), (n, c): (u32, u32)| {
                let mask = m & n & !(b ^ c);
                (mask, b & mask)
            };
            parts.reduce(both).unwrap_or((0, 0))
        }
    }
}

/// `known` are bits that the way here has tested already.
fn build_nodes(mut nodes: Vec<Node<'_>>, patterns: &[Pattern], known: u32) -> Tree {
    if nodes.len() == 1 {
        return build_one(nodes.pop().expect("one node"), patterns, known);
    }
    let common = nodes.iter().fold(!known, |mask, node| mask & node.mask);
    if common == 0 {
        return split(nodes, patterns, known);
    }
    let Some((shift, len)) = best_run(&nodes, common) else {
        let bits = nodes[0].bits & common;
        let inside = Box::new(build_nodes(nodes, patterns, known | common));
        return Tree::Guard {
            mask: common,
            bits,
            inside,
        };
    };
    let mask = u32::MAX >> (32 - len);
    let mut arms: Vec<(u32, Vec<Node<'_>>)> = Vec::new();
    for node in nodes {
        let value = node.bits >> shift & mask;
        match arms.iter_mut().find(|(v, _)| *v == value) {
            Some((_, inside)) => inside.push(node),
            None => arms.push((value, vec![node])),
        }
    }
    arms.sort_by_key(|(value, _)| *value);
    let known = known | mask << shift;
    let arms = arms
        .into_iter()
        .map(|(v, inside)| (v, build_nodes(inside, patterns, known)));
    Tree::Match {
        shift,
        mask,
        arms: arms.collect(),
    }
}

fn build_one(node: Node<'_>, patterns: &[Pattern], known: u32) -> Tree {
    let mask = node.mask & !known;
    let bits = node.bits & mask;
    match node.item {
        Item::Pattern(pattern) => Tree::Leaf {
            mask,
            bits,
            pattern: *pattern,
        },
        Item::Group { overlap, items } => {
            let known = known | node.mask;
            let inside = if *overlap {
                let single = |item| build_items(std::slice::from_ref(item), patterns, known);
                Tree::Any(items.iter().map(single).collect())
            } else {
                build_items(items, patterns, known)
            };
            match mask {
                0 => inside,
                _ => Tree::Guard {
                    mask,
                    bits,
                    inside: Box::new(inside),
                },
            }
        }
    }
}

/// No bit is fixed in all nodes: those that fix the most popular bit, then the others.
fn split<'a>(nodes: Vec<Node<'a>>, patterns: &[Pattern], known: u32) -> Tree {
    let fixing = |bit: &u32| {
        nodes
            .iter()
            .filter(|n| n.mask & !known & 1 << bit != 0)
            .count()
    };
    let popular = (0..32).max_by_key(fixing).expect("32 bits");
    if fixing(&popular) == 0 {
        let single = |node: Node<'a>| build_one(node, patterns, known);
        return Tree::Any(nodes.into_iter().map(single).collect());
    }
    let (with, without) = nodes
        .into_iter()
        .partition(|node| node.mask & 1 << popular != 0);
    Tree::Any(vec![
        build_nodes(with, patterns, known),
        build_nodes(without, patterns, known),
    ])
}

/// The run of common bits with the most different values, the shortest of those: `(pos, len)`.
/// `None` if the nodes agree in all common bits.
fn best_run(nodes: &[Node<'_>], common: u32) -> Option<(u32, u32)> {
    let mut best = (1, 0, 0);
    for pos in 0..32 {
        let run = (common >> pos).trailing_ones().min(MATCH_BITS_MAX);
        for len in 1..=run {
            let mask = u32::MAX >> (32 - len);
            let mut values: Vec<u32> = nodes.iter().map(|n| n.bits >> pos & mask).collect();
            values.sort_unstable();
            values.dedup();
            if values.len() > best.0 {
                best = (values.len(), pos, len);
            }
        }
    }
    (best.0 > 1).then_some((best.1, best.2))
}
