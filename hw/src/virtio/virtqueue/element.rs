//! One buffer of the guest: a descriptor chain, taken apart.

use include::{AddressSpace, PhysAddr};

use super::{CHAIN_LENGTH_MAX, QueueError};
use crate::virtio::spec::descriptor::{INDIRECT, SIZE, WRITE};

/// A contiguous piece of guest memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    pub addr: PhysAddr,
    pub len: u32,
}

/// A buffer that the device has taken and must give back with `push`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// What the guest knows it by: head index (split), buffer id (packed).
    pub(super) id: u16,
    /// How many descriptors of the ring itself it takes.
    pub(super) ring_descriptors: u16,
    /// The queue's epoch when it was taken.
    pub(super) epoch: u32,
    /// What the device reads, then what it writes. Its memory is the queue's, to be used again.
    segments: Vec<Segment>,
    /// How many of them the device reads.
    readable: usize,
}

/// The part of a descriptor that both ring formats and indirect tables agree on.
#[derive(Clone, Copy)]
pub(super) struct Descriptor {
    pub addr: PhysAddr,
    pub len: u32,
    pub flags: u16,
    /// Next descriptor of a split chain.
    pub next: u16,
}

impl Descriptor {
    /// From a descriptor table (2.7.5): the format of the split ring.
    pub fn parse_split(bytes: &[u8; SIZE]) -> Self {
        let whole = u128::from_le_bytes(*bytes);
        Self {
            addr: PhysAddr(whole as u64),
            len: (whole >> 64) as u32,
            flags: (whole >> 96) as u16,
            next: (whole >> 112) as u16,
        }
    }

    /// From a packed ring or table (2.8.13), where a buffer id stands in place of `next`.
    pub fn parse_packed(bytes: &[u8; SIZE]) -> (Self, u16) {
        let whole = u128::from_le_bytes(*bytes);
        let flags = (whole >> 112) as u16;
        let id = (whole >> 96) as u16;
        (
            Self {
                flags,
                next: 0,
                ..Self::parse_split(bytes)
            },
            id,
        )
    }

    pub fn is(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }
}

impl Element {
    /// An empty one, on memory of an earlier one.
    pub(super) fn new(mut segments: Vec<Segment>) -> Self {
        segments.clear();
        Self {
            segments,
            ..Self::default()
        }
    }

    pub(super) fn into_segments(self) -> Vec<Segment> {
        self.segments
    }

    /// Appends the buffer of a descriptor.
    pub(super) fn add(&mut self, descriptor: &Descriptor) -> Result<(), QueueError> {
        if self.segments.len() == CHAIN_LENGTH_MAX {
            return Err(QueueError::ChainTooLong);
        }
        if descriptor.is(INDIRECT) {
            return Err(QueueError::Indirect(descriptor.len));
        }
        if !descriptor.is(WRITE) {
            if self.readable < self.segments.len() {
                return Err(QueueError::Order);
            }
            self.readable += 1;
        }
        self.segments.push(Segment {
            addr: descriptor.addr,
            len: descriptor.len,
        });
        Ok(())
    }

    pub fn readable(&self) -> &[Segment] {
        &self.segments[..self.readable]
    }

    pub fn writable(&self) -> &[Segment] {
        &self.segments[self.readable..]
    }

    pub fn readable_len(&self) -> u64 {
        self.readable()
            .iter()
            .map(|segment| u64::from(segment.len))
            .sum()
    }

    pub fn writable_len(&self) -> u64 {
        self.writable()
            .iter()
            .map(|segment| u64::from(segment.len))
            .sum()
    }

    /// Copies from the readable part, from `offset` on; says how many bytes there were.
    pub fn read(
        &self,
        memory: &dyn AddressSpace,
        offset: u64,
        buf: &mut [u8],
    ) -> Result<usize, QueueError> {
        let mut done = 0;
        for piece in pieces(self.readable(), offset, buf.len()) {
            let end = done + piece.len as usize;
            memory.read(piece.addr, &mut buf[done..end])?;
            done = end;
        }
        Ok(done)
    }

    /// Copies to the writable part, from `offset` on; says how many bytes there was room for.
    pub fn write(
        &self,
        memory: &dyn AddressSpace,
        offset: u64,
        data: &[u8],
    ) -> Result<usize, QueueError> {
        let mut done = 0;
        for piece in pieces(self.writable(), offset, data.len()) {
            let end = done + piece.len as usize;
            memory.write(piece.addr, &data[done..end])?;
            done = end;
        }
        Ok(done)
    }
}

/// The pieces of `segments` that make up the bytes from `offset` on, at most `len` of them.
fn pieces(segments: &[Segment], offset: u64, len: usize) -> impl Iterator<Item = Segment> + '_ {
    let (mut skip, mut left) = (offset, len as u64);
    segments.iter().filter_map(move |segment| {
        let start = skip.min(segment.len.into());
        skip -= start;
        let len = left.min(u64::from(segment.len) - start);
        left -= len;
        (len > 0).then(|| Segment {
            addr: segment.addr.add(start),
            len: len as u32,
        })
    })
}
