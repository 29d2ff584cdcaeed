//! Device models, in folders as QEMU's `hw/`.

#![forbid(unsafe_code)]

pub mod core;
