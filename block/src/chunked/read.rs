//! The driver. Packs are opened, and chunks read, when they are needed first.

use std::sync::Arc;

use include::Errno;
use parking_lot::Mutex;
use util::coroutine::CoMutex;
use util::thread_pool;

use super::format::{INDEX_BYTES_MAX, Index, Unique, pack_name, unpack};
use crate::node::Child;
use crate::options::{HttpOptions, NodeOptions};
use crate::protocol;

/// How many uncompressed chunks are kept: a guest reads them piece by piece.
const KEPT: usize = 32;
/// So many chunks can be on their way at one time; each of them only once.
const LANES: usize = 16;

pub struct Chunked {
    child: Child,
    /// Where the index came from: the packs are beside it.
    place: NodeOptions,
    index: Index,
    packs: CoMutex<Vec<Option<Child>>>,
    lanes: [CoMutex<()>; LANES],
    recent: Mutex<Vec<(u32, Arc<[u8]>)>>,
}

/// The options of a pack of the index at `place`.
fn pack_options(place: &NodeOptions, pack: u32) -> Result<NodeOptions, String> {
    match place {
        NodeOptions::File { name, locking } => Ok(NodeOptions::File {
            name: pack_name(name, pack),
            locking: *locking,
        }),
        NodeOptions::Http(http) => Ok(NodeOptions::Http(HttpOptions {
            url: pack_url(&http.url, pack),
            ..http.clone()
        })),
        _ => Err("its packs cannot be found: its index must be given by name".into()),
    }
}

/// A pack's URL: the index's, whose query may be what allows the requests.
fn pack_url(index: &str, pack: u32) -> String {
    let end = index.find(['?', '#']).unwrap_or(index.len());
    let (path, rest) = index.split_at(end);
    format!("{}{rest}", pack_name(path, pack))
}

impl Chunked {
    /// Opens an index that was opened as `child`, from `place`. Errors are sentences without name.
    pub fn open(child: Child, place: &NodeOptions) -> Result<Self, String> {
        pack_options(place, 0)?;
        let size = child.len();
        if size > INDEX_BYTES_MAX {
            return Err(format!("its index of {size} bytes is too large"));
        }
        let mut bytes = vec![0; size as usize];
        let read = child.read(0, &mut bytes);
        read.map_err(|error| format!("its index cannot be read: {error}"))?;
        let index = thread_pool::run(|| Index::parse(&bytes))?;
        let packs = index.packs as usize;
        Ok(Self {
            child,
            place: place.clone(),
            index,
            packs: CoMutex::new(vec![None; packs]),
            lanes: std::array::from_fn(|_| CoMutex::new(())),
            recent: Mutex::default(),
        })
    }

    pub fn child(&self) -> &Child {
        &self.child
    }

    pub fn len(&self) -> u64 {
        self.index.disk_bytes
    }

    /// True for a disk of no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn read(&self, offset: u64, buf: &mut [u8]) -> Result<(), Errno> {
        let size = u64::from(self.index.chunk_bytes);
        let mut done = 0;
        while done < buf.len() {
            let at = offset + done as u64;
            let within = (at % size) as usize;
            let count = (size as usize - within).min(buf.len() - done);
            let piece = &mut buf[done..done + count];
            let chunk = self.index.chunks.get((at / size) as usize);
            match *chunk.ok_or(Errno::EIO)? {
                0 => piece.fill(0),
                number => {
                    let chunk = self.chunk(number)?;
                    piece.copy_from_slice(&chunk[within..within + count]);
                }
            }
            done += count;
        }
        Ok(())
    }

    fn chunk(&self, number: u32) -> Result<Arc<[u8]>, Errno> {
        if let Some(chunk) = self.kept(number) {
            return Ok(chunk);
        }
        let _lane = self.lanes[number as usize % LANES].lock();
        if let Some(chunk) = self.kept(number) {
            return Ok(chunk);
        }
        let unique = &self.index.uniques[number as usize - 1];
        let mut packed = vec![0; unique.length as usize];
        self.pack(unique.pack)?
            .read(unique.offset.into(), &mut packed)?;
        let size = self.index.chunk_bytes as usize;
        let chunk = thread_pool::run(|| unpack(packed, unique, size));
        let chunk: Arc<[u8]> = chunk.ok_or_else(|| self.damaged(unique))?.into();
        let mut recent = self.recent.lock();
        if recent.len() >= KEPT {
            recent.remove(0);
        }
        recent.push((number, chunk.clone()));
        Ok(chunk)
    }

    fn damaged(&self, unique: &Unique) -> Errno {
        if let Ok(options) = pack_options(&self.place, unique.pack) {
            let (name, at) = (protocol::describe(&options), unique.offset);
            log::error!("'{name}': the chunk at {at} is damaged (it does not have its SHA-256)");
        }
        Errno::EIO
    }

    fn kept(&self, number: u32) -> Option<Arc<[u8]>> {
        let mut recent = self.recent.lock();
        let index = recent.iter().position(|(kept, _)| *kept == number)?;
        let found = recent.remove(index);
        recent.push(found.clone());
        Some(found.1)
    }

    fn pack(&self, pack: u32) -> Result<Child, Errno> {
        let mut packs = self.packs.lock();
        let slot = packs.get_mut(pack as usize).ok_or(Errno::EIO)?;
        if let Some(node) = slot {
            return Ok(node.clone());
        }
        let options = pack_options(&self.place, pack).map_err(|_| Errno::EIO)?;
        let node = protocol::open(&options, true).map_err(|reason| {
            log::error!("{reason}");
            Errno::EIO
        })?;
        *slot = Some(node.clone());
        Ok(node)
    }

    pub fn write(&self, _offset: u64, _data: &[u8]) -> Result<(), Errno> {
        Err(Errno::EROFS)
    }

    pub fn write_zeroes(&self, _offset: u64, _bytes: u64, _may_unmap: bool) -> Result<(), Errno> {
        Err(Errno::EROFS)
    }

    pub fn discard(&self, _offset: u64, _bytes: u64) -> Result<(), Errno> {
        Err(Errno::EROFS)
    }

    /// Nothing is ever written.
    pub fn flush(&self) -> Result<(), Errno> {
        Ok(())
    }

    pub fn set_len(&self, _bytes: u64) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }
}

#[cfg(test)]
#[test]
fn urls_of_packs() {
    assert_eq!(pack_url("http://h/a.chunked", 2), "http://h/a.chunked.002");
    assert_eq!(pack_url("https://h/a?t=1", 11), "https://h/a.011?t=1");
}
