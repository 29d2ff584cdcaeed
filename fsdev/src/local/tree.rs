//! From nodes to the host: which folder and which name a node is, and folders that are kept open.
//!
//! A folder is opened from the one above it, by its name and never through a link, so that no walk
//! leaves the share whatever happens on the host. At most [`FOLDERS_MAX`] stay open; each walk
//! checks that the one it has is still the one with that name.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use include::Errno;
use include::fsdev::NodeId;
use parking_lot::{Mutex, MutexGuard};
use util::host_fs::{HostDir, SELF, Stat};

use super::folder::Folder;
use super::security::Mapped;
use crate::nodes::{Nodes, ROOT};

/// Most folders that are open at a time, apart from those that a request uses.
const FOLDERS_MAX: usize = 192;

/// How long what is kept apart from a file is not looked at again, if nobody changes it here: a
/// guest asks for the attributes of what it has just looked up.
const FRESH: Duration = Duration::from_secs(1);

/// What is known of a node.
#[derive(Default)]
pub struct Place {
    /// The folder, if it is one and open, and when it was used last.
    dir: Option<(Arc<Folder>, u64)>,
    /// Device and number on the host.
    pub identity: (u64, u64),
    /// Files that are open here.
    pub handles: Vec<u64>,
    /// What was kept apart from the file when its name went.
    pub mapped: Option<Mapped>,
    /// What is kept apart, as it was found a moment ago, and after how many changes.
    fresh: Option<(Mapped, Instant, u64)>,
}

pub struct State {
    pub nodes: Nodes<Place>,
    /// Nodes whose folders are open, by when they were used last.
    open: BTreeMap<u64, NodeId>,
    clock: u64,
    /// Counts changes of what is kept apart from files, which may have several names.
    pub changes: u64,
}

/// Folders that are not open, from the lowest up, with their names.
type Missing = Vec<(NodeId, Vec<u8>)>;

pub struct Tree {
    root: Arc<Folder>,
    state: Mutex<State>,
}

/// Where a node is, or was: a folder and a name in it.
pub struct Spot {
    pub dir: Arc<Folder>,
    pub name: Vec<u8>,
    /// It has no name any more.
    pub detached: bool,
}

impl State {
    /// The folder that is open at a node.
    fn cached(&mut self, node: NodeId) -> Result<Option<Arc<Folder>>, Errno> {
        let place = self.nodes.get_mut(node)?;
        let Some((dir, used)) = &mut place.dir else {
            return Ok(None);
        };
        self.clock += 1;
        self.open.remove(used);
        *used = self.clock;
        self.open.insert(*used, node);
        Ok(Some(dir.clone()))
    }

    /// Keeps a folder open, and closes the one that was used longest ago if there are too many.
    fn keep(&mut self, node: NodeId, dir: &Arc<Folder>) -> Result<(), Errno> {
        self.close_folder(node);
        let place = self.nodes.get_mut(node)?;
        self.clock += 1;
        place.dir = Some((dir.clone(), self.clock));
        self.open.insert(self.clock, node);
        while self.open.len() > FOLDERS_MAX
            && let Some((_, oldest)) = self.open.pop_first()
        {
            self.nodes.get_mut(oldest)?.dir = None;
        }
        Ok(())
    }

    fn close_folder(&mut self, node: NodeId) {
        if let Ok(place) = self.nodes.get_mut(node)
            && let Some((_, used)) = place.dir.take()
        {
            self.open.remove(&used);
        }
    }

    /// What was kept apart from a node's file a moment ago.
    pub fn fresh(&self, node: NodeId) -> Option<Mapped> {
        let (mapped, since, changes) = self.nodes.get(node).ok()?.fresh?;
        (changes == self.changes && since.elapsed() < FRESH).then_some(mapped)
    }

    /// What is kept apart from it, as it was found after so many changes.
    pub fn set_fresh(&mut self, node: NodeId, mapped: Mapped, changes: u64) {
        if let Ok(place) = self.nodes.get_mut(node) {
            place.fresh = Some((mapped, Instant::now(), changes));
        }
    }

    /// After nodes have gone: what they kept open is closed when they are dropped.
    fn account(&mut self, gone: &[Place]) {
        for (_, used) in gone.iter().filter_map(|place| place.dir.as_ref()) {
            self.open.remove(used);
        }
    }
}

impl Tree {
    pub fn new(root: HostDir) -> Self {
        Self {
            root: Folder::new(root),
            state: Mutex::new(State {
                nodes: Nodes::new(Place::default()),
                open: BTreeMap::new(),
                clock: 0,
                changes: 0,
            }),
        }
    }

    pub fn root(&self) -> &Arc<Folder> {
        &self.root
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// How many folders are kept open.
    #[cfg(test)]
    pub fn open_folders(&self) -> usize {
        self.state.lock().open.len()
    }

    /// The folder of a node. ENOTDIR if it is none.
    pub fn folder(&self, node: NodeId) -> Result<Arc<Folder>, Errno> {
        let (mut dir, missing) = self.nearest_open(node)?;
        for (node, name) in missing.into_iter().rev() {
            dir = Folder::new(dir.open_dir(&name)?);
            self.state.lock().keep(node, &dir)?;
        }
        Ok(dir)
    }

    /// The nearest folder that is open, the node itself or one above, and what lies between.
    fn nearest_open(&self, mut node: NodeId) -> Result<(Arc<Folder>, Missing), Errno> {
        let mut missing = Vec::new();
        let mut state = self.state.lock();
        loop {
            if node == ROOT {
                return Ok((self.root.clone(), missing));
            }
            if let Some(dir) = state.cached(node)? {
                return Ok((dir, missing));
            }
            let (parent, name) = state.nodes.place(node)?.ok_or(Errno::ENOENT)?;
            missing.push((node, name.to_vec()));
            node = parent;
        }
    }

    /// Where a node is.
    pub fn spot(&self, node: NodeId) -> Result<Spot, Errno> {
        let mut state = self.state.lock();
        let place = state
            .nodes
            .place(node)?
            .map(|(parent, name)| (parent, name.to_vec()));
        let (parent, name) = match place {
            Some(place) => place,
            None => {
                let detached = node != ROOT;
                let dir = match detached {
                    false => self.root.clone(),
                    true => state.cached(node)?.ok_or(Errno::ENOENT)?,
                };
                let name = SELF.to_vec();
                return Ok(Spot {
                    dir,
                    name,
                    detached,
                });
            }
        };
        drop(state);
        let dir = self.folder(parent)?;
        let detached = false;
        Ok(Spot {
            dir,
            name,
            detached,
        })
    }

    /// The node of a name that was just found; a folder that is not the one that is open is let go.
    pub fn enter(&self, parent: NodeId, name: &[u8], stat: &Stat) -> Result<NodeId, Errno> {
        let identity = (stat.dev, stat.ino);
        let mut state = self.state.lock();
        let node = state.nodes.enter(parent, name, Place::default)?;
        let place = state.nodes.get_mut(node)?;
        if std::mem::replace(&mut place.identity, identity) != identity {
            state.close_folder(node);
        }
        Ok(node)
    }

    pub fn forget(&self, node: NodeId) {
        let mut state = self.state.lock();
        let gone = state.nodes.forget(node);
        state.account(&gone);
        drop(state);
    }

    /// A name is gone.
    pub fn detach(&self, parent: NodeId, name: &[u8]) {
        let mut state = self.state.lock();
        let gone = state.nodes.detach(parent, name);
        state.account(&gone);
        drop(state);
    }

    pub fn rename(&self, from: (NodeId, &[u8]), to: (NodeId, &[u8])) {
        let mut state = self.state.lock();
        let gone = state.nodes.rename(from, to);
        state.account(&gone);
        drop(state);
    }

    /// Folder and name of a node that has them.
    pub fn place(&self, node: NodeId) -> Result<(NodeId, Vec<u8>), Errno> {
        match self.state.lock().nodes.place(node)? {
            Some((parent, name)) => Ok((parent, name.to_vec())),
            None if node == ROOT => Err(Errno::EBUSY),
            None => Err(Errno::ENOENT),
        }
    }
}
