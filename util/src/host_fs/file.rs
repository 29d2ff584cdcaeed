//! Open files of the host.

use include::Errno;
use parking_lot::Mutex;

use super::{FileTime, Lock, OpenFlags, SetTime, Stat, XattrSet, imp};

/// An open file, closed when dropped. It has no position: every access says where.
#[derive(Debug)]
pub struct HostFile {
    file: imp::File,
    lock: Mutex<Lock>,
}

impl HostFile {
    pub(super) fn new(file: imp::File) -> Self {
        let lock = Mutex::new(Lock::Unlocked);
        Self { file, lock }
    }

    /// Opens a path, following symbolic links; `mode` counts for a file that is made. Block devices
    /// are files too.
    pub fn open(path: &[u8], flags: OpenFlags, mode: u32) -> Result<Self, Errno> {
        imp::File::open(path, flags, mode).map(Self::new)
    }

    /// Reads what one call of the host gives: 0 at the end, and perhaps less than asked for.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, Errno> {
        self.file.read_at(buffer, checked(offset, buffer.len())?)
    }

    /// Writes what one call of the host takes, perhaps less than asked for.
    pub fn write_at(&self, data: &[u8], offset: u64) -> Result<usize, Errno> {
        self.file.write_at(data, checked(offset, data.len())?)
    }

    /// Reads until the buffer is full or the file ends: the number of bytes.
    pub fn read_full_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, Errno> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.read_at(rest, offset.saturating_add(done as u64))? {
                0 => break,
                count => done += count,
            }
        }
        Ok(done)
    }

    /// Writes everything.
    pub fn write_all_at(&self, data: &[u8], offset: u64) -> Result<(), Errno> {
        let mut done = 0;
        while let Some(rest) = data.get(done..).filter(|rest| !rest.is_empty()) {
            match self.write_at(rest, offset.saturating_add(done as u64))? {
                0 => return Err(Errno::EIO),
                count => done += count,
            }
        }
        Ok(())
    }

    /// Returns when everything written is on stable storage; with `data_only` as much of the rest
    /// as is needed to read it again.
    pub fn sync(&self, data_only: bool) -> Result<(), Errno> {
        self.file.sync(data_only)
    }

    pub fn set_len(&self, length: u64) -> Result<(), Errno> {
        self.file.set_len(checked(length, 0)?)
    }

    /// The bytes that can be read: the size of a file or of a block device.
    pub fn size(&self) -> Result<u64, Errno> {
        self.file.size()
    }

    pub fn stat(&self) -> Result<Stat, Errno> {
        self.file.stat()
    }

    /// Gives up the storage of a range, which reads as zeros afterwards. The size stays. EOPNOTSUPP
    /// where host or file system cannot (never under Node).
    pub fn punch_hole(&self, offset: u64, length: u64) -> Result<(), Errno> {
        self.file.punch_hole(checked_range(offset, length)?, length)
    }

    /// Makes a range read as zeros without writing them, and the file longer if need be. With
    /// `may_unmap` storage may be given up. EOPNOTSUPP as with [`Self::punch_hole`]: then the
    /// caller writes zeros.
    pub fn write_zeroes(&self, offset: u64, length: u64, may_unmap: bool) -> Result<(), Errno> {
        let offset = checked_range(offset, length)?;
        self.file.write_zeroes(offset, length, may_unmap)
    }

    /// Where the next data from `offset` on begins: None if there is none. EOPNOTSUPP under Node.
    pub fn seek_data(&self, offset: u64) -> Result<Option<u64>, Errno> {
        self.file.seek_data(checked(offset, 0)?)
    }

    /// Where the next hole from `offset` on begins; the end of the file is one. ENXIO beyond the
    /// end; EOPNOTSUPP under Node.
    pub fn seek_hole(&self, offset: u64) -> Result<u64, Errno> {
        self.file.seek_hole(checked(offset, 0)?)
    }

    /// Takes, changes or gives up the lock of a disk image: EAGAIN when another process has one
    /// that forbids it, and then ours is as before. Ends with this file, however the process ends.
    /// Under Node it needs perl (see perl.rs), and elsewhere than on Linux it does nothing.
    pub fn lock(&self, lock: Lock) -> Result<(), Errno> {
        let mut held = self.lock.lock();
        self.file.lock(*held, lock)?;
        *held = lock;
        Ok(())
    }

    pub fn chmod(&self, mode: u32) -> Result<(), Errno> {
        self.file.chmod(mode & 0o7777)
    }

    /// None leaves the number as it is.
    pub fn chown(&self, uid: Option<u32>, gid: Option<u32>) -> Result<(), Errno> {
        self.file.chown(uid, gid)
    }

    pub fn utimens(&self, atime: SetTime, mtime: SetTime) -> Result<(), Errno> {
        check_times(atime, mtime)?;
        self.file.utimens(atime, mtime)
    }

    pub fn xattr_get(&self, attribute: &[u8]) -> Result<Vec<u8>, Errno> {
        self.file.xattr_get(attribute)
    }

    pub fn xattr_set(&self, attribute: &[u8], value: &[u8], how: XattrSet) -> Result<(), Errno> {
        self.file.xattr_set(attribute, value, how)
    }

    /// The names, each with a NUL behind it.
    pub fn xattr_list(&self) -> Result<Vec<u8>, Errno> {
        self.file.xattr_list()
    }

    pub fn xattr_remove(&self, attribute: &[u8]) -> Result<(), Errno> {
        self.file.xattr_remove(attribute)
    }
}

/// `offset`, if so many bytes from there on are within what a host can name.
fn checked(offset: u64, length: usize) -> Result<u64, Errno> {
    checked_range(offset, length as u64)
}

fn checked_range(offset: u64, length: u64) -> Result<u64, Errno> {
    let end = offset.checked_add(length).ok_or(Errno::EINVAL)?;
    i64::try_from(end).map_err(|_| Errno::EINVAL)?;
    Ok(offset)
}

/// The host takes some numbers of nanoseconds for a special meaning.
pub(super) fn check_times(atime: SetTime, mtime: SetTime) -> Result<(), Errno> {
    let is_bad = |time| matches!(time, SetTime::To(FileTime { nsec, .. }) if nsec >= 1_000_000_000);
    if is_bad(atime) || is_bad(mtime) {
        return Err(Errno::EINVAL);
    }
    Ok(())
}
