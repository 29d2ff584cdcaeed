//! What can be wrong with an image, in sentences for the user.

use std::path::{Path, PathBuf};

use crate::core::device_tree::FdtError;

/// A file that cannot be used, and the option that named it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{option} {path}: {problem}", path = .path.display())]
pub struct LoadError {
    /// The option, as the user wrote it.
    pub option: &'static str,
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: LoadProblem,
}

impl LoadError {
    /// `problem` with the file `path` that `option` named.
    pub fn new(option: &'static str, path: &Path, problem: LoadProblem) -> Self {
        Self {
            option,
            path: path.to_owned(),
            problem,
        }
    }
}

/// Why a file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadProblem {
    #[error("no such file")]
    Missing,
    #[error("this is a directory, not a file")]
    Directory,
    #[error("this file cannot be read: {0}")]
    Unreadable(String),
    #[error("this file is empty")]
    Empty,
    #[error("this file does not fit in {size} of RAM", size = Size(*.limit))]
    TooLarge { limit: u64 },
    #[error("this {format} is truncated")]
    Truncated { format: &'static str },
    #[error("this {format} is broken: {detail}")]
    Broken {
        format: &'static str,
        detail: &'static str,
    },
    #[error("this {format} is for {found}, but the machine needs {needed}")]
    Foreign {
        format: &'static str,
        found: String,
        needed: &'static str,
    },
    #[error("this is {format}, which is not supported: {advice}")]
    Unsupported {
        format: &'static str,
        advice: &'static str,
    },
    #[error(
        "its bytes at {start:#x} to {last:#x} do not fit in RAM, which is {ram_start:#x} to \
         {ram_last:#x}"
    )]
    OutsideRam {
        start: u64,
        last: u64,
        ram_start: u64,
        ram_last: u64,
    },
    #[error(
        "its bytes at {start:#x} to {last:#x} overlap {other}, which is at {other_start:#x} to \
         {other_last:#x}"
    )]
    Overlaps {
        start: u64,
        last: u64,
        other: String,
        other_start: u64,
        other_last: u64,
    },
    #[error("this is not a flattened device tree: {0}")]
    DeviceTree(#[from] FdtError),
}

/// Bytes in the largest unit that divides them.
struct Size(u64);

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (unit, name) = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")]
            .into_iter()
            .find(|(unit, _)| self.0 >= *unit && self.0.is_multiple_of(*unit))
            .unwrap_or((1, "bytes"));
        write!(f, "{} {name}", self.0 / unit)
    }
}
