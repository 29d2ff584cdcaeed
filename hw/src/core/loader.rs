//! Images that the command line names: read, checked, and placed in guest memory.
//!
//! The names follow QEMU's `hw/core/loader.c`: a *blob* is a file in memory, a *ROM* is a piece
//! of it with a guest address. ROMs are copied to guest memory at power-on and at every reset,
//! so that a guest that overwrote its kernel can still reboot.
//!
//! Whatever is wrong with a file is a [`LoadError`]: one sentence that names the option and the
//! file. Nothing here panics on any input, and nothing allocates more than the guest's RAM.
//! [`Blob::read`] is the only place in this crate that opens files of the host; boards and
//! devices get bytes.

pub mod elf;
mod error;
pub mod image;
mod rom;

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use error::{LoadError, LoadProblem};
pub use rom::{Rom, RomSet};

/// The contents of a file, and the option that named it.
#[derive(Clone, Debug)]
pub struct Blob {
    /// The option, as the user wrote it: `-kernel`.
    pub option: &'static str,
    /// The file.
    pub path: PathBuf,
    /// Its contents, shared with the ROMs made from it.
    pub bytes: Arc<Vec<u8>>,
}

impl Blob {
    /// Reads `path`, which must not be empty nor hold more than `limit` bytes (the size of RAM).
    pub fn read(option: &'static str, path: &Path, limit: u64) -> Result<Self, LoadError> {
        let fail = |problem| LoadError::new(option, path, problem);
        let bytes = read_bounded(path, limit).map_err(fail)?;
        Ok(Self::new(option, path, bytes))
    }

    /// A blob that did not come from a file, such as one in a test.
    pub fn new(option: &'static str, path: impl Into<PathBuf>, bytes: Vec<u8>) -> Self {
        Self {
            option,
            path: path.into(),
            bytes: Arc::new(bytes),
        }
    }

    /// What is wrong with this file.
    pub fn error(&self, problem: LoadProblem) -> LoadError {
        LoadError::new(self.option, &self.path, problem)
    }

    /// Option and file, for messages about two files.
    pub fn label(&self) -> String {
        format!("{} {}", self.option, self.path.display())
    }
}

fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, LoadProblem> {
    let unreadable = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => LoadProblem::Missing,
        ErrorKind::IsADirectory => LoadProblem::Directory,
        _ => LoadProblem::Unreadable(error.to_string()),
    };
    let file = File::open(path).map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    if size > limit {
        return Err(LoadProblem::TooLarge { limit });
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    // A pipe or a device has no size: one byte over the limit tells that it is too long.
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    match bytes.len() as u64 {
        0 => Err(LoadProblem::Empty),
        read if read > limit => Err(LoadProblem::TooLarge { limit }),
        _ => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &Path, limit: u64, expected: &str) {
        let error = Blob::read("-kernel", path, limit).expect_err("the file must be refused");
        assert_eq!(
            error.to_string(),
            expected.replace("PATH", &path.display().to_string())
        );
    }

    #[test]
    fn unusable_files_are_refused_in_one_sentence() {
        let folder = std::env::temp_dir().join(format!("tinamou-loader-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("file");
        std::fs::write(&file, b"12345").unwrap();
        assert_eq!(*Blob::read("-kernel", &file, 5).unwrap().bytes, b"12345");
        check(
            &file,
            4,
            "-kernel PATH: this file does not fit in 4 bytes of RAM",
        );
        std::fs::write(&file, b"").unwrap();
        check(&file, 4, "-kernel PATH: this file is empty");
        check(
            &folder,
            u64::MAX,
            "-kernel PATH: this is a directory, not a file",
        );
        check(&folder.join("none"), 9, "-kernel PATH: no such file");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
