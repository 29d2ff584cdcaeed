//! RISC-V ACLINT (specification 1.0-rc4): the MTIMER and MSWI devices, which together are laid
//! out as SiFive's CLINT.

mod mswi;
mod mtime;
mod mtimer;
#[cfg(test)]
mod tests;

pub use mswi::{AclintSwi, SWI_SIZE};
pub use mtime::Mtime;
pub use mtimer::{AclintMtimer, MTIMER_SIZE};
