//! A cache of metadata, in pages, written back when its owner says so.

use std::collections::HashMap;

use include::Errno;

use super::storage::Storage;

struct Page {
    data: Box<[u8]>,
    dirty: bool,
    used: u64,
}

/// Pages of L2 tables, or of blocks of reference counts, by their offset in the file.
pub struct Pages {
    pages: HashMap<u64, Page>,
    page: usize,
    /// More than this only while an operation works on them.
    pages_max: usize,
    dirty: usize,
    clock: u64,
}

impl Pages {
    /// A cache for about `bytes_max` bytes.
    pub fn new(page: u64, bytes_max: usize) -> Self {
        Self {
            pages: HashMap::new(),
            page: page as usize,
            pages_max: (bytes_max / page as usize).max(16),
            dirty: 0,
            clock: 0,
        }
    }

    pub fn is_dirty(&self) -> bool {
        self.dirty > 0
    }

    /// So many are dirty that there is no room for clean ones.
    pub fn is_crowded(&self) -> bool {
        self.dirty > self.pages_max / 2
    }

    /// Forgets pages that were not used for long, if there are too many.
    pub fn shrink(&mut self) {
        if self.pages.len() <= self.pages_max {
            return;
        }
        let mut ages: Vec<u64> = self.pages.values().map(|page| page.used).collect();
        let middle = ages.len() / 2;
        let (_, oldest, _) = ages.select_nth_unstable(middle);
        let oldest = *oldest;
        self.pages
            .retain(|_, page| page.dirty || page.used > oldest);
    }

    /// The page at `offset`, which is a multiple of a page.
    pub fn get<S: Storage>(&mut self, storage: &S, offset: u64) -> Result<&[u8], Errno> {
        Ok(&self.load(storage, offset)?.data)
    }

    /// The same, to change it.
    pub fn get_mut<S: Storage>(&mut self, storage: &S, offset: u64) -> Result<&mut [u8], Errno> {
        let was_dirty = std::mem::replace(&mut self.load(storage, offset)?.dirty, true);
        self.dirty += usize::from(!was_dirty);
        Ok(&mut self.load(storage, offset)?.data)
    }

    fn load<S: Storage>(&mut self, storage: &S, offset: u64) -> Result<&mut Page, Errno> {
        self.clock += 1;
        if !self.pages.contains_key(&offset) {
            let mut data = vec![0; self.page].into_boxed_slice();
            storage.read_at(offset, &mut data)?;
            let page = Page {
                data,
                dirty: false,
                used: 0,
            };
            self.pages.insert(offset, page);
        }
        let page = self.pages.get_mut(&offset).ok_or(Errno::EIO)?;
        page.used = self.clock;
        Ok(page)
    }

    /// Forgets a range that is used for something else now.
    pub fn forget(&mut self, offset: u64, bytes: u64) {
        for at in (offset..offset + bytes).step_by(self.page) {
            if self.pages.remove(&at).is_some_and(|page| page.dirty) {
                self.dirty -= 1;
            }
        }
    }

    /// Writes all that changed; neighbours in one go.
    pub fn write_back<S: Storage>(&mut self, storage: &S) -> Result<(), Errno> {
        let dirty = self.pages.iter().filter(|(_, page)| page.dirty);
        let mut offsets: Vec<u64> = dirty.map(|(offset, _)| *offset).collect();
        offsets.sort_unstable();
        let step = self.page as u64;
        for run in offsets.chunk_by(|a, b| a + step == *b) {
            for part in run.chunks(RUN_BYTES_MAX.div_ceil(self.page)) {
                self.write_run(storage, part)?;
            }
        }
        Ok(())
    }

    fn write_run<S: Storage>(&mut self, storage: &S, run: &[u64]) -> Result<(), Errno> {
        let mut bytes = Vec::with_capacity(run.len() * self.page);
        for offset in run {
            bytes.extend_from_slice(&self.pages[offset].data);
        }
        storage.write_at(run[0], &bytes)?;
        for offset in run {
            if let Some(page) = self.pages.get_mut(offset) {
                page.dirty = false;
                self.dirty -= 1;
            }
        }
        Ok(())
    }
}

/// At most this much is written in one go.
const RUN_BYTES_MAX: usize = 256 << 10;
