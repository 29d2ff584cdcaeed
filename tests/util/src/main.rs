//! Tests of crate `util` where it differs between hosts: the same checks run natively (cargo's unit
//! tests) and here, in a thread of an emscripten program under Node.
//!
//!   util-test [NAME ...]        runs the checks whose names contain one of NAME
//!   util-test --measure         prints what coroutines, the pool and files take
//!   util-test --overflow        runs a coroutine whose stack is too small: must say so, and end
//!   util-test --serve           natively: the server of the checks of HTTP, for --http=URL of the
//!                               same program under Node; prints its URL, ends when stdin does
//!
//! The last line is `N passed, M failed`; a check that fails ends the program.

#![cfg_attr(target_os = "emscripten", no_main)]

#[cfg(target_os = "emscripten")]
#[path = "../../../system/os-wasm.rs"]
mod os;
mod run;

#[cfg(not(target_os = "emscripten"))]
fn main() -> std::process::ExitCode {
    if std::env::args().nth(1).as_deref() == Some("--serve") {
        let server = util::http::cases::server::Server::start_with_examples();
        println!("{}", server.url(""));
        let ended = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        return std::process::ExitCode::from(u8::from(ended.is_err()));
    }
    std::process::ExitCode::from(run::run(std::env::args_os().collect()) as u8)
}
