//! The checks of `cases.rs` on the native back end, and what they cannot see from inside.

use std::os::unix::fs::MetadataExt;

use super::cases::{CASES, Folder};

#[test]
fn cases() {
    for (name, case) in CASES {
        println!("{name}");
        case();
    }
}

#[test]
fn stat_is_what_std_says() {
    let folder = Folder::create();
    folder.write(b"file", &[1; 5000]);
    let ours = folder.dir.stat(b"file").unwrap();
    let theirs = std::fs::metadata(format!("{}/file", folder.path)).unwrap();
    assert_eq!((ours.dev, ours.ino), (theirs.dev(), theirs.ino()));
    assert_eq!((ours.mode, ours.nlink), (theirs.mode(), theirs.nlink()));
    assert_eq!((ours.uid, ours.gid), (theirs.uid(), theirs.gid()));
    assert_eq!((ours.size, ours.blocks), (theirs.size(), theirs.blocks()));
    assert_eq!(ours.mtime.sec, theirs.mtime());
    assert_eq!(i64::from(ours.mtime.nsec), theirs.mtime_nsec());
}
