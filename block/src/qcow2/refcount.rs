//! Reference counts: which clusters of the file are in use, and finding free ones.

use std::ops::Range;

use include::Errno;

use super::geometry::{HOST_END, REFTABLE_OFFSET, get_count, set_count};
use super::header;
use super::meta::{Free, Meta, Table};
use super::storage::Storage;

/// Where the count of a cluster is.
struct Place {
    /// The page's offset in the file, and the index of the count in it.
    page: u64,
    index: usize,
}

impl<S: Storage> Meta<S> {
    /// `None` if no block describes the cluster, so that it is free.
    fn place(&mut self, cluster: u64) -> Result<Option<Place>, Errno> {
        let geometry = self.geometry;
        let entry = self.reftable.get(cluster / geometry.refblock_entries());
        let block = entry & REFTABLE_OFFSET;
        if block == 0 {
            return Ok(None);
        }
        if !self.is_placeable(block) || block >= self.host_end {
            return Err(self.found_corrupt("a block of reference counts is misplaced"));
        }
        let per_page = self.counts_per_page();
        let within = cluster % geometry.refblock_entries();
        Ok(Some(Place {
            page: block + within / per_page * geometry.page(),
            index: (within % per_page) as usize,
        }))
    }

    fn counts_per_page(&self) -> u64 {
        (self.geometry.page() * 8) >> self.geometry.refcount_order
    }

    /// How often a cluster is used.
    pub fn count(&mut self, cluster: u64) -> Result<u64, Errno> {
        let Some(place) = self.place(cluster)? else {
            return Ok(0);
        };
        let page = self.refblocks.get(&self.storage, place.page)?;
        Ok(get_count(page, self.geometry.refcount_order, place.index))
    }

    pub fn set_count(&mut self, cluster: u64, value: u64) -> Result<(), Errno> {
        let place = self.place(cluster)?.ok_or(Errno::EIO)?;
        let page = self.refblocks.get_mut(&self.storage, place.page)?;
        match set_count(page, self.geometry.refcount_order, place.index, value) {
            true => Ok(()),
            false => Err(Errno::EOVERFLOW),
        }
    }

    /// Takes up to `count_max` neighbouring clusters, one at least: (first, count).
    pub fn allocate(&mut self, count_max: u64) -> Result<(u64, u64), Errno> {
        let first = self.next_free(self.free_hint)?;
        let mut count = 0;
        while count < count_max && self.is_free(first + count)? {
            self.set_count(first + count, 1)?;
            count += 1;
        }
        self.free_hint = first + count;
        self.took(first, count)
    }

    /// Takes exactly `count` neighbouring clusters.
    pub fn allocate_exact(&mut self, count: u64) -> Result<u64, Errno> {
        let mut first = self.next_free(self.free_hint)?;
        let mut found = 0;
        while found < count {
            let next = self.next_free(first + found)?;
            if next != first + found {
                (first, found) = (next, 0);
            }
            found += 1;
        }
        for cluster in first..first + count {
            self.set_count(cluster, 1)?;
        }
        Ok(self.took(first, count)?.0)
    }

    fn took(&mut self, first: u64, count: u64) -> Result<(u64, u64), Errno> {
        let end = first + count;
        let taken = |&(at, clusters): &(u64, u64)| at < end && first < at + clusters;
        if count == 0 || self.reserved.iter().any(taken) {
            return Err(self.found_corrupt("the clusters of its tables are counted as free"));
        }
        self.host_end = self.host_end.max(end << self.geometry.cluster_bits);
        Ok((first, count))
    }

    fn is_free(&mut self, cluster: u64) -> Result<bool, Errno> {
        Ok(self.place(cluster)?.is_some() && self.count(cluster)? == 0)
    }

    /// The first free cluster from `from` on; makes blocks of counts as far as it comes.
    fn next_free(&mut self, from: u64) -> Result<u64, Errno> {
        let mut at = from;
        loop {
            if at >= HOST_END >> self.geometry.cluster_bits {
                return Err(Errno::EFBIG);
            }
            let Some(place) = self.place(at)? else {
                self.add_block(at / self.geometry.refblock_entries())?;
                continue;
            };
            let order = self.geometry.refcount_order;
            let per_page = self.counts_per_page() as usize;
            let page = self.refblocks.get(&self.storage, place.page)?;
            let free = (place.index..per_page).find(|index| get_count(page, order, *index) == 0);
            match free {
                Some(index) => return Ok(at + (index - place.index) as u64),
                None => at += (per_page - place.index) as u64,
            }
            self.refblocks.shrink();
        }
    }

    /// Makes a block of counts in the first of the clusters that it describes: they are all free.
    fn add_block(&mut self, block: u64) -> Result<(), Errno> {
        if block >= self.reftable.entries.len() as u64 {
            return self.grow_reftable();
        }
        if block == 0 {
            return Err(self.found_corrupt("the reference counts of its header are missing"));
        }
        let first = block * self.geometry.refblock_entries();
        self.took(first, 1)?;
        let offset = first << self.geometry.cluster_bits;
        self.write_block(offset, 1)?;
        self.reftable.set(block, offset);
        Ok(())
    }

    /// Makes a block of counts, all 0, in a cluster that nobody uses.
    pub fn place_block(&mut self, block: u64, cluster: u64) -> Result<(), Errno> {
        if block >= self.reftable.entries.len() as u64 {
            return Err(Errno::EFBIG);
        }
        self.took(cluster, 1)?;
        let offset = cluster << self.geometry.cluster_bits;
        self.write_block(offset, 0)?;
        self.reftable.set(block, offset);
        Ok(())
    }

    /// Writes a block whose first counts are 1.
    fn write_block(&mut self, offset: u64, used: u64) -> Result<(), Errno> {
        let mut bytes = vec![0; self.geometry.cluster() as usize];
        for index in 0..used as usize {
            set_count(&mut bytes, self.geometry.refcount_order, index, 1);
        }
        self.l2.forget(offset, self.geometry.cluster());
        self.refblocks.forget(offset, self.geometry.cluster());
        self.storage.write_at(offset, &bytes)
    }

    /// Makes a larger reference count table behind everything that the old one describes, with
    /// the blocks for itself.
    fn grow_reftable(&mut self) -> Result<(), Errno> {
        let (geometry, bits) = (self.geometry, self.geometry.cluster_bits);
        // The new table is written as a whole, so nothing of the old one may wait.
        self.write_back_counts()?;
        let old = self.reftable.entries.len() as u64;
        let clusters = geometry.clusters(old * 8) * 3 / 2 + 1;
        let bytes = clusters << bits;
        if bytes > header::REFTABLE_BYTES_MAX {
            return Err(Errno::EFBIG);
        }
        let blocks = clusters.div_ceil(geometry.refblock_entries() - 1);
        let first = old * geometry.refblock_entries();
        let end = first + blocks + clusters;
        self.took(first, blocks + clusters)?;
        let mut entries = std::mem::take(&mut self.reftable.entries);
        for block in 0..blocks {
            let described = (old + block) * geometry.refblock_entries();
            let used = (end - described).min(geometry.refblock_entries());
            let written = self.write_block((first + block) << bits, used);
            entries.push((first + block) << bits);
            if let Err(error) = written {
                entries.truncate(old as usize);
                self.reftable.entries = entries;
                return Err(error);
            }
        }
        entries.resize((bytes / 8) as usize, 0);
        let new = Table::new((first + blocks) << bits, entries);
        let switched = self.switch_reftable(&new);
        if let Err(error) = switched {
            self.reftable.entries = new.entries;
            self.reftable.entries.truncate(old as usize);
            return Err(error);
        }
        let old_first = self.reftable.offset >> bits;
        self.reftable = new;
        self.reserve();
        self.release(old_first, geometry.clusters(old * 8))
    }

    fn switch_reftable(&mut self, new: &Table) -> Result<(), Errno> {
        self.storage.write_at(new.offset, &new.to_bytes())?;
        self.storage.sync()?;
        let mut fields = [0; 12];
        fields[..8].copy_from_slice(&new.offset.to_be_bytes());
        let clusters = self.geometry.clusters(new.bytes()) as u32;
        fields[8..].copy_from_slice(&clusters.to_be_bytes());
        self.storage.write_at(header::AT_REFTABLE, &fields)?;
        self.storage.sync()
    }

    /// Gives up clusters that no table refers to, not even a stable one.
    pub fn release(&mut self, first: u64, count: u64) -> Result<(), Errno> {
        let free = Free {
            first,
            count,
            punch: false,
        };
        self.apply_frees(&[free])
    }

    /// Counts clusters as used once less, now that no stable table refers to them.
    pub fn apply_frees(&mut self, freed: &[Free]) -> Result<(), Errno> {
        let mut hole = 0..0;
        for free in freed {
            for cluster in free.first..free.first + free.count {
                let gone = self.use_less(cluster)?;
                self.refblocks.shrink();
                if !gone || !free.punch {
                    continue;
                }
                if cluster != hole.end {
                    self.punch(&hole);
                    hole = cluster..cluster;
                }
                hole.end += 1;
            }
        }
        self.punch(&hole);
        Ok(())
    }

    /// Nobody can take the clusters meanwhile: the caller has the image's lock.
    fn punch(&self, hole: &Range<u64>) {
        let bits = self.geometry.cluster_bits;
        if !hole.is_empty() {
            let bytes = (hole.end - hole.start) << bits;
            // It is only advice to the host.
            let _ = self.storage.punch_hole(hole.start << bits, bytes);
        }
    }

    /// Whether it is free then.
    fn use_less(&mut self, cluster: u64) -> Result<bool, Errno> {
        let count = self.count(cluster)?;
        if count == 0 {
            return Err(self.found_corrupt("a cluster in use is counted as free"));
        }
        self.set_count(cluster, count - 1)?;
        if count == 1 {
            self.free_hint = self.free_hint.min(cluster);
        }
        Ok(count == 1)
    }
}
