//! Tests of the WebAssembly back end where its code runs: in a thread of an emscripten program
//! under Node. Functions of `tcg/tests` become WebAssembly, and what comes out of them is compared
//! with the evaluator and the interpreter.
//!
//!   node wasm32-test.js [COUNT [FIRST SEED]]
//!
//! The last line is `N passed, M failed`. A native build has nothing to test.

#![cfg_attr(target_os = "emscripten", no_main)]
#![allow(unsafe_code, reason = "runs generated code")]

#[cfg(target_os = "emscripten")]
#[path = "../../../tcg/tests/common/mod.rs"]
mod common;
#[cfg(target_os = "emscripten")]
mod directed;
#[cfg(target_os = "emscripten")]
mod machine;
#[cfg(target_os = "emscripten")]
mod program;
#[cfg(target_os = "emscripten")]
mod regions;

#[cfg(not(target_os = "emscripten"))]
fn main() {
    println!("this test runs under Node: scripts/test wasm32");
}
