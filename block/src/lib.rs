//! Disk images (QEMU's `block/`): a graph of nodes, from files at the bottom through formats and
//! filters to a [`Backend`], which a device uses.
//!
//! Everything on nodes is plain sequential code that may wait, so it runs in coroutines on the
//! context of the [`Graph`]. **What must hold:** nothing here that may wait is called through `dyn`
//! or a pointer (see `util::coroutine`): a node is an enum. Data that a guest was told is on stable
//! storage (a flush that is done) is there, whenever the process ends.

mod backend;
mod backing;
pub mod chunked;
mod file;
mod graph;
mod http;
mod logwrites;
mod node;
mod null;
pub mod options;
mod overlay;
mod overlay_file;
mod probe;
mod protocol;
pub mod qcow2;
mod raw;

#[cfg(test)]
mod tests;

pub use backend::Backend;
pub use graph::Graph;
pub use node::Node;
