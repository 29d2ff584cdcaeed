//! The metadata of an open image and the order in which it is written.
//!
//! **What must hold**, whenever the power is cut:
//! 1. A stable reference to a cluster is never there without its stable reference count: counts
//!    (blocks, then their table) are written and synced before L2 and L1 tables.
//! 2. The same sync covers the data, and new tables: entries are set after their clusters were
//!    written.
//! 3. A cluster is given up only after what referred to it is gone from stable tables: until then
//!    it is in `pending`, with its count.
//!
//! So at worst there are clusters that are counted and not used.

use std::collections::BTreeSet;

use include::Errno;

use super::geometry::{Geometry, HOST_END};
use super::header::{self, Header};
use super::pages::Pages;
use super::storage::Storage;

/// Memory for metadata. 8 MiB of L2 tables are for 64 GiB of disk with clusters of 64 KiB.
const L2_BYTES_MAX: usize = 8 << 20;
const REFBLOCK_BYTES_MAX: usize = 2 << 20;
/// Runs of clusters that wait to be given up; more make a flush.
pub const PENDING_MAX: usize = 1 << 14;
/// Tables of offsets are written in sectors.
const SECTOR: u64 = 512;

/// Clusters that are used once less, as soon as the tables that say so are stable.
#[derive(Clone, Copy, Debug)]
pub struct Free {
    pub first: u64,
    pub count: u64,
    /// The file may give its storage up.
    pub punch: bool,
}

/// A table of offsets that is kept in memory as a whole: L1, or the reference count table.
pub struct Table {
    pub offset: u64,
    pub entries: Vec<u64>,
    /// Numbers of the sectors that changed.
    dirty: BTreeSet<u64>,
}

impl Table {
    pub fn new(offset: u64, entries: Vec<u64>) -> Self {
        Self {
            offset,
            entries,
            dirty: BTreeSet::new(),
        }
    }

    fn read<S: Storage>(storage: &S, offset: u64, count: usize) -> Result<Self, Errno> {
        let mut bytes = vec![0; count * 8];
        storage.read_at(offset, &mut bytes)?;
        let entries = bytes.chunks_exact(8).map(|entry| header::be64(entry, 0));
        Ok(Self::new(offset, entries.collect()))
    }

    pub fn get(&self, index: u64) -> u64 {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        self.entries.get(index).copied().unwrap_or(0)
    }

    pub fn set(&mut self, index: u64, value: u64) {
        if let Some(entry) = self.entries.get_mut(index as usize) {
            *entry = value;
            self.dirty.insert(index * 8 / SECTOR);
        }
    }

    pub fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    pub fn bytes(&self) -> u64 {
        self.entries.len() as u64 * 8
    }

    /// All of it, as it is in the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.entries.iter().flat_map(|e| e.to_be_bytes()).collect()
    }

    fn write_back<S: Storage>(&mut self, storage: &S) -> Result<(), Errno> {
        let per_sector = SECTOR as usize / 8;
        while let Some(sector) = self.dirty.first().copied() {
            let from = sector as usize * per_sector;
            let to = (from + per_sector).min(self.entries.len());
            let entries = self.entries[from..to].iter();
            let bytes: Vec<u8> = entries.flat_map(|entry| entry.to_be_bytes()).collect();
            storage.write_at(self.offset + sector * SECTOR, &bytes)?;
            self.dirty.remove(&sector);
        }
        Ok(())
    }
}

/// Everything that needs the image's lock.
pub struct Meta<S> {
    pub storage: S,
    pub geometry: Geometry,
    pub l1: Table,
    pub reftable: Table,
    pub l2: Pages,
    pub refblocks: Pages,
    pub pending: Vec<Free>,
    /// No cluster before this one is free.
    pub free_hint: u64,
    /// Where the file ends, for clusters that are known to be in it.
    pub host_end: u64,
    /// Ranges (first cluster, count) that no data may be in.
    pub reserved: Vec<(u64, u64)>,
    pub read_only: bool,
    /// The image turned out to be damaged: it is not written any more.
    pub corrupt: bool,
}

impl<S: Storage> Meta<S> {
    /// Reads the tables that are kept in memory.
    pub fn read(storage: S, header: &Header, read_only: bool) -> Result<Self, Errno> {
        let geometry = Geometry::new(header);
        let reftable_entries = u64::from(header.reftable_clusters) * geometry.entries();
        let l1 = Table::read(&storage, header.l1_offset, header.l1_size as usize)?;
        let reftable = Table::read(&storage, header.reftable_offset, reftable_entries as usize)?;
        let host_end = storage.size().next_multiple_of(geometry.cluster());
        let mut meta = Self {
            l2: Pages::new(geometry.page(), L2_BYTES_MAX),
            refblocks: Pages::new(geometry.page(), REFBLOCK_BYTES_MAX),
            storage,
            geometry,
            l1,
            reftable,
            pending: Vec::new(),
            free_hint: 1,
            host_end,
            reserved: Vec::new(),
            read_only,
            corrupt: false,
        };
        meta.reserve();
        if header.snapshots > 0 {
            let first = header.snapshots_offset >> geometry.cluster_bits;
            meta.reserved.push((first, 1));
        }
        Ok(meta)
    }

    /// Says anew where the tables are that have one place.
    pub fn reserve(&mut self) {
        let bits = self.geometry.cluster_bits;
        let range = |table: &Table| {
            let clusters = self.geometry.clusters(table.bytes());
            (table.offset >> bits, clusters)
        };
        let fixed = [(0, 1), range(&self.l1), range(&self.reftable)];
        let snapshots = self.reserved.get(fixed.len()).copied();
        self.reserved = fixed.into_iter().chain(snapshots).collect();
    }

    /// The image is damaged: says so once, in the log and in the image.
    pub fn found_corrupt(&mut self, what: &str) -> Errno {
        if !std::mem::replace(&mut self.corrupt, true) {
            log::error!("qcow2 image is corrupt and is not written any more: {what}");
            if self.geometry.version >= 3 && !self.read_only {
                // It may be the storage that fails; the log has said it.
                let _ = self.mark_corrupt();
            }
        }
        Errno::EIO
    }

    fn mark_corrupt(&self) -> Result<(), Errno> {
        let mut field = [0; 8];
        self.storage.read_at(header::AT_INCOMPATIBLE, &mut field)?;
        let features = u64::from_be_bytes(field) | header::CORRUPT;
        let features = features.to_be_bytes();
        self.storage.write_at(header::AT_INCOMPATIBLE, &features)
    }

    /// An error if the image must not be written.
    pub fn check_sound(&self) -> Result<(), Errno> {
        match self.corrupt {
            true => Err(Errno::EIO),
            false => Ok(()),
        }
    }

    /// Whether a cluster at `offset` can be one of data or of an L2 table.
    pub fn is_placeable(&self, offset: u64) -> bool {
        let cluster = offset >> self.geometry.cluster_bits;
        let apart = |&(first, count): &(u64, u64)| cluster.wrapping_sub(first) >= count;
        self.geometry.is_aligned(offset) && offset < HOST_END && self.reserved.iter().all(apart)
    }

    /// Makes room in the caches; called where nothing is held of them.
    pub fn tidy(&mut self) -> Result<(), Errno> {
        if self.l2.is_crowded() || self.refblocks.is_crowded() {
            self.write_back()?;
        }
        if self.pending.len() > PENDING_MAX {
            self.write_back()?;
            self.storage.sync()?;
            let freed = std::mem::take(&mut self.pending);
            self.apply_frees(&freed)?;
        }
        self.shrink();
        Ok(())
    }

    /// The same without writing.
    pub fn shrink(&mut self) {
        self.l2.shrink();
        self.refblocks.shrink();
    }

    /// Writes all metadata in its order. It is stable after another sync.
    pub fn write_back(&mut self) -> Result<(), Errno> {
        self.write_back_counts()?;
        if self.l2.is_dirty() || self.l1.is_dirty() {
            self.storage.sync()?;
            self.l2.write_back(&self.storage)?;
            self.l1.write_back(&self.storage)?;
        }
        Ok(())
    }

    pub fn write_back_counts(&mut self) -> Result<(), Errno> {
        self.refblocks.write_back(&self.storage)?;
        if self.reftable.is_dirty() {
            self.storage.sync()?;
            self.reftable.write_back(&self.storage)?;
        }
        Ok(())
    }
}
