//! `blklogwrites`: passes everything on to `file`, and writes down in `log` what was written, in the
//! format of Linux's dm-log-writes (QEMU's driver of that name). From an image's copy and the log,
//! every state can be made that a cut of the power might have left.
//!
//! What must hold: what stands in the log before a flush was done before that flush began. So a
//! flush waits for the requests at work, and new ones wait for it.

use include::Errno;
use util::coroutine::{CoMutex, CoRwLock};

use crate::node::Child;

/// "jsfwshr", as dm-log-writes has it.
const MAGIC: u64 = 0x006a_7366_7773_6872;
const VERSION: u64 = 1;
/// Flags of entries.
pub const FLUSH: u64 = 1;
pub const DISCARD: u64 = 4;
/// The sector size unless `log-sector-size=` says otherwise.
pub const SECTOR_DEFAULT: u64 = 512;
/// How much of a range of zeros is written down at a time.
const ZEROS_MAX: u64 = 1 << 20;

pub struct LogWrites {
    file: Child,
    log: Child,
    sector: u64,
    /// Flushes have it alone.
    order: CoRwLock<()>,
    end: CoMutex<End>,
}

/// Where the log ends.
struct End {
    entries: u64,
    /// In sectors of the log.
    at: u64,
}

impl LogWrites {
    /// Begins a new log.
    pub fn new(file: Child, log: Child, sector: u64) -> Result<Self, String> {
        let this = Self {
            file,
            log,
            sector,
            order: CoRwLock::new(()),
            end: CoMutex::new(End { entries: 0, at: 1 }),
        };
        let begun = this.write_super(0).and_then(|()| this.log.flush());
        begun.map_err(|error| format!("the log of 'blklogwrites' cannot be written: {error}"))?;
        Ok(this)
    }

    pub fn file(&self) -> &Child {
        &self.file
    }

    pub fn len(&self) -> u64 {
        self.file.len()
    }

    pub fn read(&self, offset: u64, buf: &mut [u8]) -> Result<(), Errno> {
        self.file.read(offset, buf)
    }

    /// Also behind the end, for formats.
    pub fn write(&self, offset: u64, data: &[u8]) -> Result<(), Errno> {
        let _turn = self.order.read();
        self.file.write_growing(offset, data)?;
        self.note_data(offset, data)
    }

    pub fn write_zeroes(&self, offset: u64, bytes: u64, may_unmap: bool) -> Result<(), Errno> {
        let _turn = self.order.read();
        self.file.write_zeroes(offset, bytes, may_unmap)?;
        let zeros = vec![0; bytes.min(ZEROS_MAX) as usize];
        let mut done = 0;
        while done < bytes {
            let count = (bytes - done).min(ZEROS_MAX);
            self.note_data(offset + done, &zeros[..count as usize])?;
            done += count;
        }
        Ok(())
    }

    pub fn discard(&self, offset: u64, bytes: u64) -> Result<(), Errno> {
        let _turn = self.order.read();
        self.file.discard(offset, bytes)?;
        // What lies in a discarded range is nobody's; parts of sectors are not worth an entry.
        let first = offset.div_ceil(self.sector);
        let end = (offset + bytes) / self.sector;
        match first < end {
            true => self.note(first, end - first, DISCARD, &[]),
            false => Ok(()),
        }
    }

    pub fn flush(&self) -> Result<(), Errno> {
        let _alone = self.order.write();
        self.file.flush()?;
        self.note(0, 0, FLUSH, &[])?;
        let entries = self.end.lock().entries;
        self.write_super(entries)
    }

    pub fn set_len(&self, bytes: u64) -> Result<(), Errno> {
        self.file.set_len(bytes)
    }

    /// Notes what is in the sectors of a range now: entries have whole ones.
    fn note_data(&self, offset: u64, data: &[u8]) -> Result<(), Errno> {
        let end = offset + data.len() as u64;
        let (first, last) = (offset / self.sector, end.div_ceil(self.sector));
        if offset.is_multiple_of(self.sector) && end.is_multiple_of(self.sector) {
            return self.note(first, last - first, 0, data);
        }
        let start = first * self.sector;
        let mut whole = vec![0; ((last - first) * self.sector) as usize];
        let there = self
            .file
            .len()
            .saturating_sub(start)
            .min(whole.len() as u64);
        self.file.read(start, &mut whole[..there as usize])?;
        let at = (offset - start) as usize;
        whole[at..at + data.len()].copy_from_slice(data);
        self.note(first, last - first, 0, &whole)
    }

    /// Appends an entry.
    fn note(&self, sector: u64, sectors: u64, flags: u64, data: &[u8]) -> Result<(), Errno> {
        let mut entry = vec![0; self.sector as usize];
        // The last field is the length of data that belongs to no sector.
        for (field, value) in entry.chunks_exact_mut(8).zip([sector, sectors, flags, 0]) {
            field.copy_from_slice(&value.to_le_bytes());
        }
        entry.extend_from_slice(data);
        let mut end = self.end.lock();
        self.log.write_growing(end.at * self.sector, &entry)?;
        end.at += entry.len() as u64 / self.sector;
        end.entries += 1;
        Ok(())
    }

    fn write_super(&self, entries: u64) -> Result<(), Errno> {
        let mut bytes = vec![0; self.sector as usize];
        let fields = [MAGIC, VERSION, entries, self.sector];
        for (field, value) in bytes.chunks_exact_mut(8).zip(fields) {
            field.copy_from_slice(&value.to_le_bytes());
        }
        self.log.write_growing(0, &bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use util::coroutine::AioContext;

    use super::*;
    use crate::file::File;
    use crate::node::Node;

    /// The entries are whole sectors, in the order in which things were done.
    #[test]
    fn what_is_written_is_noted() {
        let folder = std::env::temp_dir().join(format!("tinamou-log-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let [image, log] = ["image", "log"].map(|name| folder.join(name));
        std::fs::write(&image, vec![7; 2048]).expect("an image");
        std::fs::write(&log, b"").expect("a log");
        let open = |path: &std::path::Path| path.to_str().expect("a plain name").to_string();
        let (image_name, log_name) = (open(&image), open(&log));
        let context = AioContext::start("log").expect("a thread");
        context.block_on(move || {
            let open = |name: &str| Arc::new(Node::File(File::open(name, false, false).unwrap()));
            let node = LogWrites::new(open(&image_name), open(&log_name), 512).unwrap();
            node.write(510, b"abcd").unwrap();
            node.flush().unwrap();
            node.write_zeroes(1024, 512, true).unwrap();
            node.discard(100, 1000).unwrap();
        });
        context.stop();
        let bytes = std::fs::read(&log).expect("the log");
        let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        // The super block counts what was flushed.
        assert_eq!([0, 8, 16, 24].map(word), [MAGIC, VERSION, 2, 512]);
        let entry = |sector: usize| [0, 8, 16, 24].map(|at| word(512 * sector + at));
        assert_eq!(entry(1), [0, 2, 0, 0]);
        assert_eq!(&bytes[1024 + 509..1024 + 515], b"\x07abcd\x07");
        assert_eq!(entry(4), [0, 0, FLUSH, 0]);
        assert_eq!(entry(5), [2, 1, 0, 0]);
        assert!(bytes[3072..3584].iter().all(|byte| *byte == 0));
        assert_eq!(entry(7), [1, 1, DISCARD, 0]);
        assert_eq!(bytes.len(), 8 * 512);
        std::fs::remove_dir_all(&folder).expect("it goes");
    }
}
