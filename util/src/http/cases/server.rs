//! A server of HTTP for tests: files in memory, each with its way to behave.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::{FILE_BYTES, byte_at};

/// How a file is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Whole or in parts.
    Parts,
    /// Whole, whatever was asked for.
    Whole,
    /// So many more answers end in the middle.
    Cut(u32),
    /// So many more answers have this status.
    Status(u16, u32),
    Slow(Duration),
    /// Is elsewhere.
    Moved(String),
}

/// A file; `tag` is its ETag.
#[derive(Clone, Debug)]
pub struct Served {
    pub bytes: Arc<Vec<u8>>,
    pub tag: Option<String>,
    pub behaviour: Behaviour,
}

#[derive(Default)]
struct Shared {
    files: Mutex<HashMap<String, Served>>,
    /// Each request: method, path and range.
    requests: Mutex<Vec<String>>,
}

/// It listens on loopback for as long as the process lives.
#[derive(Clone)]
pub struct Server {
    shared: Arc<Shared>,
    url: String,
}

impl Server {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has ports");
        let address = listener.local_addr().expect("it listens");
        let shared = Arc::new(Shared::default());
        let all = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = all.clone();
                std::thread::spawn(move || serve(&shared, stream));
            }
        });
        let url = format!("http://{address}");
        Self { shared, url }
    }

    /// What the checks of requests need.
    pub fn start_with_examples() -> Self {
        let server = Self::start();
        let bytes: Vec<u8> = (0..FILE_BYTES).map(byte_at).collect();
        let forever = u32::MAX;
        for (name, behaviour) in [
            ("file", Behaviour::Parts),
            ("whole", Behaviour::Whole),
            ("cut", Behaviour::Cut(forever)),
            ("broken", Behaviour::Status(500, forever)),
            ("slow", Behaviour::Slow(Duration::from_millis(1500))),
            ("moved", Behaviour::Moved("/file".into())),
        ] {
            server.put(name, bytes.clone(), "one", behaviour);
        }
        server
    }

    pub fn put(&self, name: &str, bytes: Vec<u8>, tag: &str, behaviour: Behaviour) {
        let file = Served {
            bytes: Arc::new(bytes),
            tag: (!tag.is_empty()).then(|| tag.into()),
            behaviour,
        };
        let path = format!("/{name}");
        self.shared.files.lock().insert(path, file);
    }

    /// Changes a file that is there.
    pub fn change(&self, name: &str, change: impl FnOnce(&mut Served)) {
        let mut files = self.shared.files.lock();
        change(files.get_mut(&format!("/{name}")).expect("it was put"));
    }

    pub fn url(&self, name: &str) -> String {
        format!("{}/{name}", self.url)
    }

    /// Where it is.
    pub fn leak(self) -> String {
        self.url
    }

    /// The requests since the last call.
    pub fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut *self.shared.requests.lock())
    }
}

fn serve(shared: &Shared, mut stream: TcpStream) {
    // Head and body are two writes: let the second not wait for the first one's acknowledgement.
    let _ = stream.set_nodelay(true);
    let Ok(reading) = stream.try_clone() else {
        return;
    };
    let mut lines = BufReader::new(reading).lines();
    while let Some(Ok(first)) = lines.next() {
        let mut range = None;
        while let Some(Ok(line)) = lines.next() {
            if line.is_empty() {
                break;
            }
            let line = line.to_lowercase();
            range = range.or(line.strip_prefix("range: bytes=").map(String::from));
        }
        let shown = range.as_deref().unwrap_or("-");
        let path = first.rsplit_once(' ').map_or("", |(path, _)| path);
        shared.requests.lock().push(format!("{path} {shown}"));
        if answer(shared, &mut stream, path, range.as_deref()).is_err() {
            return;
        }
    }
}

/// An error ends the connection.
fn answer(
    shared: &Shared,
    stream: &mut TcpStream,
    request: &str,
    range: Option<&str>,
) -> std::io::Result<()> {
    let (method, path) = request.split_once(' ').unwrap_or_default();
    let Some((file, behaviour)) = take_turn(shared, path) else {
        return empty(stream, 404, "");
    };
    match &behaviour {
        Behaviour::Status(status, _) => return empty(stream, *status, ""),
        Behaviour::Moved(place) => return empty(stream, 302, &format!("location: {place}\r\n")),
        Behaviour::Slow(time) => std::thread::sleep(*time),
        _ => (),
    }
    let total = file.bytes.len();
    let asked = range.filter(|_| behaviour != Behaviour::Whole);
    let asked = asked.and_then(|range| range.split_once('-'));
    let (first, end) = match asked {
        None => (0, total),
        Some((first, last)) => {
            let first = first.parse().unwrap_or(usize::MAX);
            let last: usize = last.parse().unwrap_or(total);
            (first, last.saturating_add(1).min(total))
        }
    };
    let Some(body) = file.bytes.get(first..end).filter(|_| first < total) else {
        return empty(stream, 416, "");
    };
    let mut head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n", body.len());
    if asked.is_some() {
        head = head.replace("200 OK", "206 Partial Content");
        head += &format!("content-range: bytes {first}-{}/{total}\r\n", end - 1);
    }
    if let Some(tag) = &file.tag {
        head += &format!("etag: \"{tag}\"\r\n");
    }
    stream.write_all((head + "\r\n").as_bytes())?;
    match (method, behaviour) {
        ("HEAD", _) => Ok(()),
        (_, Behaviour::Cut(_)) => {
            stream.write_all(&body[..body.len() / 2])?;
            stream.shutdown(std::net::Shutdown::Both)?;
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        _ => stream.write_all(body),
    }
}

/// A file as it is served now. What it does so many times it has then done once more.
fn take_turn(shared: &Shared, path: &str) -> Option<(Served, Behaviour)> {
    let mut files = shared.files.lock();
    let file = files.get_mut(path)?;
    let behaviour = match &mut file.behaviour {
        Behaviour::Cut(0) | Behaviour::Status(_, 0) => Behaviour::Parts,
        Behaviour::Cut(times) | Behaviour::Status(_, times) => {
            *times -= 1;
            file.behaviour.clone()
        }
        other => other.clone(),
    };
    Some((file.clone(), behaviour))
}

fn empty(stream: &mut TcpStream, status: u16, headers: &str) -> std::io::Result<()> {
    let head = format!("HTTP/1.1 {status} Told\r\ncontent-length: 0\r\n{headers}\r\n");
    stream.write_all(head.as_bytes())
}
