//! Opening formats, and the chain of files below an image that has a backing file.

use std::sync::Arc;

use crate::node::{Child, Node};
use crate::probe;
use crate::protocol::{backing_name, open_backing};
use crate::qcow2::header::Header;
use crate::qcow2::{self, Qcow2};
use crate::raw::Raw;

/// Each image of a chain takes some stack of the coroutines that read it.
const CHAIN_MAX: usize = 32;

/// An image whose backing file is opened before it.
struct Upper {
    name: String,
    child: Child,
    header: Header,
}

/// Opens `child` in a format, or in the one that it shows, with all files below it. Errors are
/// sentences that name the file.
pub fn open_format(
    format: Option<&str>,
    name: &str,
    child: Child,
    read_only: bool,
) -> Result<Child, String> {
    let (mut format, mut name, mut child) = (format.map(String::from), name.to_string(), child);
    // A loop and not recursion, which would take the stack that reading is promised.
    let mut uppers: Vec<Upper> = Vec::new();
    let mut node = loop {
        let read_only = read_only || !uppers.is_empty();
        let guarded = format.is_none();
        let known = match format.take() {
            Some(format) => format,
            None => probed(&name, &child, read_only)?,
        };
        match known.as_str() {
            "raw" => break Arc::new(Node::Raw(Raw::new(child, 0, None, guarded)?)),
            "qcow2" => (),
            other => return Err(cannot(&name, &no_format(other))),
        }
        let header = qcow2::read_header(&child).map_err(|reason| cannot(&name, &reason))?;
        let Some(below) = &header.backing else {
            break open_qcow2(&name, child, &header, None, read_only)?;
        };
        if uppers.len() == CHAIN_MAX {
            let reason = format!("it is below {CHAIN_MAX} images, and has a backing file, too");
            return Err(cannot(&name, &reason));
        }
        let below = backing_name(&name, below).map_err(|reason| cannot(&name, &reason))?;
        let file = open_backing(&below)
            .map_err(|reason| format!("'{name}' has a backing file: {reason}"))?;
        format.clone_from(&header.backing_format);
        let upper = std::mem::replace(&mut child, file);
        uppers.push(Upper {
            name: std::mem::replace(&mut name, below),
            child: upper,
            header,
        });
    };
    while let Some(upper) = uppers.pop() {
        let read_only = read_only || !uppers.is_empty();
        let (child, header) = (upper.child, upper.header);
        node = open_qcow2(&upper.name, child, &header, Some(node), read_only)?;
    }
    Ok(node)
}

fn cannot(name: &str, reason: &str) -> String {
    format!("cannot open '{name}': {reason}")
}

fn no_format(format: &str) -> String {
    format!("the format '{format}' is not there yet in Tinamou")
}

fn open_qcow2(
    name: &str,
    child: Child,
    header: &Header,
    backing: Option<Child>,
    read_only: bool,
) -> Result<Child, String> {
    let image = Qcow2::open(child, header, backing, read_only);
    let image = image.map_err(|reason| cannot(name, &reason))?;
    Ok(Arc::new(Node::Qcow2(Box::new(image))))
}

/// The format that an image shows, or raw.
fn probed(name: &str, child: &Child, read_only: bool) -> Result<String, String> {
    let mut start = vec![0; child.len().min(probe::BYTES as u64) as usize];
    let read = child.read(0, &mut start);
    read.map_err(|error| format!("cannot read '{name}': {error}"))?;
    if let Some(format) = probe::format(&start) {
        return Ok(format.into());
    }
    if !read_only && !matches!(**child, Node::Null(_)) {
        log::warn!(
            "'{name}' is taken to be raw, since its format was not given; writes that would make \
             it look like another format are refused (format=raw lifts that)"
        );
    }
    Ok("raw".into())
}
