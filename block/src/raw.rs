//! `raw`: the bytes of another node as they are, or a part of them.

use include::Errno;

use crate::node::Child;
use crate::probe;

pub struct Raw {
    child: Child,
    offset: u64,
    len: u64,
    /// Nobody said that the image is raw: a guest must not make it look like another format, whose
    /// header would then name files of the host.
    guarded: bool,
}

impl Raw {
    /// All of `child` behind `offset`, or `size` bytes of it.
    pub fn new(
        child: Child,
        offset: u64,
        size: Option<u64>,
        guarded: bool,
    ) -> Result<Self, String> {
        let there = child.len();
        let len = size.unwrap_or(there.saturating_sub(offset));
        match offset.checked_add(len) {
            Some(end) if end <= there && offset <= there => Ok(Self {
                child,
                offset,
                len,
                guarded,
            }),
            _ => Err(format!("'offset' and 'size' are beyond its {there} bytes")),
        }
    }

    pub fn child(&self) -> &Child {
        &self.child
    }

    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn read(&self, offset: u64, buf: &mut [u8]) -> Result<(), Errno> {
        self.child.read(self.offset + offset, buf)
    }

    pub fn write(&self, offset: u64, data: &[u8]) -> Result<(), Errno> {
        if self.guarded && offset < probe::BYTES as u64 {
            self.check_format(offset, data)?;
        }
        self.child.write(self.offset + offset, data)
    }

    pub fn write_zeroes(&self, offset: u64, bytes: u64, may_unmap: bool) -> Result<(), Errno> {
        let at = self.offset + offset;
        self.child.write_zeroes(at, bytes, may_unmap)
    }

    pub fn discard(&self, offset: u64, bytes: u64) -> Result<(), Errno> {
        self.child.discard(self.offset + offset, bytes)
    }

    pub fn flush(&self) -> Result<(), Errno> {
        self.child.flush()
    }

    pub fn set_len(&self, _bytes: u64) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    /// Refuses a write after which the image would be taken for another format.
    fn check_format(&self, offset: u64, data: &[u8]) -> Result<(), Errno> {
        let mut start = vec![0; probe::BYTES.min(self.len as usize)];
        self.child.read(self.offset, &mut start)?;
        let from = offset as usize;
        let count = data.len().min(start.len().saturating_sub(from));
        start[from..from + count].copy_from_slice(&data[..count]);
        match probe::format(&start) {
            Some(_) => Err(Errno::EPERM),
            None => Ok(()),
        }
    }
}
