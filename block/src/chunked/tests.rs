//! Images made by the writer, whole and damaged.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};

use include::{BlockBackend, BlockRequest, Errno};
use util::coroutine::AioContext;
use util::http::cases::server::{Behaviour, Server};

use super::format::{CHUNK_BYTES, INDEX_BYTES_MAX, Index, hash, pack_name};
use super::writer::{Prepared, Writer, prepare};
use crate::options::{parse_blockdev, parse_drive};
use crate::{Backend, Graph};

const CHUNK: usize = CHUNK_BYTES as usize;

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("chunked-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder");
        Self(folder)
    }

    fn image(&self) -> String {
        self.0.join("disk").to_str().expect("a name").into()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn zstd(data: &[u8]) -> std::io::Result<Vec<u8>> {
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};
    Ok(compress_to_vec(data, CompressionLevel::Fastest))
}

/// A disk whose second chunk is zeros, third one is as the first, fourth one cannot be compressed,
/// and last one is short.
fn disk() -> Vec<u8> {
    let mut disk = vec![0; 4 * CHUNK + 1536];
    let mut random = 1u64;
    let text: Vec<u8> = (0..CHUNK).map(|at| (at / 100) as u8).collect();
    disk[..CHUNK].copy_from_slice(&text);
    disk[2 * CHUNK..3 * CHUNK].copy_from_slice(&text);
    for byte in &mut disk[3 * CHUNK..4 * CHUNK] {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        *byte = (random >> 56) as u8;
    }
    disk[4 * CHUNK + 7] = 7;
    disk
}

fn write(path: &str, disk: &[u8]) -> Index {
    let mut writer = Writer::new(Path::new(path));
    for chunk in disk.chunks(CHUNK) {
        writer
            .push(prepare(chunk, zstd).expect("zstd"))
            .expect("a chunk");
    }
    writer.finish(disk.len() as u64).expect("an index")
}

fn open(options: &str) -> Result<Arc<Backend>, String> {
    let graph = Graph::new(Arc::new(AioContext::start("chunked").expect("a thread")));
    graph.open_drive(&parse_drive(options)?)
}

fn submit(backend: &Backend, request: BlockRequest) -> Result<Vec<u8>, Errno> {
    let (sender, receiver) = mpsc::channel();
    let done = move |result: Result<(), Errno>, buf| {
        let _ = sender.send(result.map(|()| buf));
    };
    backend.submit(request, Box::new(done));
    receiver.recv().expect("it ends")
}

fn read(backend: &Backend, offset: usize, bytes: usize) -> Result<Vec<u8>, Errno> {
    let (offset, buf) = (offset as u64, vec![0; bytes]);
    submit(backend, BlockRequest::Read { offset, buf })
}

#[test]
fn what_was_written_is_read() {
    let folder = Folder::new("read");
    let (path, disk) = (folder.image(), disk());
    let index = write(&path, &disk);
    assert_eq!(
        index.uniques.len(),
        3,
        "equal and zero chunks are stored once"
    );
    for format in ["format=chunked,", ""] {
        let backend = open(&format!("{format}readonly=on,file={path}")).expect("it opens");
        assert_eq!(backend.len(), disk.len() as u64);
        assert_eq!(read(&backend, 0, disk.len()).expect("all"), disk);
        for (offset, bytes) in [(512, 1024), (CHUNK - 512, 1024), (4 * CHUNK, 1536)] {
            let part = read(&backend, offset, bytes).expect("a part");
            assert_eq!(part, disk[offset..offset + bytes]);
        }
        assert!(read(&backend, disk.len(), 512).is_err());
    }
}

#[test]
fn an_overlay_takes_writes() {
    let folder = Folder::new("overlay");
    let (path, mut disk) = (folder.image(), disk());
    write(&path, &disk);
    let sentence = open(&format!("format=chunked,file={path}")).err();
    assert!(
        sentence
            .expect("refused")
            .contains("snapshot=on or overlay=FILE")
    );
    let backend = open(&format!("format=chunked,snapshot=on,file={path}")).expect("it opens");
    let data = vec![9; 1024];
    disk[512..1536].copy_from_slice(&data);
    let (offset, fua) = (512, false);
    submit(&backend, BlockRequest::Write { offset, data, fua }).expect("a write");
    assert_eq!(read(&backend, 0, disk.len()).expect("all"), disk);
}

#[test]
fn damaged_packs_are_errors() {
    let folder = Folder::new("packs");
    let (path, disk) = (folder.image(), disk());
    let index = write(&path, &disk);
    let pack = pack_name(&path, 0);
    let good = fs::read(&pack).expect("a pack");
    // One byte of each unique chunk, in its middle.
    for unique in &index.uniques {
        let mut bad = good.clone();
        bad[(unique.offset + unique.length / 2) as usize] ^= 1;
        fs::write(&pack, &bad).expect("a pack");
        let backend = open(&format!("format=chunked,readonly=on,file={path}")).expect("it opens");
        assert_eq!(read(&backend, 0, disk.len()), Err(Errno::EIO));
        assert_eq!(
            read(&backend, CHUNK, 512),
            Ok(vec![0; 512]),
            "zeros need no pack"
        );
    }
    for missing in [true, false] {
        if missing {
            fs::remove_file(&pack).expect("gone");
        } else {
            fs::write(&pack, &good[..512]).expect("a short pack");
        }
        let backend = open(&format!("format=chunked,readonly=on,file={path}")).expect("it opens");
        assert_eq!(read(&backend, 3 * CHUNK, 512), Err(Errno::EIO));
    }
}

/// The index with one number changed and its hash made right again.
fn forged(good: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut bad = good.to_vec();
    bad[at..at + bytes.len()].copy_from_slice(bytes);
    let end = bad.len() - 32;
    let sum = hash(&bad[..end]);
    bad[end..].copy_from_slice(&sum);
    bad
}

#[test]
fn damaged_indexes_are_refused() {
    let folder = Folder::new("index");
    let (path, disk) = (folder.image(), disk());
    let index = write(&path, &disk);
    let good = index.to_bytes();
    assert_eq!(Index::parse(&good), Ok(index));
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert!(Index::parse(&bad).is_err(), "byte {at}");
        assert!(Index::parse(&good[..at]).is_err(), "{at} bytes");
    }
    let uniques = 32 + 5 * 4;
    for (at, bytes, sentence) in [
        (8, 2u32.to_le_bytes().to_vec(), "version 2"),
        (12, 0u32.to_le_bytes().to_vec(), "0 bytes"),
        (12, 3000u32.to_le_bytes().to_vec(), "3000 bytes"),
        (12, (1u32 << 31).to_le_bytes().to_vec(), "2147483648 bytes"),
        (16, u64::MAX.to_le_bytes().to_vec(), "too large"),
        (16, (1u64 << 41).to_le_bytes().to_vec(), "too early"),
        (24, u32::MAX.to_le_bytes().to_vec(), "packs"),
        (24, 0u32.to_le_bytes().to_vec(), "cannot be"),
        (28, u32::MAX.to_le_bytes().to_vec(), "too early"),
        (32, 4u32.to_le_bytes().to_vec(), "not there"),
        (uniques + 32, 1u32.to_le_bytes().to_vec(), "cannot be"),
        (uniques + 36, u32::MAX.to_le_bytes().to_vec(), "cannot be"),
        (uniques + 40, u32::MAX.to_le_bytes().to_vec(), "cannot be"),
        (uniques + 40, 0u32.to_le_bytes().to_vec(), "cannot be"),
    ] {
        let error = Index::parse(&forged(&good, at, &bytes)).expect_err(sentence);
        assert!(error.contains(sentence), "{error}");
        fs::write(&path, forged(&good, at, &bytes)).expect("an index");
        let error = open(&format!("format=chunked,readonly=on,file={path}")).err();
        let error = error.expect("refused");
        assert!(error.contains(sentence) && error.contains(&path), "{error}");
    }
}

#[test]
fn absurd_files_are_refused() {
    let folder = Folder::new("absurd");
    let path = folder.image();
    let file = fs::File::create(&path).expect("a file");
    file.set_len(INDEX_BYTES_MAX + 512).expect("a hole");
    let error = open(&format!("format=chunked,readonly=on,file={path}")).err();
    assert!(error.expect("refused").contains("too large"));
    let graph = Graph::new(Arc::new(AioContext::start("chunked").expect("a thread")));
    let text = format!("driver=file,node-name=f,read-only=on,filename={path}");
    graph
        .add(&parse_blockdev(&text).expect("options"))
        .expect("a node");
    let text = "driver=chunked,node-name=c,read-only=on,file=f";
    let error = graph.add(&parse_blockdev(text).expect("options"));
    assert!(error.expect_err("refused").contains("given by name"));
}

#[test]
fn packs_stay_small() {
    let folder = Folder::new("many");
    let path = folder.image();
    let mut writer = Writer::new(Path::new(&path));
    for number in 0..170u32 {
        let mut chunk = vec![0; CHUNK];
        chunk[..4].copy_from_slice(&number.to_le_bytes());
        let packed = chunk.clone();
        let hash = hash(&chunk);
        writer
            .push(Prepared::Data { hash, packed })
            .expect("a chunk");
    }
    let index = writer.finish(170 * CHUNK as u64).expect("an index");
    assert_eq!(index.packs, 2);
    let first = fs::metadata(pack_name(&path, 0)).expect("a pack").len();
    assert_eq!(first, 20 << 20);
    let backend = open(&format!("format=chunked,readonly=on,file={path}")).expect("it opens");
    assert_eq!(read(&backend, 165 * CHUNK, 4), Ok(vec![165, 0, 0, 0]));
}

#[test]
fn from_a_server() {
    let (folder, disk, server) = (Folder::new("server"), disk(), Server::start());
    let index = write(&folder.image(), &disk);
    let put = |name: &str| {
        let bytes = fs::read(folder.0.join(name)).expect("it is written");
        server.put(name, bytes, "one", Behaviour::Parts);
    };
    put("disk");
    put(&pack_name("disk", 0));
    assert_eq!(index.packs, 1);
    let url = server.url("disk");
    let whole = |options: &str| {
        let disk_of = open(&format!("file={url},if=none,{options}"))?;
        let buf = vec![0xaa; disk.len()];
        submit(&disk_of, BlockRequest::Read { offset: 0, buf }).map_err(|e| e.to_string())
    };
    for options in ["readonly=on", "format=chunked,snapshot=on"] {
        assert!(whole(options) == Ok(disk.clone()), "{options}");
    }
    let error = whole("format=chunked").expect_err("it is read-only");
    assert!(error.contains("readonly=on"), "{error}");
    // Another pack than the index knows.
    let other = fs::read(folder.0.join(pack_name("disk", 0))).expect("it is written");
    let other = other.iter().map(|byte| byte ^ 1).collect();
    server.put(&pack_name("disk", 0), other, "two", Behaviour::Parts);
    assert_eq!(whole("readonly=on"), Err(Errno::EIO.to_string()));
}
