//! Files of the file system in memory, apart from their names.

use std::collections::{BTreeMap, HashMap};

use include::Errno;
use include::fsdev::{Attr, FileTime, Owner, SetAttr, SetTime, mode};

use super::sparse::{PAGE_BYTES, Sparse};
use crate::now;

pub type InodeId = u64;

/// The names in a folder, in the order of coming, so that reading it can go on later.
#[derive(Default)]
pub struct Folder {
    /// The folder above; gone when this one is removed.
    pub parent: Option<InodeId>,
    names: HashMap<Vec<u8>, (u64, InodeId)>,
    order: BTreeMap<u64, Vec<u8>>,
    next: u64,
}

/// Cookies below belong to `.` and `..`.
pub const FIRST_COOKIE: u64 = 2;

impl Folder {
    pub fn new(parent: InodeId) -> Self {
        Self {
            parent: Some(parent),
            next: FIRST_COOKIE,
            ..Self::default()
        }
    }

    pub fn get(&self, name: &[u8]) -> Option<InodeId> {
        self.names.get(name).map(|(_, inode)| *inode)
    }

    /// The caller has removed what had the name.
    pub fn insert(&mut self, name: &[u8], inode: InodeId) {
        self.names.insert(name.to_vec(), (self.next, inode));
        self.order.insert(self.next, name.to_vec());
        self.next += 1;
    }

    pub fn remove(&mut self, name: &[u8]) -> Option<InodeId> {
        let (cookie, inode) = self.names.remove(name)?;
        self.order.remove(&cookie);
        Some(inode)
    }

    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Entries from a cookie on: cookie, name, inode.
    pub fn entries(&self, from: u64) -> impl Iterator<Item = (u64, &[u8], InodeId)> {
        self.order
            .range(from.max(FIRST_COOKIE)..)
            .map(|(cookie, name)| {
                let (_, inode) = self.names[name];
                (*cookie, name.as_slice(), inode)
            })
    }
}

pub enum Body {
    File(Sparse),
    Folder(Folder),
    Link(Vec<u8>),
    /// Devices, pipes, sockets: only names for the guest's own.
    Special,
}

pub struct Inode {
    pub attr: Attr,
    pub body: Body,
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Nodes and open files that refer to it.
    pub users: u64,
}

impl Inode {
    pub fn new(id: InodeId, mode: u32, owner: Owner, body: Body) -> Self {
        let time = now();
        let attr = Attr {
            id,
            mode,
            uid: owner.uid,
            gid: owner.gid,
            links: if matches!(body, Body::Folder(_)) {
                2
            } else {
                1
            },
            block_size: PAGE_BYTES as u32,
            accessed: time,
            modified: time,
            changed: time,
            born: Some(time),
            ..Attr::default()
        };
        Self {
            attr,
            body,
            xattrs: BTreeMap::new(),
            users: 0,
        }
    }

    pub fn attr(&self) -> Attr {
        let (size, pages) = match &self.body {
            Body::File(file) => (file.size(), file.pages()),
            Body::Link(target) => (target.len() as u64, 0),
            Body::Folder(folder) => (64 * (2 + folder.names.len() as u64), 0),
            Body::Special => (0, 0),
        };
        Attr {
            size,
            blocks: pages * (PAGE_BYTES as u64 / 512),
            ..self.attr
        }
    }

    pub fn folder(&self) -> Result<&Folder, Errno> {
        match &self.body {
            Body::Folder(folder) => Ok(folder),
            _ => Err(Errno::ENOTDIR),
        }
    }

    pub fn folder_mut(&mut self) -> Result<&mut Folder, Errno> {
        match &mut self.body {
            Body::Folder(folder) => Ok(folder),
            _ => Err(Errno::ENOTDIR),
        }
    }

    pub fn file_mut(&mut self) -> Result<&mut Sparse, Errno> {
        match &mut self.body {
            Body::File(file) => Ok(file),
            Body::Folder(_) => Err(Errno::EISDIR),
            _ => Err(Errno::EINVAL),
        }
    }

    /// The contents changed.
    pub fn modified(&mut self) {
        self.attr.modified = now();
        self.attr.changed = self.attr.modified;
    }

    /// As `relatime`: only if it says something new.
    pub fn accessed(&mut self) {
        if self.attr.accessed <= self.attr.modified {
            self.attr.accessed = now();
        }
    }

    /// All changes but that of the size.
    pub fn change(&mut self, changes: &SetAttr) {
        let time = now();
        let attr = &mut self.attr;
        if let Some(permissions) = changes.mode {
            attr.mode = attr.mode & mode::TYPE | permissions & mode::PERMISSIONS;
        }
        // All ones is nobody.
        attr.uid = changes
            .uid
            .filter(|uid| *uid != u32::MAX)
            .unwrap_or(attr.uid);
        attr.gid = changes
            .gid
            .filter(|gid| *gid != u32::MAX)
            .unwrap_or(attr.gid);
        set_time(&mut attr.accessed, changes.accessed, time);
        set_time(&mut attr.modified, changes.modified, time);
        attr.changed = time;
    }
}

fn set_time(place: &mut FileTime, change: Option<SetTime>, now: FileTime) {
    match change {
        None => {}
        Some(SetTime::Now) => *place = now,
        Some(SetTime::To(time)) => *place = time,
    }
}
