//! Drivers of shared file systems (QEMU's `fsdev/` and the drivers of its `hw/9pfs`): what
//! `-fsdev` and `-virtfs` name. Each is an [`include::FileSystem`].
//!
//! `local` shares a folder of the host, `opfs` one of a page's own storage, `http` a tree on a
//! server (only to be read), `memory` keeps its files in memory, `synth` is a tree that code makes
//! up. `nodes` is the table of names that those have whose names change.

pub mod http;
pub mod js;
pub mod local;
pub mod memory;
pub mod nodes;
pub mod opfs;
pub mod options;
pub mod read_only;
pub mod synth;

use std::sync::Arc;

use include::{Errno, FileSystem};
use options::{Driver, FsdevOptions};

/// Longest name in a folder.
pub const NAME_MAX: usize = 255;

/// Opens what an option describes; the error is a sentence.
pub fn open(options: &FsdevOptions) -> Result<Arc<dyn FileSystem>, String> {
    let named = |error| format!("-fsdev {}: {error}", options.id);
    let fs: Arc<dyn FileSystem> = match &options.driver {
        Driver::Local(local) => local::Local::open(local).map_err(named)?,
        Driver::Opfs(opfs) => opfs::open(opfs).map_err(named)?,
        Driver::Http(http) => http::HttpTree::open(http).map_err(named)?,
        Driver::Memory(memory) => {
            let fs = memory::Memory::new(memory.size);
            js::offer(&options.id, fs.clone());
            fs
        }
        Driver::Synth => synth::Synth::new(synth::Item::example()),
    };
    Ok(match options.readonly {
        true => Arc::new(read_only::ReadOnly::new(fs)),
        false => fs,
    })
}

/// Refuses what cannot be the name of something in a folder.
pub fn check_name(name: &[u8]) -> Result<(), Errno> {
    let bad = |byte: &u8| matches!(byte, b'/' | 0);
    match name {
        b"" | b"." | b".." => Err(Errno::EINVAL),
        _ if name.iter().any(bad) => Err(Errno::EINVAL),
        _ if name.len() > NAME_MAX => Err(Errno::ENAMETOOLONG),
        _ => Ok(()),
    }
}

/// The time of day.
pub fn now() -> include::fsdev::FileTime {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let since = since.unwrap_or_default();
    include::fsdev::FileTime {
        seconds: since.as_secs() as i64,
        nanoseconds: since.subsec_nanos(),
    }
}
