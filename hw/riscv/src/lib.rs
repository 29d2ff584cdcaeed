//! RISC-V boards, in files as QEMU's `hw/riscv/`.
//!
//! **Architecture Invariant:** a board joins devices by wires and addresses. What it needs of the
//! CPUs are their interrupt inputs and their description ([`IsaDescription`]), both given by the
//! caller; it names no accelerator and does not talk to the host.

#![forbid(unsafe_code)]

pub mod boot;
pub mod virt;

pub use virt::{BoardError, IsaDescription, Machine, MachineWiring, RomRegion, VirtConfig, build};
