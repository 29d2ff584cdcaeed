//! Folders of the host: what QEMU would find on disk, hosts that interfere, nothing outside.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use include::Errno;

use super::client::{Client, TOP};
use super::drivers::{Folder, MODELS, on_every_folder};
use crate::ninep::protocol::*;

/// Makes one of each kind, owned by somebody.
fn make_all(client: &mut Client) {
    client.create_with(TOP, b"file", 2, 0o4751).unwrap();
    client.mkdir(TOP, b"folder").unwrap();
    client.symlink(TOP, b"link", b"some/where").unwrap();
    client.mknod(TOP, b"null", 0o020666, (1, 3)).unwrap();
    for name in [&b"file"[..], b"folder", b"link", b"null"] {
        let fid = client.walk(TOP, &[name]).unwrap();
        let owner = Tsetattr {
            fid,
            valid: 6,
            uid: 1234,
            gid: u32::MAX - 5,
            ..Tsetattr::default()
        };
        client.setattr(owner).unwrap();
    }
}

#[test]
fn files_on_disk_are_as_qemu_has_them() {
    on_every_folder(|client, path, model| {
        make_all(client);
        let host = |name: &str| fs::symlink_metadata(path.join(name)).unwrap();
        let mapped = model.starts_with("mapped");
        let owner = if mapped { host("file").uid() } else { 1234 };
        for (name, mode) in [
            ("file", if mapped { 0o100600 } else { 0o104751 }),
            ("folder", if mapped { 0o040700 } else { 0o040755 }),
            ("link", if mapped { 0o100600 } else { 0o120777 }),
            ("null", if mapped { 0o100600 } else { 0o020666 }),
        ] {
            assert_eq!(host(name).uid(), owner, "{model} {name}");
            // A chown takes the setuid bit of a file away on the host.
            let mask = if name == "file" { 0o170777 } else { 0o177777 };
            assert_eq!(host(name).mode() & mask, mode & mask, "{model} {name}");
        }
        if mapped {
            let target = fs::read(path.join("link")).unwrap();
            assert_eq!(target, b"some/where");
        }
        let meta = path.join(".virtfs_metadata");
        assert_eq!(meta.exists(), model == "mapped-file");
        if model == "mapped-file" {
            let text = fs::read_to_string(meta.join("null")).unwrap();
            let rdev = 0x103;
            let wanted = format!("virtfs.uid=1234\nvirtfs.gid=-6\nvirtfs.mode={}\n", 0o020666);
            assert_eq!(text, format!("{wanted}virtfs.rdev={rdev}\n"));
            let text = fs::read_to_string(meta.join("file")).unwrap();
            assert!(
                text.ends_with(&format!("virtfs.mode={}\n", 0o104751)),
                "{text}"
            );
            assert_eq!(
                fs::metadata(meta).unwrap().permissions().mode() & 0o777,
                0o700
            );
        }
    });
}

/// What one server wrote, the next one understands.
#[test]
fn shares_can_be_opened_again() {
    for model in MODELS {
        let folder = Folder::new();
        let Some(fs) = folder.share(model, "") else {
            continue;
        };
        make_all(&mut Client::new(fs));
        let mut client = Client::new(folder.share(model, "").unwrap());
        for (name, mode, rdev) in [
            (&b"file"[..], 0o100751, 0),
            (b"folder", 0o040755, 0),
            (b"link", 0o120777, 0),
            (b"null", 0o020666, 0x103),
        ] {
            let fid = client.walk(TOP, &[name]).unwrap();
            let attr = client.getattr(fid).unwrap();
            assert_eq!(
                (attr.uid, attr.gid),
                (1234, u32::MAX - 5),
                "{model} {name:?}"
            );
            assert_eq!(
                (attr.mode & !0o7000, attr.rdev),
                (mode, rdev),
                "{model} {name:?}"
            );
        }
        let link = client.walk(TOP, &[b"link"]).unwrap();
        assert_eq!(client.readlink(link).unwrap(), b"some/where");
    }
}

#[test]
fn metadata_is_hidden_and_moves_along() {
    let folder = Folder::new();
    let mut client = Client::new(folder.share("mapped-file", "").unwrap());
    make_all(&mut client);
    let owner = Tsetattr {
        fid: TOP,
        valid: 2,
        uid: 77,
        ..Tsetattr::default()
    };
    client.setattr(owner).unwrap();
    assert!(folder.path().join(".virtfs_metadata_root").exists());
    assert_eq!(client.getattr(TOP).unwrap().uid, 77);
    let wanted: [&[u8]; 4] = [b"file", b"folder", b"link", b"null"];
    assert_eq!(client.list(TOP).unwrap(), wanted);
    for name in [&b".virtfs_metadata"[..], b".virtfs_metadata_root"] {
        assert_eq!(client.walk(TOP, &[name]), Err(Errno::ENOENT));
        assert_eq!(client.mkdir(TOP, name), Err(Errno::EINVAL));
        assert_eq!(client.create(TOP, name), Err(Errno::EINVAL));
        assert_eq!(client.unlink(TOP, name, true), Err(Errno::EINVAL));
        assert_eq!(
            client.renameat((TOP, b"file"), (TOP, name)),
            Err(Errno::EINVAL)
        );
        assert_eq!(
            client.renameat((TOP, name), (TOP, b"x")),
            Err(Errno::EINVAL)
        );
    }
    let inner = client.walk(TOP, &[b"folder"]).unwrap();
    client.renameat((TOP, b"null"), (inner, b"zero")).unwrap();
    let file = client.walk(TOP, &[b"file"]).unwrap();
    client.link(inner, file, b"other").unwrap();
    for (name, kind) in [(&b"zero"[..], 0o020000), (b"other", 0o100000)] {
        let fid = client.walk(inner, &[name]).unwrap();
        let attr = client.getattr(fid).unwrap();
        assert_eq!((attr.uid, attr.mode & 0o170000), (1234, kind));
    }
    assert_eq!(client.unlink(TOP, b"folder", true), Err(Errno::ENOTEMPTY));
    client.unlink(inner, b"zero", false).unwrap();
    client.unlink(inner, b"other", false).unwrap();
    // A new file of the same name inherits nothing.
    client.mknod(inner, b"zero", 0o100600, (0, 0)).unwrap();
    let zero = client.walk(inner, &[b"zero"]).unwrap();
    assert_eq!(client.getattr(zero).unwrap().uid, 0);
    client.remove(zero).unwrap();
    client.unlink(TOP, b"folder", true).unwrap();
    assert!(!folder.path().join("folder").exists());
}

/// What the host has or makes by itself is shown as it is.
#[test]
fn files_of_the_host_are_shown() {
    on_every_folder(|client, path, model| {
        fs::write(path.join("file"), b"by the host").unwrap();
        symlink("file", path.join("link")).unwrap();
        let file = client.walk(TOP, &[b"file"]).unwrap();
        assert_eq!(client.getattr(file).unwrap().size, 11);
        client.open(file, 0).unwrap();
        assert_eq!(client.read(file, 0, 100).unwrap(), b"by the host");
        let link = client.walk(TOP, &[b"link"]).unwrap();
        assert_eq!(client.readlink(link).unwrap(), b"file", "{model}");
        assert_eq!(client.open(link, 0), Err(Errno::ELOOP));
        // The host replaces the file: the name leads to the new one.
        let named = client.walk(TOP, &[b"file"]).unwrap();
        fs::write(path.join("new"), b"again").unwrap();
        fs::rename(path.join("new"), path.join("file")).unwrap();
        assert_eq!(client.getattr(named).unwrap().size, 5);
        assert_eq!(client.read(file, 0, 100).unwrap(), b"by the host");
        fs::remove_file(path.join("file")).unwrap();
        assert_eq!(client.getattr(named), Err(Errno::ENOENT));
    });
}

/// Folders are kept open, but a name that is another folder now is found out.
#[test]
fn folders_replaced_by_the_host_are_noticed() {
    on_every_folder(|client, path, _| {
        let old = client.mkdir(TOP, b"folder").unwrap();
        client.create(old, b"old").unwrap();
        fs::rename(path.join("folder"), path.join("moved")).unwrap();
        assert_eq!(client.walk(TOP, &[b"folder", b"old"]), Err(Errno::ENOENT));
        fs::create_dir(path.join("folder")).unwrap();
        fs::write(path.join("folder/new"), b"").unwrap();
        assert!(client.walk(TOP, &[b"folder", b"new"]).is_ok());
        let (_, qids) = client.try_walk(TOP, &[b"folder", b"old"]);
        assert_eq!(qids.unwrap().len(), 1);
    });
}

/// A link in the place of a folder leads nowhere, whenever the host puts it there.
#[test]
fn nothing_outside_is_reached() {
    on_every_folder(|client, path, model| {
        let outside = Folder::new();
        fs::write(outside.path().join("secret"), b"secret").unwrap();
        let folder = client.mkdir(TOP, b"folder").unwrap();
        let below = client.mkdir(folder, b"below").unwrap();
        let file = client.create(folder, b"secret").unwrap();
        client.clunk(file).unwrap();
        let file = client.walk(folder, &[b"secret"]).unwrap();
        // Fids that know the names from before, then the swap.
        fs::rename(path.join("folder"), path.join("moved")).unwrap();
        symlink(outside.path(), path.join("folder")).unwrap();
        let (_, qids) = client.try_walk(TOP, &[b"folder", b"secret"]);
        assert_eq!(qids.unwrap().len(), 1, "{model}");
        for fid in [folder, below] {
            assert!(client.walk(fid, &[b"secret", b"x"]).is_err());
            let (_, up) = client.try_walk(fid, &[b"..", b"folder", b"secret"]);
            assert!(up.is_err() || up.unwrap().len() < 3);
            let _ = client.create(fid, b"planted");
            let _ = client.mkdir(fid, b"planted too");
            let _ = client.unlink(fid, b"secret", false);
            let _ = client.symlink(fid, b"planted", b"x");
            let _ = client.link(fid, file, b"planted");
            let _ = client.renameat((fid, b"secret"), (fid, b"planted"));
        }
        assert!(client.open(file, 1).is_err());
        assert!(client.truncate(file, 0).is_err());
        let left: Vec<_> = fs::read_dir(outside.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "{model}");
        assert_eq!(fs::read(outside.path().join("secret")).unwrap(), b"secret");
    });
}

/// The host swaps a folder for a link all the time while the guest walks.
#[test]
fn swaps_during_walks_are_harmless() {
    let outside = Folder::new();
    fs::write(outside.path().join("secret"), b"outside").unwrap();
    let share = Folder::new();
    let mut client = Client::new(share.share("mapped-xattr", "").unwrap());
    fs::create_dir(share.path().join("real")).unwrap();
    fs::write(share.path().join("real/secret"), b"inside").unwrap();
    symlink(outside.path(), share.path().join("link")).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let (done, path) = (stop.clone(), share.path().to_path_buf());
    let swapper = std::thread::spawn(move || {
        while !done.load(Ordering::Relaxed) {
            for name in ["real", "link"] {
                fs::rename(path.join(name), path.join("name")).unwrap();
                std::thread::yield_now();
                fs::rename(path.join("name"), path.join(name)).unwrap();
            }
        }
    });
    let (mut found, start) = (0, std::time::Instant::now());
    while found < 300 && start.elapsed().as_secs() < 20 {
        let Ok(fid) = client.walk(TOP, &[b"name", b"secret"]) else {
            continue;
        };
        if client.open(fid, 0).is_ok() {
            assert_eq!(client.read(fid, 0, 100).unwrap(), b"inside");
            found += 1;
        }
        client.clunk(fid).unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    swapper.join().unwrap();
    assert!(found > 0, "the walks never met the folder");
}

#[test]
fn special_files_of_the_host_are_not_opened() {
    let folder = Folder::new();
    let Some(share) = folder.share("passthrough", "") else {
        return;
    };
    let mut client = Client::new(share);
    client.mknod(TOP, b"fifo", 0o010666, (0, 0)).unwrap();
    client.mknod(TOP, b"null", 0o020666, (1, 3)).unwrap();
    for name in [&b"fifo"[..], b"null"] {
        let fid = client.walk(TOP, &[name]).unwrap();
        for flags in 0..3 {
            assert_eq!(client.open(fid, flags), Err(Errno::ENXIO));
        }
    }
}

#[test]
fn read_only_shares_are_not_changed() {
    let folder = Folder::new();
    fs::write(folder.path().join("file"), b"text").unwrap();
    let mut client = Client::new(folder.share("mapped-xattr", ",readonly=on").unwrap());
    let file = client.walk(TOP, &[b"file"]).unwrap();
    assert_eq!(client.open(file, 2), Err(Errno::EROFS));
    assert_eq!(client.open(file, 0o1000), Err(Errno::EROFS));
    assert_eq!(client.create(TOP, b"new"), Err(Errno::EROFS));
    assert_eq!(client.mkdir(TOP, b"new"), Err(Errno::EROFS));
    assert_eq!(client.unlink(TOP, b"file", false), Err(Errno::EROFS));
    assert_eq!(client.truncate(file, 0), Err(Errno::EROFS));
    assert_eq!(
        client.set_xattr(file, b"user.x", b"x", 0),
        Err(Errno::EROFS)
    );
    client.open(file, 0).unwrap();
    assert_eq!(client.read(file, 0, 100).unwrap(), b"text");
}

#[test]
fn modes_of_mapped_files_can_be_chosen() {
    for model in ["mapped-xattr", "mapped-file"] {
        let folder = Folder::new();
        let mut client = Client::new(folder.share(model, ",fmode=0640,dmode=0750").unwrap());
        client.create(TOP, b"file").unwrap();
        client.mkdir(TOP, b"folder").unwrap();
        let mode = |name| fs::metadata(folder.path().join(name)).unwrap().mode() & 0o777;
        assert_eq!((mode("file"), mode("folder")), (0o640, 0o750));
    }
}

#[test]
fn a_share_that_is_not_there_is_one_sentence() {
    let folder = Folder::new();
    fs::write(folder.path().join("file"), b"").unwrap();
    for (name, why) in [("none", "No such file"), ("file", "Not a directory")] {
        let path = folder.path().join(name);
        let text = format!("local,id=f,path={},security_model=none", path.display());
        let options = fsdev::options::parse_fsdev(&text).unwrap();
        let Err(error) = fsdev::open(&options) else {
            panic!("{name} was shared")
        };
        assert!(
            error.starts_with("-fsdev f: cannot share the folder '"),
            "{error}"
        );
        assert!(error.contains(why), "{error}");
    }
}

/// The share vanishes while it is used.
#[test]
fn a_share_that_vanishes_is_an_error() {
    on_every_folder(|client, path, _| {
        let folder = client.mkdir(TOP, b"folder").unwrap();
        fs::remove_dir_all(path).unwrap();
        assert_eq!(client.walk(TOP, &[b"folder"]), Err(Errno::ENOENT));
        assert_eq!(client.create(TOP, b"x"), Err(Errno::ENOENT));
        assert_eq!(client.create(folder, b"x"), Err(Errno::ENOENT));
        assert_eq!(client.list(TOP).unwrap_or_default(), [b""; 0]);
    });
}
