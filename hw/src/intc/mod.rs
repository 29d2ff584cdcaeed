//! Interrupt controllers.
pub mod riscv_aclint;
pub mod sifive_plic;
