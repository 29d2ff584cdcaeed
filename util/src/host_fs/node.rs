//! The calls of `wasm.c`: one entry, and the operations behind it.
#![expect(unsafe_code, reason = "calls the C function that wraps JavaScript")]

use std::sync::OnceLock;

use include::Errno;

use super::super::OpenFlags;

/// In the order of `calls` in `wasm.c`; a and b are bytes, x, y and z numbers.
#[derive(Clone, Copy, Debug)]
#[repr(i32)]
pub enum Op {
    /// To b: which host this is, and the numbers of [`FLAGS`].
    Constants,
    /// To b: the name of the error that made a call fail with [`NAMED`].
    ErrorName,
    /// The descriptor of a, opened with flags x and mode y.
    Open,
    /// x, like those that follow.
    Close,
    /// To b, from offset y.
    Read,
    /// From a, to offset y.
    Write,
    Fsync,
    Fdatasync,
    /// To y bytes.
    Ftruncate,
    /// To b.
    Fstat,
    Fchmod,
    Fchown,
    Futimes,
    /// a, to b.
    Lstat,
    /// a, which is followed.
    Chmod,
    Lchown,
    Lutimes,
    Mkdir,
    Rmdir,
    Unlink,
    /// b, which says a.
    Symlink,
    /// Of a, to b.
    Readlink,
    /// b is made to be a.
    Link,
    /// a becomes b.
    Rename,
    /// Of a, to b.
    Statfs,
    /// Of a: the number of bytes that `Take` will give.
    List,
    /// To b.
    Take,
    /// The exit status of a program: a is its name and its arguments, with NUL between them; x
    /// becomes its descriptor 3.
    Run,
}

/// The failure of a call whose error has a name and no number of Linux's.
const NAMED: i32 = -65536;

/// In the order in which `Op::Constants` gives their numbers.
const FLAGS: [OpenFlags; 14] = [
    OpenFlags::WRITE,
    OpenFlags::READ_WRITE,
    OpenFlags::CREATE,
    OpenFlags::EXCLUSIVE,
    OpenFlags::TRUNCATE,
    OpenFlags::APPEND,
    OpenFlags::DSYNC,
    OpenFlags::SYNC,
    OpenFlags::DIRECT,
    OpenFlags::NOATIME,
    OpenFlags::DIRECTORY,
    OpenFlags::NOFOLLOW,
    OpenFlags::NONBLOCK,
    OpenFlags::PATH,
];

unsafe extern "C" {
    fn tinamou_fs_call(
        op: i32,
        a: *const u8,
        a_length: u32,
        b: *mut u8,
        b_length: u32,
        x: f64,
        y: f64,
        z: f64,
    ) -> i32;
}

/// Makes a call, again if a signal interrupts it.
pub fn call(op: Op, a: &[u8], b: &mut [u8], [x, y, z]: [f64; 3]) -> Result<usize, Errno> {
    loop {
        let (a_length, b_length) = (a.len() as u32, b.len() as u32); // usize has 32 bits here
        // SAFETY: JavaScript reads the bytes of `a` and reads or writes those of `b`, no others.
        let result = unsafe {
            tinamou_fs_call(
                op as i32,
                a.as_ptr(),
                a_length,
                b.as_mut_ptr(),
                b_length,
                x,
                y,
                z,
            )
        };
        let error = match usize::try_from(result) {
            Ok(count) => return Ok(count),
            Err(_) if result == NAMED => named_error(),
            Err(_) => u16::try_from(-result).map_or(Errno::EIO, Errno),
        };
        if error != Errno::EINTR {
            return Err(error);
        }
    }
}

/// The error of this thread's last call.
fn named_error() -> Errno {
    let mut name = [0; 64];
    let Ok(length) = call(Op::ErrorName, &[], &mut name, [0.0; 3]) else {
        return Errno::EIO;
    };
    match name
        .get(..length)
        .and_then(|name| str::from_utf8(name).ok())
    {
        // Node itself refuses what it cannot make a call of.
        Some("ERR_OUT_OF_RANGE" | "ERR_INVALID_ARG_VALUE") => Errno::EINVAL,
        Some("ENOTSUP") => Errno::EOPNOTSUPP,
        Some(name) => Errno::from_name(name).unwrap_or(Errno::EIO),
        None => Errno::EIO,
    }
}

/// A call with a path.
pub fn path_call(op: Op, path: &[u8], numbers: [f64; 3]) -> Result<usize, Errno> {
    if path.contains(&0) && !matches!(op, Op::Run) {
        return Err(Errno::EINVAL);
    }
    call(op, path, &mut [], numbers)
}

pub fn two_paths(op: Op, a: &[u8], b: &[u8]) -> Result<(), Errno> {
    call(op, a, &mut b.to_vec(), [0.0; 3]).map(|_| ())
}

/// A call that gives numbers.
pub fn words<const N: usize>(op: Op, path: &[u8], x: f64) -> Result<[i64; N], Errno> {
    /// As JavaScript's BigInt64Array wants it.
    #[repr(align(8))]
    struct Aligned<const N: usize>([[u8; 8]; N]);
    let mut bytes = Aligned([[0; 8]; N]);
    call(op, path, bytes.0.as_flattened_mut(), [x, 0.0, 0.0])?;
    Ok(bytes.0.map(i64::from_le_bytes))
}

/// What differs between Node's hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    Linux,
    Windows,
    /// No Node: a page, whose names and numbers are those of `opfs.js`.
    Page,
    Other,
}

struct Constants {
    host: Host,
    flags: [(OpenFlags, u32); FLAGS.len()],
}

fn constants() -> Result<&'static Constants, Errno> {
    static CONSTANTS: OnceLock<Constants> = OnceLock::new();
    if let Some(constants) = CONSTANTS.get() {
        return Ok(constants);
    }
    let [host, numbers @ ..] = words::<{ 1 + FLAGS.len() }>(Op::Constants, &[], 0.0)?;
    let mut flags = FLAGS.map(|flag| (flag, 0));
    for (row, number) in flags.iter_mut().zip(numbers) {
        row.1 = number as u32;
    }
    let host = match host {
        1 => Host::Linux,
        2 => Host::Windows,
        3 => Host::Page,
        _ => Host::Other,
    };
    Ok(CONSTANTS.get_or_init(|| Constants { host, flags }))
}

pub fn host() -> Result<Host, Errno> {
    Ok(constants()?.host)
}

/// The host's numbers of flags.
pub fn flags() -> Result<&'static [(OpenFlags, u32)], Errno> {
    Ok(&constants()?.flags)
}

/// Kind (DT_*) and name.
pub type Entry = (u8, Box<[u8]>);

/// A folder's entries, `.` and `..` first, which Node leaves out.
pub fn list(path: &[u8]) -> Result<Vec<Entry>, Errno> {
    const DT_DIR: u8 = 4;
    let length = path_call(Op::List, path, [0.0; 3])?;
    let mut packed = vec![0; length];
    call(Op::Take, &[], &mut packed, [0.0; 3])?;
    let mut entries: Vec<Entry> = Vec::new();
    entries.extend([&b"."[..], b".."].map(|name| (DT_DIR, name.into())));
    let mut rest = packed.as_slice();
    while let [kind, low, high, tail @ ..] = rest {
        let length = usize::from(u16::from_le_bytes([*low, *high]));
        let (name, tail) = tail.split_at_checked(length).ok_or(Errno::EIO)?;
        entries.push((*kind, name.into()));
        rest = tail;
    }
    Ok(entries)
}
