//! The host's file system: open files with positioned reads and writes, and folders with at-style
//! operations that never follow a symbolic link. Disk images and shared folders sit on it. The same
//! API on both hosts: `native.rs` makes system calls (Linux), `wasm.rs` calls Node's `fs` on the
//! calling thread. A page has no host file system: there every call ends with EOPNOTSUPP.
//!
//! What must hold:
//! - Every call blocks its thread, so it belongs on a worker (`util::thread_pool`). Any thread may
//!   make it, and any thread may use or close what another has opened.
//! - Names and paths are bytes, whatever the host's locale. A name is one component: not empty, no
//!   `/`, no NUL, neither `.` nor `..`, or the answer is EINVAL, ENOENT for an empty one.
//!   Operations on what is there already (`stat`, `chmod`, xattrs, ...) also take [`SELF`], the
//!   folder itself.
//! - Nothing outside of the folder is reached through a name, whoever swaps what for a symbolic
//!   link meanwhile: a folder is held by its descriptor, and the last component is never followed.
//! - Errors are Linux error numbers on every host.

mod dir;
mod file;
#[cfg(not(target_os = "emscripten"))]
#[path = "native.rs"]
mod imp;
#[cfg(target_os = "emscripten")]
#[path = "wasm.rs"]
mod imp;
mod lock;

#[cfg(any(test, feature = "cases"))]
pub mod cases;
#[cfg(test)]
mod tests;

pub use dir::{DirEntry, DirStream, HostDir, SELF};
pub use file::HostFile;
pub use lock::Lock;

/// Whether this is a page, where paths begin with `opfs:` and mean the page's own storage.
pub fn is_page() -> bool {
    imp::is_page()
}

use std::ops::BitOr;

/// How to open a file: a set of these, to be combined with `|`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenFlags(u32);

impl OpenFlags {
    /// Reads only, the default.
    pub const READ: Self = Self(0);
    pub const WRITE: Self = Self(1);
    pub const READ_WRITE: Self = Self(1 << 1);
    /// Makes the file if it is not there.
    pub const CREATE: Self = Self(1 << 2);
    /// With [`Self::CREATE`]: the file must not be there.
    pub const EXCLUSIVE: Self = Self(1 << 3);
    pub const TRUNCATE: Self = Self(1 << 4);
    /// Every write goes to the end, whatever its offset.
    pub const APPEND: Self = Self(1 << 5);
    /// A write returns when its data is on stable storage.
    pub const DSYNC: Self = Self(1 << 6);
    pub const SYNC: Self = Self(1 << 7);
    /// Past the host's cache; the caller sees to alignment.
    pub const DIRECT: Self = Self(1 << 8);
    pub const NOATIME: Self = Self(1 << 9);
    /// What is opened must be a folder.
    pub const DIRECTORY: Self = Self(1 << 10);
    /// A symbolic link as the last component is an error (ELOOP).
    pub const NOFOLLOW: Self = Self(1 << 11);
    /// Waits neither for the other end of a FIFO nor for a device.
    pub const NONBLOCK: Self = Self(1 << 12);
    /// Names the file without opening it.
    pub const PATH: Self = Self(1 << 13);

    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The host's number, each flag having one in `table`.
    fn translate(self, table: &[(Self, u32)]) -> u32 {
        let mine = table.iter().filter(|(flag, _)| self.contains(*flag));
        mine.fold(0, |number, (_, host)| number | host)
    }
}

impl BitOr for OpenFlags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A time of a file: since 1970, `nsec` counting forwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileTime {
    pub sec: i64,
    pub nsec: u32,
}

/// What to do with one of a file's times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetTime {
    Omit,
    Now,
    /// Under Node the host gets it as a double of seconds: exact to a quarter of a microsecond.
    To(FileTime),
}

/// What a file is, in the numbers of Linux (`mode`, `dev` and `rdev` too).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stat {
    pub dev: u64,
    pub ino: u64,
    pub mode: u32,
    pub nlink: u64,
    pub uid: u32,
    pub gid: u32,
    pub rdev: u64,
    pub size: u64,
    pub blksize: u32,
    /// Of 512 bytes.
    pub blocks: u64,
    pub atime: FileTime,
    pub mtime: FileTime,
    pub ctime: FileTime,
    /// When it was made, where the host knows.
    pub btime: Option<FileTime>,
}

/// The bits of [`Stat::mode`] that say what kind of file it is, and the kinds.
pub mod mode {
    pub const S_IFMT: u32 = 0o170_000;
    pub const S_IFIFO: u32 = 0o010_000;
    pub const S_IFCHR: u32 = 0o020_000;
    pub const S_IFDIR: u32 = 0o040_000;
    pub const S_IFBLK: u32 = 0o060_000;
    pub const S_IFREG: u32 = 0o100_000;
    pub const S_IFLNK: u32 = 0o120_000;
    pub const S_IFSOCK: u32 = 0o140_000;
}

impl Stat {
    /// The kind of file, one of [`mode`].
    pub fn kind(&self) -> u32 {
        self.mode & mode::S_IFMT
    }

    pub fn is_dir(&self) -> bool {
        self.kind() == mode::S_IFDIR
    }

    pub fn is_file(&self) -> bool {
        self.kind() == mode::S_IFREG
    }

    pub fn is_symlink(&self) -> bool {
        self.kind() == mode::S_IFLNK
    }
}

/// What a file system says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatFs {
    /// Linux's magic number.
    pub kind: u32,
    pub bsize: u32,
    /// Of `bsize` bytes, as `bfree` and `bavail` are.
    pub blocks: u64,
    pub bfree: u64,
    pub bavail: u64,
    pub files: u64,
    pub ffree: u64,
    /// 0 where the host does not tell (Node).
    pub fsid: u64,
    pub namelen: u32,
}

/// How an extended attribute is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XattrSet {
    Either,
    /// EEXIST if it is there.
    Create,
    /// ENODATA if it is not there.
    Replace,
}
