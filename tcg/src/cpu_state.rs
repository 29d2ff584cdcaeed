//! The part of a CPU's state that generated code (TCI bytecode, wasm) knows the layout of.
//!
//! A guest CPU is `#[repr(C)]` with a [`CpuState`] as its first field; addresses of both are equal,
//! so a pointer to the one is a pointer to the other.

use std::sync::atomic::AtomicU32;

/// Slots for guest registers (from 0 up) and for temps of the interpreter (above the globals).
pub const SLOTS: usize = 256;
/// Slot that always holds 0; no global may live there.
pub const SLOT_ZERO: u8 = 254;
/// Slot for results that nobody wants; no global may live there.
pub const SLOT_DISCARD: u8 = 255;
/// MMU modes a guest may have.
pub const MMU_MODES: usize = 4;
/// log2 of the entries of each mode's first-level TLB.
pub const TLB_BITS: u32 = 9;
pub const TLB_ENTRIES: usize = 1 << TLB_BITS;
/// Guest pages are at least 4 KiB.
pub const PAGE_BITS: u32 = 12;
pub const PAGE_MASK: u64 = !0 << PAGE_BITS;
/// log2 of the entries of the jump cache.
pub const JUMP_CACHE_BITS: u32 = 12;
pub const JUMP_CACHE_ENTRIES: usize = 1 << JUMP_CACHE_BITS;

/// Flag bits below the page number in a TLB tag: any of them makes the inline compare fail.
pub const TLB_INVALID: u64 = 1 << 11;
/// Page with translated code, or not yet dirty: stores take the slow path.
pub const TLB_NOTDIRTY: u64 = 1 << 10;
/// A device window.
pub const TLB_MMIO: u64 = 1 << 9;
/// A watchpoint or a PMP border lies in the page: checked at each access.
pub const TLB_SLOW: u64 = 1 << 8;

/// A translation. Tags are the virtual page address with flag bits; [`TLB_INVALID`] alone matches
/// nothing. `host = addend + guest virtual address` (wrapping), for RAM.
#[repr(C, align(32))]
#[derive(Clone, Copy, Debug)]
pub struct TlbEntry {
    pub read: u64,
    pub write: u64,
    pub code: u64,
    pub addend: u64,
}

impl TlbEntry {
    pub const EMPTY: Self = Self {
        read: TLB_INVALID,
        write: TLB_INVALID,
        code: TLB_INVALID,
        addend: 0,
    };
}

/// Jump cache: from pc and the flags that translation depends on to the block's header.
/// Its size is a power of two on every host, for generated code to find it by a shift.
#[repr(C, align(32))]
#[derive(Clone, Copy, Debug)]
pub struct JumpCacheEntry {
    pub pc: u64,
    /// `CpuState::flags_gen` at the time of the entry.
    pub flags_gen: u64,
    /// Address of the block's `TbHeader`; 0 in an empty entry.
    pub tb: usize,
}

/// See the module's text.
#[repr(C, align(64))]
pub struct CpuState {
    pub slots: [u64; SLOTS],
    /// Asks generated code to return to the execution loop: nonzero is a request. Shared with
    /// other threads; the `Arc` that owns it is in `accel_tcg::CpuCommon`.
    pub exit_request: *const AtomicU32,
    /// Number of the pending exception, as the guest numbers them; [`NO_EXCEPTION`] is none.
    pub exception: i64,
    /// Low half: flags that translation depends on (mode, FPU enabled, …), kept up to date by the
    /// guest through `set_tb_flags`. High half: generation of the jump cache.
    pub flags_gen: u64,
    /// `-icount`: instructions left until the execution loop must look at the clock.
    pub icount_left: i64,
    /// Byte offset in a `TbHeader` of this thread's `wasm_instance`.
    pub tb_instance_offset: u32,
    /// Which guest instruction of a block raised the exception that a region left with
    /// ([`crate::wasm32::Leave::Exception`]).
    pub fault_insn: u32,
    pub tlb: [[TlbEntry; TLB_ENTRIES]; MMU_MODES],
    pub jump_cache: [JumpCacheEntry; JUMP_CACHE_ENTRIES],
}

/// Value of [`CpuState::exception`] when nothing is pending.
pub const NO_EXCEPTION: i64 = -1;

impl CpuState {
    /// The flags that translation depends on.
    pub fn tb_flags(&self) -> u32 {
        self.flags_gen as u32
    }

    /// Sets them.
    pub fn set_tb_flags(&mut self, flags: u32) {
        self.flags_gen = self.flags_gen >> 32 << 32 | u64::from(flags);
    }

    /// Where the jump cache keeps `pc`.
    #[inline(always)]
    pub const fn jump_cache_index(pc: u64) -> usize {
        let pc = (pc >> 1) as usize;
        (pc ^ pc >> JUMP_CACHE_BITS) % JUMP_CACHE_ENTRIES
    }

    /// Which entry of a mode's TLB translates `addr`.
    #[inline(always)]
    pub const fn tlb_index(addr: u64) -> usize {
        (addr >> PAGE_BITS) as usize % TLB_ENTRIES
    }

    /// Forgets the jump cache in constant time.
    pub fn flush_jump_cache(&mut self) {
        self.flags_gen = self.flags_gen.wrapping_add(1 << 32);
    }
}
