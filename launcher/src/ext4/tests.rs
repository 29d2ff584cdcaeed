//! File systems checked by e2fsck, and read by debugfs, of the package e2fsprogs.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::*;
use crate::tree::Meta;

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("ext4-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder");
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn tool(name: &str, args: &[&str]) -> Option<Output> {
    let places = ["/sbin", "/usr/sbin", "/usr/bin"].map(|dir| Path::new(dir).join(name));
    let program = places.into_iter().find(|place| place.is_file())?;
    Some(Command::new(program).args(args).output().expect(name))
}

fn meta(mode: u16) -> Meta {
    Meta {
        mode,
        uid: 100_000,
        gid: 7,
        mtime: 5_000_000_000,
        xattrs: BTreeMap::new(),
    }
}

/// Writes the image into a file with holes.
fn write(image: &Image, path: &Path) {
    let mut file = File::create(path).expect("a file");
    let mut buf = vec![0; 1 << 20];
    for at in (0..image.bytes()).step_by(buf.len()) {
        image.read(at, &mut buf).expect("a piece");
        if buf.iter().any(|byte| *byte != 0) {
            std::os::unix::fs::FileExt::write_all_at(&file, &buf, at).expect("written");
        }
    }
    file.set_len(image.bytes()).expect("a length");
    file.flush().expect("flushed");
}

fn check(path: &Path) {
    let path = path.to_str().expect("a name");
    let Some(output) = tool("e2fsck", &["-f", "-n", path]) else {
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
}

#[test]
fn an_empty_root() {
    let folder = Folder::new("empty");
    let spool = Spool::create(&folder.0.join("spool"), 1 << 30).expect("a spool");
    let image = plan(&Tree::new(), &spool, 0, [7; 16]).expect("a plan");
    let path = folder.0.join("disk");
    write(&image, &path);
    check(&path);
}

#[test]
fn all_kinds_of_files() {
    let folder = Folder::new("kinds");
    let mut spool = Spool::create(&folder.0.join("spool"), 1 << 40).expect("a spool");
    let mut tree = Tree::new();
    let mut put = |path: &str, kind, meta| {
        tree.put(path.as_bytes(), kind, meta).expect(path);
    };
    let text: Vec<u8> = (0..300_000u32).map(|n| (n / 7) as u8).collect();
    let content = spool.take(&mut text.as_slice()).expect("contents");
    let mut with_xattrs = meta(0o755);
    let value = vec![1, 0, 0, 2, 0, 0x20];
    with_xattrs
        .xattrs
        .insert(b"security.capability".to_vec(), value);
    with_xattrs
        .xattrs
        .insert(b"user.empty".to_vec(), Vec::new());
    with_xattrs
        .xattrs
        .insert(b"user.a".to_vec(), b"value".to_vec());
    put("usr/bin/text", Kind::File(content), with_xattrs);
    put("empty", Kind::File(Content::default()), meta(0o600));
    put("short", Kind::Link(b"usr/bin".to_vec()), meta(0o777));
    put("long", Kind::Link(vec![b'x'; 200]), meta(0o777));
    let (major, minor) = (5, 1);
    put("dev/console", Kind::Char { major, minor }, meta(0o600));
    let (major, minor) = (300, 70_000);
    put("dev/large", Kind::Block { major, minor }, meta(0o600));
    put("fifo", Kind::Fifo, meta(0o600));
    put("socket", Kind::Socket, meta(0o600));
    // Names of all lengths fill blocks to their very ends.
    for number in 0..3000usize {
        let name = format!("many/{}{number}", "n".repeat(number % 250));
        put(&name, Kind::File(content), meta(0o644));
        put(
            &format!("folders/{number}"),
            Kind::Folder(BTreeMap::new()),
            meta(0o755),
        );
    }
    // Over the boundaries of groups, and with more extents than an inode has.
    let hole = Content {
        offset: 1 << 30,
        bytes: 900 << 20,
    };
    put("large", Kind::File(hole), meta(0o644));
    tree.hard_link(b"usr/bin/again", b"empty").expect("a link");
    let image = plan(&tree, &spool, 64 << 20, [7; 16]).expect("a plan");
    let path = folder.0.join("disk");
    write(&image, &path);
    check(&path);
    let disk = path.to_str().expect("a name");
    let out = folder.0.join("text");
    let dump = format!("dump /usr/bin/text {}", out.display());
    if tool("debugfs", &["-R", &dump, disk]).is_none() {
        return;
    }
    assert_eq!(fs::read(&out).expect("dumped"), text);
    check_requests(disk);
}

fn check_requests(disk: &str) {
    for (request, expected) in [
        ("stat /usr/bin/text", "User: 100000   Group:     7"),
        ("stat /usr/bin/text", "2128"),
        ("stat /dev/large", "300:70000"),
        ("stat /usr/bin/again", "Links: 2"),
        ("ea_get /usr/bin/text user.a", "value"),
        ("stat /long", "Size: 200"),
    ] {
        let output = tool("debugfs", &["-R", request, disk]).expect("debugfs");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains(expected), "{request}: {text}");
    }
}

#[test]
fn absurd_files_are_refused() {
    let folder = Folder::new("absurd");
    let spool = Spool::create(&folder.0.join("spool"), 1 << 40).expect("a spool");
    let mut tree = Tree::new();
    let content = Content {
        offset: 0,
        bytes: 1 << 50,
    };
    tree.put(b"x", Kind::File(content), meta(0o644)).expect("x");
    assert!(plan(&tree, &spool, 0, [7; 16]).is_err());
    let mut tree = Tree::new();
    let mut with = meta(0o644);
    with.xattrs.insert(b"user.x".to_vec(), vec![1; 5000]);
    tree.put(b"x", Kind::Fifo, with).expect("x");
    assert!(plan(&tree, &spool, 0, [7; 16]).is_err());
    assert!(plan(&Tree::new(), &spool, u64::MAX, [7; 16]).is_err());
}
