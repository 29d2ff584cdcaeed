//! The header of a qcow2 image (QEMU's `docs/interop/qcow2`, "Header" and "Header extensions").
//! **What must hold:** everything that a [`Header`] says has been checked: sizes are bounded,
//! offsets are aligned, and features that would be misunderstood are refused.

pub const MAGIC: u32 = 0x5146_49fb;
/// Header lengths of the two versions.
pub const LENGTH_V2: usize = 72;
pub const LENGTH_V3: usize = 104;

/// Where fields are that are written later.
pub const AT_SIZE: u64 = 24;
pub const AT_L1: u64 = 36;
pub const AT_REFTABLE: u64 = 48;
pub const AT_INCOMPATIBLE: u64 = 72;
pub const AT_AUTOCLEAR: u64 = 88;

/// Incompatible features.
pub const DIRTY: u64 = 1 << 0;
pub const CORRUPT: u64 = 1 << 1;
const EXTERNAL_DATA: u64 = 1 << 2;
pub const COMPRESSION: u64 = 1 << 3;
const EXTENDED_L2: u64 = 1 << 4;

pub const EXT_BACKING_FORMAT: u32 = 0xe279_2aca;
const EXT_FEATURE_NAMES: u32 = 0x6803_f857;

/// QEMU's limits; they bound what a header can make us allocate.
pub const L1_BYTES_MAX: u64 = 32 << 20;
pub const REFTABLE_BYTES_MAX: u64 = 8 << 20;
const SNAPSHOTS_MAX: u32 = 65536;
const BACKING_NAME_MAX: u32 = 1023;
const CLUSTER_BITS: std::ops::RangeInclusive<u32> = 9..=21;

/// How compressed clusters are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    Zlib,
    Zstd,
}

/// A header in our own terms.
#[derive(Clone, Debug)]
pub struct Header {
    pub version: u32,
    pub backing: Option<String>,
    pub backing_format: Option<String>,
    pub cluster_bits: u32,
    pub size: u64,
    pub l1_size: u32,
    pub l1_offset: u64,
    pub reftable_offset: u64,
    pub reftable_clusters: u32,
    pub snapshots: u32,
    pub snapshots_offset: u64,
    pub incompatible: u64,
    pub autoclear: u64,
    pub refcount_order: u32,
    pub compression: Compression,
    length: usize,
}

pub fn be32(bytes: &[u8], at: usize) -> u32 {
    let field = bytes
        .get(at..at + 4)
        .and_then(|field| field.try_into().ok());
    field.map_or(0, u32::from_be_bytes)
}

pub fn be64(bytes: &[u8], at: usize) -> u64 {
    let field = bytes
        .get(at..at + 8)
        .and_then(|field| field.try_into().ok());
    field.map_or(0, u64::from_be_bytes)
}

/// How many bytes to read for [`Header::parse`], as the first ones say.
pub fn bytes_to_read(start: &[u8]) -> Result<usize, String> {
    if start.len() < LENGTH_V2 || be32(start, 0) != MAGIC {
        return Err("it is no qcow2 image".into());
    }
    let version = be32(start, 4);
    if !(2..=3).contains(&version) {
        return Err(format!("its qcow2 version {version} is not 2 or 3"));
    }
    let bits = be32(start, 20);
    if !CLUSTER_BITS.contains(&bits) {
        return Err(format!(
            "its clusters of 2^{bits} bytes are not between 2^9 and 2^21"
        ));
    }
    Ok(1 << bits)
}

impl Header {
    /// Understands the first cluster, or as much of it as there is. Errors are sentences.
    pub fn parse(cluster: &[u8]) -> Result<Self, String> {
        bytes_to_read(cluster)?;
        let version = be32(cluster, 4);
        let mut header = Self {
            version,
            backing: None,
            backing_format: None,
            cluster_bits: be32(cluster, 20),
            size: be64(cluster, 24),
            l1_size: be32(cluster, 36),
            l1_offset: be64(cluster, 40),
            reftable_offset: be64(cluster, 48),
            reftable_clusters: be32(cluster, 56),
            snapshots: be32(cluster, 60),
            snapshots_offset: be64(cluster, 64),
            incompatible: 0,
            autoclear: 0,
            refcount_order: 4,
            compression: Compression::Zlib,
            length: LENGTH_V2,
        };
        if version >= 3 {
            header.parse_v3(cluster)?;
        }
        if be32(cluster, 32) != 0 {
            return Err("it is encrypted, which is not there yet in Tinamou".into());
        }
        let names = header.parse_extensions(cluster)?;
        header.check_features(names)?;
        header.parse_backing(cluster)?;
        header.check_tables()?;
        Ok(header)
    }

    fn parse_v3(&mut self, cluster: &[u8]) -> Result<(), String> {
        self.incompatible = be64(cluster, 72);
        self.autoclear = be64(cluster, 88);
        self.refcount_order = be32(cluster, 96);
        let length = be32(cluster, 100);
        self.length = length as usize;
        if self.length < LENGTH_V3 || self.length > cluster.len() {
            return Err(format!("its header cannot have {length} bytes"));
        }
        if self.refcount_order > 6 {
            let order = self.refcount_order;
            return Err(format!(
                "its reference counts of 2^{order} bits are too wide"
            ));
        }
        let kind = match self.length > LENGTH_V3 {
            true => cluster[LENGTH_V3],
            false => 0,
        };
        self.compression = match (kind, self.incompatible & COMPRESSION != 0) {
            (0, false) => Compression::Zlib,
            (1, true) => Compression::Zstd,
            _ => return Err(format!("its compression type {kind} is unknown")),
        };
        Ok(())
    }

    /// Returns the table of feature names.
    fn parse_extensions<'a>(&mut self, cluster: &'a [u8]) -> Result<&'a [u8], String> {
        let backing = be64(cluster, 8);
        let end = match backing {
            0 => cluster.len(),
            offset => (cluster.len() as u64).min(offset) as usize,
        };
        let mut names: &[u8] = &[];
        let mut at = self.length;
        while at + 8 <= end {
            let (kind, length) = (be32(cluster, at), be32(cluster, at + 4) as usize);
            if kind == 0 {
                break;
            }
            let from = at + 8;
            let data = from
                .checked_add(length)
                .filter(|to| *to <= end)
                .map(|to| &cluster[from..to])
                .ok_or("one of its header extensions is too long")?;
            match kind {
                EXT_BACKING_FORMAT => {
                    self.backing_format = Some(String::from_utf8_lossy(data).into_owned());
                }
                EXT_FEATURE_NAMES => names = data,
                _ => (),
            }
            at = from + length.next_multiple_of(8);
        }
        Ok(names)
    }

    fn check_features(&self, names: &[u8]) -> Result<(), String> {
        if self.incompatible & EXTERNAL_DATA != 0 {
            return Err("its data is in another file, which is not there yet in Tinamou".into());
        }
        if self.incompatible & EXTENDED_L2 != 0 {
            return Err("it has extended L2 entries, which are not there yet in Tinamou".into());
        }
        let unknown = self.incompatible & !(DIRTY | CORRUPT | COMPRESSION);
        let unknown: Vec<String> = (0..64)
            .filter(|bit| unknown >> bit & 1 == 1)
            .map(|bit| feature_name(names, bit))
            .collect();
        match unknown.is_empty() {
            true => Ok(()),
            false => Err(format!("it has unknown features: {}", unknown.join(", "))),
        }
    }

    fn parse_backing(&mut self, cluster: &[u8]) -> Result<(), String> {
        let (offset, length) = (be64(cluster, 8), be32(cluster, 16));
        if offset == 0 || length == 0 {
            return Ok(());
        }
        let name = usize::try_from(offset)
            .ok()
            .filter(|_| length <= BACKING_NAME_MAX)
            .and_then(|from| cluster.get(from..from.checked_add(length as usize)?));
        let name = name.ok_or("the name of its backing file is not in its first cluster")?;
        let name = std::str::from_utf8(name);
        self.backing = Some(
            name.map_err(|_| "its backing file's name is no text")?
                .into(),
        );
        Ok(())
    }

    fn check_tables(&self) -> Result<(), String> {
        let cluster = 1u64 << self.cluster_bits;
        let placed = |offset: u64, bytes: u64| {
            offset.is_multiple_of(cluster)
                && offset.checked_add(bytes).is_some_and(|end| end < 1 << 56)
        };
        let l1_bytes = u64::from(self.l1_size) * 8;
        if i64::try_from(self.size).is_err() {
            return Err(format!("its size of {} bytes is too large", self.size));
        }
        // An L1 entry stands for `cluster / 8` clusters.
        let needed = self.size.div_ceil(cluster).div_ceil(cluster / 8);
        if l1_bytes > L1_BYTES_MAX || u64::from(self.l1_size) < needed {
            let size = self.l1_size;
            return Err(format!(
                "its L1 table of {size} entries does not fit its size"
            ));
        }
        if !placed(self.l1_offset, l1_bytes) || (l1_bytes > 0 && self.l1_offset == 0) {
            return Err("its L1 table is at an offset that cannot be".into());
        }
        let reftable_bytes = u64::from(self.reftable_clusters) * cluster;
        if reftable_bytes == 0 || reftable_bytes > REFTABLE_BYTES_MAX {
            let clusters = self.reftable_clusters;
            return Err(format!("its reference count table has {clusters} clusters"));
        }
        if self.reftable_offset == 0 || !placed(self.reftable_offset, reftable_bytes) {
            return Err("its reference count table is at an offset that cannot be".into());
        }
        if self.snapshots > SNAPSHOTS_MAX || !placed(self.snapshots_offset, 0) {
            return Err("its table of snapshots cannot be".into());
        }
        Ok(())
    }
}

/// What the image itself calls an incompatible feature.
fn feature_name(names: &[u8], bit: u32) -> String {
    let row = names
        .chunks_exact(48)
        .find(|row| row[0] == 0 && u32::from(row[1]) == bit);
    let name = row.map(|row| {
        let name = row[2..].split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(name).into_owned()
    });
    name.filter(|name| !name.is_empty())
        .unwrap_or_else(|| format!("bit {bit}"))
}
