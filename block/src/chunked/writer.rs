//! Writes chunked images. Compression is the caller's, who may do it on many threads.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::format::{CHUNK_BYTES, Hash, Index, PACK_BYTES_MAX, Unique, hash, pack_name};

/// A chunk that is ready to be stored.
pub enum Prepared {
    Zero,
    Data { hash: Hash, packed: Vec<u8> },
}

/// Prepares up to [`CHUNK_BYTES`] of a disk. `compress` makes one zstd frame of a whole chunk.
pub fn prepare(
    data: &[u8],
    compress: impl Fn(&[u8]) -> io::Result<Vec<u8>>,
) -> io::Result<Prepared> {
    if data.iter().all(|byte| *byte == 0) {
        return Ok(Prepared::Zero);
    }
    let mut chunk = data.to_vec();
    chunk.resize(CHUNK_BYTES as usize, 0);
    let packed = compress(&chunk)?;
    let hash = hash(&chunk);
    let packed = match packed.len() < chunk.len() {
        true => packed,
        false => chunk,
    };
    Ok(Prepared::Data { hash, packed })
}

/// Takes the chunks of a disk in their order.
pub struct Writer {
    path: PathBuf,
    index: Index,
    known: HashMap<Hash, u32>,
    pack: Option<File>,
    pack_bytes: u32,
    packed_bytes: u64,
}

impl Writer {
    /// Writes to an index `path` and packs beside it, when it comes to that.
    pub fn new(path: &Path) -> Self {
        let index = Index {
            chunk_bytes: CHUNK_BYTES,
            disk_bytes: 0,
            packs: 0,
            chunks: Vec::new(),
            uniques: Vec::new(),
        };
        Self {
            path: path.into(),
            index,
            known: HashMap::new(),
            pack: None,
            pack_bytes: 0,
            packed_bytes: 0,
        }
    }

    /// The disk's next chunk.
    pub fn push(&mut self, chunk: Prepared) -> io::Result<()> {
        let number = match chunk {
            Prepared::Zero => 0,
            Prepared::Data { hash, packed } => match self.known.get(&hash) {
                Some(number) => *number,
                None => self.store(hash, &packed)?,
            },
        };
        self.index.chunks.push(number);
        Ok(())
    }

    fn store(&mut self, hash: Hash, packed: &[u8]) -> io::Result<u32> {
        let length = packed.len() as u32;
        if self.pack.is_none() || self.pack_bytes + length > PACK_BYTES_MAX {
            let name = pack_name(&self.path.to_string_lossy(), self.index.packs);
            self.pack = Some(File::create_new(name)?);
            self.index.packs += 1;
            self.pack_bytes = 0;
        }
        if let Some(pack) = &mut self.pack {
            pack.write_all(packed)?;
        }
        self.index.uniques.push(Unique {
            hash,
            pack: self.index.packs - 1,
            offset: self.pack_bytes,
            length,
        });
        self.pack_bytes += length;
        self.packed_bytes += u64::from(length);
        let number = self.index.uniques.len() as u32;
        self.known.insert(hash, number);
        Ok(number)
    }

    /// How many bytes the packs have.
    pub fn packed_bytes(&self) -> u64 {
        self.packed_bytes
    }

    /// Writes the index for a disk of so many bytes, which the chunks must be those of.
    pub fn finish(mut self, disk_bytes: u64) -> io::Result<Index> {
        let wanted = disk_bytes.div_ceil(CHUNK_BYTES.into());
        assert_eq!(wanted, self.index.chunks.len() as u64, "chunks of the disk");
        self.index.disk_bytes = disk_bytes;
        File::create_new(&self.path)?.write_all(&self.index.to_bytes())?;
        Ok(self.index)
    }
}
