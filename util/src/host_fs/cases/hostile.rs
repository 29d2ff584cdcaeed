//! What a guest or a bystander may try: nothing outside of the folder is reached, nothing hangs.

use include::Errno;

use super::{Folder, IS_NODE};
use crate::host_fs::{HostDir, OpenFlags, SELF, SetTime, XattrSet, mode};

/// Each operation with a name, on `name`; what all of them answer.
fn everything(dir: &HostDir, name: &[u8]) -> Vec<Option<Errno>> {
    let now = SetTime::Now;
    vec![
        dir.open_dir(name).err(),
        dir.create(name, OpenFlags::WRITE, 0o600).err(),
        dir.mkdir(name, 0o700).err(),
        dir.mknod(name, mode::S_IFREG, 0).err(),
        dir.symlink(b"target", name).err(),
        dir.readlink(name).err(),
        dir.link_from(dir, name, b"new").err(),
        dir.link_from(dir, b"file", name).err(),
        dir.unlink(name).err(),
        dir.rmdir(name).err(),
        dir.rename_to(name, dir, b"new").err(),
        dir.rename_to(b"file", dir, name).err(),
        dir.truncate(name, 0).err(),
        // Those that follow take the folder itself.
        dir.open_file(name, OpenFlags::READ).err(),
        dir.stat(name).err(),
        dir.chmod(name, 0o700).err(),
        dir.chown(name, None, None).err(),
        dir.utimens(name, now, now).err(),
        dir.xattr_get(name, b"user.x").err(),
        dir.xattr_set(name, b"user.x", b"", XattrSet::Either).err(),
        dir.xattr_list(name).err(),
        dir.xattr_remove(name, b"user.x").err(),
    ]
}

pub fn names_that_are_none() {
    let folder = Folder::create();
    folder.write(b"file", b"x");
    folder.dir.mkdir(b"sub", 0o700).unwrap();
    for name in [
        &b".."[..],
        b"/",
        b"/etc",
        b"sub/file",
        b"../file",
        b"sub/",
        b"./file",
        b"a\0b",
        b"\0",
        b"file\0",
    ] {
        for (index, error) in everything(&folder.dir, name).into_iter().enumerate() {
            assert_eq!(
                error,
                Some(Errno::EINVAL),
                "{index}: {}",
                name.escape_ascii()
            );
        }
    }
    for error in everything(&folder.dir, b"") {
        assert_eq!(error, Some(Errno::ENOENT));
    }
    for error in &everything(&folder.dir, SELF)[..13] {
        assert_eq!(*error, Some(Errno::EINVAL));
    }
    assert_eq!(folder.names(), [&b"file"[..], b"sub"]);
}

pub fn links_are_not_followed() {
    let (folder, outside) = (Folder::create(), Folder::create());
    let dir = &folder.dir;
    outside.write(b"secret", b"secret");
    outside.dir.chmod(b"secret", 0o640).unwrap();
    let before = outside.dir.stat(b"secret").unwrap();
    let file_path = format!("{}/secret", outside.path);
    dir.symlink(file_path.as_bytes(), b"file").unwrap();
    dir.symlink(outside.path.as_bytes(), b"folder").unwrap();
    dir.symlink(b"nowhere", b"dangling").unwrap();
    dir.symlink(b"loop", b"loop").unwrap();

    for name in [&b"file"[..], b"folder", b"dangling", b"loop"] {
        assert_eq!(dir.open_dir(name).unwrap_err(), Errno::ENOTDIR);
        for flags in [OpenFlags::READ, OpenFlags::WRITE | OpenFlags::TRUNCATE] {
            assert_eq!(dir.open_file(name, flags).unwrap_err(), Errno::ELOOP);
            assert_eq!(dir.create(name, flags, 0o600).unwrap_err(), Errno::ELOOP);
        }
        assert_eq!(dir.mkdir(name, 0o700), Err(Errno::EEXIST));
        assert_eq!(dir.chmod(name, 0o777), Err(Errno::EOPNOTSUPP));
        assert_eq!(dir.truncate(name, 0), Err(Errno::ELOOP));
        assert!(dir.stat(name).unwrap().is_symlink());
        assert_eq!(dir.rmdir(name), Err(Errno::ENOTDIR));
        dir.chown(name, None, None).unwrap();
        dir.utimens(name, SetTime::Now, SetTime::Now).unwrap();
    }
    assert_eq!(outside.dir.stat(b"secret").unwrap(), before);
    assert_eq!(outside.names(), [b"secret"]);
    folder.write(b"mine", b"mine");
    dir.rename_to(b"mine", dir, b"file").unwrap();
    assert!(dir.stat(b"file").unwrap().is_file());
    assert_eq!(outside.dir.stat(b"secret").unwrap(), before);
}

/// A folder is held; then somebody puts a symbolic link where it was.
pub fn a_folder_is_swapped() {
    let (folder, outside) = (Folder::create(), Folder::create());
    outside.write(b"secret", b"outside");
    folder.dir.mkdir(b"sub", 0o700).unwrap();
    let sub = folder.dir.open_dir(b"sub").unwrap();
    sub.create(b"secret", OpenFlags::WRITE, 0o600).unwrap();
    let stream = sub.read_dir().unwrap();
    folder.dir.rename_to(b"sub", &folder.dir, b"moved").unwrap();
    folder.dir.symlink(outside.path.as_bytes(), b"sub").unwrap();

    assert_eq!(sub.stat(b"secret").unwrap().size, 0);
    sub.mkdir(b"made", 0o700).unwrap();
    sub.unlink(b"secret").unwrap();
    let clone = sub.try_clone().unwrap();
    assert!(clone.stat(b"made").unwrap().is_dir());
    assert!(
        stream
            .read(0, 10)
            .unwrap()
            .iter()
            .any(|entry| entry.name == b"made")
    );
    assert_eq!(folder.dir.open_dir(b"sub").unwrap_err(), Errno::ENOTDIR);
    assert_eq!(outside.names(), [b"secret"]);
    assert_eq!(outside.read(b"secret"), b"outside");
}

pub fn nothing_waits() {
    let folder = Folder::create();
    let dir = &folder.dir;
    let fifo = mode::S_IFIFO | 0o600;
    dir.mknod(b"fifo", fifo, 0).unwrap();
    assert_eq!(dir.mknod(b"fifo", fifo, 0), Err(Errno::EEXIST));
    dir.mknod(b"\xff' \n", fifo, 0).unwrap();
    for flags in [OpenFlags::READ, OpenFlags::WRITE, OpenFlags::READ_WRITE] {
        assert_eq!(dir.open_file(b"fifo", flags).unwrap_err(), Errno::ENXIO);
        assert_eq!(dir.create(b"fifo", flags, 0o600).unwrap_err(), Errno::ENXIO);
    }
    assert_eq!(dir.truncate(b"fifo", 0), Err(Errno::EINVAL));
    assert_eq!(dir.open_dir(b"fifo").unwrap_err(), Errno::ENOTDIR);
    assert_eq!(dir.stat(b"fifo").unwrap().kind(), mode::S_IFIFO);
    dir.chmod(b"fifo", 0o640).unwrap();
    let kinds = dir.read_dir().unwrap().read(0, 10).unwrap();
    assert!(
        kinds
            .iter()
            .any(|entry| entry.name == b"fifo" && entry.kind == 1)
    );

    let devices = HostDir::open_root(b"/dev").unwrap();
    let zero = devices.open_file(b"zero", OpenFlags::READ_WRITE);
    assert_eq!(zero.unwrap_err(), Errno::ENXIO);
    let zero = devices.stat(b"zero").unwrap();
    assert_eq!((zero.kind(), zero.rdev), (mode::S_IFCHR, 0x105));
}

pub fn numbers_out_of_range() {
    let folder = Folder::create();
    let file = folder.file(b"file");
    for offset in [u64::MAX, u64::MAX - 3, 1 << 63, (1 << 63) - 1] {
        let mut byte = [0; 2];
        assert_eq!(file.read_at(&mut byte, offset), Err(Errno::EINVAL));
        assert_eq!(file.write_at(&byte, offset), Err(Errno::EINVAL));
        assert_eq!(file.punch_hole(offset, 1 << 63), Err(Errno::EINVAL));
        assert_eq!(file.write_zeroes(offset, 2, true), Err(Errno::EINVAL));
    }
    for length in [1 << 62, (1 << 63) - 1] {
        let error = file.set_len(length).unwrap_err();
        assert!([Errno::EFBIG, Errno::EINVAL].contains(&error), "{error:?}");
        let error = folder.dir.truncate(b"file", length).unwrap_err();
        assert!([Errno::EFBIG, Errno::EINVAL].contains(&error), "{error:?}");
    }
    assert_eq!(file.set_len(1 << 63), Err(Errno::EINVAL));
    assert_eq!(folder.dir.truncate(b"file", u64::MAX), Err(Errno::EINVAL));
    assert_eq!(file.size(), Ok(0));
    let stream = folder.dir.read_dir().unwrap();
    assert!(stream.read(u64::MAX, 10).is_err() || IS_NODE);
}
