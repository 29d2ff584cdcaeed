//! What is at the bottom of every image: a file of the host, of a page's own storage (OPFS), or on
//! a server; or nothing.

use std::sync::Arc;

use util::{host_fs, http};

use crate::file::File;
use crate::http::Http;
use crate::node::{Child, Node};
use crate::null::Null;
use crate::options::{NodeOptions, file_by_name};

/// What names of files in OPFS begin with.
pub const OPFS: &str = "opfs:";

/// Opens a protocol's node. Errors are sentences that name it.
pub fn open(options: &NodeOptions, read_only: bool) -> Result<Child, String> {
    let cannot = |reason: String| format!("cannot open '{}': {reason}", describe(options));
    let node = match options {
        NodeOptions::Null { size } => Ok(Node::Null(Null::new(*size))),
        NodeOptions::File { name, locking } => {
            check_host(name).map_err(cannot)?;
            File::open(name, read_only, *locking).map(Node::File)
        }
        NodeOptions::Http(_) if !read_only => {
            Err("it can only be read: give readonly=on, snapshot=on or overlay=FILE".into())
        }
        NodeOptions::Http(http) => Http::open(http).map(|http| Node::Http(Box::new(http))),
        _ => Err("it is no file".into()),
    };
    node.map(Arc::new).map_err(cannot)
}

/// Opens what a qcow2 image names as the one below it. Errors are sentences without the name.
pub fn open_backing(name: &str) -> Result<Child, String> {
    open(&file_by_name(name.into())?, true)
}

/// Opens a file to read and write, and makes it if it is not there. Errors name it.
pub fn open_or_create(name: &str) -> Result<Child, String> {
    let cannot = |reason| format!("cannot open '{name}': {reason}");
    let NodeOptions::File { name, .. } = file_by_name(name.into())? else {
        return Err(cannot("it is no file that could be written".into()));
    };
    check_host(&name).map_err(cannot)?;
    let file = File::open_or_create(&name).map_err(cannot)?;
    Ok(Arc::new(Node::File(file)))
}

fn check_host(name: &str) -> Result<(), String> {
    let is_opfs = name.starts_with(OPFS);
    match is_opfs && !host_fs::is_page() {
        true => Err("only a page has the storage 'opfs:'".into()),
        false => Ok(()),
    }
}

/// How messages call it.
pub fn describe(options: &NodeOptions) -> String {
    match options {
        NodeOptions::File { name, .. } => name.clone(),
        NodeOptions::Http(http) => http.url.clone(),
        _ => "the image".into(),
    }
}

/// The name of an image's backing file. Names are relative to the place of the image that has them;
/// one that came from a server names nothing on this host.
pub fn backing_name(above: &str, below: &str) -> Result<String, String> {
    let name = below.strip_prefix("file:").unwrap_or(below);
    if http::is_url(name) {
        return Ok(name.into());
    }
    let is_local = name.starts_with('/') || name != below || name.starts_with(OPFS);
    if http::is_url(above) && is_local {
        return Err(format!(
            "it comes from a server, and names the file '{below}' here below it"
        ));
    }
    let first = name.split('/').next().unwrap_or_default();
    match first.split_once(':') {
        Some(("opfs", _)) => return Ok(name.into()),
        Some((protocol, _)) => {
            return Err(format!(
                "the protocol '{protocol}' of its backing file is not there yet in Tinamou"
            ));
        }
        None => (),
    }
    let above = match http::is_url(above) {
        true => above.split(['?', '#']).next().unwrap_or_default(),
        false => above,
    };
    match above.rsplit_once('/') {
        Some((folder, _)) if !name.starts_with('/') => Ok(format!("{folder}/{name}")),
        None if above.starts_with(OPFS) => Ok(format!("{OPFS}{name}")),
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
        check("a/b", "http://host/c", Ok("http://host/c"));
        check("opfs:b", "https://host/c", Ok("https://host/c"));
        check("opfs:b", "c", Ok("opfs:c"));
        check("opfs:a/b", "c", Ok("opfs:a/c"));
        check("http://host/a/b?x=/y", "c", Ok("http://host/a/c"));
        check("http://host/a/b", "/etc/shadow", Err(()));
        check("http://host/a/b", "file:shadow", Err(()));
        check("http://host/a/b", "opfs:mine", Err(()));
    }
}
