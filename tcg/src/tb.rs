//! The header of a translation block, and the arena that headers and bytecode live in.
//!
//! The layout is stated in `include/tcg/wasm32.h`; `wasm32_h.rs` is bindgen's view of it. Headers
//! are shared by all vCPU threads: what changes after publication is atomic.

#![expect(unsafe_code, reason = "reads the offset table of the C view")]

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

pub use crate::wasm32_h::{
    TB_CF_ACCEL_SHIFT, TB_CF_ICOUNT, TB_CF_INVALID, TB_CF_TWO_PAGES, TB_THREADS_MAX, TbHeader,
};

#[allow(non_camel_case_types, reason = "the C header's name")]
pub type tb_atomic_u32 = AtomicU32;
#[allow(non_camel_case_types, reason = "the C header's name")]
pub type tb_atomic_usize = AtomicUsize;

/// Offset in a header of a thread's `wasm_instance`, for `CpuState::tb_instance_offset`.
pub const fn instance_offset(thread: usize) -> u32 {
    (std::mem::offset_of!(TbHeader, wasm_instance) + thread * size_of::<u32>()) as u32
}

/// How far a thread's `exec_count` is behind its `wasm_instance`.
pub const COUNT_BEHIND_INSTANCE: u32 = (std::mem::offset_of!(TbHeader, exec_count)
    - std::mem::offset_of!(TbHeader, wasm_instance)) as u32;

/// The offsets as a JavaScript module, made by the C compiler of the host that this is built for.
pub const TB_HEADER_JS: &str = include_str!(concat!(env!("OUT_DIR"), "/tb-header.js"));

impl TbHeader {
    /// The block is out of use.
    pub fn is_invalid(&self) -> bool {
        self.cflags.load(Ordering::Acquire) & TB_CF_INVALID != 0
    }

    /// Makes the block hot after so many executions in any thread.
    pub fn reset_counts(&self, count: u32) {
        for left in &self.exec_count {
            left.store(count, Ordering::Relaxed);
        }
    }

    /// Links exit `slot` (0 or 1) to `target`; the caller keeps book of who jumps where.
    pub fn link(&self, slot: usize, target: *const TbHeader) {
        self.jmp_target[slot & 1].store(target as usize, Ordering::Release);
    }

    /// Cuts exit `slot` loose.
    pub fn unlink(&self, slot: usize) {
        self.jmp_target[slot & 1].store(0, Ordering::Release);
    }
}

macro_rules! offsets {
    ($($field:ident)*) => {
        [$((stringify!($field), std::mem::offset_of!(TbHeader, $field)),)*
            ("SIZE", size_of::<TbHeader>())]
    };
}

/// Names and offsets as Rust has them, in order; the last is the size.
const OFFSETS: &[(&str, usize)] = &offsets!(
    tci_code tci_len tb_index icount tb_flags pc cflags wasm_module wasm_instance exec_count
    jmp_target
);

unsafe extern "C" {
    fn tcg_tb_header_offsets(out: *mut u32, max: u32) -> u32;
}

/// Compares the C, Rust and JavaScript offsets; panics where they differ.
pub fn check_layout() {
    let mut c = [0u32; 64];
    // SAFETY: the C function writes at most 64 numbers, for which there is room.
    let count = unsafe { tcg_tb_header_offsets(c.as_mut_ptr(), 64) } as usize;
    assert_eq!(count, OFFSETS.len(), "a field is missing here or there");
    let mut js = TB_HEADER_JS
        .lines()
        .skip_while(|l| !l.contains('{'))
        .skip(1);
    for ((name, offset), c) in OFFSETS.iter().zip(c) {
        assert_eq!(*offset, c as usize, "C view of {name}");
        assert_eq!(
            js.next(),
            Some(&*format!("    {name}: {offset},")),
            "JavaScript view"
        );
    }
    assert_eq!(js.next(), Some("});"));
}
