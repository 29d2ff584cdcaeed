//! What a server answers, and what its headers mean.

use std::ops::Range;

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    /// Names in small letters. A page sees of other origins' answers only what they expose.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        let row = self.headers.iter().find(|(it, _)| it == name);
        row.map(|(_, value)| value.as_str())
    }

    /// What tells this version of the file from others: ETag, or else the time of its last change.
    pub fn tag(&self) -> Option<&str> {
        self.header("etag").or_else(|| self.header("last-modified"))
    }

    /// The length of the file, of a whole answer.
    pub fn length(&self) -> Option<u64> {
        self.header("content-length")?.trim().parse().ok()
    }

    /// Which bytes of how many (if known) a partial answer has, as `Content-Range` says it.
    pub fn content_range(&self) -> Option<(Range<u64>, Option<u64>)> {
        let text = self.header("content-range")?.trim();
        let (range, total) = text.strip_prefix("bytes")?.trim().split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let (first, last): (u64, u64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        let end = last.checked_add(1).filter(|end| first < *end)?;
        let total = match total.trim() {
            "*" => None,
            total => Some(total.parse().ok().filter(|total| end <= *total)?),
        };
        Some((first..end, total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let check = |text: &str, expected| {
            let headers = vec![("content-range".into(), text.into())];
            let response = Response {
                headers,
                ..Response::default()
            };
            assert_eq!(response.content_range(), expected, "{text}");
        };
        check("bytes 0-9/10", Some((0..10, Some(10))));
        check("bytes 5-9/*", Some((5..10, None)));
        check("bytes 9-5/10", None);
        check("bytes 0-10/10", None);
        check("bytes 0-18446744073709551615/*", None);
        check("bytes */10", None);
        check("lines 0-9/10", None);
        check("", None);
    }
}
