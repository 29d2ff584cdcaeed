//! Images as files of the host, opened by the options of a command line.

use std::sync::mpsc;

use include::{BlockBackend, BlockRequest};
use util::coroutine::AioContext;

use super::interop::{Folder, has_qemu_img, qemu_img};
use super::*;
use crate::options::parse_drive;
use crate::{Backend, Graph};

fn graph() -> Graph {
    Graph::new(Arc::new(AioContext::start("files").expect("a thread")))
}

fn try_open(graph: &Graph, text: &str) -> Result<Arc<Backend>, String> {
    graph.open_drive(&parse_drive(text)?)
}

fn open_drive(graph: &Graph, text: &str) -> Arc<Backend> {
    try_open(graph, text).expect(text)
}

fn refused(text: &str) -> String {
    match try_open(&graph(), text) {
        Err(sentence) => sentence,
        Ok(_) => panic!("{text} works"),
    }
}

fn submit(backend: &Backend, request: BlockRequest) -> Result<Vec<u8>, Errno> {
    let (sender, receiver) = mpsc::channel();
    let done = move |result: Result<(), Errno>, buf| {
        let _ = sender.send(result.map(|()| buf));
    };
    backend.submit(request, Box::new(done));
    receiver.recv().expect("it ends")
}

fn write(backend: &Backend, offset: u64, data: &[u8]) {
    let data = data.to_vec();
    let request = BlockRequest::Write {
        offset,
        data,
        fua: false,
    };
    submit(backend, request).expect("a write");
}

fn read(backend: &Backend, offset: u64, bytes: usize) -> Vec<u8> {
    let buf = vec![0; bytes];
    submit(backend, BlockRequest::Read { offset, buf }).expect("a read")
}

/// An empty image of ours in a file.
fn make(path: &str, size: u64, backing: Option<(&str, &str)>) {
    let storage = create_in_memory(&CreateOptions {
        size,
        backing: backing.map(|(name, format)| (name.into(), format.into())),
        ..CreateOptions::default()
    });
    std::fs::write(path, storage.bytes()).expect("a file");
}

#[test]
fn a_guest_writes_to_a_file() {
    for cache in ["writeback", "writethrough", "unsafe", "none"] {
        let folder = Folder::new(&format!("guest-{cache}"));
        let path = folder.at("image");
        make(&path, 64 << 20, None);
        let graph = graph();
        let drive = format!("file={path},format=qcow2,discard=unmap,cache={cache}");
        let backend = open_drive(&graph, &drive);
        assert_eq!(backend.len(), 64 << 20);
        let data = Rng(1).data(3 << 20);
        write(&backend, 5000, &data);
        let beyond = BlockRequest::Write {
            offset: (64 << 20) - 1,
            data: vec![1; 2],
            fua: false,
        };
        assert_eq!(submit(&backend, beyond), Err(Errno::EIO));
        let discard = BlockRequest::Discard {
            offset: 1 << 20,
            bytes: 1 << 20,
        };
        submit(&backend, discard).expect("a discard");
        assert!(
            read(&backend, 1 << 20, 1 << 20)
                .iter()
                .all(|byte| *byte == 0)
        );
        assert!(read(&backend, 5000, 1 << 19) == data[..1 << 19]);
        graph.close().expect("it closes");
        let mut expected = vec![0; 64 << 20];
        expected[5000..5000 + data.len()].copy_from_slice(&data);
        expected[1 << 20..2 << 20].fill(0);
        let image = open(
            Memory::of(std::fs::read(&path).expect("a file")),
            None,
            true,
        );
        let image = image.expect("it is closed");
        assert_sound(&image, false);
        assert!(contents(&image) == expected);
    }
}

#[test]
fn chains_of_backing_files() {
    let folder = Folder::new("chain");
    let data = Rng(2).data(1 << 20);
    std::fs::write(folder.at("base.raw"), &data).expect("a file");
    make(&folder.at("middle"), 1 << 20, Some(("base.raw", "raw")));
    make(&folder.at("top"), 2 << 20, Some(("middle", "qcow2")));
    let top = folder.at("top");
    let bases = ["base.raw", "middle"].map(|name| std::fs::read(folder.at(name)).expect("a file"));
    let first = graph();
    let backend = open_drive(&first, &format!("file={top}"));
    assert!(read(&backend, 0, 1 << 20) == data);
    assert!(
        read(&backend, 1 << 20, 1 << 20)
            .iter()
            .all(|byte| *byte == 0)
    );
    write(&backend, 70_000, b"changed");
    assert!(read(&backend, 65_536, 4464) == data[65_536..70_000]);
    first.close().expect("it closes");
    drop((backend, first));
    let now = ["base.raw", "middle"].map(|name| std::fs::read(folder.at(name)).expect("a file"));
    assert!(now == bases);
    if has_qemu_img() {
        qemu_img(&["check", &top]);
    }

    // What a snapshot's guest writes is nowhere.
    let before = std::fs::read(&top).expect("a file");
    let second = graph();
    let backend = open_drive(&second, &format!("file={top},snapshot=on"));
    assert!(read(&backend, 70_000, 7) == b"changed");
    write(&backend, 70_000, b"forgot!");
    assert!(read(&backend, 70_000, 7) == b"forgot!");
    second.close().expect("it closes");
    assert!(std::fs::read(&top).expect("a file") == before);
}

#[test]
fn what_cannot_be_opened_says_why() {
    let folder = Folder::new("refused");
    let at = |name: &str| folder.at(name);
    let check = |text: String, parts: &[&str]| {
        let sentence = refused(&text);
        let all = parts.iter().all(|part| sentence.contains(part));
        assert!(all && !sentence.contains('\n'), "{sentence}");
    };
    make(&at("orphan"), 1 << 20, Some(("missing", "raw")));
    check(
        format!("file={}", at("orphan")),
        &["orphan", "missing", "No such file"],
    );
    make(&at("self"), 1 << 20, Some(("self", "qcow2")));
    check(
        format!("file={},readonly=on", at("self")),
        &["self", "below 32 images"],
    );
    make(&at("remote"), 1 << 20, Some(("nbd://there", "raw")));
    check(format!("file={}", at("remote")), &["remote", "'nbd'"]);
    make(&at("foreign"), 1 << 20, Some(("base", "vmdk")));
    std::fs::write(at("base"), [0; 512]).expect("a file");
    check(format!("file={}", at("foreign")), &["base", "'vmdk'"]);
    check(
        format!("file={},format=qcow2", at("base")),
        &["base", "no qcow2 image"],
    );

    make(&at("used"), 1 << 20, None);
    let graph = graph();
    let _backend = open_drive(&graph, &format!("file={}", at("used")));
    check(format!("file={}", at("used")), &["used", "in use"]);
}

/// A guest with a raw disk must not be able to name files of the host.
#[test]
fn a_probed_raw_image_stays_raw() {
    let folder = Folder::new("probed");
    let path = folder.at("disk");
    std::fs::write(&path, vec![0; 1 << 20]).expect("a file");
    make(&folder.at("image"), 1 << 20, None);
    let header = std::fs::read(folder.at("image")).expect("a file")[..512].to_vec();
    let forge = |drive: &str| {
        let graph = graph();
        let backend = open_drive(&graph, drive);
        let data = header.clone();
        let request = BlockRequest::Write {
            offset: 0,
            data,
            fua: false,
        };
        submit(&backend, request).map(|_| ())
    };
    assert_eq!(forge(&format!("file={path}")), Err(Errno::EPERM));
    assert_eq!(forge(&format!("file={path},format=raw")), Ok(()));
}

/// Reading goes through all images of a chain on one small stack.
#[test]
fn a_long_chain() {
    let folder = Folder::new("long");
    let data = Rng(3).data(1 << 20);
    std::fs::write(folder.at("0"), &data).expect("a file");
    for number in 1..=33 {
        let below = format!("{}", number - 1);
        let format = if number == 1 { "raw" } else { "qcow2" };
        let path = folder.at(&number.to_string());
        make(&path, 1 << 20, Some((&below, format)));
    }
    let graph = graph();
    let backend = open_drive(&graph, &format!("file={}", folder.at("32")));
    assert!(read(&backend, 0, 1 << 20) == data);
    drop((backend, graph));
    let sentence = refused(&format!("file={},readonly=on", folder.at("33")));
    assert!(sentence.contains("below 32 images"), "{sentence}");
}
