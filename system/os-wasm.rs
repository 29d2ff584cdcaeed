//! The program's entry under emscripten, called from the `main` of `main.c`.
#![expect(unsafe_code, reason = "the entry point is called from C with C's argv")]

use std::ffi::{CStr, OsStr, OsString, c_char, c_int};
use std::os::unix::ffi::OsStrExt;

#[unsafe(no_mangle)]
extern "C" fn tinamou_main(argc: c_int, argv: *const *const c_char) -> c_int {
    exit_on_panic();
    let argc = usize::try_from(argc).unwrap_or(0);
    crate::run::run((0..argc).map(|index| argument(argv, index)).collect())
}

/// A panic says what is broken and ends the program; left to itself, the abort after it would end
/// as an uncaught JavaScript exception with a trace of addresses.
fn exit_on_panic() {
    let say = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        say(panic);
        std::process::exit(101);
    }));
}

fn argument(argv: *const *const c_char, index: usize) -> OsString {
    // SAFETY: C's `main` was given `argc` strings that live as long as the program, and `index` is
    // below `argc`.
    let text = unsafe { CStr::from_ptr(*argv.add(index)) };
    OsStr::from_bytes(text.to_bytes()).to_os_string()
}
