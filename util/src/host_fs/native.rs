//! The host's files by system calls of Linux. (Other native hosts have no such calls as `O_PATH`;
//! nobody has asked for them yet.)

mod ofd;

use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};

use include::Errno;
use parking_lot::Mutex;
use rustix::fs::{
    AtFlags, CWD, FallocateFlags, FileType, Gid, Mode, OFlags, SeekFrom, StatxFlags, Timespec,
    Timestamps, Uid, XattrFlags,
};
use rustix::io::{Errno as HostErrno, retry_on_intr};

use super::{DirEntry, FileTime, Lock, OpenFlags, SELF, SetTime, Stat, StatFs, XattrSet, mode};

/// The largest extended attribute, and the largest list of them.
const XATTR_SIZE_MAX: usize = 65536;

/// What one call to read a folder gets.
const DIRENTS_SIZE: usize = 32768;

const FLAGS: &[(OpenFlags, u32)] = &[
    (OpenFlags::WRITE, OFlags::WRONLY.bits()),
    (OpenFlags::READ_WRITE, OFlags::RDWR.bits()),
    (OpenFlags::CREATE, OFlags::CREATE.bits()),
    (OpenFlags::EXCLUSIVE, OFlags::EXCL.bits()),
    (OpenFlags::TRUNCATE, OFlags::TRUNC.bits()),
    (OpenFlags::APPEND, OFlags::APPEND.bits()),
    (OpenFlags::DSYNC, OFlags::DSYNC.bits()),
    (OpenFlags::SYNC, OFlags::SYNC.bits()),
    (OpenFlags::DIRECT, OFlags::DIRECT.bits()),
    (OpenFlags::NOATIME, OFlags::NOATIME.bits()),
    (OpenFlags::DIRECTORY, OFlags::DIRECTORY.bits()),
    (OpenFlags::NOFOLLOW, OFlags::NOFOLLOW.bits()),
    (OpenFlags::NONBLOCK, OFlags::NONBLOCK.bits()),
    (OpenFlags::PATH, OFlags::PATH.bits()),
];

/// DT_*, from the bits of a mode.
fn dirent_kind(kind: FileType) -> u8 {
    match kind {
        FileType::Unknown => 0,
        kind => (kind.as_raw_mode() >> 12) as u8,
    }
}

/// Makes a call, again if a signal interrupts it.
fn host<T>(call: impl FnMut() -> rustix::io::Result<T>) -> Result<T, Errno> {
    retry_on_intr(call).map_err(errno)
}

fn errno(error: HostErrno) -> Errno {
    u16::try_from(error.raw_os_error()).map_or(Errno::EIO, Errno)
}

/// Of the last call that went through libc.
fn last_os_error() -> Errno {
    let number = std::io::Error::last_os_error().raw_os_error();
    number
        .and_then(|number| u16::try_from(number).ok())
        .map_or(Errno::EIO, Errno)
}

fn oflags(flags: OpenFlags) -> OFlags {
    OFlags::from_bits_retain(flags.translate(FLAGS)) | OFlags::CLOEXEC | OFlags::NOCTTY
}

fn open_at(dir: &OwnedFd, name: &[u8], flags: OpenFlags, mode: u32) -> Result<OwnedFd, Errno> {
    let mode = Mode::from_raw_mode(mode);
    host(|| rustix::fs::openat(dir, name, oflags(flags), mode))
}

/// The descriptor's name in the file system, and a name below it.
fn proc_path(fd: &OwnedFd, name: &[u8]) -> Vec<u8> {
    let mut path = format!("/proc/self/fd/{}/", fd.as_raw_fd()).into_bytes();
    path.extend_from_slice(name);
    path
}

/// A name of the very file that a descriptor has open, even one of `O_PATH`.
fn proc_file(fd: &OwnedFd) -> Vec<u8> {
    format!("/proc/self/fd/{}", fd.as_raw_fd()).into_bytes()
}

fn statx(fd: &OwnedFd, name: &[u8], flags: AtFlags) -> Result<Stat, Errno> {
    let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
    let found = host(|| rustix::fs::statx(fd, name, flags | AtFlags::NO_AUTOMOUNT, wanted))?;
    let time = |time: rustix::fs::StatxTimestamp| FileTime {
        sec: time.tv_sec,
        nsec: time.tv_nsec,
    };
    let has_btime = found.stx_mask & StatxFlags::BTIME.bits() != 0;
    Ok(Stat {
        dev: rustix::fs::makedev(found.stx_dev_major, found.stx_dev_minor),
        ino: found.stx_ino,
        mode: found.stx_mode.into(),
        nlink: found.stx_nlink.into(),
        uid: found.stx_uid,
        gid: found.stx_gid,
        rdev: rustix::fs::makedev(found.stx_rdev_major, found.stx_rdev_minor),
        size: found.stx_size,
        blksize: found.stx_blksize,
        blocks: found.stx_blocks,
        atime: time(found.stx_atime),
        mtime: time(found.stx_mtime),
        ctime: time(found.stx_ctime),
        btime: has_btime.then(|| time(found.stx_btime)),
    })
}

fn timestamps(atime: SetTime, mtime: SetTime) -> Timestamps {
    let timespec = |time| {
        let (tv_sec, tv_nsec) = match time {
            SetTime::Omit => (0, rustix::fs::UTIME_OMIT),
            SetTime::Now => (0, rustix::fs::UTIME_NOW),
            SetTime::To(time) => (time.sec, time.nsec.into()),
        };
        Timespec { tv_sec, tv_nsec }
    };
    Timestamps {
        last_access: timespec(atime),
        last_modification: timespec(mtime),
    }
}

/// The kernel and rustix take the number that leaves things alone for None.
fn owner(uid: Option<u32>, gid: Option<u32>) -> Result<(Option<Uid>, Option<Gid>), Errno> {
    if uid == Some(u32::MAX) || gid == Some(u32::MAX) {
        return Err(Errno::EINVAL);
    }
    Ok((uid.map(Uid::from_raw), gid.map(Gid::from_raw)))
}

fn xattr_flags(how: XattrSet) -> XattrFlags {
    match how {
        XattrSet::Either => XattrFlags::empty(),
        XattrSet::Create => XattrFlags::CREATE,
        XattrSet::Replace => XattrFlags::REPLACE,
    }
}

/// What a call puts into a buffer that holds the largest attribute or list.
fn xattr(call: impl Fn(&mut [u8]) -> rustix::io::Result<usize>) -> Result<Vec<u8>, Errno> {
    let mut buffer = vec![0; XATTR_SIZE_MAX];
    let length = host(|| call(&mut buffer))?;
    buffer.truncate(length);
    buffer.shrink_to_fit();
    Ok(buffer)
}

pub fn is_page() -> bool {
    false
}

#[derive(Debug)]
pub struct File(OwnedFd);

impl File {
    pub fn open(path: &[u8], flags: OpenFlags, mode: u32) -> Result<Self, Errno> {
        let mode = Mode::from_raw_mode(mode);
        host(|| rustix::fs::openat(CWD, path, oflags(flags), mode)).map(Self)
    }

    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, Errno> {
        host(|| rustix::io::pread(&self.0, &mut *buffer, offset))
    }

    pub fn write_at(&self, data: &[u8], offset: u64) -> Result<usize, Errno> {
        host(|| rustix::io::pwrite(&self.0, data, offset))
    }

    pub fn sync(&self, data_only: bool) -> Result<(), Errno> {
        host(|| match data_only {
            true => rustix::fs::fdatasync(&self.0),
            false => rustix::fs::fsync(&self.0),
        })
    }

    pub fn set_len(&self, length: u64) -> Result<(), Errno> {
        host(|| rustix::fs::ftruncate(&self.0, length))
    }

    pub fn size(&self) -> Result<u64, Errno> {
        let stat = self.stat()?;
        match stat.kind() {
            mode::S_IFBLK => host(|| rustix::fs::seek(&self.0, SeekFrom::End(0))),
            _ => Ok(stat.size),
        }
    }

    pub fn stat(&self) -> Result<Stat, Errno> {
        statx(&self.0, b"", AtFlags::EMPTY_PATH)
    }

    pub fn punch_hole(&self, offset: u64, length: u64) -> Result<(), Errno> {
        self.allocate(
            FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE,
            offset,
            length,
        )
    }

    pub fn write_zeroes(&self, offset: u64, length: u64, may_unmap: bool) -> Result<(), Errno> {
        if !may_unmap {
            return self.allocate(FallocateFlags::ZERO_RANGE, offset, length);
        }
        self.punch_hole(offset, length)?;
        let stat = self.stat()?;
        if stat.is_file() && stat.size < offset + length {
            self.set_len(offset + length)?;
        }
        Ok(())
    }

    fn allocate(&self, flags: FallocateFlags, offset: u64, length: u64) -> Result<(), Errno> {
        if length == 0 {
            return Ok(());
        }
        match host(|| rustix::fs::fallocate(&self.0, flags, offset, length)) {
            // What has no such call at all: pipes, old kernels.
            Err(Errno::ENODEV | Errno::ESPIPE | Errno::ENOSYS) => Err(Errno::EOPNOTSUPP),
            result => result,
        }
    }

    pub fn seek_data(&self, offset: u64) -> Result<Option<u64>, Errno> {
        match host(|| rustix::fs::seek(&self.0, SeekFrom::Data(offset))) {
            Ok(found) => Ok(Some(found)),
            Err(Errno::ENXIO) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub fn seek_hole(&self, offset: u64) -> Result<u64, Errno> {
        host(|| rustix::fs::seek(&self.0, SeekFrom::Hole(offset)))
    }

    pub fn lock(&self, earlier: Lock, lock: Lock) -> Result<(), Errno> {
        ofd::lock(&self.0, earlier, lock)
    }

    pub fn chmod(&self, mode: u32) -> Result<(), Errno> {
        host(|| rustix::fs::fchmod(&self.0, Mode::from_raw_mode(mode)))
    }

    pub fn chown(&self, uid: Option<u32>, gid: Option<u32>) -> Result<(), Errno> {
        let (uid, gid) = owner(uid, gid)?;
        host(|| rustix::fs::fchown(&self.0, uid, gid))
    }

    pub fn utimens(&self, atime: SetTime, mtime: SetTime) -> Result<(), Errno> {
        host(|| rustix::fs::futimens(&self.0, &timestamps(atime, mtime)))
    }

    pub fn xattr_get(&self, attribute: &[u8]) -> Result<Vec<u8>, Errno> {
        xattr(|buffer| rustix::fs::fgetxattr(&self.0, attribute, buffer))
    }

    pub fn xattr_set(&self, attribute: &[u8], value: &[u8], how: XattrSet) -> Result<(), Errno> {
        host(|| rustix::fs::fsetxattr(&self.0, attribute, value, xattr_flags(how)))
    }

    pub fn xattr_list(&self) -> Result<Vec<u8>, Errno> {
        xattr(|buffer| rustix::fs::flistxattr(&self.0, buffer))
    }

    pub fn xattr_remove(&self, attribute: &[u8]) -> Result<(), Errno> {
        host(|| rustix::fs::fremovexattr(&self.0, attribute))
    }
}

#[derive(Debug)]
pub struct Dir(OwnedFd);

impl Dir {
    pub fn open_root(path: &[u8]) -> Result<Self, Errno> {
        let flags = oflags(OpenFlags::PATH | OpenFlags::DIRECTORY);
        host(|| rustix::fs::openat(CWD, path, flags, Mode::empty())).map(Self)
    }

    pub fn open_dir(&self, name: &[u8]) -> Result<Self, Errno> {
        let flags = OpenFlags::PATH | OpenFlags::DIRECTORY | OpenFlags::NOFOLLOW;
        open_at(&self.0, name, flags, 0).map(Self)
    }

    pub fn open_file(&self, name: &[u8], flags: OpenFlags, mode: u32) -> Result<File, Errno> {
        open_at(&self.0, name, flags, mode).map(File)
    }

    pub fn mkdir(&self, name: &[u8], mode: u32) -> Result<(), Errno> {
        host(|| rustix::fs::mkdirat(&self.0, name, Mode::from_raw_mode(mode)))
    }

    pub fn mknod(&self, name: &[u8], mode: u32, rdev: u64) -> Result<(), Errno> {
        let kind = match mode & mode::S_IFMT {
            0 => FileType::RegularFile,
            kind => FileType::from_raw_mode(kind),
        };
        let mode = Mode::from_raw_mode(mode);
        host(|| rustix::fs::mknodat(&self.0, name, kind, mode, rdev))
    }

    pub fn symlink(&self, target: &[u8], name: &[u8]) -> Result<(), Errno> {
        host(|| rustix::fs::symlinkat(target, &self.0, name))
    }

    pub fn readlink(&self, name: &[u8]) -> Result<Vec<u8>, Errno> {
        let target = host(|| rustix::fs::readlinkat(&self.0, name, Vec::new()))?;
        Ok(target.into_bytes())
    }

    pub fn link_from(&self, old_dir: &Self, old_name: &[u8], name: &[u8]) -> Result<(), Errno> {
        let flags = AtFlags::empty();
        host(|| rustix::fs::linkat(&old_dir.0, old_name, &self.0, name, flags))
    }

    pub fn unlink(&self, name: &[u8]) -> Result<(), Errno> {
        host(|| rustix::fs::unlinkat(&self.0, name, AtFlags::empty()))
    }

    pub fn rmdir(&self, name: &[u8]) -> Result<(), Errno> {
        host(|| rustix::fs::unlinkat(&self.0, name, AtFlags::REMOVEDIR))
    }

    pub fn rename_to(&self, name: &[u8], new_dir: &Self, new_name: &[u8]) -> Result<(), Errno> {
        host(|| rustix::fs::renameat(&self.0, name, &new_dir.0, new_name))
    }

    pub fn stat(&self, name: &[u8]) -> Result<Stat, Errno> {
        statx(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)
    }

    /// There was no call to change the mode of what may be a symbolic link for long: the file is
    /// held, looked at, and then changed through its descriptor's name.
    pub fn chmod(&self, name: &[u8], mode: u32) -> Result<(), Errno> {
        let (held, stat) = self.hold(name)?;
        if stat.is_symlink() {
            return Err(Errno::EOPNOTSUPP);
        }
        host(|| rustix::fs::chmod(proc_file(&held), Mode::from_raw_mode(mode)))
    }

    /// A handle of whatever it is, which does not open it.
    fn hold(&self, name: &[u8]) -> Result<(OwnedFd, Stat), Errno> {
        let held = open_at(&self.0, name, OpenFlags::PATH | OpenFlags::NOFOLLOW, 0)?;
        let stat = statx(&held, b"", AtFlags::EMPTY_PATH)?;
        Ok((held, stat))
    }

    pub fn chown(&self, name: &[u8], uid: Option<u32>, gid: Option<u32>) -> Result<(), Errno> {
        let (uid, gid) = owner(uid, gid)?;
        host(|| rustix::fs::chownat(&self.0, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW))
    }

    pub fn utimens(&self, name: &[u8], atime: SetTime, mtime: SetTime) -> Result<(), Errno> {
        let times = timestamps(atime, mtime);
        host(|| rustix::fs::utimensat(&self.0, name, &times, AtFlags::SYMLINK_NOFOLLOW))
    }

    /// Looked at before it is opened, since opening may wait or do things to a device.
    pub fn truncate(&self, name: &[u8], length: u64) -> Result<(), Errno> {
        let (held, stat) = self.hold(name)?;
        match stat.kind() {
            mode::S_IFREG => {}
            mode::S_IFDIR => return Err(Errno::EISDIR),
            mode::S_IFLNK => return Err(Errno::ELOOP),
            _ => return Err(Errno::EINVAL),
        }
        File::open(&proc_file(&held), OpenFlags::WRITE, 0)?.set_len(length)
    }

    pub fn statfs(&self) -> Result<StatFs, Errno> {
        let found = host(|| rustix::fs::fstatfs(&self.0))?;
        // `fsid_t` hides its two words from everybody but `fstatvfs`.
        let fsid = host(|| rustix::fs::fstatvfs(&self.0))?.f_fsid;
        Ok(StatFs {
            kind: found.f_type as u32,
            bsize: u32::try_from(found.f_bsize).unwrap_or(4096),
            blocks: found.f_blocks,
            bfree: found.f_bfree,
            bavail: found.f_bavail,
            files: found.f_files,
            ffree: found.f_ffree,
            fsid,
            namelen: u32::try_from(found.f_namelen).unwrap_or(255),
        })
    }

    pub fn read_dir(&self) -> Result<DirStream, Errno> {
        let fd = open_at(&self.0, SELF, OpenFlags::DIRECTORY, 0)?;
        Ok(DirStream(Mutex::new(Entries {
            fd,
            at: 0,
            ready: Vec::new(),
        })))
    }

    pub fn xattr_get(&self, name: &[u8], attribute: &[u8]) -> Result<Vec<u8>, Errno> {
        let path = proc_path(&self.0, name);
        xattr(|buffer| rustix::fs::lgetxattr(&path, attribute, buffer))
    }

    pub fn xattr_set(
        &self,
        name: &[u8],
        attribute: &[u8],
        value: &[u8],
        how: XattrSet,
    ) -> Result<(), Errno> {
        let path = proc_path(&self.0, name);
        host(|| rustix::fs::lsetxattr(&path, attribute, value, xattr_flags(how)))
    }

    pub fn xattr_list(&self, name: &[u8]) -> Result<Vec<u8>, Errno> {
        let path = proc_path(&self.0, name);
        xattr(|buffer| rustix::fs::llistxattr(&path, buffer))
    }

    pub fn xattr_remove(&self, name: &[u8], attribute: &[u8]) -> Result<(), Errno> {
        let path = proc_path(&self.0, name);
        host(|| rustix::fs::lremovexattr(&path, attribute))
    }
}

#[derive(Debug)]
pub struct DirStream(Mutex<Entries>);

#[derive(Debug)]
struct Entries {
    fd: OwnedFd,
    /// The cookie of what comes next.
    at: u64,
    /// What the host has given and nobody has taken, the next one last.
    ready: Vec<DirEntry>,
}

impl DirStream {
    pub fn read(&self, cookie: u64, count: usize) -> Result<Vec<DirEntry>, Errno> {
        let mut entries = self.0.lock();
        if cookie != entries.at || cookie == 0 {
            entries.seek(cookie)?;
        }
        let mut found = Vec::new();
        while found.len() < count {
            let Some(entry) = entries.next()? else { break };
            found.push(entry);
        }
        Ok(found)
    }
}

impl Entries {
    fn seek(&mut self, cookie: u64) -> Result<(), Errno> {
        self.ready.clear();
        // A cookie is a number of 64 bits whose sign the host alone understands.
        let offset = i64::try_from(cookie).map_err(|_| Errno::EINVAL)?;
        host(|| rustix::fs::seek(&self.fd, SeekFrom::Start(offset.unsigned_abs())))?;
        self.at = cookie;
        Ok(())
    }

    fn next(&mut self) -> Result<Option<DirEntry>, Errno> {
        if self.ready.is_empty() {
            self.fill()?;
        }
        let entry = self.ready.pop();
        if let Some(entry) = &entry {
            self.at = entry.next;
        }
        Ok(entry)
    }

    fn fill(&mut self) -> Result<(), Errno> {
        let mut buffer = vec![MaybeUninit::uninit(); DIRENTS_SIZE];
        let mut dirents = rustix::fs::RawDir::new(&self.fd, &mut buffer);
        while let Some(entry) = dirents.next() {
            let entry = entry.map_err(errno)?;
            self.ready.push(DirEntry {
                name: entry.file_name().to_bytes().to_vec(),
                ino: Some(entry.ino()),
                kind: dirent_kind(entry.file_type()),
                next: entry.next_entry_cookie(),
            });
            if dirents.is_buffer_empty() {
                break;
            }
        }
        self.ready.reverse();
        Ok(())
    }
}
