//! The index of a chunked image. Numbers are little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | magic `TINCHUNK` |
//! | 4 | version, 1 |
//! | 4 | size of a chunk, a power of two from 4 KiB to 4 MiB |
//! | 8 | size of the disk |
//! | 4 | packs |
//! | 4 | unique chunks |
//! | 4 for each chunk of the disk | 0 for zeros, or 1 + the number of a unique chunk |
//! | 44 for each unique chunk | SHA-256 of its bytes, pack, offset in it, length in it (4 each) |
//! | 32 | SHA-256 of all of the above |
//!
//! A unique chunk whose length is a chunk's is stored as it is, the others as one zstd frame. The
//! disk's last chunk is stored as if zeros followed it.

use sha2::{Digest, Sha256};

pub const MAGIC: &[u8; 8] = b"TINCHUNK";
pub const VERSION: u32 = 1;
/// What the writer uses.
pub const CHUNK_BYTES: u32 = 128 << 10;
/// Some static hosts take no larger files.
pub const PACK_BYTES_MAX: u32 = 20 << 20;

const HEADER_BYTES: usize = 32;
const UNIQUE_BYTES: usize = 44;
const HASH_BYTES: usize = 32;
/// Bounds what an index can make us allocate.
pub const INDEX_BYTES_MAX: u64 = 128 << 20;
pub const DISK_BYTES_MAX: u64 = 1 << 42;
pub const PACKS_MAX: u32 = 100_000;

pub type Hash = [u8; HASH_BYTES];

/// Where the bytes of a unique chunk are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unique {
    pub hash: Hash,
    pub pack: u32,
    pub offset: u32,
    pub length: u32,
}

/// An index in our own terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    pub chunk_bytes: u32,
    pub disk_bytes: u64,
    pub packs: u32,
    /// For each chunk of the disk: 0, or 1 + an index into `uniques`.
    pub chunks: Vec<u32>,
    pub uniques: Vec<Unique>,
}

pub fn hash(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}

/// The name of a pack.
pub fn pack_name(index: &str, pack: u32) -> String {
    format!("{index}.{pack:03}")
}

fn le32(bytes: &[u8], at: usize) -> u32 {
    let field = bytes.get(at..at + 4).and_then(|b| b.try_into().ok());
    field.map_or(0, u32::from_le_bytes)
}

fn le64(bytes: &[u8], at: usize) -> u64 {
    let field = bytes.get(at..at + 8).and_then(|b| b.try_into().ok());
    field.map_or(0, u64::from_le_bytes)
}

impl Index {
    /// Understands a file; the error is a sentence without its name. Sectors behind its end do no
    /// harm.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() < HEADER_BYTES || bytes[..8] != MAGIC[..] {
            return Err("it is no chunked image".into());
        }
        let version = le32(bytes, 8);
        if version != VERSION {
            return Err(format!("its version {version} is not {VERSION}"));
        }
        let (chunk_bytes, disk_bytes) = (le32(bytes, 12), le64(bytes, 16));
        let (packs, unique_count) = (le32(bytes, 24), le32(bytes, 28) as usize);
        if !chunk_bytes.is_power_of_two() || !(4 << 10..=4 << 20).contains(&chunk_bytes) {
            return Err(format!("its chunks cannot have {chunk_bytes} bytes"));
        }
        if disk_bytes > DISK_BYTES_MAX {
            return Err(format!("its size of {disk_bytes} bytes is too large"));
        }
        if packs > PACKS_MAX {
            return Err(format!("it cannot have {packs} packs"));
        }
        let chunk_count = disk_bytes.div_ceil(chunk_bytes.into());
        let uniques_at = HEADER_BYTES as u64 + chunk_count * 4;
        let end = uniques_at + unique_count as u64 * UNIQUE_BYTES as u64;
        if end + HASH_BYTES as u64 > bytes.len() as u64 {
            return Err("its index ends too early".into());
        }
        let (uniques_at, end) = (uniques_at as usize, end as usize);
        if hash(&bytes[..end]) != bytes[end..end + HASH_BYTES] {
            return Err("its index is damaged (it does not have its SHA-256)".into());
        }
        let words = bytes[HEADER_BYTES..uniques_at].chunks_exact(4);
        let index = Self {
            chunk_bytes,
            disk_bytes,
            packs,
            chunks: words.map(|word| le32(word, 0)).collect(),
            uniques: bytes[uniques_at..end]
                .chunks_exact(UNIQUE_BYTES)
                .map(unique)
                .collect(),
        };
        index.check()?;
        Ok(index)
    }

    fn check(&self) -> Result<(), String> {
        let known = |chunk: &u32| *chunk as usize <= self.uniques.len();
        if !self.chunks.iter().all(known) {
            return Err("its index names a chunk that is not there".into());
        }
        let placed = |unique: &Unique| {
            let end = u64::from(unique.offset) + u64::from(unique.length);
            unique.pack < self.packs
                && (1..=self.chunk_bytes).contains(&unique.length)
                && end <= u64::from(PACK_BYTES_MAX)
        };
        match self.uniques.iter().all(placed) {
            true => Ok(()),
            false => Err("its index has a chunk at a place that cannot be".into()),
        }
    }

    /// The file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        let unique_count = self.uniques.len() as u32;
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(self.chunk_bytes.to_le_bytes());
        bytes.extend(self.disk_bytes.to_le_bytes());
        bytes.extend(self.packs.to_le_bytes());
        bytes.extend(unique_count.to_le_bytes());
        bytes.extend(self.chunks.iter().flat_map(|chunk| chunk.to_le_bytes()));
        for unique in &self.uniques {
            bytes.extend(unique.hash);
            bytes.extend(unique.pack.to_le_bytes());
            bytes.extend(unique.offset.to_le_bytes());
            bytes.extend(unique.length.to_le_bytes());
        }
        let sum = hash(&bytes);
        bytes.extend(sum);
        bytes
    }
}

fn unique(row: &[u8]) -> Unique {
    let mut hash = Hash::default();
    hash.copy_from_slice(&row[..HASH_BYTES]);
    Unique {
        hash,
        pack: le32(row, 32),
        offset: le32(row, 36),
        length: le32(row, 40),
    }
}

/// The bytes of a chunk from what a pack has of it, if they are the right ones.
pub fn unpack(packed: Vec<u8>, unique: &Unique, chunk_bytes: usize) -> Option<Vec<u8>> {
    use std::io::Read;
    let chunk = match packed.len() == chunk_bytes {
        true => packed,
        false => {
            let mut chunk = vec![0; chunk_bytes];
            let decoder = ruzstd::decoding::StreamingDecoder::new(packed.as_slice());
            decoder.ok()?.read_exact(&mut chunk).ok()?;
            chunk
        }
    };
    (hash(&chunk) == unique.hash).then_some(chunk)
}
