//! Where everything is: groups, their tables, and the blocks that are given out in order.

use super::{BLOCK, INODE_BYTES, INODE_FIRST, INODE_JOURNAL, JOURNAL_BLOCKS, Piece};

const GROUP_BLOCKS: u64 = 8 * BLOCK;
const INODES_PER_GROUP_MAX: u64 = 8 * BLOCK;
/// New files of the guest: one inode for so many bytes.
const BYTES_PER_INODE: u64 = 16 << 10;
const DESCRIPTOR_BYTES: u64 = 32;
/// Without 64-bit block numbers.
const BLOCKS_MAX: u64 = 1 << 31;
/// An extent's length.
const RUN_MAX: u64 = 32768;

/// Blocks one behind the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    pub start: u64,
    pub blocks: u64,
}

impl Run {
    pub fn each(&self) -> std::ops::Range<u64> {
        self.start..self.start + self.blocks
    }
}

pub struct Layout {
    pub groups: u64,
    pub inodes_per_group: u64,
    /// The first block that is not given out.
    next: u64,
}

impl Layout {
    /// Groups for so many blocks and inodes, and for `free` more bytes.
    pub fn new(blocks: u64, inodes: u32, free: u64) -> Result<Self, String> {
        let wanted = blocks.saturating_add(free / BLOCK);
        let mut groups = wanted / GROUP_BLOCKS + 1;
        loop {
            if groups * GROUP_BLOCKS >= BLOCKS_MAX {
                return Err("its files are too large for one disk".into());
            }
            let per_group = u64::from(inodes)
                .saturating_add(free / BYTES_PER_INODE)
                .div_ceil(groups)
                .next_multiple_of(16);
            let mut layout = Self {
                groups,
                inodes_per_group: per_group.max(1024),
                next: 0,
            };
            let overhead: u64 = (0..groups).map(|group| layout.overhead(group)).sum();
            if per_group <= INODES_PER_GROUP_MAX && groups * GROUP_BLOCKS >= wanted + overhead {
                layout.next = layout.overhead(0);
                return Ok(layout);
            }
            groups += 1;
        }
    }

    pub fn blocks(&self) -> u64 {
        self.groups * GROUP_BLOCKS
    }

    pub fn group_of_inode(&self, number: u32) -> usize {
        (u64::from(number - 1) / self.inodes_per_group) as usize
    }

    pub fn index_of_inode(&self, number: u32) -> usize {
        (u64::from(number - 1) % self.inodes_per_group) as usize
    }

    fn table_blocks(&self) -> u64 {
        (self.inodes_per_group * INODE_BYTES).div_ceil(BLOCK)
    }

    fn descriptor_blocks(&self) -> u64 {
        (self.groups * DESCRIPTOR_BYTES).div_ceil(BLOCK)
    }

    /// Whether a group begins with a copy of the superblock and the descriptors.
    fn has_super(group: u64) -> bool {
        let power_of = |base: u64| {
            let mut power = base;
            while power < group {
                power *= base;
            }
            power == group
        };
        group <= 1 || power_of(3) || power_of(5) || power_of(7)
    }

    /// Blocks of a group before its two bitmaps.
    fn copies(&self, group: u64) -> u64 {
        match Self::has_super(group) {
            true => 1 + self.descriptor_blocks(),
            false => 0,
        }
    }

    fn overhead(&self, group: u64) -> u64 {
        self.copies(group) + 2 + self.table_blocks()
    }

    /// The next blocks, in as many runs as it takes.
    pub fn allocate(&mut self, blocks: u64) -> Result<Vec<Run>, String> {
        let (mut runs, mut missing) = (Vec::new(), blocks);
        while missing > 0 {
            let group = self.next / GROUP_BLOCKS;
            let begin = group * GROUP_BLOCKS + self.overhead(group);
            let start = self.next.max(begin);
            let there = (group + 1) * GROUP_BLOCKS - start;
            let blocks = missing.min(there).min(RUN_MAX);
            if start + blocks > self.blocks() {
                return Err("its files do not fit the disk that was planned".into());
            }
            runs.push(Run { start, blocks });
            self.next = start + blocks;
            missing -= blocks;
        }
        Ok(runs)
    }

    /// Used blocks of a group: they are at its start.
    fn used(&self, group: u64) -> u64 {
        let start = group * GROUP_BLOCKS;
        let given = self.next.saturating_sub(start).min(GROUP_BLOCKS);
        given.max(self.overhead(group))
    }

    /// The superblocks, descriptors, bitmaps and inodes, when all blocks are given out. `used` are
    /// inodes from the first one on.
    pub fn metadata(
        &self,
        table: Vec<Vec<u8>>,
        folders: &[u32],
        used: u32,
        uuid: [u8; 16],
        pieces: &mut Vec<(u64, u64, Piece)>,
    ) {
        let used = u64::from(used).max(INODE_FIRST.into());
        let used_inodes = |group: u64| {
            let before = group * self.inodes_per_group;
            used.saturating_sub(before).min(self.inodes_per_group)
        };
        let mut descriptors = Vec::new();
        for group in 0..self.groups {
            let bitmaps = group * GROUP_BLOCKS + self.copies(group);
            let free_blocks = GROUP_BLOCKS - self.used(group);
            let free_inodes = self.inodes_per_group - used_inodes(group);
            for field in [bitmaps, bitmaps + 1, bitmaps + 2] {
                descriptors.extend((field as u32).to_le_bytes());
            }
            for field in [free_blocks, free_inodes, folders[group as usize].into()] {
                descriptors.extend((field as u16).to_le_bytes());
            }
            descriptors.resize(((group + 1) * DESCRIPTOR_BYTES) as usize, 0);
        }
        let superblock = self.superblock(used, uuid);
        for (group, table) in (0..).zip(table) {
            let start = group * GROUP_BLOCKS;
            if Self::has_super(group) {
                // The very first one has room for a boot block before it.
                let mut first = vec![0; if group == 0 { 1024 } else { 0 }];
                let mut copy = superblock.clone();
                copy[90..92].copy_from_slice(&(group as u16).to_le_bytes());
                first.extend(copy);
                pieces.push((start, 1, Piece::Bytes(first)));
                let copy = Piece::Bytes(descriptors.clone());
                pieces.push((start + 1, self.descriptor_blocks(), copy));
            }
            let bitmaps = start + self.copies(group);
            let blocks = bitmap(self.used(group), GROUP_BLOCKS);
            let inodes = bitmap(used_inodes(group), self.inodes_per_group);
            pieces.push((bitmaps, 1, Piece::Bytes(blocks)));
            pieces.push((bitmaps + 1, 1, Piece::Bytes(inodes)));
            pieces.push((bitmaps + 2, self.table_blocks(), Piece::Bytes(table)));
        }
    }

    fn superblock(&self, used_inodes: u64, uuid: [u8; 16]) -> Vec<u8> {
        let free_blocks: u64 = (0..self.groups).map(|g| GROUP_BLOCKS - self.used(g)).sum();
        let inodes = self.groups * self.inodes_per_group;
        let mut block = vec![0; 1024];
        let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
        let words: &[(usize, u64)] = &[
            (0, inodes),
            (4, self.blocks()),
            (12, free_blocks),
            (16, inodes - used_inodes),
            (24, 2), // blocks of 1024 << 2
            (28, 2),
            (32, GROUP_BLOCKS),
            (36, GROUP_BLOCKS),
            (40, self.inodes_per_group),
            (76, 1), // has inode sizes
            (84, INODE_FIRST.into()),
            (92, 0x4 | 0x8),  // compatible: journal, extended attributes
            (96, 0x2 | 0x40), // incompatible: file types, extents
            (100, 0x1 | 0x2 | 0x8 | 0x20 | 0x40), // see the module
            (224, INODE_JOURNAL.into()),
            (256, 0x4 | 0x8), // user attributes and ACLs by default
        ];
        for (at, word) in words {
            put(*at, &(*word as u32).to_le_bytes());
        }
        let halves: &[(usize, u16)] = &[
            (54, u16::MAX), // no check after so many mounts
            (56, 0xef53),
            (58, 1), // clean
            (60, 1), // errors: go on
            (88, INODE_BYTES as u16),
            (348, 32), // extra fields of inodes: wanted, and always there
            (350, 32),
        ];
        for (at, half) in halves {
            put(*at, &half.to_le_bytes());
        }
        put(104, &uuid);
        put(120, b"root");
        block
    }
}

const _: () = assert!(JOURNAL_BLOCKS < RUN_MAX);

/// A block with the first `used` bits set, and those behind `bits`.
fn bitmap(used: u64, bits: u64) -> Vec<u8> {
    let bit = |number: u64| number < used || number >= bits;
    let byte = |at: u64| (0..8).fold(0, |byte, n| byte | u8::from(bit(at * 8 + n)) << n);
    (0..BLOCK).map(byte).collect()
}
