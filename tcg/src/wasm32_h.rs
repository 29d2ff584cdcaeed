//! The Rust view of `include/tcg/wasm32.h`, made by bindgen: do not edit.
//! `BLESS=1 cargo test -p tcg --test header` makes it anew; the types `tb_atomic_*` are in `tb.rs`.

use super::tb::{tb_atomic_u32, tb_atomic_usize};

pub const TB_THREADS_MAX: u32 = 9;
pub const TB_CF_INVALID: u32 = 1;
pub const TB_CF_ICOUNT: u32 = 2;
pub const TB_CF_TWO_PAGES: u32 = 4;
pub const TB_CF_ACCEL_SHIFT: u32 = 8;
#[repr(C)]
pub struct TbHeader {
    pub tci_code: usize,
    pub tci_len: u32,
    pub tb_index: u32,
    pub icount: u32,
    pub tb_flags: u32,
    pub pc: u64,
    pub cflags: tb_atomic_u32,
    pub wasm_module: tb_atomic_u32,
    pub wasm_instance: [tb_atomic_u32; 9usize],
    pub exec_count: [tb_atomic_u32; 9usize],
    pub jmp_target: [tb_atomic_usize; 2usize],
}
