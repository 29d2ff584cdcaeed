//! getattr, setattr, statfs, special files, extended attributes.

use include::Errno;

use super::client::TOP;
use super::drivers::{on_every_driver, on_every_driver_with_xattrs};
use crate::ninep::protocol::*;

#[test]
fn modes_and_owners_are_kept() {
    on_every_driver(|client| {
        let file = client.create_with(TOP, b"file", 2, 0o4751).unwrap();
        assert_eq!(client.getattr(file).unwrap().mode, 0o104751);
        let change = |fid, valid, mode, uid, gid| Tsetattr {
            fid,
            valid,
            mode,
            uid,
            gid,
            ..Tsetattr::default()
        };
        client.setattr(change(file, 6, 0, 1234, 5678)).unwrap();
        client.setattr(change(file, 1, 0o106755, 9, 9)).unwrap();
        let attr = client.getattr(file).unwrap();
        assert_eq!((attr.mode, attr.uid, attr.gid), (0o106755, 1234, 5678));
        client.setattr(change(file, 4, 0, 9, 77)).unwrap();
        let attr = client.getattr(file).unwrap();
        assert_eq!((attr.uid, attr.gid), (1234, 77));
        let folder = client.mkdir(TOP, b"folder").unwrap();
        client.setattr(change(folder, 1, 0o41777, 9, 9)).unwrap();
        assert_eq!(client.getattr(folder).unwrap().mode, 0o41777);
        let again = client.walk(TOP, &[b"file"]).unwrap();
        assert_eq!(client.getattr(again).unwrap().gid, 77);
    });
}

#[test]
fn times_are_kept() {
    on_every_driver(|client| {
        let fid = client.create(TOP, b"file").unwrap();
        let times = Tsetattr {
            fid,
            valid: 0x10 | 0x20 | 0x80 | 0x100,
            atime_sec: 1_000_000_000,
            atime_nsec: 123_456_789,
            mtime_sec: 5_000_000_000,
            mtime_nsec: 999_999_999,
            ..Tsetattr::default()
        };
        client.setattr(times.clone()).unwrap();
        let attr = client.getattr(fid).unwrap();
        assert_eq!(
            (attr.atime_sec, attr.atime_nsec),
            (1_000_000_000, 123_456_789)
        );
        assert_eq!(
            (attr.mtime_sec, attr.mtime_nsec),
            (5_000_000_000, 999_999_999)
        );
        assert!(attr.ctime_sec > 1_600_000_000);
        client
            .setattr(Tsetattr {
                valid: 0x20,
                ..times.clone()
            })
            .unwrap();
        let now = client.getattr(fid).unwrap();
        assert_eq!(now.atime_sec, 1_000_000_000);
        assert!(now.mtime_sec > 1_600_000_000 && now.mtime_sec < 5_000_000_000);
        let bad = Tsetattr {
            mtime_nsec: 1_000_000_000,
            ..times
        };
        assert_eq!(client.setattr(bad), Err(Errno::EINVAL));
    });
}

#[test]
fn special_files_are_only_names() {
    on_every_driver(|client| {
        let cases = [
            (&b"fifo"[..], 0o010640, (0, 0)),
            (b"socket", 0o140600, (0, 0)),
            (b"null", 0o020666, (1, 3)),
            (b"disk", 0o060600, (259, 300)),
            (b"file", 0o100644, (0, 0)),
        ];
        for (name, mode, (major, minor)) in cases {
            client.mknod(TOP, name, mode, (major, minor)).unwrap();
            let fid = client.walk(TOP, &[name]).unwrap();
            let attr = client.getattr(fid).unwrap();
            assert_eq!(attr.mode, mode, "{name:?}");
            let rdev = include::fsdev::device_number(major, minor);
            assert_eq!(attr.rdev, rdev, "{name:?}");
            let opened = client.open(fid, 0);
            assert_eq!(opened.is_ok(), name == b"file", "{name:?}");
        }
        assert!(client.mknod(TOP, b"x", 0o170000, (0, 0)).is_err());
        assert!(client.mknod(TOP, b"x", 0o040755, (0, 0)).is_err());
    });
}

#[test]
fn statfs_answers() {
    on_every_driver(|client| {
        let stat = client.statfs(TOP).unwrap();
        assert_eq!((stat.kind, stat.namelen), (0x0102_1997, 255));
        assert!(stat.bsize > 0 && stat.blocks > 0 && stat.bfree <= stat.blocks);
    });
}

#[test]
fn extended_attributes() {
    on_every_driver_with_xattrs(|client| {
        let file = client.create(TOP, b"file").unwrap();
        assert_eq!(client.xattr(file, b"user.none"), Err(Errno::ENODATA));
        let value: Vec<u8> = (0..3000).map(|number| number as u8).collect();
        client.set_xattr(file, b"user.one", &value, 0).unwrap();
        client.set_xattr(file, b"user.two", b"2", 1).unwrap();
        assert_eq!(client.xattr(file, b"user.one").unwrap(), value);
        assert_eq!(
            client.set_xattr(file, b"user.two", b"3", 1),
            Err(Errno::EEXIST)
        );
        assert_eq!(
            client.set_xattr(file, b"user.new", b"3", 2),
            Err(Errno::ENODATA)
        );
        let names = client.xattr(file, b"").unwrap();
        let mut names: Vec<_> = names.split_inclusive(|byte| *byte == 0).collect();
        names.sort();
        assert_eq!(names, [b"user.one\0", b"user.two\0"]);
        // Replacing by nothing is how Linux removes.
        client.set_xattr(file, b"user.one", b"", 2).unwrap();
        assert_eq!(client.xattr(file, b"user.one"), Err(Errno::ENODATA));
        assert_eq!(
            client.set_xattr(file, b"user.one", b"", 2),
            Err(Errno::ENODATA)
        );
        client.set_xattr(file, b"user.one", b"", 0).unwrap();
        assert_eq!(client.xattr(file, b"user.one").unwrap(), b"");
        assert_eq!(
            client.set_xattr(file, b"user.x", &[0; 70_000], 0),
            Err(Errno::E2BIG)
        );
    });
}

#[test]
fn values_of_attributes_must_be_complete() {
    on_every_driver_with_xattrs(|client| {
        let file = client.create(TOP, b"file").unwrap();
        let fid = client.walk(file, &[]).unwrap();
        let message = |attr_size, name: &[u8], flags| Txattrcreate {
            fid,
            name: name.to_vec(),
            attr_size,
            flags,
        };
        for bad in [
            message(10, b"", 0),
            message(10, b"user.x", 3 << 4),
            message(u64::MAX, b"user.x", 0),
            message(10, &[b'x'; 300], 0),
        ] {
            assert_eq!(client.rpc(bad).name(), "Rlerror");
        }
        assert_eq!(client.rpc(message(10, b"user.x", 0)).name(), "Rxattrcreate");
        assert_eq!(
            client.rpc(message(10, b"user.x", 0)).name(),
            "Rlerror",
            "twice"
        );
        assert_eq!(client.write(fid, 11, b"x"), Err(Errno::ENOSPC));
        assert_eq!(client.write(fid, u64::MAX, b"x"), Err(Errno::ENOSPC));
        assert_eq!(client.write(fid, 8, b"xyz"), Ok(2));
        assert_eq!(client.read(fid, 0, 1), Err(Errno::EBADF));
        assert_eq!(client.clunk(fid), Err(Errno::EINVAL));
        assert_eq!(
            client.clunk(fid),
            Err(Errno::EBADF),
            "it is gone all the same"
        );
        assert_eq!(client.xattr(file, b"user.x"), Err(Errno::ENODATA));
    });
}

/// All ones is nobody: the owner stays who it is.
#[test]
fn nobody_owns_nothing() {
    on_every_driver(|client| {
        let nobody = Tattach {
            fid: 90,
            afid: u32::MAX,
            n_uname: u32::MAX,
            ..Tattach::default()
        };
        assert_eq!(client.rpc(nobody).name(), "Rattach");
        client.create(90, b"file").unwrap();
        client.mkdir(90, b"folder").unwrap();
        client.symlink(90, b"link", b"x").unwrap();
        let file = client.walk(90, &[b"file"]).unwrap();
        let owner = |uid, gid| Tsetattr {
            fid: file,
            valid: 6,
            uid,
            gid,
            ..Tsetattr::default()
        };
        client.setattr(owner(7, 8)).unwrap();
        client.setattr(owner(u32::MAX, u32::MAX)).unwrap();
        let attr = client.getattr(file).unwrap();
        assert_eq!((attr.uid, attr.gid), (7, 8));
    });
}

/// A file with two names has one owner and one mode.
#[test]
fn names_of_a_file_share_attributes() {
    on_every_driver(|client| {
        let one = client.create(TOP, b"one").unwrap();
        client.link(TOP, one, b"two").unwrap();
        let one = client.walk(TOP, &[b"one"]).unwrap();
        let two = client.walk(TOP, &[b"two"]).unwrap();
        for (number, (to, from)) in [(one, two), (two, one), (one, two)].into_iter().enumerate() {
            client.getattr(from).unwrap();
            let mode = 0o400 + number as u32;
            let change = Tsetattr {
                fid: to,
                valid: 7,
                mode,
                uid: 5,
                gid: mode,
                ..Tsetattr::default()
            };
            client.setattr(change).unwrap();
            let attr = client.getattr(from).unwrap();
            assert_eq!((attr.mode & 0o777, attr.uid, attr.gid), (mode, 5, mode));
        }
    });
}
