//! Memory for guest RAM (QEMU's `util/mmap-alloc.c`), and the only safe way to touch it.
//!
//! Natively a block is a mapping, anonymous or of a file. emscripten can neither reserve address
//! space nor map usefully: there a block is one aligned piece at the end of the wasm heap, and a
//! file is read into it, and written back by [`RamBlock::sync`]. What must hold: a block is zero
//! at first or has the file's bytes, starts on a page, never moves, and lives until it is
//! dropped. vCPUs write it while others read, so every access here is an atomic one of the host,
//! and no Rust reference to its bytes exists.
#![expect(
    unsafe_code,
    reason = "guest RAM is shared with vCPU threads and generated code"
)]

use std::fmt;
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

use include::AccessSize;

#[cfg(target_os = "emscripten")]
#[path = "emscripten.rs"]
mod imp;
#[cfg(not(target_os = "emscripten"))]
#[path = "native.rs"]
mod imp;

/// Alignment of every block, and what its size is rounded up to.
pub const BLOCK_ALIGN: usize = 1 << 16;

/// No host has smaller pages.
const HOST_PAGE_MIN: usize = 4096;

/// The host cannot give that much memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllocError {
    bytes: u64,
    reason: String,
}

impl fmt::Display for AllocError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = self.bytes as f64 / (1 << 20) as f64;
        write!(
            f,
            "cannot get {mib} MiB of memory for the guest: {}",
            self.reason
        )
    }
}

impl std::error::Error for AllocError {}

/// A file that a block has its bytes from.
#[derive(Debug)]
pub struct FileBacking {
    /// Open for reading, and for writing if `share`.
    pub file: File,
    /// Where the block begins in the file; a multiple of [`BLOCK_ALIGN`].
    pub offset: u64,
    /// What the guest writes reaches the file.
    pub share: bool,
}

/// One block of guest memory.
pub struct RamBlock {
    memory: imp::Memory,
    len: usize,
}

// SAFETY: the block is plain bytes; all access to them through this type is atomic.
unsafe impl Send for RamBlock {}
// SAFETY: as above.
unsafe impl Sync for RamBlock {}

impl RamBlock {
    /// A block of `bytes` zeros.
    pub fn alloc(bytes: u64) -> Result<Self, AllocError> {
        let failed = |reason: String| AllocError { bytes, reason };
        let len = usize::try_from(bytes).map_err(|_| failed("more than addresses reach".into()))?;
        let rounded = len
            .max(1)
            .checked_next_multiple_of(BLOCK_ALIGN)
            .ok_or_else(|| failed("more than addresses reach".into()))?;
        let memory = imp::Memory::map(rounded).map_err(failed)?;
        Ok(Self { memory, len })
    }

    /// A block of `bytes` from a file that has at least as many behind `offset`.
    pub fn open(bytes: u64, backing: FileBacking) -> Result<Self, AllocError> {
        let failed = |reason: String| AllocError { bytes, reason };
        let len = usize::try_from(bytes).map_err(|_| failed("more than addresses reach".into()))?;
        let memory = imp::Memory::map_file(len, backing).map_err(failed)?;
        Ok(Self { memory, len })
    }

    /// Writes a shared file's changes to the file; natively the host does so by itself, sooner or
    /// later. Does nothing for other blocks.
    pub fn sync(&self) -> io::Result<()> {
        self.memory.sync(self)
    }

    /// Makes the host give all memory now (`prealloc=on`).
    pub fn populate(&self) {
        for offset in (0..self.len).step_by(HOST_PAGE_MIN) {
            self.byte(offset).fetch_or(0, Ordering::Relaxed);
        }
    }

    /// Host address of the first byte; valid as long as the block lives.
    pub fn host(&self) -> *mut u8 {
        self.memory.host()
    }

    /// Size in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True for a block of no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Copies out; false (and nothing done) if the range leaves the block. An aligned number of
    /// 2, 4 or 8 bytes is read in one: devices read counters in RAM that the guest moves on.
    pub fn read(&self, offset: usize, buf: &mut [u8]) -> bool {
        let Some(from) = self.range(offset, buf.len()) else {
            return false;
        };
        if let Some(size) = single_copy(from, buf.len())
            && let Some(value) = self.load(offset, size)
        {
            buf.copy_from_slice(&value.to_le_bytes()[..size as usize]);
            return true;
        }
        let head = words_apart(from, buf.len());
        let (start, rest) = buf.split_at_mut(head);
        let (words, end) = rest.as_chunks_mut::<8>();
        let mut at = offset;
        for byte in start {
            *byte = self.byte(at).load(Ordering::Relaxed);
            at += 1;
        }
        let sources = self.words(at, words.len());
        for (word, from) in words.iter_mut().zip(sources) {
            *word = from.load(Ordering::Relaxed).to_ne_bytes();
        }
        at += 8 * words.len();
        for byte in end {
            *byte = self.byte(at).load(Ordering::Relaxed);
            at += 1;
        }
        true
    }

    /// Copies in; false (and nothing done) if the range leaves the block. An aligned number of
    /// 2, 4 or 8 bytes is written in one.
    pub fn write(&self, offset: usize, data: &[u8]) -> bool {
        let Some(to) = self.range(offset, data.len()) else {
            return false;
        };
        if let Some(size) = single_copy(to, data.len()) {
            let mut bytes = [0; 8];
            bytes[..data.len()].copy_from_slice(data);
            return self
                .store(offset, size, u64::from_le_bytes(bytes))
                .is_some();
        }
        let (start, rest) = data.split_at(words_apart(to, data.len()));
        let (words, end) = rest.as_chunks::<8>();
        let mut at = offset;
        for byte in start {
            self.byte(at).store(*byte, Ordering::Relaxed);
            at += 1;
        }
        for (word, to) in words.iter().zip(self.words(at, words.len())) {
            to.store(u64::from_ne_bytes(*word), Ordering::Relaxed);
        }
        at += 8 * words.len();
        for byte in end {
            self.byte(at).store(*byte, Ordering::Relaxed);
            at += 1;
        }
        true
    }

    /// One little-endian load, a single copy if aligned; `None` outside the block.
    pub fn load(&self, offset: usize, size: AccessSize) -> Option<u64> {
        let at = self.range(offset, size as usize)?;
        if !(at as usize).is_multiple_of(size as usize) {
            let mut bytes = [0; 8];
            self.read(offset, &mut bytes[..size as usize]);
            return Some(u64::from_le_bytes(bytes));
        }
        // SAFETY: the range lies in the block and is aligned for the type.
        Some(unsafe {
            match size {
                AccessSize::Byte => AtomicU8::from_ptr(at).load(Ordering::Relaxed).into(),
                AccessSize::Half => {
                    u16::from_le(AtomicU16::from_ptr(at.cast()).load(Ordering::Relaxed)).into()
                }
                AccessSize::Word => {
                    u32::from_le(AtomicU32::from_ptr(at.cast()).load(Ordering::Relaxed)).into()
                }
                AccessSize::Double => {
                    u64::from_le(AtomicU64::from_ptr(at.cast()).load(Ordering::Relaxed))
                }
            }
        })
    }

    /// One little-endian store; `None` outside the block.
    pub fn store(&self, offset: usize, size: AccessSize, value: u64) -> Option<()> {
        let at = self.range(offset, size as usize)?;
        if !(at as usize).is_multiple_of(size as usize) {
            self.write(offset, &value.to_le_bytes()[..size as usize]);
            return Some(());
        }
        // SAFETY: the range lies in the block and is aligned for the type.
        unsafe {
            match size {
                AccessSize::Byte => AtomicU8::from_ptr(at).store(value as u8, Ordering::Relaxed),
                AccessSize::Half => {
                    AtomicU16::from_ptr(at.cast()).store((value as u16).to_le(), Ordering::Relaxed)
                }
                AccessSize::Word => {
                    AtomicU32::from_ptr(at.cast()).store((value as u32).to_le(), Ordering::Relaxed)
                }
                AccessSize::Double => {
                    AtomicU64::from_ptr(at.cast()).store(value.to_le(), Ordering::Relaxed);
                }
            }
        }
        Some(())
    }

    /// Host address of `offset`, if `len` bytes from there are in the block.
    fn range(&self, offset: usize, len: usize) -> Option<*mut u8> {
        let end = offset.checked_add(len)?;
        (end <= self.len).then(|| self.host().wrapping_add(offset))
    }

    fn byte(&self, offset: usize) -> &AtomicU8 {
        let at = self.range(offset, 1).expect("the caller checked the range");
        // SAFETY: one byte inside the block, which outlives `self`'s borrow.
        unsafe { AtomicU8::from_ptr(at) }
    }

    fn words(&self, offset: usize, count: usize) -> &[AtomicU64] {
        if count == 0 {
            return &[];
        }
        let at = count.checked_mul(8).and_then(|len| self.range(offset, len));
        let at = at.expect("the caller checked the range").cast::<u64>();
        assert!(at.is_aligned(), "words start where `words_apart` said");
        // SAFETY: `count` aligned words inside the block, which outlives `self`'s borrow.
        unsafe { std::slice::from_raw_parts(at.cast::<AtomicU64>(), count) }
    }
}

/// The size of an aligned number of `len` bytes at `at`, if that is what it is.
fn single_copy(at: *mut u8, len: usize) -> Option<AccessSize> {
    let size = AccessSize::from_bytes(len as u64)?;
    (at as usize).is_multiple_of(len).then_some(size)
}

/// How many of `len` bytes come before the first aligned word at or after `at`.
fn words_apart(at: *mut u8, len: usize) -> usize {
    ((at as usize).wrapping_neg() % 8).min(len)
}

#[cfg(any(test, feature = "cases"))]
pub mod cases;

#[cfg(test)]
mod tests {
    use super::*;

    /// The other thread's number is never seen half written.
    #[test]
    fn aligned_numbers_are_copied_in_one() {
        let block = RamBlock::alloc(8192).expect("memory");
        assert!(block.write(64, &[0xff, 0]));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for step in 0..2_000_000u32 {
                    let number = 0xff + (step & 1) as u16;
                    assert!(block.write(64, &number.to_le_bytes()));
                }
                assert!(block.write(66, &[1]));
            });
            let mut last = [0];
            while last == [0] {
                let mut bytes = [0; 2];
                assert!(block.read(64, &mut bytes) && block.read(66, &mut last));
                let number = u16::from_le_bytes(bytes);
                assert!([0xff, 0x100].contains(&number), "{number:#x}");
            }
        });
    }

    #[test]
    fn all_cases() {
        for (name, case) in cases::CASES {
            println!("{name}");
            case();
        }
    }

    #[test]
    fn copies_at_every_alignment() {
        let block = RamBlock::alloc(4096).unwrap();
        for offset in 0..9 {
            for len in 0..40 {
                let data: Vec<u8> = (0..len).map(|i| (i * 7 + offset + 1) as u8).collect();
                assert!(block.write(offset, &data));
                let mut back = vec![0; len];
                assert!(block.read(offset, &mut back));
                assert_eq!(back, data);
            }
        }
    }

    #[test]
    fn ranges_are_checked() {
        let block = RamBlock::alloc(16).unwrap();
        assert!(block.write(8, &[1; 8]));
        assert!(!block.write(9, &[1; 8]));
        assert!(!block.read(usize::MAX, &mut [0; 2]));
        assert_eq!(block.load(15, AccessSize::Half), None);
        assert_eq!(block.store(16, AccessSize::Byte, 0), None);
        assert_eq!(
            block.load(8, AccessSize::Double),
            Some(0x0101_0101_0101_0101)
        );
    }

    #[test]
    fn loads_are_little_endian() {
        let block = RamBlock::alloc(16).unwrap();
        for offset in [0, 1, 3, 8] {
            block
                .store(offset, AccessSize::Double, 0x8877_6655_4433_2211)
                .unwrap();
            assert_eq!(block.load(offset, AccessSize::Byte), Some(0x11));
            assert_eq!(block.load(offset, AccessSize::Half), Some(0x2211));
            assert_eq!(block.load(offset, AccessSize::Word), Some(0x4433_2211));
            assert_eq!(block.load(offset + 4, AccessSize::Word), Some(0x8877_6655));
        }
    }

    #[test]
    fn too_much_is_a_sentence() {
        let Err(error) = RamBlock::alloc(u64::MAX) else {
            panic!("that cannot be")
        };
        assert!(
            error
                .to_string()
                .starts_with("cannot get 17592186044416 MiB"),
            "{error}"
        );
    }
}
