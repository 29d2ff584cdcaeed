//! `readonly=on`: a file system of which everything that would change it is refused.

use std::sync::Arc;

use include::fsdev::{Attr, DirEntry, Entry, HandleId, NodeId, OpenFlags, Owner, SetAttr, StatFs};
use include::{Errno, FileSystem};

/// Hands on what only reads.
pub struct ReadOnly(Arc<dyn FileSystem>);

impl ReadOnly {
    pub fn new(fs: Arc<dyn FileSystem>) -> Self {
        Self(fs)
    }
}

impl FileSystem for ReadOnly {
    fn blocks(&self) -> bool {
        self.0.blocks()
    }
    fn root(&self) -> Result<Entry, Errno> {
        self.0.root()
    }
    fn lookup(&self, parent: NodeId, name: &[u8]) -> Result<Entry, Errno> {
        self.0.lookup(parent, name)
    }
    fn parent(&self, node: NodeId) -> Result<Entry, Errno> {
        self.0.parent(node)
    }
    fn forget(&self, node: NodeId) {
        self.0.forget(node);
    }
    fn get_attr(&self, node: NodeId, handle: Option<HandleId>) -> Result<Attr, Errno> {
        self.0.get_attr(node, handle)
    }
    fn set_attr(&self, _: NodeId, _: Option<HandleId>, _: &SetAttr) -> Result<(), Errno> {
        Err(Errno::EROFS)
    }
    fn read_link(&self, node: NodeId) -> Result<Vec<u8>, Errno> {
        self.0.read_link(node)
    }
    fn stat_fs(&self, node: NodeId) -> Result<StatFs, Errno> {
        self.0.stat_fs(node)
    }
    fn open(&self, node: NodeId, flags: OpenFlags) -> Result<(HandleId, Attr), Errno> {
        match flags.writes() || flags.has(OpenFlags::TRUNCATE) {
            true => Err(Errno::EROFS),
            false => self.0.open(node, flags),
        }
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
        self.0.close(handle);
    }
    fn read(&self, handle: HandleId, offset: u64, buf: &mut [u8]) -> Result<usize, Errno> {
        self.0.read(handle, offset, buf)
    }
    /// Nothing is open for writing.
    fn write(&self, _: HandleId, _: u64, _: &[u8]) -> Result<usize, Errno> {
        Err(Errno::EBADF)
    }
    fn sync(&self, handle: HandleId, data_only: bool) -> Result<(), Errno> {
        self.0.sync(handle, data_only)
    }
    fn read_dir(
        &self,
        handle: HandleId,
        offset: u64,
        take: &mut dyn FnMut(DirEntry<'_>) -> bool,
    ) -> Result<(), Errno> {
        self.0.read_dir(handle, offset, take)
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
    fn get_xattr(&self, node: NodeId, name: &[u8]) -> Result<Vec<u8>, Errno> {
        self.0.get_xattr(node, name)
    }
    fn list_xattrs(&self, node: NodeId) -> Result<Vec<u8>, Errno> {
        self.0.list_xattrs(node)
    }
    fn set_xattr(&self, _: NodeId, _: &[u8], _: &[u8], _: u32) -> Result<(), Errno> {
        Err(Errno::EROFS)
    }
    fn remove_xattr(&self, _: NodeId, _: &[u8]) -> Result<(), Errno> {
        Err(Errno::EROFS)
    }
}
