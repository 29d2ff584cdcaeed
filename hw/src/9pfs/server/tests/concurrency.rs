//! Requests at the same time: slow files, flushes, fids that go while they are used.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use fsdev::synth::{Item, Synth};
use parking_lot::{Condvar, Mutex, MutexGuard};
use util::coroutine::AioContext;

use super::client::{Client, TOP};
use super::drivers::wait_until;
use crate::ninep::protocol::*;
use crate::ninep::server::Server;

/// A file whose reads wait until the gate is open.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    changed: Condvar,
    /// Reads that came to it.
    came: AtomicUsize,
}

impl Gate {
    fn file(self: &Arc<Self>) -> Item {
        let gate = self.clone();
        let read = Box::new(move |_, buf: &mut [u8]| {
            gate.came.fetch_add(1, Ordering::AcqRel);
            let mut open = gate.open.lock();
            gate.changed.wait_while(&mut open, |open| !*open);
            buf.fill(b'x');
            Ok(buf.len())
        });
        Item::File {
            size: 100,
            read,
            write: None,
        }
    }

    fn open(&self) {
        *self.open.lock() = true;
        self.changed.notify_all();
    }
}

/// These tests fill the pool's workers, so they take turns.
static TURN: Mutex<()> = Mutex::new(());

struct Rig {
    _turn: MutexGuard<'static, ()>,
    gate: Arc<Gate>,
    client: Client,
    context: AioContext,
    answers: mpsc::Receiver<(u16, Message)>,
    sender: mpsc::Sender<(u16, Message)>,
}

/// A client with `slow` open as fid 10 and `fast` as fid 11.
fn rig() -> Rig {
    let gate = Arc::new(Gate::default());
    let tree = Item::folder([("slow", gate.file()), ("fast", Item::bytes("fast"))]);
    let client = Client::new(Synth::new(tree));
    for (newfid, name) in [(10, "slow"), (11, "fast")] {
        let wname = List(vec![name.as_bytes().to_vec()]);
        let walk = Twalk {
            fid: TOP,
            newfid,
            wname,
        };
        assert_eq!(client.rpc(walk).name(), "Rwalk");
        client.open(newfid, 0).unwrap();
    }
    let (sender, answers) = mpsc::channel();
    Rig {
        _turn: TURN.lock(),
        gate,
        client,
        context: AioContext::start("9p").unwrap(),
        answers,
        sender,
    }
}

/// A test that fails must not leave workers waiting.
impl Drop for Rig {
    fn drop(&mut self) {
        self.gate.open();
    }
}

impl Rig {
    /// Sends a message as a transport does.
    fn send(&self, tag: u16, message: impl Into<Message>) {
        let bytes = message.into().encode(tag);
        let (server, sender): (Arc<Server>, _) = (self.client.server.clone(), self.sender.clone());
        self.context.spawn(move || {
            let answer = server.handle(bytes, 8192);
            let (tag, message) = Message::decode(answer).expect("answers are messages");
            let _ = sender.send((tag, message));
        });
    }

    fn answer(&self) -> (u16, Message) {
        let answer = self.answers.recv_timeout(Duration::from_secs(60));
        answer.expect("there is an answer")
    }

    fn read(fid: u32) -> Tread {
        Tread {
            fid,
            offset: 0,
            count: 4,
        }
    }
}

#[test]
fn a_slow_file_does_not_stall_others() {
    let rig = rig();
    rig.send(1, Rig::read(10));
    wait_until(|| rig.gate.came.load(Ordering::Acquire) == 1);
    for tag in 2..50 {
        rig.send(tag, Rig::read(11));
        let (answered, message) = rig.answer();
        assert_eq!((answered, message.name()), (tag, "Rread"));
    }
    rig.gate.open();
    assert_eq!(rig.answer().0, 1);
}

#[test]
fn a_flush_waits_for_what_it_flushes() {
    let rig = rig();
    rig.send(1, Rig::read(10));
    wait_until(|| rig.gate.came.load(Ordering::Acquire) == 1);
    rig.send(2, Tflush { oldtag: 1 });
    rig.send(3, Tflush { oldtag: 1 });
    // Flushes of what is not there, and of itself, are answered at once.
    rig.send(4, Tflush { oldtag: 99 });
    rig.send(5, Tflush { oldtag: 5 });
    assert_eq!(rig.answer(), (4, Rflush {}.into()));
    assert_eq!(rig.answer(), (5, Rflush {}.into()));
    rig.gate.open();
    assert_eq!(rig.answer().0, 1);
    let mut flushes = [rig.answer(), rig.answer()];
    flushes.sort_by_key(|(tag, _)| *tag);
    assert_eq!(flushes, [(2, Rflush {}.into()), (3, Rflush {}.into())]);
}

/// What has not begun when it is flushed does not begin at all.
#[test]
fn flushed_requests_are_given_up() {
    let rig = rig();
    let workers = util::thread_pool::WORKERS_MAX as u16;
    for tag in 0..workers {
        rig.send(tag, Rig::read(10));
    }
    // Other tests use the pool, too, but only for a while.
    wait_until(|| rig.gate.came.load(Ordering::Acquire) == usize::from(workers));
    rig.send(100, Rig::read(11));
    rig.send(101, Tflush { oldtag: 100 });
    // When this one is answered, that one has been looked at.
    rig.send(102, Tflush { oldtag: 999 });
    assert_eq!(rig.answer().0, 102);
    rig.gate.open();
    let mut answers: Vec<_> = (0..workers + 2).map(|_| rig.answer()).collect();
    answers.retain(|(tag, _)| *tag >= 100);
    assert_eq!(
        answers,
        [(100, Rlerror { ecode: 4 }.into()), (101, Rflush {}.into())]
    );
}

#[test]
fn a_fid_may_go_while_it_is_used() {
    let rig = rig();
    rig.send(1, Rig::read(10));
    wait_until(|| rig.gate.came.load(Ordering::Acquire) == 1);
    rig.send(2, Tclunk { fid: 10 });
    assert_eq!(rig.answer(), (2, Rclunk {}.into()));
    rig.send(3, Rig::read(10));
    assert_eq!(rig.answer(), (3, Rlerror { ecode: 9 }.into()));
    // A new session does not disturb it, either.
    let version = Tversion {
        msize: 8192,
        version: b"9P2000.L".to_vec(),
    };
    rig.send(4, version);
    assert_eq!(rig.answer().1.name(), "Rversion");
    rig.gate.open();
    let (tag, message) = rig.answer();
    assert_eq!((tag, message.name()), (1, "Rread"));
}
