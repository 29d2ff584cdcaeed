//! Guest memory accesses the slow way: TLB misses, page crossings, devices, pages with code,
//! alignment faults. Generated code falls back to these, and guests' helpers call them.
//!
//! On [`Fault`] an exception is pending in the CPU, and nothing was stored: both pages of an access
//! are checked before the first byte is written. A helper that gets one returns at once (it is
//! declared `MAY_RAISE`).

use include::{AccessSize, PhysAddr, VirtAddr};
use tcg::Fault;
use tcg::cpu_state::PAGE_MASK;
use tcg::ir::{MemOp, MemOpIdx};

use crate::cpu::{Alone, internal_exception};
use crate::guest::{Access, GuestCpu};
use crate::tlb::{Page, PageRam};

/// The page around `addr`, allowed for the access.
pub(crate) fn translate<G: GuestCpu>(
    cpu: &mut G,
    addr: u64,
    access: Access,
    mmu_idx: usize,
) -> Result<Page, Fault> {
    if let Some(page) = cpu.common_mut().tlb_lookup(addr, access, mmu_idx) {
        return Ok(page);
    }
    let fill = cpu
        .tlb_fill(VirtAddr(addr), access, mmu_idx, false)
        .map_err(|()| Fault)?;
    let page = cpu.common_mut().tlb_enter(addr, mmu_idx, &fill);
    if !page.allows(access) {
        cpu.raise_bus_error(VirtAddr(addr), access);
        return Err(Fault);
    }
    Ok(page)
}

/// `translate`, for an access of `bytes` bytes that stays in the page.
pub(crate) fn translate_bytes<G: GuestCpu>(
    cpu: &mut G,
    addr: u64,
    bytes: u64,
    access: Access,
    mmu_idx: usize,
) -> Result<Page, Fault> {
    let page = translate(cpu, addr, access, mmu_idx)?;
    if !page.covers(bytes) {
        cpu.raise_bus_error(VirtAddr(addr), access);
        return Err(Fault);
    }
    Ok(page)
}

/// Checks that an access of `bytes` bytes would be allowed; else its fault is pending.
pub fn probe<G: GuestCpu>(
    cpu: &mut G,
    addr: u64,
    bytes: u64,
    access: Access,
    mmu_idx: usize,
) -> Result<(), Fault> {
    translate(cpu, addr, access, mmu_idx)?;
    if crosses(addr, bytes) {
        translate(cpu, second_page(addr), access, mmu_idx)?;
    }
    Ok(())
}

fn crosses(addr: u64, bytes: u64) -> bool {
    (addr & !PAGE_MASK) + bytes > 1 << tcg::cpu_state::PAGE_BITS
}

fn second_page(addr: u64) -> u64 {
    (addr & PAGE_MASK).wrapping_add(!PAGE_MASK + 1)
}

/// The two pages of an access that crosses from one to the next, and where the second starts.
struct Pair {
    pages: [Page; 2],
    border: u64,
}

impl Pair {
    fn of<G: GuestCpu>(
        cpu: &mut G,
        addr: u64,
        access: Access,
        mmu_idx: usize,
    ) -> Result<Self, Fault> {
        let border = second_page(addr);
        let first = translate(cpu, addr, access, mmu_idx)?;
        Ok(Self {
            pages: [first, translate(cpu, border, access, mmu_idx)?],
            border,
        })
    }

    fn page(&self, at: u64) -> &Page {
        &self.pages[usize::from(at & PAGE_MASK == self.border)]
    }
}

fn misaligned<G: GuestCpu>(cpu: &mut G, addr: u64, access: Access, atomic: bool) -> Fault {
    cpu.raise_misaligned(VirtAddr(addr), access, atomic);
    Fault
}

/// Leaves one of the accelerator's own exceptions pending.
pub(crate) fn internal<G: GuestCpu>(cpu: &mut G, exception: i64) -> Fault {
    cpu.common_mut().raise(exception);
    Fault
}

/// A device access is about to happen: under `-icount` its instruction must be alone, so that the
/// time that it sees is exact.
fn before_device<G: GuestCpu>(cpu: &mut G) -> Result<(), Fault> {
    let common = cpu.common_mut();
    if common.icount.is_some() {
        if common.alone == Alone::No {
            return Err(internal(cpu, internal_exception::ALONE));
        }
        common.icount_sync();
    }
    Ok(())
}

fn device_load<G: GuestCpu>(cpu: &mut G, page: &Page, addr: u64, bytes: u64) -> Result<u64, Fault> {
    before_device(cpu)?;
    let physical = page.paddr | addr & !PAGE_MASK;
    let memory = &cpu.common().memory;
    let value = match AccessSize::from_bytes(bytes) {
        Some(size) if physical & (bytes - 1) == 0 => memory.io_read(PhysAddr(physical), size),
        _ => (0..bytes).try_fold(0, |value, i| {
            let byte = memory.io_read(PhysAddr(physical + i), AccessSize::Byte)?;
            Ok(value | (byte & 0xff) << (8 * i))
        }),
    };
    value.map_err(|_| {
        cpu.raise_bus_error(VirtAddr(addr), Access::Load);
        Fault
    })
}

fn device_store<G: GuestCpu>(
    cpu: &mut G,
    page: &Page,
    addr: u64,
    bytes: u64,
    value: u64,
) -> Result<(), Fault> {
    before_device(cpu)?;
    let physical = page.paddr | addr & !PAGE_MASK;
    let memory = &cpu.common().memory;
    let done = match AccessSize::from_bytes(bytes) {
        Some(size) if physical & (bytes - 1) == 0 => {
            memory.io_write(PhysAddr(physical), size, value & size.mask())
        }
        _ => (0..bytes).try_for_each(|i| {
            memory.io_write(
                PhysAddr(physical + i),
                AccessSize::Byte,
                value >> (8 * i) & 0xff,
            )
        }),
    };
    done.map_err(|_| {
        cpu.raise_bus_error(VirtAddr(addr), Access::Store);
        Fault
    })
}

/// Up to 8 bytes of one page, zero-extended, little-endian.
fn page_load<G: GuestCpu>(cpu: &mut G, page: &Page, addr: u64, bytes: u64) -> Result<u64, Fault> {
    match page.ram {
        Some(ram) => Ok(ram.host.load(addr, bytes)),
        None => device_load(cpu, page, addr, bytes),
    }
}

/// Stores up to 8 bytes into one page. `check_code` went before.
fn page_store<G: GuestCpu>(
    cpu: &mut G,
    page: &Page,
    addr: u64,
    bytes: u64,
    value: u64,
    mmu_idx: usize,
) -> Result<(), Fault> {
    match page.ram {
        Some(ram) if page.is_writable_ram() => {
            ram.host.store(addr, bytes, value);
            after_store(cpu, ram, addr, bytes, mmu_idx);
            Ok(())
        }
        Some(_) => Ok(()),
        None => device_store(cpu, page, addr, bytes, value),
    }
}

/// A store that overlaps translated code runs alone, so that what follows it is translated anew.
pub(crate) fn check_code<G: GuestCpu>(
    cpu: &mut G,
    page: &Page,
    addr: u64,
    bytes: u64,
) -> Result<(), Fault> {
    let common = cpu.common();
    if let (Some(ram), Some(tbs), Alone::No) = (page.ram, &common.tbs, common.alone)
        && tbs.has_block_at(ram.index, addr, bytes)
    {
        return Err(internal(cpu, internal_exception::ALONE));
    }
    Ok(())
}

/// Bytes were stored to RAM through the TLB.
pub(crate) fn after_store<G: GuestCpu>(
    cpu: &mut G,
    ram: PageRam,
    addr: u64,
    bytes: u64,
    mmu_idx: usize,
) {
    let common = cpu.common_mut();
    common.stored(ram.index, addr, bytes);
    let Some(tbs) = &common.tbs else { return };
    if !tbs.has_code(ram.index) {
        common.tlb_unprotect(addr, mmu_idx);
    } else if common.alone == Alone::No {
        common.stored_beside_code(ram.index);
    }
}

/// What an access of this kind makes of the bytes in memory: swapped and extended.
pub(crate) fn extend(value: u64, mem: MemOp) -> u64 {
    let unused = 64 - 8 * mem.bytes().min(8) as u32;
    let value = if mem.is_big_endian() {
        value.swap_bytes() >> unused
    } else {
        value
    };
    match mem.is_signed() {
        true => (((value << unused) as i64) >> unused) as u64,
        false => value << unused >> unused,
    }
}

/// The other way round: the bytes to store.
pub(crate) fn to_memory(value: u64, mem: MemOp) -> u64 {
    let unused = 64 - 8 * mem.bytes().min(8) as u32;
    if mem.is_big_endian() {
        value.swap_bytes() >> unused
    } else {
        value << unused >> unused
    }
}

/// Loads 1 to 8 bytes, extended as `oi` says.
pub fn load<G: GuestCpu>(cpu: &mut G, addr: u64, oi: MemOpIdx) -> Result<u64, Fault> {
    let (mem, bytes) = (oi.mem(), oi.mem().bytes().min(8));
    if mem.must_align() && addr & (bytes - 1) != 0 {
        return Err(misaligned(cpu, addr, Access::Load, false));
    }
    let value = load_bytes(cpu, addr, bytes, oi.mmu_idx())?;
    Ok(extend(value, mem))
}

fn load_bytes<G: GuestCpu>(
    cpu: &mut G,
    addr: u64,
    bytes: u64,
    mmu_idx: usize,
) -> Result<u64, Fault> {
    if !crosses(addr, bytes) {
        let page = translate_bytes(cpu, addr, bytes, Access::Load, mmu_idx)?;
        return page_load(cpu, &page, addr, bytes);
    }
    let pair = Pair::of(cpu, addr, Access::Load, mmu_idx)?;
    let mut value = 0;
    for i in 0..bytes {
        let at = addr.wrapping_add(i);
        value |= (page_load(cpu, pair.page(at), at, 1)? & 0xff) << (8 * i);
    }
    Ok(value)
}

/// Stores the low 1 to 8 bytes of `value`.
pub fn store<G: GuestCpu>(cpu: &mut G, addr: u64, value: u64, oi: MemOpIdx) -> Result<(), Fault> {
    let (mem, bytes) = (oi.mem(), oi.mem().bytes().min(8));
    if mem.must_align() && addr & (bytes - 1) != 0 {
        return Err(misaligned(cpu, addr, Access::Store, false));
    }
    store_bytes(cpu, addr, bytes, to_memory(value, mem), oi.mmu_idx())
}

fn store_bytes<G: GuestCpu>(
    cpu: &mut G,
    addr: u64,
    bytes: u64,
    value: u64,
    mmu_idx: usize,
) -> Result<(), Fault> {
    if !crosses(addr, bytes) {
        let page = translate_bytes(cpu, addr, bytes, Access::Store, mmu_idx)?;
        check_code(cpu, &page, addr, bytes)?;
        return page_store(cpu, &page, addr, bytes, value, mmu_idx);
    }
    let pair = Pair::of(cpu, addr, Access::Store, mmu_idx)?;
    check_code(cpu, &pair.pages[0], addr, bytes)?;
    check_code(cpu, &pair.pages[1], pair.border, bytes)?;
    (0..bytes).try_for_each(|i| {
        let at = addr.wrapping_add(i);
        page_store(cpu, pair.page(at), at, 1, value >> (8 * i), mmu_idx)
    })
}

/// Zeroes the aligned block of `bytes` bytes (a power of two from 8 to a page) around `addr`; a
/// fault reports `addr` itself.
pub fn zero<G: GuestCpu>(cpu: &mut G, addr: u64, bytes: u64, mmu_idx: usize) -> Result<(), Fault> {
    let page = translate(cpu, addr, Access::Store, mmu_idx)?;
    let first = addr & bytes.wrapping_neg();
    check_code(cpu, &page, first, bytes)?;
    let words = (0..bytes / 8).map(|i| first + 8 * i);
    match page.ram {
        Some(ram) if page.is_writable_ram() => {
            words.for_each(|at| ram.host.store(at, 8, 0));
            after_store(cpu, ram, first, bytes, mmu_idx);
            Ok(())
        }
        Some(_) => Ok(()),
        None => {
            let mut words = words;
            words.try_for_each(|at| device_store(cpu, &page, at, 8, 0))
        }
    }
}

/// Loads 16 bytes as (low, high). Not one access: see `atomic::cmpxchg2`.
pub fn load2<G: GuestCpu>(cpu: &mut G, addr: u64, oi: MemOpIdx) -> Result<(u64, u64), Fault> {
    if oi.mem().must_align() && addr & 15 != 0 {
        return Err(misaligned(cpu, addr, Access::Load, false));
    }
    let first = load_bytes(cpu, addr, 8, oi.mmu_idx())?;
    let second = load_bytes(cpu, addr.wrapping_add(8), 8, oi.mmu_idx())?;
    Ok(pair_of(first, second, oi.mem()))
}

/// Stores 16 bytes.
pub fn store2<G: GuestCpu>(
    cpu: &mut G,
    addr: u64,
    low: u64,
    high: u64,
    oi: MemOpIdx,
) -> Result<(), Fault> {
    if oi.mem().must_align() && addr & 15 != 0 {
        return Err(misaligned(cpu, addr, Access::Store, false));
    }
    let upper = addr.wrapping_add(8);
    for at in [addr, upper, upper.wrapping_add(7)] {
        let page = translate(cpu, at, Access::Store, oi.mmu_idx())?;
        check_code(cpu, &page, at, 8.min(second_page(at).wrapping_sub(at)))?;
    }
    let (first, second) = pair_of(low, high, oi.mem());
    store_bytes(cpu, addr, 8, first, oi.mmu_idx())?;
    store_bytes(cpu, upper, 8, second, oi.mmu_idx())
}

/// The (low, high) numbers of two words in memory, and the other way round.
pub(crate) fn pair_of(first: u64, second: u64, mem: MemOp) -> (u64, u64) {
    match mem.is_big_endian() {
        true => (second.swap_bytes(), first.swap_bytes()),
        false => (first, second),
    }
}
