//! A client for tests: one message, one answer.

use std::sync::Arc;

use fsdev::memory::Memory;
use include::fsdev::OpenFlags;
use include::{Errno, FileSystem};

use crate::ninep::protocol::*;
use crate::ninep::server::{MSIZE_MAX, Server};

/// The fid of the top folder.
pub const TOP: u32 = 1;
pub const MSIZE: u32 = 64 << 10;

pub struct Client {
    pub server: Arc<Server>,
    next_fid: u32,
}

/// Takes an answer apart, or says which error it was.
macro_rules! expect {
    ($name:ident, $answer:expr) => {
        match $answer {
            Message::$name(answer) => Ok(answer),
            Message::Rlerror(Rlerror { ecode }) => Err(Errno(ecode as u16)),
            other => panic!("{} for a {}", other.name(), stringify!($name)),
        }
    };
}

impl Client {
    /// Attached to a file system.
    pub fn new(fs: Arc<dyn FileSystem>) -> Self {
        let server = Server::new(fs);
        let mut client = Self {
            server,
            next_fid: TOP + 1,
        };
        client.begin();
        client
    }

    /// Attached to an empty file system in memory.
    pub fn memory() -> (Self, Arc<Memory>) {
        let fs = Memory::new(64 << 20);
        (Self::new(fs.clone()), fs)
    }

    pub fn begin(&mut self) {
        let version = self.version(MSIZE, b"9P2000.L");
        assert_eq!(version, (MSIZE, b"9P2000.L".to_vec()));
        self.attach(TOP).expect("there is a top folder");
    }

    pub fn version(&mut self, msize: u32, version: &[u8]) -> (u32, Vec<u8>) {
        let version = version.to_vec();
        let answer = expect!(Rversion, self.rpc(Tversion { msize, version }));
        let answer = answer.expect("a version never fails");
        (answer.msize, answer.version)
    }

    pub fn attach(&mut self, fid: u32) -> Result<Qid, Errno> {
        let message = Tattach {
            fid,
            afid: u32::MAX,
            n_uname: 0,
            ..Tattach::default()
        };
        Ok(expect!(Rattach, self.rpc(message))?.qid)
    }

    pub fn rpc(&self, message: impl Into<Message>) -> Message {
        self.raw(message.into().encode(77))
    }

    /// Sends bytes, which need not be a message.
    pub fn raw(&self, bytes: Vec<u8>) -> Message {
        let tag = bytes
            .get(5..7)
            .map(|tag| u16::from_le_bytes([tag[0], tag[1]]));
        let answer = self.server.handle(bytes, MSIZE_MAX as usize);
        let size = u32::from_le_bytes(answer[..4].try_into().expect("four bytes"));
        assert_eq!(size as usize, answer.len());
        let (answer_tag, message) = Message::decode(answer).expect("answers are messages");
        assert_eq!(answer_tag, tag.unwrap_or(u16::MAX));
        message
    }

    pub fn fid(&mut self) -> u32 {
        self.next_fid += 1;
        self.next_fid
    }

    /// Walks as far as it goes.
    pub fn try_walk(&mut self, fid: u32, names: &[&[u8]]) -> (u32, Result<Vec<Qid>, Errno>) {
        let newfid = self.fid();
        let wname = List(names.iter().map(|name| name.to_vec()).collect());
        let message = Twalk { fid, newfid, wname };
        let answer = expect!(Rwalk, self.rpc(message));
        (newfid, answer.map(|answer| answer.wqid.0))
    }

    /// A fid for a path below `fid`.
    pub fn walk(&mut self, fid: u32, names: &[&[u8]]) -> Result<u32, Errno> {
        let (newfid, qids) = self.try_walk(fid, names);
        match qids?.len() == names.len() {
            true => Ok(newfid),
            false => Err(Errno::ENOENT),
        }
    }

    pub fn clunk(&self, fid: u32) -> Result<(), Errno> {
        expect!(Rclunk, self.rpc(Tclunk { fid })).map(|_| ())
    }

    pub fn open(&self, fid: u32, flags: u32) -> Result<Qid, Errno> {
        Ok(expect!(Rlopen, self.rpc(Tlopen { fid, flags }))?.qid)
    }

    /// A new file in the folder `fid`, open to read and write.
    pub fn create(&mut self, fid: u32, name: &[u8]) -> Result<u32, Errno> {
        self.create_with(fid, name, OpenFlags::READ_WRITE, 0o644)
    }

    pub fn create_with(
        &mut self,
        fid: u32,
        name: &[u8],
        flags: u32,
        mode: u32,
    ) -> Result<u32, Errno> {
        let new = self.walk(fid, &[])?;
        let message = Tlcreate {
            fid: new,
            name: name.to_vec(),
            flags,
            mode,
            gid: 0,
        };
        match expect!(Rlcreate, self.rpc(message)) {
            Ok(_) => Ok(new),
            Err(errno) => {
                self.clunk(new)?;
                Err(errno)
            }
        }
    }

    pub fn mkdir(&mut self, dfid: u32, name: &[u8]) -> Result<u32, Errno> {
        let message = Tmkdir {
            dfid,
            name: name.to_vec(),
            mode: 0o755,
            gid: 0,
        };
        expect!(Rmkdir, self.rpc(message))?;
        self.walk(dfid, &[name])
    }

    pub fn symlink(&self, fid: u32, name: &[u8], target: &[u8]) -> Result<Qid, Errno> {
        let message = Tsymlink {
            fid,
            name: name.to_vec(),
            symtgt: target.to_vec(),
            gid: 0,
        };
        Ok(expect!(Rsymlink, self.rpc(message))?.qid)
    }

    pub fn mknod(&self, dfid: u32, name: &[u8], mode: u32, dev: (u32, u32)) -> Result<Qid, Errno> {
        let message = Tmknod {
            dfid,
            name: name.to_vec(),
            mode,
            major: dev.0,
            minor: dev.1,
            gid: 0,
        };
        Ok(expect!(Rmknod, self.rpc(message))?.qid)
    }

    pub fn readlink(&self, fid: u32) -> Result<Vec<u8>, Errno> {
        Ok(expect!(Rreadlink, self.rpc(Treadlink { fid }))?.target)
    }

    pub fn link(&self, dfid: u32, fid: u32, name: &[u8]) -> Result<(), Errno> {
        let name = name.to_vec();
        expect!(Rlink, self.rpc(Tlink { dfid, fid, name })).map(|_| ())
    }

    pub fn read(&self, fid: u32, offset: u64, count: u32) -> Result<Vec<u8>, Errno> {
        let message = Tread { fid, offset, count };
        let answer = expect!(Rread, self.rpc(message))?;
        Ok(answer.data.as_slice().to_vec())
    }

    pub fn write(&self, fid: u32, offset: u64, data: &[u8]) -> Result<u32, Errno> {
        let data = Payload::from(data.to_vec());
        Ok(expect!(Rwrite, self.rpc(Twrite { fid, offset, data }))?.count)
    }

    pub fn getattr(&self, fid: u32) -> Result<Rgetattr, Errno> {
        let request_mask = 0x3fff;
        expect!(Rgetattr, self.rpc(Tgetattr { fid, request_mask }))
    }

    pub fn setattr(&self, message: Tsetattr) -> Result<(), Errno> {
        expect!(Rsetattr, self.rpc(message)).map(|_| ())
    }

    pub fn truncate(&self, fid: u32, size: u64) -> Result<(), Errno> {
        self.setattr(Tsetattr {
            fid,
            valid: 8,
            size,
            ..Tsetattr::default()
        })
    }

    pub fn unlink(&self, dirfd: u32, name: &[u8], folder: bool) -> Result<(), Errno> {
        let message = Tunlinkat {
            dirfd,
            name: name.to_vec(),
            flags: if folder { 0x200 } else { 0 },
        };
        expect!(Runlinkat, self.rpc(message)).map(|_| ())
    }

    pub fn remove(&self, fid: u32) -> Result<(), Errno> {
        expect!(Rremove, self.rpc(Tremove { fid })).map(|_| ())
    }

    pub fn renameat(&self, from: (u32, &[u8]), to: (u32, &[u8])) -> Result<(), Errno> {
        let message = Trenameat {
            olddirfid: from.0,
            oldname: from.1.to_vec(),
            newdirfid: to.0,
            newname: to.1.to_vec(),
        };
        expect!(Rrenameat, self.rpc(message)).map(|_| ())
    }

    pub fn rename(&self, fid: u32, dfid: u32, name: &[u8]) -> Result<(), Errno> {
        let name = name.to_vec();
        expect!(Rrename, self.rpc(Trename { fid, dfid, name })).map(|_| ())
    }

    pub fn fsync(&self, fid: u32) -> Result<(), Errno> {
        expect!(Rfsync, self.rpc(Tfsync { fid, datasync: 0 })).map(|_| ())
    }

    pub fn statfs(&self, fid: u32) -> Result<Rstatfs, Errno> {
        expect!(Rstatfs, self.rpc(Tstatfs { fid }))
    }

    pub fn lock(&self, fid: u32, kind: u8) -> Result<u8, Errno> {
        let message = Tlock {
            fid,
            kind,
            ..Tlock::default()
        };
        Ok(expect!(Rlock, self.rpc(message))?.status)
    }

    pub fn getlock(&self, fid: u32) -> Result<Rgetlock, Errno> {
        let message = Tgetlock {
            fid,
            kind: 1,
            length: 10,
            ..Tgetlock::default()
        };
        expect!(Rgetlock, self.rpc(message))
    }

    /// The value of an attribute, or the list of names for an empty one.
    pub fn xattr(&mut self, fid: u32, name: &[u8]) -> Result<Vec<u8>, Errno> {
        let newfid = self.fid();
        let name = name.to_vec();
        let message = Txattrwalk { fid, newfid, name };
        let size = expect!(Rxattrwalk, self.rpc(message))?.size;
        let value = self.read(newfid, 0, size as u32)?;
        assert_eq!(value.len() as u64, size);
        self.clunk(newfid)?;
        Ok(value)
    }

    pub fn set_xattr(
        &mut self,
        fid: u32,
        name: &[u8],
        value: &[u8],
        flags: u32,
    ) -> Result<(), Errno> {
        let new = self.walk(fid, &[])?;
        let message = Txattrcreate {
            fid: new,
            name: name.to_vec(),
            attr_size: value.len() as u64,
            flags,
        };
        expect!(Rxattrcreate, self.rpc(message))?;
        for (index, piece) in value.chunks(1000).enumerate() {
            self.write(new, 1000 * index as u64, piece)?;
        }
        self.clunk(new)
    }

    /// All of a folder, in pieces of at most `count` bytes: name, offset, kind, qid.path.
    pub fn readdir(&self, fid: u32, count: u32) -> Result<Vec<Listed>, Errno> {
        let mut all: Vec<Listed> = Vec::new();
        loop {
            let offset = all.last().map_or(0, |entry| entry.offset);
            let listed = self.readdir_at(fid, offset, count)?;
            if listed.is_empty() {
                return Ok(all);
            }
            all.extend(listed);
        }
    }

    pub fn readdir_at(&self, fid: u32, offset: u64, count: u32) -> Result<Vec<Listed>, Errno> {
        let message = Treaddir { fid, offset, count };
        let answer = expect!(Rreaddir, self.rpc(message))?;
        assert!(answer.data.len() <= count as usize);
        Ok(listed(answer.data.as_slice()))
    }

    /// Names in a folder, sorted, without the dots.
    pub fn list(&mut self, fid: u32) -> Result<Vec<Vec<u8>>, Errno> {
        let new = self.walk(fid, &[])?;
        self.open(new, OpenFlags::READ_ONLY)?;
        let all = self.readdir(new, MSIZE)?;
        self.clunk(new)?;
        let mut names: Vec<_> = all.into_iter().map(|entry| entry.name).collect();
        names.retain(|name| name != b"." && name != b"..");
        names.sort();
        Ok(names)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub name: Vec<u8>,
    pub offset: u64,
    pub kind: u8,
    pub qid: Qid,
}

/// Takes the data of an Rreaddir apart.
fn listed(mut data: &[u8]) -> Vec<Listed> {
    let mut all = Vec::new();
    while let Some((head, rest)) = data.split_first_chunk::<24>() {
        let word = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().expect("8 bytes"));
        let len = usize::from(u16::from_le_bytes([head[22], head[23]]));
        let (name, rest) = rest.split_at(len);
        all.push(Listed {
            name: name.to_vec(),
            offset: word(13),
            kind: head[21],
            qid: Qid {
                kind: head[0],
                version: u32::from_le_bytes([head[1], head[2], head[3], head[4]]),
                path: word(5),
            },
        });
        data = rest;
    }
    assert!(data.is_empty());
    all
}
