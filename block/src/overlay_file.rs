//! `overlay=FILE`: what is written goes to a qcow2 image that is made at first use and kept, so
//! that a disk that can only be read (one on a server) has changes that survive: natively in a
//! file, in a page in its own storage (`overlay=opfs:NAME`).
//!
//! What must hold: an overlay is used over the image that it was made over alone. Its header names
//! that one, and behind a `#` the version that the server told; other versions are refused, since
//! the clusters of two would be mixed. An overlay whose making was cut short has no header, and is
//! made again: the header is written last.

use std::sync::Arc;

use crate::node::{Child, Node};
use crate::protocol;
use crate::qcow2::{self, CreateOptions, Qcow2};

/// Opens the overlay `name` over `base`, which messages call `base_name`. Errors are sentences.
pub fn open(name: &str, base: Child, base_name: &str, read_only: bool) -> Result<Child, String> {
    let cannot = |reason: String| format!("cannot open '{name}': {reason}");
    let file = protocol::open_or_create(name)?;
    let described = describe_base(&base, base_name);
    if is_new(&file).map_err(cannot)? {
        let options = CreateOptions {
            size: base.len(),
            backing: Some((described.clone(), base.driver().into())),
            ..CreateOptions::default()
        };
        qcow2::create(&file, &options).map_err(cannot)?;
    }
    let header = qcow2::read_header(&file).map_err(cannot)?;
    match &header.backing {
        Some(backing) if *backing == described && header.size == base.len() => (),
        Some(backing) => {
            return Err(cannot(format!(
                "it was made over '{backing}' of {} bytes, and this is '{described}' of {}",
                header.size,
                base.len()
            )));
        }
        None => return Err(cannot("it is an image of its own, and no overlay".into())),
    }
    let image = Qcow2::open(file, &header, Some(base), read_only).map_err(cannot)?;
    Ok(Arc::new(Node::Qcow2(Box::new(image))))
}

/// Whether there is no header: an empty file, or one that was left before it was made.
fn is_new(file: &Child) -> Result<bool, String> {
    let mut start = vec![0; file.len().min(512) as usize];
    file.read(0, &mut start)
        .map_err(|error| error.to_string())?;
    Ok(start.iter().all(|byte| *byte == 0))
}

/// The base's name, with the version that its server told.
fn describe_base(base: &Child, name: &str) -> String {
    let Some(tag) = base.tag() else {
        return name.into();
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let escaped = tag.bytes().map(|byte| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02x}"),
    });
    format!("{name}#{}", escaped.collect::<String>())
}
