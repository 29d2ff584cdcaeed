//! The console under emscripten: the JavaScript of `wasm.c`.
#![expect(unsafe_code, reason = "calls the C functions that wrap JavaScript")]

use std::io;
use std::time::Duration;

use emscripten_functions::emscripten::run_script_int;

use super::Input;

// The C functions of `wasm.c`, which describes them.
unsafe extern "C" {
    fn tinamou_console_read(buffer: *mut u8, length: u32, timeout_ns: i64) -> i32;
    fn tinamou_console_write(bytes: *const u8, length: u32) -> i32;
    safe fn tinamou_console_is_node() -> i32;
    fn tinamou_console_set_raw(raw: i32) -> i32;
}

pub fn read(buffer: &mut [u8], timeout: Option<Duration>) -> Input {
    let timeout_ns = timeout.map_or(-1, |timeout| {
        i64::try_from(timeout.as_nanos()).unwrap_or(i64::MAX)
    });
    let length = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
    // SAFETY: at most `length` bytes are written to `buffer`, which is no shorter.
    match unsafe { tinamou_console_read(buffer.as_mut_ptr(), length, timeout_ns) } {
        0 => Input::TimedOut,
        count => usize::try_from(count).map_or(Input::Eof, Input::Bytes),
    }
}

pub fn write_all(bytes: &[u8]) -> io::Result<()> {
    for part in bytes.chunks(1 << 20) {
        let length = u32::try_from(part.len()).unwrap_or(0);
        // SAFETY: `length` bytes of `part` are read.
        if unsafe { tinamou_console_write(part.as_ptr(), length) } != 0 {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
    }
    Ok(())
}

pub fn is_terminal() -> bool {
    // A page has no terminal, and may forbid the `eval` behind this call. Any thread may ask Node.
    // (The crate's calls on the main thread that should return a number return 0, whatever it is.)
    tinamou_console_is_node() == 1 && run_script_int("require('tty').isatty(0) ? 1 : 0") == 1
}

pub fn set_raw(raw: bool) -> io::Result<()> {
    // SAFETY: takes no pointer.
    match unsafe { tinamou_console_set_raw(i32::from(raw)) } {
        0 => Ok(()),
        _ => Err(io::Error::other("the terminal's mode cannot be changed")),
    }
}
