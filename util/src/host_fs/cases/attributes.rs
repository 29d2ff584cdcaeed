//! What a file is: modes, owners, times, sizes, extended attributes.

use include::Errno;

use super::{Folder, IS_NODE};
use crate::host_fs::{FileTime, OpenFlags, SELF, SetTime, XattrSet};

pub fn modes_and_owners() {
    let folder = Folder::create();
    let dir = &folder.dir;
    let file = folder.file(b"file");
    dir.mkdir(b"sub", 0o700).unwrap();
    for mode in [0o000, 0o444, 0o640, 0o755, 0o1777, 0o4711] {
        dir.chmod(b"file", mode).unwrap();
        assert_eq!(dir.stat(b"file").unwrap().mode & 0o7777, mode);
        assert!(file.stat().unwrap().is_file());
        dir.chmod(b"sub", mode).unwrap();
        assert_eq!(dir.stat(b"sub").unwrap().mode & 0o7777, mode);
    }
    dir.chmod(b"sub", 0o700).unwrap();
    file.chmod(0o604).unwrap();
    assert_eq!(file.stat().unwrap().mode, 0o100_604);
    dir.chmod(SELF, 0o711).unwrap();
    assert_eq!(dir.stat_self().unwrap().mode, 0o040_711);

    let me = file.stat().unwrap();
    dir.chown(b"file", Some(me.uid), Some(me.gid)).unwrap();
    dir.chown(b"file", None, None).unwrap();
    file.chown(None, Some(me.gid)).unwrap();
    dir.chown(SELF, Some(me.uid), None).unwrap();
    assert_eq!(dir.chown(b"none", Some(1), None), Err(Errno::ENOENT));
    assert_eq!(dir.chown(b"file", Some(u32::MAX), None), Err(Errno::EINVAL));
    if me.uid == 0 {
        dir.symlink(b"file", b"link").unwrap();
        dir.chown(b"link", Some(12345), Some(3_000_000_000))
            .unwrap();
        let link = dir.stat(b"link").unwrap();
        assert_eq!((link.uid, link.gid), (12345, 3_000_000_000));
        assert_eq!(file.stat().unwrap().uid, 0);
        file.chown(Some(54321), None).unwrap();
        assert_eq!(dir.stat(b"file").unwrap().uid, 54321);
    }
}

/// Node's times are doubles of seconds, and older ones cut them to microseconds.
fn is_close(found: FileTime, wanted: FileTime) -> bool {
    let nanos = |time: FileTime| i128::from(time.sec) * 1_000_000_000 + i128::from(time.nsec);
    let off = (nanos(found) - nanos(wanted)).abs();
    off <= if IS_NODE { 1000 } else { 0 }
}

pub fn times() {
    let folder = Folder::create();
    let dir = &folder.dir;
    let file = folder.file(b"file");
    dir.symlink(b"file", b"link").unwrap();
    dir.mkdir(b"sub", 0o700).unwrap();
    let old = |sec, nsec| FileTime { sec, nsec };
    for (atime, mtime) in [
        (old(1_700_000_000, 123_456_789), old(1_000_000_000, 0)),
        (old(0, 0), old(1, 500_000_000)),
        (old(4_000_000_000, 999_999_000), old(2_147_483_648, 1)),
        (old(-1000, 500_000_000), old(-1, 0)),
    ] {
        for name in [&b"file"[..], b"link", b"sub", SELF] {
            let (a, m) = (SetTime::To(atime), SetTime::To(mtime));
            dir.utimens(name, a, m).unwrap();
            let found = dir.stat(name).unwrap();
            assert!(is_close(found.atime, atime), "{:?} {atime:?}", found.atime);
            assert!(is_close(found.mtime, mtime), "{:?} {mtime:?}", found.mtime);
        }
    }
    let (then, now) = (old(1_600_000_000, 250_000_000), SetTime::Now);
    file.utimens(SetTime::To(then), SetTime::To(then)).unwrap();
    file.utimens(SetTime::Omit, now).unwrap();
    let found = file.stat().unwrap();
    assert!(is_close(found.atime, then), "{:?}", found.atime);
    assert!(found.mtime.sec > 1_700_000_000 && found.mtime.sec <= found.ctime.sec);
    dir.utimens(b"file", now, SetTime::Omit).unwrap();
    let later = dir.stat(b"file").unwrap();
    assert!(is_close(later.mtime, found.mtime));
    assert!(later.atime.sec >= found.mtime.sec);
    let bad = SetTime::To(old(0, 1_000_000_000));
    assert_eq!(dir.utimens(b"file", bad, now), Err(Errno::EINVAL));
    assert_eq!(file.utimens(now, bad), Err(Errno::EINVAL));
    assert_eq!(dir.utimens(b"none", now, now), Err(Errno::ENOENT));
}

pub fn sizes() {
    let folder = Folder::create();
    let dir = &folder.dir;
    folder.write(b"file", b"0123456789");
    dir.truncate(b"file", 4).unwrap();
    assert_eq!(folder.read(b"file"), b"0123");
    dir.truncate(b"file", 5 << 30).unwrap();
    assert_eq!(dir.stat(b"file").unwrap().size, 5 << 30);
    dir.mkdir(b"sub", 0o700).unwrap();
    assert_eq!(dir.truncate(b"sub", 0), Err(Errno::EISDIR));
    assert_eq!(dir.truncate(b"none", 0), Err(Errno::ENOENT));
    let stat = dir.stat(b"file").unwrap();
    assert!(stat.blksize >= 512 && stat.nlink == 1 && stat.dev != 0);
    let file = dir.open_file(b"file", OpenFlags::READ).unwrap();
    assert_eq!(file.stat().unwrap(), stat);
    let born = stat.btime.unwrap_or(stat.ctime);
    assert!(born.sec > 1_700_000_000 && born <= stat.ctime);
}

pub fn extended_attributes() {
    let folder = Folder::create();
    let dir = &folder.dir;
    let file = folder.file(b"file");
    let first = dir.xattr_set(b"file", b"user.one", b"\xff\0 value", XattrSet::Either);
    if IS_NODE {
        assert_eq!(first, Err(Errno::EOPNOTSUPP));
        assert_eq!(dir.xattr_list(b"file"), Err(Errno::EOPNOTSUPP));
        assert_eq!(file.xattr_get(b"user.one"), Err(Errno::EOPNOTSUPP));
        return;
    }
    if first == Err(Errno::EOPNOTSUPP) {
        return; // the file system has none
    }
    first.unwrap();
    assert_eq!(file.xattr_get(b"user.one").unwrap(), b"\xff\0 value");
    let create = dir.xattr_set(b"file", b"user.one", b"", XattrSet::Create);
    assert_eq!(create, Err(Errno::EEXIST));
    let replace = file.xattr_set(b"user.two", b"2", XattrSet::Replace);
    assert_eq!(replace, Err(Errno::ENODATA));
    file.xattr_set(b"user.two", b"", XattrSet::Create).unwrap();
    assert_eq!(dir.xattr_get(b"file", b"user.two").unwrap(), b"");
    let list = dir.xattr_list(b"file").unwrap();
    let mut names: Vec<_> = list.split(|byte| *byte == 0).collect();
    names.sort_unstable();
    assert_eq!(&names[names.len() - 2..], [&b"user.one"[..], b"user.two"]);
    assert_eq!(file.xattr_list().unwrap(), list);
    dir.xattr_remove(b"file", b"user.one").unwrap();
    assert_eq!(file.xattr_remove(b"user.one"), Err(Errno::ENODATA));
    let gone = dir.xattr_get(b"file", b"user.one");
    assert_eq!(gone, Err(Errno::ENODATA));

    dir.xattr_set(SELF, b"user.dir", b"d", XattrSet::Either)
        .unwrap();
    assert_eq!(dir.xattr_get(SELF, b"user.dir").unwrap(), b"d");
    // A symbolic link has none of these, and its target is not asked.
    dir.symlink(b"file", b"link").unwrap();
    assert!(dir.xattr_get(b"link", b"user.two").is_err());
    assert!(
        dir.xattr_set(b"link", b"user.three", b"", XattrSet::Either)
            .is_err()
    );
    assert_eq!(dir.xattr_get(b"none", b"user.one"), Err(Errno::ENOENT));
    let nul = dir.xattr_get(b"file", b"user.\0");
    assert_eq!(nul, Err(Errno::EINVAL));
}

pub fn file_systems() {
    let folder = Folder::create();
    let found = folder.dir.statfs().unwrap();
    assert!(found.bsize >= 512 && found.blocks > 0 && found.namelen >= 255);
    assert!(found.bavail <= found.bfree && found.bfree <= found.blocks);
    assert!(found.ffree <= found.files && found.kind != 0);
}
