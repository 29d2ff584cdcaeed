//! Names: what makes, moves, lists and removes them.

use std::collections::BTreeSet;

use include::Errno;

use super::Folder;
use crate::host_fs::{OpenFlags, mode};

pub fn makes_and_removes() {
    let folder = Folder::create();
    let dir = &folder.dir;
    folder.write(b"file", b"x");
    dir.mkdir(b"sub", 0o750).unwrap();
    let sub = dir.open_dir(b"sub").unwrap();
    sub.mkdir(b"below", 0o700).unwrap();
    sub.mknod(b"made", mode::S_IFREG | 0o600, 0).unwrap();
    assert!(sub.stat(b"made").unwrap().is_file());
    assert!(dir.stat(b"sub").unwrap().is_dir());
    assert_eq!(dir.stat(b"sub").unwrap().ino, sub.stat_self().unwrap().ino);
    assert_eq!(dir.stat(b"sub").unwrap().mode & 0o777, 0o750);

    assert_eq!(dir.mkdir(b"sub", 0o700), Err(Errno::EEXIST));
    assert_eq!(dir.mkdir(b"file", 0o700), Err(Errno::EEXIST));
    assert_eq!(sub.mknod(b"made", mode::S_IFREG, 0), Err(Errno::EEXIST));
    assert_eq!(dir.rmdir(b"sub"), Err(Errno::ENOTEMPTY));
    assert_eq!(dir.rmdir(b"file"), Err(Errno::ENOTDIR));
    assert_eq!(dir.unlink(b"sub"), Err(Errno::EISDIR));
    assert_eq!(dir.unlink(b"nothing"), Err(Errno::ENOENT));
    assert_eq!(dir.rmdir(b"nothing"), Err(Errno::ENOENT));
    assert_eq!(dir.open_dir(b"file").unwrap_err(), Errno::ENOTDIR);
    assert_eq!(dir.open_dir(b"nothing").unwrap_err(), Errno::ENOENT);
    assert_eq!(dir.stat(b"nothing").unwrap_err(), Errno::ENOENT);
    let missing = dir.open_file(b"nothing", OpenFlags::READ).unwrap_err();
    assert_eq!(missing, Errno::ENOENT);
    let created = OpenFlags::READ_WRITE | OpenFlags::CREATE;
    assert_eq!(
        dir.open_file(b"nothing", created).unwrap_err(),
        Errno::ENOENT
    );

    // A handle outlives its folder's name, and the folder itself.
    dir.rename_to(b"sub", dir, b"other").unwrap();
    sub.rmdir(b"below").unwrap();
    sub.unlink(b"made").unwrap();
    dir.rmdir(b"other").unwrap();
    assert_eq!(sub.mkdir(b"late", 0o700), Err(Errno::ENOENT));
    assert_eq!(folder.names(), [b"file"]);
}

pub fn renames_over() {
    let folder = Folder::create();
    let dir = &folder.dir;
    dir.mkdir(b"sub", 0o755).unwrap();
    let sub = dir.open_dir(b"sub").unwrap();
    folder.write(b"a", b"aaa");
    folder.write(b"b", b"bbb");
    dir.rename_to(b"a", dir, b"b").unwrap();
    assert_eq!(folder.read(b"b"), b"aaa");
    dir.rename_to(b"b", &sub, b"c").unwrap();
    assert_eq!(folder.names(), [b"sub"]);
    assert_eq!(dir.rename_to(b"b", dir, b"d"), Err(Errno::ENOENT));

    dir.mkdir(b"empty", 0o755).unwrap();
    dir.mkdir(b"new", 0o755).unwrap();
    dir.rename_to(b"new", dir, b"empty").unwrap();
    assert_eq!(dir.rename_to(b"empty", dir, b"sub"), Err(Errno::ENOTEMPTY));
    assert_eq!(sub.rename_to(b"c", dir, b"empty"), Err(Errno::EISDIR));
    assert_eq!(dir.rename_to(b"empty", &sub, b"c"), Err(Errno::ENOTDIR));
    assert_eq!(dir.rename_to(b"sub", &sub, b"inside"), Err(Errno::EINVAL));
    // What is replaced lives on while it is open.
    folder.write(b"x", b"new");
    let old = sub.open_file(b"c", OpenFlags::READ).unwrap();
    dir.rename_to(b"x", &sub, b"c").unwrap();
    let mut data = [0; 3];
    assert_eq!(old.read_at(&mut data, 0), Ok(3));
    assert_eq!(&data, b"aaa");
    assert_eq!(sub.stat(b"c").unwrap().size, 3);
    assert_ne!(sub.stat(b"c").unwrap().ino, old.stat().unwrap().ino);
}

pub fn hard_links() {
    let folder = Folder::create();
    let dir = &folder.dir;
    dir.mkdir(b"sub", 0o755).unwrap();
    let sub = dir.open_dir(b"sub").unwrap();
    folder.write(b"one", b"x");
    sub.link_from(dir, b"one", b"two").unwrap();
    let (one, two) = (dir.stat(b"one").unwrap(), sub.stat(b"two").unwrap());
    assert_eq!(one, two);
    assert_eq!(one.nlink, 2);
    assert_eq!(sub.link_from(dir, b"one", b"two"), Err(Errno::EEXIST));
    assert_eq!(dir.link_from(dir, b"none", b"two"), Err(Errno::ENOENT));
    assert_eq!(dir.link_from(dir, b"sub", b"loop"), Err(Errno::EPERM));
    dir.symlink(b"one", b"soft").unwrap();
    dir.link_from(dir, b"soft", b"soft2").unwrap();
    assert!(dir.stat(b"soft2").unwrap().is_symlink());
    dir.unlink(b"one").unwrap();
    assert_eq!(sub.stat(b"two").unwrap().nlink, 1);
}

pub fn symbolic_links() {
    let folder = Folder::create();
    let dir = &folder.dir;
    let long = vec![b'l'; 4000];
    for (name, target) in [
        (&b"plain"[..], &b"target"[..]),
        (b"up", b"../../.."),
        (b"bytes", b"\xff\xfe\x80"),
        (b"long", &long),
    ] {
        dir.symlink(target, name).unwrap();
        assert_eq!(dir.readlink(name).unwrap(), target);
        let stat = dir.stat(name).unwrap();
        assert!(stat.is_symlink());
        assert_eq!(stat.size, target.len() as u64);
    }
    assert_eq!(dir.symlink(b"other", b"plain"), Err(Errno::EEXIST));
    assert_eq!(dir.symlink(b"", b"empty"), Err(Errno::ENOENT));
    assert_eq!(dir.symlink(b"a\0b", b"nul"), Err(Errno::EINVAL));
    folder.write(b"file", b"");
    assert_eq!(dir.readlink(b"file"), Err(Errno::EINVAL));
    assert_eq!(dir.readlink(b"none"), Err(Errno::ENOENT));
    dir.unlink(b"plain").unwrap();
    assert_eq!(dir.readlink(b"plain"), Err(Errno::ENOENT));
}

pub fn names_are_bytes() {
    let folder = Folder::create();
    let dir = &folder.dir;
    let longest = [0xc3; 255];
    let names: [&[u8]; 7] = [
        b"\xff\xfe",
        b"caf\xc3\xa9",
        b"caf\xe9",
        b" \n\t\\\"'*",
        b"...",
        b"\x01",
        &longest,
    ];
    for name in names {
        folder.write(name, name);
    }
    let found: BTreeSet<_> = folder.names().into_iter().collect();
    assert_eq!(found, names.iter().map(|name| name.to_vec()).collect());
    for name in names {
        assert_eq!(folder.read(name), name);
        let mut renamed = name[1..].to_vec();
        renamed.push(0x80);
        dir.rename_to(name, dir, &renamed).unwrap();
        assert_eq!(dir.stat(name).unwrap_err(), Errno::ENOENT);
        dir.chmod(&renamed, 0o600).unwrap();
        dir.truncate(&renamed, 1).unwrap();
        dir.unlink(&renamed).unwrap();
        dir.mkdir(name, 0o700).unwrap();
        let below = dir.open_dir(name).unwrap();
        below.mkdir(name, 0o700).unwrap();
        below.rmdir(name).unwrap();
    }
    let too_long = [b'x'; 256];
    assert_eq!(dir.mkdir(&too_long, 0o700), Err(Errno::ENAMETOOLONG));
    assert_eq!(dir.stat(&too_long).unwrap_err(), Errno::ENAMETOOLONG);
}

pub fn unlinked_but_open() {
    let folder = Folder::create();
    let file = folder.file(b"gone");
    file.write_all_at(b"still here", 0).unwrap();
    folder.dir.unlink(b"gone").unwrap();
    assert!(folder.names().is_empty());
    assert_eq!(file.stat().unwrap().nlink, 0);
    file.write_all_at(b"S", 0).unwrap();
    file.set_len(5).unwrap();
    file.chmod(0o400).unwrap();
    let mut data = [0; 9];
    assert_eq!(file.read_full_at(&mut data, 0), Ok(5));
    assert_eq!(&data[..5], b"Still");
    assert_eq!(file.stat().unwrap().mode & 0o777, 0o400);
}

pub fn lists_folders() {
    let folder = Folder::create();
    let dir = &folder.dir;
    folder.write(b"file", b"");
    dir.mkdir(b"sub", 0o755).unwrap();
    dir.symlink(b"file", b"link").unwrap();
    let entries = dir.read_dir().unwrap().read(0, 100).unwrap();
    let kind = |name: &[u8]| {
        let entry = entries.iter().find(|entry| entry.name == name).unwrap();
        if let Some(ino) = entry.ino.filter(|_| name != b"..") {
            assert_eq!(ino, dir.stat(name).unwrap().ino);
        }
        entry.kind
    };
    assert_eq!(entries.len(), 5);
    assert_eq!([kind(b"."), kind(b".."), kind(b"sub")], [4; 3]);
    assert_eq!([kind(b"file"), kind(b"link")], [8, 10]);

    let stream = dir.open_dir(b"sub").unwrap().read_dir().unwrap();
    assert_eq!(stream.read(0, 100).unwrap().len(), 2);
    dir.rmdir(b"sub").unwrap();
    // Some hosts say that it has gone, some that there is nothing in it.
    if let Ok(entries) = stream.read(0, 100) {
        assert!(entries.len() <= 2);
    }
}

pub fn resumes_a_list() {
    let folder = Folder::create();
    for number in 0..700 {
        folder.write(format!("name-{number}").as_bytes(), b"");
    }
    let stream = folder.dir.read_dir().unwrap();
    let all = stream.read(0, 10_000).unwrap();
    assert_eq!(all.len(), 702);
    let end = all.last().unwrap().next;
    assert!(stream.read(end, 10).unwrap().is_empty());
    // From every place, in an order that no host expects, and by another stream in small steps.
    for start in (0..all.len()).rev().step_by(23) {
        let again = stream.read(all[start].next, 5).unwrap();
        let wanted = all[start + 1..].iter().take(5);
        assert!(again.iter().eq(wanted), "from {start}");
    }
    assert!(stream.read(0, 0).unwrap().is_empty());
    let mut steps = Vec::new();
    let stream = folder.dir.read_dir().unwrap();
    loop {
        let at = steps
            .last()
            .map_or(0, |entry: &crate::host_fs::DirEntry| entry.next);
        let more = stream.read(at, 7).unwrap();
        if more.is_empty() {
            break;
        }
        steps.extend(more);
    }
    assert_eq!(steps, all);
    // Cookie 0 looks again.
    folder.dir.unlink(b"name-0").unwrap();
    assert_eq!(stream.read(0, 10_000).unwrap().len(), 701);
}
