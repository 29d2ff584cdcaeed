//! Sizes that follow from a header, and what the entries of tables mean.

use super::header::{Compression, Header};

/// Bits of L1 and L2 entries.
pub const COPIED: u64 = 1 << 63;
pub const COMPRESSED: u64 = 1 << 62;
pub const ZERO: u64 = 1 << 0;
/// The offset in L1 and L2 entries.
pub const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
/// The offset in entries of the reference count table.
pub const REFTABLE_OFFSET: u64 = !0x1ff;
/// Host offsets end here: more does not fit an entry.
pub const HOST_END: u64 = 1 << 56;

/// Metadata is read and written in pages of at most this.
const PAGE_MAX: u64 = 4096;

/// What does not change while an image is open.
#[derive(Clone, Copy, Debug)]
pub struct Geometry {
    pub version: u32,
    pub cluster_bits: u32,
    pub refcount_order: u32,
    pub compression: Compression,
}

/// What an L2 entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mapping {
    /// The backing file's, or zeros.
    Unallocated,
    /// Zeros; maybe with a cluster that is not read.
    Zero { host: Option<u64>, copied: bool },
    /// A cluster of the file.
    Data { host: u64, copied: bool },
    /// Some compressed bytes of the file.
    Compressed { host: u64, bytes: u64 },
}

impl Geometry {
    pub fn new(header: &Header) -> Self {
        Self {
            version: header.version,
            cluster_bits: header.cluster_bits,
            refcount_order: header.refcount_order,
            compression: header.compression,
        }
    }

    pub fn cluster(&self) -> u64 {
        1 << self.cluster_bits
    }

    pub fn page(&self) -> u64 {
        self.cluster().min(PAGE_MAX)
    }

    /// Entries of an L2 table, or of a cluster of another table of offsets.
    pub fn entries(&self) -> u64 {
        self.cluster() / 8
    }

    /// Clusters that a block of reference counts describes.
    pub fn refblock_entries(&self) -> u64 {
        (self.cluster() * 8) >> self.refcount_order
    }

    /// How many clusters hold so many bytes.
    pub fn clusters(&self, bytes: u64) -> u64 {
        bytes.div_ceil(self.cluster())
    }

    pub fn is_aligned(&self, offset: u64) -> bool {
        offset & (self.cluster() - 1) == 0
    }

    /// What an L2 entry means; `None` for one that cannot be.
    pub fn mapping(&self, entry: u64) -> Option<Mapping> {
        if entry & COMPRESSED != 0 {
            return Some(self.compressed(entry));
        }
        let (host, copied) = (entry & OFFSET, entry & COPIED != 0);
        if !self.is_aligned(host) {
            return None;
        }
        match (entry & ZERO != 0, host) {
            (true, _) if self.version < 3 => None,
            (true, 0) => Some(Mapping::Zero { host: None, copied }),
            (true, host) => Some(Mapping::Zero {
                host: Some(host),
                copied,
            }),
            // The header's cluster is nobody's data.
            (false, 0) if copied => None,
            (false, 0) => Some(Mapping::Unallocated),
            (false, host) => Some(Mapping::Data { host, copied }),
        }
    }

    /// The descriptor of compressed clusters: offset, and sectors behind the first.
    fn compressed(&self, entry: u64) -> Mapping {
        let shift = 62 - (self.cluster_bits - 8);
        let host = entry & ((1 << shift) - 1) & (HOST_END - 1);
        let sectors = (entry & (COMPRESSED - 1)) >> shift;
        let bytes = (sectors + 1) * 512 - (host & 511);
        Mapping::Compressed { host, bytes }
    }
}

/// The count at `index` of a piece of a block of counts, 2^`order` bits wide.
pub fn get_count(page: &[u8], order: u32, index: usize) -> u64 {
    if order < 3 {
        let (byte, shift) = narrow(order, index);
        let mask = (1u64 << (1 << order)) - 1;
        return u64::from(page[byte]) >> shift & mask;
    }
    let width = 1 << (order - 3);
    let field = &page[index * width..(index + 1) * width];
    field
        .iter()
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// Sets it; false if the value is too large.
pub fn set_count(page: &mut [u8], order: u32, index: usize, value: u64) -> bool {
    if order < 6 && value >> (1 << order) != 0 {
        return false;
    }
    if order < 3 {
        let (byte, shift) = narrow(order, index);
        let mask = ((1u32 << (1 << order)) - 1) << shift;
        page[byte] = page[byte] & !(mask as u8) | (value << shift) as u8;
        return true;
    }
    let width = 1 << (order - 3);
    page[index * width..(index + 1) * width].copy_from_slice(&value.to_be_bytes()[8 - width..]);
    true
}

/// Counts of less than a byte: the first one in a byte's low bits.
fn narrow(order: u32, index: usize) -> (usize, usize) {
    let per_byte = 8 >> order;
    (index / per_byte, (index % per_byte) << order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_all_widths() {
        for order in 0..=6 {
            let mut page = [0; 64];
            let count = (64 * 8) >> order;
            let largest = u64::MAX >> (64 - (1 << order));
            for index in 0..count {
                assert!(set_count(&mut page, order, index, largest));
                assert_eq!(get_count(&page, order, index), largest);
                if order < 6 {
                    assert!(!set_count(&mut page, order, index, largest + 1));
                }
                assert!(set_count(&mut page, order, index, index as u64 & largest));
            }
            for index in 0..count {
                assert_eq!(get_count(&page, order, index), index as u64 & largest);
            }
        }
    }

    #[test]
    fn compressed_descriptor() {
        let geometry = Geometry {
            version: 3,
            cluster_bits: 16,
            refcount_order: 4,
            compression: Compression::Zlib,
        };
        let entry = COMPRESSED | 3 << 54 | 0x5_0123;
        let expected = Mapping::Compressed {
            host: 0x5_0123,
            bytes: 4 * 512 - 0x123,
        };
        assert_eq!(geometry.mapping(entry), Some(expected));
        assert_eq!(geometry.mapping(0x200), None);
    }
}
