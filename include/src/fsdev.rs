//! Shared file systems: the server side (`hw/9pfs`) asks, drivers (`fsdev/`) answer.
//!
//! All calls may block and come from workers of the thread pool, many at a time; only
//! [`FileSystem::forget`] is quick and may come from anywhere. Names are bytes of one path
//! component: drivers refuse an empty one, `.`, `..`, and one with a slash or NUL. No call follows
//! a symbolic link: links are for the guest to follow.

use crate::Errno;

/// A place in the tree, as long as somebody refers to it: a name in a folder, and what was found
/// there. Renaming it or a folder above it through the file system takes it along. Each
/// [`Entry`] is one reference, given back by [`FileSystem::forget`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u64);

/// An open file or folder, until [`FileSystem::close`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HandleId(pub u64);

/// Bits of [`Attr::mode`].
pub mod mode {
    pub const TYPE: u32 = 0o170000;
    pub const SOCKET: u32 = 0o140000;
    pub const LINK: u32 = 0o120000;
    pub const REGULAR: u32 = 0o100000;
    pub const BLOCK: u32 = 0o060000;
    pub const FOLDER: u32 = 0o040000;
    pub const CHARACTER: u32 = 0o020000;
    pub const FIFO: u32 = 0o010000;
    pub const SETUID: u32 = 0o4000;
    pub const SETGID: u32 = 0o2000;
    /// All that `chmod` changes.
    pub const PERMISSIONS: u32 = 0o7777;
}

/// Flags of [`FileSystem::open`] and [`FileSystem::create`]: Linux's (asm-generic), on all hosts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenFlags(pub u32);

impl OpenFlags {
    pub const ACCESS: u32 = 0o3;
    pub const READ_ONLY: u32 = 0o0;
    pub const WRITE_ONLY: u32 = 0o1;
    pub const READ_WRITE: u32 = 0o2;
    pub const CREATE: u32 = 0o100;
    pub const EXCLUSIVE: u32 = 0o200;
    pub const TRUNCATE: u32 = 0o1000;
    pub const APPEND: u32 = 0o2000;
    pub const NONBLOCK: u32 = 0o4000;
    pub const DSYNC: u32 = 0o10000;
    pub const DIRECT: u32 = 0o40000;
    pub const LARGE: u32 = 0o100000;
    pub const FOLDER: u32 = 0o200000;
    pub const NOFOLLOW: u32 = 0o400000;
    pub const NOATIME: u32 = 0o1000000;
    pub const SYNC: u32 = 0o4000000;

    /// Whether all of `bits` are set.
    pub fn has(self, bits: u32) -> bool {
        self.0 & bits == bits
    }

    pub fn reads(self) -> bool {
        self.0 & Self::ACCESS != Self::WRITE_ONLY
    }

    pub fn writes(self) -> bool {
        self.0 & Self::ACCESS != Self::READ_ONLY
    }
}

/// A point in time since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileTime {
    pub seconds: i64,
    /// Below 10^9.
    pub nanoseconds: u32,
}

/// What `stat` tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attr {
    /// Type and permissions.
    pub mode: u32,
    /// Tells files of this file system apart (9P's `qid.path`); hard links share it.
    pub id: u64,
    pub links: u64,
    pub uid: u32,
    pub gid: u32,
    /// Device number of a device file, in Linux's 64-bit encoding (see [`device_number`]).
    pub rdev: u64,
    pub size: u64,
    pub block_size: u32,
    /// Of 512 bytes.
    pub blocks: u64,
    pub accessed: FileTime,
    pub modified: FileTime,
    pub changed: FileTime,
    /// Not all hosts know.
    pub born: Option<FileTime>,
}

impl Attr {
    /// The type bits of the mode.
    pub fn kind(&self) -> u32 {
        self.mode & mode::TYPE
    }

    pub fn is_folder(&self) -> bool {
        self.kind() == mode::FOLDER
    }
}

/// Linux's (glibc's) `makedev`.
pub fn device_number(major: u32, minor: u32) -> u64 {
    let (major, minor) = (u64::from(major), u64::from(minor));
    (major & 0xffff_f000) << 32 | (major & 0xfff) << 8 | (minor & 0xffff_ff00) << 12 | minor & 0xff
}

/// Major and minor number; the inverse of [`device_number`].
pub fn device_parts(number: u64) -> (u32, u32) {
    let major = number >> 32 & 0xffff_f000 | number >> 8 & 0xfff;
    let minor = number >> 12 & 0xffff_ff00 | number & 0xff;
    (major as u32, minor as u32)
}

/// A node that was found or made, with one reference to it.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub node: NodeId,
    pub attr: Attr,
}

/// Who makes something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    pub uid: u32,
    pub gid: u32,
}

/// A time to set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetTime {
    Now,
    To(FileTime),
}

/// What to change; nothing else changes, but that the change time always becomes now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetAttr {
    /// Permissions; type bits are ignored.
    pub mode: Option<u32>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub size: Option<u64>,
    pub accessed: Option<SetTime>,
    pub modified: Option<SetTime>,
}

/// One name in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirEntry<'a> {
    pub name: &'a [u8],
    /// As [`Attr::id`].
    pub id: u64,
    /// Type bits of the mode; 0 if finding out costs more than reading the folder.
    pub kind: u32,
    /// Where to go on after this entry.
    pub next: u64,
}

/// What `statfs` tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatFs {
    pub block_size: u32,
    pub blocks: u64,
    pub blocks_free: u64,
    pub blocks_available: u64,
    pub files: u64,
    pub files_free: u64,
    pub id: u64,
    pub name_length_max: u32,
}

/// A tree of files. Where a call takes a node and a handle, the handle (if there is one) is open on
/// that node, and is what counts: it goes on working when the name is gone.
pub trait FileSystem: Send + Sync {
    /// Whether calls may block. Those of a file system that never does need no worker.
    fn blocks(&self) -> bool {
        true
    }

    /// The top folder.
    fn root(&self) -> Result<Entry, Errno>;
    /// What is called `name` in a folder.
    fn lookup(&self, parent: NodeId, name: &[u8]) -> Result<Entry, Errno>;
    /// The folder above a folder; the top folder is above itself.
    fn parent(&self, node: NodeId) -> Result<Entry, Errno>;
    /// Gives one reference back.
    fn forget(&self, node: NodeId);

    fn get_attr(&self, node: NodeId, handle: Option<HandleId>) -> Result<Attr, Errno>;
    fn set_attr(
        &self,
        node: NodeId,
        handle: Option<HandleId>,
        changes: &SetAttr,
    ) -> Result<(), Errno>;
    /// Where a symbolic link points.
    fn read_link(&self, node: NodeId) -> Result<Vec<u8>, Errno>;
    fn stat_fs(&self, node: NodeId) -> Result<StatFs, Errno>;

    /// Opens a regular file or a folder.
    fn open(&self, node: NodeId, flags: OpenFlags) -> Result<(HandleId, Attr), Errno>;
    /// Makes and opens a regular file; without EXCLUSIVE one that is there is opened.
    fn create(
        &self,
        parent: NodeId,
        name: &[u8],
        flags: OpenFlags,
        mode: u32,
        owner: Owner,
    ) -> Result<(Entry, HandleId), Errno>;
    fn close(&self, handle: HandleId);
    /// Reads at most `buf.len()` bytes; fewer only at the end of the file.
    fn read(&self, handle: HandleId, offset: u64, buf: &mut [u8]) -> Result<usize, Errno>;
    /// Writes at `offset`, or at the end if the file was opened with APPEND.
    fn write(&self, handle: HandleId, offset: u64, data: &[u8]) -> Result<usize, Errno>;
    fn sync(&self, handle: HandleId, data_only: bool) -> Result<(), Errno>;
    /// Hands out entries from `offset` on, 0 being the start, until `take` says that it did not
    /// take one, or the folder ends. Entries that are there all the time come once each.
    fn read_dir(
        &self,
        handle: HandleId,
        offset: u64,
        take: &mut dyn FnMut(DirEntry<'_>) -> bool,
    ) -> Result<(), Errno>;

    fn make_folder(
        &self,
        parent: NodeId,
        name: &[u8],
        mode: u32,
        owner: Owner,
    ) -> Result<Entry, Errno>;
    fn make_link(
        &self,
        parent: NodeId,
        name: &[u8],
        target: &[u8],
        owner: Owner,
    ) -> Result<Entry, Errno>;
    /// Makes a file of the type that `mode` says.
    fn make_node(
        &self,
        parent: NodeId,
        name: &[u8],
        mode: u32,
        rdev: u64,
        owner: Owner,
    ) -> Result<Entry, Errno>;
    /// One more name for a file.
    fn link(&self, node: NodeId, parent: NodeId, name: &[u8]) -> Result<(), Errno>;
    /// Replaces what has the new name, as rename(2) does.
    fn rename(
        &self,
        parent: NodeId,
        name: &[u8],
        new_parent: NodeId,
        new_name: &[u8],
    ) -> Result<(), Errno>;
    /// The same for a node whose name the caller need not know.
    fn rename_node(&self, node: NodeId, parent: NodeId, name: &[u8]) -> Result<(), Errno>;
    /// Removes a name; a folder (which must be empty) if `folder`, else anything else.
    fn unlink(&self, parent: NodeId, name: &[u8], folder: bool) -> Result<(), Errno>;
    /// Removes a node's name, whatever it is.
    fn unlink_node(&self, node: NodeId) -> Result<(), Errno>;

    /// The value of an extended attribute, ENODATA if there is none.
    fn get_xattr(&self, node: NodeId, name: &[u8]) -> Result<Vec<u8>, Errno>;
    /// Their names, each ended by NUL.
    fn list_xattrs(&self, node: NodeId) -> Result<Vec<u8>, Errno>;
    /// `flags` as setxattr(2) has them.
    fn set_xattr(&self, node: NodeId, name: &[u8], value: &[u8], flags: u32) -> Result<(), Errno>;
    fn remove_xattr(&self, node: NodeId, name: &[u8]) -> Result<(), Errno>;
}

/// Flag of [`FileSystem::set_xattr`]: it must not be there yet.
pub const XATTR_CREATE: u32 = 1;
/// Flag of [`FileSystem::set_xattr`]: it must be there.
pub const XATTR_REPLACE: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_numbers_are_linux_numbers() {
        for (major, minor) in [(0, 0), (8, 1), (0xfff, 0xff), (0x1234_5678, 0x9abc_def0)] {
            assert_eq!(device_parts(device_number(major, minor)), (major, minor));
        }
        assert_eq!(device_number(8, 1), 0x801);
        assert_eq!(device_number(259, 300), 0x11_032c);
    }
}
