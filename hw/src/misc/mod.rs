//! Small devices.
pub mod sifive_test;
