//! An ext4 file system from a tree, without root rights and without a mount (the kernel's
//! `Documentation/filesystems/ext4`). It is written once from its first byte to its last, and the
//! same tree gives the same bytes.
//!
//! Blocks of 4 KiB, groups of 32768 blocks; features: extents, file types, sparse superblocks,
//! large files, a journal. Each group has its bitmaps and inodes at its own start.

mod layout;
mod records;
#[cfg(test)]
mod tests;

use std::io;

use crate::spool::Spool;
use crate::tree::{Content, Id, Kind, Node, Tree};
use layout::{Layout, Run};
use records::{Inode, Placed};

pub const BLOCK: u64 = 4096;
const INODE_BYTES: u64 = 256;
pub const INODE_ROOT: u32 = 2;
const INODE_JOURNAL: u32 = 8;
/// The first that is not reserved; it is `lost+found`.
const INODE_FIRST: u32 = 11;
const JOURNAL_BLOCKS: u64 = 1024;

/// What fills blocks that are not zeros.
enum Piece {
    Bytes(Vec<u8>),
    File { content: Content, at: u64 },
}

/// A file system that is planned and not written yet.
pub struct Image<'a> {
    layout: Layout,
    /// By first block, in order, not overlapping.
    pieces: Vec<(u64, u64, Piece)>,
    spool: &'a Spool,
}

/// A node on its way into the file system.
struct Planned {
    id: Option<Id>,
    links: u32,
    number: u32,
}

/// Plans a file system of the tree with at least `free` bytes for new files.
pub fn plan<'a>(
    tree: &Tree,
    spool: &'a Spool,
    free: u64,
    uuid: [u8; 16],
) -> Result<Image<'a>, String> {
    let nodes = tree.reachable();
    let numbers = number(tree, &nodes);
    let need = Need::of(tree, &nodes, &numbers)?;
    let mut layout = Layout::new(need.blocks, need.inodes, free)?;
    let mut builder = Builder {
        tree,
        numbers: &numbers,
        parents: parents(tree, &nodes, &numbers),
        pieces: Vec::new(),
        table: vec![Vec::new(); layout.groups as usize],
        folders: vec![0; layout.groups as usize],
    };
    builder.journal(&mut layout)?;
    for planned in in_order(&nodes, &numbers) {
        builder.node(&mut layout, &planned)?;
    }
    let mut pieces = builder.pieces;
    let (table, folders) = (builder.table, builder.folders);
    let used = numbers.values().copied().max().unwrap_or(INODE_ROOT);
    layout.metadata(table, &folders, used, uuid, &mut pieces);
    pieces.sort_by_key(|(block, ..)| *block);
    Ok(Image {
        layout,
        pieces,
        spool,
    })
}

/// Inode numbers of nodes, by id.
type Numbers = std::collections::HashMap<Id, u32>;

fn number(tree: &Tree, nodes: &[(Id, u32)]) -> Numbers {
    let mut numbers = Numbers::new();
    let lost = tree.find("lost+found").is_some();
    let mut next = INODE_FIRST + u32::from(!lost);
    for (id, _) in nodes {
        if *id == crate::tree::ROOT {
            numbers.insert(*id, INODE_ROOT);
        } else {
            numbers.insert(*id, next);
            next += 1;
        }
    }
    numbers
}

fn parents(tree: &Tree, nodes: &[(Id, u32)], numbers: &Numbers) -> Numbers {
    let mut parents = Numbers::new();
    for (id, _) in nodes {
        if let Kind::Folder(entries) = &tree.node(*id).kind {
            parents.extend(entries.values().map(|child| (*child, numbers[id])));
        }
    }
    parents
}

/// The nodes with their numbers; `lost+found` is made when the tree has none.
fn in_order(nodes: &[(Id, u32)], numbers: &Numbers) -> Vec<Planned> {
    let mut all: Vec<Planned> = nodes
        .iter()
        .map(|(id, links)| Planned {
            id: Some(*id),
            links: *links,
            number: numbers[id],
        })
        .collect();
    if !all.iter().any(|planned| planned.number == INODE_FIRST) {
        all.push(Planned {
            id: None,
            links: 1,
            number: INODE_FIRST,
        });
    }
    all.sort_by_key(|planned| planned.number);
    all
}

/// How much there is to place.
struct Need {
    blocks: u64,
    inodes: u32,
}

impl Need {
    fn of(tree: &Tree, nodes: &[(Id, u32)], numbers: &Numbers) -> Result<Self, String> {
        let mut blocks = JOURNAL_BLOCKS + 8;
        for (id, _) in nodes {
            let node = tree.node(*id);
            let data = match &node.kind {
                Kind::File(content) => content.bytes.div_ceil(BLOCK),
                Kind::Folder(_) => records::folder(tree, *id, 0, numbers).len() as u64 / BLOCK,
                Kind::Link(_) => 1,
                _ => 0,
            };
            // Large files have blocks of extents.
            blocks += data + data / 30_000 + u64::from(!node.meta.xattrs.is_empty()) + 1;
        }
        let inodes = u32::try_from(nodes.len()).map_err(|_| "it has too many files")?;
        let inodes = inodes.saturating_add(INODE_FIRST + 1);
        Ok(Self { blocks, inodes })
    }
}

struct Builder<'a> {
    tree: &'a Tree,
    numbers: &'a Numbers,
    /// The numbers of the folders that folders are in.
    parents: Numbers,
    pieces: Vec<(u64, u64, Piece)>,
    /// The inodes of each group.
    table: Vec<Vec<u8>>,
    /// How many folders each group has.
    folders: Vec<u32>,
}

impl Builder<'_> {
    fn journal(&mut self, layout: &mut Layout) -> Result<(), String> {
        let runs = layout.allocate(JOURNAL_BLOCKS)?;
        let bytes = records::journal(JOURNAL_BLOCKS as u32);
        self.pieces.push((runs[0].start, 1, Piece::Bytes(bytes)));
        let placed = self.place(layout, runs)?;
        let inode = Inode {
            mode: records::MODE_FILE | 0o600,
            links: 1,
            bytes: JOURNAL_BLOCKS * BLOCK,
            ..Inode::default()
        };
        self.put(layout, INODE_JOURNAL, &inode.to_bytes(&placed));
        Ok(())
    }

    fn node(&mut self, layout: &mut Layout, planned: &Planned) -> Result<(), String> {
        let Some(id) = planned.id else {
            return self.folder(layout, planned, None);
        };
        let node = self.tree.node(id);
        if let Kind::Folder(_) = node.kind {
            return self.folder(layout, planned, Some(id));
        }
        let mut inode = Inode::of(node, planned.links)?;
        let mut placed = match &node.kind {
            Kind::File(content) => {
                inode.bytes = content.bytes;
                self.contents(layout, *content)?
            }
            Kind::Link(target) => {
                inode.bytes = target.len() as u64;
                match records::short_link(target) {
                    Some(placed) => placed,
                    None if target.len() < BLOCK as usize => self.bytes(layout, target.clone())?,
                    None => return Err("one of its links is too long".into()),
                }
            }
            Kind::Char { major, minor } | Kind::Block { major, minor } => {
                records::device(*major, *minor)
            }
            _ => Placed::default(),
        };
        self.attributes(layout, node, &mut placed)?;
        self.put(layout, planned.number, &inode.to_bytes(&placed));
        Ok(())
    }

    fn folder(
        &mut self,
        layout: &mut Layout,
        planned: &Planned,
        id: Option<Id>,
    ) -> Result<(), String> {
        let (mut inode, bytes) = match id {
            Some(id) => {
                let parent = self.parents.get(&id).copied().unwrap_or(INODE_ROOT);
                let bytes = records::folder(self.tree, id, parent, self.numbers);
                (Inode::of(self.tree.node(id), 0)?, bytes)
            }
            None => {
                let inode = Inode {
                    mode: records::MODE_FOLDER | 0o700,
                    ..Inode::default()
                };
                (inode, records::lost_and_found())
            }
        };
        inode.links = self.folder_links(id);
        inode.bytes = bytes.len() as u64;
        let mut placed = self.bytes(layout, bytes)?;
        if let Some(id) = id {
            self.attributes(layout, self.tree.node(id), &mut placed)?;
        }
        self.folders[layout.group_of_inode(planned.number)] += 1;
        self.put(layout, planned.number, &inode.to_bytes(&placed));
        Ok(())
    }

    /// `.` and the name, and `..` of every folder in it; 1 stands for too many.
    fn folder_links(&self, id: Option<Id>) -> u16 {
        let Some(id) = id else { return 2 };
        let Kind::Folder(entries) = &self.tree.node(id).kind else {
            return 2;
        };
        let inner = entries.values();
        let inner = inner.filter(|id| matches!(self.tree.node(**id).kind, Kind::Folder(_)));
        let lost = id == crate::tree::ROOT && !entries.contains_key(&b"lost+found"[..]);
        match inner.count() + 2 + usize::from(lost) {
            count if count >= 65_000 => 1,
            count => count as u16,
        }
    }

    fn contents(&mut self, layout: &mut Layout, content: Content) -> Result<Placed, String> {
        let runs = layout.allocate(content.bytes.div_ceil(BLOCK))?;
        let mut at = 0;
        for run in &runs {
            let piece = Piece::File { content, at };
            self.pieces.push((run.start, run.blocks, piece));
            at += run.blocks * BLOCK;
        }
        self.place(layout, runs)
    }

    fn bytes(&mut self, layout: &mut Layout, mut bytes: Vec<u8>) -> Result<Placed, String> {
        let blocks = (bytes.len() as u64).div_ceil(BLOCK);
        bytes.resize((blocks * BLOCK) as usize, 0);
        let runs = layout.allocate(blocks)?;
        for run in &runs {
            let rest = bytes.split_off((run.blocks * BLOCK) as usize);
            let piece = Piece::Bytes(std::mem::replace(&mut bytes, rest));
            self.pieces.push((run.start, run.blocks, piece));
        }
        self.place(layout, runs)
    }

    /// The extents of runs, with the blocks that they take themselves.
    fn place(&mut self, layout: &mut Layout, runs: Vec<Run>) -> Result<Placed, String> {
        let leaves = records::leaf_count(runs.len())?;
        let leaves = layout.allocate(leaves)?;
        let leaves: Vec<u64> = leaves.iter().flat_map(Run::each).collect();
        let (placed, blocks) = records::extents(&runs, &leaves);
        for (block, bytes) in leaves.into_iter().zip(blocks) {
            self.pieces.push((block, 1, Piece::Bytes(bytes)));
        }
        Ok(placed)
    }

    fn attributes(
        &mut self,
        layout: &mut Layout,
        node: &Node,
        placed: &mut Placed,
    ) -> Result<(), String> {
        let Some(bytes) = records::attributes(&node.meta.xattrs)? else {
            return Ok(());
        };
        let runs = layout.allocate(1)?;
        self.pieces.push((runs[0].start, 1, Piece::Bytes(bytes)));
        placed.attributes = runs[0].start;
        placed.blocks += 1;
        Ok(())
    }

    fn put(&mut self, layout: &Layout, number: u32, inode: &[u8]) {
        let table = &mut self.table[layout.group_of_inode(number)];
        let at = layout.index_of_inode(number) * INODE_BYTES as usize;
        if table.len() < at + INODE_BYTES as usize {
            table.resize(at + INODE_BYTES as usize, 0);
        }
        table[at..at + inode.len()].copy_from_slice(inode);
    }
}

impl Image<'_> {
    pub fn bytes(&self) -> u64 {
        self.layout.blocks() * BLOCK
    }

    /// Fills `buf` with the disk's bytes from `offset` on; both are multiples of blocks.
    pub fn read(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        buf.fill(0);
        let (from, blocks) = (offset / BLOCK, buf.len() as u64 / BLOCK);
        let to = from + blocks;
        let first = self
            .pieces
            .partition_point(|(start, count, _)| start + count <= from);
        for (start, count, piece) in &self.pieces[first..] {
            if *start >= to {
                break;
            }
            let (begin, end) = (from.max(*start), to.min(start + count));
            let within = (begin - start) * BLOCK;
            let place = ((begin - from) * BLOCK) as usize..((end - from) * BLOCK) as usize;
            let target = &mut buf[place];
            match piece {
                Piece::File { content, at } => self.spool.read(*content, at + within, target)?,
                Piece::Bytes(bytes) => {
                    let bytes = bytes.get(within as usize..).unwrap_or_default();
                    let count = bytes.len().min(target.len());
                    target[..count].copy_from_slice(&bytes[..count]);
                }
            }
        }
        Ok(())
    }
}
