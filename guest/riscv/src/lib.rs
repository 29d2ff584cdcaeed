//! stand-in
pub mod decode;
