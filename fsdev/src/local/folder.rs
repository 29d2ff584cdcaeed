//! A folder of the host that is open, with its folder of metadata (`security_model=mapped-file`).

use std::ops::Deref;
use std::sync::Arc;

use include::Errno;
use parking_lot::Mutex;
use util::host_fs::HostDir;

/// QEMU's name for the folder of metadata.
pub const META_FOLDER: &[u8] = b".virtfs_metadata";
const META_FOLDER_MODE: u32 = 0o700;

/// An open folder.
pub struct Folder {
    dir: HostDir,
    /// Its folder of metadata, once it was opened. The host may have removed that since.
    meta: Mutex<Option<Arc<HostDir>>>,
}

impl Folder {
    pub fn new(dir: HostDir) -> Arc<Self> {
        let meta = Mutex::new(None);
        Arc::new(Self { dir, meta })
    }

    /// The folder of metadata: ENOENT if there is none.
    pub fn meta(&self) -> Result<Arc<HostDir>, Errno> {
        let mut meta = self.meta.lock();
        if let Some(meta) = &*meta {
            return Ok(meta.clone());
        }
        let opened = Arc::new(self.dir.open_dir(META_FOLDER)?);
        Ok(meta.insert(opened).clone())
    }

    /// The same, but it is made if need be.
    pub fn make_meta(&self) -> Result<Arc<HostDir>, Errno> {
        match self.meta() {
            Err(Errno::ENOENT) => {}
            other => return other,
        }
        match self.dir.mkdir(META_FOLDER, META_FOLDER_MODE) {
            Ok(()) | Err(Errno::EEXIST) => self.meta(),
            Err(errno) => Err(errno),
        }
    }

    /// Looks for the folder of metadata again, next time.
    pub fn drop_meta(&self) {
        *self.meta.lock() = None;
    }
}

impl Deref for Folder {
    type Target = HostDir;
    fn deref(&self) -> &HostDir {
        &self.dir
    }
}
