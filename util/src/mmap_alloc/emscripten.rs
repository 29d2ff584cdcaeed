//! Guest memory under emscripten: fresh pages at the end of the wasm heap.
//!
//! `calloc` would clear them, which takes time and makes the engine commit every page; what
//! `sbrk` adds is zero already. `std::alloc` refuses more than 2 GiB on a 32-bit host.

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use parking_lot::Mutex;

use super::{BLOCK_ALIGN, FileBacking, RamBlock};

unsafe extern "C" {
    /// emscripten's takes the increment as unsigned, so that 3 GB can be had at once.
    fn sbrk(increment: isize) -> *mut c_void;
}

/// Bytes of a file that are read or written at a time.
const CHUNK: usize = 1 << 20;

/// Pieces of the heap (address, length) that were given back: the heap cannot shrink, but they can
/// be used again.
static FREE: Mutex<Vec<(usize, usize)>> = Mutex::new(Vec::new());

pub struct Memory {
    host: *mut u8,
    len: usize,
    /// What it is written back to, and from where on.
    file: Option<(File, u64)>,
}

impl Memory {
    pub fn map(len: usize) -> Result<Self, String> {
        let host = match reuse(len) {
            Some(host) => host,
            None => grow(len)?,
        };
        Ok(Self {
            host,
            len,
            file: None,
        })
    }

    pub fn map_file(len: usize, backing: FileBacking) -> Result<Self, String> {
        let rounded = len.max(1).checked_next_multiple_of(BLOCK_ALIGN);
        let memory = Self::map(rounded.ok_or("more than addresses reach")?)?;
        // A block of its own to write through; it must not give the memory back.
        let block = std::mem::ManuallyDrop::new(RamBlock { memory, len });
        let mut chunk = vec![0; CHUNK.min(len)];
        for offset in (0..len).step_by(CHUNK) {
            let piece = &mut chunk[..CHUNK.min(len - offset)];
            let read = backing
                .file
                .read_exact_at(piece, backing.offset + offset as u64);
            read.map_err(|error| error.to_string())?;
            // Memory that stays untouched costs nothing.
            if piece.iter().any(|byte| *byte != 0) {
                block.write(offset, piece);
            }
        }
        let RamBlock { memory, .. } = std::mem::ManuallyDrop::into_inner(block);
        Ok(Self {
            file: backing.share.then_some((backing.file, backing.offset)),
            ..memory
        })
    }

    pub fn host(&self) -> *mut u8 {
        self.host
    }

    /// Writes what differs, so that a sparse file stays sparse.
    pub fn sync(&self, block: &RamBlock) -> io::Result<()> {
        let Some((file, start)) = &self.file else {
            return Ok(());
        };
        let (mut now, mut before) = (vec![0; CHUNK], vec![0; CHUNK]);
        for offset in (0..block.len()).step_by(CHUNK) {
            let len = CHUNK.min(block.len() - offset);
            let at = start + offset as u64;
            block.read(offset, &mut now[..len]);
            file.read_exact_at(&mut before[..len], at)?;
            if now[..len] != before[..len] {
                file.write_all_at(&now[..len], at)?;
            }
        }
        // No fsync, as QEMU does none; emscripten's may wait, so that Asyncify would instrument all
        // that leads here.
        Ok(())
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        FREE.lock().push((self.host.addr(), self.len));
    }
}

/// A piece that was given back, zero again.
fn reuse(len: usize) -> Option<*mut u8> {
    let mut free = FREE.lock();
    let index = free.iter().position(|piece| piece.1 >= len)?;
    let (address, piece) = free.swap_remove(index);
    if piece > len {
        free.push((address + len, piece - len));
    }
    let host = std::ptr::with_exposed_provenance_mut::<u8>(address);
    // SAFETY: the piece belongs to nobody else: it was a block once, and is off the list.
    unsafe { host.write_bytes(0, len) };
    Some(host)
}

fn grow(len: usize) -> Result<*mut u8, String> {
    let full = || "the WebAssembly memory cannot grow that far".to_string();
    let with_slack = len.checked_add(BLOCK_ALIGN).ok_or_else(full)?;
    // SAFETY: emscripten's sbrk is thread-safe, and its malloc copes with others that use it.
    let start = unsafe { sbrk(with_slack as isize) };
    if start.addr() == usize::MAX {
        return Err(full());
    }
    let start = start.cast::<u8>();
    Ok(start.wrapping_add(start.align_offset(BLOCK_ALIGN)))
}
