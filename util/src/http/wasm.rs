//! Under Node and in pages: the JavaScript of `wasm.c`.
#![expect(unsafe_code, reason = "calls C functions that wrap JavaScript")]

use super::{Request, Response, range_text};

unsafe extern "C" {
    /// Asks, and keeps the answer for the calling thread: its length, or -1 and a sentence to take.
    fn tinamou_http_ask(
        url: *const u8,
        url_length: u32,
        range: *const u8,
        range_length: u32,
        head: i32,
        timeout_ms: f64,
        limit: f64,
    ) -> f64;
    /// Copies what is kept, which is then kept no more.
    fn tinamou_http_take(to: *mut u8, length: u32);
}

pub fn send(request: &Request<'_>) -> Result<Response, String> {
    let (url, range) = (request.url, request.range.as_ref());
    let range = range.map(range_text).unwrap_or_default();
    // SAFETY: JavaScript reads the bytes of the two strings, which live until it returns.
    let length = unsafe {
        tinamou_http_ask(
            url.as_ptr(),
            url.len() as u32,
            range.as_ptr(),
            range.len() as u32,
            request.head.into(),
            request.timeout.as_secs_f64() * 1e3,
            request.limit as f64,
        )
    };
    let failed = length < 0.0;
    // A failure's sentence has the negative of its length.
    let length = length.abs() as u32;
    let mut answer = vec![0; length as usize];
    // SAFETY: JavaScript writes `length` bytes, which `answer` has.
    unsafe { tinamou_http_take(answer.as_mut_ptr(), length) };
    match failed {
        true => Err(String::from_utf8_lossy(&answer).into_owned()),
        false => parse(answer).ok_or_else(|| "the answer makes no sense".into()),
    }
}

/// The status, a line for each header, an empty line, the body.
fn parse(mut answer: Vec<u8>) -> Option<Response> {
    let end = answer.windows(2).position(|pair| pair == b"\n\n")?;
    let body = answer.split_off(end + 2);
    let text = String::from_utf8_lossy(&answer);
    let mut lines = text.lines();
    let status = lines.next()?.trim().parse().ok()?;
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers
        .map(|(name, value)| (name.trim().to_lowercase(), value.trim().to_string()))
        .collect();
    Some(Response {
        status,
        headers,
        body,
    })
}
