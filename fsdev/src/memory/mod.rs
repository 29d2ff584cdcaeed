//! A complete file system in memory, as Linux's tmpfs: what a page shares, and what the server's
//! tests run on. It takes at most the bytes that it was made for.

mod inode;
mod sparse;
#[cfg(test)]
mod tests;
mod tree;

use std::sync::Arc;

use include::fsdev::{
    Attr, DirEntry, Entry, HandleId, NodeId, OpenFlags, Owner, SetAttr, StatFs, XATTR_CREATE,
    XATTR_REPLACE, mode,
};
use include::{Errno, FileSystem};
use parking_lot::{Mutex, MutexGuard};

use crate::nodes::ROOT;
use inode::{Body, FIRST_COOKIE, Folder, InodeId};
use sparse::PAGE_BYTES;
use tree::{Handle, OFFSET_MAX, Tree};

/// Longest name of an extended attribute.
const XATTR_NAME_MAX: usize = 255;
/// Longest value of one.
const XATTR_VALUE_MAX: usize = 1 << 16;
/// Longest list of their names.
const XATTR_LIST_MAX: usize = 1 << 16;

/// The file system.
pub struct Memory(Mutex<Tree>);

impl Memory {
    /// Empty, with room for so many bytes.
    pub fn new(capacity: u64) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Tree::new(capacity))))
    }

    fn tree(&self) -> MutexGuard<'_, Tree> {
        self.0.lock()
    }

    /// How many nodes somebody refers to, and how many files are open: for tests of leaks.
    pub fn in_use(&self) -> (usize, usize) {
        let tree = self.tree();
        (tree.nodes.len() - 1, tree.handles.len())
    }
}

fn entry(tree: &Tree, node: NodeId) -> Result<Entry, Errno> {
    let attr = tree.at(node)?.attr();
    Ok(Entry { node, attr })
}

fn inode_of(tree: &Tree, node: NodeId, handle: Option<HandleId>) -> Result<InodeId, Errno> {
    match handle {
        Some(handle) => Ok(tree.handle(handle.0)?.inode),
        None => Ok(*tree.nodes.get(node)?),
    }
}

/// Changes a file's size.
fn resize(tree: &mut Tree, id: InodeId, size: u64) -> Result<(), Errno> {
    if size > OFFSET_MAX {
        return Err(Errno::EFBIG);
    }
    let inode = tree.inode_mut(id)?;
    let file = inode.file_mut()?;
    let before = file.pages();
    file.truncate(size);
    let freed = before - file.pages();
    inode.modified();
    tree.release(freed * PAGE_BYTES as u64);
    Ok(())
}

fn open(tree: &mut Tree, id: InodeId, flags: OpenFlags) -> Result<HandleId, Errno> {
    match (&tree.inode(id)?.body, flags) {
        (Body::Folder(_), flags) if flags.writes() => return Err(Errno::EISDIR),
        (Body::Folder(_), _) => {}
        (_, flags) if flags.has(OpenFlags::FOLDER) => return Err(Errno::ENOTDIR),
        (Body::File(_), _) => {}
        (Body::Link(_), _) => return Err(Errno::ELOOP),
        (Body::Special, _) => return Err(Errno::ENXIO),
    }
    if flags.has(OpenFlags::TRUNCATE) && !tree.inode(id)?.attr.is_folder() {
        resize(tree, id, 0)?;
    }
    tree.open(Handle {
        inode: id,
        reads: flags.reads(),
        writes: flags.writes(),
        append: flags.has(OpenFlags::APPEND),
    })
    .map(HandleId)
}

impl FileSystem for Memory {
    fn blocks(&self) -> bool {
        false
    }

    fn root(&self) -> Result<Entry, Errno> {
        let mut tree = self.tree();
        tree.nodes.refer(ROOT)?;
        entry(&tree, ROOT)
    }

    fn lookup(&self, parent: NodeId, name: &[u8]) -> Result<Entry, Errno> {
        let mut tree = self.tree();
        let node = tree.enter(parent, name)?;
        entry(&tree, node)
    }

    fn parent(&self, node: NodeId) -> Result<Entry, Errno> {
        let mut tree = self.tree();
        let parent = tree.parent(node)?;
        entry(&tree, parent)
    }

    fn forget(&self, node: NodeId) {
        self.tree().forget(node);
    }

    fn get_attr(&self, node: NodeId, handle: Option<HandleId>) -> Result<Attr, Errno> {
        let tree = self.tree();
        Ok(tree.inode(inode_of(&tree, node, handle)?)?.attr())
    }

    fn set_attr(
        &self,
        node: NodeId,
        handle: Option<HandleId>,
        changes: &SetAttr,
    ) -> Result<(), Errno> {
        let mut tree = self.tree();
        let id = inode_of(&tree, node, handle)?;
        if let Some(size) = changes.size {
            resize(&mut tree, id, size)?;
        }
        tree.inode_mut(id)?.change(changes);
        Ok(())
    }

    fn read_link(&self, node: NodeId) -> Result<Vec<u8>, Errno> {
        match &self.tree().at(node)?.body {
            Body::Link(target) => Ok(target.clone()),
            _ => Err(Errno::EINVAL),
        }
    }

    fn stat_fs(&self, _node: NodeId) -> Result<StatFs, Errno> {
        Ok(self.tree().stat_fs())
    }

    fn open(&self, node: NodeId, flags: OpenFlags) -> Result<(HandleId, Attr), Errno> {
        let mut tree = self.tree();
        let id = *tree.nodes.get(node)?;
        let handle = open(&mut tree, id, flags)?;
        Ok((handle, tree.inode(id)?.attr()))
    }

    fn create(
        &self,
        parent: NodeId,
        name: &[u8],
        flags: OpenFlags,
        mode: u32,
        owner: Owner,
    ) -> Result<(Entry, HandleId), Errno> {
        let mut tree = self.tree();
        let there = tree.find(parent, name);
        let node = match there {
            Ok(_) if flags.has(OpenFlags::EXCLUSIVE) => return Err(Errno::EEXIST),
            Ok(_) => tree.enter(parent, name)?,
            Err(Errno::ENOENT) => tree.add_file(parent, name, mode, owner)?,
            Err(errno) => return Err(errno),
        };
        let id = *tree.nodes.get(node)?;
        let opened = open(&mut tree, id, flags).inspect_err(|_| tree.forget(node))?;
        Ok((entry(&tree, node)?, opened))
    }

    fn close(&self, handle: HandleId) {
        self.tree().close(handle.0);
    }

    fn read(&self, handle: HandleId, offset: u64, buf: &mut [u8]) -> Result<usize, Errno> {
        let mut tree = self.tree();
        let Handle { inode, reads, .. } = *tree.handle(handle.0)?;
        if !reads {
            return Err(Errno::EBADF);
        }
        let inode = tree.inode_mut(inode)?;
        let count = inode.file_mut()?.read(offset, buf);
        inode.accessed();
        Ok(count)
    }

    fn write(&self, handle: HandleId, offset: u64, data: &[u8]) -> Result<usize, Errno> {
        let mut tree = self.tree();
        let Handle {
            inode,
            writes,
            append,
            ..
        } = *tree.handle(handle.0)?;
        if !writes {
            return Err(Errno::EBADF);
        }
        let file = tree.inode_mut(inode)?.file_mut()?;
        let offset = if append { file.size() } else { offset };
        let end = offset.checked_add(data.len() as u64);
        if end.is_none_or(|end| end > OFFSET_MAX) {
            return Err(Errno::EFBIG);
        }
        let missing = file.pages_missing(offset, data.len());
        tree.reserve(missing * PAGE_BYTES as u64)?;
        let inode = tree.inode_mut(inode)?;
        inode.file_mut()?.write(offset, data);
        inode.modified();
        Ok(data.len())
    }

    fn sync(&self, handle: HandleId, _data_only: bool) -> Result<(), Errno> {
        self.tree().handle(handle.0).map(|_| ())
    }

    fn read_dir(
        &self,
        handle: HandleId,
        offset: u64,
        take: &mut dyn FnMut(DirEntry<'_>) -> bool,
    ) -> Result<(), Errno> {
        let tree = self.tree();
        let inode = tree.inode(tree.handle(handle.0)?.inode)?;
        let folder = inode.folder()?;
        let own = inode.attr.id;
        let dots = [(&b"."[..], own), (b"..", folder.parent.unwrap_or(own))];
        for (next, (name, id)) in (1..).zip(dots).skip(offset.min(FIRST_COOKIE) as usize) {
            let kind = mode::FOLDER;
            if !take(DirEntry {
                name,
                id,
                kind,
                next,
            }) {
                return Ok(());
            }
        }
        for (cookie, name, id) in folder.entries(offset) {
            let kind = tree.inode(id)?.attr.kind();
            let next = cookie + 1;
            if !take(DirEntry {
                name,
                id,
                kind,
                next,
            }) {
                return Ok(());
            }
        }
        Ok(())
    }

    fn make_folder(
        &self,
        parent: NodeId,
        name: &[u8],
        mode: u32,
        owner: Owner,
    ) -> Result<Entry, Errno> {
        let mut tree = self.tree();
        let mode = mode::FOLDER | mode & mode::PERMISSIONS;
        let body = Body::Folder(Folder::default());
        let node = tree.add(parent, name, mode, body, owner)?;
        entry(&tree, node)
    }

    fn make_link(
        &self,
        parent: NodeId,
        name: &[u8],
        target: &[u8],
        owner: Owner,
    ) -> Result<Entry, Errno> {
        let mut tree = self.tree();
        let node = tree.add_link(parent, name, target, owner)?;
        entry(&tree, node)
    }

    fn make_node(
        &self,
        parent: NodeId,
        name: &[u8],
        mode: u32,
        rdev: u64,
        owner: Owner,
    ) -> Result<Entry, Errno> {
        let mut tree = self.tree();
        let node = match mode & mode::TYPE {
            0 | mode::REGULAR => tree.add_file(parent, name, mode, owner)?,
            mode::CHARACTER | mode::BLOCK | mode::FIFO | mode::SOCKET => {
                let mode = mode & (mode::TYPE | mode::PERMISSIONS);
                tree.add(parent, name, mode, Body::Special, owner)?
            }
            _ => return Err(Errno::EINVAL),
        };
        if matches!(mode & mode::TYPE, mode::CHARACTER | mode::BLOCK) {
            tree.at_mut(node)?.attr.rdev = rdev;
        }
        entry(&tree, node)
    }

    fn link(&self, node: NodeId, parent: NodeId, name: &[u8]) -> Result<(), Errno> {
        self.tree().link(node, parent, name)
    }

    fn rename(
        &self,
        parent: NodeId,
        name: &[u8],
        new_parent: NodeId,
        new_name: &[u8],
    ) -> Result<(), Errno> {
        self.tree().rename((parent, name), (new_parent, new_name))
    }

    fn rename_node(&self, node: NodeId, parent: NodeId, name: &[u8]) -> Result<(), Errno> {
        let mut tree = self.tree();
        let (old_parent, old_name) = place(&tree, node)?;
        tree.rename((old_parent, &old_name), (parent, name))
    }

    fn unlink(&self, parent: NodeId, name: &[u8], folder: bool) -> Result<(), Errno> {
        self.tree().unlink(parent, name, Some(folder))
    }

    fn unlink_node(&self, node: NodeId) -> Result<(), Errno> {
        let mut tree = self.tree();
        let (parent, name) = place(&tree, node)?;
        tree.unlink(parent, &name, None)
    }

    fn get_xattr(&self, node: NodeId, name: &[u8]) -> Result<Vec<u8>, Errno> {
        let tree = self.tree();
        let value = tree.at(node)?.xattrs.get(name);
        value.cloned().ok_or(Errno::ENODATA)
    }

    fn list_xattrs(&self, node: NodeId) -> Result<Vec<u8>, Errno> {
        let tree = self.tree();
        let names = tree.at(node)?.xattrs.keys();
        let ended = names.flat_map(|name| name.iter().copied().chain([0]));
        Ok(ended.collect())
    }

    fn set_xattr(&self, node: NodeId, name: &[u8], value: &[u8], flags: u32) -> Result<(), Errno> {
        set_xattr(&mut self.tree(), node, name, value, flags)
    }

    fn remove_xattr(&self, node: NodeId, name: &[u8]) -> Result<(), Errno> {
        let mut tree = self.tree();
        let inode = tree.at_mut(node)?;
        let value = inode.xattrs.remove(name).ok_or(Errno::ENODATA)?;
        inode.change(&SetAttr::default());
        tree.release((name.len() + value.len()) as u64);
        Ok(())
    }
}

/// Folder and name of a node that has them.
fn place(tree: &Tree, node: NodeId) -> Result<(NodeId, Vec<u8>), Errno> {
    match tree.nodes.place(node)? {
        Some((parent, name)) => Ok((parent, name.to_vec())),
        None if node == ROOT => Err(Errno::EBUSY),
        None => Err(Errno::ENOENT),
    }
}

fn set_xattr(
    tree: &mut Tree,
    node: NodeId,
    name: &[u8],
    value: &[u8],
    flags: u32,
) -> Result<(), Errno> {
    if name.is_empty() || name.len() > XATTR_NAME_MAX || name.contains(&0) {
        return Err(Errno::ERANGE);
    }
    if value.len() > XATTR_VALUE_MAX {
        return Err(Errno::E2BIG);
    }
    let inode = tree.at(node)?;
    let old = inode.xattrs.get(name).map(Vec::len);
    match old {
        Some(_) if flags & XATTR_CREATE != 0 => return Err(Errno::EEXIST),
        None if flags & XATTR_REPLACE != 0 => return Err(Errno::ENODATA),
        _ => {}
    }
    let list = inode
        .xattrs
        .keys()
        .map(|name| name.len() + 1)
        .sum::<usize>();
    if old.is_none() && list + name.len() + 1 > XATTR_LIST_MAX {
        return Err(Errno::ENOSPC);
    }
    tree.reserve((name.len() + value.len()) as u64)?;
    tree.release(old.map_or(0, |old| old + name.len()) as u64);
    let inode = tree.at_mut(node)?;
    inode.xattrs.insert(name.to_vec(), value.to_vec());
    inode.change(&SetAttr::default());
    Ok(())
}
