//! Makes empty images.

use include::Errno;

use super::geometry::{Geometry, set_count};
use super::header::{self, Compression};
use super::storage::Storage;

/// What an image is to be.
#[derive(Clone, Debug)]
pub struct CreateOptions {
    pub size: u64,
    pub version: u32,
    pub cluster_bits: u32,
    /// Counts have 2^this bits; version 2 has 4 only.
    pub refcount_order: u32,
    /// Name and format of the file below.
    pub backing: Option<(String, String)>,
}

impl Default for CreateOptions {
    fn default() -> Self {
        Self {
            size: 0,
            version: 3,
            cluster_bits: 16,
            refcount_order: 4,
            backing: None,
        }
    }
}

/// Where the parts are: header, reference count table, its blocks, L1; in clusters.
struct Layout {
    table: u64,
    blocks: u64,
    l1: u64,
    l1_entries: u64,
}

impl Layout {
    fn new(geometry: &Geometry, size: u64) -> Self {
        let l1_entries = geometry.clusters(size).div_ceil(geometry.entries());
        let l1 = geometry.clusters(l1_entries * 8).max(1);
        let (mut table, mut blocks) = (1, 1);
        while blocks * geometry.refblock_entries() < 1 + table + blocks + l1 {
            blocks += 1;
            table = geometry.clusters(blocks * 8);
        }
        Self {
            table,
            blocks,
            l1,
            l1_entries,
        }
    }

    fn clusters(&self) -> u64 {
        1 + self.table + self.blocks + self.l1
    }

    fn l1_at(&self) -> u64 {
        1 + self.table + self.blocks
    }
}

/// Makes an image in a storage that is empty. Errors are sentences without its name.
pub fn create<S: Storage>(storage: &S, options: &CreateOptions) -> Result<(), String> {
    let geometry = Geometry {
        version: options.version,
        cluster_bits: options.cluster_bits,
        refcount_order: options.refcount_order,
        compression: Compression::Zlib,
    };
    if !(9..=21).contains(&options.cluster_bits) || options.refcount_order > 6 {
        return Err("clusters have 2^9 to 2^21 bytes, reference counts up to 64 bits".into());
    }
    if !(2..=3).contains(&options.version) || (options.version == 2 && options.refcount_order != 4)
    {
        return Err("the version is 2 or 3, and version 2 counts with 16 bits".into());
    }
    let layout = Layout::new(&geometry, options.size);
    let start = header_bytes(&geometry, &layout, options)?;
    // What was checked when it is opened is checked before.
    header::Header::parse(&start)?;
    write(storage, &geometry, &layout, &start).map_err(|error| error.to_string())
}

fn write<S: Storage>(
    storage: &S,
    geometry: &Geometry,
    layout: &Layout,
    start: &[u8],
) -> Result<(), Errno> {
    let bits = geometry.cluster_bits;
    let zeros = vec![0; geometry.cluster() as usize];
    for cluster in 1..layout.clusters() {
        storage.write_at(cluster << bits, &zeros)?;
    }
    for block in 0..layout.blocks {
        let at = (1 + layout.table + block) << bits;
        storage.write_at((1 << bits) + block * 8, &at.to_be_bytes())?;
        let mut counts = zeros.clone();
        let described = block * geometry.refblock_entries();
        let used = (layout.clusters() - described).min(geometry.refblock_entries());
        for index in 0..used as usize {
            set_count(&mut counts, geometry.refcount_order, index, 1);
        }
        storage.write_at(at, &counts)?;
    }
    storage.write_at(0, start)?;
    storage.sync()
}

fn header_bytes(
    geometry: &Geometry,
    layout: &Layout,
    options: &CreateOptions,
) -> Result<Vec<u8>, String> {
    let bits = geometry.cluster_bits;
    let mut bytes = vec![0; header::LENGTH_V3];
    let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
    put(0, &header::MAGIC.to_be_bytes());
    put(4, &options.version.to_be_bytes());
    put(20, &bits.to_be_bytes());
    put(24, &options.size.to_be_bytes());
    put(36, &(layout.l1_entries as u32).to_be_bytes());
    put(40, &(layout.l1_at() << bits).to_be_bytes());
    put(48, &(1u64 << bits).to_be_bytes());
    put(56, &(layout.table as u32).to_be_bytes());
    put(96, &options.refcount_order.to_be_bytes());
    put(100, &(header::LENGTH_V3 as u32).to_be_bytes());
    if options.version == 2 {
        bytes.truncate(header::LENGTH_V2);
    }
    if let Some((name, format)) = &options.backing {
        bytes.extend(header::EXT_BACKING_FORMAT.to_be_bytes());
        bytes.extend((format.len() as u32).to_be_bytes());
        bytes.extend(format.as_bytes());
        bytes.resize(bytes.len().next_multiple_of(8) + 8, 0);
        let at = bytes.len() as u64;
        bytes[8..16].copy_from_slice(&at.to_be_bytes());
        bytes[16..20].copy_from_slice(&(name.len() as u32).to_be_bytes());
        bytes.extend(name.as_bytes());
    }
    if bytes.len() as u64 > geometry.cluster() {
        return Err("the name of the backing file is too long".into());
    }
    bytes.resize(geometry.cluster() as usize, 0);
    Ok(bytes)
}
