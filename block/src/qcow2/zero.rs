//! Zeros and discards: entries change, and no data is written.

use include::Errno;

use super::Qcow2;
use super::geometry::{COPIED, Mapping, ZERO};
use super::meta::Meta;
use super::storage::Storage;

/// What whole clusters shall be afterwards.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wish {
    /// Zeros; clusters may stay allocated.
    Zeros,
    /// Zeros, without clusters.
    ZerosWithoutStorage,
    /// Anything, without clusters.
    Nothing,
}

impl<S: Storage> Qcow2<S> {
    /// Makes a range read as zeros.
    pub fn write_zeroes(&self, offset: u64, bytes: u64, may_unmap: bool) -> Result<(), Errno> {
        self.check_writable()?;
        let end = offset + bytes;
        let (from, to) = self.whole_clusters(offset, end, true);
        if from >= to {
            return self.write_zero_data(offset, bytes);
        }
        self.write_zero_data(offset, from - offset)?;
        if self.geometry.version < 3 && self.covered_by_backing(from) {
            self.write_zero_data(from, to - from)?;
        } else {
            let wish = match may_unmap {
                true => Wish::ZerosWithoutStorage,
                false => Wish::Zeros,
            };
            self.change_clusters(from, to, wish)?;
        }
        self.write_zero_data(to, end - to.min(end))
    }

    /// Says that a range's contents do not matter any more.
    pub fn discard(&self, offset: u64, bytes: u64) -> Result<(), Errno> {
        self.check_writable()?;
        let (from, to) = self.whole_clusters(offset, offset + bytes, false);
        if self.geometry.version < 3 && self.covered_by_backing(from) {
            // The backing file's old data would show.
            return Ok(());
        }
        match from < to {
            true => self.change_clusters(from, to, Wish::Nothing),
            false => Ok(()),
        }
    }

    /// The whole clusters in a range; the disk's last one need not be whole.
    fn whole_clusters(&self, offset: u64, end: u64, keep_end: bool) -> (u64, u64) {
        let mask = self.geometry.cluster() - 1;
        let from = offset.saturating_add(mask) & !mask;
        match end == self.len() {
            true if keep_end => (from, end),
            true => (from, end.saturating_add(mask) & !mask),
            false => (from, end & !mask),
        }
    }

    fn covered_by_backing(&self, offset: u64) -> bool {
        self.backing
            .as_ref()
            .is_some_and(|below| below.size() > offset)
    }

    /// Writes zeros as data, a cluster at most at a time, where there are none.
    fn write_zero_data(&self, offset: u64, bytes: u64) -> Result<(), Errno> {
        let mut done = 0;
        while done < bytes {
            let at = offset + done;
            let left = self.geometry.cluster() - (at & (self.geometry.cluster() - 1));
            let count = left.min(bytes - done);
            if !self.reads_as_zeros(at)? {
                self.write(at, &vec![0; count as usize])?;
            }
            done += count;
        }
        Ok(())
    }

    /// Whether the cluster at an offset surely does.
    fn reads_as_zeros(&self, offset: u64) -> Result<bool, Errno> {
        let _claim = self.in_flight.claim(self.clusters(offset, 1), false);
        let mut meta = self.meta.lock();
        meta.shrink();
        let start = offset & !(self.geometry.cluster() - 1);
        Ok(self.is_zeros(meta.map(offset, 1)?.mapping, start))
    }

    /// Whether a cluster that starts at `start` and has that mapping surely does.
    pub(super) fn is_zeros(&self, mapping: Mapping, start: u64) -> bool {
        match mapping {
            Mapping::Zero { .. } => true,
            Mapping::Unallocated => !self.covered_by_backing(start),
            _ => false,
        }
    }

    fn change_clusters(&self, from: u64, to: u64, wish: Wish) -> Result<(), Errno> {
        let _claim = self.in_flight.claim(self.clusters(from, to - from), true);
        let bits = self.geometry.cluster_bits;
        let mut at = from;
        while at < to {
            // The lock is given back after each run, so that others come in between.
            let mut meta = self.meta.lock();
            meta.check_sound()?;
            meta.tidy()?;
            let run = meta.map(at, to - at)?;
            let skip = matches!(run.mapping, Mapping::Unallocated)
                && (wish == Wish::Nothing || !self.covered_by_backing(at));
            if !skip {
                let first = at >> bits;
                for cluster in first..first + self.geometry.clusters(run.bytes) {
                    change_cluster(&mut meta, cluster, wish)?;
                }
            }
            at += run.bytes;
        }
        Ok(())
    }
}

fn change_cluster<S: Storage>(meta: &mut Meta<S>, cluster: u64, wish: Wish) -> Result<(), Errno> {
    let zero = match meta.geometry.version {
        // Nothing is below it, or this would not be reached.
        0..3 => 0,
        _ => ZERO,
    };
    let old = meta.entry(cluster)?;
    let mapping = meta.understand(old)?;
    let keeps = wish == Wish::Zeros && zero != 0;
    match mapping {
        Mapping::Data { host, copied } if keeps => {
            let copied = if copied { COPIED } else { 0 };
            meta.set_entry(cluster, host | copied | ZERO)
        }
        Mapping::Zero { host: None, .. } => Ok(()),
        Mapping::Zero { .. } if keeps => Ok(()),
        _ => {
            meta.set_entry(cluster, zero)?;
            meta.give_up_mapping(mapping, wish != Wish::Zeros);
            Ok(())
        }
    }
}
