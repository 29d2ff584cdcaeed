//! Walks, and everything that makes, moves or removes names.

use include::Errno;
use include::fsdev::OpenFlags;

use super::Client;
use super::client::TOP;
use super::drivers::on_every_driver;
use crate::ninep::protocol::*;

#[test]
fn walks_go_as_far_as_they_can() {
    on_every_driver(|client| {
        let a = client.mkdir(TOP, b"a").unwrap();
        client.mkdir(a, b"b").unwrap();
        let (fid, qids) = client.try_walk(TOP, &[b"a", b"b", b"none", b"c"]);
        assert_eq!(qids.unwrap().len(), 2);
        assert_eq!(
            client.clunk(fid),
            Err(Errno::EBADF),
            "an incomplete walk makes no fid"
        );
        assert_eq!(client.walk(TOP, &[b"none"]), Err(Errno::ENOENT));
        let b = client.walk(TOP, &[b"a", b"b"]).unwrap();
        let up = client.walk(b, &[b"..", b"..", b"..", b"a"]).unwrap();
        let same = |client: &Client, one, other| {
            client.getattr(one).unwrap().qid.path == client.getattr(other).unwrap().qid.path
        };
        assert!(same(client, up, a));
        assert!(!same(client, up, b));
        // In place.
        let wname = List(vec![b"b".to_vec()]);
        let message = Twalk {
            fid: up,
            newfid: up,
            wname,
        };
        assert_eq!(client.rpc(message).name(), "Rwalk");
        assert!(same(client, up, b));
    });
}

#[test]
fn walks_are_checked() {
    on_every_driver(|client| {
        let file = client.create(TOP, b"file").unwrap();
        let many = [&b".."[..]; 17];
        assert_eq!(client.walk(TOP, &many), Err(Errno::EINVAL));
        assert!(client.walk(TOP, &many[..16]).is_ok());
        assert_eq!(client.walk(99, &[]), Err(Errno::EBADF));
        assert_eq!(
            client.walk(TOP, &[b"file", b"x"]),
            Err(Errno::ENOENT),
            "incomplete"
        );
        let walked = client.walk(TOP, &[b"file"]).unwrap();
        assert_eq!(client.walk(walked, &[b"x"]), Err(Errno::ENOTDIR));
        assert_eq!(client.walk(walked, &[b".."]), Err(Errno::ENOTDIR));
        for name in [
            &b""[..],
            b".",
            b"/",
            b"file/",
            b"../file",
            b"fi\0le",
            b"/etc/passwd",
        ] {
            assert_eq!(client.walk(TOP, &[name]), Err(Errno::ENOENT), "{name:?}");
        }
        assert_eq!(client.walk(TOP, &[&[b'x'; 256]]), Err(Errno::ENAMETOOLONG));
        let long = client.walk(TOP, &[&[b'x'; 65535]]);
        assert_eq!(long, Err(Errno::ENAMETOOLONG));
        // An open fid cannot become another file; a fid in use cannot be made again.
        let wname = List(vec![b"..".to_vec()]);
        let message = Twalk {
            fid: file,
            newfid: file,
            wname,
        };
        assert_eq!(client.rpc(message), Rlerror { ecode: 22 }.into());
        let again = Twalk {
            fid: TOP,
            newfid: walked,
            wname: List::default(),
        };
        assert_eq!(client.rpc(again), Rlerror { ecode: 9 }.into());
        let none = Twalk {
            fid: TOP,
            newfid: u32::MAX,
            wname: List::default(),
        };
        assert_eq!(client.rpc(none), Rlerror { ecode: 9 }.into());
        assert_eq!(client.attach(TOP), Err(Errno::EBADF));
    });
}

#[test]
fn names_are_bytes() {
    on_every_driver(|client| {
        let mut names: Vec<Vec<u8>> = (1..=255u8).map(|byte| vec![byte, b'x']).collect();
        names.retain(|name| name[0] != b'/');
        names.extend([
            b"...".to_vec(),
            b" ".to_vec(),
            vec![0xff; 255],
            b"\xc3\x28".to_vec(),
        ]);
        names.sort();
        for name in &names {
            let fid = client.create(TOP, name).unwrap();
            client.write(fid, 0, name).unwrap();
            client.clunk(fid).unwrap();
        }
        assert_eq!(client.list(TOP).unwrap(), names);
        for name in &names {
            let fid = client.walk(TOP, &[name]).unwrap();
            client.open(fid, OpenFlags::READ_ONLY).unwrap();
            assert_eq!(&client.read(fid, 0, 1000).unwrap(), name);
            client.clunk(fid).unwrap();
        }
    });
}

/// Everything that makes something refuses names that cannot be.
#[test]
fn bad_new_names_are_refused() {
    on_every_driver(|client| {
        let file = client.create(TOP, b"file").unwrap();
        let cases = [
            (&b""[..], Errno::ENOENT),
            (b".", Errno::EEXIST),
            (b"..", Errno::EEXIST),
            (b"a/b", Errno::ENOENT),
            (b"/", Errno::ENOENT),
            (b"a\0b", Errno::ENOENT),
            (&[b'x'; 256], Errno::ENAMETOOLONG),
            (b"file", Errno::EEXIST),
        ];
        for (name, errno) in cases {
            assert_eq!(client.mkdir(TOP, name), Err(errno), "{name:?}");
            assert_eq!(client.symlink(TOP, name, b"x"), Err(errno), "{name:?}");
            assert_eq!(
                client.mknod(TOP, name, 0o10644, (0, 0)),
                Err(errno),
                "{name:?}"
            );
            assert_eq!(client.link(TOP, file, name), Err(errno), "{name:?}");
            let flags = OpenFlags::READ_WRITE | OpenFlags::EXCLUSIVE;
            let made = client.create_with(TOP, name, flags, 0o644);
            assert_eq!(made, Err(errno), "{name:?}");
        }
        assert_eq!(client.symlink(TOP, b"link", b""), Err(Errno::ENOENT));
        assert_eq!(client.symlink(TOP, b"link", b"a\0b"), Err(Errno::ENOENT));
        assert_eq!(client.list(TOP).unwrap(), [b"file"]);
        let walked = client.walk(TOP, &[b"file"]).unwrap();
        assert_eq!(client.mkdir(walked, b"x"), Err(Errno::ENOTDIR));
    });
}

#[test]
fn bad_old_names_are_refused() {
    on_every_driver(|client| {
        client.create(TOP, b"file").unwrap();
        client.mkdir(TOP, b"folder").unwrap();
        assert_eq!(client.unlink(TOP, b".", true), Err(Errno::EINVAL));
        assert_eq!(client.unlink(TOP, b"..", true), Err(Errno::ENOTEMPTY));
        assert_eq!(client.unlink(TOP, b"", true), Err(Errno::ENOENT));
        assert_eq!(client.unlink(TOP, b"../x", false), Err(Errno::ENOENT));
        assert_eq!(client.unlink(TOP, b"none", false), Err(Errno::ENOENT));
        assert_eq!(client.unlink(TOP, b"file", true), Err(Errno::ENOTDIR));
        assert_eq!(client.unlink(TOP, b"folder", false), Err(Errno::EISDIR));
        for name in [&b"."[..], b"..", b"", b"a/b"] {
            assert!(client.renameat((TOP, name), (TOP, b"new")).is_err());
            assert!(client.renameat((TOP, b"file"), (TOP, name)).is_err());
        }
        let message = Tunlinkat {
            dirfd: TOP,
            name: b"file".to_vec(),
            flags: 1,
        };
        assert_eq!(client.rpc(message), Rlerror { ecode: 22 }.into());
        assert_eq!(client.list(TOP).unwrap(), [&b"file"[..], b"folder"]);
    });
}

#[test]
fn links_share_a_file() {
    on_every_driver(|client| {
        let file = client.create(TOP, b"file").unwrap();
        let folder = client.mkdir(TOP, b"folder").unwrap();
        client.link(folder, file, b"other").unwrap();
        let other = client.walk(TOP, &[b"folder", b"other"]).unwrap();
        client.write(file, 0, b"same").unwrap();
        let attr = client.getattr(other).unwrap();
        assert_eq!((attr.nlink, attr.size), (2, 4));
        assert_eq!(attr.qid.path, client.getattr(file).unwrap().qid.path);
        client.unlink(TOP, b"file", false).unwrap();
        assert_eq!(client.getattr(other).unwrap().nlink, 1);
        client.open(other, OpenFlags::READ_ONLY).unwrap();
        assert_eq!(client.read(other, 0, 10).unwrap(), b"same");
        assert_eq!(client.link(TOP, folder, b"x"), Err(Errno::EPERM));
    });
}

#[test]
fn symbolic_links_are_only_names() {
    on_every_driver(|client| {
        let target = vec![b'/'; 3000];
        let qid = client.symlink(TOP, b"link", &target).unwrap();
        assert_eq!(qid.kind, qid_kind::LINK);
        client.symlink(TOP, b"out", b"/").unwrap();
        client.symlink(TOP, b"up", b"..").unwrap();
        let link = client.walk(TOP, &[b"link"]).unwrap();
        assert_eq!(client.readlink(link).unwrap(), target);
        let attr = client.getattr(link).unwrap();
        assert_eq!((attr.mode & 0o170000, attr.size), (0o120000, 3000));
        assert_eq!(client.readlink(TOP), Err(Errno::EINVAL));
        for name in [&b"out"[..], b"up"] {
            let (_, qids) = client.try_walk(TOP, &[name, b"etc"]);
            assert_eq!(qids.unwrap().len(), 1);
            let fid = client.walk(TOP, &[name]).unwrap();
            assert_eq!(client.walk(fid, &[b"etc"]), Err(Errno::ENOTDIR));
            assert_eq!(client.mkdir(fid, b"x"), Err(Errno::ENOTDIR));
            assert_eq!(client.open(fid, OpenFlags::READ_ONLY), Err(Errno::ELOOP));
        }
        client.unlink(TOP, b"link", false).unwrap();
        assert_eq!(client.list(TOP).unwrap(), [&b"out"[..], b"up"]);
    });
}

#[test]
fn renames_replace() {
    on_every_driver(|client| {
        let a = client.create(TOP, b"a").unwrap();
        let b = client.create(TOP, b"b").unwrap();
        client.write(a, 0, b"a").unwrap();
        client.write(b, 0, b"bb").unwrap();
        client.renameat((TOP, b"a"), (TOP, b"b")).unwrap();
        assert_eq!(client.list(TOP).unwrap(), [b"b"]);
        let walked = client.walk(TOP, &[b"b"]).unwrap();
        assert_eq!(client.getattr(walked).unwrap().size, 1);
        // The one that was replaced is still open.
        assert_eq!(client.read(b, 0, 10).unwrap(), b"bb");
        assert_eq!(client.read(a, 0, 10).unwrap(), b"a");
        client.renameat((TOP, b"b"), (TOP, b"b")).unwrap();
        assert_eq!(
            client.renameat((TOP, b"none"), (TOP, b"x")),
            Err(Errno::ENOENT)
        );

        let folder = client.mkdir(TOP, b"folder").unwrap();
        client.mkdir(TOP, b"empty").unwrap();
        assert_eq!(
            client.renameat((TOP, b"b"), (TOP, b"folder")),
            Err(Errno::EISDIR)
        );
        assert_eq!(
            client.renameat((TOP, b"folder"), (TOP, b"b")),
            Err(Errno::ENOTDIR)
        );
        assert_eq!(
            client.renameat((TOP, b"folder"), (folder, b"x")),
            Err(Errno::EINVAL)
        );
        client.create(folder, b"file").unwrap();
        assert_eq!(
            client.renameat((TOP, b"empty"), (TOP, b"folder")),
            Err(Errno::ENOTEMPTY)
        );
        client.renameat((TOP, b"folder"), (TOP, b"empty")).unwrap();
        assert_eq!(client.list(TOP).unwrap(), [&b"b"[..], b"empty"]);
        assert_eq!(client.list(folder).unwrap(), [b"file"], "a fid goes along");
    });
}

/// Fids below a folder that moves still name their files, and so do those of the folder.
#[test]
fn fids_follow_renames() {
    on_every_driver(|client| {
        let a = client.mkdir(TOP, b"a").unwrap();
        let b = client.mkdir(a, b"b").unwrap();
        let open = client.create(b, b"file").unwrap();
        let file = client.walk(b, &[b"file"]).unwrap();
        let other = client.mkdir(TOP, b"other").unwrap();
        client.renameat((TOP, b"a"), (other, b"c")).unwrap();
        client.write(open, 0, b"123").unwrap();
        assert_eq!(client.getattr(file).unwrap().size, 3);
        client.rename(file, other, b"up").unwrap();
        assert_eq!(client.getattr(file).unwrap().size, 3);
        assert_eq!(client.list(b).unwrap(), [b""; 0]);
        assert_eq!(client.list(other).unwrap(), [&b"c"[..], b"up"]);
        let back = client.walk(b, &[b"..", b"..", b"up"]).unwrap();
        assert_eq!(client.getattr(back).unwrap().size, 3);
        client.rename(b, TOP, b"b").unwrap();
        assert_eq!(client.list(TOP).unwrap(), [&b"b"[..], b"other"]);
        assert_eq!(client.rename(TOP, b, b"x"), Err(Errno::EBUSY));
    });
}

#[test]
fn removing_takes_the_fid_along() {
    on_every_driver(|client| {
        let folder = client.mkdir(TOP, b"folder").unwrap();
        let file = client.create(folder, b"file").unwrap();
        let again = client.walk(TOP, &[b"folder"]).unwrap();
        assert_eq!(client.remove(again), Err(Errno::ENOTEMPTY));
        assert_eq!(client.clunk(again), Err(Errno::EBADF));
        client.remove(file).unwrap();
        assert_eq!(client.clunk(file), Err(Errno::EBADF));
        client.remove(folder).unwrap();
        assert_eq!(client.list(TOP).unwrap(), [b""; 0]);
        let top = client.walk(TOP, &[]).unwrap();
        assert!(client.remove(top).is_err());
    });
}

/// A name that is made again is another file.
#[test]
fn old_fids_do_not_find_new_files() {
    on_every_driver(|client| {
        let open = client.create(TOP, b"file").unwrap();
        let walked = client.walk(TOP, &[b"file"]).unwrap();
        client.write(open, 0, b"old").unwrap();
        client.unlink(TOP, b"file", false).unwrap();
        let new = client.create(TOP, b"file").unwrap();
        assert_eq!(client.getattr(new).unwrap().size, 0);
        assert_eq!(client.getattr(open).unwrap().size, 3);
        assert_eq!(
            client.getattr(walked).unwrap().size,
            3,
            "found through the open one"
        );
        client.clunk(open).unwrap();
        assert_eq!(client.remove(walked), Err(Errno::ENOENT));
        assert_eq!(client.list(TOP).unwrap(), [b"file"]);
    });
}

#[test]
fn large_folders_are_read_in_pieces() {
    large_folder(&mut Client::memory().0, 10_000);
    // Fewer, for the sake of slow disks.
    on_every_driver(|client| large_folder(client, 1000));
}

fn large_folder(client: &mut Client, count: usize) {
    let folder = client.mkdir(TOP, b"folder").unwrap();
    let mut names = Vec::new();
    for number in 0..count {
        let name = format!("name-{number}");
        client
            .mknod(folder, name.as_bytes(), 0o100600, (0, 0))
            .unwrap();
        names.push(name.into_bytes());
    }
    names.sort();
    assert_eq!(client.list(folder).unwrap(), names);
    let open = client.walk(folder, &[]).unwrap();
    client.open(open, OpenFlags::READ_ONLY).unwrap();
    let all = client.readdir(open, 4000).unwrap();
    let mut listed: Vec<_> = all.iter().map(|entry| entry.name.clone()).collect();
    listed.sort();
    listed.retain(|name| name != b"." && name != b"..");
    assert_eq!(listed, names);
    // From the middle, and from the start again.
    let middle = count / 2;
    let rest = client.readdir_at(open, all[middle].offset, 4000).unwrap();
    assert_eq!(rest, all[middle + 1..middle + 1 + rest.len()]);
    let start = client.readdir_at(open, 0, 4000).unwrap();
    assert_eq!(start, all[..start.len()]);
    assert_eq!(client.readdir_at(open, 0, 10), Err(Errno::EINVAL));
    assert_eq!(client.readdir_at(open, u64::MAX, 4000), Err(Errno::EINVAL));
}

/// `rm -r`: names go while the folder is read.
#[test]
fn folders_can_be_emptied_while_they_are_read() {
    on_every_driver(|client| {
        let folder = client.mkdir(TOP, b"folder").unwrap();
        for number in 0..100 {
            client
                .create(folder, format!("name-{number}").as_bytes())
                .unwrap();
        }
        let open = client.walk(folder, &[]).unwrap();
        client.open(open, OpenFlags::READ_ONLY).unwrap();
        let mut offset = 0;
        loop {
            let listed = client.readdir_at(open, offset, 1000).unwrap();
            let Some(last) = listed.last() else { break };
            offset = last.offset;
            for entry in listed.iter().filter(|entry| !entry.name.starts_with(b".")) {
                client.unlink(folder, &entry.name, false).unwrap();
            }
        }
        client.unlink(TOP, b"folder", true).unwrap();
        assert_eq!(client.list(TOP).unwrap(), [b""; 0]);
        assert_eq!(client.mkdir(folder, b"x"), Err(Errno::ENOENT));
    });
}
