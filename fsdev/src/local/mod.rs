//! `-fsdev local`: a folder of the host (QEMU's `9p-local.c`).
//!
//! What must hold: nothing outside of the folder is reached, whatever the guest says and whatever
//! happens on the host meanwhile. All names go to [`util::host_fs`] one component at a time.

mod folder;
mod handles;
mod host;
mod numbers;
#[cfg(test)]
mod races;
mod security;
#[cfg(test)]
mod tests;
mod tree;

use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use include::fsdev::{
    Attr, DirEntry, Entry, HandleId, NodeId, OpenFlags, Owner, SetAttr, StatFs, mode,
};
use include::{Errno, FileSystem};
use parking_lot::RwLock;
use util::host_fs::{HostDir, HostFile, SELF, Stat};

use crate::nodes::ROOT;
use crate::options::{LocalOptions, Security};
use crate::{NAME_MAX, check_name};
use folder::Folder;
use handles::Handles;
use host::{host_flags, host_time, stat_fs};
use numbers::Numbers;
use security::{Mapped, host_attr, is_hidden, known};
use tree::{Spot, Tree};

/// Permissions of a link, which nobody looks at.
const LINK_MODE: u32 = 0o777;
/// Longest target of a link.
const TARGET_MAX: usize = 4095;

/// The share.
pub struct Local {
    options: LocalOptions,
    tree: Tree,
    handles: Handles,
    numbers: Numbers,
    /// Held by what renames, and shared by what goes by names.
    names: RwLock<()>,
    /// Open as long as the share.
    _lock: Option<HostFile>,
}

impl Local {
    /// Opens the folder; the error is a sentence.
    pub fn open(options: &LocalOptions) -> Result<Arc<Self>, String> {
        Self::open_with(options, None)
    }

    /// Opens the folder, and keeps a file open that locks it.
    pub fn open_with(options: &LocalOptions, lock: Option<HostFile>) -> Result<Arc<Self>, String> {
        let path = options.path.display();
        let failed = |errno| format!("cannot share the folder '{path}': {errno}");
        let root = HostDir::open_root(options.path.as_os_str().as_bytes()).map_err(failed)?;
        let stat = root.stat_self().map_err(failed)?;
        if options.security == Security::MappedXattr
            && root.xattr_list(SELF) == Err(Errno::EOPNOTSUPP)
        {
            return Err(format!(
                "cannot share the folder '{path}' with security_model=mapped-xattr: there are \
                 no extended attributes here; use security_model=mapped-file"
            ));
        }
        Ok(Arc::new(Self {
            options: options.clone(),
            numbers: Numbers::new(options.devices, stat.dev),
            tree: Tree::new(root),
            handles: Handles::default(),
            names: RwLock::new(()),
            _lock: lock,
        }))
    }

    fn security(&self) -> Security {
        self.options.security
    }

    fn is_mapped(&self) -> bool {
        self.options.security.is_mapped()
    }

    /// A name that may be made or removed.
    fn check(&self, name: &[u8]) -> Result<(), Errno> {
        check_name(name)?;
        match is_hidden(self.security(), name) {
            true => Err(Errno::EINVAL),
            false => Ok(()),
        }
    }

    fn attr(&self, stat: &Stat, mapped: &Mapped) -> Result<Attr, Errno> {
        let mut attr = host_attr(stat);
        self.numbers.number(stat.dev, &mut attr)?;
        mapped.apply(&mut attr);
        Ok(attr)
    }

    /// What is called `name` in a folder of the host, as the guest shall see it.
    fn look(&self, dir: &Folder, name: &[u8]) -> Result<(Stat, Attr), Errno> {
        let stat = dir.stat(name)?;
        let attr = self.attr(&stat, &security::read(self.security(), dir, name))?;
        Ok((stat, attr))
    }

    fn found(&self, parent: NodeId, dir: &Folder, name: &[u8]) -> Result<Entry, Errno> {
        let changes = self.tree.lock().changes;
        let stat = dir.stat(name)?;
        let mapped = security::read(self.security(), dir, name);
        let attr = self.attr(&stat, &mapped)?;
        let node = self.tree.enter(parent, name, &stat)?;
        if self.is_mapped() {
            self.tree.lock().set_fresh(node, mapped, changes);
        }
        Ok(Entry { node, attr })
    }

    fn spot_attr(&self, spot: &Spot, node: NodeId) -> Result<Attr, Errno> {
        if !spot.detached {
            let fresh = self.tree.lock().fresh(node);
            return match fresh {
                Some(mapped) => self.attr(&spot.dir.stat(&spot.name)?, &mapped),
                None => Ok(self.look(&spot.dir, &spot.name)?.1),
            };
        }
        let stat = spot.dir.stat(SELF)?;
        let mapped = self.tree.lock().nodes.get(node)?.mapped;
        self.attr(&stat, &mapped.unwrap_or_default())
    }

    /// An open file at a node whose name is gone.
    fn survivor(&self, node: NodeId) -> Result<Arc<HostFile>, Errno> {
        let handles = self.tree.lock().nodes.get(node)?.handles.clone();
        let id = handles.first().ok_or(Errno::ENOENT)?;
        self.handles.file(&self.tree, HandleId(*id))
    }

    fn open_attr(&self, node: NodeId, file: &HostFile) -> Result<Attr, Errno> {
        let mapped = match security::read_open(self.security(), file) {
            Some(mapped) => mapped,
            None => self.mapped_file(node).unwrap_or_default(),
        };
        self.attr(&file.stat()?, &mapped)
    }

    /// In the model mapped-file, what is kept apart for a node, or was.
    fn mapped_file(&self, node: NodeId) -> Result<Mapped, Errno> {
        if let Some(mapped) = self.tree.lock().nodes.get(node)?.mapped {
            return Ok(mapped);
        }
        let spot = self.tree.spot(node)?;
        Ok(security::read(self.security(), &spot.dir, &spot.name))
    }

    /// The file behind a handle, unless that is a folder.
    fn file_of(&self, handle: Option<HandleId>) -> Result<Option<Arc<HostFile>>, Errno> {
        match handle {
            Some(id) if !self.handles.get(id)?.is_folder() => {
                self.handles.file(&self.tree, id).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Whether a node has lost its name.
    fn is_detached(&self, node: NodeId) -> Result<bool, Errno> {
        let state = self.tree.lock();
        Ok(node != ROOT && state.nodes.place(node)?.is_none())
    }

    /// Before a name goes or is replaced: what is open there stays usable.
    fn keep_open(&self, parent: NodeId, name: &[u8]) {
        let state = self.tree.lock();
        let Some(node) = state.nodes.child(parent, name) else {
            return;
        };
        let handles = state.nodes.get(node).map(|place| place.handles.clone());
        drop(state);
        for id in handles.unwrap_or_default() {
            self.handles.pin(&self.tree, id);
        }
        if self.security() == Security::MappedFile {
            let mapped = self.mapped_file(node).ok();
            if let Ok(place) = self.tree.lock().nodes.get_mut(node) {
                place.mapped = mapped;
            }
        }
    }

    /// A name did not go after all.
    fn kept(&self, parent: NodeId, name: &[u8]) {
        let mut state = self.tree.lock();
        if let Some(node) = state.nodes.child(parent, name)
            && let Ok(place) = state.nodes.get_mut(node)
        {
            place.mapped = None;
        }
    }

    /// Gives something new its owner and mode, or removes it again.
    fn adopt(&self, dir: &Folder, name: &[u8], mapped: &Mapped) -> Result<(), Errno> {
        let adopted = match self.is_mapped() {
            true => security::write(self.security(), dir, name, mapped),
            false => self.adopt_host(dir, name, mapped),
        };
        adopted.inspect_err(|_| {
            let folder = mapped
                .mode
                .is_some_and(|bits| bits & mode::TYPE == mode::FOLDER);
            // The first error is the one to tell.
            let _ = if folder {
                dir.rmdir(name)
            } else {
                dir.unlink(name)
            };
        })
    }

    fn adopt_host(&self, dir: &Folder, name: &[u8], mapped: &Mapped) -> Result<(), Errno> {
        let owned = dir.chown(name, mapped.uid, mapped.gid);
        if self.security() == Security::Passthrough {
            owned?;
        }
        match mapped.mode {
            Some(bits) if bits & mode::TYPE != mode::LINK => dir.chmod(name, bits),
            _ => Ok(()),
        }
    }

    fn handle_added(&self, node: NodeId, handle: HandleId) -> Result<(), Errno> {
        self.tree.lock().nodes.get_mut(node)?.handles.push(handle.0);
        Ok(())
    }

    fn open_file(
        &self,
        node: NodeId,
        spot: &Spot,
        flags: OpenFlags,
    ) -> Result<(HandleId, Attr), Errno> {
        let mapped = security::read(self.security(), &spot.dir, &spot.name);
        match mapped.mode.map_or(0, |bits| bits & mode::TYPE) {
            0 | mode::REGULAR => {}
            mode::FOLDER => return Err(Errno::EISDIR),
            mode::LINK => return Err(Errno::ELOOP),
            _ => return Err(Errno::ENXIO),
        }
        let host = host_flags(flags, self.options.sync_writes);
        let file = spot.dir.open_file(&spot.name, host.opening)?;
        let stat = file.stat()?;
        if stat.is_dir() {
            return Err(Errno::EISDIR);
        }
        let attr = self.attr(&stat, &mapped)?;
        let handle = self.handles.add_file(node, file, host.again, &stat)?;
        self.handle_added(node, handle)?;
        Ok((handle, attr))
    }

    /// Makes a file that was not there.
    fn create_new(
        &self,
        dir: &Folder,
        name: &[u8],
        flags: OpenFlags,
        mapped: &Mapped,
    ) -> Result<HostFile, Errno> {
        let bits = match self.is_mapped() {
            true => self.options.file_mode,
            false => mapped.mode.unwrap_or(0) & 0o777,
        };
        let host = host_flags(flags, self.options.sync_writes);
        let exclusive = host.opening | util::host_fs::OpenFlags::EXCLUSIVE;
        let file = dir.create(name, exclusive, bits)?;
        self.adopt(dir, name, mapped)?;
        Ok(file)
    }

    /// Changes mode and owner of what has a name.
    fn change_named(&self, spot: &Spot, changes: &SetAttr) -> Result<(), Errno> {
        if self.is_mapped() {
            let mapped = self.changed(changes, || Ok(self.look(&spot.dir, &spot.name)?.1))?;
            return security::write(self.security(), &spot.dir, &spot.name, &mapped);
        }
        if changes.uid.is_some() || changes.gid.is_some() {
            spot.dir.chown(&spot.name, changes.uid, changes.gid)?;
        }
        match changes.mode {
            Some(bits) => spot.dir.chmod(&spot.name, bits & mode::PERMISSIONS),
            None => Ok(()),
        }
    }

    /// The same of an open file without a name.
    fn change_open(&self, node: NodeId, file: &HostFile, changes: &SetAttr) -> Result<(), Errno> {
        if self.is_mapped() {
            let mapped = self.changed(changes, || self.open_attr(node, file))?;
            let mut state = self.tree.lock();
            if let Some(kept) = &mut state.nodes.get_mut(node)?.mapped {
                kept.merge(&mapped);
            }
            drop(state);
            return security::write_open(self.security(), file, &mapped);
        }
        if changes.uid.is_some() || changes.gid.is_some() {
            file.chown(changes.uid, changes.gid)?;
        }
        match changes.mode {
            Some(bits) => file.chmod(bits & mode::PERMISSIONS),
            None => Ok(()),
        }
    }

    /// What to keep apart: the mode with its type.
    fn changed(
        &self,
        changes: &SetAttr,
        attr: impl FnOnce() -> Result<Attr, Errno>,
    ) -> Result<Mapped, Errno> {
        let bits = match changes.mode {
            Some(bits) => Some(attr()?.kind() | bits & mode::PERMISSIONS),
            None => None,
        };
        Ok(Mapped {
            uid: changes.uid,
            gid: changes.gid,
            mode: bits,
            rdev: None,
        })
    }

    fn rename_at(
        &self,
        (parent, name): (NodeId, &[u8]),
        (new_parent, new_name): (NodeId, &[u8]),
    ) -> Result<(), Errno> {
        self.check(name)?;
        self.check(new_name)?;
        let (old, new) = (self.tree.folder(parent)?, self.tree.folder(new_parent)?);
        let here = old.stat(name)?;
        let there = new.stat(new_name).ok();
        if there.is_some_and(|there| (there.dev, there.ino) == (here.dev, here.ino)) {
            // Two names of one file: rename(2) leaves both.
            return Ok(());
        }
        if there.is_some_and(|there| there.is_dir()) && here.is_dir() {
            security::empty(self.security(), &new, new_name)?;
        }
        self.keep_open(new_parent, new_name);
        let renamed = old.rename_to(name, &new, new_name);
        if let Err(errno) = renamed {
            self.kept(new_parent, new_name);
            return Err(errno);
        }
        self.tree.rename((parent, name), (new_parent, new_name));
        security::renamed(self.security(), (&old, name), (&new, new_name))
    }

    fn unlink_at(&self, parent: NodeId, name: &[u8], folder: Option<bool>) -> Result<(), Errno> {
        self.check(name)?;
        let dir = self.tree.folder(parent)?;
        let folder = match folder {
            Some(folder) => folder,
            None => dir.stat(name)?.is_dir(),
        };
        if folder {
            security::empty(self.security(), &dir, name)?;
        }
        self.keep_open(parent, name);
        let removed = match folder {
            true => dir.rmdir(name),
            false => dir.unlink(name),
        };
        if let Err(errno) = removed {
            self.kept(parent, name);
            return Err(errno);
        }
        self.tree.detach(parent, name);
        security::unlinked(self.security(), &dir, name)
    }
}

impl FileSystem for Local {
    fn root(&self) -> Result<Entry, Errno> {
        let (_, attr) = self.look(self.tree.root(), SELF)?;
        self.tree.lock().nodes.refer(ROOT)?;
        Ok(Entry { node: ROOT, attr })
    }

    fn lookup(&self, parent: NodeId, name: &[u8]) -> Result<Entry, Errno> {
        let _steady = self.names.read();
        let dir = self.tree.folder(parent)?;
        check_name(name)?;
        match is_hidden(self.security(), name) {
            true => Err(Errno::ENOENT),
            false => self.found(parent, &dir, name),
        }
    }

    fn parent(&self, node: NodeId) -> Result<Entry, Errno> {
        let _steady = self.names.read();
        self.tree.folder(node)?;
        let parent = match self.tree.place(node) {
            Ok((parent, _)) => parent,
            Err(Errno::EBUSY) => ROOT,
            Err(errno) => return Err(errno),
        };
        let spot = self.tree.spot(parent)?;
        let attr = self.spot_attr(&spot, parent)?;
        self.tree.lock().nodes.refer(parent)?;
        Ok(Entry { node: parent, attr })
    }

    fn forget(&self, node: NodeId) {
        self.tree.forget(node);
    }

    fn get_attr(&self, node: NodeId, handle: Option<HandleId>) -> Result<Attr, Errno> {
        let _steady = self.names.read();
        if let Some(file) = self.file_of(handle)? {
            return self.open_attr(node, &file);
        }
        match self.tree.spot(node) {
            Ok(spot) => self.spot_attr(&spot, node),
            Err(_) if self.is_detached(node)? => self.open_attr(node, &*self.survivor(node)?),
            Err(errno) => Err(errno),
        }
    }

    fn set_attr(
        &self,
        node: NodeId,
        handle: Option<HandleId>,
        changes: &SetAttr,
    ) -> Result<(), Errno> {
        let _steady = self.names.read();
        let changes = &SetAttr {
            uid: changes.uid.and_then(known),
            gid: changes.gid.and_then(known),
            ..*changes
        };
        let (atime, mtime) = (host_time(changes.accessed), host_time(changes.modified));
        let times = changes.accessed.is_some() || changes.modified.is_some();
        let file = self.file_of(handle)?;
        if self.is_detached(node)? {
            let file = match file {
                Some(file) => file,
                None => self.survivor(node)?,
            };
            self.change_open(node, &file, changes)?;
            if let Some(size) = changes.size {
                file.set_len(size)?;
            }
            return if times {
                file.utimens(atime, mtime)
            } else {
                Ok(())
            };
        }
        let spot = self.tree.spot(node)?;
        if (changes.mode, changes.uid, changes.gid) != (None, None, None) {
            let done = self.change_named(&spot, changes);
            self.tree.lock().changes += 1;
            done?;
        }
        if let Some(size) = changes.size {
            // A file that was opened for writing may have become read-only since.
            match file.map(|file| file.set_len(size)) {
                Some(Ok(())) => {}
                _ => spot.dir.truncate(&spot.name, size)?,
            }
        }
        match times {
            true => spot.dir.utimens(&spot.name, atime, mtime),
            false => Ok(()),
        }
    }

    fn read_link(&self, node: NodeId) -> Result<Vec<u8>, Errno> {
        let _steady = self.names.read();
        let spot = self.tree.spot(node)?;
        if spot.name == SELF {
            return Err(Errno::EINVAL);
        }
        let (stat, attr) = self.look(&spot.dir, &spot.name)?;
        match attr.kind() {
            mode::LINK if stat.is_symlink() => spot.dir.readlink(&spot.name),
            mode::LINK => {
                let file = spot
                    .dir
                    .open_file(&spot.name, util::host_fs::OpenFlags::READ)?;
                let mut target = vec![0; TARGET_MAX];
                let count = file.read_full_at(&mut target, 0)?;
                target.truncate(count);
                Ok(target)
            }
            _ => Err(Errno::EINVAL),
        }
    }

    fn stat_fs(&self, node: NodeId) -> Result<StatFs, Errno> {
        let _steady = self.names.read();
        let dir = self.tree.spot(node).map(|spot| spot.dir);
        let dir = dir.unwrap_or_else(|_| self.tree.root().clone());
        Ok(stat_fs(&dir.statfs()?))
    }

    fn open(&self, node: NodeId, flags: OpenFlags) -> Result<(HandleId, Attr), Errno> {
        let _steady = self.names.read();
        let spot = self.tree.spot(node)?;
        let stat = spot.dir.stat(&spot.name)?;
        match (stat.is_dir(), flags) {
            (true, flags) if flags.writes() => return Err(Errno::EISDIR),
            (false, flags) if flags.has(OpenFlags::FOLDER) => return Err(Errno::ENOTDIR),
            (false, flags) => return self.open_file(node, &spot, flags),
            (true, _) => {}
        }
        self.tree.folder(node)?;
        let attr = self.spot_attr(&spot, node)?;
        Ok((self.handles.add_folder(node)?, attr))
    }

    fn create(
        &self,
        parent: NodeId,
        name: &[u8],
        flags: OpenFlags,
        mode: u32,
        owner: Owner,
    ) -> Result<(Entry, HandleId), Errno> {
        let _steady = self.names.read();
        self.check(name)?;
        let dir = self.tree.folder(parent)?;
        let mapped = Mapped::new(mode::REGULAR | mode & mode::PERMISSIONS, owner);
        let file = match self.create_new(&dir, name, flags, &mapped) {
            Err(Errno::EEXIST) if !flags.has(OpenFlags::EXCLUSIVE) => None,
            made => Some(made?),
        };
        let Some(file) = file else {
            let entry = self.found(parent, &dir, name)?;
            let spot = Spot {
                dir,
                name: name.to_vec(),
                detached: false,
            };
            let opened = self.open_file(entry.node, &spot, flags);
            let (handle, attr) = opened.inspect_err(|_| self.forget(entry.node))?;
            return Ok((Entry { attr, ..entry }, handle));
        };
        let stat = file.stat()?;
        let node = self.tree.enter(parent, name, &stat)?;
        self.tree.lock().changes += 1;
        let mapped = if self.is_mapped() {
            mapped
        } else {
            Mapped::default()
        };
        let entry = Entry {
            node,
            attr: self.attr(&stat, &mapped)?,
        };
        let again = host_flags(flags, self.options.sync_writes).again;
        let handle = self.handles.add_file(node, file, again, &stat);
        let handle = handle.inspect_err(|_| self.forget(node))?;
        self.handle_added(node, handle)?;
        Ok((entry, handle))
    }

    fn close(&self, handle: HandleId) {
        let Some(removed) = self.handles.remove(handle) else {
            return;
        };
        if let Ok(place) = self.tree.lock().nodes.get_mut(removed.node) {
            place.handles.retain(|id| *id != handle.0);
        }
    }

    fn read(&self, handle: HandleId, offset: u64, buf: &mut [u8]) -> Result<usize, Errno> {
        self.handles
            .file(&self.tree, handle)?
            .read_full_at(buf, offset)
    }

    fn write(&self, handle: HandleId, offset: u64, data: &[u8]) -> Result<usize, Errno> {
        self.handles
            .file(&self.tree, handle)?
            .write_at(data, offset)
    }

    fn sync(&self, handle: HandleId, data_only: bool) -> Result<(), Errno> {
        let opened = self.handles.get(handle)?;
        if !opened.is_folder() {
            return self.handles.file(&self.tree, handle)?.sync(data_only);
        }
        let dir = self.tree.folder(opened.node)?;
        dir.open_file(SELF, util::host_fs::OpenFlags::READ)?
            .sync(data_only)
    }

    fn read_dir(
        &self,
        handle: HandleId,
        offset: u64,
        take: &mut dyn FnMut(DirEntry<'_>) -> bool,
    ) -> Result<(), Errno> {
        let _steady = self.names.read();
        let node = self.handles.get(handle)?.node;
        let device = self.tree.folder(node)?.stat_self()?.dev;
        self.handles.read_dir(&self.tree, handle, offset, |entry| {
            if is_hidden(self.security(), &entry.name) {
                return Ok(true);
            }
            // The type that a mapped file claims is not in the folder.
            let kind = match self.is_mapped() {
                true => 0,
                false => u32::from(entry.kind) << 12 & mode::TYPE,
            };
            Ok(take(DirEntry {
                name: &entry.name,
                id: self.numbers.map(device, entry.ino.unwrap_or(0))?,
                kind,
                next: entry.next,
            }))
        })
    }

    fn make_folder(
        &self,
        parent: NodeId,
        name: &[u8],
        mode: u32,
        owner: Owner,
    ) -> Result<Entry, Errno> {
        let _steady = self.names.read();
        self.check(name)?;
        let dir = self.tree.folder(parent)?;
        let mapped = Mapped::new(mode::FOLDER | mode & mode::PERMISSIONS, owner);
        dir.mkdir(
            name,
            match self.is_mapped() {
                true => self.options.folder_mode,
                false => mode & 0o777,
            },
        )?;
        self.adopt(&dir, name, &mapped)?;
        self.found(parent, &dir, name)
    }

    fn make_link(
        &self,
        parent: NodeId,
        name: &[u8],
        target: &[u8],
        owner: Owner,
    ) -> Result<Entry, Errno> {
        let _steady = self.names.read();
        self.check(name)?;
        if target.len() > TARGET_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        let dir = self.tree.folder(parent)?;
        let mapped = Mapped::new(mode::LINK | LINK_MODE, owner);
        if self.is_mapped() {
            let flags = OpenFlags(OpenFlags::WRITE_ONLY);
            let file = self.create_new(&dir, name, flags, &mapped)?;
            file.write_all_at(target, 0)?;
        } else {
            dir.symlink(target, name)?;
            self.adopt(&dir, name, &mapped)?;
        }
        self.found(parent, &dir, name)
    }

    fn make_node(
        &self,
        parent: NodeId,
        name: &[u8],
        mode: u32,
        rdev: u64,
        owner: Owner,
    ) -> Result<Entry, Errno> {
        let _steady = self.names.read();
        self.check(name)?;
        let kind = match mode & mode::TYPE {
            0 => mode::REGULAR,
            mode::FOLDER | mode::LINK => return Err(Errno::EINVAL),
            kind @ (mode::REGULAR | mode::FIFO | mode::SOCKET) => kind,
            kind @ (mode::CHARACTER | mode::BLOCK) => kind,
            _ => return Err(Errno::EINVAL),
        };
        let dir = self.tree.folder(parent)?;
        let mut mapped = Mapped::new(kind | mode & mode::PERMISSIONS, owner);
        if self.is_mapped() {
            mapped.rdev = Some(rdev);
            let flags = OpenFlags(OpenFlags::WRITE_ONLY);
            self.create_new(&dir, name, flags, &mapped)?;
        } else {
            dir.mknod(name, kind | mode & 0o777, rdev)?;
            self.adopt(&dir, name, &mapped)?;
        }
        self.found(parent, &dir, name)
    }

    fn link(&self, node: NodeId, parent: NodeId, name: &[u8]) -> Result<(), Errno> {
        let _steady = self.names.read();
        self.check(name)?;
        let spot = self.tree.spot(node)?;
        if spot.name == SELF {
            return Err(Errno::EPERM);
        }
        let dir = self.tree.folder(parent)?;
        dir.link_from(&spot.dir, &spot.name, name)?;
        security::linked(self.security(), (&spot.dir, &spot.name), (&dir, name))
    }

    fn rename(
        &self,
        parent: NodeId,
        name: &[u8],
        new_parent: NodeId,
        new_name: &[u8],
    ) -> Result<(), Errno> {
        let _alone = self.names.write();
        self.rename_at((parent, name), (new_parent, new_name))
    }

    fn rename_node(&self, node: NodeId, parent: NodeId, name: &[u8]) -> Result<(), Errno> {
        let _alone = self.names.write();
        let (old_parent, old_name) = self.tree.place(node)?;
        self.rename_at((old_parent, &old_name), (parent, name))
    }

    fn unlink(&self, parent: NodeId, name: &[u8], folder: bool) -> Result<(), Errno> {
        let _steady = self.names.read();
        self.unlink_at(parent, name, Some(folder))
    }

    fn unlink_node(&self, node: NodeId) -> Result<(), Errno> {
        let _alone = self.names.write();
        let (parent, name) = self.tree.place(node)?;
        self.unlink_at(parent, &name, None)
    }

    fn get_xattr(&self, node: NodeId, name: &[u8]) -> Result<Vec<u8>, Errno> {
        let _steady = self.names.read();
        let host = host::xattr_name(self.security(), name).ok_or(Errno::EOPNOTSUPP)??;
        let spot = self.tree.spot(node)?;
        spot.dir.xattr_get(&spot.name, &host)
    }

    fn list_xattrs(&self, node: NodeId) -> Result<Vec<u8>, Errno> {
        let _steady = self.names.read();
        let spot = self.tree.spot(node)?;
        match spot.dir.xattr_list(&spot.name) {
            Ok(names) => Ok(host::visible_xattrs(self.security(), &names)),
            Err(errno) => Err(errno),
        }
    }

    fn set_xattr(&self, node: NodeId, name: &[u8], value: &[u8], flags: u32) -> Result<(), Errno> {
        let _steady = self.names.read();
        let host = host::xattr_name(self.security(), name).ok_or(Errno::EOPNOTSUPP)?;
        let host = host.map_err(|_| Errno::EACCES)?;
        let spot = self.tree.spot(node)?;
        spot.dir
            .xattr_set(&spot.name, &host, value, host::xattr_how(flags))
    }

    fn remove_xattr(&self, node: NodeId, name: &[u8]) -> Result<(), Errno> {
        let _steady = self.names.read();
        let host = host::xattr_name(self.security(), name).ok_or(Errno::EOPNOTSUPP)?;
        let host = host.map_err(|_| Errno::EACCES)?;
        let spot = self.tree.spot(node)?;
        spot.dir.xattr_remove(&spot.name, &host)
    }
}
