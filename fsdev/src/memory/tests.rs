//! Limits of the file system in memory; what files do is tested with the server.

use super::*;

const FLAGS: OpenFlags = OpenFlags(OpenFlags::READ_WRITE);

fn create(fs: &Memory, name: &[u8]) -> Result<(Entry, HandleId), Errno> {
    fs.create(ROOT, name, FLAGS, 0o644, Owner::default())
}

#[test]
fn room_is_limited_and_given_back() {
    let fs = Memory::new(64 << 10);
    let empty = fs.tree().free();
    let (entry, handle) = create(&fs, b"file").unwrap();
    let mut written = 0;
    let full = loop {
        match fs.write(handle, written, &[1; 4096]) {
            Ok(count) => written += count as u64,
            Err(errno) => break errno,
        }
    };
    assert_eq!((full, written), (Errno::ENOSPC, 15 * 4096));
    assert_eq!(fs.stat_fs(ROOT).unwrap().blocks_free, 0);
    // What is there can be written again, and a hole costs nothing.
    assert_eq!(fs.write(handle, 0, &[2; 4096]), Ok(4096));
    let size = Some(1 << 40);
    fs.set_attr(
        entry.node,
        None,
        &SetAttr {
            size,
            ..SetAttr::default()
        },
    )
    .unwrap();
    // The name goes, but the file is open; then all of it is free.
    fs.unlink(ROOT, b"file", false).unwrap();
    assert!(fs.tree().free() < empty);
    fs.close(handle);
    assert!(fs.tree().free() < empty);
    fs.forget(entry.node);
    assert_eq!(fs.tree().free(), empty);
    assert_eq!(fs.in_use(), (0, 0));
}

#[test]
fn everything_counts() {
    let fs = Memory::new(64 << 10);
    let empty = fs.tree().free();
    let owner = Owner::default();
    let mut count = 0;
    let full = loop {
        let name = format!("{count}");
        let made = match count % 3 {
            0 => fs.make_folder(ROOT, name.as_bytes(), 0o755, owner),
            1 => fs.make_link(ROOT, name.as_bytes(), &[b'x'; 1000], owner),
            _ => fs.make_node(ROOT, name.as_bytes(), mode::FIFO, 0, owner),
        };
        match made {
            Ok(entry) => fs.forget(entry.node),
            Err(errno) => break errno,
        }
        count += 1;
    };
    assert_eq!(full, Errno::ENOSPC);
    assert!((20..128).contains(&count), "{count}");
    for number in 0..count {
        let name = format!("{number}");
        fs.unlink(ROOT, name.as_bytes(), number % 3 == 0).unwrap();
    }
    assert_eq!(fs.tree().free(), empty);
    for number in 0.. {
        let name = format!("user.{number}");
        if fs.set_xattr(ROOT, name.as_bytes(), &[0; 5000], 0) == Err(Errno::ENOSPC) {
            assert!(number > 5);
            break;
        }
    }
    let names = fs.list_xattrs(ROOT).unwrap();
    for name in names
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
    {
        fs.set_xattr(ROOT, name, b"short", 0).unwrap();
        fs.remove_xattr(ROOT, name).unwrap();
    }
    assert_eq!(fs.tree().free(), empty);
}

#[test]
fn nodes_that_are_not_there() {
    let fs = Memory::new(64 << 10);
    let none = NodeId(99);
    assert_eq!(fs.lookup(none, b"x").err(), Some(Errno::EBADF));
    assert_eq!(fs.get_attr(none, None).err(), Some(Errno::EBADF));
    assert_eq!(fs.read(HandleId(9), 0, &mut []).err(), Some(Errno::EBADF));
    fs.forget(none);
    fs.close(HandleId(9));
}
