//! qcow2 images, in memory and beside `qemu-img`.

mod concurrent;
mod corrupt;
mod files;
mod interop;
mod model;
mod power;

use std::sync::Arc;

use include::Errno;
use parking_lot::Mutex;

use super::{CreateOptions, Qcow2, Storage, create, read_header};

/// A storage in memory.
#[derive(Clone, Default)]
pub struct Memory(Arc<Mutex<Vec<u8>>>);

/// Tests fill no more of the host's memory.
const MEMORY_MAX: u64 = 64 << 20;

impl Memory {
    pub fn of(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(bytes)))
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.0.lock().clone()
    }
}

pub fn write_bytes(bytes: &mut Vec<u8>, offset: u64, data: &[u8]) -> Result<(), Errno> {
    let end = offset.saturating_add(data.len() as u64);
    if end > MEMORY_MAX {
        return Err(Errno::ENOSPC);
    }
    if bytes.len() < end as usize {
        bytes.resize(end as usize, 0);
    }
    bytes[offset as usize..end as usize].copy_from_slice(data);
    Ok(())
}

pub fn read_bytes(bytes: &[u8], offset: u64, buf: &mut [u8]) {
    let from = bytes
        .len()
        .min(usize::try_from(offset).unwrap_or(usize::MAX));
    let count = buf.len().min(bytes.len() - from);
    buf[..count].copy_from_slice(&bytes[from..from + count]);
    buf[count..].fill(0);
}

impl Storage for Memory {
    fn size(&self) -> u64 {
        self.0.lock().len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), Errno> {
        read_bytes(&self.0.lock(), offset, buf);
        Ok(())
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), Errno> {
        write_bytes(&mut self.0.lock(), offset, data)
    }

    /// What is in a hole is nobody's: it is made to look like no data of anybody.
    fn punch_hole(&self, offset: u64, bytes: u64) -> Result<(), Errno> {
        let mut all = self.0.lock();
        let end = all.len().min((offset + bytes) as usize);
        if (offset as usize) < end {
            all[offset as usize..end].fill(0xdd);
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), Errno> {
        Ok(())
    }
}

/// Numbers that are the same in each run (xorshift64*).
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 8) % end.max(1)
    }

    /// Bytes that say where they were written and when.
    pub fn data(&mut self, bytes: u64) -> Vec<u8> {
        let mut word = self.next();
        let step = |_| {
            word = word.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            (word >> 56) as u8 | 1
        };
        (0..bytes).map(step).collect()
    }

    /// A range of a disk: mostly small.
    pub fn range(&mut self, disk: u64, cluster: u64) -> (u64, u64) {
        let offset = self.below(disk);
        let longest = match self.below(8) {
            0 => cluster * 5,
            1..4 => cluster,
            _ => cluster / 4,
        };
        let bytes = 1 + self.below(longest.min(disk - offset));
        match self.below(3) {
            0 => (
                offset & !511,
                bytes.next_multiple_of(512).min(disk - (offset & !511)),
            ),
            1 => {
                let offset = offset & !(cluster - 1);
                (offset, bytes.next_multiple_of(cluster).min(disk - offset))
            }
            _ => (offset, bytes),
        }
    }
}

pub type Image<S> = Qcow2<S>;

pub fn open<S: Storage>(
    storage: S,
    backing: Option<S>,
    read_only: bool,
) -> Result<Image<S>, String> {
    let header = read_header(&storage)?;
    Qcow2::open(storage, &header, backing, read_only)
}

pub fn create_in_memory(options: &CreateOptions) -> Memory {
    let storage = Memory::default();
    create(&storage, options).expect("an image can be made");
    storage
}

/// All that the guest sees.
pub fn contents<S: Storage>(image: &Image<S>) -> Vec<u8> {
    let mut all = vec![0; image.len() as usize];
    image.read(0, &mut all).expect("it can be read");
    all
}

pub fn assert_sound<S: Storage>(image: &Image<S>, leaks_allowed: bool) {
    let report = image.check().expect("it can be checked");
    let sound = report.corruptions == 0 && (leaks_allowed || report.leaks == 0);
    assert!(sound, "{report:?}");
}
