//! Character devices of the host (QEMU's `chardev/`): where the bytes of serial ports and of the
//! monitor go to and come from.
//!
//! Input travels from a reader thread to the main loop, through [`gate::Gate`] (which holds the
//! reader back) and perhaps [`mux::Mux`] (which looks for Ctrl-A), to an
//! [`endpoint::Endpoint`], which feeds the device as fast as it can take bytes. Output is
//! collected by [`output::Output`] and written by the main loop, so that a vCPU that prints does
//! not wait for the host.
//!
//! **Architecture Invariant:** a device's code is never called inside a call that it made.

pub mod endpoint;
pub mod gate;
pub mod js;
pub mod mux;
pub mod output;
pub mod registry;
pub mod spec;
pub mod stdio;
#[cfg(test)]
mod tests;

pub use registry::{Chardevs, Connected};
pub use stdio::{Terminal, TerminalInput};
