//! A node of the graph: what all drivers can do, and which drivers there are.

use std::sync::Arc;

use include::Errno;
use util::host_fs;

use crate::chunked::Chunked;
use crate::file::File;
use crate::http::Http;
use crate::logwrites::LogWrites;
use crate::null::Null;
use crate::overlay::Overlay;
use crate::qcow2::Qcow2;
use crate::raw::Raw;

/// The smallest piece that a device asks for.
pub const SECTOR: u64 = 512;

/// An open image, or a layer of one. Offsets and lengths are in bytes, of any alignment. All
/// operations may wait, and many may go on at the same time.
pub enum Node {
    /// A file of the host.
    File(File),
    /// A file on a server, which is only read.
    Http(Box<Http>),
    /// No storage at all.
    Null(Null),
    /// A part of another node.
    Raw(Raw),
    /// What is written stays in memory.
    Overlay(Overlay),
    /// Another node whose writes are written down.
    LogWrites(Box<LogWrites>),
    /// QEMU's images.
    Qcow2(Box<Qcow2<Child>>),
    /// Images for static web hosts.
    Chunked(Box<Chunked>),
}

/// Calls the same method of whatever driver it is: calls must be direct.
macro_rules! delegate {
    ($self:ident, $driver:ident => $call:expr) => {
        match $self {
            Node::File($driver) => $call,
            Node::Http($driver) => $call,
            Node::Null($driver) => $call,
            Node::Raw($driver) => $call,
            Node::Overlay($driver) => $call,
            Node::LogWrites($driver) => $call,
            Node::Qcow2($driver) => $call,
            Node::Chunked($driver) => $call,
        }
    };
}

/// The children of a node are shared with nobody but may be looked at.
pub type Child = Arc<Node>;

impl Node {
    /// The driver's name in options.
    pub fn driver(&self) -> &'static str {
        match self {
            Node::File(_) => "file",
            Node::Http(_) => "http",
            Node::Null(_) => "null-co",
            Node::Raw(_) => "raw",
            Node::Overlay(_) => "overlay",
            Node::LogWrites(_) => "blklogwrites",
            Node::Qcow2(_) => "qcow2",
            Node::Chunked(_) => "chunked",
        }
    }

    /// How many bytes there are.
    pub fn len(&self) -> u64 {
        delegate!(self, driver => driver.len())
    }

    /// True for a medium of no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads a range that lies within the node.
    pub fn read(&self, offset: u64, buf: &mut [u8]) -> Result<(), Errno> {
        self.check(offset, buf.len() as u64)?;
        delegate!(self, driver => driver.read(offset, buf))
    }

    /// Writes a range that lies within the node.
    pub fn write(&self, offset: u64, data: &[u8]) -> Result<(), Errno> {
        self.check(offset, data.len() as u64)?;
        delegate!(self, driver => driver.write(offset, data))
    }

    /// The same for a format's file, which becomes longer where that is needed.
    pub fn write_growing(&self, offset: u64, data: &[u8]) -> Result<(), Errno> {
        match self {
            Node::File(file) => file.write(offset, data),
            Node::LogWrites(log) => log.write(offset, data),
            _ => self.write(offset, data),
        }
    }

    /// Makes a range read as zeros; with `may_unmap` its storage may be given up.
    pub fn write_zeroes(&self, offset: u64, bytes: u64, may_unmap: bool) -> Result<(), Errno> {
        self.check(offset, bytes)?;
        delegate!(self, driver => driver.write_zeroes(offset, bytes, may_unmap))
    }

    /// Says that a range's contents do not matter any more.
    pub fn discard(&self, offset: u64, bytes: u64) -> Result<(), Errno> {
        self.check(offset, bytes)?;
        delegate!(self, driver => driver.discard(offset, bytes))
    }

    /// Returns when everything that was written before is on stable storage.
    pub fn flush(&self) -> Result<(), Errno> {
        delegate!(self, driver => driver.flush())
    }

    /// `cache=unsafe`: files pass flushes on no more. Formats still write what they keep in memory,
    /// so that the end of the process loses nothing that was flushed.
    pub fn ignore_flushes(&self) {
        match self {
            Node::File(file) => file.ignore_flushes(),
            Node::Raw(raw) => raw.child().ignore_flushes(),
            Node::LogWrites(log) => log.file().ignore_flushes(),
            Node::Qcow2(image) => image.storage().ignore_flushes(),
            Node::Chunked(image) => image.child().ignore_flushes(),
            Node::Http(_) | Node::Null(_) | Node::Overlay(_) => (),
        }
    }

    /// What tells this version of an image on a server from others.
    pub fn tag(&self) -> Option<&str> {
        match self {
            Node::Http(http) => http.tag(),
            Node::Raw(raw) => raw.child().tag(),
            Node::Qcow2(image) => image.storage().tag(),
            Node::Chunked(image) => image.child().tag(),
            Node::LogWrites(log) => log.file().tag(),
            Node::File(_) | Node::Null(_) | Node::Overlay(_) => None,
        }
    }

    /// Whether its bytes are on this host, which mostly has them in its page cache.
    pub fn is_near(&self) -> bool {
        match self {
            Node::Null(_) => true,
            // In a page files belong to other threads.
            Node::File(_) => !host_fs::is_page(),
            Node::Http(_) | Node::LogWrites(_) | Node::Chunked(_) => false,
            Node::Raw(raw) => raw.child().is_near(),
            Node::Overlay(overlay) => overlay.child().is_near(),
            Node::Qcow2(image) => {
                image.storage().is_near() && image.backing().is_none_or(|below| below.is_near())
            }
        }
    }

    /// Makes it longer or shorter; what is new reads as zeros.
    pub fn set_len(&self, bytes: u64) -> Result<(), Errno> {
        delegate!(self, driver => driver.set_len(bytes))
    }

    fn check(&self, offset: u64, bytes: u64) -> Result<(), Errno> {
        match offset.checked_add(bytes) {
            Some(end) if end <= self.len() => Ok(()),
            _ => Err(Errno::EIO),
        }
    }
}

/// Zeros to write where there is no quicker way.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// Writes zeros like any other data.
pub fn write_plain_zeroes(
    offset: u64,
    bytes: u64,
    mut write: impl FnMut(u64, &[u8]) -> Result<(), Errno>,
) -> Result<(), Errno> {
    let mut done = 0;
    while done < bytes {
        let count = (bytes - done).min(ZEROS.len() as u64);
        write(offset + done, &ZEROS[..count as usize])?;
        done += count;
    }
    Ok(())
}
