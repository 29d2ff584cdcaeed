//! Folders of this machine into the tree: a root file system, or one for `-v`. Links are taken as
//! links, never followed. Extended attributes stay behind.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::spool::Spool;
use crate::tree::{Kind, Meta, Tree};

/// Adds what is at `from` as `to`.
pub fn add(tree: &mut Tree, spool: &mut Spool, from: &Path, to: &[u8]) -> Result<(), String> {
    let mut work = vec![(from.to_path_buf(), to.to_vec())];
    let mut linked: HashMap<(u64, u64), Vec<u8>> = HashMap::new();
    while let Some((from, to)) = work.pop() {
        let fail = |error: io::Error| format!("'{}': {error}", from.display());
        let meta = fs::symlink_metadata(&from).map_err(fail)?;
        if meta.is_dir() {
            tree.put(&to, Kind::Folder(BTreeMap::new()), meta_of(&meta))?;
            let names = fs::read_dir(&from).map_err(fail)?;
            let mut names: Vec<_> = names
                .map(|entry| entry.map(|entry| entry.file_name()))
                .collect::<Result<_, _>>()
                .map_err(fail)?;
            names.sort();
            names.reverse();
            for name in names {
                let inner = [to.as_slice(), name.as_bytes()].join(&b'/');
                work.push((from.join(&name), inner));
            }
            continue;
        }
        let key = (meta.dev(), meta.ino());
        if let Some(first) = linked.get(&key) {
            tree.hard_link(&to, first)?;
            continue;
        }
        let kind = kind_of(&from, &meta, spool)?;
        tree.put(&to, kind, meta_of(&meta))?;
        if meta.nlink() > 1 {
            linked.insert(key, to);
        }
    }
    Ok(())
}

fn kind_of(from: &PathBuf, meta: &Metadata, spool: &mut Spool) -> Result<Kind, String> {
    let fail = |reason: String| format!("'{}': {reason}", from.display());
    let kind = meta.file_type();
    let (major, minor) = (
        rustix::fs::major(meta.rdev()),
        rustix::fs::minor(meta.rdev()),
    );
    Ok(if kind.is_symlink() {
        let target = fs::read_link(from).map_err(|error| fail(error.to_string()))?;
        Kind::Link(target.into_os_string().into_vec())
    } else if kind.is_file() {
        let mut file = File::open(from).map_err(|error| fail(error.to_string()))?;
        Kind::File(spool.take(&mut file).map_err(fail)?)
    } else if kind.is_char_device() {
        Kind::Char { major, minor }
    } else if kind.is_block_device() {
        Kind::Block { major, minor }
    } else if kind.is_fifo() {
        Kind::Fifo
    } else {
        Kind::Socket
    })
}

fn meta_of(meta: &Metadata) -> Meta {
    Meta {
        mode: (meta.mode() & 0o7777) as u16,
        uid: meta.uid(),
        gid: meta.gid(),
        mtime: meta.mtime(),
        xattrs: BTreeMap::new(),
    }
}
