//! The files of a share in memory, for the JavaScript around the emulator: read, write, list,
//! remove, by path. The guest sees at once what is done here, and the other way round.
//!
//! A request is an operation (u8), a number (u64), another one (u32), the length of a path (u32),
//! the path, and data; little-endian. An answer is an error number (i32, Linux's, 0 for none) and
//! data. JavaScript does not follow symbolic links either.
//!
//! `memory` alone is offered: its calls never wait, and they are made on JavaScript's thread.

use std::sync::Arc;

use include::fsdev::{Attr, Entry, HandleId, NodeId, OpenFlags, Owner, SetAttr, SetTime, mode};
use include::{Errno, FileSystem};

use crate::memory::Memory;

/// How a request says what it wants; `web/src/share.ts` has the same table.
mod operation {
    /// The first number is the offset, the second how much.
    pub const READ: u8 = 1;
    /// The first number is the offset. At offset 0 the file is made, or emptied.
    pub const WRITE: u8 = 2;
    pub const LIST: u8 = 3;
    /// A file, or an empty folder.
    pub const REMOVE: u8 = 4;
    pub const MAKE_FOLDER: u8 = 5;
    pub const STAT: u8 = 6;
    /// The data is the new path.
    pub const RENAME: u8 = 7;
}

/// Bytes of an answer to READ at most.
const READ_MAX: u32 = 16 << 20;

/// Offers a share's files to JavaScript, as the service `share:ID`.
pub fn offer(id: &str, fs: Arc<Memory>) {
    let service = move |request: &[u8]| answer(&*fs, request);
    util::js_host::serve(&format!("share:{id}"), Box::new(service));
}

struct Request<'a> {
    operation: u8,
    number: u64,
    length: u32,
    path: &'a [u8],
    data: &'a [u8],
}

impl<'a> Request<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (&operation, rest) = bytes.split_first()?;
        let (number, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (path_length, rest) = rest.split_first_chunk()?;
        let path_length = u32::from_le_bytes(*path_length) as usize;
        let (path, data) = rest.split_at_checked(path_length)?;
        Some(Self {
            operation,
            number: u64::from_le_bytes(*number),
            length: u32::from_le_bytes(*length),
            path,
            data,
        })
    }
}

/// Carries out a request.
pub fn answer(fs: &dyn FileSystem, request: &[u8]) -> Vec<u8> {
    let request = Request::parse(request).ok_or(Errno::EINVAL);
    match request.and_then(|request| carry_out(fs, &request)) {
        Ok(data) => [&0_i32.to_le_bytes()[..], &data].concat(),
        Err(errno) => i32::from(errno.0).to_le_bytes().to_vec(),
    }
}

fn carry_out(fs: &dyn FileSystem, request: &Request<'_>) -> Result<Vec<u8>, Errno> {
    match request.operation {
        operation::READ => read(fs, request),
        operation::WRITE => write(fs, request).map(|()| Vec::new()),
        operation::LIST => list(fs, request.path),
        operation::REMOVE => remove(fs, request.path).map(|()| Vec::new()),
        operation::MAKE_FOLDER => make_folder(fs, request.path).map(|()| Vec::new()),
        operation::STAT => stat(fs, request.path),
        operation::RENAME => rename(fs, request.path, request.data).map(|()| Vec::new()),
        _ => Err(Errno::EINVAL),
    }
}

/// A node that is given back in the end.
struct Held<'a> {
    fs: &'a dyn FileSystem,
    entry: Entry,
}

impl Held<'_> {
    fn node(&self) -> NodeId {
        self.entry.node
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.fs.forget(self.entry.node);
    }
}

/// An open file that is closed in the end.
struct Open<'a>(&'a dyn FileSystem, HandleId);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.close(self.1);
    }
}

/// A path's components; `.` and empty ones count for nothing, `..` is refused by the file system.
fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    let parts = path.split(|byte| *byte == b'/');
    parts.filter(|part| !part.is_empty() && *part != b".")
}

fn walk<'a, 'b>(
    fs: &'a dyn FileSystem,
    names: impl Iterator<Item = &'b [u8]>,
) -> Result<Held<'a>, Errno> {
    let hold = |entry| Held { fs, entry };
    let mut at = hold(fs.root()?);
    for name in names {
        at = hold(fs.lookup(at.node(), name)?);
    }
    Ok(at)
}

fn find<'a>(fs: &'a dyn FileSystem, path: &[u8]) -> Result<Held<'a>, Errno> {
    walk(fs, components(path))
}

/// The folder of a path's last component, and that component.
fn split<'a, 'b>(fs: &'a dyn FileSystem, path: &'b [u8]) -> Result<(Held<'a>, &'b [u8]), Errno> {
    let mut names = components(path);
    let last = names.next_back().ok_or(Errno::EINVAL)?;
    Ok((walk(fs, names)?, last))
}

fn read(fs: &dyn FileSystem, request: &Request<'_>) -> Result<Vec<u8>, Errno> {
    let file = find(fs, request.path)?;
    let (handle, attr) = fs.open(file.node(), OpenFlags(OpenFlags::READ_ONLY))?;
    let open = Open(fs, handle);
    if attr.is_folder() {
        return Err(Errno::EISDIR);
    }
    let left = attr.size.saturating_sub(request.number);
    let mut data = vec![0; left.min(request.length.min(READ_MAX).into()) as usize];
    let count = fs.read(open.1, request.number, &mut data)?;
    data.truncate(count);
    Ok(data)
}

fn write(fs: &dyn FileSystem, request: &Request<'_>) -> Result<(), Errno> {
    let (folder, name) = split(fs, request.path)?;
    let open = if request.number == 0 {
        let flags = OpenFlags(OpenFlags::WRITE_ONLY | OpenFlags::TRUNCATE);
        let (entry, handle) = fs.create(folder.node(), name, flags, 0o644, Owner::default())?;
        fs.forget(entry.node);
        Open(fs, handle)
    } else {
        let file = Held {
            fs,
            entry: fs.lookup(folder.node(), name)?,
        };
        let flags = OpenFlags(OpenFlags::WRITE_ONLY);
        Open(fs, fs.open(file.node(), flags)?.0)
    };
    let mut done = 0;
    while done < request.data.len() {
        let at = request.number.checked_add(done as u64);
        match fs.write(open.1, at.ok_or(Errno::EFBIG)?, &request.data[done..])? {
            0 => return Err(Errno::EIO),
            count => done += count,
        }
    }
    Ok(())
}

/// Type and permissions (u32), size (u64), and the time of the last change in ns (u64).
fn attributes(attr: &Attr) -> Vec<u8> {
    let time = attr.modified;
    let seconds = u64::try_from(time.seconds).unwrap_or(0);
    let ns = seconds.saturating_mul(1_000_000_000);
    let ns = ns.saturating_add(time.nanoseconds.into());
    let parts = [
        &attr.mode.to_le_bytes()[..],
        &attr.size.to_le_bytes(),
        &ns.to_le_bytes(),
    ];
    parts.concat()
}

fn stat(fs: &dyn FileSystem, path: &[u8]) -> Result<Vec<u8>, Errno> {
    Ok(attributes(&find(fs, path)?.entry.attr))
}

/// For each name its length (u32), attributes and the name itself.
fn list(fs: &dyn FileSystem, path: &[u8]) -> Result<Vec<u8>, Errno> {
    let folder = find(fs, path)?;
    let flags = OpenFlags(OpenFlags::READ_ONLY | OpenFlags::FOLDER);
    let open = Open(fs, fs.open(folder.node(), flags)?.0);
    let mut names = Vec::new();
    fs.read_dir(open.1, 0, &mut |entry| {
        if !matches!(entry.name, b"." | b"..") {
            names.push(entry.name.to_vec());
        }
        true
    })?;
    let mut data = Vec::new();
    for name in names {
        // It may have been removed meanwhile.
        if let Ok(entry) = fs.lookup(folder.node(), &name) {
            let held = Held { fs, entry };
            data.extend((name.len() as u32).to_le_bytes());
            data.extend(attributes(&held.entry.attr));
            data.extend(name);
        }
    }
    Ok(data)
}

fn remove(fs: &dyn FileSystem, path: &[u8]) -> Result<(), Errno> {
    let (folder, name) = split(fs, path)?;
    let entry = fs.lookup(folder.node(), name)?;
    let held = Held { fs, entry };
    let is_folder = held.entry.attr.is_folder();
    fs.unlink(folder.node(), name, is_folder)
}

fn make_folder(fs: &dyn FileSystem, path: &[u8]) -> Result<(), Errno> {
    let (folder, name) = split(fs, path)?;
    let made = fs.make_folder(folder.node(), name, 0o755, Owner::default())?;
    fs.forget(made.node);
    Ok(())
}

fn rename(fs: &dyn FileSystem, path: &[u8], new_path: &[u8]) -> Result<(), Errno> {
    let (folder, name) = split(fs, path)?;
    let (new_folder, new_name) = split(fs, new_path)?;
    fs.rename(folder.node(), name, new_folder.node(), new_name)?;
    let changes = SetAttr {
        modified: Some(SetTime::Now),
        ..SetAttr::default()
    };
    // Whoever looks for new files by their times sees it.
    let moved = find(fs, new_path)?;
    match moved.entry.attr.kind() {
        mode::REGULAR => fs.set_attr(moved.node(), None, &changes),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(
        fs: &Memory,
        operation: u8,
        number: u64,
        path: &str,
        data: &[u8],
    ) -> Result<Vec<u8>, i32> {
        let mut request = vec![operation];
        request.extend(number.to_le_bytes());
        request.extend(u32::MAX.to_le_bytes());
        request.extend((path.len() as u32).to_le_bytes());
        request.extend(path.as_bytes());
        request.extend(data);
        let answer = answer(fs, &request);
        let (errno, data) = answer.split_first_chunk().unwrap();
        match i32::from_le_bytes(*errno) {
            0 => Ok(data.to_vec()),
            errno => Err(errno),
        }
    }

    #[test]
    fn files_are_written_and_read() {
        let fs = Memory::new(1 << 20);
        use operation::*;
        assert_eq!(ask(&fs, MAKE_FOLDER, 0, "/a", b""), Ok(vec![]));
        assert_eq!(ask(&fs, WRITE, 0, "a/b", b"hello"), Ok(vec![]));
        assert_eq!(ask(&fs, WRITE, 5, "a/./b", b" there"), Ok(vec![]));
        assert_eq!(
            ask(&fs, READ, 0, "//a//b", b""),
            Ok(b"hello there".to_vec())
        );
        assert_eq!(ask(&fs, READ, 6, "a/b", b""), Ok(b"there".to_vec()));
        assert_eq!(ask(&fs, READ, 99, "a/b", b""), Ok(vec![]));
        let list = ask(&fs, LIST, 0, "a", b"").unwrap();
        assert_eq!((list.len(), &list[24..]), (25, &b"b"[..]));
        assert_eq!(list[8..16], 11_u64.to_le_bytes());
        assert_eq!(ask(&fs, RENAME, 0, "a/b", b"c"), Ok(vec![]));
        assert_eq!(ask(&fs, REMOVE, 0, "a", b""), Ok(vec![]));
        assert_eq!(ask(&fs, WRITE, 0, "c", b"x"), Ok(vec![]));
        assert_eq!(ask(&fs, READ, 0, "c", b""), Ok(b"x".to_vec()));
        assert_eq!(fs.in_use(), (0, 0));
    }

    #[test]
    fn mistakes_have_numbers() {
        let fs = Memory::new(1 << 20);
        use operation::*;
        for (operation, path, errno) in [
            (READ, "x", Errno::ENOENT),
            (READ, "/", Errno::EISDIR),
            (READ, "../x", Errno::ENOENT),
            (WRITE, "", Errno::EINVAL),
            (WRITE, "x/y", Errno::ENOENT),
            (REMOVE, "/", Errno::EINVAL),
            (99, "x", Errno::EINVAL),
        ] {
            let answer = ask(&fs, operation, 0, path, b"");
            assert_eq!(answer, Err(errno.0.into()), "{operation} {path}");
        }
        let full = ask(&fs, WRITE, 0, "big", &vec![1; 2 << 20]);
        assert_eq!(full, Err(Errno::ENOSPC.0.into()));
        for bytes in [
            &[][..],
            &[1],
            &[1; 17],
            &[1, 0, 0, 0, 0, 0, 0, 0, 0, 9, 9, 9, 9, 9],
        ] {
            assert_eq!(
                answer(&*fs, bytes),
                i32::from(Errno::EINVAL.0).to_le_bytes()
            );
        }
        assert_eq!(fs.in_use(), (0, 0));
    }
}
