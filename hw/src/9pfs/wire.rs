//! How single fields of 9P messages are laid out: little-endian, in order, without padding.

use std::ops::Range;

use parking_lot::Mutex;

/// Bytes of size, type and tag.
pub const HEADER_BYTES: usize = 7;

/// A message that ends too early or promises more than it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// The bytes that tell files of a server apart (intro(5), "qid").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Qid {
    /// See [`qid_kind`].
    pub kind: u8,
    pub version: u32,
    pub path: u64,
}

/// Values of [`Qid::kind`].
pub mod qid_kind {
    pub const FOLDER: u8 = 0x80;
    pub const LINK: u8 = 0x02;
    pub const FILE: u8 = 0;
}

/// The bytes at the end of a message that carries data: a part of a longer buffer, so that they
/// need not be copied in and out.
#[derive(Clone, Debug, Default)]
pub struct Payload {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Payload {
    /// Room for `len` bytes, which are anything, behind the head of a message that answers with
    /// data.
    pub fn with_room(len: usize, buffers: &Buffers) -> Self {
        let start = HEADER_BYTES + 4;
        let bytes = buffers.take(start + len);
        Self::part(bytes, start..start + len)
    }

    /// No data yet, for [`Payload::append`].
    pub fn with_capacity(len: usize) -> Self {
        let start = HEADER_BYTES + 4;
        let mut bytes = Vec::with_capacity(start + len);
        bytes.resize(start, 0);
        Self {
            bytes,
            start,
            end: start,
        }
    }

    /// Puts bytes at the end.
    pub fn append(&mut self, data: &[u8]) {
        self.bytes.truncate(self.end);
        self.bytes.extend_from_slice(data);
        self.end = self.bytes.len();
    }

    fn part(bytes: Vec<u8>, range: Range<usize>) -> Self {
        let Range { start, end } = range;
        Self { bytes, start, end }
    }

    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.end]
    }

    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// The buffer that it is in.
    pub fn into_buffer(self) -> Vec<u8> {
        self.bytes
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Drops what follows the first `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        self.end = self.end.min(self.start.saturating_add(len));
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        let end = bytes.len();
        Self::part(bytes, 0..end)
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

/// Smaller buffers are not worth keeping.
const KEPT_BYTES_MIN: usize = 16 << 10;
/// Most bytes of buffers that are kept.
const KEPT_BYTES_MAX: usize = 4 << 20;

/// Buffers of messages that are used again: fresh ones of their size cost more than the copy.
#[derive(Default)]
pub struct Buffers(Mutex<Vec<Vec<u8>>>);

impl Buffers {
    /// A buffer of `len` bytes, which are anything.
    pub fn take(&self, len: usize) -> Vec<u8> {
        let kept = match len >= KEPT_BYTES_MIN {
            true => self.0.lock().pop(),
            false => None,
        };
        let mut bytes = kept.unwrap_or_default();
        bytes.resize(len, 0);
        bytes
    }

    /// Keeps a buffer for later.
    pub fn give(&self, bytes: Vec<u8>) {
        if bytes.capacity() < KEPT_BYTES_MIN {
            return;
        }
        let mut kept = self.0.lock();
        let total: usize = kept.iter().map(Vec::capacity).sum();
        if total + bytes.capacity() <= KEPT_BYTES_MAX {
            kept.push(bytes);
        }
    }
}

/// Takes fields from the front of a message.
pub struct Reader {
    message: Vec<u8>,
    at: usize,
}

impl Reader {
    pub fn new(message: Vec<u8>) -> Self {
        Self { message, at: 0 }
    }

    /// The next `len` bytes, which are then behind.
    fn range(&mut self, len: usize) -> Result<Range<usize>, Malformed> {
        let end = self.at.checked_add(len).ok_or(Malformed)?;
        if end > self.message.len() {
            return Err(Malformed);
        }
        let range = self.at..end;
        self.at = end;
        Ok(range)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let range = self.range(N)?;
        self.message[range].try_into().map_err(|_| Malformed)
    }
}

/// Puts fields behind each other.
pub struct Writer {
    /// The message so far; its size is filled in at the end.
    bytes: Vec<u8>,
    /// Written instead of `bytes`' rest: what ends the message.
    payload: Option<Payload>,
}

impl Writer {
    pub fn new(number: u8, tag: u16) -> Self {
        let mut writer = Self {
            bytes: Vec::with_capacity(64),
            payload: None,
        };
        0u32.put(&mut writer);
        number.put(&mut writer);
        tag.put(&mut writer);
        writer
    }

    /// Puts a field behind what is there.
    pub fn with(mut self, field: impl Field) -> Self {
        field.put(&mut self);
        self
    }

    /// The message. A payload that lies behind enough room is completed in place.
    pub fn finish(self) -> Vec<u8> {
        let mut head = self.bytes;
        let Some(payload) = self.payload else {
            let size = head.len() as u32;
            head[..4].copy_from_slice(&size.to_le_bytes());
            return head;
        };
        let size = (head.len() + payload.len()) as u32;
        head[..4].copy_from_slice(&size.to_le_bytes());
        if payload.start != head.len() {
            head.extend_from_slice(payload.as_slice());
            return head;
        }
        let mut bytes = payload.bytes;
        bytes[..head.len()].copy_from_slice(&head);
        bytes.truncate(payload.end);
        bytes
    }
}

/// A type of field.
pub trait Field: Sized {
    fn take(reader: &mut Reader) -> Result<Self, Malformed>;
    fn put(self, writer: &mut Writer);
}

macro_rules! integers {
    ($($integer:ty)*) => {$(
        impl Field for $integer {
            fn take(reader: &mut Reader) -> Result<Self, Malformed> {
                reader.array().map(Self::from_le_bytes)
            }
            fn put(self, writer: &mut Writer) {
                writer.bytes.extend_from_slice(&self.to_le_bytes());
            }
        }
    )*};
}
integers!(u8 u16 u32 u64);

/// A string: any bytes.
impl Field for Vec<u8> {
    fn take(reader: &mut Reader) -> Result<Self, Malformed> {
        let len = u16::take(reader)?;
        let range = reader.range(len.into())?;
        Ok(reader.message[range].to_vec())
    }
    /// Longer ones than the format can hold are cut; the server sends none.
    fn put(self, writer: &mut Writer) {
        let len = u16::try_from(self.len()).unwrap_or(u16::MAX);
        len.put(writer);
        writer.bytes.extend_from_slice(&self[..len.into()]);
    }
}

impl Field for Qid {
    fn take(reader: &mut Reader) -> Result<Self, Malformed> {
        Ok(Self {
            kind: u8::take(reader)?,
            version: u32::take(reader)?,
            path: u64::take(reader)?,
        })
    }
    fn put(self, writer: &mut Writer) {
        self.kind.put(writer);
        self.version.put(writer);
        self.path.put(writer);
    }
}

/// A counted list.
impl<T: Field> Field for List<T> {
    /// Takes memory only for elements that are there.
    fn take(reader: &mut Reader) -> Result<Self, Malformed> {
        let count = u16::take(reader)?;
        (0..count)
            .map(|_| T::take(reader))
            .collect::<Result<_, _>>()
            .map(Self)
    }
    fn put(self, writer: &mut Writer) {
        let count = u16::try_from(self.0.len()).unwrap_or(u16::MAX);
        count.put(writer);
        self.0
            .into_iter()
            .take(count.into())
            .for_each(|element| element.put(writer));
    }
}

/// A list whose count has two bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List<T>(pub Vec<T>);

/// Always the last field; takes the message's buffer along.
impl Field for Payload {
    fn take(reader: &mut Reader) -> Result<Self, Malformed> {
        let len = usize::try_from(u32::take(reader)?).map_err(|_| Malformed)?;
        let range = reader.range(len)?;
        Ok(Self::part(std::mem::take(&mut reader.message), range))
    }
    fn put(self, writer: &mut Writer) {
        (self.len() as u32).put(writer);
        writer.payload = Some(self);
    }
}
