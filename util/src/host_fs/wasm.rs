//! The host's files under Node, by the JavaScript of `wasm.c`; in a page those of the origin's own
//! storage (OPFS), by a helper thread of `opfs.js`, which gives folders the names that Linux does.
//!
//! It calls Node on the calling thread, because emscripten's own files belong to the first thread:
//! each call of libc is a message to it and waits for its event loop. On one machine a read of 4
//! KiB, cached by the host, takes 1.1 us here and 23 us through libc (Node 20; 1.0 and 11 us with
//! Node 24); an lstat 6.9 and 35 us (3.4 and 17 us). `util-test --measure` says so.
//!
//! Node has no at-style calls. On Linux a folder is a descriptor of `O_PATH`, and what is in it is
//! `/proc/self/fd/N/name`, which means exactly what `openat` and its like mean. Other hosts have no
//! such names (and nobody tests them): there a folder is its path below the root, and before each
//! use every component of it is looked at and must be a real folder. Who swaps one for a symbolic
//! link between look and use gets past that, and a folder that is renamed is lost to its handles.
//!
//! Node lacks: extended attributes, `fallocate`, `SEEK_DATA`, devices made by `mknod` (all
//! EOPNOTSUPP); inode numbers of a folder's entries; times to the nanosecond (they are doubles of
//! seconds); locks and FIFOs, for which `perl.rs` gets help.

mod node;
mod perl;

use include::Errno;
use parking_lot::Mutex;

use super::{DirEntry, FileTime, Lock, OpenFlags, SELF, SetTime, Stat, StatFs, XattrSet, mode};
use node::{Host, Op, call, path_call};

/// More than this one call is not asked to move.
const IO_SIZE_MAX: usize = 1 << 30;

const PATH_MAX: usize = 4096;

/// Seconds as Node has them.
fn seconds(time: SetTime) -> f64 {
    match time {
        SetTime::Omit => f64::NAN,
        SetTime::Now => f64::INFINITY,
        SetTime::To(time) => time.sec as f64 + f64::from(time.nsec) / 1e9,
    }
}

/// -1 leaves a number as it is.
fn owner(uid: Option<u32>, gid: Option<u32>) -> Result<[f64; 2], Errno> {
    if uid == Some(u32::MAX) || gid == Some(u32::MAX) {
        return Err(Errno::EINVAL);
    }
    Ok([uid, gid].map(|id| id.map_or(-1.0, f64::from)))
}

fn stat_from(words: [i64; 14]) -> Stat {
    let [
        dev,
        ino,
        mode,
        nlink,
        uid,
        gid,
        rdev,
        size,
        blksize,
        blocks,
        times @ ..,
    ] = words;
    let [atime, mtime, ctime, btime] = times.map(|ns| FileTime {
        sec: ns.div_euclid(1_000_000_000),
        nsec: ns.rem_euclid(1_000_000_000) as u32,
    });
    // The host's unsigned numbers, as JavaScript put them into words.
    Stat {
        dev: dev as u64,
        ino: ino as u64,
        mode: mode as u32,
        nlink: nlink as u64,
        uid: uid as u32,
        gid: gid as u32,
        rdev: rdev as u64,
        size: size as u64,
        blksize: blksize as u32,
        blocks: blocks as u64,
        atime,
        mtime,
        ctime,
        btime: (btime.sec != 0 || btime.nsec != 0).then_some(btime),
    }
}

fn lstat(path: &[u8]) -> Result<Stat, Errno> {
    node::words(Op::Lstat, path, 0.0).map(stat_from)
}

pub fn is_page() -> bool {
    node::host() == Ok(Host::Page)
}

/// A descriptor, closed when dropped.
#[derive(Debug)]
pub struct File(i32);

impl Drop for File {
    fn drop(&mut self) {
        _ = call(Op::Close, &[], &mut [], [self.0.into(), 0.0, 0.0]);
    }
}

impl File {
    pub fn open(path: &[u8], flags: OpenFlags, mode: u32) -> Result<Self, Errno> {
        let flags = flags.translate(node::flags()?);
        let fd = path_call(Op::Open, path, [flags.into(), mode.into(), 0.0])?;
        i32::try_from(fd).map(Self).map_err(|_| Errno::EMFILE)
    }

    fn call(&self, op: Op, y: f64, z: f64) -> Result<(), Errno> {
        call(op, &[], &mut [], [self.0.into(), y, z]).map(|_| ())
    }

    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, Errno> {
        let length = buffer.len().min(IO_SIZE_MAX);
        let buffer = buffer.get_mut(..length).unwrap_or_default();
        if buffer.is_empty() {
            return Ok(0);
        }
        call(Op::Read, &[], buffer, [self.0.into(), number(offset)?, 0.0])
    }

    pub fn write_at(&self, data: &[u8], offset: u64) -> Result<usize, Errno> {
        let data = data.get(..IO_SIZE_MAX).unwrap_or(data);
        if data.is_empty() {
            return Ok(0);
        }
        call(
            Op::Write,
            data,
            &mut [],
            [self.0.into(), number(offset)?, 0.0],
        )
    }

    pub fn sync(&self, data_only: bool) -> Result<(), Errno> {
        let op = if data_only { Op::Fdatasync } else { Op::Fsync };
        self.call(op, 0.0, 0.0)
    }

    pub fn set_len(&self, length: u64) -> Result<(), Errno> {
        self.call(Op::Ftruncate, number(length)?, 0.0)
    }

    /// Node cannot seek, so a block device is asked for by its number.
    pub fn size(&self) -> Result<u64, Errno> {
        let stat = self.stat()?;
        if stat.kind() != mode::S_IFBLK {
            return Ok(stat.size);
        }
        let (major, minor) = split_rdev(stat.rdev);
        let path = format!("/sys/dev/block/{major}:{minor}/size");
        let mut text = [0; 32];
        let length = Self::open(path.as_bytes(), OpenFlags::READ, 0)?.read_at(&mut text, 0)?;
        let text = text.get(..length).unwrap_or_default();
        let sectors = str::from_utf8(text)
            .ok()
            .and_then(|text| text.trim().parse().ok());
        sectors
            .and_then(|sectors: u64| sectors.checked_mul(512))
            .ok_or(Errno::EIO)
    }

    pub fn stat(&self) -> Result<Stat, Errno> {
        node::words(Op::Fstat, &[], self.0.into()).map(stat_from)
    }

    pub fn punch_hole(&self, _: u64, _: u64) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    pub fn write_zeroes(&self, _: u64, _: u64, _: bool) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    pub fn seek_data(&self, _: u64) -> Result<Option<u64>, Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    pub fn seek_hole(&self, _: u64) -> Result<u64, Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    pub fn lock(&self, earlier: Lock, lock: Lock) -> Result<(), Errno> {
        if lock == earlier || node::host()? != Host::Linux {
            return Ok(());
        }
        perl::lock(self.0, earlier, lock)
    }

    pub fn chmod(&self, mode: u32) -> Result<(), Errno> {
        self.call(Op::Fchmod, mode.into(), 0.0)
    }

    pub fn chown(&self, uid: Option<u32>, gid: Option<u32>) -> Result<(), Errno> {
        let [uid, gid] = owner(uid, gid)?;
        self.call(Op::Fchown, uid, gid)
    }

    pub fn utimens(&self, atime: SetTime, mtime: SetTime) -> Result<(), Errno> {
        self.call(Op::Futimes, seconds(atime), seconds(mtime))
    }

    pub fn xattr_get(&self, _: &[u8]) -> Result<Vec<u8>, Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    pub fn xattr_set(&self, _: &[u8], _: &[u8], _: XattrSet) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    pub fn xattr_list(&self) -> Result<Vec<u8>, Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    pub fn xattr_remove(&self, _: &[u8]) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }
}

/// What JavaScript's numbers hold exactly.
fn number(offset: u64) -> Result<f64, Errno> {
    if offset > 1 << 53 {
        return Err(Errno::EFBIG);
    }
    Ok(offset as f64)
}

/// Linux's device number, as glibc has it: major and minor.
fn split_rdev(rdev: u64) -> (u64, u64) {
    let major = (rdev >> 8) & 0xfff | (rdev >> 32) & 0xffff_f000;
    let minor = rdev & 0xff | (rdev >> 12) & 0xffff_ff00;
    (major, minor)
}

/// A folder: on Linux a descriptor, elsewhere a path.
#[derive(Debug)]
pub enum Dir {
    Held(File),
    Named {
        path: Vec<u8>,
        /// Bytes of `path` that name the root; the operator named those.
        root: usize,
    },
}

impl Dir {
    pub fn open_root(path: &[u8]) -> Result<Self, Errno> {
        if matches!(node::host()?, Host::Linux | Host::Page) {
            let flags = OpenFlags::PATH | OpenFlags::DIRECTORY;
            return File::open(path, flags, 0).map(Self::Held);
        }
        let dir = Self::Named {
            path: path.to_vec(),
            root: path.len(),
        };
        match lstat(&dir.path_to(SELF)?)?.is_dir() {
            true => Ok(dir),
            false => Err(Errno::ENOTDIR),
        }
    }

    pub fn open_dir(&self, name: &[u8]) -> Result<Self, Errno> {
        let path = self.path_to(name)?;
        let Self::Named { root, .. } = *self else {
            let flags = OpenFlags::PATH | OpenFlags::DIRECTORY | OpenFlags::NOFOLLOW;
            return File::open(&path, flags, 0).map(Self::Held);
        };
        match lstat(&path)?.is_dir() {
            true => Ok(Self::Named { path, root }),
            false => Err(Errno::ENOTDIR),
        }
    }

    /// A path to what is called `name` in this folder.
    fn path_to(&self, name: &[u8]) -> Result<Vec<u8>, Errno> {
        let mut joined = match self {
            Self::Held(file) => format!("/proc/self/fd/{}", file.0).into_bytes(),
            Self::Named { path, root } => {
                check_name(name)?;
                check_folders(path, *root)?;
                path.clone()
            }
        };
        joined.push(b'/');
        joined.extend_from_slice(name);
        Ok(joined)
    }

    pub fn open_file(&self, name: &[u8], flags: OpenFlags, mode: u32) -> Result<File, Errno> {
        let path = self.path_to(name)?;
        if matches!(self, Self::Named { .. }) && lstat(&path).is_ok_and(|stat| stat.is_symlink()) {
            return Err(Errno::ELOOP);
        }
        File::open(&path, flags, mode)
    }

    pub fn mkdir(&self, name: &[u8], mode: u32) -> Result<(), Errno> {
        self.call(Op::Mkdir, name, mode.into(), 0.0)
    }

    fn call(&self, op: Op, name: &[u8], x: f64, y: f64) -> Result<(), Errno> {
        path_call(op, &self.path_to(name)?, [x, y, 0.0]).map(|_| ())
    }

    pub fn mknod(&self, name: &[u8], mode: u32, _: u64) -> Result<(), Errno> {
        match (mode & mode::S_IFMT, self) {
            (0 | mode::S_IFREG, _) => {
                let flags = OpenFlags::CREATE | OpenFlags::EXCLUSIVE | OpenFlags::WRITE;
                self.open_file(name, flags, mode & 0o7777).map(|_| ())
            }
            (mode::S_IFIFO, Self::Held(dir)) if node::host()? == Host::Linux => {
                perl::mkfifo(dir.0, name, mode & 0o7777)
            }
            _ => Err(Errno::EOPNOTSUPP),
        }
    }

    pub fn symlink(&self, target: &[u8], name: &[u8]) -> Result<(), Errno> {
        node::two_paths(Op::Symlink, target, &self.path_to(name)?)
    }

    pub fn readlink(&self, name: &[u8]) -> Result<Vec<u8>, Errno> {
        let mut target = vec![0; PATH_MAX];
        let length = call(Op::Readlink, &self.path_to(name)?, &mut target, [0.0; 3])?;
        target.truncate(length);
        Ok(target)
    }

    pub fn link_from(&self, old_dir: &Self, old_name: &[u8], name: &[u8]) -> Result<(), Errno> {
        node::two_paths(Op::Link, &old_dir.path_to(old_name)?, &self.path_to(name)?)
    }

    pub fn unlink(&self, name: &[u8]) -> Result<(), Errno> {
        self.call(Op::Unlink, name, 0.0, 0.0)
    }

    pub fn rmdir(&self, name: &[u8]) -> Result<(), Errno> {
        self.call(Op::Rmdir, name, 0.0, 0.0)
    }

    pub fn rename_to(&self, name: &[u8], new_dir: &Self, new_name: &[u8]) -> Result<(), Errno> {
        node::two_paths(
            Op::Rename,
            &self.path_to(name)?,
            &new_dir.path_to(new_name)?,
        )
    }

    pub fn stat(&self, name: &[u8]) -> Result<Stat, Errno> {
        match self {
            Self::Held(file) if name == SELF => file.stat(),
            _ => lstat(&self.path_to(name)?),
        }
    }

    /// A path to whatever it is that stays true as long as the file lives, and what it is.
    fn hold(&self, name: &[u8]) -> Result<(Option<File>, Vec<u8>, Stat), Errno> {
        let path = self.path_to(name)?;
        if matches!(self, Self::Named { .. }) {
            let stat = lstat(&path)?;
            return Ok((None, path, stat));
        }
        let file = File::open(&path, OpenFlags::PATH | OpenFlags::NOFOLLOW, 0)?;
        let stat = file.stat()?;
        let path = format!("/proc/self/fd/{}", file.0).into_bytes();
        Ok((Some(file), path, stat))
    }

    pub fn chmod(&self, name: &[u8], mode: u32) -> Result<(), Errno> {
        let (_held, path, stat) = self.hold(name)?;
        if stat.is_symlink() {
            return Err(Errno::EOPNOTSUPP);
        }
        path_call(Op::Chmod, &path, [mode.into(), 0.0, 0.0]).map(|_| ())
    }

    pub fn chown(&self, name: &[u8], uid: Option<u32>, gid: Option<u32>) -> Result<(), Errno> {
        let [uid, gid] = owner(uid, gid)?;
        self.call(Op::Lchown, name, uid, gid)
    }

    pub fn utimens(&self, name: &[u8], atime: SetTime, mtime: SetTime) -> Result<(), Errno> {
        self.call(Op::Lutimes, name, seconds(atime), seconds(mtime))
    }

    pub fn truncate(&self, name: &[u8], length: u64) -> Result<(), Errno> {
        let (_held, path, stat) = self.hold(name)?;
        match stat.kind() {
            mode::S_IFREG => {}
            mode::S_IFDIR => return Err(Errno::EISDIR),
            mode::S_IFLNK => return Err(Errno::ELOOP),
            _ => return Err(Errno::EINVAL),
        }
        File::open(&path, OpenFlags::WRITE, 0)?.set_len(length)
    }

    pub fn statfs(&self) -> Result<StatFs, Errno> {
        let words = node::words(Op::Statfs, &self.path_to(SELF)?, 0.0)?;
        let [kind, bsize, blocks, bfree, bavail, files, ffree] = words.map(|word: i64| word as u64);
        Ok(StatFs {
            kind: kind as u32,
            bsize: u32::try_from(bsize).unwrap_or(4096),
            blocks,
            bfree,
            bavail,
            files,
            ffree,
            fsid: 0,
            namelen: 255,
        })
    }

    pub fn read_dir(&self) -> Result<DirStream, Errno> {
        let dir = self.open_dir(SELF)?;
        // Node opens the folder for each list. Whether it may be read is to be known now.
        dir.open_file(SELF, OpenFlags::DIRECTORY, 0)?;
        Ok(DirStream {
            dir,
            entries: Mutex::new(Vec::new()),
        })
    }

    pub fn xattr_get(&self, _: &[u8], _: &[u8]) -> Result<Vec<u8>, Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    pub fn xattr_set(&self, _: &[u8], _: &[u8], _: &[u8], _: XattrSet) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    pub fn xattr_list(&self, _: &[u8]) -> Result<Vec<u8>, Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    pub fn xattr_remove(&self, _: &[u8], _: &[u8]) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }
}

/// Windows has more that separates than `/`.
fn check_name(name: &[u8]) -> Result<(), Errno> {
    let separates = |byte| matches!(byte, b'\\' | b':');
    if node::host()? == Host::Windows && name.iter().any(|byte| separates(*byte)) {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

/// Every component of `path` behind its first `root` bytes must be a folder and no symbolic link.
fn check_folders(path: &[u8], root: usize) -> Result<(), Errno> {
    let ends = (root + 1..=path.len()).filter(|end| matches!(path.get(*end), None | Some(b'/')));
    for end in ends {
        if !lstat(path.get(..end).unwrap_or(path))?.is_dir() {
            return Err(Errno::ENOTDIR);
        }
    }
    Ok(())
}

/// The entries as they were when the list was read; a cookie is a place in it.
#[derive(Debug)]
pub struct DirStream {
    dir: Dir,
    entries: Mutex<Vec<node::Entry>>,
}

impl DirStream {
    pub fn read(&self, cookie: u64, count: usize) -> Result<Vec<DirEntry>, Errno> {
        let mut entries = self.entries.lock();
        if cookie == 0 {
            *entries = node::list(&self.dir.path_to(SELF)?)?;
        }
        let first = usize::try_from(cookie).map_err(|_| Errno::EINVAL)?;
        let found = entries.iter().skip(first).take(count);
        let numbered = found.zip(cookie + 1..);
        Ok(numbered
            .map(|((kind, name), next)| DirEntry {
                name: name.to_vec(),
                ino: None,
                kind: *kind,
                next,
            })
            .collect())
    }
}
