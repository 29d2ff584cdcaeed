//! The records that blocks are made of: inodes, extents, folders, attributes, the journal's head.

use std::collections::BTreeMap;

use super::layout::Run;
use super::{BLOCK, INODE_FIRST, Numbers};
use crate::tree::{Id, Kind, Node, ROOT, Tree};

pub const MODE_FILE: u16 = 0x8000;
pub const MODE_FOLDER: u16 = 0x4000;
const LINKS_MAX: u32 = 65_000;
const FLAG_EXTENTS: u32 = 0x8_0000;
const EXTENT_MAGIC: u16 = 0xf30a;
/// Extents in an inode, and in a block of its own.
const EXTENTS_INSIDE: usize = 4;
const EXTENTS_PER_LEAF: usize = (BLOCK as usize - 12) / 12;

#[derive(Default)]
pub struct Inode {
    pub mode: u16,
    pub links: u16,
    pub bytes: u64,
    pub uid: u32,
    pub gid: u32,
    pub mtime: i64,
}

/// What an inode says of its blocks.
pub struct Placed {
    /// `i_block`.
    area: [u8; 60],
    flags: u32,
    pub blocks: u64,
    pub attributes: u64,
}

impl Default for Placed {
    fn default() -> Self {
        Self {
            area: [0; 60],
            flags: 0,
            blocks: 0,
            attributes: 0,
        }
    }
}

/// The type in an inode's mode, and the one in folders.
fn types(kind: &Kind) -> (u16, u8) {
    match kind {
        Kind::File(_) => (MODE_FILE, 1),
        Kind::Folder(_) => (MODE_FOLDER, 2),
        Kind::Char { .. } => (0x2000, 3),
        Kind::Block { .. } => (0x6000, 4),
        Kind::Fifo => (0x1000, 5),
        Kind::Socket => (0xc000, 6),
        Kind::Link(_) => (0xa000, 7),
    }
}

impl Inode {
    pub fn of(node: &Node, links: u32) -> Result<Self, String> {
        if links > LINKS_MAX {
            return Err(format!("one of its files has {links} names"));
        }
        let meta = &node.meta;
        Ok(Self {
            mode: types(&node.kind).0 | meta.mode,
            links: links as u16,
            bytes: 0,
            uid: meta.uid,
            gid: meta.gid,
            mtime: meta.mtime,
        })
    }

    pub fn to_bytes(&self, placed: &Placed) -> Vec<u8> {
        let mut inode = vec![0; 160];
        let mut put = |at: usize, bytes: &[u8]| inode[at..at + bytes.len()].copy_from_slice(bytes);
        // 34 bits of seconds, the two upper ones elsewhere, from 1901 to 2446.
        let mtime = self.mtime.clamp(i32::MIN.into(), 0x3_7fff_ffff);
        let epoch = ((mtime - i64::from(mtime as i32)) >> 32) as u32;
        let sectors = placed.blocks * (BLOCK / 512);
        put(0, &self.mode.to_le_bytes());
        put(2, &(self.uid as u16).to_le_bytes());
        put(4, &(self.bytes as u32).to_le_bytes());
        for at in [8, 12, 16, 144] {
            put(at, &(mtime as u32).to_le_bytes());
        }
        put(24, &(self.gid as u16).to_le_bytes());
        put(26, &self.links.to_le_bytes());
        put(28, &(sectors as u32).to_le_bytes());
        put(32, &placed.flags.to_le_bytes());
        put(40, &placed.area);
        put(104, &(placed.attributes as u32).to_le_bytes());
        put(108, &((self.bytes >> 32) as u32).to_le_bytes());
        put(116, &((sectors >> 32) as u16).to_le_bytes());
        put(120, &((self.uid >> 16) as u16).to_le_bytes());
        put(122, &((self.gid >> 16) as u16).to_le_bytes());
        put(128, &32u16.to_le_bytes());
        for at in [132, 136, 140, 148] {
            put(at, &epoch.to_le_bytes());
        }
        inode
    }
}

/// A link that is in the inode itself.
pub fn short_link(target: &[u8]) -> Option<Placed> {
    let mut placed = Placed::default();
    // Its end is a zero byte.
    if target.len() >= placed.area.len() {
        return None;
    }
    placed.area[..target.len()].copy_from_slice(target);
    Some(placed)
}

pub fn device(major: u32, minor: u32) -> Placed {
    let mut placed = Placed::default();
    let small = major < 256 && minor < 256;
    let (at, number) = match small {
        true => (0, major << 8 | minor),
        false => (4, (minor & 0xff) | major << 8 | (minor & !0xff) << 12),
    };
    placed.area[at..at + 4].copy_from_slice(&number.to_le_bytes());
    placed
}

fn extent_header(entries: usize, max: usize, depth: u16) -> Vec<u8> {
    let mut bytes = EXTENT_MAGIC.to_le_bytes().to_vec();
    bytes.extend((entries as u16).to_le_bytes());
    bytes.extend((max as u16).to_le_bytes());
    bytes.extend(depth.to_le_bytes());
    bytes.extend([0; 4]);
    bytes
}

/// How many blocks so many extents need beside the inode.
pub fn leaf_count(runs: usize) -> Result<u64, String> {
    match runs.div_ceil(EXTENTS_PER_LEAF) {
        _ if runs <= EXTENTS_INSIDE => Ok(0),
        leaves if leaves <= EXTENTS_INSIDE => Ok(leaves as u64),
        _ => Err("one of its files is too large".into()),
    }
}

/// The extents of runs in an inode and in `leaves`, whose bytes it returns.
pub fn extents(runs: &[Run], leaves: &[u64]) -> (Placed, Vec<Vec<u8>>) {
    let mut logical = 0u64;
    let mut entries = Vec::new();
    for run in runs {
        let mut entry = (logical as u32).to_le_bytes().to_vec();
        entry.extend((run.blocks as u16).to_le_bytes());
        entry.extend([0; 2]);
        entry.extend((run.start as u32).to_le_bytes());
        entries.push((logical, entry));
        logical += run.blocks;
    }
    let mut blocks = Vec::new();
    let area = if leaves.is_empty() {
        let mut area = extent_header(entries.len(), EXTENTS_INSIDE, 0);
        area.extend(entries.into_iter().flat_map(|(_, entry)| entry));
        area
    } else {
        let mut area = extent_header(leaves.len(), EXTENTS_INSIDE, 1);
        for (leaf, entries) in leaves.iter().zip(entries.chunks(EXTENTS_PER_LEAF)) {
            area.extend((entries[0].0 as u32).to_le_bytes());
            area.extend((*leaf as u32).to_le_bytes());
            area.extend([0; 4]);
            let mut block = extent_header(entries.len(), EXTENTS_PER_LEAF, 0);
            block.extend(entries.iter().flat_map(|(_, entry)| entry));
            blocks.push(block);
        }
        area
    };
    let mut placed = Placed {
        flags: FLAG_EXTENTS,
        blocks: logical + leaves.len() as u64,
        ..Placed::default()
    };
    placed.area[..area.len()].copy_from_slice(&area);
    (placed, blocks)
}

/// The blocks of a folder. Records do not cross blocks; the last one of each reaches its end.
struct Records {
    bytes: Vec<u8>,
    last: usize,
}

impl Records {
    fn add(&mut self, number: u32, name: &[u8], kind: u8) {
        let block = BLOCK as usize;
        let needed = (8 + name.len()).next_multiple_of(4);
        if self.bytes.len() % block + needed > block || self.bytes.is_empty() {
            self.fill();
        }
        let at = self.bytes.len();
        self.bytes.extend(number.to_le_bytes());
        self.bytes.extend((needed as u16).to_le_bytes());
        self.bytes.extend([name.len() as u8, kind]);
        self.bytes.extend(name);
        self.bytes.resize(at + needed, 0);
        self.last = at;
        // A full block begins the next one by itself.
    }

    /// Makes the last record reach the end of its block.
    fn fill(&mut self) {
        if self.bytes.is_empty() {
            return;
        }
        let end = self.bytes.len().next_multiple_of(BLOCK as usize);
        let length = (end - self.last) as u16;
        self.bytes.resize(end, 0);
        self.bytes[self.last + 4..self.last + 6].copy_from_slice(&length.to_le_bytes());
    }
}

pub fn folder(tree: &Tree, id: Id, parent: u32, numbers: &Numbers) -> Vec<u8> {
    let mut records = Records {
        bytes: Vec::new(),
        last: 0,
    };
    let number = |id: &Id| numbers.get(id).copied().unwrap_or(0);
    records.add(number(&id), b".", 2);
    records.add(parent, b"..", 2);
    if let Kind::Folder(entries) = &tree.node(id).kind {
        for (name, child) in entries {
            let kind = types(&tree.node(*child).kind).1;
            records.add(number(child), name, kind);
        }
        if id == ROOT && !entries.contains_key(&b"lost+found"[..]) {
            records.add(INODE_FIRST, b"lost+found", 2);
        }
    }
    records.fill();
    records.bytes
}

pub fn lost_and_found() -> Vec<u8> {
    let mut records = Records {
        bytes: Vec::new(),
        last: 0,
    };
    records.add(INODE_FIRST, b".", 2);
    records.add(super::INODE_ROOT, b"..", 2);
    records.fill();
    records.bytes
}

/// Names of attributes by their beginning.
const PREFIXES: &[(&[u8], u8)] = &[(b"user.", 1), (b"trusted.", 4), (b"security.", 6)];

/// A block of attributes, if there are any that the file system can have.
pub fn attributes(all: &BTreeMap<Vec<u8>, Vec<u8>>) -> Result<Option<Vec<u8>>, String> {
    let mut known: Vec<(u8, &[u8], &[u8])> = Vec::new();
    for (name, value) in all {
        let row = PREFIXES.iter().find(|(prefix, _)| name.starts_with(prefix));
        if let Some((prefix, index)) = row
            && (1..=255).contains(&(name.len() - prefix.len()))
        {
            known.push((*index, &name[prefix.len()..], value));
        }
    }
    if known.is_empty() {
        return Ok(None);
    }
    known.sort_by_key(|(index, name, _)| (*index, name.len(), *name));
    let mut block = vec![0; BLOCK as usize];
    let (mut at, mut values, mut sum) = (32, BLOCK as usize, 0u32);
    for (index, name, value) in known {
        let room = (16 + name.len()).next_multiple_of(4);
        let padded = value.len().next_multiple_of(4);
        if at + room + padded + 4 > values {
            return Err("the extended attributes of one of its files are too large".into());
        }
        values -= padded;
        block[values..values + value.len()].copy_from_slice(value);
        let hash = entry_hash(name, &block[values..values + padded]);
        sum = sum.rotate_left(16) ^ hash;
        block[at] = name.len() as u8;
        block[at + 1] = index;
        let offset = if value.is_empty() { 0 } else { values as u16 };
        block[at + 2..at + 4].copy_from_slice(&offset.to_le_bytes());
        block[at + 8..at + 12].copy_from_slice(&(value.len() as u32).to_le_bytes());
        block[at + 12..at + 16].copy_from_slice(&hash.to_le_bytes());
        block[at + 16..at + 16 + name.len()].copy_from_slice(name);
        at += room;
    }
    for (at, word) in [(0, 0xea02_0000), (4, 1), (8, 1), (12, sum)] {
        block[at..at + 4].copy_from_slice(&u32::to_le_bytes(word));
    }
    Ok(Some(block))
}

fn entry_hash(name: &[u8], value: &[u8]) -> u32 {
    let hash = name
        .iter()
        .fold(0u32, |hash, byte| hash.rotate_left(5) ^ u32::from(*byte));
    value.chunks_exact(4).fold(hash, |hash, word| {
        hash.rotate_left(16)
            ^ word
                .iter()
                .rev()
                .fold(0, |n, byte| n << 8 | u32::from(*byte))
    })
}

/// The first block of an empty journal (big-endian).
pub fn journal(blocks: u32) -> Vec<u8> {
    let mut block = vec![0; 1024];
    let words = [
        (0, 0xc03b_3998),
        (4, 4), // a superblock of version 2
        (12, BLOCK as u32),
        (16, blocks),
        (20, 1), // the log's first block
        (24, 1), // the first transaction
        (64, 1), // users
    ];
    for (at, word) in words {
        block[at..at + 4].copy_from_slice(&u32::to_be_bytes(word));
    }
    block
}
