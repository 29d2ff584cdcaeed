//! `-fsdev opfs`: a folder of the storage that a page has from its browser (OPFS), to read and
//! write. It is the driver `local` with the model mapped-file, since such a storage has names and
//! bytes but no owners, modes, links and devices. Hard links are refused (EPERM), and a file's
//! times are known exactly only until the page goes.

use std::sync::Arc;

use include::Errno;
use util::host_fs::{self, HostDir};

use crate::local::Local;
use crate::options::{LocalOptions, MultiDevices, OpfsOptions, Security};

/// Opens the folder, and makes it at first use. The error is a sentence.
pub fn open(options: &OpfsOptions) -> Result<Arc<Local>, String> {
    if !host_fs::is_page() {
        return Err("the driver 'opfs' is for pages; here there is 'local'".into());
    }
    let path = &options.path;
    make(path).map_err(|errno| format!("cannot share the folder 'opfs:{path}': {errno}"))?;
    Local::open(&LocalOptions {
        path: format!("opfs:{path}").into(),
        security: Security::MappedFile,
        sync_writes: false,
        file_mode: 0o600,
        folder_mode: 0o700,
        devices: MultiDevices::Warn,
    })
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
