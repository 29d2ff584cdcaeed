//! stand-in
#![forbid(unsafe_code)]
mod bit_helper;
pub mod cpu;
mod decode;
mod fpu_helper;
mod helpers;
pub mod isa;
mod system_helper;
mod translate;
mod trap;
