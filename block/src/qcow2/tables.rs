//! L1 and L2 tables: where the guest's clusters are, and changing that.

use include::Errno;

use super::geometry::{COPIED, HOST_END, Mapping, OFFSET};
use super::meta::{Free, Meta};
use super::storage::Storage;

/// Neighbouring bytes of the guest's disk with one kind of place. `mapping` is that of the first
/// cluster; the others follow it in the file, if it is in the file.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    pub mapping: Mapping,
    pub bytes: u64,
}

impl<S: Storage> Meta<S> {
    /// The offset of the L2 table for a guest cluster, if there is one, and whether only one L1
    /// entry refers to it.
    fn l2_table(&mut self, cluster: u64) -> Result<Option<(u64, bool)>, Errno> {
        let entry = self.l1.get(cluster / self.geometry.entries());
        let offset = entry & OFFSET;
        if offset == 0 {
            return Ok(None);
        }
        if !self.is_placeable(offset) || offset >= self.host_end {
            return Err(self.found_corrupt("an L2 table is misplaced"));
        }
        Ok(Some((offset, entry & COPIED != 0)))
    }

    /// The page of an L2 table and the byte in it where a cluster's entry is.
    fn l2_place(&self, table: u64, cluster: u64) -> (u64, usize) {
        let within = cluster % self.geometry.entries() * 8;
        let page = self.geometry.page();
        (table + within / page * page, (within % page) as usize)
    }

    /// The entry of a guest cluster.
    pub fn entry(&mut self, cluster: u64) -> Result<u64, Errno> {
        let Some((table, _)) = self.l2_table(cluster)? else {
            return Ok(0);
        };
        let (page, at) = self.l2_place(table, cluster);
        let page = self.l2.get(&self.storage, page)?;
        Ok(super::header::be64(page, at))
    }

    /// What an entry means; an error if it cannot be.
    pub fn understand(&mut self, entry: u64) -> Result<Mapping, Errno> {
        let mapping = self.geometry.mapping(entry);
        let sound = match mapping {
            None => false,
            Some(Mapping::Data { host, .. }) => self.is_placeable(host),
            Some(Mapping::Zero { host, .. }) => host.is_none_or(|host| self.is_placeable(host)),
            Some(Mapping::Compressed { host, bytes }) => host + bytes <= HOST_END,
            Some(Mapping::Unallocated) => true,
        };
        match mapping {
            Some(mapping) if sound => Ok(mapping),
            _ => Err(self.found_corrupt("an L2 entry refers to a place that cannot be")),
        }
    }

    /// Where `bytes` at `offset` are, as far as they are in one kind of place.
    pub fn map(&mut self, offset: u64, bytes: u64) -> Result<Run, Errno> {
        let geometry = self.geometry;
        let (first, within) = (
            offset >> geometry.cluster_bits,
            offset & (geometry.cluster() - 1),
        );
        let entry = self.entry(first)?;
        let mapping = self.understand(entry)?;
        let mut clusters = 1;
        let wanted = geometry.clusters(within + bytes);
        if !matches!(mapping, Mapping::Compressed { .. }) {
            clusters = match self.l2_table(first)? {
                None => (geometry.entries() - first % geometry.entries()).min(wanted),
                Some(_) => self.similar(first, wanted, mapping)?,
            };
        }
        let there = (clusters << geometry.cluster_bits) - within;
        Ok(Run {
            mapping,
            bytes: there.min(bytes),
        })
    }

    /// How many clusters, `wanted` at most, go on like the first one in its page of entries.
    fn similar(&mut self, first: u64, wanted: u64, mapping: Mapping) -> Result<u64, Errno> {
        let per_page = self.geometry.page() / 8;
        let limit = wanted.min(per_page - first % per_page);
        let mut clusters = 1;
        while clusters < limit && self.continues(first, clusters, mapping)? {
            clusters += 1;
        }
        Ok(clusters)
    }

    /// Whether the cluster `distance` behind `first` has the place that follows.
    fn continues(&mut self, first: u64, distance: u64, mapping: Mapping) -> Result<bool, Errno> {
        let entry = self.entry(first + distance)?;
        let ahead = distance << self.geometry.cluster_bits;
        let expected = match mapping {
            Mapping::Data { host, copied } => Mapping::Data {
                host: host + ahead,
                copied,
            },
            Mapping::Zero {
                host: Some(host),
                copied,
            } => Mapping::Zero {
                host: Some(host + ahead),
                copied,
            },
            other => other,
        };
        Ok(self.geometry.mapping(entry) == Some(expected))
    }

    /// Sets the entry of a guest cluster; the caller sees to what it referred to before.
    pub fn set_entry(&mut self, cluster: u64, entry: u64) -> Result<(), Errno> {
        let table = self.own_l2_table(cluster)?;
        let (page, at) = self.l2_place(table, cluster);
        let page = self.l2.get_mut(&self.storage, page)?;
        page[at..at + 8].copy_from_slice(&entry.to_be_bytes());
        Ok(())
    }

    /// The L2 table of a cluster, made or copied if it is not only ours.
    fn own_l2_table(&mut self, cluster: u64) -> Result<u64, Errno> {
        let old = match self.l2_table(cluster)? {
            Some((offset, true)) => return Ok(offset),
            Some((offset, false)) => Some(offset),
            None => None,
        };
        let index = cluster / self.geometry.entries();
        if index >= self.l1.entries.len() as u64 {
            return Err(Errno::EIO);
        }
        let (first, _) = self.allocate(1)?;
        let size = self.geometry.cluster();
        let offset = first << self.geometry.cluster_bits;
        let mut bytes = vec![0; size as usize];
        let filled = self.fill_l2_table(old, offset, &mut bytes);
        if let Err(error) = filled {
            // Nothing refers to it.
            self.release(first, 1)?;
            return Err(error);
        }
        self.l1.set(index, offset | COPIED);
        if let Some(old) = old {
            self.l2.forget(old, size);
            self.give_up(old >> self.geometry.cluster_bits, 1, false);
        }
        Ok(offset)
    }

    fn fill_l2_table(
        &mut self,
        old: Option<u64>,
        offset: u64,
        bytes: &mut [u8],
    ) -> Result<(), Errno> {
        if let Some(old) = old {
            // Shared tables are never changed, so the file has what the cache has.
            self.storage.read_at(old, bytes)?;
        }
        self.l2.forget(offset, self.geometry.cluster());
        self.storage.write_at(offset, bytes)
    }

    /// Clusters that will be used once less when the tables are stable.
    pub fn give_up(&mut self, first: u64, count: u64, punch: bool) {
        match self.pending.last_mut() {
            Some(last) if last.first + last.count == first && last.punch == punch => {
                last.count += count;
            }
            _ => self.pending.push(Free {
                first,
                count,
                punch,
            }),
        }
    }

    /// Gives up what an entry referred to, which is not there any more.
    pub fn give_up_mapping(&mut self, mapping: Mapping, punch: bool) {
        let bits = self.geometry.cluster_bits;
        match mapping {
            Mapping::Unallocated | Mapping::Zero { host: None, .. } => (),
            Mapping::Data { host, .. }
            | Mapping::Zero {
                host: Some(host), ..
            } => self.give_up(host >> bits, 1, punch),
            Mapping::Compressed { host, bytes } => {
                let first = host >> bits;
                let last = (host + bytes - 1) >> bits;
                self.give_up(first, last - first + 1, punch);
            }
        }
    }
}
