//! The bytes of a file in memory: pages, where something was written.

use std::collections::BTreeMap;

pub const PAGE_BYTES: usize = 4096;
const PAGE: u64 = PAGE_BYTES as u64;

/// Bytes of a file; what was never written is zero and takes no memory.
#[derive(Default)]
pub struct Sparse {
    size: u64,
    pages: BTreeMap<u64, Box<[u8; PAGE_BYTES]>>,
}

/// The parts of `len` bytes from `offset` on: page, range inside of it, range in the buffer.
fn parts(
    offset: u64,
    len: usize,
) -> impl Iterator<Item = (u64, std::ops::Range<usize>, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let start = (at % PAGE) as usize;
        let count = (PAGE_BYTES - start).min(len - done);
        let buffer = done..done + count;
        done += count;
        (count > 0).then_some((at / PAGE, start..start + count, buffer))
    })
}

impl Sparse {
    pub fn size(&self) -> u64 {
        self.size
    }

    pub fn pages(&self) -> u64 {
        self.pages.len() as u64
    }

    /// How many pages a write would add.
    pub fn pages_missing(&self, offset: u64, len: usize) -> u64 {
        let missing = parts(offset, len).filter(|(page, ..)| !self.pages.contains_key(page));
        missing.count() as u64
    }

    pub fn read(&self, offset: u64, buf: &mut [u8]) -> usize {
        let left = self.size.saturating_sub(offset);
        let len = usize::try_from(left).map_or(buf.len(), |left| left.min(buf.len()));
        for (page, source, dest) in parts(offset, len) {
            match self.pages.get(&page) {
                Some(bytes) => buf[dest].copy_from_slice(&bytes[source]),
                None => buf[dest].fill(0),
            }
        }
        len
    }

    /// The caller has checked that the end is no greater than the greatest offset.
    pub fn write(&mut self, offset: u64, data: &[u8]) {
        for (page, dest, source) in parts(offset, data.len()) {
            let bytes = self
                .pages
                .entry(page)
                .or_insert_with(|| Box::new([0; PAGE_BYTES]));
            bytes[dest].copy_from_slice(&data[source]);
        }
        if !data.is_empty() {
            self.size = self.size.max(offset + data.len() as u64);
        }
    }

    pub fn truncate(&mut self, size: u64) {
        self.pages.split_off(&size.div_ceil(PAGE));
        if let Some(bytes) = self.pages.get_mut(&(size / PAGE)) {
            bytes[(size % PAGE) as usize..].fill(0);
        }
        self.size = size;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_zero_and_free() {
        let mut file = Sparse::default();
        let far = (4 << 30) + 4094;
        assert_eq!(file.pages_missing(far, 4), 2);
        file.write(far, b"abcd");
        assert_eq!((file.size(), file.pages()), (far + 4, 2));
        assert_eq!(file.pages_missing(far, 4), 0);
        let mut buf = [7; 8];
        assert_eq!(file.read(far - 2, &mut buf), 6);
        assert_eq!(&buf, b"\0\0abcd\x07\x07");
        assert_eq!(file.read(1 << 20, &mut buf), 8);
        assert_eq!(buf, [0; 8]);
        assert_eq!(file.read(far + 4, &mut buf), 0);
        assert_eq!(file.read(u64::MAX, &mut buf), 0);
    }

    #[test]
    fn what_was_cut_off_is_zero_later() {
        let mut file = Sparse::default();
        file.write(0, &[1; 10_000]);
        file.truncate(5000);
        assert_eq!((file.size(), file.pages()), (5000, 2));
        file.truncate(10_000);
        let mut buf = [7; 10_000];
        assert_eq!(file.read(0, &mut buf), 10_000);
        assert_eq!(
            buf.iter().map(|byte| usize::from(*byte)).sum::<usize>(),
            5000
        );
        file.truncate(0);
        assert_eq!((file.size(), file.pages()), (0, 0));
    }
}
