//! `tinamou-system-riscv64`: the entry. All it does is to hand the command line to [`run`]
//! and the status that comes back to the host; the two hosts differ in how a program begins.
//!
//! **Architecture Invariant:** only `system` wires crates together.

#![cfg_attr(target_os = "emscripten", no_main)]

#[cfg(target_os = "emscripten")]
#[path = "os-wasm.rs"]
mod os;
#[cfg(not(target_os = "emscripten"))]
#[path = "os-posix.rs"]
mod os;
mod run;

#[cfg(not(target_os = "emscripten"))]
use os::main;
