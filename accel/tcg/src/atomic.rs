//! Atomic read-modify-write of guest memory, the slow way.
//!
//! Accesses of up to 8 bytes are the host's atomics. Those of 16 bytes run alone in an exclusive
//! section when other vCPUs have threads of their own.

use include::VirtAddr;
use tcg::Fault;
use tcg::ir::{MemOp, MemOpIdx, RmwOp};

use crate::cpu::{Alone, internal_exception};
use crate::guest::{Access, GuestCpu};
use crate::ldst::{self, after_store, check_code, extend, pair_of, to_memory};
use crate::tlb::PageRam;

/// The RAM behind an aligned address that may be written.
fn target<G: GuestCpu>(
    cpu: &mut G,
    addr: u64,
    bytes: u64,
    mmu_idx: usize,
) -> Result<PageRam, Fault> {
    if addr & (bytes - 1) != 0 {
        cpu.raise_misaligned(VirtAddr(addr), Access::Store, true);
        return Err(Fault);
    }
    let page = ldst::translate_bytes(cpu, addr, bytes, Access::Store, mmu_idx)?;
    match page.ram {
        Some(ram) if page.is_writable_ram() => {
            check_code(cpu, &page, addr, bytes)?;
            Ok(ram)
        }
        _ => {
            cpu.raise_bus_error(VirtAddr(addr), Access::Store);
            Err(Fault)
        }
    }
}

/// Stores `new` if memory holds `expected`; returns the old value, extended.
pub fn cmpxchg<G: GuestCpu>(
    cpu: &mut G,
    addr: u64,
    expected: u64,
    new: u64,
    oi: MemOpIdx,
) -> Result<u64, Fault> {
    let (mem, bytes) = (oi.mem(), oi.mem().bytes().min(8));
    let ram = target(cpu, addr, bytes, oi.mmu_idx())?;
    let old = ram
        .host
        .cmpxchg(addr, bytes, to_memory(expected, mem), to_memory(new, mem));
    after_store(cpu, ram, addr, bytes, oi.mmu_idx());
    Ok(extend(old, mem))
}

/// 16 bytes, pairs are (low, high).
pub fn cmpxchg2<G: GuestCpu>(
    cpu: &mut G,
    addr: u64,
    expected: (u64, u64),
    new: (u64, u64),
    oi: MemOpIdx,
) -> Result<(u64, u64), Fault> {
    let ram = target(cpu, addr, 16, oi.mmu_idx())?;
    if cpu.common().parallel && cpu.common().alone != Alone::Exclusive {
        return Err(ldst::internal(cpu, internal_exception::EXCLUSIVE));
    }
    let words = (ram.host.load(addr, 8), ram.host.load(addr + 8, 8));
    let old = pair_of(words.0, words.1, oi.mem());
    if old == expected {
        let (first, second) = pair_of(new.0, new.1, oi.mem());
        ram.host.store(addr, 8, first);
        ram.host.store(addr + 8, 8, second);
        after_store(cpu, ram, addr, 16, oi.mmu_idx());
    }
    Ok(old)
}

/// Read-modify-write; returns the old value, extended.
pub fn rmw<G: GuestCpu>(
    cpu: &mut G,
    addr: u64,
    value: u64,
    rmw: RmwOp,
    oi: MemOpIdx,
) -> Result<u64, Fault> {
    let (mem, bytes) = (oi.mem(), oi.mem().bytes().min(8));
    let ram = target(cpu, addr, bytes, oi.mmu_idx())?;
    let old = match mem.is_big_endian() {
        false => ram.host.rmw(addr, bytes, rmw, value),
        true => rmw_big_endian(ram, addr, value, rmw, mem),
    };
    after_store(cpu, ram, addr, bytes, oi.mmu_idx());
    Ok(extend(old, mem))
}

/// As bytes in memory: the host has no such operation, so it is a loop of compare-and-swap.
fn rmw_big_endian(ram: PageRam, addr: u64, value: u64, rmw: RmwOp, mem: MemOp) -> u64 {
    let bytes = mem.bytes().min(8);
    let mut seen = ram.host.load(addr, bytes);
    loop {
        let new = to_memory(apply(rmw, seen, value, mem), mem);
        let now = ram.host.cmpxchg(addr, bytes, seen, new);
        if now == seen {
            return seen;
        }
        seen = now;
    }
}

fn apply(rmw: RmwOp, seen: u64, value: u64, mem: MemOp) -> u64 {
    let old = extend(seen, mem);
    let unused = 64 - 8 * mem.bytes().min(8) as u32;
    // Shifted up, so that comparisons see the sign.
    let (a, b) = (old << unused, value << unused);
    let pick = |first: bool| if first { old } else { value };
    match rmw {
        RmwOp::Xchg => value,
        RmwOp::Add => old.wrapping_add(value),
        RmwOp::And => old & value,
        RmwOp::Or => old | value,
        RmwOp::Xor => old ^ value,
        RmwOp::Smin => pick((a as i64) < b as i64),
        RmwOp::Smax => pick(a as i64 > b as i64),
        RmwOp::Umin => pick(a < b),
        RmwOp::Umax => pick(a > b),
    }
}
