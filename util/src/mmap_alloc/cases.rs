//! What guest memory must do on every host: a table of checks, as for coroutines.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use super::*;

/// Each check with its name.
pub const CASES: &[(&str, fn())] = &[
    ("blocks are aligned and zero", aligned_and_zero),
    ("what is given back is used again, zeroed", given_back),
    ("more than there is", more_than_there_is),
    ("a shared file", shared_file),
    ("a private file", private_file),
    ("a short file", short_file),
];

fn is_zero(block: &RamBlock) -> bool {
    let mut bytes = vec![1; block.len()];
    block.read(0, &mut bytes) && bytes.iter().all(|byte| *byte == 0)
}

fn aligned_and_zero() {
    for bytes in [1, 4096, 4097, 1 << 20] {
        let block = RamBlock::alloc(bytes).expect("that much is there");
        assert_eq!(block.len() as u64, bytes);
        let align = if cfg!(target_os = "emscripten") {
            BLOCK_ALIGN
        } else {
            HOST_PAGE_MIN
        };
        assert!(block.host().addr().is_multiple_of(align));
        assert!(is_zero(&block));
        block.populate();
        assert!(is_zero(&block));
    }
}

/// More in all than there can be at once under emscripten.
fn given_back() {
    const BYTES: u64 = 64 << 20;
    for _ in 0..80 {
        let block = RamBlock::alloc(BYTES).expect("blocks are given back");
        assert_eq!(block.load(12345 * 8, AccessSize::Double), Some(0));
        assert!(block.store(12345 * 8, AccessSize::Double, 7).is_some());
    }
}

fn more_than_there_is() {
    let error = RamBlock::alloc(1 << 62).err().expect("nobody has that");
    assert!(
        error
            .to_string()
            .starts_with("cannot get 4398046511104 MiB"),
        "{error}"
    );
}

struct TestFile(PathBuf);

impl TestFile {
    fn new(name: &str, bytes: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("tinamou-{name}-{}", std::process::id()));
        fs::write(&path, bytes).expect("a file can be written");
        Self(path)
    }

    fn open(&self) -> File {
        let file = OpenOptions::new().read(true).write(true).open(&self.0);
        file.expect("it is there")
    }

    fn block(&self, bytes: u64, offset: u64, share: bool) -> Result<RamBlock, AllocError> {
        let file = self.open();
        RamBlock::open(
            bytes,
            FileBacking {
                file,
                offset,
                share,
            },
        )
    }
}

impl Drop for TestFile {
    fn drop(&mut self) {
        // It is in a folder for temporary files anyway.
        let _ = fs::remove_file(&self.0);
    }
}

/// Three pieces of 64 KiB, which begin with their number.
fn numbered() -> Vec<u8> {
    let mut bytes = vec![0; 3 * BLOCK_ALIGN];
    for number in 0..3 {
        bytes[number * BLOCK_ALIGN] = number as u8 + 1;
    }
    bytes
}

fn shared_file() {
    let file = TestFile::new("shared", &numbered());
    let block = file.block(2 * BLOCK_ALIGN as u64, BLOCK_ALIGN as u64, true);
    let block = block.expect("it can be mapped");
    assert_eq!(block.load(0, AccessSize::Byte), Some(2));
    assert_eq!(block.load(BLOCK_ALIGN, AccessSize::Byte), Some(3));
    assert!(block.store(100, AccessSize::Byte, 77).is_some());
    block.sync().expect("it can be written back");
    let mut wanted = numbered();
    wanted[BLOCK_ALIGN + 100] = 77;
    assert_eq!(fs::read(&file.0).expect("it is there"), wanted);
}

fn private_file() {
    let file = TestFile::new("private", &numbered());
    let block = file
        .block(3 * BLOCK_ALIGN as u64, 0, false)
        .expect("it can be mapped");
    assert_eq!(block.load(2 * BLOCK_ALIGN, AccessSize::Byte), Some(3));
    assert!(block.store(100, AccessSize::Byte, 77).is_some());
    block.sync().expect("nothing is to be done");
    drop(block);
    assert_eq!(fs::read(&file.0).expect("it is there"), numbered());
}

/// The caller checks; what comes from a mistake must not be a crash at once.
fn short_file() {
    let file = TestFile::new("short", b"short");
    let mut byte = [0];
    file.open().read_exact_at(&mut byte, 4).expect("five bytes");
    assert_eq!(byte, *b"t");
    if cfg!(target_os = "emscripten") {
        assert!(file.block(BLOCK_ALIGN as u64, 0, false).is_err());
    }
}
