//! Open files: reading, writing, truncating, unlinked ones, locks.

use include::Errno;
use include::fsdev::OpenFlags;

use super::client::{MSIZE, TOP};
use super::drivers::on_every_driver;
use crate::ninep::protocol::*;

#[test]
fn reads_what_was_written() {
    on_every_driver(|client| {
        let file = client.create(TOP, b"file").unwrap();
        assert_eq!(client.read(file, 0, 100).unwrap(), b"");
        assert_eq!(client.write(file, 0, b"hello").unwrap(), 5);
        assert_eq!(client.write(file, 3, b"p!").unwrap(), 2);
        assert_eq!(client.write(file, 3, b"").unwrap(), 0);
        assert_eq!(client.read(file, 1, 100).unwrap(), b"elp!");
        assert_eq!(client.read(file, 1, 2).unwrap(), b"el");
        assert_eq!(client.read(file, 5, 2).unwrap(), b"");
        assert_eq!(client.read(file, u64::MAX, 2), Err(Errno::EINVAL));
        client.fsync(file).unwrap();
        let big: Vec<u8> = (0..MSIZE - 24).map(|number| (number * 7) as u8).collect();
        assert_eq!(client.write(file, 5, &big).unwrap(), MSIZE - 24);
        // Not more than a message holds.
        let all = client.read(file, 5, u32::MAX).unwrap();
        assert_eq!(all, big[..all.len()]);
        assert!(all.len() >= big.len() && all.len() <= MSIZE as usize);
    });
}

#[test]
fn offsets_beyond_4_gib() {
    on_every_driver(|client| {
        let file = client.create(TOP, b"file").unwrap();
        let far = (4 << 30) + 5;
        client.write(file, far, b"far").unwrap();
        client.write(file, 5, b"near").unwrap();
        assert_eq!(client.read(file, far - 2, 10).unwrap(), b"\0\0far");
        assert_eq!(client.read(file, 4, 6).unwrap(), b"\0near\0");
        let attr = client.getattr(file).unwrap();
        assert_eq!(attr.size, far + 3);
        assert!(attr.blocks < 1000, "it has a hole");
        assert!(client.write(file, i64::MAX as u64, b"xx").is_err());
        assert!(client.write(file, u64::MAX - 1, b"xx").is_err());
        client.truncate(file, far - 100).unwrap();
        assert_eq!(client.getattr(file).unwrap().size, far - 100);
        assert_eq!(client.truncate(file, u64::MAX), Err(Errno::EINVAL));
    });
}

#[test]
fn truncated_bytes_are_zero_later() {
    on_every_driver(|client| {
        let file = client.create(TOP, b"file").unwrap();
        client.write(file, 0, &[1; 6000]).unwrap();
        client.truncate(file, 10).unwrap();
        client.truncate(file, 6000).unwrap();
        let bytes = client.read(file, 0, 6000).unwrap();
        assert!(bytes[..10] == [1; 10] && bytes[10..].iter().all(|byte| *byte == 0));
        assert_eq!(bytes.len(), 6000);
        assert!(client.truncate(TOP, 0).is_err());
    });
}

#[test]
fn open_flags_count() {
    on_every_driver(|client| {
        let flags = OpenFlags::WRITE_ONLY | OpenFlags::APPEND;
        let append = client.create_with(TOP, b"file", flags, 0o600).unwrap();
        client.write(append, 0, b"one").unwrap();
        client.write(append, 0, b"two").unwrap();
        assert_eq!(client.read(append, 0, 10), Err(Errno::EBADF));
        let reader = client.walk(TOP, &[b"file"]).unwrap();
        client.open(reader, OpenFlags::READ_ONLY).unwrap();
        assert_eq!(client.read(reader, 0, 10).unwrap(), b"onetwo");
        assert_eq!(client.write(reader, 0, b"x"), Err(Errno::EBADF));
        assert_eq!(
            client.open(reader, OpenFlags::READ_ONLY),
            Err(Errno::EINVAL),
            "twice"
        );
        let cut = client.walk(TOP, &[b"file"]).unwrap();
        client
            .open(cut, OpenFlags::READ_WRITE | OpenFlags::TRUNCATE)
            .unwrap();
        assert_eq!(client.read(reader, 0, 10).unwrap(), b"");
        // As Linux sends it: flags that a server need not know.
        let noisy = client.walk(TOP, &[b"file"]).unwrap();
        let flags = OpenFlags::READ_WRITE | OpenFlags::LARGE | OpenFlags::NONBLOCK | 0o2_000_000;
        client.open(noisy, flags).unwrap();
        let wrong = client.walk(TOP, &[b"file"]).unwrap();
        let flags = OpenFlags::READ_ONLY | OpenFlags::FOLDER;
        assert_eq!(client.open(wrong, flags), Err(Errno::ENOTDIR));
        assert!(
            client.open(wrong, OpenFlags::READ_ONLY).is_ok(),
            "it can be tried again"
        );
    });
}

#[test]
fn creating_opens_what_is_there() {
    on_every_driver(|client| {
        let file = client.create(TOP, b"file").unwrap();
        client.write(file, 0, b"old").unwrap();
        let again = client.create(TOP, b"file").unwrap();
        assert_eq!(client.read(again, 0, 10).unwrap(), b"old");
        let flags = OpenFlags::READ_WRITE | OpenFlags::EXCLUSIVE;
        let refused = client.create_with(TOP, b"file", flags, 0o644);
        assert_eq!(refused, Err(Errno::EEXIST));
        let flags = OpenFlags::READ_WRITE | OpenFlags::TRUNCATE;
        let cut = client.create_with(TOP, b"file", flags, 0o644).unwrap();
        assert_eq!(client.read(cut, 0, 10).unwrap(), b"");
        client.mkdir(TOP, b"folder").unwrap();
        assert_eq!(client.create(TOP, b"folder"), Err(Errno::EISDIR));
        client.symlink(TOP, b"link", b"file").unwrap();
        assert_eq!(client.create(TOP, b"link"), Err(Errno::ELOOP));
    });
}

#[test]
fn unlinked_files_work_while_they_are_open() {
    on_every_driver(|client| {
        let file = client.create(TOP, b"file").unwrap();
        client.unlink(TOP, b"file", false).unwrap();
        client.write(file, 0, b"still here").unwrap();
        assert_eq!(client.read(file, 0, 100).unwrap(), b"still here");
        client.truncate(file, 5).unwrap();
        let attr = client.getattr(file).unwrap();
        assert_eq!((attr.size, attr.nlink), (5, 0));
        client.fsync(file).unwrap();
        client
            .setattr(Tsetattr {
                fid: file,
                valid: 1,
                mode: 0o100400,
                ..Tsetattr::default()
            })
            .unwrap();
        assert_eq!(client.getattr(file).unwrap().mode, 0o100400);
        assert_eq!(client.list(TOP).unwrap(), [b""; 0]);
        client.clunk(file).unwrap();
    });
}

#[test]
fn folders_are_no_files() {
    on_every_driver(|client| {
        let folder = client.mkdir(TOP, b"folder").unwrap();
        assert_eq!(
            client.open(folder, OpenFlags::READ_WRITE),
            Err(Errno::EISDIR)
        );
        client
            .open(folder, OpenFlags::READ_ONLY | OpenFlags::FOLDER)
            .unwrap();
        assert_eq!(client.read(folder, 0, 10), Err(Errno::EISDIR));
        assert_eq!(client.write(folder, 0, b"x"), Err(Errno::EISDIR));
        client.fsync(folder).unwrap();
        let file = client.create(TOP, b"file").unwrap();
        assert_eq!(client.readdir(file, 1000), Err(Errno::ENOTDIR));
    });
}

/// Locks are Linux's own affair; see the server.
#[test]
fn locks_succeed() {
    on_every_driver(|client| {
        let file = client.create(TOP, b"file").unwrap();
        for kind in 0..=2 {
            assert_eq!(client.lock(file, kind), Ok(0));
        }
        assert_eq!(client.lock(file, 3), Err(Errno::EINVAL));
        let answer = client.getlock(file).unwrap();
        assert_eq!((answer.kind, answer.length), (2, 10));
        assert_eq!(client.lock(TOP, 1), Err(Errno::EBADF));
    });
}

#[test]
fn fids_that_are_not_open_do_nothing() {
    on_every_driver(|client| {
        client.create(TOP, b"file").unwrap();
        let fid = client.walk(TOP, &[b"file"]).unwrap();
        assert_eq!(client.read(fid, 0, 1), Err(Errno::EBADF));
        assert_eq!(client.write(fid, 0, b"x"), Err(Errno::EBADF));
        assert_eq!(client.readdir(fid, 1000), Err(Errno::EBADF));
        assert_eq!(client.fsync(fid), Err(Errno::EBADF));
        client.clunk(fid).unwrap();
        assert_eq!(client.clunk(fid), Err(Errno::EBADF));
    });
}
