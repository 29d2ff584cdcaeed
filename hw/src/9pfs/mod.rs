//! 9P2000.L: files of the host for the guest (the manual is diod's `protocol.md`, and intro(5) of
//! Plan 9; QEMU's `hw/9pfs`).
//!
//! `protocol` is the table of messages, `server` knows what they mean and no virtio, `virtio`
//! joins it to a queue. The files themselves come from an [`include::FileSystem`].
//!
//! What must hold: no message makes the server read outside of it, allocate more than about its
//! negotiated size, run without end, or name a file outside the share.

pub mod protocol;
pub mod server;
pub mod virtio;
mod wire;
