//! Disks.

pub mod virtio_blk;
