//! Folders of the host. A name is one component below the folder and is never followed.

use include::Errno;

use super::file::check_times;
use super::{HostFile, OpenFlags, SetTime, Stat, StatFs, XattrSet, imp, mode};

/// The folder itself, for operations on what is there already.
pub const SELF: &[u8] = b".";

/// A folder, by its descriptor: it stays the same folder when it is renamed.
#[derive(Debug)]
pub struct HostDir(imp::Dir);

impl HostDir {
    /// Opens a path, following symbolic links: the operator names it.
    pub fn open_root(path: &[u8]) -> Result<Self, Errno> {
        imp::Dir::open_root(path).map(Self)
    }

    /// Opens a folder below: ENOTDIR for anything else, a symbolic link too.
    pub fn open_dir(&self, name: &[u8]) -> Result<Self, Errno> {
        self.0.open_dir(component(name)?).map(Self)
    }

    /// One more handle of this folder.
    pub fn try_clone(&self) -> Result<Self, Errno> {
        self.0.open_dir(SELF).map(Self)
    }

    /// Opens a file below, or a folder for [`HostFile::sync`] and the like (`SELF` too). ELOOP for
    /// a symbolic link, ENXIO for a FIFO, socket or device, none of which is waited for.
    pub fn open_file(&self, name: &[u8], flags: OpenFlags) -> Result<HostFile, Errno> {
        let flags = OpenFlags(flags.0 & !(OpenFlags::CREATE | OpenFlags::EXCLUSIVE).0);
        self.open_at(here(name)?, flags, 0)
    }

    /// Opens a file that is made if it is not there; with [`OpenFlags::EXCLUSIVE`] it must not be.
    /// The process's umask applies to `mode`, here and below.
    pub fn create(&self, name: &[u8], flags: OpenFlags, mode: u32) -> Result<HostFile, Errno> {
        let flags = flags | OpenFlags::CREATE;
        self.open_at(component(name)?, flags, mode & 0o7777)
    }

    fn open_at(&self, name: &[u8], flags: OpenFlags, mode: u32) -> Result<HostFile, Errno> {
        let flags = flags | OpenFlags::NOFOLLOW | OpenFlags::NONBLOCK;
        let file = HostFile::new(self.0.open_file(name, flags, mode)?);
        if flags.contains(OpenFlags::PATH) {
            return Ok(file);
        }
        match file.stat()?.kind() {
            mode::S_IFREG | mode::S_IFDIR => Ok(file),
            _ => Err(Errno::ENXIO),
        }
    }

    pub fn mkdir(&self, name: &[u8], mode: u32) -> Result<(), Errno> {
        self.0.mkdir(component(name)?, mode & 0o7777)
    }

    /// Makes a file of the kind that `mode` says. Under Node regular files and FIFOs only, for
    /// others EOPNOTSUPP.
    pub fn mknod(&self, name: &[u8], mode: u32, rdev: u64) -> Result<(), Errno> {
        self.0.mknod(component(name)?, mode, rdev)
    }

    pub fn symlink(&self, target: &[u8], name: &[u8]) -> Result<(), Errno> {
        if target.is_empty() {
            return Err(Errno::ENOENT);
        }
        self.0.symlink(no_nul(target)?, component(name)?)
    }

    pub fn readlink(&self, name: &[u8]) -> Result<Vec<u8>, Errno> {
        self.0.readlink(component(name)?)
    }

    /// Makes `name` a hard link to `old_name` in `old_dir`; of a symbolic link, not of its target.
    pub fn link_from(&self, old_dir: &Self, old_name: &[u8], name: &[u8]) -> Result<(), Errno> {
        self.0
            .link_from(&old_dir.0, component(old_name)?, component(name)?)
    }

    pub fn unlink(&self, name: &[u8]) -> Result<(), Errno> {
        self.0.unlink(component(name)?)
    }

    pub fn rmdir(&self, name: &[u8]) -> Result<(), Errno> {
        self.0.rmdir(component(name)?)
    }

    /// What has the new name already is replaced.
    pub fn rename_to(&self, name: &[u8], new_dir: &Self, new_name: &[u8]) -> Result<(), Errno> {
        self.0
            .rename_to(component(name)?, &new_dir.0, component(new_name)?)
    }

    pub fn stat(&self, name: &[u8]) -> Result<Stat, Errno> {
        self.0.stat(here(name)?)
    }

    pub fn stat_self(&self) -> Result<Stat, Errno> {
        self.0.stat(SELF)
    }

    /// EOPNOTSUPP for a symbolic link.
    pub fn chmod(&self, name: &[u8], mode: u32) -> Result<(), Errno> {
        self.0.chmod(here(name)?, mode & 0o7777)
    }

    /// None leaves the number as it is.
    pub fn chown(&self, name: &[u8], uid: Option<u32>, gid: Option<u32>) -> Result<(), Errno> {
        self.0.chown(here(name)?, uid, gid)
    }

    pub fn utimens(&self, name: &[u8], atime: SetTime, mtime: SetTime) -> Result<(), Errno> {
        check_times(atime, mtime)?;
        self.0.utimens(here(name)?, atime, mtime)
    }

    /// Regular files only: EISDIR for a folder, ELOOP for a symbolic link, else EINVAL.
    pub fn truncate(&self, name: &[u8], length: u64) -> Result<(), Errno> {
        i64::try_from(length).map_err(|_| Errno::EINVAL)?;
        self.0.truncate(component(name)?, length)
    }

    /// The file system that the folder is on.
    pub fn statfs(&self) -> Result<StatFs, Errno> {
        self.0.statfs()
    }

    pub fn read_dir(&self) -> Result<DirStream, Errno> {
        self.0.read_dir().map(DirStream)
    }

    /// EOPNOTSUPP under Node, which knows no extended attributes; so with the three below.
    pub fn xattr_get(&self, name: &[u8], attribute: &[u8]) -> Result<Vec<u8>, Errno> {
        self.0.xattr_get(here(name)?, no_nul(attribute)?)
    }

    pub fn xattr_set(
        &self,
        name: &[u8],
        attribute: &[u8],
        value: &[u8],
        how: XattrSet,
    ) -> Result<(), Errno> {
        self.0
            .xattr_set(here(name)?, no_nul(attribute)?, value, how)
    }

    /// The names, each with a NUL behind it.
    pub fn xattr_list(&self, name: &[u8]) -> Result<Vec<u8>, Errno> {
        self.0.xattr_list(here(name)?)
    }

    pub fn xattr_remove(&self, name: &[u8], attribute: &[u8]) -> Result<(), Errno> {
        self.0.xattr_remove(here(name)?, no_nul(attribute)?)
    }
}

/// One entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    pub name: Vec<u8>,
    /// None where the host does not tell (Node): `stat` does.
    pub ino: Option<u64>,
    /// Linux's DT_* (the kind bits of a mode, 12 bits to the right); 0 is unknown.
    pub kind: u8,
    /// For [`DirStream::read`]: where the next entry is.
    pub next: u64,
}

/// The entries of a folder, `.` and `..` among them.
#[derive(Debug)]
pub struct DirStream(imp::DirStream);

impl DirStream {
    /// Up to `count` entries from `cookie` on; none at the end. Cookie 0 is the beginning, and
    /// reads the folder anew; any other must be the `next` of an entry of this stream. It is as
    /// stable as the host's own: natively that of the file system, which a seek may use at any
    /// time; under Node a place in the list as it was when cookie 0 was read.
    pub fn read(&self, cookie: u64, count: usize) -> Result<Vec<DirEntry>, Errno> {
        self.0.read(cookie, count)
    }
}

/// Refuses what is not the name of something below a folder.
fn component(name: &[u8]) -> Result<&[u8], Errno> {
    match name {
        b"" => Err(Errno::ENOENT),
        b"." | b".." => Err(Errno::EINVAL),
        _ if name.contains(&b'/') => Err(Errno::EINVAL),
        _ => no_nul(name),
    }
}

/// As [`component`], but the folder itself is fine.
fn here(name: &[u8]) -> Result<&[u8], Errno> {
    if name == SELF {
        Ok(name)
    } else {
        component(name)
    }
}

fn no_nul(bytes: &[u8]) -> Result<&[u8], Errno> {
    if bytes.contains(&0) {
        return Err(Errno::EINVAL);
    }
    Ok(bytes)
}
