//! The code buffer: one arena for the headers and the bytecode of all blocks.
//!
//! Addresses are stable until `reset`. Its size is QEMU's `tb-size`. Blocks are made by one thread
//! at a time (the accelerator's lock) and read by all.

#![expect(unsafe_code, reason = "generated code refers to blocks by address")]

use std::alloc::{Layout, alloc, dealloc};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicUsize};

use crate::CompiledBlock;
use crate::tb::{TB_THREADS_MAX, TbHeader};

const ALIGN: usize = 64;
/// The smallest buffer: holds any one block.
pub const CODE_BUFFER_BYTES_MIN: usize = 1 << 20;

/// What the accelerator says of a new block.
#[derive(Clone, Copy, Debug, Default)]
pub struct BlockInfo {
    pub pc: u64,
    pub tb_flags: u32,
    pub cflags: u32,
    /// Guest instructions.
    pub icount: u32,
    pub tb_index: u32,
    /// Executions until the block is hot, for each thread.
    pub exec_count: u32,
}

/// There is no room left: stop all vCPUs, forget all blocks, `reset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeBufferFull;

/// See the module's text.
pub struct CodeBuffer {
    base: NonNull<u8>,
    layout: Layout,
    used: usize,
}

// SAFETY: the arena is owned memory; what is shared in it is behind atomics or never changes.
unsafe impl Send for CodeBuffer {}

impl CodeBuffer {
    /// An arena of about `bytes` (at least [`CODE_BUFFER_BYTES_MIN`]); `None` when the host has not
    /// that much memory.
    pub fn new(bytes: usize) -> Option<Self> {
        let layout = Layout::from_size_align(bytes.max(CODE_BUFFER_BYTES_MIN), ALIGN).ok()?;
        // Not cleared, which under emscripten would touch every page: `push` writes what is read.
        // SAFETY: the size is not zero.
        let base = NonNull::new(unsafe { alloc(layout) })?;
        Some(Self {
            base,
            layout,
            used: 0,
        })
    }

    /// Copies a compiled block into the arena, unlinked and valid.
    pub fn push(
        &mut self,
        block: &CompiledBlock,
        info: &BlockInfo,
    ) -> Result<NonNull<TbHeader>, CodeBufferFull> {
        let code_bytes = size_of_val(&block.code[..]);
        let bytes = size_of::<TbHeader>() + code_bytes;
        let start = self.used.next_multiple_of(align_of::<TbHeader>());
        if bytes > self.layout.size().saturating_sub(start) {
            return Err(CodeBufferFull);
        }
        // SAFETY: `start + bytes` is within the arena, and nothing there is in use.
        let header = unsafe { self.base.add(start).cast::<TbHeader>() };
        // SAFETY: as above; the bytecode starts right behind the header.
        let code = unsafe { header.add(1).cast::<u64>() };
        // SAFETY: both are aligned to 8, in the arena, and apart from `block`.
        unsafe {
            header.write(new_header(code.as_ptr() as usize, code_bytes, info));
            code.copy_from_nonoverlapping(NonNull::from(&block.code[..]).cast(), block.code.len());
        }
        self.used = start + bytes;
        Ok(header)
    }

    /// Bytes in use.
    pub fn used(&self) -> usize {
        self.used
    }

    /// Bytes in all.
    pub fn size(&self) -> usize {
        self.layout.size()
    }

    /// Forgets all blocks.
    ///
    /// # Safety
    /// No thread runs a block, and no header's address is used any more (jump caches, links and
    /// the accelerator's tables are empty).
    pub unsafe fn reset(&mut self) {
        self.used = 0;
    }
}

impl Drop for CodeBuffer {
    fn drop(&mut self) {
        // SAFETY: allocated by `new` with this layout.
        unsafe { dealloc(self.base.as_ptr(), self.layout) }
    }
}

fn new_header(tci_code: usize, tci_len: usize, info: &BlockInfo) -> TbHeader {
    TbHeader {
        tci_code,
        tci_len: tci_len as u32,
        tb_index: info.tb_index,
        icount: info.icount,
        tb_flags: info.tb_flags,
        pc: info.pc,
        cflags: AtomicU32::new(info.cflags),
        wasm_module: AtomicU32::new(0),
        wasm_instance: [const { AtomicU32::new(0) }; TB_THREADS_MAX as usize],
        exec_count: std::array::from_fn(|_| AtomicU32::new(info.exec_count)),
        jmp_target: [const { AtomicUsize::new(0) }; 2],
    }
}
