//! Locks on bytes of an open file (`F_OFD_SETLK`), which rustix has no call for.
#![expect(unsafe_code, reason = "fcntl with a struct")]

use std::os::fd::{AsRawFd, OwnedFd};

use include::Errno;

use super::super::Lock;

/// Goes over from the lock `earlier` to `lock`; on failure `earlier` is still held.
pub fn lock(fd: &OwnedFd, earlier: Lock, lock: Lock) -> Result<(), Errno> {
    let taken = take(fd, lock);
    let (from, to) = match taken {
        Ok(()) => (earlier, lock),
        Err(_) => (lock, earlier),
    };
    for byte in from
        .held()
        .filter(|byte| to.held().all(|kept| kept != *byte))
    {
        fcntl(fd, libc::F_OFD_SETLK, libc::F_UNLCK, byte)?;
    }
    taken
}

/// First the locks, then the look at those of others: of two who do so at once none gets past both.
fn take(fd: &OwnedFd, lock: Lock) -> Result<(), Errno> {
    for byte in lock.held() {
        fcntl(fd, libc::F_OFD_SETLK, libc::F_RDLCK, byte)?;
    }
    for byte in lock.refused() {
        if fcntl(fd, libc::F_OFD_GETLK, libc::F_WRLCK, byte)? != libc::F_UNLCK {
            return Err(Errno::EAGAIN);
        }
    }
    Ok(())
}

/// Does `command` on one byte: the kind of lock that the host answers with.
fn fcntl(
    fd: &OwnedFd,
    command: libc::c_int,
    kind: libc::c_int,
    byte: u64,
) -> Result<libc::c_int, Errno> {
    // SAFETY: all zeroes is a valid `flock`.
    let mut flock: libc::flock = unsafe { std::mem::zeroed() };
    // The constants are small, and so are the offsets.
    flock.l_type = kind as libc::c_short;
    flock.l_whence = libc::SEEK_SET as libc::c_short;
    flock.l_start = byte as libc::off_t;
    flock.l_len = 1;
    // SAFETY: both commands take a `flock`, which lives until the call returns.
    match unsafe { libc::fcntl(fd.as_raw_fd(), command, &raw mut flock) } {
        -1 => Err(super::last_os_error()),
        _ => Ok(flock.l_type.into()),
    }
}
