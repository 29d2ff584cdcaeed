//! `null-co`: reads as zeros, and forgets what is written. For measurements.

use include::Errno;

pub struct Null {
    len: u64,
}

impl Null {
    pub fn new(len: u64) -> Self {
        Self { len }
    }

    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn read(&self, _offset: u64, buf: &mut [u8]) -> Result<(), Errno> {
        buf.fill(0);
        Ok(())
    }

    pub fn write(&self, _offset: u64, _data: &[u8]) -> Result<(), Errno> {
        Ok(())
    }

    pub fn write_zeroes(&self, _offset: u64, _bytes: u64, _may_unmap: bool) -> Result<(), Errno> {
        Ok(())
    }

    pub fn discard(&self, _offset: u64, _bytes: u64) -> Result<(), Errno> {
        Ok(())
    }

    pub fn flush(&self) -> Result<(), Errno> {
        Ok(())
    }

    pub fn set_len(&self, _bytes: u64) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }
}
