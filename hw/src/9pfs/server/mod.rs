//! The server of 9P2000.L: messages in, messages out; it knows no transport.
//!
//! [`Server::handle`] is called in a coroutine for each message and is plain sequential code. What
//! blocks runs on a worker ([`Request::call`]), if possible once for each message. Between the
//! coroutine's start and a wait no `dyn` is called (see `util::coroutine`).
//!
//! Byte-range locks always succeed, as with QEMU: Linux takes them among the processes of the guest
//! before it asks the server, and the host's own locks are not involved.

mod attributes;
mod fid;
mod files;
mod names;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use include::fsdev::{Attr, mode};
use include::{Errno, FileSystem};
use parking_lot::Mutex;
use util::coroutine::CoQueue;
use util::thread_pool;

use super::protocol::*;
use fid::Fids;

/// The greatest message that can be negotiated.
pub const MSIZE_MAX: u32 = 1 << 20;
/// QEMU refuses less.
const MSIZE_MIN: u32 = 4096;
/// What a client reckons for the head of Rread and Twrite (`P9_IOHDRSZ`).
const IO_HEADER_BYTES: u32 = 24;
/// Bytes of an Rread or Rreaddir before its data.
const DATA_HEADER_BYTES: usize = Header::BYTES + 4;
/// Bytes of an Rlerror: the least that a reply needs.
pub const REPLY_BYTES_MIN: usize = Header::BYTES + 4;

const DIALECT: &[u8] = b"9P2000.L";
const UNKNOWN: &[u8] = b"unknown";

/// What a handler says.
type Answer = Result<Message, Errno>;

/// From one Tversion to the next.
struct Session {
    fs: Arc<dyn FileSystem>,
    /// Whether that needs workers.
    blocks: bool,
    /// 0 before the first Tversion.
    msize: u32,
    fids: Fids,
    /// Bytes of attributes' values that the fids hold.
    held: Arc<AtomicUsize>,
    buffers: Arc<Buffers>,
}

impl Session {
    fn new(fs: Arc<dyn FileSystem>, msize: u32, buffers: &Arc<Buffers>) -> Arc<Self> {
        Arc::new(Self {
            blocks: fs.blocks(),
            fs,
            msize,
            fids: Fids::default(),
            held: Arc::default(),
            buffers: buffers.clone(),
        })
    }
}

/// One server for each client.
pub struct Server {
    fs: Arc<dyn FileSystem>,
    /// For messages and answers; the transport gives them back.
    pub buffers: Arc<Buffers>,
    session: Mutex<Arc<Session>>,
    requests: Mutex<HashMap<u16, Arc<Request>>>,
}

/// A message at work.
struct Request {
    session: Arc<Session>,
    /// The longest reply that the transport and the session allow.
    reply_max: usize,
    /// The client does not want the answer any more.
    flushed: AtomicBool,
    /// It is answered, so flushes that wait may be, too.
    done: AtomicBool,
    flushes: CoQueue,
}

impl Server {
    pub fn new(fs: Arc<dyn FileSystem>) -> Arc<Self> {
        let buffers = Arc::default();
        Arc::new(Self {
            session: Mutex::new(Session::new(fs.clone(), 0, &buffers)),
            fs,
            buffers,
            requests: Mutex::default(),
        })
    }

    /// Answers a message, of which the transport has checked that it has a header. The answer has
    /// at most `room` bytes, if an error fits into that.
    pub fn handle(&self, message: Vec<u8>, room: usize) -> Vec<u8> {
        let tag = message
            .get(5..7)
            .map_or(u16::MAX, |tag| u16::from_le_bytes([tag[0], tag[1]]));
        let request = self.begin(tag, room);
        let answer = match Message::decode(message) {
            Ok((_, message)) => self.answer(&request, message),
            Err(DecodeError::Malformed) => Err(Errno::EINVAL),
            Err(DecodeError::Unknown(_)) => Err(Errno::EOPNOTSUPP),
        };
        self.end(tag, &request);
        let encoded = answer.unwrap_or_else(error).encode(tag);
        match encoded.len() <= request.reply_max {
            true => encoded,
            false => error(Errno::EMSGSIZE).encode(tag),
        }
    }

    fn begin(&self, tag: u16, room: usize) -> Arc<Request> {
        let session = self.session.lock().clone();
        let msize = session.msize.max(MSIZE_MIN) as usize;
        let request = Arc::new(Request {
            session,
            reply_max: room.min(msize).max(REPLY_BYTES_MIN),
            flushed: AtomicBool::new(false),
            done: AtomicBool::new(false),
            flushes: CoQueue::new(),
        });
        self.requests.lock().insert(tag, request.clone());
        request
    }

    fn end(&self, tag: u16, request: &Arc<Request>) {
        let mut requests = self.requests.lock();
        if requests
            .get(&tag)
            .is_some_and(|other| Arc::ptr_eq(other, request))
        {
            requests.remove(&tag);
        }
        drop(requests);
        request.done.store(true, Ordering::Release);
        request.flushes.wake_all();
    }

    fn answer(&self, request: &Arc<Request>, message: Message) -> Answer {
        match message {
            Message::Tversion(message) => Ok(self.version(message)),
            Message::Tflush(message) => Ok(self.flush(request, message)),
            _ if request.session.msize == 0 => Err(Errno::EPROTO),
            message => request.dispatch(message),
        }
    }

    /// Begins a new session. Requests of the old one end in it.
    fn version(&self, message: Tversion) -> Message {
        let known = message.version == DIALECT && message.msize >= MSIZE_MIN;
        let msize = message.msize.min(MSIZE_MAX);
        let agreed = if known { msize } else { 0 };
        let session = Session::new(self.fs.clone(), agreed, &self.buffers);
        let before = std::mem::replace(&mut *self.session.lock(), session);
        // Gives up its fids, if no request works with it.
        drop(before);
        let version = if known { DIALECT } else { UNKNOWN };
        let version = version.to_vec();
        Rversion { msize, version }.into()
    }

    /// Waits until the other request is answered, which it does not try hard to be any more.
    fn flush(&self, request: &Arc<Request>, message: Tflush) -> Message {
        let other = self.requests.lock().get(&message.oldtag).cloned();
        if let Some(other) = other.filter(|other| !Arc::ptr_eq(other, request)) {
            other.flushed.store(true, Ordering::Release);
            let waiter = other.flushes.join();
            if !other.done.load(Ordering::Acquire) {
                waiter.wait();
            }
        }
        Rflush {}.into()
    }

    /// How many fids the client has.
    pub fn fids(&self) -> usize {
        self.session.lock().fids.len()
    }
}

fn error(errno: Errno) -> Message {
    let ecode = errno.0.into();
    Rlerror { ecode }.into()
}

impl Request {
    /// Runs work that may block on a worker, unless the client has given the request up.
    fn call<R: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Arc<dyn FileSystem>) -> Result<R, Errno> + Send + 'static,
    ) -> Result<R, Errno> {
        if !self.session.blocks {
            return work(&self.session.fs);
        }
        let request = self.clone();
        thread_pool::run(move || match request.flushed.load(Ordering::Acquire) {
            true => Err(Errno::EINTR),
            false => work(&request.session.fs),
        })
    }

    fn dispatch(self: &Arc<Self>, message: Message) -> Answer {
        match message {
            Message::Tattach(message) => self.attach(message),
            Message::Twalk(message) => self.walk(message),
            Message::Tclunk(message) => self.clunk(message),
            Message::Tlopen(message) => self.open(message),
            Message::Tlcreate(message) => self.create(message),
            Message::Tread(message) => self.read(message),
            Message::Twrite(message) => self.write(message),
            Message::Treaddir(message) => self.readdir(message),
            Message::Tfsync(message) => self.fsync(message),
            Message::Tlock(message) => self.lock(message),
            Message::Tgetlock(message) => self.getlock(message),
            Message::Tgetattr(message) => self.getattr(message),
            Message::Tsetattr(message) => self.setattr(message),
            Message::Tstatfs(message) => self.statfs(message),
            Message::Txattrwalk(message) => self.xattrwalk(message),
            Message::Txattrcreate(message) => self.xattrcreate(message),
            Message::Treadlink(message) => self.readlink(message),
            Message::Tsymlink(message) => self.symlink(message),
            Message::Tmkdir(message) => self.mkdir(message),
            Message::Tmknod(message) => self.mknod(message),
            Message::Tlink(message) => self.link(message),
            Message::Trename(message) => self.rename(message),
            Message::Trenameat(message) => self.renameat(message),
            Message::Tunlinkat(message) => self.unlinkat(message),
            Message::Tremove(message) => self.remove(message),
            // Tauth: nobody needs to prove who he is. The others are replies.
            _ => Err(Errno::EOPNOTSUPP),
        }
    }

    /// How much a client best reads or writes at a time.
    fn io_unit(&self, block_size: u32) -> u32 {
        let most = self.session.msize.saturating_sub(IO_HEADER_BYTES);
        match most.checked_rem(block_size) {
            Some(rest) if rest < most => most - rest,
            _ => most,
        }
    }

    /// How much data a reply may carry of what the client wants.
    fn data_room(&self, count: u32) -> usize {
        (count as usize).min(self.reply_max.saturating_sub(DATA_HEADER_BYTES))
    }
}

fn qid(attr: &Attr) -> Qid {
    Qid {
        kind: qid_kind_of(attr.kind()),
        version: attr.modified.seconds as u32 ^ (attr.size << 8) as u32,
        path: attr.id,
    }
}

fn qid_kind_of(kind: u32) -> u8 {
    match kind {
        mode::FOLDER => qid_kind::FOLDER,
        mode::LINK => qid_kind::LINK,
        _ => qid_kind::FILE,
    }
}
