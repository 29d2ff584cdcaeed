//! What boards and devices share.

pub mod device_tree;
pub mod loader;
