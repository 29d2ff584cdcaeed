//! What requests must do on every host: a table of checks that panic when they fail. Natively a
//! unit test runs it; under Node `tests/util` does, beside a native program with the server.

#[cfg(not(target_os = "emscripten"))]
pub mod server;

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::{Request, Response, send};

/// Each check with its name.
pub const CASES: &[(&str, fn())] = &[
    ("whole files", whole_files),
    ("parts of files", parts_of_files),
    ("a server without parts", without_parts),
    ("headers alone", headers_alone),
    ("a status is an answer", statuses),
    ("follows redirects", redirects),
    ("a body that is cut off", cut_off),
    ("too slow", too_slow),
    ("too long", too_long),
    ("nobody there", nobody_there),
    ("many requests", many_requests),
    ("other threads", other_threads),
    ("no URLs", no_urls),
];

/// Bytes of the server's files.
pub const FILE_BYTES: usize = 200_000;

/// What the server's files have at a place.
pub fn byte_at(at: usize) -> u8 {
    (at as u32).wrapping_mul(0x9e37_79b1).to_be_bytes()[0]
}

/// Where the server is, if it is another process.
pub static SERVER: OnceLock<String> = OnceLock::new();

#[cfg(not(target_os = "emscripten"))]
fn url(name: &str) -> String {
    let base = SERVER.get_or_init(|| server::Server::start_with_examples().leak());
    format!("{base}/{name}")
}

#[cfg(target_os = "emscripten")]
fn url(name: &str) -> String {
    let base = SERVER.get().expect("these need --http=URL");
    format!("{base}/{name}")
}

fn request(url: &str) -> Request<'_> {
    Request {
        url,
        head: false,
        range: None,
        timeout: Duration::from_secs(10),
        limit: 1 << 20,
    }
}

fn get(name: &str) -> Result<Response, String> {
    send(&request(&url(name)))
}

fn get_range(name: &str, range: std::ops::Range<u64>) -> Result<Response, String> {
    send(&Request {
        range: Some(range),
        ..request(&url(name))
    })
}

fn expect_bytes(body: &[u8], first: usize, count: usize) {
    assert_eq!(body.len(), count);
    let wrong = body
        .iter()
        .zip(first..)
        .position(|(b, at)| *b != byte_at(at));
    assert_eq!(wrong, None);
}

fn whole_files() {
    let answer = get("file#fragment").expect("it is there");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.tag(), Some("\"one\""));
    assert_eq!(answer.length(), Some(FILE_BYTES as u64));
    expect_bytes(&answer.body, 0, FILE_BYTES);
}

fn parts_of_files() {
    let total = FILE_BYTES as u64;
    for range in [0..1, 0..total, 65_536..131_072, total - 1..total] {
        let answer = get_range("file", range.clone()).expect("it is there");
        assert_eq!(answer.status, 206);
        assert_eq!(answer.content_range(), Some((range.clone(), Some(total))));
        let count = (range.end - range.start) as usize;
        expect_bytes(&answer.body, range.start as usize, count);
    }
    let answer = get_range("file", total - 10..total + 10).expect("it is there");
    expect_bytes(&answer.body, FILE_BYTES - 10, 10);
    assert_eq!(
        get_range("file", total..total + 1).map(|a| a.status),
        Ok(416)
    );
}

/// Nothing of the body is given, since it is not what was asked for.
fn without_parts() {
    let answer = get_range("whole", 10..20).expect("it is there");
    assert_eq!((answer.status, answer.body.len()), (200, 0));
}

fn headers_alone() {
    let url = url("file");
    let head = Request {
        head: true,
        ..request(&url)
    };
    let answer = send(&head).expect("it is there");
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    assert_eq!(answer.length(), Some(FILE_BYTES as u64));
}

fn statuses() {
    assert_eq!(get("none").map(|answer| answer.status), Ok(404));
    assert_eq!(get("broken").map(|answer| answer.status), Ok(500));
}

fn redirects() {
    let answer = get_range("moved", 5..9).expect("it is there");
    assert_eq!(answer.status, 206);
    expect_bytes(&answer.body, 5, 4);
}

fn cut_off() {
    assert!(get("cut").is_err());
    assert!(get_range("cut", 0..60_000).is_err());
}

fn too_slow() {
    let url = url("slow");
    let hasty = Request {
        timeout: Duration::from_millis(300),
        ..request(&url)
    };
    let start = Instant::now();
    assert!(send(&hasty).is_err());
    assert!(start.elapsed() < Duration::from_millis(1300));
    assert_eq!(send(&request(&url)).map(|answer| answer.status), Ok(200));
}

fn too_long() {
    let url = url("file");
    let short = Request {
        limit: FILE_BYTES - 1,
        ..request(&url)
    };
    assert_eq!(send(&short), Err("the answer is too long".into()));
}

fn nobody_there() {
    // A port that nobody may listen on without being root, and nobody does.
    assert!(send(&request("http://127.0.0.1:9/x")).is_err());
}

fn many_requests() {
    for at in 0..200 {
        let answer = get_range("file", at * 7..at * 7 + 3).expect("it is there");
        expect_bytes(&answer.body, at as usize * 7, 3);
    }
}

fn other_threads() {
    let threads: Vec<_> = (0..3)
        .map(|_| std::thread::spawn(|| expect_bytes(&get("file").unwrap().body, 0, FILE_BYTES)))
        .collect();
    for thread in threads {
        thread.join().expect("it found what it wanted");
    }
}

fn no_urls() {
    for url in [
        "",
        "file",
        "ftp://127.0.0.1/x",
        "http://127.0.0.1/a b",
        "http://127.0.0.1/\n",
    ] {
        assert!(send(&request(url)).is_err(), "{url}");
    }
}
