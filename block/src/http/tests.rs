//! Images on a server that behaves well and badly, alone, below qcow2 and below overlays.

use std::sync::Arc;
use std::time::Duration;

use include::{BlockBackend, BlockRequest, Errno};
use parking_lot::{Condvar, Mutex};
use util::coroutine::AioContext;
use util::http::cases::byte_at;
use util::http::cases::server::{Behaviour, Server};

use crate::options::parse_drive;
use crate::{Backend, Graph};

const BYTES: usize = 1 << 20;

fn image() -> Vec<u8> {
    (0..BYTES).map(byte_at).collect()
}

/// A server with the file `disk`.
fn server(behaviour: Behaviour) -> Server {
    let server = Server::start();
    server.put("disk", image(), "one", behaviour);
    server
}

fn graph() -> Graph {
    Graph::new(Arc::new(
        AioContext::start("test").expect("threads can be had"),
    ))
}

fn open(graph: &Graph, text: &str) -> Result<Arc<Backend>, String> {
    graph.open_drive(&parse_drive(text)?)
}

fn open_disk(graph: &Graph, server: &Server) -> Result<Arc<Backend>, String> {
    let url = server.url("disk");
    open(
        graph,
        &format!("file={url},format=raw,readonly=on,file.readahead=0"),
    )
}

fn carry_out(backend: &Backend, request: BlockRequest) -> Result<Vec<u8>, Errno> {
    let answer = Arc::new((Mutex::new(None), Condvar::new()));
    let theirs = answer.clone();
    backend.submit(
        request,
        Box::new(move |result, buf| {
            *theirs.0.lock() = Some(result.map(|()| buf));
            theirs.1.notify_all();
        }),
    );
    let mut there = answer.0.lock();
    loop {
        match there.take() {
            Some(result) => return result,
            None => answer.1.wait(&mut there),
        }
    }
}

fn read(backend: &Backend, offset: usize, count: usize) -> Result<Vec<u8>, Errno> {
    let request = BlockRequest::Read {
        offset: offset as u64,
        buf: vec![0xaa; count],
    };
    carry_out(backend, request)
}

fn write(backend: &Backend, offset: usize, data: &[u8]) -> Result<(), Errno> {
    let request = BlockRequest::Write {
        offset: offset as u64,
        data: data.to_vec(),
        fua: false,
    };
    carry_out(backend, request).map(|_| ())
}

fn expect(backend: &Backend, offset: usize, count: usize) {
    let bytes = read(backend, offset, count).expect("it can be read");
    let wrong = bytes
        .iter()
        .zip(offset..)
        .find(|(b, at)| **b != byte_at(*at));
    assert_eq!((bytes.len(), wrong), (count, None));
}

fn folder() -> util::host_fs::cases::Folder {
    util::host_fs::cases::Folder::create()
}

#[test]
fn reads_what_is_needed_once() {
    let (server, graph) = (server(Behaviour::Parts), graph());
    let disk = open_disk(&graph, &server).unwrap();
    assert_eq!(disk.len(), BYTES as u64);
    assert_eq!(server.take_requests(), ["GET /disk 0-65535"]);
    expect(&disk, 512, 1024);
    assert!(server.take_requests().is_empty());
    expect(&disk, 100_000, 70_000);
    assert_eq!(server.take_requests(), ["GET /disk 65536-196607"]);
    expect(&disk, 0, BYTES);
    assert_eq!(server.take_requests(), ["GET /disk 196608-1048575"]);
    assert_eq!(write(&disk, 0, &[0; 512]), Err(Errno::EPERM));
}

#[test]
fn reads_ahead() {
    let (server, graph) = (server(Behaviour::Parts), graph());
    let url = server.url("disk");
    let disk =
        format!("file.driver=http,file.url={url},file.readahead=131072,file.timeout=9,readonly=on");
    let disk = open(&graph, &disk).unwrap();
    server.take_requests();
    expect(&disk, 70_000, 10);
    assert_eq!(server.take_requests(), ["GET /disk 65536-262143"]);
}

#[test]
fn many_readers_share_what_comes() {
    let (server, graph) = (server(Behaviour::Slow(Duration::from_millis(50))), graph());
    let disk = open_disk(&graph, &server).unwrap();
    std::thread::scope(|scope| {
        for reader in 0..8 {
            let disk = &disk;
            scope.spawn(move || expect(disk, 300_000 + reader * 100, 5000));
        }
    });
    assert_eq!(server.take_requests().len(), 2);
}

#[test]
fn the_end_of_an_odd_file_is_zero() {
    let (server, graph) = (Server::start(), graph());
    server.put("disk", image()[..70_001].to_vec(), "", Behaviour::Parts);
    let disk = open_disk(&graph, &server).unwrap();
    assert_eq!(disk.len(), 70_144);
    let end = read(&disk, 69_632, 512).unwrap();
    assert_eq!(end[..369], image()[69_632..70_001]);
    assert_eq!(end[369..], [0; 143]);
}

#[test]
fn servers_that_will_not_do() {
    let graph = graph();
    let check = |behaviour, sentence: &str| {
        let server = server(behaviour);
        let error = open_disk(&graph, &server).err().expect("it will not do");
        assert!(
            error.contains(sentence) && error.contains("/disk'"),
            "{error}"
        );
    };
    check(Behaviour::Whole, "no ranges of bytes");
    check(Behaviour::Status(404, 9), "status 404");
    check(Behaviour::Status(403, 9), "status 403");
    check(Behaviour::Status(503, 9), "status 503");
    let server = server(Behaviour::Parts);
    let writable = format!("file={},format=raw", server.url("disk"));
    let error = open(&graph, &writable).err().expect("it is not writable");
    assert!(error.contains("readonly=on"), "{error}");
    let error = open(&graph, "file=http://127.0.0.1:9/x,readonly=on");
    assert!(error.is_err());
    server.put("disk", Vec::new(), "", Behaviour::Parts);
    assert!(open_disk(&graph, &server).is_err());
}

#[test]
fn what_passes_is_tried_again() {
    let graph = graph();
    for behaviour in [Behaviour::Cut(2), Behaviour::Status(503, 2)] {
        let server = server(Behaviour::Parts);
        let disk = open_disk(&graph, &server).unwrap();
        server.change("disk", |file| file.behaviour = behaviour);
        expect(&disk, 200_000, 1000);
        assert_eq!(server.take_requests().len(), 4);
    }
}

#[test]
fn what_stays_is_an_error_and_may_end() {
    let (server, graph) = (server(Behaviour::Parts), graph());
    let disk = open_disk(&graph, &server).unwrap();
    server.change("disk", |file| {
        file.behaviour = Behaviour::Status(404, u32::MAX)
    });
    assert_eq!(read(&disk, 200_000, 1000), Err(Errno::EIO));
    expect(&disk, 0, 1000);
    server.change("disk", |file| file.behaviour = Behaviour::Parts);
    expect(&disk, 200_000, 1000);
}

#[test]
fn slow_servers_are_not_waited_for() {
    let (server, graph) = (server(Behaviour::Parts), graph());
    let url = server.url("disk");
    let disk = format!("file={url},format=raw,readonly=on,file.timeout=1");
    let disk = open(&graph, &disk).unwrap();
    let slow = Behaviour::Slow(Duration::from_secs(5));
    server.change("disk", |file| file.behaviour = slow);
    let start = std::time::Instant::now();
    assert_eq!(read(&disk, 500_000, 1000), Err(Errno::EIO));
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_file_that_changes_is_lost() {
    type Change = fn(&mut util::http::cases::server::Served);
    let changes: [Change; 2] = [
        |file| file.tag = Some("two".into()),
        |file| file.bytes = Arc::new(vec![1; BYTES - 1]),
    ];
    for change in changes {
        let (server, graph) = (server(Behaviour::Parts), graph());
        let disk = open_disk(&graph, &server).unwrap();
        server.change("disk", change);
        assert_eq!(read(&disk, 200_000, 1000), Err(Errno::EIO));
        // It is not the old file again, even if it looks like it.
        server.put("disk", image(), "one", Behaviour::Parts);
        assert_eq!(read(&disk, 200_000, 1000), Err(Errno::EIO));
    }
}

#[test]
fn snapshots_and_overlays() {
    let (server, graph, folder) = (server(Behaviour::Parts), graph(), folder());
    let url = server.url("disk");
    let disk = open(&graph, &format!("file={url},format=raw,snapshot=on")).unwrap();
    write(&disk, 1024, &[7; 512]).unwrap();
    assert_eq!(read(&disk, 1024, 512), Ok(vec![7; 512]));
    let overlay = format!("{}/overlay.qcow2", folder.path);
    let text = format!("file={url},format=raw,overlay={overlay}");
    // One that was cut short in its making is made again.
    folder.write(b"overlay.qcow2", &[0; 70_000]);
    for round in 0..3 {
        let graph = self::graph();
        let disk = open(&graph, &text).unwrap();
        let at = round * 70_000 / 512 * 512;
        expect(&disk, at, 512);
        write(&disk, at, &[round as u8 + 1; 512]).unwrap();
        for earlier in 0..=round {
            let at = earlier * 70_000 / 512 * 512;
            assert_eq!(read(&disk, at, 512), Ok(vec![earlier as u8 + 1; 512]));
            expect(&disk, at + 512, 512);
        }
        graph.close().unwrap();
    }
    server.change("disk", |file| file.tag = Some("two".into()));
    let error = open(&self::graph(), &text)
        .err()
        .expect("the base has changed");
    assert!(error.contains("it was made over"), "{error}");
}

#[test]
fn images_on_a_server_name_nothing_here() {
    let (server, graph, folder) = (server(Behaviour::Parts), graph(), folder());
    let path = format!("{}/image", folder.path);
    let below = server.url("disk");
    // An overlay is a qcow2 image with a backing file.
    let text = format!("file={below},format=raw,overlay={path}");
    let disk = open(&graph, &text).unwrap();
    write(&disk, 512, &[9; 512]).unwrap();
    graph.close().unwrap();
    let image = std::fs::read(&path).unwrap();
    server.put("image", image.clone(), "i", Behaviour::Parts);
    let image_url = server.url("image");
    let disk = open(
        &graph,
        &format!("file={image_url},format=qcow2,readonly=on"),
    )
    .unwrap();
    assert_eq!(read(&disk, 512, 512), Ok(vec![9; 512]));
    expect(&disk, 1024, 100_000);
    let mut hostile = image;
    let at = hostile
        .windows(7)
        .position(|bytes| bytes == b"http://")
        .unwrap();
    hostile[at..at + 7].copy_from_slice(b"/../../");
    server.put("image", hostile, "h", Behaviour::Parts);
    let error = open(
        &graph,
        &format!("file={image_url},format=qcow2,readonly=on"),
    );
    let error = error.err().expect("that is no place of the server");
    assert!(error.contains("comes from a server"), "{error}");
}
