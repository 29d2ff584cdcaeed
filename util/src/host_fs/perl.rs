//! What Node cannot do for itself, and a child can: perl, which hardly any host of Linux lacks.
//! Locks of `fcntl` that belong to an open file belong to it in each process that has inherited it,
//! and stay when the child ends. Without perl images are not locked, which is said once.

use std::fmt::Write;
use std::sync::Once;

use include::Errno;

use super::super::Lock;
use super::node::{Op, path_call};

/// Which lock bytes to take (those of the first argument), which nobody else may have (second), and
/// which to give up when that went well (third) or not (fourth). Says EAGAIN if somebody has one,
/// 100 if all is well.
const LOCK: &str = r#"
    use strict;
    use constant { GET => 36, SET => 37, READ => 0, WRITE => 1, NONE => 2, EAGAIN => 11 };
    open(my $image, '<&=', 3) or exit 1;
    sub lock_byte {
        my ($command, $kind, $byte) = @_;
        my $flock = pack('s s x4 q q l x4', $kind, 0, $byte, 1, 0);
        fcntl($image, $command, $flock) or exit($! == EAGAIN ? EAGAIN : 1);
        return unpack('s', $flock);
    }
    my ($take, $refuse, $done, $failed) = map { [split /,/] } @ARGV;
    my $status = 100;
    lock_byte(SET, READ, $_) for @$take;
    for (@$refuse) { $status = EAGAIN if lock_byte(GET, WRITE, $_) != NONE; }
    lock_byte(SET, NONE, $_) for @{$status == EAGAIN ? $failed : $done};
    exit $status;
"#;
const LOCKED: usize = 100;

/// Makes a FIFO; the arguments are its name in hexadecimal digits and its mode. Says the error.
const MKFIFO: &str = r#"
    eval { require POSIX } or exit 95;
    POSIX::mkfifo('/proc/self/fd/3/' . pack('H*', $ARGV[0]), $ARGV[1]) or exit $!;
"#;

/// The exit status of a script whose descriptor 3 is `fd`; None if there is no perl.
fn run(script: &str, arguments: &[&str], fd: i32) -> Result<Option<usize>, Errno> {
    const NOT_RUN: usize = 255;
    let strings = [&["perl", "-e", script], arguments].concat().join("\0");
    let status = path_call(Op::Run, strings.as_bytes(), [fd.into(), 0.0, 0.0])?;
    Ok((status != NOT_RUN).then_some(status))
}

/// Goes over from the lock `earlier` to `lock`; on failure `earlier` is still held.
pub fn lock(fd: i32, earlier: Lock, lock: Lock) -> Result<(), Errno> {
    let text = |bytes: Vec<u64>| {
        let bytes: Vec<_> = bytes.iter().map(u64::to_string).collect();
        bytes.join(",")
    };
    let only = |a: Lock, b: Lock| a.held().filter(move |byte| b.held().all(|it| it != *byte));
    let arguments = [
        text(lock.held().collect()),
        text(lock.refused().collect()),
        text(only(earlier, lock).collect()),
        text(only(lock, earlier).collect()),
    ];
    match run(LOCK, &arguments.each_ref().map(String::as_str), fd)? {
        Some(LOCKED) => {}
        Some(status) if status == usize::from(Errno::EAGAIN.0) => return Err(Errno::EAGAIN),
        _ => say_that_nothing_is_locked(),
    }
    Ok(())
}

fn say_that_nothing_is_locked() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::warn!("disk images are not locked: Node cannot, and there is no perl that does");
    });
}

/// Makes a FIFO in a folder.
pub fn mkfifo(folder: i32, name: &[u8], mode: u32) -> Result<(), Errno> {
    let mut digits = String::new();
    for byte in name {
        write!(digits, "{byte:02x}").map_err(|_| Errno::ENOMEM)?;
    }
    match run(MKFIFO, &[&digits, &mode.to_string()], folder)? {
        Some(0) => Ok(()),
        Some(error) => Err(u16::try_from(error).map_or(Errno::EIO, Errno)),
        None => Err(Errno::EOPNOTSUPP),
    }
}
