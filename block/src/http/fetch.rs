//! The file on the server: one request after the other, on a worker.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use include::Errno;
use util::http::{PARTIAL, Request, Response, send};

use super::cache::BLOCK;
use crate::options::HttpOptions;

/// How often a request that fails is made again, and how long to wait before: each time longer.
const RETRIES: u32 = 3;
const RETRY_AFTER: Duration = Duration::from_millis(200);

pub struct Remote {
    pub url: String,
    pub len: u64,
    pub tag: Option<String>,
    timeout: Duration,
    /// The file is not what it was: nothing is read any more.
    changed: AtomicBool,
}

/// Why there are no bytes.
enum Failure {
    /// Asking again may help.
    Passing(String),
    Final(String),
}

impl Failure {
    fn reason(self) -> String {
        match self {
            Self::Passing(reason) | Self::Final(reason) => reason,
        }
    }
}

impl Remote {
    /// The file and its first block.
    pub fn open(options: &HttpOptions) -> Result<(Self, Vec<u8>), String> {
        let mut remote = Self {
            url: options.url.clone(),
            len: 0,
            tag: None,
            timeout: options.timeout,
            changed: AtomicBool::new(false),
        };
        let first = remote.retrying(|| remote.get(0..BLOCK));
        let answer = first.map_err(Failure::reason)?;
        remote.tag = answer.tag().map(String::from);
        remote.len = match answer.content_range() {
            Some((_, Some(total))) => total,
            // A page does not see all headers of other origins.
            _ => remote
                .retrying(|| remote.length())
                .map_err(Failure::reason)?,
        };
        // Offsets are those of files, and whole sectors of them.
        if i64::try_from(remote.len).is_err() {
            return Err("it is too long".into());
        }
        match answer.body.len() as u64 == remote.len.min(BLOCK) {
            true => Ok((remote, answer.body)),
            false => Err("the server sends another part than it was asked for".into()),
        }
    }

    fn request(&self) -> Request<'_> {
        Request {
            url: &self.url,
            head: false,
            range: None,
            timeout: self.timeout,
            limit: 0,
        }
    }

    /// The answer to a request for a part, which is one.
    fn get(&self, range: Range<u64>) -> Result<Response, Failure> {
        let count = range.end.saturating_sub(range.start);
        let answer = send(&Request {
            range: Some(range.clone()),
            limit: usize::try_from(count).unwrap_or(usize::MAX),
            ..self.request()
        });
        let answer = answer.map_err(Failure::Passing)?;
        match answer.status {
            PARTIAL => (),
            200 => return Err(Failure::Final(NO_PARTS.into())),
            416 => return Err(Failure::Final("it is empty, or shorter than it was".into())),
            status => return Err(bad_status(status)),
        }
        match answer.content_range() {
            Some((given, _)) if given.start != range.start || given.end > range.end => {
                let reason = "the server sends another part than it was asked for";
                Err(Failure::Final(reason.into()))
            }
            _ => Ok(answer),
        }
    }

    /// The length that the headers say.
    fn length(&self) -> Result<u64, Failure> {
        let head = Request {
            head: true,
            ..self.request()
        };
        let answer = send(&head).map_err(Failure::Passing)?;
        match answer.length() {
            _ if answer.status != 200 => Err(bad_status(answer.status)),
            Some(length) => Ok(length),
            None => Err(Failure::Final(
                "the server does not say how long it is".into(),
            )),
        }
    }

    fn retrying<T>(&self, work: impl Fn() -> Result<T, Failure>) -> Result<T, Failure> {
        for retry in 1..=RETRIES {
            match work() {
                Err(Failure::Passing(reason)) => {
                    log::debug!("'{}': {reason}; trying again", self.url);
                    std::thread::sleep(RETRY_AFTER * retry);
                }
                other => return other,
            }
        }
        work()
    }

    /// The bytes of some blocks.
    pub fn fetch(&self, run: &Range<u64>) -> Result<Vec<u8>, Errno> {
        if self.changed.load(Ordering::Relaxed) {
            return Err(Errno::EIO);
        }
        let start = run.start.saturating_mul(BLOCK);
        let end = run.end.saturating_mul(BLOCK).min(self.len);
        match self.retrying(|| self.get_checked(start..end)) {
            Ok(bytes) => Ok(bytes),
            Err(failure) => {
                let reason = failure.reason();
                if !self.changed.load(Ordering::Relaxed) {
                    log::error!("cannot read '{}': {reason}", self.url);
                }
                Err(Errno::EIO)
            }
        }
    }

    /// Bytes that are of the version that was opened.
    fn get_checked(&self, range: Range<u64>) -> Result<Vec<u8>, Failure> {
        let count = range.end - range.start;
        let answer = self.get(range)?;
        let total = answer.content_range().and_then(|(_, total)| total);
        if answer.tag() != self.tag.as_deref() || total.is_some_and(|total| total != self.len) {
            if !self.changed.swap(true, Ordering::Relaxed) {
                let url = &self.url;
                log::error!("'{url}' has changed on its server: it is not read any more");
            }
            return Err(Failure::Final("it has changed".into()));
        }
        match answer.body.len() as u64 == count {
            true => Ok(answer.body),
            false => Err(Failure::Passing("the answer is too short".into())),
        }
    }
}

const NO_PARTS: &str = "its server gives whole files only, no ranges of bytes";

/// Servers recover; files that are not there stay away.
fn bad_status(status: u16) -> Failure {
    let reason = match status {
        401 | 403 => format!("the server refuses it (status {status})"),
        404 | 410 => format!("the server does not have it (status {status})"),
        _ => format!("the server answers with status {status}"),
    };
    match status {
        408 | 429 | 500..=599 => Failure::Passing(reason),
        _ => Failure::Final(reason),
    }
}
