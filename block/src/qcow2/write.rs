//! Writing: in place where a cluster is the guest's alone, else into a new one.

use std::sync::atomic::Ordering;

use include::Errno;
use util::coroutine::CoMutexGuard;

use super::Qcow2;
use super::geometry::{COPIED, Mapping};
use super::header;
use super::meta::{Meta, Table};
use super::storage::Storage;
use super::tables::Run;

/// Clusters of the file that guest clusters will have.
struct Place {
    host: u64,
    clusters: u64,
    /// They were allocated for this; else they were the guest's before.
    new: bool,
    /// They were behind everything, so they read as zeros.
    blank: bool,
}

impl Mapping {
    /// The place of the cluster that is `ahead` bytes further in the same run.
    fn ahead(self, ahead: u64) -> Self {
        match self {
            Self::Data { host, copied } => Self::Data {
                host: host + ahead,
                copied,
            },
            Self::Zero { host, copied } => Self::Zero {
                host: host.map(|host| host + ahead),
                copied,
            },
            other => other,
        }
    }
}

impl<S: Storage> Qcow2<S> {
    pub(super) fn check_writable(&self) -> Result<(), Errno> {
        match self.read_only {
            true => Err(Errno::EPERM),
            false => Ok(()),
        }
    }

    pub fn write(&self, offset: u64, data: &[u8]) -> Result<(), Errno> {
        self.check_writable()?;
        let done = {
            let clusters = self.clusters(offset, data.len() as u64);
            let _claim = self.in_flight.claim(clusters, false);
            self.write_in_place(offset, data)?
        };
        if done < data.len() {
            self.write_anew(offset + done as u64, &data[done..])?;
        }
        Ok(())
    }

    /// Writes as long as clusters keep their places; returns how much that was.
    fn write_in_place(&self, offset: u64, data: &[u8]) -> Result<usize, Errno> {
        let mut done = 0;
        while done < data.len() {
            let at = offset + done as u64;
            let run = self.map_to_write((data.len() - done) as u64, at)?.1;
            let Mapping::Data { host, copied: true } = run.mapping else {
                break;
            };
            let end = done + run.bytes as usize;
            let within = at & (self.geometry.cluster() - 1);
            self.storage.write_at(host + within, &data[done..end])?;
            done = end;
        }
        Ok(done)
    }

    fn map_to_write(
        &self,
        bytes: u64,
        offset: u64,
    ) -> Result<(CoMutexGuard<'_, Meta<S>>, Run), Errno> {
        let mut meta = self.meta.lock();
        meta.check_sound()?;
        meta.tidy()?;
        let run = meta.map(offset, bytes)?;
        if let Mapping::Data { host, copied: true } = run.mapping {
            let within = offset & (self.geometry.cluster() - 1);
            if host + within + run.bytes > meta.host_end {
                return Err(meta.found_corrupt("a cluster is behind the end of the file"));
            }
        }
        Ok((meta, run))
    }

    /// Writes where clusters may have to be allocated.
    fn write_anew(&self, offset: u64, data: &[u8]) -> Result<(), Errno> {
        let claim = self
            .in_flight
            .claim(self.clusters(offset, data.len() as u64), true);
        let mut done = 0;
        while done < data.len() {
            let (at, rest) = (offset + done as u64, &data[done..]);
            let (meta, run) = self.map_to_write(rest.len() as u64, at)?;
            if let Mapping::Data { host, copied: true } = run.mapping {
                drop(meta);
                if run.bytes == rest.len() as u64 {
                    // An earlier request allocated it: others need not wait for the data.
                    claim.share();
                }
                let within = at & (self.geometry.cluster() - 1);
                let piece = &rest[..run.bytes as usize];
                self.storage.write_at(host + within, piece)?;
                done += piece.len();
            } else {
                done += self.write_run_anew(meta, run, at, rest)?;
            }
        }
        Ok(())
    }

    /// Gives a run of clusters their places and data; returns how much of `data` that was.
    fn write_run_anew(
        &self,
        mut meta: CoMutexGuard<'_, Meta<S>>,
        run: Run,
        offset: u64,
        data: &[u8],
    ) -> Result<usize, Errno> {
        let bits = self.geometry.cluster_bits;
        let within = offset & (self.geometry.cluster() - 1);
        let wanted = self.geometry.clusters(within + run.bytes);
        let place = place_for(&mut meta, run.mapping, wanted)?;
        drop(meta);
        let bytes = run.bytes.min((place.clusters << bits) - within) as usize;
        let data = &data[..bytes];
        // Then nothing is around the data that would have to be written.
        let written = match place.blank && self.is_zeros(run.mapping, offset - within) {
            true => self.storage.write_at(place.host + within, data),
            false => self.write_clusters(&place, offset, data),
        };
        let mut meta = self.meta.lock();
        match written.and_then(|()| meta.check_sound()) {
            Ok(()) => link(&mut meta, &place, offset >> bits, run.mapping)?,
            Err(error) => {
                if place.new {
                    meta.release(place.host >> bits, place.clusters)?;
                }
                return Err(error);
            }
        }
        Ok(bytes)
    }

    /// Fills new clusters: with `data`, and around it with what the guest had there.
    fn write_clusters(&self, place: &Place, offset: u64, data: &[u8]) -> Result<(), Errno> {
        let size = place.clusters << self.geometry.cluster_bits;
        let head = (offset & (self.geometry.cluster() - 1)) as usize;
        if data.len() as u64 == size {
            return self.storage.write_at(place.host, data);
        }
        let mut whole = vec![0; size as usize];
        let end = head + data.len();
        whole[head..end].copy_from_slice(data);
        self.read_claimed(offset - head as u64, &mut whole[..head])?;
        // The last cluster may go beyond the guest's disk.
        let after = offset + data.len() as u64;
        let there = self.len().saturating_sub(after);
        let tail = there.min((whole.len() - end) as u64) as usize;
        self.read_claimed(after, &mut whole[end..end + tail])?;
        self.storage.write_at(place.host, &whole)
    }

    /// Makes the guest's disk longer.
    pub fn set_len(&self, bytes: u64) -> Result<(), Errno> {
        self.check_writable()?;
        let old = self.len();
        if bytes < old {
            return Err(Errno::EOPNOTSUPP);
        }
        let claim = self.in_flight.claim(0..u64::MAX, true);
        {
            let mut meta = self.meta.lock();
            meta.check_sound()?;
            meta.grow_l1(bytes)?;
            self.storage
                .write_at(header::AT_SIZE, &bytes.to_be_bytes())?;
            self.storage.sync()?;
        }
        self.len.store(bytes, Ordering::Relaxed);
        drop(claim);
        // What the backing file has there was not the guest's before.
        let covered = self.backing.as_ref().map_or(0, Storage::size).min(bytes);
        match covered > old {
            true => self.write_zeroes(old, covered - old, true),
            false => Ok(()),
        }
    }
}

/// Clusters for a run of `wanted` that has none of its own.
fn place_for<S: Storage>(
    meta: &mut Meta<S>,
    mapping: Mapping,
    wanted: u64,
) -> Result<Place, Errno> {
    let bits = meta.geometry.cluster_bits;
    if let Mapping::Zero {
        host: Some(host),
        copied: true,
    } = mapping
        && host + (wanted << bits) <= meta.host_end
    {
        return Ok(Place {
            host,
            clusters: wanted,
            new: false,
            blank: false,
        });
    }
    let end = meta.host_end;
    let (first, clusters) = meta.allocate(wanted)?;
    let host = first << bits;
    Ok(Place {
        host,
        clusters,
        new: true,
        blank: host >= end,
    })
}

/// Lets the guest's clusters from `first` on be at `place`, and gives up what they were before.
fn link<S: Storage>(
    meta: &mut Meta<S>,
    place: &Place,
    first: u64,
    old: Mapping,
) -> Result<(), Errno> {
    let bits = meta.geometry.cluster_bits;
    for index in 0..place.clusters {
        let host = place.host + (index << bits);
        if let Err(error) = meta.set_entry(first + index, host | COPIED) {
            if place.new {
                meta.release(host >> bits, place.clusters - index)?;
            }
            return Err(error);
        }
        if place.new {
            meta.give_up_mapping(old.ahead(index << bits), false);
        }
    }
    Ok(())
}

impl<S: Storage> Meta<S> {
    /// Makes the L1 table long enough for a disk of so many bytes.
    fn grow_l1(&mut self, disk: u64) -> Result<(), Errno> {
        let bits = self.geometry.cluster_bits;
        let count = self
            .geometry
            .clusters(disk)
            .div_ceil(self.geometry.entries());
        let old = self.l1.entries.len() as u64;
        if count <= old {
            return Ok(());
        }
        if count * 8 > header::L1_BYTES_MAX {
            return Err(Errno::EFBIG);
        }
        let clusters = self.geometry.clusters(count * 8);
        let first = self.allocate_exact(clusters)?;
        self.write_back()?;
        let mut entries = self.l1.entries.clone();
        entries.resize(count as usize, 0);
        let new = Table::new(first << bits, entries);
        let mut bytes = new.to_bytes();
        bytes.resize((clusters << bits) as usize, 0);
        self.l2.forget(new.offset, clusters << bits);
        self.storage.write_at(new.offset, &bytes)?;
        self.storage.sync()?;
        let mut fields = [0; 12];
        fields[..4].copy_from_slice(&(count as u32).to_be_bytes());
        fields[4..].copy_from_slice(&new.offset.to_be_bytes());
        self.storage.write_at(header::AT_L1, &fields)?;
        self.storage.sync()?;
        let gone = (self.l1.offset >> bits, self.geometry.clusters(old * 8));
        self.l1 = new;
        self.reserve();
        self.release(gone.0, gone.1)
    }
}
