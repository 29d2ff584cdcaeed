//! Open files and folders. At most [`OPEN_MAX`] have a descriptor of the host: those that were used
//! longest ago lose it, and get it back when they are used again, if their name still leads to the
//! same file. Files whose name is removed keep theirs.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use include::Errno;
use include::fsdev::{HandleId, NodeId};
use parking_lot::Mutex;
use util::host_fs::{DirEntry, DirStream, HostFile, OpenFlags, Stat};

use super::tree::Tree;

/// Most descriptors of open files and folders.
pub const OPEN_MAX: usize = 384;
/// Most handles: what a guest can make its host remember.
const HANDLES_MAX: usize = 1 << 18;
/// How many entries of a folder are read at a time.
const ENTRIES: usize = 256;

/// An open file or folder.
pub struct Handle {
    pub node: NodeId,
    kind: Kind,
    /// Its name is gone, or may be: it keeps its descriptor.
    pinned: AtomicBool,
}

enum Kind {
    File(FileHandle),
    Folder(Mutex<Listing>),
}

struct FileHandle {
    /// For opening it again.
    flags: OpenFlags,
    identity: (u64, u64),
    file: Mutex<Option<Arc<HostFile>>>,
}

/// How far a folder was read.
#[derive(Default)]
struct Listing {
    stream: Option<DirStream>,
    /// Entries that were read and not handed out, the next one last.
    rest: Vec<DirEntry>,
    /// Where they begin.
    at: u64,
}

impl Listing {
    /// The next entries from a place on; `open` opens the folder.
    fn fill(
        &mut self,
        offset: u64,
        open: impl FnOnce() -> Result<DirStream, Errno>,
    ) -> Result<(), Errno> {
        if offset != 0 && self.at == offset && !self.rest.is_empty() {
            return Ok(());
        }
        if self.stream.is_none() {
            let stream = open()?;
            if offset != 0 {
                // A stream's places count from where it was read first.
                stream.read(0, 1)?;
            }
            self.stream = Some(stream);
        }
        let stream = self.stream.as_ref().ok_or(Errno::EIO)?;
        self.rest = stream.read(offset, ENTRIES)?;
        self.rest.reverse();
        self.at = offset;
        Ok(())
    }

    /// Hands out entries from a place on until `take` does not take one.
    fn read(
        &mut self,
        mut offset: u64,
        open: impl Fn() -> Result<DirStream, Errno>,
        mut take: impl FnMut(&DirEntry) -> Result<bool, Errno>,
    ) -> Result<(), Errno> {
        loop {
            self.fill(offset, &open)?;
            if self.rest.is_empty() {
                return Ok(());
            }
            while let Some(entry) = self.rest.last() {
                if !take(entry)? {
                    return Ok(());
                }
                (offset, self.at) = (entry.next, entry.next);
                self.rest.pop();
            }
        }
    }
}

#[derive(Default)]
struct State {
    handles: HashMap<u64, (Arc<Handle>, u64)>,
    /// Handles that may lose their descriptor, by when they were used last.
    order: BTreeMap<u64, u64>,
    next: u64,
    clock: u64,
}

#[derive(Default)]
pub struct Handles(Mutex<State>);

impl Handles {
    pub fn get(&self, id: HandleId) -> Result<Arc<Handle>, Errno> {
        let state = self.0.lock();
        let row = state.handles.get(&id.0).ok_or(Errno::EBADF)?;
        Ok(row.0.clone())
    }

    pub fn add_file(
        &self,
        node: NodeId,
        file: HostFile,
        flags: OpenFlags,
        stat: &Stat,
    ) -> Result<HandleId, Errno> {
        let file = FileHandle {
            flags,
            identity: (stat.dev, stat.ino),
            file: Mutex::new(Some(Arc::new(file))),
        };
        self.add(node, Kind::File(file))
    }

    pub fn add_folder(&self, node: NodeId) -> Result<HandleId, Errno> {
        self.add(node, Kind::Folder(Mutex::default()))
    }

    fn add(&self, node: NodeId, kind: Kind) -> Result<HandleId, Errno> {
        let pinned = AtomicBool::new(false);
        let handle = Handle { node, kind, pinned };
        let mut state = self.0.lock();
        if state.handles.len() >= HANDLES_MAX {
            return Err(Errno::ENFILE);
        }
        state.next += 1;
        let id = state.next;
        state.handles.insert(id, (Arc::new(handle), 0));
        drop(state);
        self.used(id);
        Ok(HandleId(id))
    }

    pub fn remove(&self, id: HandleId) -> Option<Arc<Handle>> {
        let mut state = self.0.lock();
        let (handle, used) = state.handles.remove(&id.0)?;
        state.order.remove(&used);
        Some(handle)
    }

    /// A handle has a descriptor and was used: the oldest ones lose theirs.
    fn used(&self, id: u64) {
        let mut oldest = Vec::new();
        let mut state = self.0.lock();
        let State {
            handles,
            order,
            clock,
            ..
        } = &mut *state;
        if let Some((_, used)) = handles.get_mut(&id) {
            *clock += 1;
            order.remove(used);
            *used = *clock;
            order.insert(*clock, id);
        }
        while order.len() > OPEN_MAX
            && let Some((_, id)) = order.pop_first()
        {
            oldest.extend(handles.get(&id).map(|row| row.0.clone()));
        }
        drop(state);
        oldest.iter().for_each(|handle| handle.lose());
    }

    /// The file of a handle, opened again if it lost its descriptor.
    pub fn file(&self, tree: &Tree, id: HandleId) -> Result<Arc<HostFile>, Errno> {
        let handle = self.get(id)?;
        let Kind::File(file) = &handle.kind else {
            return Err(Errno::EISDIR);
        };
        let mut place = file.file.lock();
        if let Some(file) = &*place {
            return Ok(file.clone());
        }
        let spot = tree.spot(handle.node)?;
        let again = Arc::new(spot.dir.open_file(&spot.name, file.flags)?);
        let stat = again.stat()?;
        if spot.detached || (stat.dev, stat.ino) != file.identity {
            return Err(Errno::ESTALE);
        }
        *place = Some(again.clone());
        drop(place);
        self.used(id.0);
        Ok(again)
    }

    /// A handle's name is about to go: it gets its descriptor, and keeps it.
    pub fn pin(&self, tree: &Tree, id: u64) {
        let Ok(handle) = self.get(HandleId(id)) else {
            return;
        };
        handle.pinned.store(true, Ordering::Release);
        // If it cannot be had, the file is lost to the handle; there is nobody to tell.
        let _ = self.file(tree, HandleId(id));
        let mut state = self.0.lock();
        if let Some((_, used)) = state.handles.get(&id) {
            let used = *used;
            state.order.remove(&used);
        }
    }

    /// Reads a folder.
    pub fn read_dir(
        &self,
        tree: &Tree,
        id: HandleId,
        offset: u64,
        take: impl FnMut(&DirEntry) -> Result<bool, Errno>,
    ) -> Result<(), Errno> {
        let handle = self.get(id)?;
        let Kind::Folder(listing) = &handle.kind else {
            return Err(Errno::ENOTDIR);
        };
        let open = || tree.folder(handle.node)?.read_dir();
        let done = listing.lock().read(offset, open, take);
        self.used(id.0);
        done
    }

    /// How many there are, and how many may lose their descriptor.
    #[cfg(test)]
    pub fn counts(&self) -> (usize, usize) {
        let state = self.0.lock();
        (state.handles.len(), state.order.len())
    }
}

impl Handle {
    /// Closes the descriptor, once nobody uses it. One that is being opened or read stays.
    fn lose(&self) {
        match &self.kind {
            Kind::File(file) => {
                if let Some(mut file) = file.file.try_lock()
                    && !self.pinned.load(Ordering::Acquire)
                {
                    *file = None;
                }
            }
            Kind::Folder(listing) => {
                if let Some(mut listing) = listing.try_lock() {
                    *listing = Listing::default();
                }
            }
        }
    }

    pub fn is_folder(&self) -> bool {
        matches!(self.kind, Kind::Folder(_))
    }
}
