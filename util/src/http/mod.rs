//! Requests of HTTP that block, for images and trees that are read over it. The same API on three
//! hosts: natively crate `ureq` (http only), under Node a helper thread of the calling thread that
//! has an event loop, in a page a synchronous XMLHttpRequest of the calling worker.
//!
//! What must hold: a call blocks its thread, so it belongs on a worker (`util::thread_pool`) and
//! never on a page's first thread. What a server sends is bounded: of a body at most `limit` bytes
//! are kept, and none of one that is not what was asked for.

#[cfg(not(target_os = "emscripten"))]
#[path = "native.rs"]
mod imp;
#[cfg(target_os = "emscripten")]
#[path = "wasm.rs"]
mod imp;
mod response;

#[cfg(any(test, feature = "cases"))]
pub mod cases;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::time::Duration;

pub use response::Response;

/// The status of an answer that is a part of a file.
pub const PARTIAL: u16 = 206;

/// What to ask a server for.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Absolute, `http:` or `https:`; a fragment is not sent.
    pub url: &'a str,
    /// HEAD: the headers alone.
    pub head: bool,
    /// These bytes alone. A server may answer with the whole file and status 200, of which no byte
    /// is given.
    pub range: Option<Range<u64>>,
    /// For the whole of the request.
    pub timeout: Duration,
    /// Longer bodies are an error.
    pub limit: usize,
}

/// Whether a name is a URL that requests can have.
pub fn is_url(name: &str) -> bool {
    name.starts_with("http://") || name.starts_with("https://")
}

/// Asks a server, and follows where it points. Whatever status it answers with is an answer; errors
/// are parts of a sentence, without the URL.
pub fn send(request: &Request<'_>) -> Result<Response, String> {
    let url = request.url.split('#').next().unwrap_or_default();
    if !is_url(url) {
        return Err("a URL begins with http:// or https://".into());
    }
    if url.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
        return Err("a URL has no spaces and control characters".into());
    }
    let response = imp::send(&Request {
        url,
        ..request.clone()
    })?;
    match response.body.len() > request.limit {
        true => Err("the answer is too long".into()),
        false => Ok(response),
    }
}

/// As the header `Range` has it.
fn range_text(range: &Range<u64>) -> String {
    format!("bytes={}-{}", range.start, range.end.saturating_sub(1))
}
