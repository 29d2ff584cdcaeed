//! Inodes and their names; everything that changes more than one of them.

use std::collections::HashMap;

use include::Errno;
use include::fsdev::{NodeId, Owner, StatFs, mode};

use super::inode::{Body, Folder, Inode, InodeId};
use super::sparse::{PAGE_BYTES, Sparse};
use crate::nodes::{Nodes, ROOT};
use crate::{NAME_MAX, check_name};

/// What a file takes besides its pages: an estimate.
const INODE_BYTES: u64 = 512;
/// Greatest offset in a file.
pub const OFFSET_MAX: u64 = i64::MAX as u64;
/// Most names of a file.
const LINKS_MAX: u64 = 1 << 20;
/// Longest target of a link (PATH_MAX).
const TARGET_MAX: usize = 4095;

const ROOT_INODE: InodeId = 1;

pub struct Handle {
    pub inode: InodeId,
    pub reads: bool,
    pub writes: bool,
    pub append: bool,
}

pub struct Tree {
    inodes: HashMap<InodeId, Inode>,
    pub nodes: Nodes<InodeId>,
    pub handles: HashMap<u64, Handle>,
    next_inode: InodeId,
    next_handle: u64,
    capacity: u64,
    used: u64,
}

impl Tree {
    pub fn new(capacity: u64) -> Self {
        let body = Body::Folder(Folder::new(ROOT_INODE));
        let mut root = Inode::new(ROOT_INODE, mode::FOLDER | 0o755, Owner::default(), body);
        root.users = 1;
        Self {
            inodes: HashMap::from([(ROOT_INODE, root)]),
            nodes: Nodes::new(ROOT_INODE),
            handles: HashMap::new(),
            next_inode: ROOT_INODE + 1,
            next_handle: 1,
            capacity,
            used: INODE_BYTES,
        }
    }

    pub fn inode(&self, id: InodeId) -> Result<&Inode, Errno> {
        self.inodes.get(&id).ok_or(Errno::EIO)
    }

    pub fn inode_mut(&mut self, id: InodeId) -> Result<&mut Inode, Errno> {
        self.inodes.get_mut(&id).ok_or(Errno::EIO)
    }

    pub fn at(&self, node: NodeId) -> Result<&Inode, Errno> {
        self.inode(*self.nodes.get(node)?)
    }

    pub fn at_mut(&mut self, node: NodeId) -> Result<&mut Inode, Errno> {
        let id = *self.nodes.get(node)?;
        self.inode_mut(id)
    }

    pub fn handle(&self, handle: u64) -> Result<&Handle, Errno> {
        self.handles.get(&handle).ok_or(Errno::EBADF)
    }

    /// Takes room for bytes, if it is there.
    pub fn reserve(&mut self, bytes: u64) -> Result<(), Errno> {
        let used = self.used.checked_add(bytes).ok_or(Errno::ENOSPC)?;
        if used > self.capacity {
            return Err(Errno::ENOSPC);
        }
        self.used = used;
        Ok(())
    }

    pub fn release(&mut self, bytes: u64) {
        self.used = self.used.saturating_sub(bytes);
    }

    /// Bytes that are left.
    pub fn free(&self) -> u64 {
        self.capacity.saturating_sub(self.used)
    }

    pub fn stat_fs(&self) -> StatFs {
        let page = PAGE_BYTES as u64;
        let free = self.free();
        StatFs {
            block_size: PAGE_BYTES as u32,
            blocks: self.capacity / page,
            blocks_free: free / page,
            blocks_available: free / page,
            files: self.capacity / INODE_BYTES,
            files_free: free / INODE_BYTES,
            id: 0,
            name_length_max: NAME_MAX as u32,
        }
    }

    /// What is called `name` in the folder of a node.
    pub fn find(&self, parent: NodeId, name: &[u8]) -> Result<InodeId, Errno> {
        let folder = self.at(parent)?.folder()?;
        if name.len() > NAME_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        folder.get(name).ok_or(Errno::ENOENT)
    }

    /// A reference to the node of a name that is there.
    pub fn enter(&mut self, parent: NodeId, name: &[u8]) -> Result<NodeId, Errno> {
        let inode = self.find(parent, name)?;
        let mut made = false;
        let node = self.nodes.enter(parent, name, || {
            made = true;
            inode
        })?;
        if made {
            self.inode_mut(inode)?.users += 1;
        }
        Ok(node)
    }

    /// The inode of a removed folder takes nothing new.
    fn living_folder(&mut self, parent: NodeId) -> Result<&mut Inode, Errno> {
        let inode = self.at_mut(parent)?;
        match inode.folder()?.parent {
            Some(_) => Ok(inode),
            None => Err(Errno::ENOENT),
        }
    }

    /// A new file under a name that is not there.
    pub fn add(
        &mut self,
        parent: NodeId,
        name: &[u8],
        mode_bits: u32,
        body: Body,
        owner: Owner,
    ) -> Result<NodeId, Errno> {
        check_name(name)?;
        let above = self.living_folder(parent)?;
        let parent_id = above.attr.id;
        if above.folder()?.get(name).is_some() {
            return Err(Errno::EEXIST);
        }
        self.reserve(cost(&body) + name.len() as u64)?;
        let id = self.next_inode;
        self.next_inode += 1;
        let body = match body {
            Body::Folder(_) => Body::Folder(Folder::new(parent_id)),
            body => body,
        };
        let is_folder = matches!(body, Body::Folder(_));
        self.inodes
            .insert(id, Inode::new(id, mode_bits, owner, body));
        let above = self.inode_mut(parent_id)?;
        above.folder_mut()?.insert(name, id);
        above.attr.links += u64::from(is_folder);
        above.modified();
        self.enter(parent, name)
    }

    pub fn add_file(
        &mut self,
        parent: NodeId,
        name: &[u8],
        mode_bits: u32,
        owner: Owner,
    ) -> Result<NodeId, Errno> {
        let mode_bits = mode::REGULAR | mode_bits & mode::PERMISSIONS;
        self.add(
            parent,
            name,
            mode_bits,
            Body::File(Sparse::default()),
            owner,
        )
    }

    pub fn add_link(
        &mut self,
        parent: NodeId,
        name: &[u8],
        target: &[u8],
        owner: Owner,
    ) -> Result<NodeId, Errno> {
        if target.len() > TARGET_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        let body = Body::Link(target.to_vec());
        self.add(parent, name, mode::LINK | 0o777, body, owner)
    }

    pub fn link(&mut self, node: NodeId, parent: NodeId, name: &[u8]) -> Result<(), Errno> {
        check_name(name)?;
        let attr = self.at(node)?.attr;
        if attr.is_folder() {
            return Err(Errno::EPERM);
        }
        match attr.links {
            0 => return Err(Errno::ENOENT),
            links if links >= LINKS_MAX => return Err(Errno::EMLINK),
            _ => {}
        }
        if self.living_folder(parent)?.folder()?.get(name).is_some() {
            return Err(Errno::EEXIST);
        }
        self.reserve(name.len() as u64)?;
        let above = self.at_mut(parent)?;
        above.folder_mut()?.insert(name, attr.id);
        above.modified();
        let inode = self.inode_mut(attr.id)?;
        inode.attr.links += 1;
        inode.change(&Default::default());
        Ok(())
    }

    /// Removes a name. `folder` says what it must be, if that matters.
    pub fn unlink(
        &mut self,
        parent: NodeId,
        name: &[u8],
        folder: Option<bool>,
    ) -> Result<(), Errno> {
        let id = self.find(parent, name)?;
        let inode = self.inode(id)?;
        let is_folder = inode.attr.is_folder();
        match folder {
            Some(true) if !is_folder => return Err(Errno::ENOTDIR),
            Some(false) if is_folder => return Err(Errno::EISDIR),
            _ => {}
        }
        if is_folder && !inode.folder()?.is_empty() {
            return Err(Errno::ENOTEMPTY);
        }
        self.drop_name(parent, name)?;
        self.at_mut(parent)?.modified();
        let gone = self.nodes.detach(parent, name);
        self.drop_users(gone);
        Ok(())
    }

    /// Takes a name out of its folder, and what it named away if that was the last one.
    fn drop_name(&mut self, parent: NodeId, name: &[u8]) -> Result<(), Errno> {
        let above = self.at_mut(parent)?;
        let id = above.folder_mut()?.remove(name).ok_or(Errno::ENOENT)?;
        self.release(name.len() as u64);
        let inode = self.inode_mut(id)?;
        let is_folder = inode.attr.is_folder();
        if is_folder {
            inode.attr.links = 0;
            inode.folder_mut()?.parent = None;
        } else {
            inode.attr.links -= 1;
        }
        inode.change(&Default::default());
        if is_folder {
            self.at_mut(parent)?.attr.links -= 1;
        }
        self.collect(id);
        Ok(())
    }

    /// Frees a file without names and users.
    fn collect(&mut self, id: InodeId) {
        let free = |inode: &Inode| inode.attr.links == 0 && inode.users == 0;
        if self.inodes.get(&id).is_some_and(free)
            && let Some(inode) = self.inodes.remove(&id)
        {
            let pages = inode.attr().blocks * 512;
            let xattrs = inode
                .xattrs
                .iter()
                .map(|(name, value)| name.len() + value.len());
            let xattrs = xattrs.sum::<usize>() as u64;
            self.release(pages + xattrs + cost(&inode.body));
        }
    }

    /// Nodes that nobody needs any more.
    fn drop_users(&mut self, inodes: Vec<InodeId>) {
        for id in inodes {
            if let Some(inode) = self.inodes.get_mut(&id) {
                inode.users -= 1;
            }
            self.collect(id);
        }
    }

    pub fn forget(&mut self, node: NodeId) {
        let gone = self.nodes.forget(node);
        self.drop_users(gone);
    }

    pub fn open(&mut self, handle: Handle) -> Result<u64, Errno> {
        self.inode_mut(handle.inode)?.users += 1;
        let id = self.next_handle;
        self.next_handle += 1;
        self.handles.insert(id, handle);
        Ok(id)
    }

    pub fn close(&mut self, handle: u64) {
        if let Some(handle) = self.handles.remove(&handle) {
            self.drop_users(vec![handle.inode]);
        }
    }

    /// Whether one folder is the other, or below it.
    fn is_below(&self, mut id: InodeId, above: InodeId) -> Result<bool, Errno> {
        while id != above {
            match self.inode(id)?.folder()?.parent {
                Some(parent) if parent != id => id = parent,
                _ => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Whether a rename may replace what has the new name.
    fn check_replace(&self, source: &Inode, target: InodeId) -> Result<(), Errno> {
        let target = self.inode(target)?;
        match (source.attr.is_folder(), target.attr.is_folder()) {
            (true, false) => Err(Errno::ENOTDIR),
            (false, true) => Err(Errno::EISDIR),
            (true, true) if !target.folder()?.is_empty() => Err(Errno::ENOTEMPTY),
            _ => Ok(()),
        }
    }

    pub fn rename(
        &mut self,
        (parent, name): (NodeId, &[u8]),
        (new_parent, new_name): (NodeId, &[u8]),
    ) -> Result<(), Errno> {
        check_name(new_name)?;
        let id = self.find(parent, name)?;
        let source = self.inode(id)?;
        let is_folder = source.attr.is_folder();
        let new_parent_id = self.at(new_parent)?.attr.id;
        if is_folder && self.is_below(new_parent_id, id)? {
            return Err(Errno::EINVAL);
        }
        match self.at(new_parent)?.folder()?.get(new_name) {
            Some(target) if target == id => return Ok(()),
            Some(target) => {
                self.check_replace(source, target)?;
                self.drop_name(new_parent, new_name)?;
            }
            None => {
                self.living_folder(new_parent)?;
            }
        }
        self.move_name((parent, name), (new_parent, new_name), id)?;
        let gone = self.nodes.rename((parent, name), (new_parent, new_name));
        self.drop_users(gone);
        Ok(())
    }

    fn move_name(
        &mut self,
        (parent, name): (NodeId, &[u8]),
        (new_parent, new_name): (NodeId, &[u8]),
        id: InodeId,
    ) -> Result<(), Errno> {
        let is_folder = u64::from(self.inode(id)?.attr.is_folder());
        let old = self.at_mut(parent)?;
        old.folder_mut()?.remove(name);
        old.attr.links -= is_folder;
        old.modified();
        let new = self.at_mut(new_parent)?;
        new.folder_mut()?.insert(new_name, id);
        new.attr.links += is_folder;
        new.modified();
        let new_parent_id = new.attr.id;
        let inode = self.inode_mut(id)?;
        inode.change(&Default::default());
        if let Ok(folder) = inode.folder_mut() {
            folder.parent = Some(new_parent_id);
        }
        Ok(())
    }

    /// The node of the folder above.
    pub fn parent(&mut self, node: NodeId) -> Result<NodeId, Errno> {
        self.at(node)?.folder()?;
        let parent = match self.nodes.place(node)? {
            Some((parent, _)) => parent,
            None if node == ROOT => ROOT,
            None => return Err(Errno::ENOENT),
        };
        self.nodes.refer(parent)?;
        Ok(parent)
    }
}

/// What a new file takes.
fn cost(body: &Body) -> u64 {
    match body {
        Body::Link(target) => INODE_BYTES + target.len() as u64,
        _ => INODE_BYTES,
    }
}
