//! One request of the guest, from a buffer of a queue (virtio 1.2, 5.2.6): what it asks for,
//! checked.

use include::{AddressSpace, BlockRequest};

use super::config::{BlkConfig, SECTOR};
use crate::virtio::virtqueue::{Element, QueueError};

/// `virtio_blk_req.type`.
pub mod kind {
    pub const IN: u32 = 0;
    pub const OUT: u32 = 1;
    pub const FLUSH: u32 = 4;
    pub const GET_ID: u32 = 8;
    pub const DISCARD: u32 = 11;
    pub const WRITE_ZEROES: u32 = 13;
    /// Legacy: a barrier, which nobody offers.
    pub const BARRIER: u32 = 1 << 31;
}

/// The status byte.
pub mod status {
    pub const OK: u8 = 0;
    pub const IOERR: u8 = 1;
    pub const UNSUPP: u8 = 2;
}

const HEADER_BYTES: usize = 16;
/// Bytes of a GET_ID answer.
pub const ID_BYTES: usize = 20;
/// Bytes of the range of a discard or a write of zeros.
const RANGE_BYTES: u64 = 16;
/// A request with more data than this fails: no driver makes one, and it would be copied.
pub const DATA_BYTES_MAX: u64 = 64 << 20;
/// The flag of a write of zeros.
const UNMAP: u32 = 1;

/// What to do with a buffer.
#[derive(Debug)]
pub enum Request {
    /// Ask the back end.
    Backend(BlockRequest),
    /// Answer with the disk's serial number.
    GetId,
    /// Answer with this status.
    Answer(u8),
}

/// The disk, as far as requests are concerned.
pub struct Disk<'a> {
    pub config: &'a BlkConfig,
    /// Bytes.
    pub len: u64,
    pub read_only: bool,
    /// The guest relies on writes being stable when they are done.
    pub write_through: bool,
}

/// Why a buffer is no request at all: the device stops.
#[derive(Debug, PartialEq, Eq)]
pub enum Malformed {
    Queue(QueueError),
    /// No room for header or status.
    Short,
}

impl From<QueueError> for Malformed {
    fn from(error: QueueError) -> Self {
        Self::Queue(error)
    }
}

/// Reads a request. `spare` gives buffers for data, with any contents.
pub fn parse(
    element: &Element,
    memory: &dyn AddressSpace,
    disk: &Disk,
    spare: &mut impl FnMut(usize) -> Vec<u8>,
) -> Result<Request, Malformed> {
    let mut header = [0; HEADER_BYTES];
    let readable = element.readable_len();
    if readable < HEADER_BYTES as u64 || element.writable_len() == 0 {
        return Err(Malformed::Short);
    }
    element.read(memory, 0, &mut header)?;
    let number = u32::from_le_bytes([header[0], header[1], header[2], header[3]]);
    let mut sector = [0; 8];
    sector.copy_from_slice(&header[8..]);
    let sector = u64::from_le_bytes(sector);
    let (to_guest, from_guest) = (element.writable_len() - 1, readable - HEADER_BYTES as u64);
    Ok(match number & !kind::BARRIER {
        kind::IN => match disk.data(sector, to_guest) {
            Ok(offset) => Request::Backend(BlockRequest::Read {
                offset,
                buf: spare(to_guest as usize),
            }),
            Err(status) => Request::Answer(status),
        },
        kind::OUT if disk.read_only => Request::Answer(status::IOERR),
        kind::OUT => match disk.data(sector, from_guest) {
            Ok(offset) => {
                let mut data = spare(from_guest as usize);
                element.read(memory, HEADER_BYTES as u64, &mut data)?;
                let fua = disk.write_through;
                Request::Backend(BlockRequest::Write { offset, data, fua })
            }
            Err(status) => Request::Answer(status),
        },
        kind::FLUSH => Request::Backend(BlockRequest::Flush),
        kind::GET_ID => Request::GetId,
        kind::DISCARD if disk.config.discard => range(element, memory, disk, from_guest, true)?,
        kind::WRITE_ZEROES if disk.config.write_zeroes => {
            range(element, memory, disk, from_guest, false)?
        }
        _ => Request::Answer(status::UNSUPP),
    })
}

impl Disk<'_> {
    /// The offset of data at `sector`, if it lies on the disk.
    fn data(&self, sector: u64, bytes: u64) -> Result<u64, u8> {
        let offset = self.offset(sector, bytes).ok_or(status::IOERR)?;
        let block = u64::from(self.config.logical_block_size);
        let aligned = offset.is_multiple_of(block) && bytes.is_multiple_of(block);
        match aligned && bytes <= DATA_BYTES_MAX {
            true => Ok(offset),
            false => Err(status::IOERR),
        }
    }

    fn offset(&self, sector: u64, bytes: u64) -> Option<u64> {
        let offset = sector.checked_mul(SECTOR)?;
        let end = offset.checked_add(bytes)?;
        (end <= self.len).then_some(offset)
    }
}

/// A discard or a write of zeros: one range (5.2.6.2).
fn range(
    element: &Element,
    memory: &dyn AddressSpace,
    disk: &Disk,
    given: u64,
    is_discard: bool,
) -> Result<Request, Malformed> {
    if given != RANGE_BYTES {
        return Ok(Request::Answer(status::UNSUPP));
    }
    let mut bytes = [0; RANGE_BYTES as usize];
    element.read(memory, HEADER_BYTES as u64, &mut bytes)?;
    let whole = u128::from_le_bytes(bytes);
    let (sector, sectors, flags) = (whole as u64, (whole >> 64) as u32, (whole >> 96) as u32);
    let most = match is_discard {
        true => disk.config.max_discard_sectors,
        false => disk.config.max_write_zeroes_sectors,
    };
    if flags & !UNMAP != 0 || is_discard && flags != 0 {
        return Ok(Request::Answer(status::UNSUPP));
    }
    let bytes = u64::from(sectors) * SECTOR;
    let offset = disk.offset(sector, bytes).filter(|_| sectors <= most);
    Ok(match offset {
        _ if disk.read_only => Request::Answer(status::IOERR),
        None => Request::Answer(status::IOERR),
        Some(offset) if is_discard => Request::Backend(BlockRequest::Discard { offset, bytes }),
        Some(offset) => Request::Backend(BlockRequest::WriteZeroes {
            offset,
            bytes,
            may_unmap: flags & UNMAP != 0,
        }),
    })
}
