//! `launcher serve`: a small static server for pages that need isolation. HTTP/1.1, files of one
//! folder, for browsers of this machine unless another address is given.
//!
//! **What must hold:** nothing outside of the folder is ever read, through whatever path or link; a
//! client costs a thread and a few KiB, and only for so long.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use crate::cpio::gzip;

#[derive(clap::Args, Debug)]
pub struct Options {
    /// The folder that convert made
    pub folder: PathBuf,
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1")]
    pub address: String,
    #[arg(short, long, default_value_t = 8080)]
    pub port: u16,
    /// A line on stderr for each answer: method, path, status, bytes of the file
    #[arg(long)]
    pub verbose: bool,
}

const CLIENTS_MAX: usize = 128;
const LINE_MAX: u64 = 8 << 10;
const LINES_MAX: usize = 100;
const TIMEOUT: Duration = Duration::from_secs(30);
/// Encodings by the end of the name of a file that is packed already, the best first.
const PACKED: &[(&str, &str)] = &[("br", "br"), ("gz", "gzip")];
/// Gzip that is made for the answer, as an encoding here.
const NOW: &str = "now";
/// What is packed for each answer anew.
const PACKED_MAX: u64 = 4 << 20;

/// Types by the end of a name, and whether they are worth packing.
const TYPES: &[(&str, &str, bool)] = &[
    ("html", "text/html; charset=utf-8", true),
    ("js", "text/javascript; charset=utf-8", true),
    ("mjs", "text/javascript; charset=utf-8", true),
    ("css", "text/css; charset=utf-8", true),
    ("json", "application/json", true),
    ("map", "application/json", true),
    ("wasm", "application/wasm", true),
    ("svg", "image/svg+xml", true),
    ("txt", "text/plain; charset=utf-8", true),
    ("png", "image/png", false),
    ("ico", "image/x-icon", false),
    ("woff2", "font/woff2", false),
    ("webmanifest", "application/manifest+json", true),
];

/// On every answer: isolation for shared memory, and nothing that guesses types.
const HEADERS: &str = "Cross-Origin-Opener-Policy: same-origin\r\n\
    Cross-Origin-Embedder-Policy: require-corp\r\n\
    Cross-Origin-Resource-Policy: same-origin\r\n\
    X-Content-Type-Options: nosniff\r\n\
    Cache-Control: no-cache\r\n\
    Accept-Ranges: bytes\r\n";

pub fn serve(options: &Options) -> Result<(), String> {
    let folder = &options.folder;
    let root = fs::canonicalize(folder);
    let root = root.map_err(|error| format!("'{}': {error}", folder.display()))?;
    let place = (options.address.as_str(), options.port);
    let listener = TcpListener::bind(place)
        .map_err(|error| format!("{}:{}: {error}", options.address, options.port))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    println!("http://{address}/");
    let _ = io::stdout().flush();
    let verbose = options.verbose;
    let (root, clients) = (Arc::new(root), Arc::new(AtomicUsize::new(0)));
    for stream in listener.incoming().flatten() {
        let (root, clients) = (root.clone(), clients.clone());
        if clients.fetch_add(1, Ordering::Relaxed) >= CLIENTS_MAX {
            clients.fetch_sub(1, Ordering::Relaxed);
            continue;
        }
        std::thread::spawn(move || {
            // A client that goes away is no error of anybody.
            let _ = client(&root, stream, verbose);
            clients.fetch_sub(1, Ordering::Relaxed);
        });
    }
    Ok(())
}

/// What is used of a request.
#[derive(Default)]
struct Request {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    keep: bool,
}

impl Request {
    fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

fn client(root: &Path, stream: TcpStream, verbose: bool) -> io::Result<()> {
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    loop {
        let request = match read_request(&mut reader)? {
            Ok(Some(request)) => request,
            Ok(None) => return Ok(()),
            Err(status) => return plain(&mut writer, status, false, true),
        };
        let (status, bytes) = answer(root, &mut writer, &request)?;
        if verbose {
            let path = request.path.escape_default();
            eprintln!(
                "{} {path} {status} {bytes}",
                request.method.escape_default()
            );
        }
        if !request.keep {
            return Ok(());
        }
    }
}

/// A request, nothing at the end of the connection, or the status to refuse it with.
fn read_request(reader: &mut impl BufRead) -> io::Result<Result<Option<Request>, &'static str>> {
    let mut lines: Vec<String> = Vec::new();
    loop {
        let mut line = Vec::new();
        let count = reader.take(LINE_MAX).read_until(b'\n', &mut line)?;
        if count == 0 && lines.is_empty() {
            return Ok(Ok(None));
        }
        if line.last() != Some(&b'\n') || lines.len() > LINES_MAX {
            return Ok(Err("431 Request Header Fields Too Large"));
        }
        let line = String::from_utf8_lossy(&line).trim_end().to_string();
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let bad = Ok(Err("400 Bad Request"));
    let Some((first, rest)) = lines.split_first() else {
        return bad;
    };
    let [method, path, version] = first.split(' ').collect::<Vec<_>>()[..] else {
        return bad;
    };
    if !path.starts_with('/') || !version.starts_with("HTTP/1.") {
        return bad;
    }
    let mut request = Request {
        method: method.into(),
        path: path.into(),
        ..Request::default()
    };
    for line in rest {
        let Some((name, value)) = line.split_once(':') else {
            return bad;
        };
        let header = (name.to_ascii_lowercase(), value.trim().to_string());
        request.headers.push(header);
    }
    // Nothing here takes a body: what follows one could not be told from it.
    let empty = request.header("content-length").unwrap_or("0") == "0"
        && request.header("transfer-encoding").is_none();
    let close = request
        .header("connection")
        .is_some_and(|c| c.eq_ignore_ascii_case("close"));
    request.keep = empty && !close && version == "HTTP/1.1";
    Ok(Ok(Some(request)))
}

/// A path of a request as a file of the folder.
fn find(root: &Path, path: &str) -> Option<PathBuf> {
    let path = path.split(['?', '#']).next()?;
    let decoded = decode(path)?;
    let mut file = root.to_path_buf();
    for name in decoded.split('/').filter(|name| !name.is_empty()) {
        if name.starts_with('.') || name.contains(['\\', '\0']) {
            return None;
        }
        file.push(name);
    }
    if file.is_dir() {
        file.push("index.html");
    }
    // Whatever links there are, the file itself is inside.
    let file = fs::canonicalize(file).ok()?;
    (file.starts_with(root) && file.is_file()).then_some(file)
}

fn decode(path: &str) -> Option<String> {
    let bytes = path.as_bytes();
    let (mut out, mut at) = (Vec::new(), 0);
    while let Some(byte) = bytes.get(at) {
        if *byte == b'%' {
            let digits = path.get(at + 1..at + 3)?;
            out.push(u8::from_str_radix(digits, 16).ok()?);
            at += 3;
        } else {
            out.push(*byte);
            at += 1;
        }
    }
    String::from_utf8(out).ok()
}

/// `bytes=` of a file of `size` bytes: start and length. An error is a range that is not there.
fn parse_range(text: &str, size: u64) -> Result<Option<(u64, u64)>, ()> {
    let Some(range) = text.strip_prefix("bytes=") else {
        return Ok(None);
    };
    // Several ranges may be answered by the whole file.
    let Some((from, to)) = range.split_once('-').filter(|_| !range.contains(',')) else {
        return Ok(None);
    };
    let number = |text: &str| text.trim().parse::<u64>().ok();
    match (number(from), number(to), from.trim().is_empty()) {
        (None, Some(0), true) => Err(()),
        (None, Some(last), true) => {
            let count = last.min(size);
            if count == 0 {
                Err(())
            } else {
                Ok(Some((size - count, count)))
            }
        }
        (Some(from), _, _) if from >= size => Err(()),
        (Some(from), Some(to), _) if to >= from => Ok(Some((from, to.min(size - 1) - from + 1))),
        (Some(from), None, _) if to.trim().is_empty() => Ok(Some((from, size - from))),
        _ => Ok(None),
    }
}

fn plain(writer: &mut impl Write, status: &str, keep: bool, body: bool) -> io::Result<()> {
    let length = status.len() + 1;
    let connection = if keep { "keep-alive" } else { "close" };
    let text = if body {
        format!("{status}\n")
    } else {
        String::new()
    };
    let head = format!(
        "HTTP/1.1 {status}\r\n{HEADERS}Content-Type: text/plain\r\n\
         Content-Length: {length}\r\nConnection: {connection}\r\n\r\n{text}"
    );
    writer.write_all(head.as_bytes())
}

/// A file, and how its bytes are packed.
struct Found {
    file: File,
    size: u64,
    tag: String,
    encoding: &'static str,
}

/// The file that answers: one that is packed already if there is such a one, or the file itself, to
/// be packed now if it is small.
fn choose(root: &Path, path: &Path, accepted: &str, packs: bool) -> io::Result<Found> {
    let of = |path: &Path, encoding: &'static str| -> io::Result<Found> {
        let file = File::open(path)?;
        let meta = file.metadata()?;
        let since = meta.modified()?.duration_since(UNIX_EPOCH);
        let (size, time) = (meta.len(), since.unwrap_or_default().as_nanos());
        let mark = if encoding.is_empty() { "" } else { "-" };
        let tag = format!("\"{size:x}-{time:x}{mark}{encoding}\"");
        Ok(Found {
            file,
            size,
            tag,
            encoding,
        })
    };
    let plain = of(path, "")?;
    if !packs {
        return Ok(plain);
    }
    for (end, encoding) in PACKED.iter().filter(|row| accepts(accepted, row.1)) {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{end}"));
        let known = fs::canonicalize(name).ok();
        let known = known.filter(|name| name.starts_with(root) && name.is_file());
        // One that is older is of an older file.
        let fresh = |packed: &Path| {
            let time = |path: &Path| fs::metadata(path).and_then(|meta| meta.modified()).ok();
            time(packed) >= time(path)
        };
        if let Some(packed) = known.filter(|packed| fresh(packed)) {
            return of(&packed, encoding);
        }
    }
    match plain.size <= PACKED_MAX && accepts(accepted, "gzip") {
        true => Ok(Found {
            encoding: NOW,
            ..of(path, "gzip")?
        }),
        false => Ok(plain),
    }
}

/// Status and bytes of the body.
type Sent = io::Result<(&'static str, u64)>;

fn answer(root: &Path, writer: &mut impl Write, request: &Request) -> Sent {
    let head_only = request.method == "HEAD";
    let mut refuse = |status| {
        plain(writer, status, request.keep, !head_only)?;
        Ok((status, 0))
    };
    if request.method != "GET" && !head_only {
        return refuse("405 Method Not Allowed");
    }
    let Some(path) = find(root, &request.path) else {
        return refuse("404 Not Found");
    };
    let name = path.extension().unwrap_or_default().to_string_lossy();
    let row = TYPES.iter().find(|row| row.0 == name);
    let (kind, packs) = row.map_or(("application/octet-stream", false), |row| (row.1, row.2));
    let accepted = request.header("accept-encoding").unwrap_or_default();
    let Ok(found) = choose(root, &path, accepted, packs) else {
        return refuse("404 Not Found");
    };
    let connection = if request.keep { "keep-alive" } else { "close" };
    let vary = if packs {
        "Vary: Accept-Encoding\r\n"
    } else {
        ""
    };
    let encoding = match found.encoding {
        "" => String::new(),
        NOW => "Content-Encoding: gzip\r\n".into(),
        other => format!("Content-Encoding: {other}\r\n"),
    };
    let (size, tag) = (found.size, &found.tag);
    let common = format!(
        "{HEADERS}{vary}{encoding}Content-Type: {kind}\r\nETag: {tag}\r\n\
         Connection: {connection}\r\n"
    );
    let known = request.header("if-none-match");
    if known.is_some_and(|tags| tags.contains(tag) || tags == "*") {
        write!(writer, "HTTP/1.1 304 Not Modified\r\n{common}\r\n")?;
        return Ok(("304 Not Modified", 0));
    }
    let same = request.header("if-range").is_none_or(|known| known == tag);
    let range = request
        .header("range")
        .filter(|_| same && encoding.is_empty());
    let Ok(range) = range.map_or(Ok(None), |text| parse_range(text, size)) else {
        let range = format!("Content-Range: bytes */{size}\r\nContent-Length: 0\r\n");
        let status = "416 Range Not Satisfiable";
        write!(writer, "HTTP/1.1 {status}\r\n{common}{range}\r\n")?;
        return Ok((status, 0));
    };
    match found.encoding == NOW {
        true => send_packed(writer, found.file, &common, head_only),
        false => send(writer, found.file, &common, (size, range), head_only),
    }
}

fn send_packed(writer: &mut impl Write, file: File, common: &str, head_only: bool) -> Sent {
    let mut bytes = Vec::new();
    file.take(PACKED_MAX).read_to_end(&mut bytes)?;
    let bytes = gzip(&bytes);
    let length = format!("Content-Length: {}\r\n", bytes.len());
    write!(writer, "HTTP/1.1 200 OK\r\n{common}{length}\r\n")?;
    let body = if head_only { &[][..] } else { &bytes };
    writer.write_all(body)?;
    Ok(("200 OK", body.len() as u64))
}

/// The file or a range of it.
fn send(
    writer: &mut impl Write,
    mut file: File,
    common: &str,
    (size, range): (u64, Option<(u64, u64)>),
    head_only: bool,
) -> Sent {
    let (status, from, count) = match range {
        Some((from, count)) => ("206 Partial Content", from, count),
        None => ("200 OK", 0, size),
    };
    let mut length = format!("Content-Length: {count}\r\n");
    if range.is_some() {
        let to = from + count - 1;
        length.push_str(&format!("Content-Range: bytes {from}-{to}/{size}\r\n"));
    }
    write!(writer, "HTTP/1.1 {status}\r\n{common}{length}\r\n")?;
    if head_only {
        return Ok((status, 0));
    }
    file.seek(SeekFrom::Start(from))?;
    let copied = io::copy(&mut file.take(count), writer)?;
    match copied == count {
        true => Ok((status, count)),
        // It became shorter: only the end of the connection can say so.
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Whether a list of encodings has one, and not with `q=0`.
fn accepts(list: &str, name: &str) -> bool {
    list.split(',').any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let known = parts
            .next()
            .is_some_and(|part| part.eq_ignore_ascii_case(name));
        known && !parts.any(|part| part == "q=0" || part == "q=0.0")
    })
}
