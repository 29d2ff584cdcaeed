//! Opening formats, and the chain of files below an image that has a backing file.

use std::sync::Arc;

use crate::file::File;
use crate::node::{Child, Node};
use crate::probe;
use crate::qcow2::{self, Qcow2};
use crate::raw::Raw;

/// Each file of a chain takes some stack of the coroutines that read it.
const CHAIN_MAX: u32 = 24;

/// Opens `child`, which is in a format. `depth` is how many images are above it.
pub fn open_format(
    format: &str,
    name: &str,
    child: Child,
    read_only: bool,
    depth: u32,
) -> Result<Child, String> {
    match format {
        "raw" => Ok(Arc::new(Node::Raw(Raw::new(child, 0, None, false)?))),
        "qcow2" => open_qcow2(name, child, read_only, depth),
        _ => Err(format!(
            "cannot open '{name}': the format '{format}' is not there yet in Tinamou"
        )),
    }
}

/// Opens it in the format that it shows, or as raw.
pub fn open_probed(name: &str, child: Child, read_only: bool, depth: u32) -> Result<Child, String> {
    let mut start = vec![0; child.len().min(probe::BYTES as u64) as usize];
    let read = child.read(0, &mut start);
    read.map_err(|error| format!("cannot read '{name}': {error}"))?;
    if let Some(format) = probe::format(&start) {
        return open_format(format, name, child, read_only, depth);
    }
    if !read_only && !matches!(*child, Node::Null(_)) {
        log::warn!(
            "'{name}' is taken to be raw, since its format was not given; writes that would make \
             it look like another format are refused (format=raw lifts that)"
        );
    }
    Ok(Arc::new(Node::Raw(Raw::new(child, 0, None, true)?)))
}

fn open_qcow2(name: &str, child: Child, read_only: bool, depth: u32) -> Result<Child, String> {
    let sentence = |reason: String| format!("cannot open '{name}': {reason}");
    let header = qcow2::read_header(&child).map_err(sentence)?;
    let backing = match &header.backing {
        None => None,
        Some(_) if depth >= CHAIN_MAX => {
            return Err(sentence(format!(
                "there are more than {CHAIN_MAX} backing files"
            )));
        }
        Some(below) => {
            let format = header.backing_format.as_deref();
            Some(open_backing(name, below, format, depth + 1).map_err(sentence)?)
        }
    };
    let image = Qcow2::open(child, &header, backing, read_only).map_err(sentence)?;
    Ok(Arc::new(Node::Qcow2(Box::new(image))))
}

/// Opens the file `below`, as the image `above` names it: it is never written.
fn open_backing(
    above: &str,
    below: &str,
    format: Option<&str>,
    depth: u32,
) -> Result<Child, String> {
    let name = backing_name(above, below)?;
    let file = File::open(&name, true, true);
    let file = file.map_err(|reason| format!("cannot open its backing file '{name}': {reason}"))?;
    let child = Arc::new(Node::File(file));
    match format {
        Some(format) => open_format(format, &name, child, true, depth),
        None => open_probed(&name, child, true, depth),
    }
}

/// Names of backing files are relative to the folder of the image that has them.
fn backing_name(above: &str, below: &str) -> Result<String, String> {
    let name = below.strip_prefix("file:").unwrap_or(below);
    let first = name.split('/').next().unwrap_or_default();
    if let Some((protocol, _)) = first.split_once(':') {
        return Err(format!(
            "the protocol '{protocol}' of its backing file is not there yet in Tinamou"
        ));
    }
    match above.rsplit_once('/') {
        Some((folder, _)) if !name.starts_with('/') => Ok(format!("{folder}/{name}")),
        _ => Ok(name.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let check = |above, below, expected: Result<&str, ()>| {
            let name = backing_name(above, below).map_err(|_| ());
            assert_eq!(name.as_deref(), expected.as_ref().map(|name| *name));
        };
        check("a/b.qcow2", "c.raw", Ok("a/c.raw"));
        check("b.qcow2", "c.raw", Ok("c.raw"));
        check("/a/b.qcow2", "/c.raw", Ok("/c.raw"));
        check("a/b", "file:../c", Ok("a/../c"));
        check("a/b", "x/y:z", Ok("a/x/y:z"));
        check("a/b", "nbd://host/", Err(()));
        check("a/b", "json:{}", Err(()));
    }
}
