//! Guest memory under emscripten: fresh pages at the end of the wasm heap.
//!
//! `calloc` would clear them, which takes time and makes the engine commit every page; what
//! `sbrk` adds is zero already. `std::alloc` refuses more than 2 GiB on a 32-bit host.

use std::ffi::c_void;

use super::BLOCK_ALIGN;

unsafe extern "C" {
    /// emscripten's takes the increment as unsigned, so that 3 GB can be had at once.
    fn sbrk(increment: isize) -> *mut c_void;
}

pub struct Memory {
    host: *mut u8,
}

impl Memory {
    /// Never given back: the heap cannot shrink.
    pub fn map(len: usize) -> Result<Self, String> {
        let full = || "the WebAssembly memory cannot grow that far".to_string();
        let with_slack = len.checked_add(BLOCK_ALIGN).ok_or_else(full)?;
        // SAFETY: emscripten's sbrk is thread-safe, and its malloc copes with others that use it.
        let start = unsafe { sbrk(with_slack as isize) };
        if start.addr() == usize::MAX {
            return Err(full());
        }
        let start = start.cast::<u8>();
        Ok(Self {
            host: start.wrapping_add(start.align_offset(BLOCK_ALIGN)),
        })
    }

    pub fn host(&self) -> *mut u8 {
        self.host
    }
}
