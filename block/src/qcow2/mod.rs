//! `qcow2`: images that grow, have backing files, and know what is allocated (QEMU's
//! `docs/interop/qcow2`). Versions 2 and 3 are read and written; encryption, external data files
//! and extended L2 entries are refused.
//!
//! `meta.rs` has what must hold for the order of writes, `inflight.rs` for requests at one time.

mod check;
mod compressed;
mod create;
mod geometry;
pub mod header;
mod inflight;
mod meta;
mod pages;
mod refcount;
pub mod storage;
mod tables;
mod write;
mod zero;

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use include::Errno;
use util::coroutine::CoMutex;
use util::thread_pool;

pub use check::Report;
use compressed::{Recent, unpack};
pub use create::{CreateOptions, create};
use geometry::{Geometry, Mapping};
use header::Header;
use inflight::InFlight;
use meta::Meta;
pub use storage::Storage;
use tables::Run;

/// An open image. All operations may wait.
pub struct Qcow2<S> {
    storage: S,
    backing: Option<S>,
    geometry: Geometry,
    len: AtomicU64,
    read_only: bool,
    meta: CoMutex<Meta<S>>,
    in_flight: InFlight,
    recent: Recent,
}

/// Reads and checks the header of an image. Errors are sentences without the image's name.
pub fn read_header<S: Storage>(storage: &S) -> Result<Header, String> {
    let sentence = |error: Errno| format!("its header cannot be read: {error}");
    let there = |wanted: usize| storage.size().min(wanted as u64) as usize;
    let mut start = vec![0; there(header::LENGTH_V2)];
    storage.read_at(0, &mut start).map_err(sentence)?;
    let mut cluster = vec![0; there(header::bytes_to_read(&start)?)];
    storage.read_at(0, &mut cluster).map_err(sentence)?;
    Header::parse(&cluster)
}

impl<S: Storage> Qcow2<S> {
    /// Opens an image whose header was read, over `backing` if it names one. Errors are sentences
    /// without the image's name.
    pub fn open(
        storage: S,
        header: &Header,
        backing: Option<S>,
        read_only: bool,
    ) -> Result<Self, String> {
        if header.incompatible & header::CORRUPT != 0 && !read_only {
            return Err("it is marked as corrupt, so it can only be read \
                (read-only=on does that, 'qemu-img check -r all' repairs it)"
                .into());
        }
        let file_end = storage.size();
        if header.l1_offset > file_end || header.reftable_offset > file_end {
            return Err("its tables are behind its end".into());
        }
        let sentence = |error: Errno| format!("its tables cannot be read: {error}");
        let meta = Meta::read(storage.clone(), header, read_only).map_err(sentence)?;
        let image = Self {
            geometry: meta.geometry,
            storage,
            backing,
            len: AtomicU64::new(header.size),
            read_only,
            meta: CoMutex::new(meta),
            in_flight: InFlight::default(),
            recent: Recent::default(),
        };
        if !read_only {
            image.prepare_writing(header)?;
        }
        Ok(image)
    }

    /// Repairs counts that an earlier user did not write, and clears what writing makes untrue.
    fn prepare_writing(&self, header: &Header) -> Result<(), String> {
        let sentence = |error: Errno| format!("its header cannot be written: {error}");
        if header.autoclear != 0 {
            let written = self.storage.write_at(header::AT_AUTOCLEAR, &[0; 8]);
            written.map_err(sentence)?;
        }
        if header.incompatible & header::DIRTY == 0 {
            return Ok(());
        }
        log::warn!("a qcow2 image was not closed: its reference counts are repaired");
        self.repair()?;
        let clean = (header.incompatible & !header::DIRTY).to_be_bytes();
        let written = self.storage.write_at(header::AT_INCOMPATIBLE, &clean);
        written.and_then(|()| self.storage.sync()).map_err(sentence)
    }

    pub fn len(&self) -> u64 {
        self.len.load(Ordering::Relaxed)
    }

    /// The image behind it.
    pub fn backing(&self) -> Option<&S> {
        self.backing.as_ref()
    }

    /// The file that the image is in.
    pub fn storage(&self) -> &S {
        &self.storage
    }

    /// True for a disk of no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The guest's clusters that a range touches.
    fn clusters(&self, offset: u64, bytes: u64) -> Range<u64> {
        let bits = self.geometry.cluster_bits;
        offset >> bits..self.geometry.clusters(offset + bytes)
    }

    pub fn read(&self, offset: u64, buf: &mut [u8]) -> Result<(), Errno> {
        let clusters = self.clusters(offset, buf.len() as u64);
        let _claim = self.in_flight.claim(clusters, false);
        self.read_claimed(offset, buf)
    }

    /// Reads clusters that nobody else changes now.
    fn read_claimed(&self, offset: u64, buf: &mut [u8]) -> Result<(), Errno> {
        let mut done = 0;
        while done < buf.len() {
            let at = offset + done as u64;
            let run = {
                let mut meta = self.meta.lock();
                meta.shrink();
                meta.map(at, (buf.len() - done) as u64)?
            };
            let end = done + run.bytes as usize;
            self.read_run(run, at, &mut buf[done..end])?;
            done = end;
        }
        Ok(())
    }

    fn read_run(&self, run: Run, offset: u64, buf: &mut [u8]) -> Result<(), Errno> {
        let within = offset & (self.geometry.cluster() - 1);
        match run.mapping {
            Mapping::Unallocated => match &self.backing {
                Some(backing) => backing.read_at(offset, buf),
                None => {
                    buf.fill(0);
                    Ok(())
                }
            },
            Mapping::Zero { .. } => {
                buf.fill(0);
                Ok(())
            }
            Mapping::Data { host, .. } => self.storage.read_at(host + within, buf),
            Mapping::Compressed { host, bytes } => {
                self.read_compressed(host, bytes, within as usize, buf)
            }
        }
    }

    fn read_compressed(
        &self,
        host: u64,
        bytes: u64,
        within: usize,
        buf: &mut [u8],
    ) -> Result<(), Errno> {
        let cluster = match self.recent.get(host) {
            Some(cluster) => cluster,
            None => {
                let mut packed = vec![0; bytes as usize];
                self.storage.read_at(host, &mut packed)?;
                let size = self.geometry.cluster() as usize;
                let kind = self.geometry.compression;
                let cluster = thread_pool::run(|| unpack(kind, &packed, size))?;
                self.recent.put(host, cluster.clone());
                cluster
            }
        };
        buf.copy_from_slice(&cluster[within..within + buf.len()]);
        Ok(())
    }

    /// Returns when everything that was written before is on stable storage.
    pub fn flush(&self) -> Result<(), Errno> {
        if self.read_only {
            return Ok(());
        }
        let freed = {
            let mut meta = self.meta.lock();
            meta.check_sound()?;
            meta.write_back()?;
            std::mem::take(&mut meta.pending)
        };
        let synced = self.storage.sync();
        if !freed.is_empty() {
            let mut meta = self.meta.lock();
            if let Err(error) = synced {
                meta.pending.extend(freed);
                return Err(error);
            }
            meta.apply_frees(&freed)?;
            // Without this a process that ends now would leave clusters that nobody uses.
            meta.write_back_counts()?;
            self.recent.clear();
        }
        synced
    }
}
