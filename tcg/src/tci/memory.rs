//! Guest memory for the interpreter: the TLB's inline path, host atomics, and what is between.
//!
//! A tag equals the page's address when the access may go straight to RAM (see `cpu_state.rs`).
//! The address that is compared is that of the access's last byte: one that reaches into the next
//! page finds a tag of another page there, so crossings need no test of their own.

#![expect(
    unsafe_code,
    reason = "guest RAM and the CPU state are reached by address"
)]

use std::ptr;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering::SeqCst};

use crate::cpu_state::{CpuState, MMU_MODES, PAGE_MASK, TLB_ENTRIES, TlbEntry};
use crate::exec::{ExecEnv, Fault};
use crate::ir::{MemOp, MemOpIdx, RmwOp};

/// Offset of a mode's TLB in `CpuState`, as instructions carry it.
pub const fn tlb_offset(mmu_idx: usize) -> u16 {
    (std::mem::offset_of!(CpuState, tlb) + mmu_idx * TLB_BYTES) as u16
}
const TLB_BYTES: usize = TLB_ENTRIES * size_of::<TlbEntry>();
const _: () =
    assert!(std::mem::offset_of!(CpuState, tlb) + (MMU_MODES - 1) * TLB_BYTES <= u16::MAX as usize);

/// The mode whose TLB is at `offset`.
pub const fn mmu_idx_of(offset: u16) -> u8 {
    ((offset as usize - std::mem::offset_of!(CpuState, tlb)) / TLB_BYTES) as u8
}

/// The entry that could translate `addr`.
///
/// # Safety
/// `state` is valid, `tlb` came from [`tlb_offset`].
#[inline(always)]
pub unsafe fn tlb_entry(state: *mut CpuState, tlb: u16, addr: u64) -> *const TlbEntry {
    let offset = tlb as usize + CpuState::tlb_index(addr) * size_of::<TlbEntry>();
    // SAFETY: the offset is within the TLB of one mode of the state.
    unsafe { state.cast::<u8>().add(offset).cast() }
}

/// Host address of a guest address.
///
/// # Safety
/// `entry` is valid, and translates `addr`.
#[inline(always)]
pub unsafe fn host<T>(entry: *const TlbEntry, addr: u64) -> *mut T {
    // SAFETY: the caller's promise.
    let addend = unsafe { (*entry).addend };
    addr.wrapping_add(addend) as usize as *mut T
}

/// Extends the low bytes of `value` as the flags of `mem` say.
#[inline(always)]
pub const fn extend(value: u64, mem: MemOp) -> u64 {
    let unused = 64u32.saturating_sub(8 * mem.bytes() as u32);
    if mem.is_signed() {
        ((value << unused) as i64 >> unused) as u64
    } else {
        value << unused >> unused
    }
}

/// Reads or writes `mem.bytes()` (up to 8) in guest order.
const fn swap_bytes(value: u64, mem: MemOp) -> u64 {
    if mem.is_big_endian() {
        value.swap_bytes() >> (64 - 8 * mem.bytes())
    } else {
        value
    }
}

/// Where in the host an access of any kind goes, if the TLB knows.
///
/// # Safety
/// `state` is valid.
unsafe fn probe(
    state: *mut CpuState,
    addr: u64,
    oi: MemOpIdx,
    aligned: bool,
    tag: impl Fn(&TlbEntry) -> u64,
) -> Option<*mut u8> {
    if oi.mmu_idx() >= MMU_MODES {
        return None;
    }
    let last = oi.mem().bytes() - 1;
    let compared = if aligned || oi.mem().must_align() {
        addr & (PAGE_MASK | last)
    } else {
        addr.wrapping_add(last) & PAGE_MASK
    };
    // SAFETY: the state is valid; the mode was checked.
    unsafe {
        let entry = tlb_entry(state, tlb_offset(oi.mmu_idx()), addr);
        (tag(&*entry) == compared).then(|| host(entry, addr))
    }
}

/// Any load of up to 8 bytes.
///
/// # Safety
/// `state` is `env.state()`; its TLB leads to mapped memory.
#[inline(never)]
pub unsafe fn load<E: ExecEnv>(
    env: &mut E,
    state: *mut CpuState,
    addr: u64,
    oi: MemOpIdx,
) -> Result<u64, Fault> {
    let mem = oi.mem();
    // SAFETY: the caller's promise; a hit leads to `mem.bytes()` bytes of RAM.
    unsafe {
        let Some(host) = probe(state, addr, oi, false, |e| e.read) else {
            return env.load_slow(addr, oi);
        };
        let value = match mem.bytes() {
            1 => u64::from(*host),
            2 => u64::from(ptr::read_unaligned(host.cast::<u16>())),
            4 => u64::from(ptr::read_unaligned(host.cast::<u32>())),
            _ => ptr::read_unaligned(host.cast::<u64>()),
        };
        Ok(extend(swap_bytes(value, mem), mem))
    }
}

/// Any store of up to 8 bytes.
///
/// # Safety
/// As for [`load`].
#[inline(never)]
pub unsafe fn store<E: ExecEnv>(
    env: &mut E,
    state: *mut CpuState,
    addr: u64,
    value: u64,
    oi: MemOpIdx,
) -> Result<(), Fault> {
    let mem = oi.mem();
    // SAFETY: the caller's promise; a hit leads to `mem.bytes()` bytes of RAM.
    unsafe {
        let Some(host) = probe(state, addr, oi, false, |e| e.write) else {
            return env.store_slow(addr, value, oi);
        };
        let value = swap_bytes(value, mem);
        match mem.bytes() {
            1 => *host = value as u8,
            2 => ptr::write_unaligned(host.cast(), value as u16),
            4 => ptr::write_unaligned(host.cast(), value as u32),
            _ => ptr::write_unaligned(host.cast(), value),
        }
    }
    Ok(())
}

/// Where an atomic access goes: aligned, and both readable and writable.
///
/// # Safety
/// `state` is valid.
unsafe fn probe_atomic(state: *mut CpuState, addr: u64, oi: MemOpIdx) -> Option<*mut u8> {
    if oi.mem().is_big_endian() || oi.mem().bytes() > 8 {
        return None;
    }
    // SAFETY: the caller's promise.
    unsafe {
        probe(state, addr, oi, true, |e| {
            if e.read == e.write { e.write } else { !0 }
        })
        .filter(|host| host.addr() as u64 & (oi.mem().bytes() - 1) == 0)
    }
}

/// Calls `$body` with the atomic of the access's size.
macro_rules! with_atomic {
    ($host:expr, $mem:expr, |$cell:ident, $unsigned:ident, $signed:ident| $body:expr) => {
        match $mem.bytes() {
            1 => with_atomic!(@ $host, AtomicU8, u8, i8, $cell, $unsigned, $signed, $body),
            2 => with_atomic!(@ $host, AtomicU16, u16, i16, $cell, $unsigned, $signed, $body),
            4 => with_atomic!(@ $host, AtomicU32, u32, i32, $cell, $unsigned, $signed, $body),
            _ => with_atomic!(@ $host, AtomicU64, u64, i64, $cell, $unsigned, $signed, $body),
        }
    };
    (@ $host:expr, $atomic:ident, $u:ty, $s:ty, $cell:ident, $unsigned:ident, $signed:ident,
     $body:expr) => {{
        #[allow(dead_code, reason = "not every body compares")]
        type $signed = $s;
        type $unsigned = $u;
        // SAFETY: `probe_atomic` found mapped memory, aligned in the host for this size.
        let $cell = unsafe { $atomic::from_ptr($host.cast()) };
        $body
    }};
}

/// See [`ExecEnv::cmpxchg_slow`].
///
/// # Safety
/// As for [`load`].
#[inline(never)]
#[expect(
    clippy::unnecessary_cast,
    reason = "the widest of the atomics is a u64 already"
)]
pub unsafe fn cmpxchg<E: ExecEnv>(
    env: &mut E,
    state: *mut CpuState,
    addr: u64,
    (expected, new): (u64, u64),
    oi: MemOpIdx,
) -> Result<u64, Fault> {
    // SAFETY: the caller's promise.
    let Some(host) = (unsafe { probe_atomic(state, addr, oi) }) else {
        return env.cmpxchg_slow(addr, expected, new, oi);
    };
    let old = with_atomic!(host, oi.mem(), |cell, U, S| {
        let (Ok(old) | Err(old)) = cell.compare_exchange(expected as U, new as U, SeqCst, SeqCst);
        old as u64
    });
    Ok(extend(old, oi.mem()))
}

/// See [`ExecEnv::rmw_slow`].
///
/// # Safety
/// As for [`load`].
#[inline(never)]
#[expect(
    clippy::unnecessary_cast,
    reason = "the widest of the atomics is a u64 already"
)]
pub unsafe fn rmw<E: ExecEnv>(
    env: &mut E,
    state: *mut CpuState,
    addr: u64,
    value: u64,
    rmw: RmwOp,
    oi: MemOpIdx,
) -> Result<u64, Fault> {
    // SAFETY: the caller's promise.
    let Some(host) = (unsafe { probe_atomic(state, addr, oi) }) else {
        return env.rmw_slow(addr, value, rmw, oi);
    };
    let old = with_atomic!(host, oi.mem(), |cell, U, S| {
        let v = value as U;
        let update = |f: fn(U, U) -> U| {
            let Ok(old) = cell.fetch_update(SeqCst, SeqCst, |x| Some(f(x, v))) else {
                unreachable!("the closure always gives a value")
            };
            old
        };
        let old = match rmw {
            RmwOp::Xchg => cell.swap(v, SeqCst),
            RmwOp::Add => cell.fetch_add(v, SeqCst),
            RmwOp::And => cell.fetch_and(v, SeqCst),
            RmwOp::Or => cell.fetch_or(v, SeqCst),
            RmwOp::Xor => cell.fetch_xor(v, SeqCst),
            RmwOp::Smin => update(|x, v| (x as S).min(v as S) as U),
            RmwOp::Smax => update(|x, v| (x as S).max(v as S) as U),
            RmwOp::Umin => update(Ord::min),
            RmwOp::Umax => update(Ord::max),
        };
        old as u64
    });
    Ok(extend(old, oi.mem()))
}
