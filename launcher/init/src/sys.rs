//! The kernel's calls that the standard library does not have.
#![expect(unsafe_code, reason = "system calls")]

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

fn check(result: libc::c_int) -> io::Result<()> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

fn text(text: &str) -> CString {
    CString::new(text.replace('\0', "")).unwrap_or_default()
}

pub const MOVE: libc::c_ulong = libc::MS_MOVE;
pub const READ_ONLY_AGAIN: libc::c_ulong = libc::MS_REMOUNT | libc::MS_RDONLY;

pub fn mount(source: &str, target: &str, kind: &str, flags: u64, data: &str) -> io::Result<()> {
    let [source, target, kind, data] = [source, target, kind, data].map(text);
    // SAFETY: all pointers are strings that live until the call is done.
    check(unsafe {
        libc::mount(
            source.as_ptr(),
            target.as_ptr(),
            kind.as_ptr(),
            flags,
            data.as_ptr().cast(),
        )
    })
}

pub fn chroot_here() -> io::Result<()> {
    // SAFETY: the pointer is a string.
    check(unsafe { libc::chroot(c".".as_ptr()) })
}

pub fn set_hostname(name: &str) -> io::Result<()> {
    // SAFETY: the pointer is to `len` bytes.
    check(unsafe { libc::sethostname(name.as_ptr().cast(), name.len()) })
}

pub fn load_module(file: &File) -> io::Result<()> {
    // SAFETY: the descriptor is open, and the parameters are a string.
    let result =
        unsafe { libc::syscall(libc::SYS_finit_module, file.as_raw_fd(), c"".as_ptr(), 0) };
    check(result as libc::c_int)
}

/// Writes everything out and ends the machine.
pub fn power_off() {
    // SAFETY: these calls have no pointers.
    unsafe {
        libc::kill(-1, libc::SIGKILL);
        libc::sync();
        let _ = mount("", "/", "", READ_ONLY_AGAIN, "");
        libc::reboot(libc::RB_POWER_OFF);
    }
}

/// Waits for any child to end: its process and exit code. None if there is no child.
pub fn wait() -> Option<(u32, i32)> {
    let mut status = 0;
    loop {
        // SAFETY: the pointer is to an integer.
        let pid = unsafe { libc::waitpid(-1, &mut status, 0) };
        match pid {
            -1 if io::Error::last_os_error().raw_os_error() == Some(libc::EINTR) => (),
            -1 => return None,
            pid if libc::WIFEXITED(status) => {
                return Some((pid as u32, libc::WEXITSTATUS(status)));
            }
            pid if libc::WIFSIGNALED(status) => {
                return Some((pid as u32, 128 + libc::WTERMSIG(status)));
            }
            _ => (),
        }
    }
}

/// A signal to a process and the group that it leads.
pub fn signal(pid: u32, number: u8) -> io::Result<()> {
    let Ok(pid) = i32::try_from(pid) else {
        return Ok(());
    };
    // SAFETY: these calls have no pointers.
    let group = check(unsafe { libc::kill(-pid, number.into()) });
    // SAFETY: as above.
    group.or_else(|_| check(unsafe { libc::kill(pid, number.into()) }))
}

pub struct Owner {
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
}

/// Makes `command` run as `owner`, in a session of its own; with `terminal` its standard input
/// becomes the controlling terminal.
pub fn prepare(command: &mut Command, owner: Owner, terminal: bool) {
    let before = move || {
        // SAFETY: these calls are safe between fork and exec; the pointer is to `len` groups.
        unsafe {
            check(libc::setsid())?;
            if terminal {
                check(libc::ioctl(0, libc::TIOCSCTTY as _, 1))?;
            }
            check(libc::setgroups(owner.groups.len(), owner.groups.as_ptr()))?;
            check(libc::setgid(owner.gid))?;
            check(libc::setuid(owner.uid))
        }
    };
    // SAFETY: the closure makes system calls only, and allocates nothing.
    unsafe { command.pre_exec(before) };
}

/// A terminal: the end that the agent keeps, and the end of the program.
pub fn open_terminal(rows: u16, cols: u16) -> io::Result<(File, File)> {
    // SAFETY: the descriptor is a new one that nobody else has.
    let master = unsafe {
        let fd = libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC);
        check(fd)?;
        File::from(OwnedFd::from_raw_fd(fd))
    };
    let mut name = [0; 64];
    // SAFETY: the descriptor is open, and the buffer has its length.
    unsafe {
        check(libc::unlockpt(master.as_raw_fd()))?;
        check(-libc::ptsname_r(master.as_raw_fd(), name.as_mut_ptr(), name.len()).min(1))?;
    }
    // SAFETY: ptsname_r has put the end into the buffer.
    let name = unsafe { CStr::from_ptr(name.as_ptr()) };
    let path = name.to_string_lossy().into_owned();
    let slave = File::options().read(true).write(true).open(path)?;
    resize(&master, rows, cols)?;
    Ok((master, slave))
}

pub fn resize(terminal: &File, rows: u16, cols: u16) -> io::Result<()> {
    let size = libc::winsize {
        ws_row: rows,
        ws_col: cols,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: the pointer is to a size.
    check(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ as _, &size) })
}

/// Programs on this machine can talk to each other.
pub fn loopback_up() -> io::Result<()> {
    // SAFETY: the request is a valid one, of which the kernel reads name and flags.
    unsafe {
        let fd = libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
        check(fd)?;
        let socket = OwnedFd::from_raw_fd(fd);
        let mut request: libc::ifreq = std::mem::zeroed();
        for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
            *to = *from as _;
        }
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as _;
        check(libc::ioctl(
            socket.as_raw_fd(),
            libc::SIOCSIFFLAGS as _,
            &request,
        ))
    }
}
