//! A tree on the tests' server.

use super::*;
use std::time::Duration;
use util::http::cases::server::{Behaviour, Server};

const LARGE: usize = 700_000;

fn large() -> Vec<u8> {
    (0..LARGE).map(util::http::cases::byte_at).collect()
}

fn server() -> Server {
    let server = Server::start();
    let index = format!(
        "tinamou-tree 1\nd 755 0 0 1 0 etc\nf 644 0 0 1 6 etc/a%20b\nf 600 7 8 1 {LARGE} large\n\
         f 644 0 0 1 0 empty\nl 777 0 0 1 0 link etc/a%20b\nf 644 0 0 1 3 lost\n"
    );
    server.put("tree/index", index.into_bytes(), "", Behaviour::Whole);
    server.put("tree/etc/a%20b", b"hello\n".to_vec(), "a", Behaviour::Whole);
    server.put("tree/large", large(), "l", Behaviour::Parts);
    server
}

fn open(server: &Server) -> Arc<HttpTree> {
    let url = server.url("tree/index");
    let timeout = Duration::from_secs(5);
    HttpTree::open(&HttpOptions { url, timeout }).expect("it is there")
}

fn node(tree: &HttpTree, path: &str) -> NodeId {
    let walk = |node, name: &str| {
        tree.lookup(node, name.as_bytes())
            .expect("it is there")
            .node
    };
    path.split('/').fold(ROOT, walk)
}

fn handle(tree: &HttpTree, path: &str) -> HandleId {
    tree.open(node(tree, path), OpenFlags::default())
        .expect("it opens")
        .0
}

#[test]
fn files_are_fetched_when_they_are_read() {
    let server = server();
    let tree = open(&server);
    assert_eq!(server.take_requests(), ["GET /tree/index -"]);
    let mut buf = [0; 100];
    assert_eq!(tree.read(handle(&tree, "etc/a b"), 1, &mut buf), Ok(5));
    assert_eq!(&buf[..5], b"ello\n");
    assert_eq!(tree.read(handle(&tree, "etc/a b"), 6, &mut buf), Ok(0));
    assert_eq!(tree.read(handle(&tree, "empty"), 0, &mut buf), Ok(0));
    assert_eq!(server.take_requests(), ["GET /tree/etc/a%20b -"]);
    let mut buf = vec![0; 1000];
    let at = BLOCK_BYTES - 500;
    assert_eq!(
        tree.read(handle(&tree, "large"), at as u64, &mut buf),
        Ok(1000)
    );
    assert_eq!(buf, large()[at..at + 1000]);
    assert_eq!(server.take_requests().len(), 2);
    assert_eq!(
        tree.read(handle(&tree, "large"), LARGE as u64 - 7, &mut buf),
        Ok(7)
    );
    assert_eq!(buf[..7], large()[LARGE - 7..]);
    assert_eq!(server.take_requests(), ["GET /tree/large 524288-699999"]);
}

const BLOCK_BYTES: usize = content::BLOCK as usize;

#[test]
fn the_tree_is_the_indexs() {
    let tree = open(&server());
    let link = node(&tree, "link");
    assert_eq!(tree.read_link(link), Ok(b"etc/a b".to_vec()));
    assert_eq!(
        tree.open(link, OpenFlags::default()).err(),
        Some(Errno::ELOOP)
    );
    let large = tree.get_attr(node(&tree, "large"), None).unwrap();
    assert_eq!((large.mode, large.uid, large.gid), (0o100_600, 7, 8));
    assert_eq!(tree.parent(node(&tree, "etc")).unwrap().node, ROOT);
    let mut names = Vec::new();
    let mut from = 0;
    // One at a time, as a small buffer makes it.
    loop {
        let mut taken = None;
        let root = handle(&tree, "etc");
        let root = HandleId(tree.parent(NodeId(root.0)).unwrap().node.0);
        tree.read_dir(root, from, &mut |entry| {
            let first = taken.is_none();
            taken = taken.take().or(Some((entry.name.to_vec(), entry.next)));
            first
        })
        .unwrap();
        let Some((name, next)) = taken else { break };
        names.push(String::from_utf8(name).unwrap());
        from = next;
    }
    assert_eq!(names, [".", "..", "etc", "large", "empty", "link", "lost"]);
}

#[test]
fn nothing_is_written() {
    let tree = open(&server());
    let etc = node(&tree, "etc");
    let writing = OpenFlags(OpenFlags::READ_WRITE);
    assert_eq!(
        tree.open(node(&tree, "large"), writing).err(),
        Some(Errno::EROFS)
    );
    let made = tree.make_folder(etc, b"x", 0o755, Owner::default());
    assert_eq!(made.err(), Some(Errno::EROFS));
    assert_eq!(tree.unlink(etc, b"a b", false), Err(Errno::EROFS));
}

#[test]
fn what_is_lost_or_changes_is_an_error() {
    let server = server();
    let tree = open(&server);
    let mut buf = [0; 100];
    assert_eq!(
        tree.read(handle(&tree, "lost"), 0, &mut buf),
        Err(Errno::EIO)
    );
    assert_eq!(tree.read(handle(&tree, "large"), 0, &mut buf), Ok(100));
    server.change("tree/large", |file| file.tag = Some("other".into()));
    assert_eq!(tree.read(handle(&tree, "large"), 0, &mut buf), Ok(100));
    let far = 600_000;
    assert_eq!(
        tree.read(handle(&tree, "large"), far, &mut buf),
        Err(Errno::EIO)
    );
    server.put(
        "tree/etc/a%20b",
        b"longer than it was\n".to_vec(),
        "a",
        Behaviour::Whole,
    );
    assert_eq!(
        tree.read(handle(&tree, "etc/a b"), 0, &mut buf),
        Err(Errno::EIO)
    );
}

#[test]
fn an_index_that_is_none() {
    let server = server();
    let timeout = Duration::from_secs(5);
    for name in ["none", "tree/large", "tree/etc/a%20b"] {
        let url = server.url(name);
        let error = HttpTree::open(&HttpOptions { url, timeout }).err();
        let error = error.expect("that is no index");
        assert!(
            error.starts_with("cannot use the index 'http://"),
            "{error}"
        );
    }
}
