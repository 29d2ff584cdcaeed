//! `chunked`: a read-only image for static web hosts (`docs/converting.md`). An index file NAME,
//! and pack files NAME.000, NAME.001, ... beside it that hold compressed pieces of the disk, each
//! fetched when it is first read.
//!
//! **What must hold:** nothing of an image is believed: every number of the index is checked when
//! it is opened, and every chunk against its SHA-256 when it is read.

pub mod format;
mod read;
#[cfg(test)]
mod tests;
pub mod writer;

pub use read::Chunked;
