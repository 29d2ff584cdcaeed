//! `file`: a file or block device of the host, through positioned calls on the pool's workers.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use include::Errno;
use util::host_fs::{self, HostFile, Lock, OpenFlags};
use util::thread_pool;

use crate::node::{SECTOR, write_plain_zeroes};

/// Permissions of an image that is made, before the umask.
const NEW_FILE_MODE: u32 = 0o644;

pub struct File {
    file: HostFile,
    /// What a device sees: whole sectors. What is behind the file's end reads as zeros.
    len: AtomicU64,
    /// The host cannot make zeros or holes in this file: do not ask again.
    no_zeroes: AtomicBool,
    no_holes: AtomicBool,
    /// `cache=unsafe`: the host writes when it likes.
    no_flush: AtomicBool,
}

impl File {
    /// Opens an image and locks it against other users. Errors are sentences without the name.
    pub fn open(name: &str, read_only: bool, lock: bool) -> Result<Self, String> {
        let flags = match read_only {
            true => OpenFlags::READ,
            false => OpenFlags::READ_WRITE,
        };
        Self::open_with(name, flags, lock)
    }

    /// Opens a file to read and write, and makes it if it is not there.
    pub fn open_or_create(name: &str) -> Result<Self, String> {
        Self::open_with(name, OpenFlags::READ_WRITE | OpenFlags::CREATE, true)
    }

    fn open_with(name: &str, flags: OpenFlags, lock: bool) -> Result<Self, String> {
        let path = name.as_bytes();
        let flags = flags | OpenFlags::NONBLOCK;
        let file = thread_pool::run(|| HostFile::open(path, flags, NEW_FILE_MODE));
        let file = file.map_err(open_error)?;
        if lock {
            lock_image(&file, !flags.contains(OpenFlags::READ_WRITE))?;
        }
        let size = thread_pool::run(|| file.size()).map_err(|error| error.to_string())?;
        let len = size.checked_next_multiple_of(SECTOR);
        Ok(Self {
            file,
            len: AtomicU64::new(len.ok_or("it is too large")?),
            no_zeroes: AtomicBool::new(false),
            no_holes: AtomicBool::new(false),
            no_flush: AtomicBool::new(false),
        })
    }

    pub fn len(&self) -> u64 {
        self.len.load(Ordering::Relaxed)
    }

    pub fn read(&self, offset: u64, buf: &mut [u8]) -> Result<(), Errno> {
        thread_pool::run(|| {
            let count = self.file.read_full_at(buf, offset)?;
            buf[count..].fill(0);
            Ok(())
        })
    }

    pub fn write(&self, offset: u64, data: &[u8]) -> Result<(), Errno> {
        thread_pool::run(|| self.file.write_all_at(data, offset))?;
        let end = offset.saturating_add(data.len() as u64);
        let end = end.checked_next_multiple_of(SECTOR).ok_or(Errno::EFBIG)?;
        self.len.fetch_max(end, Ordering::Relaxed);
        Ok(())
    }

    pub fn write_zeroes(&self, offset: u64, bytes: u64, may_unmap: bool) -> Result<(), Errno> {
        thread_pool::run(|| {
            if !self.no_zeroes.load(Ordering::Relaxed) {
                match self.file.write_zeroes(offset, bytes, may_unmap) {
                    Err(Errno::EOPNOTSUPP) => self.no_zeroes.store(true, Ordering::Relaxed),
                    result => return result,
                }
            }
            write_plain_zeroes(offset, bytes, |at, data| self.file.write_all_at(data, at))
        })
    }

    pub fn discard(&self, offset: u64, bytes: u64) -> Result<(), Errno> {
        if self.no_holes.load(Ordering::Relaxed) {
            return Ok(());
        }
        match thread_pool::run(|| self.file.punch_hole(offset, bytes)) {
            Err(Errno::EOPNOTSUPP) => {
                self.no_holes.store(true, Ordering::Relaxed);
                Ok(())
            }
            result => result,
        }
    }

    pub fn flush(&self) -> Result<(), Errno> {
        match self.no_flush.load(Ordering::Relaxed) {
            true => Ok(()),
            false => thread_pool::run(|| self.file.sync(true)),
        }
    }

    /// Flushes do nothing from now on.
    pub fn ignore_flushes(&self) {
        self.no_flush.store(true, Ordering::Relaxed);
    }

    pub fn set_len(&self, bytes: u64) -> Result<(), Errno> {
        thread_pool::run(|| self.file.set_len(bytes))?;
        let len = bytes.checked_next_multiple_of(SECTOR).ok_or(Errno::EFBIG)?;
        self.len.store(len, Ordering::Relaxed);
        Ok(())
    }
}

/// A page's storage opens a file once.
fn open_error(error: Errno) -> String {
    match error {
        Errno::EAGAIN if host_fs::is_page() => "another page has it open".into(),
        _ => error.to_string(),
    }
}

fn lock_image(file: &HostFile, read_only: bool) -> Result<(), String> {
    let lock = match read_only {
        true => Lock::Shared,
        false => Lock::Exclusive,
    };
    match thread_pool::run(|| file.lock(lock)) {
        // Hosts and file systems without locks have images that everybody may use.
        Ok(()) | Err(Errno::EOPNOTSUPP | Errno::ENOLCK | Errno::ENOSYS) => Ok(()),
        Err(Errno::EAGAIN | Errno::EACCES) => Err("another process has it in use \
            (file.locking=off would use it all the same)"
            .into()),
        Err(error) => Err(format!("it cannot be locked: {error}")),
    }
}
