//! Back ends: which requests are carried out on the thread that asks.

use std::sync::Arc;
use std::time::Duration;

use include::{Attempt, BlockBackend, BlockRequest};
use util::coroutine::AioContext;

use crate::backend::{AT_ONCE_BYTES_MAX, AT_ONCE_TIME_MAX, REST};
use crate::{Backend, Graph, options};

/// A disk in memory.
fn disk() -> Arc<Backend> {
    let context = AioContext::start("test").expect("a thread");
    let drive = "driver=null-co,size=1M,snapshot=on,if=none,id=disk";
    let drive = options::parse_drive(drive).expect("a drive");
    Graph::new(Arc::new(context))
        .open_drive(&drive)
        .expect("it opens")
}

fn read(bytes: usize) -> BlockRequest {
    let buf = vec![0xee; bytes];
    BlockRequest::Read { offset: 0, buf }
}

fn write(fua: bool) -> BlockRequest {
    let (offset, data) = (0, vec![7; 512]);
    BlockRequest::Write { offset, data, fua }
}

fn is_done(attempt: &Attempt) -> bool {
    matches!(attempt, Attempt::Done(Ok(()), _))
}

#[test]
fn small_reads_and_writes_are_done_at_once() {
    let disk = disk();
    assert!(is_done(&disk.attempt(write(false))));
    let Attempt::Done(Ok(()), buf) = disk.attempt(read(1024)) else {
        panic!("a read waits");
    };
    assert_eq!((buf[511], buf[512]), (7, 0));
    assert!(is_done(&disk.attempt(read(AT_ONCE_BYTES_MAX))));
    for request in [
        read(AT_ONCE_BYTES_MAX + 1),
        write(true),
        BlockRequest::Flush,
    ] {
        assert!(!is_done(&disk.attempt(request)));
    }
    disk.set_writeback(false);
    assert!(!is_done(&disk.attempt(write(false))));
}

#[test]
fn after_a_slow_one_others_wait_in_coroutines() {
    let disk = disk();
    disk.took(AT_ONCE_TIME_MAX);
    assert!(is_done(&disk.attempt(read(512))));
    disk.took(AT_ONCE_TIME_MAX + Duration::from_micros(1));
    let waiting = (0..)
        .take_while(|_| !is_done(&disk.attempt(read(512))))
        .count();
    assert_eq!(waiting, REST as usize);
}

#[test]
fn nothing_is_done_at_once_beside_others() {
    let disk = disk();
    let (begin, begun) = std::sync::mpsc::channel();
    let (end, may_end) = std::sync::mpsc::channel::<()>();
    // Ends when the test says so: until then it is in flight.
    let done = Box::new(move |_, _| {
        begin.send(()).expect("the test waits");
        may_end.recv().expect("the test says so");
    });
    disk.submit(read(512), done);
    begun.recv().expect("it is carried out");
    assert!(!is_done(&disk.attempt(read(512))));
    end.send(()).expect("it waits");
    disk.drain_and_flush().expect("it ends");
    assert!(is_done(&disk.attempt(read(512))));
}
