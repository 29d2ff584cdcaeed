//! Tests of crate `util` where it differs between hosts: the same checks run natively (cargo's unit
//! tests) and here, in a thread of an emscripten program under Node.
//!
//!   util-test [NAME ...]        runs the checks whose names contain one of NAME
//!   util-test --measure         prints what coroutines, the pool and files take
//!   util-test --overflow        runs a coroutine whose stack is too small: must say so, and end
//!
//! The last line is `N passed, M failed`; a check that fails ends the program.

#![cfg_attr(target_os = "emscripten", no_main)]

#[cfg(target_os = "emscripten")]
#[path = "../../../system/os-wasm.rs"]
mod os;
mod run;

#[cfg(not(target_os = "emscripten"))]
fn main() -> std::process::ExitCode {
    std::process::ExitCode::from(run::run(std::env::args_os().collect()) as u8)
}
