//! Descriptors: how many, and what happens when they are taken away. The rest is tested with the
//! server.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::options::{Driver, parse_fsdev};

const FLAGS: OpenFlags = OpenFlags(OpenFlags::READ_WRITE);

/// A share of a folder that goes with the test.
struct Share {
    path: PathBuf,
    fs: Arc<Local>,
}

impl Share {
    fn new(model: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tinamou-local-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        let text = format!("local,id=f,path={},security_model={model}", path.display());
        let Driver::Local(options) = parse_fsdev(&text).unwrap().driver else {
            panic!("it is local");
        };
        let fs = Local::open(&options).unwrap();
        Self { path, fs }
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn create(&self, parent: NodeId, name: &str) -> (Entry, HandleId) {
        let owner = Owner::default();
        self.fs
            .create(parent, name.as_bytes(), FLAGS, 0o644, owner)
            .unwrap()
    }

    fn read(&self, handle: HandleId) -> Result<Vec<u8>, Errno> {
        let mut buf = [0; 16];
        let count = self.fs.read(handle, 0, &mut buf)?;
        Ok(buf[..count].to_vec())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Opens more files than may have descriptors, the first of which are checked by the caller.
fn crowd(share: &Share) -> Vec<HandleId> {
    let open = |number| share.create(ROOT, &format!("crowd-{number}")).1;
    (0..handles::OPEN_MAX + 10).map(open).collect()
}

#[test]
fn files_lose_their_descriptors_and_get_them_back() {
    let share = Share::new("mapped-file");
    let first: Vec<_> = (0..3)
        .map(|number| share.create(ROOT, &format!("{number}")))
        .collect();
    for (number, (_, handle)) in first.iter().enumerate() {
        share
            .fs
            .write(*handle, 0, format!("text {number}").as_bytes())
            .unwrap();
    }
    let crowd = crowd(&share);
    assert_eq!(
        share.fs.handles.counts(),
        (crowd.len() + 3, handles::OPEN_MAX)
    );
    // One as it was, one renamed by the guest, one replaced by the host.
    share.fs.rename(ROOT, b"1", ROOT, b"new").unwrap();
    fs::write(share.path().join("other"), b"other").unwrap();
    fs::rename(share.path().join("other"), share.path().join("2")).unwrap();
    assert_eq!(share.read(first[0].1).unwrap(), b"text 0");
    assert_eq!(share.read(first[1].1).unwrap(), b"text 1");
    assert_eq!(share.read(first[2].1), Err(Errno::ESTALE));
    assert_eq!(share.fs.handles.counts().1, handles::OPEN_MAX);
    for handle in crowd {
        share.fs.close(handle);
    }
    assert!(share.fs.handles.counts().1 <= 3);
}

/// Files whose names go get their descriptors back before, and keep them.
#[test]
fn unlinked_files_keep_their_descriptors() {
    for model in ["mapped-xattr", "mapped-file"] {
        let share = Share::new(model);
        let (entry, handle) = share.create(ROOT, "file");
        let (_, replaced) = share.create(ROOT, "replaced");
        let changes = SetAttr {
            uid: Some(77),
            ..SetAttr::default()
        };
        share.fs.set_attr(entry.node, None, &changes).unwrap();
        share.fs.write(handle, 0, b"text").unwrap();
        share.fs.write(replaced, 0, b"old").unwrap();
        share.create(ROOT, "new");
        let crowd_one = crowd(&share);
        share.fs.unlink(ROOT, b"file", false).unwrap();
        share.fs.rename(ROOT, b"new", ROOT, b"replaced").unwrap();
        for handle in crowd_one {
            share.fs.close(handle);
        }
        crowd(&share);
        assert_eq!(share.read(handle).unwrap(), b"text");
        assert_eq!(share.read(replaced).unwrap(), b"old");
        for handle in [Some(handle), None] {
            let attr = share.fs.get_attr(entry.node, handle).unwrap();
            assert_eq!((attr.size, attr.uid, attr.links), (4, 77, 0), "{model}");
        }
        let changes = SetAttr {
            mode: Some(0o7),
            size: Some(2),
            ..SetAttr::default()
        };
        share.fs.set_attr(entry.node, None, &changes).unwrap();
        let attr = share.fs.get_attr(entry.node, None).unwrap();
        assert_eq!(
            (attr.size, attr.uid, attr.mode),
            (2, 77, 0o100007),
            "{model}"
        );
    }
}

#[test]
fn folders_are_closed_and_opened_again() {
    let share = Share::new("mapped-xattr");
    let owner = Owner::default();
    let mut deep = vec![ROOT];
    // Deeper than folders stay open, and then as many beside each other.
    for _ in 0..300 {
        let parent = *deep.last().unwrap();
        deep.push(
            share
                .fs
                .make_folder(parent, b"d", 0o755, owner)
                .unwrap()
                .node,
        );
    }
    for number in 0..300 {
        let name = format!("{number}");
        let node = share
            .fs
            .make_folder(ROOT, name.as_bytes(), 0o755, owner)
            .unwrap()
            .node;
        share.create(node, "file");
        assert!(share.fs.tree.open_folders() <= 192);
    }
    let bottom = *deep.last().unwrap();
    share.create(bottom, "file");
    assert!(share.fs.lookup(bottom, b"file").is_ok());
    assert!(share.fs.tree.open_folders() <= 192);
    // One in the middle becomes a link while all below are closed.
    for number in 0..300 {
        let node = share
            .fs
            .lookup(ROOT, format!("{number}").as_bytes())
            .unwrap()
            .node;
        share.fs.lookup(node, b"file").unwrap();
    }
    let top = share.path().join("d");
    fs::rename(top.join("d"), share.path().join("moved")).unwrap();
    std::os::unix::fs::symlink(share.path().join("moved"), top.join("d")).unwrap();
    assert!(share.fs.lookup(bottom, b"file").is_err());
}

/// What was forgotten is not kept.
#[test]
fn nothing_is_left_behind() {
    let share = Share::new("mapped-file");
    let folder = share
        .fs
        .make_folder(ROOT, b"folder", 0o755, Owner::default())
        .unwrap();
    let (entry, handle) = share.create(folder.node, "file");
    let open = share.fs.open(folder.node, OpenFlags::default()).unwrap().0;
    share.fs.read_dir(open, 0, &mut |_| true).unwrap();
    share
        .fs
        .rename(folder.node, b"file", ROOT, b"file")
        .unwrap();
    share.fs.unlink(ROOT, b"folder", true).unwrap();
    for handle in [handle, open] {
        share.fs.close(handle);
    }
    for node in [folder.node, entry.node] {
        share.fs.forget(node);
    }
    assert_eq!(share.fs.handles.counts(), (0, 0));
    assert_eq!(share.fs.tree.open_folders(), 0);
    assert_eq!(share.fs.tree.lock().nodes.len(), 1);
}

#[test]
fn devices_can_be_forbidden() {
    let text = "local,id=f,path=/,security_model=none,multidevs=forbid";
    let Driver::Local(options) = parse_fsdev(text).unwrap().driver else {
        panic!("it is local");
    };
    let share = Local::open(&options).unwrap();
    assert_eq!(share.lookup(ROOT, b"proc").err(), Some(Errno::ENODEV));
}
