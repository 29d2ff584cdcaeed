//! The WebAssembly engine that the program itself runs in.

#[cfg(target_os = "emscripten")]
mod wasm;
#[cfg(target_os = "emscripten")]
pub use wasm::*;

#[cfg(not(target_os = "emscripten"))]
mod none;
#[cfg(not(target_os = "emscripten"))]
pub use none::*;
