//! The console on a native host: `poll`, `read` and `write` on descriptors 0 and 1, and termios.
//!
//! The terminal's mode outlives the process, so it is put back from everywhere a process can end:
//! `exit`, a panic, and the signals of [`LAST_SIGNALS`]. `SIGKILL` alone cannot be served.
#![expect(
    unsafe_code,
    reason = "system calls, and handlers for the signals that end a process"
)]

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::Input;

/// Signals that end a process: asked for by somebody, or after a crash.
const LAST_SIGNALS: [libc::c_int; 10] = [
    libc::SIGINT,
    libc::SIGTERM,
    libc::SIGQUIT,
    libc::SIGHUP,
    libc::SIGPIPE,
    libc::SIGSEGV,
    libc::SIGABRT,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
];

/// The signals of [`LAST_SIGNALS`] that an instruction causes.
const FAULTS: [libc::c_int; 4] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE];

type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);

/// One more than the highest signal number of [`LAST_SIGNALS`].
const SIGNALS: usize = 32;

/// The terminal as it was found. Set once, before anything that reads it is installed.
static FOUND: OnceLock<libc::termios> = OnceLock::new();
static IS_RAW: AtomicBool = AtomicBool::new(false);
/// What was to be done at a signal before we came.
static EARLIER_ACTIONS: [OnceLock<libc::sigaction>; SIGNALS] = [const { OnceLock::new() }; SIGNALS];

pub fn read(buffer: &mut [u8], timeout: Option<Duration>) -> Input {
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    loop {
        match poll(libc::STDIN_FILENO, libc::POLLIN, deadline) {
            Ok(false) => return Input::TimedOut,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return Input::Eof,
            Ok(true) => {}
        }
        // SAFETY: the kernel writes at most `buffer.len()` bytes to `buffer`.
        let count =
            unsafe { libc::read(libc::STDIN_FILENO, buffer.as_mut_ptr().cast(), buffer.len()) };
        match usize::try_from(count) {
            Ok(0) => return Input::Eof,
            Ok(count) => return Input::Bytes(count),
            Err(_) if is_temporary(&io::Error::last_os_error()) => {}
            Err(_) => return Input::Eof,
        }
    }
}

pub fn write_all(mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        // SAFETY: the kernel reads at most `bytes.len()` bytes of `bytes`.
        let count = unsafe { libc::write(libc::STDOUT_FILENO, bytes.as_ptr().cast(), bytes.len()) };
        match usize::try_from(count) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(_) => wait_to_write(io::Error::last_os_error())?,
        }
    }
    Ok(())
}

/// Somebody else who has the terminal open may have made it non-blocking.
fn wait_to_write(error: io::Error) -> io::Result<()> {
    if !is_temporary(&error) {
        return Err(error);
    }
    match poll(libc::STDOUT_FILENO, libc::POLLOUT, None) {
        Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
        _ => Ok(()),
    }
}

fn is_temporary(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock
    )
}

/// Waits for `events`; false when `deadline` has passed.
fn poll(fd: libc::c_int, events: libc::c_short, deadline: Option<Instant>) -> io::Result<bool> {
    let timeout_ms = deadline.map_or(-1, |deadline| {
        let left = deadline.saturating_duration_since(Instant::now());
        // Rounded up, so that the last millisecond is waited for and not polled through.
        libc::c_int::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(libc::c_int::MAX)
    });
    let mut polled = libc::pollfd {
        fd,
        events,
        revents: 0,
    };
    // SAFETY: one `pollfd`, which lives until the call returns.
    match unsafe { libc::poll(&raw mut polled, 1, timeout_ms) } {
        0 => Ok(false),
        1 if polled.revents & libc::POLLNVAL != 0 => Err(io::Error::from_raw_os_error(libc::EBADF)),
        1 => Ok(true),
        _ => Err(io::Error::last_os_error()),
    }
}

pub fn is_terminal() -> bool {
    // SAFETY: takes no pointer.
    unsafe { libc::isatty(libc::STDIN_FILENO) == 1 }
}

pub fn set_raw(raw: bool) -> io::Result<()> {
    if !raw {
        return if IS_RAW.load(Ordering::SeqCst) {
            restore()
        } else {
            Ok(())
        };
    }
    let mut found = std::mem::MaybeUninit::<libc::termios>::uninit();
    // SAFETY: the kernel fills in the `termios`.
    if unsafe { libc::tcgetattr(libc::STDIN_FILENO, found.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `tcgetattr` succeeded.
    let found = unsafe { found.assume_init() };
    if FOUND.set(found).is_ok() {
        restore_on_every_way_out();
    }
    IS_RAW.store(true, Ordering::SeqCst);
    set_mode(&raw_mode(*FOUND.get().unwrap_or(&found)))
}

/// The mode that QEMU gives the terminal of `-nographic`. Output is still post-processed, since the
/// emulator's own messages end in a bare line feed.
fn raw_mode(mut mode: libc::termios) -> libc::termios {
    mode.c_iflag &= !(libc::IGNBRK | libc::BRKINT | libc::PARMRK | libc::ISTRIP);
    mode.c_iflag &= !(libc::INLCR | libc::IGNCR | libc::ICRNL | libc::IXON);
    mode.c_oflag |= libc::OPOST;
    mode.c_lflag &= !(libc::ECHO | libc::ECHONL | libc::ICANON | libc::IEXTEN | libc::ISIG);
    mode.c_cflag = mode.c_cflag & !(libc::CSIZE | libc::PARENB) | libc::CS8;
    mode.c_cc[libc::VMIN] = 1;
    mode.c_cc[libc::VTIME] = 0;
    mode
}

fn set_mode(mode: &libc::termios) -> io::Result<()> {
    // SAFETY: the kernel reads the `termios`.
    match unsafe { libc::tcsetattr(libc::STDIN_FILENO, libc::TCSANOW, mode) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Puts the terminal back. Called from signal handlers too: atomics and `tcsetattr` only.
fn restore() -> io::Result<()> {
    match FOUND.get() {
        Some(found) if IS_RAW.swap(false, Ordering::SeqCst) => set_mode(found),
        _ => Ok(()),
    }
}

fn restore_on_every_way_out() {
    // SAFETY: the handler is a function without arguments, that stays.
    unsafe { libc::atexit(at_exit) };
    let earlier_hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        _ = restore();
        earlier_hook(panic);
    }));
    for signal in LAST_SIGNALS {
        restore_at(signal);
    }
}

extern "C" fn at_exit() {
    _ = restore();
}

fn restore_at(signal: libc::c_int) {
    // SAFETY: all zeroes is a valid `sigaction`: no flags, an empty mask, the default action.
    let (mut ours, mut earlier): (libc::sigaction, libc::sigaction) =
        unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
    let handler: Handler = at_signal;
    ours.sa_sigaction = handler as libc::sighandler_t;
    // A stack overflow leaves no stack; std has made an alternate one.
    ours.sa_flags = libc::SA_ONSTACK | libc::SA_SIGINFO;
    // SAFETY: both point to a `sigaction`, and `at_signal` calls async-signal-safe functions only.
    let looked = unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut earlier) };
    if looked != 0 || earlier.sa_sigaction == libc::SIG_IGN {
        return;
    }
    let slot = earlier_action(signal);
    if slot.is_some_and(|slot| slot.set(earlier).is_ok()) {
        // SAFETY: as above.
        unsafe { libc::sigaction(signal, &raw const ours, std::ptr::null_mut()) };
    }
}

/// Puts the terminal back, then lets happen what would have happened without us: the signal is
/// raised again under its earlier action, and taken as soon as this handler returns.
extern "C" fn at_signal(signal: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    _ = restore();
    // SAFETY: with `SA_SIGINFO` the kernel passes a valid `siginfo_t`.
    let is_sent = unsafe { (*info).si_code <= 0 };
    let earlier = earlier_action(signal).and_then(OnceLock::get);
    // SAFETY: both functions are async-signal-safe, and `earlier` is what `sigaction` gave us.
    unsafe {
        match earlier {
            // std's handler for stack overflows expects the fault to come again.
            Some(earlier) if !(is_sent && FAULTS.contains(&signal)) => {
                libc::sigaction(signal, earlier, std::ptr::null_mut());
            }
            _ => _ = libc::signal(signal, libc::SIG_DFL),
        }
        libc::raise(signal);
    }
}

fn earlier_action(signal: libc::c_int) -> Option<&'static OnceLock<libc::sigaction>> {
    EARLIER_ACTIONS.get(usize::try_from(signal).ok()?)
}
