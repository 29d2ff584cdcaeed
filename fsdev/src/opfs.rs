//! `-fsdev opfs`: a folder of the storage that a page has from its browser (OPFS), to read and
//! write. It is the driver `local` with the model mapped-file, since such a storage has names and
//! bytes but no owners, modes, links and devices. Hard links are refused (EPERM), and a file's
//! times are known exactly only until the page goes.
//!
//! What must hold: one page at a time has such a folder, since who has it knows it by heart
//! (`util/src/host_fs/opfs.js`). A file at the top of the storage, which opens once, is the lock.

use std::sync::Arc;

use include::Errno;
use util::host_fs::{self, HostDir, HostFile, OpenFlags};

use crate::local::Local;
use crate::options::{LocalOptions, MultiDevices, OpfsOptions, Security};

/// Opens the folder, and makes it at first use. The error is a sentence.
pub fn open(options: &OpfsOptions) -> Result<Arc<Local>, String> {
    if !host_fs::is_page() {
        return Err("the driver 'opfs' is for pages; here there is 'local'".into());
    }
    let path = &options.path;
    let cannot = |reason| format!("cannot share the folder 'opfs:{path}': {reason}");
    let lock = lock(path).map_err(|errno| match errno {
        Errno::EAGAIN => cannot("another page has it open".into()),
        errno => cannot(errno.to_string()),
    })?;
    make(path).map_err(|errno| cannot(errno.to_string()))?;
    let options = LocalOptions {
        path: format!("opfs:{path}").into(),
        security: Security::MappedFile,
        sync_writes: false,
        file_mode: 0o600,
        folder_mode: 0o700,
        devices: MultiDevices::Warn,
    };
    Local::open_with(&options, Some(lock))
}

/// Folders that begin alike have one lock, since one may be in the other.
fn lock(path: &str) -> Result<HostFile, Errno> {
    let first = path.split('/').find(|name| !name.is_empty());
    let name = format!("opfs:.tinamou-lock-{}", first.unwrap_or_default());
    let flags = OpenFlags::READ_WRITE | OpenFlags::CREATE;
    HostFile::open(name.as_bytes(), flags, 0o600)
}

fn make(path: &str) -> Result<(), Errno> {
    let mut dir = HostDir::open_root(b"opfs:")?;
    for name in path.split('/').filter(|name| !name.is_empty()) {
        match dir.mkdir(name.as_bytes(), 0o700) {
            Ok(()) | Err(Errno::EEXIST) => dir = dir.open_dir(name.as_bytes())?,
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
