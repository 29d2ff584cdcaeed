//! Copy on write into memory (`snapshot=on`): the child is never written, and what the guest writes
//! is gone with the process.

use std::collections::HashMap;

use include::Errno;
use util::coroutine::CoRwLock;

use crate::node::Child;

/// Bytes that are copied at a time.
const CLUSTER: u64 = 64 << 10;

/// What took a cluster's place.
enum Cluster {
    Zero,
    Data(Box<[u8]>),
}

pub struct Overlay {
    child: Child,
    len: u64,
    /// By number. Writers wait with the lock held while they read what they do not overwrite.
    clusters: CoRwLock<HashMap<u64, Cluster>>,
}

/// The pieces of a range: (cluster, offset in it, offset in the range, length).
fn pieces(offset: u64, bytes: u64) -> impl Iterator<Item = (u64, usize, u64, usize)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done;
        let within = at % CLUSTER;
        let count = (CLUSTER - within).min(bytes - done);
        let piece = (at / CLUSTER, within as usize, done, count as usize);
        done += count;
        (count > 0).then_some(piece)
    })
}

impl Overlay {
    pub fn new(child: Child) -> Self {
        Self {
            len: child.len(),
            child,
            clusters: CoRwLock::new(HashMap::new()),
        }
    }

    pub fn child(&self) -> &Child {
        &self.child
    }

    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn read(&self, offset: u64, buf: &mut [u8]) -> Result<(), Errno> {
        let clusters = self.clusters.read();
        // What comes from the child is read in one piece as far as it goes.
        let mut below: Option<(u64, usize)> = None;
        for (index, within, done, count) in pieces(offset, buf.len() as u64) {
            let done = done as usize;
            let cluster = clusters.get(&index);
            match cluster {
                None => below = Some((below.map_or(done as u64, |(start, _)| start), done + count)),
                Some(cluster) => {
                    self.read_below(offset, below.take(), buf)?;
                    let target = &mut buf[done..done + count];
                    match cluster {
                        Cluster::Zero => target.fill(0),
                        Cluster::Data(data) => {
                            target.copy_from_slice(&data[within..within + count]);
                        }
                    }
                }
            }
        }
        self.read_below(offset, below, buf)
    }

    fn read_below(
        &self,
        offset: u64,
        range: Option<(u64, usize)>,
        buf: &mut [u8],
    ) -> Result<(), Errno> {
        match range {
            None => Ok(()),
            Some((start, end)) => self
                .child
                .read(offset + start, &mut buf[start as usize..end]),
        }
    }

    pub fn write(&self, offset: u64, data: &[u8]) -> Result<(), Errno> {
        let mut clusters = self.clusters.write();
        for (index, within, done, count) in pieces(offset, data.len() as u64) {
            let source = &data[done as usize..done as usize + count];
            let cluster = self.owned(&mut clusters, index, count)?;
            cluster[within..within + count].copy_from_slice(source);
        }
        Ok(())
    }

    /// The cluster's own bytes; if it had none, its old ones unless `written` will be all of it.
    fn owned<'a>(
        &self,
        clusters: &'a mut HashMap<u64, Cluster>,
        index: u64,
        written: usize,
    ) -> Result<&'a mut [u8], Errno> {
        if !matches!(clusters.get(&index), Some(Cluster::Data(_))) {
            let start = index * CLUSTER;
            let len = CLUSTER.min(self.len - start) as usize;
            let mut bytes = vec![0; CLUSTER as usize];
            if written < len && !clusters.contains_key(&index) {
                self.child.read(start, &mut bytes[..len])?;
            }
            clusters.insert(index, Cluster::Data(bytes.into()));
        }
        match clusters.get_mut(&index) {
            Some(Cluster::Data(bytes)) => Ok(bytes),
            _ => Err(Errno::EIO),
        }
    }

    pub fn write_zeroes(&self, offset: u64, bytes: u64, _may_unmap: bool) -> Result<(), Errno> {
        let mut clusters = self.clusters.write();
        for (index, within, _, count) in pieces(offset, bytes) {
            let whole = CLUSTER.min(self.len - index * CLUSTER) as usize;
            if count == whole {
                clusters.insert(index, Cluster::Zero);
            } else {
                let cluster = self.owned(&mut clusters, index, count)?;
                cluster[within..within + count].fill(0);
            }
        }
        Ok(())
    }

    /// Gives memory back: discarded clusters read as zeros.
    pub fn discard(&self, offset: u64, bytes: u64) -> Result<(), Errno> {
        let mut clusters = self.clusters.write();
        for (index, _, _, count) in pieces(offset, bytes) {
            if count as u64 == CLUSTER {
                clusters.insert(index, Cluster::Zero);
            }
        }
        Ok(())
    }

    /// Nothing is kept, so nothing has to be stable.
    pub fn flush(&self) -> Result<(), Errno> {
        Ok(())
    }

    pub fn set_len(&self, _bytes: u64) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }
}
