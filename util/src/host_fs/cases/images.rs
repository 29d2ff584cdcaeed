//! Open files: what disk images need.

use std::time::Duration;

use include::Errno;

use super::folder::shell;
use super::{Folder, IS_NODE};
use crate::host_fs::{HostFile, Lock, OpenFlags};

const GIB: u64 = 1 << 30;

pub fn reads_and_writes() {
    let folder = Folder::create();
    let file = folder.file(b"disk");
    let mut buffer = [0xaa; 8];
    assert_eq!(file.read_at(&mut buffer, 0), Ok(0));
    assert_eq!(file.write_at(b"0123456789", 0), Ok(10));
    assert_eq!(file.write_at(b"ab", 4), Ok(2));
    assert_eq!(file.read_at(&mut buffer, 2), Ok(8));
    assert_eq!(&buffer, b"23ab6789");
    assert_eq!(file.read_at(&mut buffer, 8), Ok(2));
    assert_eq!(&buffer, b"89ab6789");
    assert_eq!(file.read_full_at(&mut buffer, 9), Ok(1));
    assert_eq!(file.read_at(&mut buffer, 10), Ok(0));
    assert_eq!(file.read_at(&mut buffer, 4000), Ok(0));
    assert_eq!(file.read_at(&mut [], 0), Ok(0));
    assert_eq!(file.write_at(&[], 100), Ok(0));
    assert_eq!(file.size(), Ok(10));
    file.sync(true).unwrap();
    file.sync(false).unwrap();
    file.set_len(3).unwrap();
    file.set_len(5).unwrap();
    assert_eq!(folder.read(b"disk"), b"012\0\0");
}

pub fn moves_megabytes() {
    let folder = Folder::create();
    let file = folder.file(b"disk");
    let data: Vec<u8> = (0..3_000_001u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    file.write_all_at(&data, 12345).unwrap();
    let mut found = vec![0xff; 12345 + data.len() + 100];
    assert_eq!(file.read_full_at(&mut found, 0), Ok(12345 + data.len()));
    assert!(found[..12345].iter().all(|byte| *byte == 0));
    assert!(found[12345..12345 + data.len()] == data);
    assert!(found[12345 + data.len()..].iter().all(|byte| *byte == 0xff));
}

pub fn sparse_beyond_4_gib() {
    let folder = Folder::create();
    let file = folder.file(b"disk");
    for offset in [4 * GIB - 3, 5 * GIB + 1, 1024 * GIB] {
        file.write_all_at(&offset.to_le_bytes(), offset).unwrap();
    }
    for offset in [4 * GIB - 3, 5 * GIB + 1, 1024 * GIB] {
        let mut found = [0; 8];
        assert_eq!(file.read_full_at(&mut found, offset), Ok(8));
        assert_eq!(u64::from_le_bytes(found), offset);
    }
    assert_eq!(file.size(), Ok(1024 * GIB + 8));
    let stat = folder.dir.stat(b"disk").unwrap();
    assert_eq!(stat.size, 1024 * GIB + 8);
    assert!(stat.blocks < 1000, "{} blocks", stat.blocks);
    file.set_len(6 * GIB).unwrap();
    assert_eq!(file.size(), Ok(6 * GIB));
}

pub fn ways_to_open() {
    let folder = Folder::create();
    let path = format!("{}/disk", folder.path);
    let open = |flags| HostFile::open(path.as_bytes(), flags, 0o600);
    let (write, both) = (OpenFlags::WRITE, OpenFlags::READ_WRITE);
    assert_eq!(open(both).unwrap_err(), Errno::ENOENT);
    let create = OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
    open(write | create)
        .unwrap()
        .write_all_at(b"one", 0)
        .unwrap();
    assert_eq!(open(write | create).unwrap_err(), Errno::EEXIST);
    assert_eq!(folder.dir.stat(b"disk").unwrap().mode, 0o100_600);

    let read_only = open(OpenFlags::READ).unwrap();
    assert_eq!(read_only.write_at(b"x", 0), Err(Errno::EBADF));
    assert_eq!(open(write).unwrap().read_at(&mut [0], 0), Err(Errno::EBADF));
    let append = open(write | OpenFlags::APPEND).unwrap();
    append.write_all_at(b"two", 0).unwrap();
    assert_eq!(folder.read(b"disk"), b"onetwo");
    open(both | OpenFlags::DSYNC)
        .unwrap()
        .write_all_at(b"O", 0)
        .unwrap();
    assert_eq!(folder.read(b"disk"), b"Onetwo");
    open(both | OpenFlags::TRUNCATE).unwrap();
    assert_eq!(folder.read(b"disk"), b"");
    let as_folder = open(OpenFlags::DIRECTORY).unwrap_err();
    assert_eq!(as_folder, Errno::ENOTDIR);
    let folder_path = folder.path.as_bytes();
    let written = HostFile::open(folder_path, OpenFlags::WRITE, 0).unwrap_err();
    assert_eq!(written, Errno::EISDIR);
    let bad = HostFile::open(b"/tmp\0/x", OpenFlags::READ, 0).unwrap_err();
    assert_eq!(bad, Errno::EINVAL);
    assert_eq!(
        HostFile::open(b"", OpenFlags::READ, 0).unwrap_err(),
        Errno::ENOENT
    );
}

pub fn zeroes_and_holes() {
    let folder = Folder::create();
    let file = folder.file(b"disk");
    file.write_all_at(&[7; 4 * 65536], 0).unwrap();
    let punched = file.punch_hole(65536, 65536);
    let zeroed = file.write_zeroes(2 * 65536, 65536, false);
    let unmapped = file.write_zeroes(4 * 65536 - 10, 20, true);
    if IS_NODE {
        assert_eq!(punched, Err(Errno::EOPNOTSUPP));
        assert_eq!(zeroed, Err(Errno::EOPNOTSUPP));
        assert_eq!(unmapped, Err(Errno::EOPNOTSUPP));
        assert_eq!(file.seek_data(0), Err(Errno::EOPNOTSUPP));
        assert_eq!(file.seek_hole(0), Err(Errno::EOPNOTSUPP));
        return;
    }
    let data = folder.read(b"disk");
    let is = |range: std::ops::Range<usize>, byte| data[range].iter().all(|it| *it == byte);
    assert!(is(0..65536, 7));
    assert!(is(65536..2 * 65536, if punched.is_ok() { 0 } else { 7 }));
    assert!(is(2 * 65536..3 * 65536, if zeroed.is_ok() { 0 } else { 7 }));
    assert!(is(3 * 65536..4 * 65536 - 10, 7));
    if unmapped.is_ok() {
        assert_eq!(data.len(), 4 * 65536 + 10);
        assert!(is(4 * 65536 - 10..4 * 65536 + 10, 0));
    }
    for result in [punched, zeroed, unmapped] {
        assert!(
            matches!(result, Ok(()) | Err(Errno::EOPNOTSUPP)),
            "{result:?}"
        );
    }
    file.set_len(0).unwrap();
    file.set_len(1 << 20).unwrap();
    file.write_all_at(&[1; 4096], 512 << 10).unwrap();
    let data = file.seek_data(0).unwrap().unwrap();
    assert!(data <= 512 << 10);
    assert!(file.seek_hole(512 << 10).unwrap() >= (512 << 10) + 4096);
    assert_eq!(file.seek_hole(2 << 20), Err(Errno::ENXIO));
    assert_eq!(file.seek_data(2 << 20), Ok(None));
}

pub fn locks() {
    let folder = Folder::create();
    let path = format!("{}/disk", folder.path);
    folder.write(b"disk", &[0; 512]);
    let open = || HostFile::open(path.as_bytes(), OpenFlags::READ_WRITE, 0).unwrap();
    let (one, two) = (open(), open());
    one.lock(Lock::Exclusive).unwrap();
    assert_eq!(two.lock(Lock::Exclusive), Err(Errno::EAGAIN));
    assert_eq!(two.lock(Lock::Shared), Err(Errno::EAGAIN));
    assert_eq!(two.lock(Lock::SharedWriter), Err(Errno::EAGAIN));
    // The same file may change its mind.
    one.lock(Lock::Shared).unwrap();
    two.lock(Lock::Shared).unwrap();
    assert_eq!(one.lock(Lock::Exclusive), Err(Errno::EAGAIN));
    // What was held is still held.
    two.lock(Lock::Unlocked).unwrap();
    assert_eq!(two.lock(Lock::Exclusive), Err(Errno::EAGAIN));
    drop(one);
    two.lock(Lock::Exclusive).unwrap();
    let three = open();
    assert_eq!(three.lock(Lock::Shared), Err(Errno::EAGAIN));
    two.lock(Lock::SharedWriter).unwrap();
    three.lock(Lock::SharedWriter).unwrap();
    let reader = HostFile::open(path.as_bytes(), OpenFlags::READ, 0).unwrap();
    assert_eq!(reader.lock(Lock::Shared), Err(Errno::EAGAIN));
    drop((two, three));
    reader.lock(Lock::Shared).unwrap();
}

/// QEMU's tools refuse an image that is ours, and we refuse one that is theirs.
pub fn locks_of_qemu() {
    if shell("command -v qemu-img qemu-io qemu-nbd >/dev/null") != 0 {
        return;
    }
    let folder = Folder::create();
    let path = format!("{}/disk", folder.path);
    folder.write(b"disk", &[0; 65536]);
    let quiet = ">/dev/null 2>&1";
    let read = || {
        shell(&format!(
            "qemu-img convert -f raw -O raw {path} {path}2 {quiet}"
        )) == 0
    };
    let write = || shell(&format!("qemu-io -f raw -c 'write 0 512' {path} {quiet}")) == 0;
    let file = HostFile::open(path.as_bytes(), OpenFlags::READ_WRITE, 0).unwrap();
    assert!(read() && write());
    for (lock, may_read, may_write) in [
        (Lock::Exclusive, false, false),
        (Lock::Shared, true, false),
        (Lock::SharedWriter, false, true),
        (Lock::Unlocked, true, true),
    ] {
        file.lock(lock).unwrap();
        assert_eq!((read(), write()), (may_read, may_write), "{lock:?}");
    }
    let run = |script: String| assert_eq!(shell(&format!("cd {}; {script}", folder.path)), 0);
    let serve = |options| {
        let serve = format!("qemu-nbd {options} -f raw -k $PWD/socket disk {quiet} & echo $! >pid");
        run(format!(
            "{serve}; for i in $(seq 500); do [ -e socket ] && break; sleep 0.01; done"
        ));
    };
    let stop = || {
        let wait = "while [ -e socket ]; do sleep 0.01; done";
        run(format!("kill $(cat pid); {wait}"));
        // The socket goes a little before the image does.
        for round in 0.. {
            match file.lock(Lock::Exclusive) {
                Ok(()) => break,
                Err(error) => assert!(round < 500, "QEMU has ended: {error}"),
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        file.lock(Lock::Unlocked).unwrap();
    };
    serve("-r");
    assert_eq!(file.lock(Lock::Exclusive), Err(Errno::EAGAIN));
    file.lock(Lock::Shared).unwrap();
    stop();
    serve("");
    assert_eq!(file.lock(Lock::Exclusive), Err(Errno::EAGAIN));
    assert_eq!(file.lock(Lock::Shared), Err(Errno::EAGAIN));
    stop();
}

pub fn full_disk() {
    let Ok(full) = HostFile::open(b"/dev/full", OpenFlags::READ_WRITE, 0) else {
        return; // a host without one
    };
    assert_eq!(full.write_at(&[0; 512], 0), Err(Errno::ENOSPC));
    assert_eq!(full.write_all_at(&[0; 512], 4 * GIB), Err(Errno::ENOSPC));
    let mut buffer = [1; 16];
    assert_eq!(full.read_full_at(&mut buffer, 0), Ok(16));
    assert_eq!(buffer, [0; 16]);
}

/// Opened, used and closed by different threads, again and again, so that descriptors are reused.
pub fn other_threads() {
    let folder = Folder::create();
    for round in 0..20u8 {
        let dir = folder.dir.try_clone().unwrap();
        let name = [b'a' + round];
        let made = std::thread::spawn(move || dir.create(&name, OpenFlags::READ_WRITE, 0o644));
        let file = made.join().expect("no panic").unwrap();
        let writer = std::thread::spawn(move || {
            file.write_all_at(&[round], 9).unwrap();
            file
        });
        let file = writer.join().expect("no panic");
        let mut byte = [0xff];
        assert_eq!(file.read_at(&mut byte, 9), Ok(1));
        assert_eq!(byte, [round]);
    }
    assert_eq!(folder.names().len(), 20);
}
