//! Natively: crate `ureq`, whose connections are kept for the next request.

use std::io::Read;
use std::sync::LazyLock;

use ureq::Agent;
use ureq::http::HeaderMap;

use super::{PARTIAL, Request, Response, range_text};

static AGENT: LazyLock<Agent> = LazyLock::new(|| {
    let config = Agent::config_builder().http_status_as_error(false);
    config.build().into()
});

pub fn send(request: &Request<'_>) -> Result<Response, String> {
    if request.url.starts_with("https:") {
        return Err(
            "https is there under Node and in pages only, not in the native program".into(),
        );
    }
    let asked = match request.head {
        true => AGENT.head(request.url),
        false => AGENT.get(request.url),
    };
    // What is compressed on its way has no ranges of the file's bytes.
    let mut asked = asked.header("accept-encoding", "identity");
    if let Some(range) = &request.range {
        asked = asked.header("range", range_text(range));
    }
    let config = asked.config().timeout_global(Some(request.timeout));
    let answer = config.build().call().map_err(|error| error.to_string())?;
    let (parts, body) = answer.into_parts();
    let status = parts.status.as_u16();
    let mut bytes = Vec::new();
    let wanted = if request.range.is_some() {
        PARTIAL
    } else {
        200
    };
    if status == wanted && !request.head {
        // One more, so that a longer body is seen to be longer.
        let limit = request.limit as u64 + 1;
        let mut body = body.into_reader().take(limit);
        body.read_to_end(&mut bytes)
            .map_err(|error| error.to_string())?;
    }
    Ok(Response {
        status,
        headers: headers(&parts.headers),
        body: bytes,
    })
}

fn headers(map: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    map.iter()
        .map(|(name, value)| (name.as_str().to_lowercase(), text(value.as_bytes())))
        .collect()
}
