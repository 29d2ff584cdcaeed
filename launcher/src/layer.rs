//! Layers and tarballs into the tree (OCI image specification, "Layer Filesystem Changeset").

use std::collections::BTreeMap;
use std::io::{self, Read};

use tar::{Archive, Entry, EntryType};

use crate::spool::{Spool, read_full};
use crate::tree::{Kind, Meta, Tree, names, shown};

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
const XATTR: &str = "SCHILY.xattr.";
/// What a name or an extended header may have: the archive is not believed.
const EXTENSION_MAX: u64 = 1 << 20;

/// A stream that may be packed, unpacked.
pub fn unpacked<'a>(mut reader: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut start = vec![0; 4];
    let count = read_full(&mut reader, &mut start)?;
    start.truncate(count);
    let (gzip, zstd) = (
        start.starts_with(&[0x1f, 0x8b]),
        start == [0x28, 0xb5, 0x2f, 0xfd],
    );
    let all = io::Cursor::new(start).chain(reader);
    Ok(match (gzip, zstd) {
        (true, _) => Box::new(flate2::read::MultiGzDecoder::new(all)),
        (_, true) => Box::new(zstd::stream::read::Decoder::new(all)?),
        _ => Box::new(all),
    })
}

/// Adds an archive. With `whiteouts`, it is a layer over what is there.
pub fn add_archive(
    tree: &mut Tree,
    spool: &mut Spool,
    reader: &mut dyn Read,
    whiteouts: bool,
) -> Result<(), String> {
    let damaged = |error: io::Error| format!("it is damaged: {error}");
    let mut archive = Archive::new(reader);
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        add_entry(tree, spool, &mut entry, whiteouts)?;
    }
    Ok(())
}

fn add_entry<R: Read>(
    tree: &mut Tree,
    spool: &mut Spool,
    entry: &mut Entry<R>,
    whiteouts: bool,
) -> Result<(), String> {
    let path = entry.path_bytes().into_owned();
    let fail = |reason: String| format!("'{}': {reason}", shown(&path));
    let kind = entry.header().entry_type();
    if kind == EntryType::XGlobalHeader {
        return Ok(());
    }
    if whiteouts && add_whiteout(tree, &path)? {
        return Ok(());
    }
    let meta = meta(entry).map_err(fail)?;
    let link = |entry: &Entry<R>| match entry.link_name_bytes() {
        Some(target) if !target.is_empty() && target.len() < 4096 => Ok(target.into_owned()),
        _ => Err(fail("it is a link to nothing".into())),
    };
    let node = match kind {
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
            // Old archives mark folders by the name alone.
            match path.ends_with(b"/") {
                true => Kind::Folder(BTreeMap::new()),
                false => file(spool, entry).map_err(fail)?,
            }
        }
        EntryType::Directory => Kind::Folder(BTreeMap::new()),
        EntryType::Symlink => Kind::Link(link(entry)?),
        EntryType::Link => return tree.hard_link(&path, &link(entry)?),
        EntryType::Char | EntryType::Block => device(entry).map_err(fail)?,
        EntryType::Fifo => Kind::Fifo,
        other => {
            let code = char::from(other.as_byte()).escape_debug();
            return Err(fail(format!("its type '{code}' is unknown")));
        }
    };
    tree.put(&path, node, meta)
}

/// True if it was one.
fn add_whiteout(tree: &mut Tree, path: &[u8]) -> Result<bool, String> {
    let names = names(path)?;
    let Some((last, parents)) = names.split_last() else {
        return Ok(false);
    };
    let parent = parents.join(&b'/');
    if *last == OPAQUE {
        tree.make_opaque(&parent)?;
        return Ok(true);
    }
    let Some(name) = last.strip_prefix(WHITEOUT) else {
        return Ok(false);
    };
    // Other names of AUFS are no files of the image, either.
    if !name.is_empty() && !name.starts_with(WHITEOUT) {
        tree.remove_lower(&[parent.as_slice(), name].join(&b'/'))?;
    }
    Ok(true)
}

fn file<R: Read>(spool: &mut Spool, entry: &mut Entry<R>) -> Result<Kind, String> {
    let wanted = entry.size();
    spool.check_room(wanted)?;
    let content = spool.take(entry)?;
    match content.bytes == wanted {
        true => Ok(Kind::File(content)),
        false => Err("the archive ends in the middle of it".into()),
    }
}

fn device<R: Read>(entry: &Entry<R>) -> Result<Kind, String> {
    let header = entry.header();
    let number = |field: io::Result<Option<u32>>| field.ok().flatten();
    let major = number(header.device_major()).filter(|major| *major < 1 << 12);
    let minor = number(header.device_minor()).filter(|minor| *minor < 1 << 20);
    let (Some(major), Some(minor)) = (major, minor) else {
        return Err("it is a device without a number".into());
    };
    Ok(match header.entry_type() {
        EntryType::Char => Kind::Char { major, minor },
        _ => Kind::Block { major, minor },
    })
}

fn meta<R: Read>(entry: &mut Entry<R>) -> Result<Meta, String> {
    let header = entry.header();
    let text = |error: io::Error| error.to_string();
    let id = |value: u64| u32::try_from(value).map_err(|_| format!("its owner {value} cannot be"));
    let mut meta = Meta {
        mode: (header.mode().map_err(text)? & 0o7777) as u16,
        uid: id(header.uid().map_err(text)?)?,
        gid: id(header.gid().map_err(text)?)?,
        mtime: header.mtime().map_err(text)? as i64,
        xattrs: BTreeMap::new(),
    };
    if let Some(extensions) = entry.pax_extensions().map_err(text)? {
        for extension in extensions {
            let extension = extension.map_err(text)?;
            let key = extension.key().map_err(|_| "a key that is no text")?;
            extend(&mut meta, key, extension.value_bytes())?;
        }
    }
    Ok(meta)
}

fn extend(meta: &mut Meta, key: &str, value: &[u8]) -> Result<(), String> {
    let text = || std::str::from_utf8(value).map_err(|_| format!("its '{key}' is no text"));
    let bad = |_| format!("its '{key}' is no number");
    match key {
        "uid" => meta.uid = text()?.parse().map_err(bad)?,
        "gid" => meta.gid = text()?.parse().map_err(bad)?,
        "mtime" => {
            let seconds = text()?.split('.').next().unwrap_or_default();
            meta.mtime = seconds.parse().map_err(bad)?;
        }
        _ if key.starts_with("GNU.sparse.") => {
            return Err("it is a sparse file of a kind that is not there yet".into());
        }
        _ => {
            if let Some(name) = key.strip_prefix(XATTR) {
                meta.xattrs.insert(name.into(), value.into());
            }
        }
    }
    Ok(())
}

/// Refuses archives whose extended headers alone would fill memory. The crate reads them whole, so
/// they are counted before it sees them.
pub struct Guarded<R> {
    inner: R,
    /// Bytes until the next header.
    skip: u64,
    header: Vec<u8>,
    /// The last header was that of a sparse file, and has more blocks behind it.
    more: bool,
    sparse_size: u64,
}

impl<R: Read> Guarded<R> {
    pub fn new(inner: R) -> Self {
        Self {
            inner,
            skip: 0,
            header: Vec::new(),
            more: false,
            sparse_size: 0,
        }
    }

    fn look(&mut self, mut data: &[u8]) -> io::Result<()> {
        while !data.is_empty() {
            if self.skip > 0 {
                let count = self.skip.min(data.len() as u64);
                self.skip -= count;
                data = &data[count as usize..];
                continue;
            }
            let count = (512 - self.header.len()).min(data.len());
            self.header.extend(&data[..count]);
            data = &data[count..];
            if self.header.len() == 512 {
                let header = std::mem::take(&mut self.header);
                self.skip = self.checked_size(&header)?;
            }
        }
        Ok(())
    }

    /// The bytes behind a header.
    fn checked_size(&mut self, header: &[u8]) -> io::Result<u64> {
        if self.more {
            self.more = header[504] == 1;
            return Ok(if self.more { 0 } else { self.sparse_size });
        }
        self.more = header[156] == b'S' && header[482] == 1;
        let header = tar::Header::from_byte_slice(header);
        let size = header.entry_size().unwrap_or(0);
        let kind = header.entry_type();
        let named = kind.is_gnu_longname()
            || kind.is_gnu_longlink()
            || kind.is_pax_local_extensions()
            || kind.is_pax_global_extensions();
        if named && size > EXTENSION_MAX {
            let reason = format!("an extended header of {size} bytes is too large");
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        self.sparse_size = size.checked_next_multiple_of(512).unwrap_or(u64::MAX);
        Ok(if self.more { 0 } else { self.sparse_size })
    }
}

impl<R: Read> Read for Guarded<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buf)?;
        self.look(&buf[..count])?;
        Ok(count)
    }
}
