//! Fids: what the client calls the files it works with.
//!
//! Requests run at the same time, so a fid is shared and each request takes out of it what it
//! needs. Nodes and open files are given back to the driver when the last request lets go.

use std::collections::HashMap;
use std::collections::hash_map;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use include::fsdev::{Entry, HandleId, NodeId};
use include::{Errno, FileSystem};
use parking_lot::Mutex;
use util::thread_pool;

/// Most fids of a session: what a guest can make its host remember.
const FIDS_MAX: usize = 1 << 20;
/// Fid number that stands for none.
pub const NO_FID: u32 = u32::MAX;

/// One reference to a node.
pub struct NodeRef {
    fs: Arc<dyn FileSystem>,
    pub id: NodeId,
}

impl NodeRef {
    pub fn new(fs: &Arc<dyn FileSystem>, entry: Entry) -> Arc<Self> {
        Arc::new(Self {
            fs: fs.clone(),
            id: entry.node,
        })
    }
}

impl Drop for NodeRef {
    fn drop(&mut self) {
        self.fs.forget(self.id);
    }
}

/// An open file or folder.
pub struct OpenFile {
    fs: Arc<dyn FileSystem>,
    pub id: HandleId,
    pub is_folder: bool,
    closed: bool,
}

impl OpenFile {
    pub fn new(fs: &Arc<dyn FileSystem>, id: HandleId, is_folder: bool) -> Arc<Self> {
        Arc::new(Self {
            fs: fs.clone(),
            id,
            is_folder,
            closed: false,
        })
    }

    /// Closes it now, if nobody else uses it. Blocks.
    pub fn close(this: Arc<Self>) {
        if let Some(mut this) = Arc::into_inner(this) {
            this.closed = true;
            this.fs.close(this.id);
        }
    }
}

impl Drop for OpenFile {
    /// May run anywhere, and must not block there.
    fn drop(&mut self) {
        if !self.closed {
            let (fs, id) = (self.fs.clone(), self.id);
            thread_pool::submit(move || fs.close(id));
        }
    }
}

/// Most bytes of attributes' values that the fids of a session hold.
const HELD_BYTES_MAX: usize = 64 << 20;

/// The value of an attribute, counted.
pub struct Value {
    pub bytes: Vec<u8>,
    held: Arc<AtomicUsize>,
}

impl Value {
    /// `held` counts for the session.
    pub fn new(bytes: Vec<u8>, held: &Arc<AtomicUsize>) -> Result<Self, Errno> {
        let total = held
            .fetch_add(bytes.len(), Ordering::Relaxed)
            .saturating_add(bytes.len());
        let value = Self {
            bytes,
            held: held.clone(),
        };
        match total <= HELD_BYTES_MAX {
            true => Ok(value),
            false => Err(Errno::ENOMEM),
        }
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        self.held.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}

/// The value of an extended attribute that a client writes piece by piece.
pub struct XattrWrite {
    pub name: Vec<u8>,
    pub flags: u32,
    pub value: Value,
    /// How much of it was written.
    pub written: usize,
}

/// What a fid is good for.
pub enum Usage {
    /// It names a file.
    Walked,
    /// A request is about to open it.
    Opening,
    Open(Arc<OpenFile>),
    /// The value of an extended attribute, or the list of their names.
    XattrRead(Arc<Value>),
    XattrWrite(XattrWrite),
}

struct State {
    node: Arc<NodeRef>,
    usage: Usage,
}

/// What a client's number stands for.
pub struct Fid {
    /// Who attached.
    pub uid: u32,
    state: Mutex<State>,
}

impl Fid {
    pub fn new(node: Arc<NodeRef>, uid: u32) -> Arc<Self> {
        Self::with_usage(node, uid, Usage::Walked)
    }

    pub fn with_usage(node: Arc<NodeRef>, uid: u32, usage: Usage) -> Arc<Self> {
        Arc::new(Self {
            uid,
            state: Mutex::new(State { node, usage }),
        })
    }

    pub fn node(&self) -> Arc<NodeRef> {
        self.state.lock().node.clone()
    }

    /// Whether it only names a file.
    pub fn is_walked(&self) -> bool {
        matches!(self.state.lock().usage, Usage::Walked)
    }

    /// The value to read, if it is for that.
    pub fn xattr_value(&self) -> Option<Arc<Value>> {
        match &self.state.lock().usage {
            Usage::XattrRead(value) => Some(value.clone()),
            _ => None,
        }
    }

    /// The open file or folder, if it is one.
    pub fn open_file(&self) -> Option<Arc<OpenFile>> {
        match &self.state.lock().usage {
            Usage::Open(file) => Some(file.clone()),
            _ => None,
        }
    }

    /// The same, for a request that makes no sense without.
    pub fn opened(&self) -> Result<Arc<OpenFile>, Errno> {
        self.open_file().ok_or(Errno::EBADF)
    }

    /// Reserves a fid that only names a file, to open it.
    pub fn begin_open(&self) -> Result<Arc<NodeRef>, Errno> {
        let mut state = self.state.lock();
        match state.usage {
            Usage::Walked => {
                state.usage = Usage::Opening;
                Ok(state.node.clone())
            }
            _ => Err(Errno::EINVAL),
        }
    }

    /// After [`Fid::begin_open`]: it failed, or it went well, maybe with a new file.
    pub fn end_open(&self, opened: Option<(Arc<NodeRef>, Arc<OpenFile>)>) {
        let mut state = self.state.lock();
        match opened {
            None => state.usage = Usage::Walked,
            Some((node, file)) => {
                *state = State {
                    node,
                    usage: Usage::Open(file),
                };
            }
        }
    }

    /// Makes a fid that only names a file one that takes an attribute's value.
    pub fn begin_xattr(&self, write: XattrWrite) -> Result<(), Errno> {
        let mut state = self.state.lock();
        if !matches!(state.usage, Usage::Walked) {
            return Err(Errno::EINVAL);
        }
        state.usage = Usage::XattrWrite(write);
        Ok(())
    }

    /// Takes a piece of that value; says how many bytes fit.
    pub fn write_xattr(&self, offset: u64, data: &[u8]) -> Result<usize, Errno> {
        let mut state = self.state.lock();
        let Usage::XattrWrite(write) = &mut state.usage else {
            return Err(Errno::EBADF);
        };
        let start = usize::try_from(offset).map_err(|_| Errno::ENOSPC)?;
        let room = write.value.bytes.get_mut(start..).ok_or(Errno::ENOSPC)?;
        let count = room.len().min(data.len());
        room[..count].copy_from_slice(&data[..count]);
        write.written += count;
        Ok(count)
    }

    /// What it was, when the client has given it up.
    pub fn take_usage(&self) -> Usage {
        std::mem::replace(&mut self.state.lock().usage, Usage::Opening)
    }
}

/// The fids of a session.
#[derive(Default)]
pub struct Fids(Mutex<HashMap<u32, Arc<Fid>>>);

impl Fids {
    pub fn get(&self, number: u32) -> Result<Arc<Fid>, Errno> {
        self.0.lock().get(&number).cloned().ok_or(Errno::EBADF)
    }

    /// A new one; its number must not be in use.
    pub fn insert(&self, number: u32, fid: Arc<Fid>) -> Result<(), Errno> {
        let mut fids = self.0.lock();
        if fids.len() >= FIDS_MAX {
            return Err(Errno::EMFILE);
        }
        match fids.entry(number) {
            hash_map::Entry::Vacant(vacant) if number != NO_FID => {
                vacant.insert(fid);
                Ok(())
            }
            _ => Err(Errno::EBADF),
        }
    }

    /// Puts `new` in the place of `old`, if that is still there.
    pub fn replace(&self, number: u32, old: &Arc<Fid>, new: Arc<Fid>) -> Result<(), Errno> {
        let mut fids = self.0.lock();
        match fids.get_mut(&number) {
            Some(place) if Arc::ptr_eq(place, old) => {
                *place = new;
                Ok(())
            }
            _ => Err(Errno::EBADF),
        }
    }

    pub fn remove(&self, number: u32) -> Result<Arc<Fid>, Errno> {
        self.0.lock().remove(&number).ok_or(Errno::EBADF)
    }

    pub fn len(&self) -> usize {
        self.0.lock().len()
    }
}
