//! Looks whether the reference counts are what the tables say (`qemu-img check`), and sets them
//! right in an image that was not closed.

use std::collections::HashSet;

use include::Errno;

use super::geometry::{COPIED, Mapping, OFFSET, REFTABLE_OFFSET, ZERO};
use super::header::{be32, be64};
use super::meta::Meta;
use super::storage::Storage;
use super::{Qcow2, read_header};

/// More are not counted: the counts are kept in memory.
const CLUSTERS_MAX: u64 = 1 << 26;
/// So many sentences are kept.
const SENTENCES_MAX: usize = 16;

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Clusters that are used more often than they are counted, and entries that cannot be.
    pub corruptions: u64,
    /// Clusters that are counted and not used.
    pub leaks: u64,
    /// The first ones in words.
    pub sentences: Vec<String>,
}

impl Report {
    fn corruption(&mut self, sentence: impl FnOnce() -> String) {
        self.corruptions += 1;
        if self.sentences.len() < SENTENCES_MAX {
            self.sentences.push(sentence());
        }
    }

    fn leak(&mut self, cluster: u64) {
        self.leaks += 1;
        if self.sentences.len() < SENTENCES_MAX {
            self.sentences.push(format!("cluster {cluster} leaks"));
        }
    }
}

/// A walk through all tables.
struct Walk<'a, S> {
    meta: &'a mut Meta<S>,
    /// How often each cluster is used.
    counts: Vec<u32>,
    /// The stored counts are to be believed.
    believes: bool,
    report: Report,
}

impl<S: Storage> Qcow2<S> {
    /// Counts anew what is in use, and compares. Reads all tables.
    pub fn check(&self) -> Result<Report, String> {
        let _claim = self.in_flight.claim(0..u64::MAX, true);
        if !self.read_only {
            self.flush().map_err(failed)?;
        }
        let mut meta = self.meta.lock();
        let mut walk = Walk::new(&mut meta)?;
        walk.all().map_err(failed)?;
        walk.compare().map_err(failed)?;
        Ok(walk.report)
    }

    /// Sets the counts to what the tables say.
    pub(super) fn repair(&self) -> Result<(), String> {
        let mut meta = self.meta.lock();
        let mut walk = Walk::new(&mut meta)?;
        walk.believes = false;
        walk.all().map_err(failed)?;
        if walk.report.corruptions == 0 {
            walk.set_counts().map_err(failed)?;
            walk = Walk::new(&mut meta)?;
            walk.meta.write_back().map_err(failed)?;
            walk.meta.storage.sync().map_err(failed)?;
            walk.all().map_err(failed)?;
            walk.compare().map_err(failed)?;
        }
        match walk.report.corruptions {
            0 => Ok(()),
            _ => {
                let sentences = walk.report.sentences.join("; ");
                Err(format!(
                    "it was not closed and cannot be repaired: {sentences}"
                ))
            }
        }
    }
}

fn failed(error: Errno) -> String {
    format!("its tables cannot be checked: {error}")
}

impl<'a, S: Storage> Walk<'a, S> {
    fn new(meta: &'a mut Meta<S>) -> Result<Self, String> {
        let clusters = meta.host_end >> meta.geometry.cluster_bits;
        if clusters > CLUSTERS_MAX {
            return Err(format!("its {clusters} clusters are too many to check"));
        }
        Ok(Self {
            meta,
            counts: vec![0; clusters as usize],
            believes: true,
            report: Report::default(),
        })
    }

    fn all(&mut self) -> Result<(), Errno> {
        self.uses(0, 1, "the header");
        let (reftable, l1) = (&self.meta.reftable, &self.meta.l1);
        let (reftable_at, reftable_bytes) = (reftable.offset, reftable.bytes());
        let (l1_at, l1_bytes) = (l1.offset, l1.bytes());
        self.uses(reftable_at, reftable_bytes, "the reference count table");
        let blocks = self.meta.reftable.entries.clone();
        for block in blocks.iter().map(|entry| entry & REFTABLE_OFFSET) {
            if block != 0 {
                self.uses_cluster(block, "a block of reference counts");
            }
        }
        self.uses(l1_at, l1_bytes, "the L1 table");
        let entries = self.meta.l1.entries.clone();
        self.l1(&entries, true)?;
        self.snapshots()
    }

    /// Counts the clusters of a range; false if it is not in the file.
    fn uses(&mut self, offset: u64, bytes: u64, what: &str) -> bool {
        let bits = self.meta.geometry.cluster_bits;
        let end = offset.saturating_add(bytes).div_ceil(1 << bits);
        if end > self.counts.len() as u64 {
            self.report
                .corruption(|| format!("{what} at {offset:#x} is behind the end of the file"));
            return false;
        }
        for count in &mut self.counts[(offset >> bits) as usize..end as usize] {
            *count = count.saturating_add(1);
        }
        true
    }

    fn uses_cluster(&mut self, offset: u64, what: &str) -> bool {
        if !self.meta.geometry.is_aligned(offset) {
            self.report
                .corruption(|| format!("{what} at {offset:#x} is not at a cluster"));
            return false;
        }
        self.uses(offset, self.meta.geometry.cluster(), what)
    }

    fn l1(&mut self, entries: &[u64], active: bool) -> Result<(), Errno> {
        let mut seen = HashSet::new();
        for entry in entries {
            let table = entry & OFFSET;
            if table == 0 || !self.uses_cluster(table, "an L2 table") {
                continue;
            }
            if active {
                self.check_copied(*entry, table)?;
            }
            if seen.insert(table) {
                self.l2(table, active)?;
            }
        }
        Ok(())
    }

    fn l2(&mut self, table: u64, active: bool) -> Result<(), Errno> {
        let mut bytes = vec![0; self.meta.geometry.cluster() as usize];
        self.meta.storage.read_at(table, &mut bytes)?;
        for entry in bytes.chunks_exact(8).map(|entry| be64(entry, 0)) {
            match self.meta.geometry.mapping(entry) {
                None => self
                    .report
                    .corruption(|| format!("the L2 entry {entry:#x} cannot be")),
                Some(Mapping::Unallocated | Mapping::Zero { host: None, .. }) => (),
                Some(Mapping::Compressed { host, bytes }) => {
                    self.uses_compressed(host, bytes);
                    if entry & COPIED != 0 {
                        let fault = || format!("the compressed entry {entry:#x} is marked");
                        self.report.corruption(fault);
                    }
                }
                Some(
                    Mapping::Data { host, .. }
                    | Mapping::Zero {
                        host: Some(host), ..
                    },
                ) => {
                    if self.uses_cluster(host, "a cluster") && active {
                        self.check_copied(entry, host)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The last sector that is named may be behind the end.
    fn uses_compressed(&mut self, host: u64, bytes: u64) {
        let end = self.meta.host_end;
        let bytes = bytes.min(end.saturating_sub(host)).max(1);
        self.uses(host, bytes, "a compressed cluster");
    }

    /// Whether an entry says rightly that nobody else refers to its cluster.
    fn check_copied(&mut self, entry: u64, host: u64) -> Result<(), Errno> {
        if !self.believes {
            return Ok(());
        }
        let count = self.meta.count(host >> self.meta.geometry.cluster_bits)?;
        if (count == 1) != (entry & COPIED != 0) {
            let zero = entry & ZERO;
            self.report.corruption(|| {
                format!("the entry for {host:#x} (zero: {zero}) is wrong about its count {count}")
            });
        }
        Ok(())
    }

    fn snapshots(&mut self) -> Result<(), Errno> {
        let storage = self.meta.storage.clone();
        let Ok(header) = read_header(&storage) else {
            return Ok(());
        };
        let start = header.snapshots_offset;
        let mut at = start;
        for _ in 0..header.snapshots {
            let mut fixed = [0; 40];
            storage.read_at(at, &mut fixed)?;
            let names = u64::from(fixed[12]) << 8 | u64::from(fixed[13]);
            let names = names + (u64::from(fixed[14]) << 8 | u64::from(fixed[15]));
            let extra = u64::from(be32(&fixed, 36));
            let (l1, count) = (be64(&fixed, 0), be32(&fixed, 8));
            at += (40 + extra + names).next_multiple_of(8);
            let bytes = u64::from(count) * 8;
            if !self.uses(l1, bytes, "a snapshot's L1 table") || bytes > 32 << 20 {
                continue;
            }
            let mut table = vec![0; bytes as usize];
            storage.read_at(l1, &mut table)?;
            let entries: Vec<u64> = table.chunks_exact(8).map(|e| be64(e, 0)).collect();
            self.l1(&entries, false)?;
        }
        if header.snapshots > 0 {
            self.uses(start, at - start, "the table of snapshots");
        }
        Ok(())
    }

    fn compare(&mut self) -> Result<(), Errno> {
        let per_block = self.meta.geometry.refblock_entries();
        let mut seen = HashSet::new();
        for block in 0..self.meta.reftable.entries.len() as u64 {
            let entry = self.meta.reftable.get(block) & REFTABLE_OFFSET;
            let clusters = block * per_block..(block + 1) * per_block;
            if entry != 0 && (entry >= self.meta.host_end || !seen.insert(entry)) {
                continue;
            }
            for cluster in clusters {
                let used = self.counts.get(cluster as usize).copied().unwrap_or(0);
                if entry == 0 && cluster >= self.counts.len() as u64 {
                    break;
                }
                let stored = self.meta.count(cluster)?;
                self.compare_one(cluster, u64::from(used), stored);
                self.meta.refblocks.shrink();
            }
        }
        let described = self.meta.reftable.entries.len() as u64 * per_block;
        let rest = self.counts.iter().skip(described as usize);
        if rest.clone().any(|count| *count > 0) {
            self.report
                .corruption(|| "clusters in use are not counted".into());
        }
        Ok(())
    }

    fn compare_one(&mut self, cluster: u64, used: u64, stored: u64) {
        if stored > used {
            self.report.leak(cluster);
        } else if stored < used {
            self.report
                .corruption(|| format!("cluster {cluster} is used {used} times, not {stored}"));
        }
    }

    /// Blocks of counts that are missing go behind everything that is in use.
    fn set_counts(&mut self) -> Result<(), Errno> {
        let (geometry, mut cluster) = (self.meta.geometry, 0);
        while cluster < self.counts.len() {
            let at = cluster as u64;
            let used = u64::from(self.counts[cluster]);
            let block = at / geometry.refblock_entries();
            if self.meta.reftable.get(block) & REFTABLE_OFFSET == 0 && used > 0 {
                let place = self.counts.len() as u64;
                self.meta.place_block(block, place)?;
                self.counts.push(1);
            }
            if self.meta.count(at)? != used {
                self.meta.set_count(at, used)?;
            }
            self.meta.refblocks.shrink();
            cluster += 1;
        }
        Ok(())
    }
}
