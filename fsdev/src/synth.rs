//! A tree that code makes up (QEMU's `9p-synth.c`): for tests, of slow files among others. The tree
//! itself does not change; files do what their functions do.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use include::fsdev::{
    Attr, DirEntry, Entry, HandleId, NodeId, OpenFlags, Owner, SetAttr, StatFs, mode,
};
use include::{Errno, FileSystem};
use parking_lot::Mutex;

use crate::nodes::{Nodes, ROOT};
use crate::{NAME_MAX, check_name};

/// Reads at an offset, as [`FileSystem::read`].
pub type ReadFile = Box<dyn Fn(u64, &mut [u8]) -> Result<usize, Errno> + Send + Sync>;
/// Writes at an offset, as [`FileSystem::write`].
pub type WriteFile = Box<dyn Fn(u64, &[u8]) -> Result<usize, Errno> + Send + Sync>;

/// Something in the tree.
pub enum Item {
    Folder(BTreeMap<Vec<u8>, Item>),
    File {
        size: u64,
        read: ReadFile,
        write: Option<WriteFile>,
    },
    Link(Vec<u8>),
}

impl Item {
    pub fn folder<const N: usize>(items: [(&str, Item); N]) -> Self {
        let named = |(name, item): (&str, Item)| (name.as_bytes().to_vec(), item);
        Self::Folder(items.into_iter().map(named).collect())
    }

    /// A file of these bytes.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes: Vec<u8> = bytes.into();
        let size = bytes.len() as u64;
        let read = Box::new(move |offset, buf: &mut [u8]| Ok(copy_at(&bytes, offset, buf)));
        let write = None;
        Self::File { size, read, write }
    }

    /// A file whose reads take some time.
    pub fn slow(bytes: impl Into<Vec<u8>>, delay: Duration) -> Self {
        let bytes: Vec<u8> = bytes.into();
        let size = bytes.len() as u64;
        let read = Box::new(move |offset, buf: &mut [u8]| {
            std::thread::sleep(delay);
            Ok(copy_at(&bytes, offset, buf))
        });
        let write = None;
        Self::File { size, read, write }
    }

    /// The tree of `-fsdev synth`.
    pub fn example() -> Self {
        let many = (0..10_000).map(|number| {
            let name = format!("file-{number:05}");
            (name.into_bytes(), Self::bytes(format!("{number}\n")))
        });
        Self::folder([
            ("hello", Self::bytes("hello, world\n")),
            ("link", Self::Link(b"hello".to_vec())),
            ("many", Self::Folder(many.collect())),
            ("slow", Self::slow("slow\n", Duration::from_secs(1))),
        ])
    }
}

fn copy_at(bytes: &[u8], offset: u64, buf: &mut [u8]) -> usize {
    let start = usize::try_from(offset)
        .unwrap_or(usize::MAX)
        .min(bytes.len());
    let count = buf.len().min(bytes.len() - start);
    buf[..count].copy_from_slice(&bytes[start..start + count]);
    count
}

/// An item with what the tree knows of it.
struct Placed {
    id: u64,
    body: Body,
}

enum Body {
    Folder(BTreeMap<Vec<u8>, Arc<Placed>>),
    File {
        size: u64,
        read: ReadFile,
        write: Option<WriteFile>,
    },
    Link(Vec<u8>),
}

impl Placed {
    fn new(item: Item, next: &mut u64) -> Arc<Self> {
        *next += 1;
        let id = *next;
        let body = match item {
            Item::Folder(items) => {
                let placed = |(name, item)| (name, Self::new(item, next));
                Body::Folder(items.into_iter().map(placed).collect())
            }
            Item::File { size, read, write } => Body::File { size, read, write },
            Item::Link(target) => Body::Link(target),
        };
        Arc::new(Self { id, body })
    }

    fn attr(&self) -> Attr {
        let (mode, size) = match &self.body {
            Body::Folder(items) => (mode::FOLDER | 0o755, items.len() as u64),
            Body::File { size, write, .. } if write.is_some() => (mode::REGULAR | 0o644, *size),
            Body::File { size, .. } => (mode::REGULAR | 0o444, *size),
            Body::Link(target) => (mode::LINK | 0o777, target.len() as u64),
        };
        Attr {
            mode,
            size,
            id: self.id,
            links: 1,
            block_size: 4096,
            blocks: size.div_ceil(512),
            ..Attr::default()
        }
    }

    fn folder(&self) -> Result<&BTreeMap<Vec<u8>, Arc<Self>>, Errno> {
        match &self.body {
            Body::Folder(items) => Ok(items),
            _ => Err(Errno::ENOTDIR),
        }
    }
}

#[derive(Default)]
struct Handles {
    open: HashMap<u64, Arc<Placed>>,
    next: u64,
}

/// The file system.
pub struct Synth {
    nodes: Mutex<Nodes<Arc<Placed>>>,
    handles: Mutex<Handles>,
}

impl Synth {
    /// `root` is a folder.
    pub fn new(root: Item) -> Arc<Self> {
        let root = Placed::new(root, &mut 0);
        Arc::new(Self {
            nodes: Mutex::new(Nodes::new(root)),
            handles: Mutex::default(),
        })
    }

    fn at(&self, node: NodeId) -> Result<Arc<Placed>, Errno> {
        self.nodes.lock().get(node).cloned()
    }

    fn opened(&self, handle: HandleId) -> Result<Arc<Placed>, Errno> {
        let handles = self.handles.lock();
        handles.open.get(&handle.0).cloned().ok_or(Errno::EBADF)
    }

    fn refer(&self, node: NodeId) -> Result<Entry, Errno> {
        let mut nodes = self.nodes.lock();
        nodes.refer(node)?;
        let attr = nodes.get(node)?.attr();
        Ok(Entry { node, attr })
    }
}

impl FileSystem for Synth {
    fn root(&self) -> Result<Entry, Errno> {
        self.refer(ROOT)
    }

    fn lookup(&self, parent: NodeId, name: &[u8]) -> Result<Entry, Errno> {
        check_name(name)?;
        let folder = self.at(parent)?;
        let item = folder.folder()?.get(name).ok_or(Errno::ENOENT)?;
        let node = self.nodes.lock().enter(parent, name, || item.clone())?;
        let attr = item.attr();
        Ok(Entry { node, attr })
    }

    fn parent(&self, node: NodeId) -> Result<Entry, Errno> {
        self.at(node)?.folder()?;
        let place = self.nodes.lock().place(node)?.map(|(parent, _)| parent);
        self.refer(place.unwrap_or(ROOT))
    }

    fn forget(&self, node: NodeId) {
        let gone = self.nodes.lock().forget(node);
        drop(gone);
    }

    fn get_attr(&self, node: NodeId, _: Option<HandleId>) -> Result<Attr, Errno> {
        Ok(self.at(node)?.attr())
    }

    /// Files may be truncated before they are written to; nothing else changes.
    fn set_attr(&self, node: NodeId, _: Option<HandleId>, changes: &SetAttr) -> Result<(), Errno> {
        let item = self.at(node)?;
        let writable = matches!(&item.body, Body::File { write: Some(_), .. });
        let other = SetAttr {
            size: None,
            accessed: None,
            modified: None,
            ..*changes
        };
        match writable && other == SetAttr::default() {
            true => Ok(()),
            false => Err(Errno::EPERM),
        }
    }

    fn read_link(&self, node: NodeId) -> Result<Vec<u8>, Errno> {
        match &self.at(node)?.body {
            Body::Link(target) => Ok(target.clone()),
            _ => Err(Errno::EINVAL),
        }
    }

    fn stat_fs(&self, _: NodeId) -> Result<StatFs, Errno> {
        Ok(StatFs {
            block_size: 4096,
            name_length_max: NAME_MAX as u32,
            ..StatFs::default()
        })
    }

    fn open(&self, node: NodeId, flags: OpenFlags) -> Result<(HandleId, Attr), Errno> {
        let item = self.at(node)?;
        match &item.body {
            Body::Link(_) => return Err(Errno::ELOOP),
            Body::Folder(_) if flags.writes() => return Err(Errno::EISDIR),
            Body::File { write: None, .. } if flags.writes() => return Err(Errno::EACCES),
            _ => {}
        }
        let attr = item.attr();
        let mut handles = self.handles.lock();
        handles.next += 1;
        let id = handles.next;
        handles.open.insert(id, item);
        Ok((HandleId(id), attr))
    }

    fn create(
        &self,
        _: NodeId,
        _: &[u8],
        _: OpenFlags,
        _: u32,
        _: Owner,
    ) -> Result<(Entry, HandleId), Errno> {
        Err(Errno::EROFS)
    }

    fn close(&self, handle: HandleId) {
        let item = self.handles.lock().open.remove(&handle.0);
        drop(item);
    }

    fn read(&self, handle: HandleId, offset: u64, buf: &mut [u8]) -> Result<usize, Errno> {
        match &self.opened(handle)?.body {
            Body::File { read, .. } => read(offset, buf),
            _ => Err(Errno::EISDIR),
        }
    }

    fn write(&self, handle: HandleId, offset: u64, data: &[u8]) -> Result<usize, Errno> {
        match &self.opened(handle)?.body {
            Body::File {
                write: Some(write), ..
            } => write(offset, data),
            _ => Err(Errno::EBADF),
        }
    }

    fn sync(&self, handle: HandleId, _: bool) -> Result<(), Errno> {
        self.opened(handle).map(|_| ())
    }

    fn read_dir(
        &self,
        handle: HandleId,
        offset: u64,
        take: &mut dyn FnMut(DirEntry<'_>) -> bool,
    ) -> Result<(), Errno> {
        let item = self.opened(handle)?;
        let dots = [
            (&b"."[..], item.id, mode::FOLDER),
            (b"..", item.id, mode::FOLDER),
        ];
        let items = item.folder()?.iter();
        let items = items.map(|(name, item)| (name.as_slice(), item.id, item.attr().kind()));
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        for (next, (name, id, kind)) in (1..).zip(dots.into_iter().chain(items)).skip(from) {
            if !take(DirEntry {
                name,
                id,
                kind,
                next,
            }) {
                break;
            }
        }
        Ok(())
    }

    fn make_folder(&self, _: NodeId, _: &[u8], _: u32, _: Owner) -> Result<Entry, Errno> {
        Err(Errno::EROFS)
    }
    fn make_link(&self, _: NodeId, _: &[u8], _: &[u8], _: Owner) -> Result<Entry, Errno> {
        Err(Errno::EROFS)
    }
    fn make_node(&self, _: NodeId, _: &[u8], _: u32, _: u64, _: Owner) -> Result<Entry, Errno> {
        Err(Errno::EROFS)
    }
    fn link(&self, _: NodeId, _: NodeId, _: &[u8]) -> Result<(), Errno> {
        Err(Errno::EROFS)
    }
    fn rename(&self, _: NodeId, _: &[u8], _: NodeId, _: &[u8]) -> Result<(), Errno> {
        Err(Errno::EROFS)
    }
    fn rename_node(&self, _: NodeId, _: NodeId, _: &[u8]) -> Result<(), Errno> {
        Err(Errno::EROFS)
    }
    fn unlink(&self, _: NodeId, _: &[u8], _: bool) -> Result<(), Errno> {
        Err(Errno::EROFS)
    }
    fn unlink_node(&self, _: NodeId) -> Result<(), Errno> {
        Err(Errno::EROFS)
    }
    fn get_xattr(&self, _: NodeId, _: &[u8]) -> Result<Vec<u8>, Errno> {
        Err(Errno::EOPNOTSUPP)
    }
    fn list_xattrs(&self, _: NodeId) -> Result<Vec<u8>, Errno> {
        Ok(Vec::new())
    }
    fn set_xattr(&self, _: NodeId, _: &[u8], _: &[u8], _: u32) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }
    fn remove_xattr(&self, _: NodeId, _: &[u8]) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }
}
