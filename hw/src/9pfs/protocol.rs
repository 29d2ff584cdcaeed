//! The messages of 9P2000.L and 9P2000.u, in the manual's notation. All begin with
//! `size[4] type[1] tag[2]`. `[1]` to `[8]` are integers of so many bytes, `[s]` is a string
//! (`len[2]` and its bytes), `[q]` a qid, `[n*s]` and `[n*q]` are lists behind a `count[2]`, and
//! `[d]` is data behind a `count[4]`.

pub use super::wire::{Buffers, List, Malformed, Payload, Qid, qid_kind};
use super::wire::{Field, HEADER_BYTES, Reader, Writer};

/// The fields' types.
macro_rules! field {
    (1) => { u8 };
    (2) => { u16 };
    (4) => { u32 };
    (8) => { u64 };
    (s) => { Vec<u8> };
    (q) => { Qid };
    (n*s) => { List<Vec<u8>> };
    (n*q) => { List<Qid> };
    (d) => { Payload };
}

/// Makes a struct of each row, and of all of them [`Message`] with its decoder and encoder.
macro_rules! messages {
    ($($number:literal $name:ident $($field:ident[$($kind:tt)+])*;)*) => {
        $(
            #[derive(Clone, Debug, Default, PartialEq)]
            pub struct $name { $(pub $field: field!($($kind)+),)* }

            impl From<$name> for Message {
                fn from(message: $name) -> Self {
                    Self::$name(message)
                }
            }
        )*

        /// Any message.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Message { $($name($name),)* }

        impl Message {
            /// Every message, empty: for tests.
            #[cfg(test)]
            pub fn all() -> Vec<Message> {
                vec![$($name::default().into(),)*]
            }

            /// The manual's name of it.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$name(_) => stringify!($name),)* }
            }

            fn take(number: u8, reader: &mut Reader) -> Result<Self, DecodeError> {
                match number {
                    $($number => Ok(Self::$name($name {
                        $($field: Field::take(reader)?,)*
                    })),)*
                    _ => Err(DecodeError::Unknown(number)),
                }
            }

            /// The bytes to send.
            pub fn encode(self, tag: u16) -> Vec<u8> {
                match self {$(
                    Self::$name(message) => {
                        let writer = Writer::new($number, tag);
                        let $name { $($field,)* } = message;
                        $(let writer = writer.with($field);)*
                        writer.finish()
                    }
                )*}
            }
        }
    };
}

messages! {
    7   Rlerror         ecode[4];
    8   Tstatfs         fid[4];
    9   Rstatfs         kind[4] bsize[4] blocks[8] bfree[8] bavail[8] files[8] ffree[8] fsid[8]
                        namelen[4];
    12  Tlopen          fid[4] flags[4];
    13  Rlopen          qid[q] iounit[4];
    14  Tlcreate        fid[4] name[s] flags[4] mode[4] gid[4];
    15  Rlcreate        qid[q] iounit[4];
    16  Tsymlink        fid[4] name[s] symtgt[s] gid[4];
    17  Rsymlink        qid[q];
    18  Tmknod          dfid[4] name[s] mode[4] major[4] minor[4] gid[4];
    19  Rmknod          qid[q];
    20  Trename         fid[4] dfid[4] name[s];
    21  Rrename;
    22  Treadlink       fid[4];
    23  Rreadlink       target[s];
    24  Tgetattr        fid[4] request_mask[8];
    25  Rgetattr        valid[8] qid[q] mode[4] uid[4] gid[4] nlink[8] rdev[8] size[8] blksize[8]
                        blocks[8] atime_sec[8] atime_nsec[8] mtime_sec[8] mtime_nsec[8]
                        ctime_sec[8] ctime_nsec[8] btime_sec[8] btime_nsec[8] generation[8]
                        data_version[8];
    26  Tsetattr        fid[4] valid[4] mode[4] uid[4] gid[4] size[8] atime_sec[8] atime_nsec[8]
                        mtime_sec[8] mtime_nsec[8];
    27  Rsetattr;
    30  Txattrwalk      fid[4] newfid[4] name[s];
    31  Rxattrwalk      size[8];
    32  Txattrcreate    fid[4] name[s] attr_size[8] flags[4];
    33  Rxattrcreate;
    40  Treaddir        fid[4] offset[8] count[4];
    41  Rreaddir        data[d];
    50  Tfsync          fid[4] datasync[4];
    51  Rfsync;
    52  Tlock           fid[4] kind[1] flags[4] start[8] length[8] proc_id[4] client_id[s];
    53  Rlock           status[1];
    54  Tgetlock        fid[4] kind[1] start[8] length[8] proc_id[4] client_id[s];
    55  Rgetlock        kind[1] start[8] length[8] proc_id[4] client_id[s];
    70  Tlink           dfid[4] fid[4] name[s];
    71  Rlink;
    72  Tmkdir          dfid[4] name[s] mode[4] gid[4];
    73  Rmkdir          qid[q];
    74  Trenameat       olddirfid[4] oldname[s] newdirfid[4] newname[s];
    75  Rrenameat;
    76  Tunlinkat       dirfd[4] name[s] flags[4];
    77  Runlinkat;
    100 Tversion        msize[4] version[s];
    101 Rversion        msize[4] version[s];
    102 Tauth           afid[4] uname[s] aname[s] n_uname[4];
    103 Rauth           aqid[q];
    104 Tattach         fid[4] afid[4] uname[s] aname[s] n_uname[4];
    105 Rattach         qid[q];
    108 Tflush          oldtag[2];
    109 Rflush;
    110 Twalk           fid[4] newfid[4] wname[n*s];
    111 Rwalk           wqid[n*q];
    116 Tread           fid[4] offset[8] count[4];
    117 Rread           data[d];
    118 Twrite          fid[4] offset[8] data[d];
    119 Rwrite          count[4];
    120 Tclunk          fid[4];
    121 Rclunk;
    122 Tremove         fid[4];
    123 Rremove;
}

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// Too short, or it does not hold what it promises.
    Malformed,
    /// There is no message of this number.
    Unknown(u8),
}

impl From<Malformed> for DecodeError {
    fn from(Malformed: Malformed) -> Self {
        Self::Malformed
    }
}

/// What every message begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub size: u32,
    pub number: u8,
    pub tag: u16,
}

impl Header {
    pub const BYTES: usize = HEADER_BYTES;

    pub fn parse(bytes: [u8; Self::BYTES]) -> Self {
        let [a, b, c, d, number, low, high] = bytes;
        Self {
            size: u32::from_le_bytes([a, b, c, d]),
            number,
            tag: u16::from_le_bytes([low, high]),
        }
    }
}

impl Message {
    /// Takes a whole message apart. Bytes behind its last field are ignored, as QEMU does.
    pub fn decode(bytes: Vec<u8>) -> Result<(u16, Self), DecodeError> {
        let mut reader = Reader::new(bytes);
        let _size = u32::take(&mut reader)?;
        let number = u8::take(&mut reader)?;
        let tag = u16::take(&mut reader)?;
        Ok((tag, Self::take(number, &mut reader)?))
    }
}

/// Bytes of an entry of Treaddir's data besides its name: `qid[13] offset[8] type[1] name[s]`.
const DIRENT_BYTES: usize = 13 + 8 + 1 + 2;

/// One entry of an Rreaddir's data: `qid[13] offset[8] type[1] name[s]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dirent<'a> {
    pub qid: Qid,
    /// Where the next Treaddir goes on.
    pub offset: u64,
    /// As `d_type` of Linux.
    pub kind: u8,
    pub name: &'a [u8],
}

impl Dirent<'_> {
    /// Appends it to the data, unless that became longer than `room`. A name that the format
    /// cannot hold is left out.
    pub fn put(&self, data: &mut Payload, room: usize) -> bool {
        let Ok(name_len) = u16::try_from(self.name.len()) else {
            return true;
        };
        if room.saturating_sub(data.len()) < DIRENT_BYTES + self.name.len() {
            return false;
        }
        let mut head = [0; DIRENT_BYTES];
        head[0] = self.qid.kind;
        head[1..5].copy_from_slice(&self.qid.version.to_le_bytes());
        head[5..13].copy_from_slice(&self.qid.path.to_le_bytes());
        head[13..21].copy_from_slice(&self.offset.to_le_bytes());
        head[21] = self.kind;
        head[22..].copy_from_slice(&name_len.to_le_bytes());
        data.append(&head);
        data.append(self.name);
        true
    }
}

#[cfg(test)]
mod tests;
