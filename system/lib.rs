//! The emulator program: everything is wired together here, and only here.
//!
//! [`vl`] is the life of the process, [`machine_init`] joins memory, board and vCPUs, `accel` is
//! what an accelerator must offer.

pub mod accel;
pub mod backends;
mod console;
mod datadir;
mod entropy;
pub mod machine_init;
pub mod memory;
pub mod options;
mod ram_backend;
pub mod runstate;
pub mod vl;

pub use vl::run;
