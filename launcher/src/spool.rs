//! The contents of all files of an image, one behind the other in one temporary file.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::tree::Content;

/// Each file begins here again, so that holes can be found cheaply.
const STEP: usize = 64 << 10;

pub struct Spool {
    file: File,
    end: u64,
    limit: u64,
}

impl Spool {
    /// A file that has no name once it is open. It takes `limit` bytes.
    pub fn create(path: &Path, limit: u64) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).open(path)?;
        std::fs::remove_file(path)?;
        Ok(Self {
            file,
            end: 0,
            limit,
        })
    }

    /// The error is a sentence.
    pub fn check_room(&self, bytes: u64) -> Result<(), String> {
        match self.end.checked_add(bytes) {
            Some(end) if end <= self.limit => Ok(()),
            _ => Err(format!(
                "the image has more than {} MiB (--max-size allows more)",
                self.limit >> 20
            )),
        }
    }

    /// Takes all that `reader` gives; zeros take no space.
    pub fn take(&mut self, reader: &mut dyn Read) -> Result<Content, String> {
        let (offset, mut buf) = (self.end, vec![0; STEP]);
        loop {
            let count = read_full(reader, &mut buf).map_err(|error| error.to_string())?;
            let data = &buf[..count];
            self.check_room(count as u64)?;
            if data.iter().any(|byte| *byte != 0) {
                let written = self.file.write_all_at(data, self.end);
                written.map_err(|error| format!("the temporary file: {error}"))?;
            }
            self.end += count as u64;
            if count < buf.len() {
                let bytes = self.end - offset;
                return Ok(Content { offset, bytes });
            }
        }
    }

    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Fills `buf` from a content, with zeros behind its end.
    pub fn read(&self, content: Content, at: u64, buf: &mut [u8]) -> io::Result<()> {
        let there = content.bytes.saturating_sub(at).min(buf.len() as u64) as usize;
        let mut done = 0;
        while done < there {
            let from = content.offset + at + done as u64;
            match self.file.read_at(&mut buf[done..there], from)? {
                // Zeros at the very end were not written.
                0 => break,
                count => done += count,
            }
        }
        buf[done..].fill(0);
        Ok(())
    }
}

/// Fills the buffer as far as the reader goes.
pub fn read_full(reader: &mut dyn Read, buf: &mut [u8]) -> io::Result<usize> {
    let mut done = 0;
    while done < buf.len() {
        match reader.read(&mut buf[done..]) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}
