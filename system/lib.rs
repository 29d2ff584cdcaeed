//! The emulator program: everything is wired together here, and only here.

pub mod memory;
pub mod options;
