//! `-drive` and `-blockdev`: two notations of the same tree of options.

use std::time::Duration;

use util::cutils::parse_size;
use util::http::is_url;
use util::keyval::{KeyVal, parse_switch};

use crate::node::SECTOR;
use crate::protocol::OPFS;

/// A node and what is below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeOptions {
    File {
        name: String,
        /// Lock the image against other users.
        locking: bool,
    },
    Null {
        size: u64,
    },
    Raw {
        below: Box<NodeOptions>,
        offset: u64,
        size: Option<u64>,
    },
    Qcow2 {
        below: Box<NodeOptions>,
    },
    Chunked {
        below: Box<NodeOptions>,
    },
    /// `below`, whose writes are written down in `log`.
    LogWrites {
        below: Box<NodeOptions>,
        log: Box<NodeOptions>,
        sector: u64,
    },
    /// A file on a server.
    Http(HttpOptions),
    /// What is written goes to a qcow2 image in a file, which is made at first use.
    Overlay {
        below: Box<NodeOptions>,
        file: String,
    },
    /// The image itself says what it is.
    Probe {
        below: Box<NodeOptions>,
    },
    /// Another `-blockdev`, by its name.
    Reference(String),
}

/// `http` and `https`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpOptions {
    pub url: String,
    /// Bytes that are read beyond what is asked for.
    pub readahead: u64,
    /// For one request.
    pub timeout: Duration,
}

/// `cache=` (QEMU's table of cache modes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cache {
    /// A write is done before it is on stable storage; the guest can flush.
    pub writeback: bool,
    /// Past the host's cache. Here the host's cache is used all the same: what that changes is
    /// where the memory goes, not what is stable when.
    pub direct: bool,
    /// Flushes are not passed on to the host (`Node::ignore_flushes`).
    pub no_flush: bool,
}

const CACHE_MODES: &[(&str, Cache)] = &[
    ("writeback", cache(true, false, false)),
    ("none", cache(true, true, false)),
    ("off", cache(true, true, false)),
    ("writethrough", cache(false, false, false)),
    ("directsync", cache(false, true, false)),
    ("unsafe", cache(true, false, true)),
];

const fn cache(writeback: bool, direct: bool, no_flush: bool) -> Cache {
    Cache {
        writeback,
        direct,
        no_flush,
    }
}

/// `detect-zeroes=`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DetectZeroes {
    #[default]
    Off,
    On,
    Unmap,
}

/// What a backend does besides passing on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tuning {
    pub cache: Cache,
    /// `discard=unmap`.
    pub discard: bool,
    pub detect_zeroes: DetectZeroes,
    /// `werror=ignore`: the guest does not hear of writes and flushes that failed.
    pub ignore_write_errors: bool,
    /// `rerror=ignore`: what cannot be read reads as zeros.
    pub ignore_read_errors: bool,
}

/// `-drive if=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interface {
    /// Some `-device` names the drive.
    None,
    /// The machine makes a virtio-blk device for it.
    Virtio,
    /// The machine makes one unless some `-device` names the drive.
    Default,
}

/// One `-drive`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drive {
    pub interface: Interface,
    pub id: Option<String>,
    pub node: NodeOptions,
    pub read_only: bool,
    /// What is written stays in memory.
    pub snapshot: bool,
    pub tuning: Tuning,
}

/// One `-blockdev`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blockdev {
    pub name: String,
    pub node: NodeOptions,
    pub read_only: bool,
    pub tuning: Tuning,
}

/// The formats and protocols that there are, for messages.
const FORMATS: &str = "raw, qcow2, chunked";
const DRIVERS: &str =
    "file, host_device, http, https, null-co, opfs, blklogwrites, raw, qcow2, chunked";
const NULL_SIZE_DEFAULT: u64 = 1 << 30;
/// QEMU's.
const READAHEAD_DEFAULT: u64 = 256 << 10;
/// Seconds; QEMU's 5 are few where a page's network is slow.
const TIMEOUT_DEFAULT: u64 = 20;
/// For who wants none.
const TIMEOUT_MAX: u64 = 3600;

/// Parses `-drive`. Errors are sentences without the option's name.
pub fn parse_drive(text: &str) -> Result<Drive, String> {
    let mut keyval = KeyVal::parse(text, None)?;
    let interface = interface(&mut keyval)?;
    let snapshot = keyval.take_switch("snapshot")?.unwrap_or(false);
    let read_only = one_of(&mut keyval, &["readonly", "read-only"])?.unwrap_or(false);
    let mut tuning = tuning(&mut keyval)?;
    if let Some(mode) = keyval.take("cache") {
        tuning.cache = *known("cache", &mode, CACHE_MODES)?;
    }
    cache_keys(&mut keyval, &mut tuning.cache)?;
    if let Some(writeback) = keyval.take_switch("cache.writeback")? {
        tuning.cache.writeback = writeback;
    }
    if let Some(aio) = keyval.take("aio")
        && aio != "threads"
    {
        return Err(format!(
            "'aio' can only be 'threads' yet in Tinamou, not '{aio}'"
        ));
    }
    error_actions(&mut keyval, &mut tuning)?;
    let overlay = keyval.take("overlay");
    if overlay.is_some() && snapshot {
        return Err("'overlay' keeps what is written and 'snapshot=on' does not".into());
    }
    let below = drive_node(&mut keyval)?;
    let node = match overlay {
        None => below,
        Some(file) => NodeOptions::Overlay {
            below: Box::new(below),
            file,
        },
    };
    let drive = Drive {
        interface,
        id: keyval.take("id"),
        node,
        read_only,
        snapshot,
        tuning,
    };
    keyval.finish()?;
    Ok(drive)
}

fn interface(keyval: &mut KeyVal) -> Result<Interface, String> {
    if let Some(media) = keyval.take("media")
        && media != "disk"
    {
        return Err(format!(
            "'media' can only be 'disk' yet in Tinamou, not '{media}'"
        ));
    }
    // A drive's place in the order of drives, which is all that these could change.
    for key in ["index", "bus", "unit"] {
        if keyval.take(key).is_some() {
            return Err(format!("'{key}' is not there yet in Tinamou"));
        }
    }
    match keyval.take("if").as_deref() {
        None => Ok(Interface::Default),
        Some("virtio") => Ok(Interface::Virtio),
        Some("none") => Ok(Interface::None),
        Some(other) => Err(format!(
            "'if' can only be 'virtio' or 'none' yet in Tinamou, not '{other}'"
        )),
    }
}

/// What to do about errors of the host. The machine is never stopped for them.
fn error_actions(keyval: &mut KeyVal, tuning: &mut Tuning) -> Result<(), String> {
    let ignored = [
        ("werror", &mut tuning.ignore_write_errors),
        ("rerror", &mut tuning.ignore_read_errors),
    ];
    for (key, ignored) in ignored {
        match keyval.take(key).as_deref() {
            None => (),
            Some(action @ ("report" | "ignore")) => *ignored = action == "ignore",
            Some(other) => {
                return Err(format!(
                    "'{key}' can only be 'report' or 'ignore' yet in Tinamou, not '{other}'"
                ));
            }
        }
    }
    Ok(())
}

/// `cache.direct` and `cache.no-flush`.
fn cache_keys(keyval: &mut KeyVal, cache: &mut Cache) -> Result<(), String> {
    if let Some(direct) = keyval.take_switch("cache.direct")? {
        cache.direct = direct;
    }
    if let Some(no_flush) = keyval.take_switch("cache.no-flush")? {
        cache.no_flush = no_flush;
    }
    Ok(())
}

/// `file=` and `format=`, or the dotted keys of `-blockdev`.
fn drive_node(keyval: &mut KeyVal) -> Result<NodeOptions, String> {
    let format = keyval.take("format");
    if let Some(driver) = keyval.take("driver") {
        if format.is_some() {
            return Err("'format' and 'driver' cannot both be given".into());
        }
        let file = keyval.take("file").map(file_by_name).transpose()?;
        return node_of(&driver, keyval, "", file);
    }
    let Some(file) = keyval.take("file") else {
        return match keyval.take("file.driver") {
            Some(driver) => {
                let below = node_of(&driver, keyval, "file.", None)?;
                with_format(format.as_deref(), below)
            }
            None if keyval.clone().take("file.filename").is_some() => {
                let below = node_of("file", keyval, "file.", None)?;
                with_format(format.as_deref(), below)
            }
            None => Err("it names no image: 'file' is missing".into()),
        };
    };
    let mut below = file_by_name(file)?;
    match &mut below {
        NodeOptions::File { locking, .. } => *locking = locking_of(keyval, "file.")?,
        NodeOptions::Http(http) => *http = http_options(&http.url, keyval, "file.")?,
        _ => (),
    }
    with_format(format.as_deref(), below)
}

/// What `-hda` and an image without an option say.
pub fn drive_of_file(name: &str) -> Result<Drive, String> {
    Ok(Drive {
        interface: Interface::Default,
        id: None,
        node: NodeOptions::Probe {
            below: Box::new(file_by_name(name.into())?),
        },
        read_only: false,
        snapshot: false,
        tuning: Tuning::default(),
    })
}

/// A name as `-drive file=` and `-hda` have it: some begin with a protocol.
pub fn file_by_name(name: String) -> Result<NodeOptions, String> {
    if let Some(json) = name.strip_prefix("json:") {
        let mut keyval = KeyVal::parse_json(json)?;
        let driver = keyval.take("driver");
        let driver = driver.ok_or("the parameter 'driver' is missing")?;
        let node = node_of(&driver, &mut keyval, "", None)?;
        keyval.finish()?;
        return Ok(node);
    }
    Ok(match name.as_str() {
        "null-co://" => NodeOptions::Null {
            size: NULL_SIZE_DEFAULT,
        },
        url if is_url(url) => NodeOptions::Http(HttpOptions {
            url: name,
            readahead: READAHEAD_DEFAULT,
            timeout: Duration::from_secs(TIMEOUT_DEFAULT),
        }),
        _ => NodeOptions::File {
            name: name.strip_prefix("file:").unwrap_or(&name).into(),
            locking: true,
        },
    })
}

fn with_format(format: Option<&str>, below: NodeOptions) -> Result<NodeOptions, String> {
    let below = Box::new(below);
    match format {
        None => Ok(NodeOptions::Probe { below }),
        Some("raw") => Ok(NodeOptions::Raw {
            below,
            offset: 0,
            size: None,
        }),
        Some("qcow2") => Ok(NodeOptions::Qcow2 { below }),
        Some("chunked") => Ok(NodeOptions::Chunked { below }),
        Some(other) => Err(format!(
            "there is no format '{other}' yet in Tinamou ({FORMATS})"
        )),
    }
}

/// Parses `-blockdev`. Errors are sentences without the option's name.
pub fn parse_blockdev(text: &str) -> Result<Blockdev, String> {
    let mut keyval = match text.starts_with('{') {
        true => KeyVal::parse_json(text)?,
        false => KeyVal::parse(text, None)?,
    };
    let name = keyval
        .take("node-name")
        .ok_or("the parameter 'node-name' is missing")?;
    let driver = keyval
        .take("driver")
        .ok_or("the parameter 'driver' is missing")?;
    let mut tuning = tuning(&mut keyval)?;
    cache_keys(&mut keyval, &mut tuning.cache)?;
    let read_only = keyval.take_switch("read-only")?.unwrap_or(false);
    let reference = keyval.take("file").map(NodeOptions::Reference);
    let node = node_of(&driver, &mut keyval, "", reference)?;
    keyval.finish()?;
    Ok(Blockdev {
        name,
        node,
        read_only,
        tuning,
    })
}

/// The node of a driver, whose keys begin with `prefix`. `below` is what `file=` says.
fn node_of(
    driver: &str,
    keyval: &mut KeyVal,
    prefix: &str,
    below: Option<NodeOptions>,
) -> Result<NodeOptions, String> {
    let key = |name: &str| format!("{prefix}{name}");
    match driver {
        "file" | "host_device" => Ok(NodeOptions::File {
            name: keyval
                .take(&key("filename"))
                .ok_or_else(|| format!("the parameter '{}' is missing", key("filename")))?,
            locking: locking_of(keyval, prefix)?,
        }),
        "opfs" => Ok(NodeOptions::File {
            name: match keyval.take(&key("filename")) {
                Some(name) => format!("{OPFS}{name}"),
                None => return Err(format!("the parameter '{}' is missing", key("filename"))),
            },
            locking: locking_of(keyval, prefix)?,
        }),
        "http" | "https" => {
            let url = keyval.take(&key("url"));
            let url = url.ok_or_else(|| format!("the parameter '{}' is missing", key("url")))?;
            if !url.starts_with(&format!("{driver}://")) {
                return Err(format!("'{}' begins with {driver}://", key("url")));
            }
            Ok(NodeOptions::Http(http_options(&url, keyval, prefix)?))
        }
        "null-co" => {
            keyval.take_switch(&key("read-zeroes"))?;
            let size = size(keyval, &key("size"))?.unwrap_or(NULL_SIZE_DEFAULT);
            Ok(NodeOptions::Null { size })
        }
        "blklogwrites" => Ok(NodeOptions::LogWrites {
            log: Box::new(log_of(keyval, &key("log"))?),
            sector: log_sector(keyval, &key("log-sector-size"))?,
            below: Box::new(child(keyval, prefix, below)?),
        }),
        "raw" => Ok(NodeOptions::Raw {
            offset: size(keyval, &key("offset"))?.unwrap_or(0),
            size: size(keyval, &key("size"))?,
            below: Box::new(child(keyval, prefix, below)?),
        }),
        "qcow2" => Ok(NodeOptions::Qcow2 {
            below: Box::new(child(keyval, prefix, below)?),
        }),
        "chunked" => Ok(NodeOptions::Chunked {
            below: Box::new(child(keyval, prefix, below)?),
        }),
        other => Err(format!(
            "there is no driver '{other}' yet in Tinamou ({DRIVERS})"
        )),
    }
}

fn http_options(url: &str, keyval: &mut KeyVal, prefix: &str) -> Result<HttpOptions, String> {
    let key = |name: &str| format!("{prefix}{name}");
    let readahead = size(keyval, &key("readahead"))?.unwrap_or(READAHEAD_DEFAULT);
    if readahead % SECTOR != 0 {
        return Err(format!(
            "'{}' is whole sectors of {SECTOR}",
            key("readahead")
        ));
    }
    let timeout = match keyval.take(&key("timeout")) {
        None => TIMEOUT_DEFAULT,
        Some(text) => {
            let seconds = text.parse().ok().filter(|seconds| *seconds <= TIMEOUT_MAX);
            let wrong = || format!("'{}={text}' is no number of seconds", key("timeout"));
            seconds.ok_or_else(wrong)?
        }
    };
    Ok(HttpOptions {
        url: url.into(),
        readahead,
        timeout: Duration::from_secs(if timeout == 0 { TIMEOUT_MAX } else { timeout }),
    })
}

/// What a format has below it: `file=NAME`, or a node of its own in `file.driver=` and so on.
fn child(
    keyval: &mut KeyVal,
    prefix: &str,
    below: Option<NodeOptions>,
) -> Result<NodeOptions, String> {
    if let Some(below) = below {
        return Ok(below);
    }
    if let Some(name) = keyval.take(&format!("{prefix}file")) {
        return Ok(NodeOptions::Reference(name));
    }
    let inner = format!("{prefix}file.");
    let driver = keyval.take(&format!("{inner}driver"));
    let driver = driver.ok_or_else(|| format!("the parameter '{inner}driver' is missing"))?;
    node_of(&driver, keyval, &inner, None)
}

/// The log of `blklogwrites`: a file of its own.
fn log_of(keyval: &mut KeyVal, key: &str) -> Result<NodeOptions, String> {
    if keyval.take(key).is_some() {
        return Err(format!(
            "'{key}' cannot be the name of a node yet in Tinamou, only '{key}.driver=file'"
        ));
    }
    match keyval.take(&format!("{key}.driver")).as_deref() {
        Some("file") => node_of("file", keyval, &format!("{key}."), None),
        _ => Err(format!("'{key}.driver' can only be 'file' in Tinamou")),
    }
}

fn log_sector(keyval: &mut KeyVal, key: &str) -> Result<u64, String> {
    let sector = size(keyval, key)?.unwrap_or(crate::logwrites::SECTOR_DEFAULT);
    let valid = sector.is_power_of_two() && (512..=4096).contains(&sector);
    let bad = || format!("'{key}' is a power of two from 512 to 4096, not {sector}");
    valid.then_some(sector).ok_or_else(bad)
}

fn locking_of(keyval: &mut KeyVal, prefix: &str) -> Result<bool, String> {
    match keyval.take(&format!("{prefix}locking")).as_deref() {
        None | Some("on" | "auto") => Ok(true),
        Some("off") => Ok(false),
        Some(other) => Err(format!(
            "'{prefix}locking' is on, off or auto, not '{other}'"
        )),
    }
}

fn size(keyval: &mut KeyVal, key: &str) -> Result<Option<u64>, String> {
    let Some(text) = keyval.take(key) else {
        return Ok(None);
    };
    let bytes = parse_size(&text, 1).filter(|bytes| i64::try_from(*bytes).is_ok());
    bytes
        .map(Some)
        .ok_or_else(|| format!("'{key}={text}' is no size"))
}

fn tuning(keyval: &mut KeyVal) -> Result<Tuning, String> {
    const DISCARD: &[(&str, bool)] = &[
        ("unmap", true),
        ("on", true),
        ("ignore", false),
        ("off", false),
    ];
    const DETECT: &[(&str, DetectZeroes)] = &[
        ("off", DetectZeroes::Off),
        ("on", DetectZeroes::On),
        ("unmap", DetectZeroes::Unmap),
    ];
    let mut tuning = Tuning::default();
    if let Some(value) = keyval.take("discard") {
        tuning.discard = *known("discard", &value, DISCARD)?;
    }
    if let Some(value) = keyval.take("detect-zeroes") {
        tuning.detect_zeroes = *known("detect-zeroes", &value, DETECT)?;
    }
    if tuning.detect_zeroes == DetectZeroes::Unmap && !tuning.discard {
        return Err("'detect-zeroes=unmap' needs 'discard=unmap'".into());
    }
    Ok(tuning)
}

/// The value called `name` in a table.
fn known<'a, T>(key: &str, name: &str, table: &'a [(&str, T)]) -> Result<&'a T, String> {
    let row = table.iter().find(|row| row.0 == name);
    row.map(|row| &row.1).ok_or_else(|| {
        let names: Vec<&str> = table.iter().map(|row| row.0).collect();
        format!("'{key}' is one of {}, not '{name}'", names.join(", "))
    })
}

/// A switch that has two names.
fn one_of(keyval: &mut KeyVal, keys: &[&str]) -> Result<Option<bool>, String> {
    let mut found = None;
    for key in keys {
        if let Some(value) = keyval.take(key) {
            found = Some(parse_switch(key, &value)?);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_means_what_keys_mean() {
        let json = r#"{"node-name": "d", "driver": "qcow2", "read-only": true, "discard": "unmap",
            "cache": {"direct": true}, "file": {"driver": "file", "filename": "a,b"}}"#;
        let keys = "node-name=d,driver=qcow2,read-only=on,discard=unmap,cache.direct=on,\
            file.driver=file,file.filename=a,,b";
        assert_eq!(parse_blockdev(json), parse_blockdev(keys));
        assert!(parse_blockdev(json).is_ok_and(|node| node.read_only && node.tuning.discard));
        let error = parse_blockdev(r#"{"node-name": "d", "driver": "file", "file-name": "x"}"#);
        assert_eq!(error, Err("the parameter 'filename' is missing".into()));
        assert!(parse_blockdev("{").is_err());
    }

    #[test]
    fn names_may_be_json() {
        let node = |name: &str| parse_drive(&format!("format=raw,file={name}")).map(|it| it.node);
        let named = node(r#"json:{"driver":"file",,"filename":"x"}"#);
        assert_eq!(named, node("x"));
        assert!(node("json:").is_err() && node(r#"json:{"driver":"file"}"#).is_err());
        assert!(node(r#"json:{"driver":"file",,"filename":"x",,"sails":1}"#).is_err());
    }

    #[test]
    fn caches_and_errors_of_drives() {
        let tuning = |keys: &str| parse_drive(&format!("file=x,{keys}")).map(|it| it.tuning);
        assert_eq!(
            tuning("cache.direct=on,cache.writeback=off"),
            tuning("cache=directsync")
        );
        assert_eq!(tuning("cache.no-flush=on"), tuning("cache=unsafe"));
        let ignoring = tuning("werror=ignore,rerror=report").expect("good options");
        assert!(ignoring.ignore_write_errors && !ignoring.ignore_read_errors);
        let refused = tuning("werror=enospc").expect_err("the machine does not stop");
        assert!(refused.contains("'report' or 'ignore'"), "{refused}");
    }

    #[test]
    fn logs_have_files_of_their_own() {
        let parse = |log: &str| {
            let keys = "node-name=d,driver=blklogwrites,file.driver=null-co";
            parse_blockdev(&format!("{keys},{log}")).map(|it| it.node)
        };
        let log = "log.driver=file,log.filename=l";
        assert!(matches!(
            parse(log),
            Ok(NodeOptions::LogWrites { sector: 512, .. })
        ));
        for bad in ["log=l", "log.driver=null-co", "x=y"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(parse(&format!("{log},log-sector-size=513")).is_err());
    }
}
