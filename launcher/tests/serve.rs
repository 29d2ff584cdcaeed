//! The server, by raw sockets.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

struct Server {
    folder: PathBuf,
    child: Child,
    address: String,
}

impl Server {
    fn start(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("serve-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let root = folder.join("root");
        fs::create_dir_all(root.join("sub")).expect("a folder");
        fs::write(folder.join("secret"), "secret").expect("a file");
        fs::write(root.join("index.html"), "<p>page").expect("a file");
        fs::write(root.join("sub/x y.wasm"), vec![0; 10_000]).expect("a file");
        for (end, text) in [
            ("", "plain"),
            (".gz", "packed by gzip"),
            (".br", "packed by brotli"),
        ] {
            fs::write(root.join(format!("p.js{end}")), text).expect("a file");
        }
        fs::write(root.join("disk.000"), "0123456789").expect("a file");
        fs::write(root.join(".hidden"), "secret").expect("a file");
        std::os::unix::fs::symlink("../secret", root.join("link")).expect("a link");
        let mut child = Command::new(env!("CARGO_BIN_EXE_launcher"))
            .args(["serve", "--port", "0", root.to_str().expect("a name")])
            .stdout(Stdio::piped())
            .spawn()
            .expect("launcher");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("its address");
        let address = line
            .trim()
            .trim_start_matches("http://")
            .trim_end_matches('/');
        let address = address.to_string();
        Self {
            folder,
            child,
            address,
        }
    }

    /// All that comes for bytes that are sent as they are.
    fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        stream.write_all(request.as_bytes()).expect("sent");
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn get(&self, path: &str, headers: &str) -> String {
        self.raw(&format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n"
        ))
    }

    fn check(&self, path: &str, headers: &str, expected: &[&str]) {
        let answer = self.get(path, headers);
        for part in expected {
            assert!(answer.contains(part), "{path} {headers} {part}: {answer}");
        }
        assert!(!answer.contains("secret"), "{path}: {answer}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn files_with_their_headers() {
    let server = Server::start("files");
    let isolation = [
        "HTTP/1.1 200 OK",
        "Cross-Origin-Opener-Policy: same-origin",
        "Cross-Origin-Embedder-Policy: require-corp",
        "text/html",
        "\r\n\r\n<p>page",
    ];
    server.check("/", "", &isolation);
    server.check("/index.html?x#y", "", &isolation);
    let wasm = ["application/wasm", "Content-Length: 10000"];
    server.check("/sub/x%20y.wasm", "", &wasm);
    server.check(
        "/sub/x%20y.wasm",
        "Accept-Encoding: br, gzip;q=0\r\n",
        &wasm,
    );
    let packed = [
        "application/wasm",
        "Content-Encoding: gzip",
        "Vary: Accept-Encoding",
    ];
    server.check("/sub/x%20y.wasm", "Accept-Encoding: br, gzip\r\n", &packed);
    // One that is packed already is taken, the best that the client knows.
    for (accepted, expected) in [
        ("gzip, deflate, br", "packed by brotli"),
        ("br;q=0, gzip", "packed by gzip"),
        ("deflate", "plain"),
    ] {
        let header = format!("Accept-Encoding: {accepted}\r\nRange: bytes=0-1\r\n");
        let (code, name) = match expected {
            "plain" => ("206", "Vary"),
            _ => ("200", "Content-Encoding"),
        };
        let expected = &expected[..if code == "206" { 2 } else { expected.len() }];
        let body = format!("\r\n\r\n{expected}");
        server.check("/p.js", &header, &[code, name, "text/javascript", &body]);
    }
    let answer = server.get("/disk.000", "");
    let tag = answer
        .lines()
        .find(|line| line.starts_with("ETag"))
        .expect("a tag");
    let tag = tag.trim_start_matches("ETag: ");
    let not_modified = ["304 Not Modified"];
    server.check(
        "/disk.000",
        &format!("If-None-Match: {tag}\r\n"),
        &not_modified,
    );
    let partial = ["206 Partial", "\r\n\r\n345"];
    let same = format!("Range: bytes=3-5\r\nIf-Range: {tag}\r\n");
    server.check("/disk.000", &same, &partial);
    let other = "Range: bytes=3-5\r\nIf-Range: \"x\"\r\n";
    server.check("/disk.000", other, &["200 OK", "0123456789"]);
}

#[test]
fn ranges() {
    let server = Server::start("ranges");
    for (range, expected) in [
        ("bytes=0-0", "bytes 0-0/10\r\n\r\n0"),
        ("bytes=8-", "bytes 8-9/10\r\n\r\n89"),
        ("bytes=-3", "bytes 7-9/10\r\n\r\n789"),
        ("bytes=-30", "bytes 0-9/10\r\n\r\n0123456789"),
        ("bytes=5-99", "bytes 5-9/10\r\n\r\n56789"),
        ("bytes=10-", "416 Range"),
        ("bytes=-0", "416 Range"),
        ("bytes=5-4", "200 OK"),
        ("bytes=0-1,3-4", "200 OK"),
        ("bytes=99999999999999999999-", "200 OK"),
        ("lines=1-2", "200 OK"),
    ] {
        server.check("/disk.000", &format!("Range: {range}\r\n"), &[expected]);
    }
    let answer = server.raw("HEAD /disk.000 HTTP/1.0\r\n\r\n");
    assert!(answer.contains("Content-Length: 10") && answer.ends_with("\r\n\r\n"));
}

#[test]
fn nothing_outside_is_read() {
    let server = Server::start("outside");
    for path in [
        "/../secret",
        "/sub/../../secret",
        "/%2e%2e/secret",
        "/..%2fsecret",
        "/sub/%2e%2e/%2e%2e/secret",
        "/link",
        "/.hidden",
        "//../secret",
        "/..\\secret",
        "/%00",
        "/%ff",
        "/%",
        "/%zz",
        "/nothing",
        "/sub",
    ] {
        server.check(path, "", &["404 Not Found"]);
    }
    for (request, expected) in [
        ("POST / HTTP/1.1\r\nConnection: close\r\n\r\n", "405"),
        ("GET\r\n\r\n", "400"),
        ("GET x HTTP/1.1\r\n\r\n", "400"),
        ("GET / SPDY\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nno header\r\n\r\n", "400"),
        ("\r\n\r\n", "400"),
    ] {
        let answer = server.raw(request);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {expected}")),
            "{request}: {answer}"
        );
    }
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(9000));
    assert!(server.raw(&long).is_empty() || server.raw(&long).contains("431"));
    // One connection, several requests.
    let two = "GET /disk.000 HTTP/1.1\r\n\r\nGET /disk.000 HTTP/1.1\r\nConnection: close\r\n\r\n";
    assert_eq!(server.raw(two).matches("0123456789").count(), 2);
}
