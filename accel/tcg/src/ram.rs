//! Guest RAM as the vCPUs touch it: every access of naturally aligned bytes is one atomic access of
//! the host, so that vCPU threads, devices and generated code may race on it as guests do.
//!
//! The host is little-endian (the crate `tcg` refuses others), as values here are.

#![expect(
    unsafe_code,
    reason = "guest RAM is shared with generated code and devices"
)]

use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

use include::RamPage;
use tcg::cpu_state::PAGE_MASK;
use tcg::ir::RmwOp;

const PAGE_SIZE: usize = 4096;

/// A page of guest RAM in the host. Made from a [`RamPage`] only, whose memory stays mapped as long
/// as the machine lives (every vCPU holds its `AddressSpace`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HostPage(usize);

impl HostPage {
    pub(crate) fn new(page: &RamPage) -> Self {
        let host = page.host as usize;
        assert!(host.is_multiple_of(16), "guest RAM is aligned");
        Self(host)
    }

    /// As a number, for `TlbEntry::addend`.
    pub(crate) fn number(self) -> u64 {
        self.0 as u64
    }

    /// Up to 8 bytes from the page offset of `addr` on, as many as the page has; and how many.
    pub(crate) fn fetch(self, addr: u64) -> ([u8; 8], usize) {
        let count = (PAGE_SIZE - Self::offset(addr)).min(8);
        (self.load_bytes(addr, count as u64).to_le_bytes(), count)
    }

    fn offset(addr: u64) -> usize {
        (addr & !PAGE_MASK) as usize
    }

    /// The `T` at the page offset of `addr`, which is aligned.
    fn cell<T>(self, addr: u64) -> &'static T {
        let at = self.0 + Self::offset(addr);
        assert!(at.is_multiple_of(size_of::<T>()), "an aligned access");
        // SAFETY: `T` is one of the atomic integers (private function), for which all bytes are
        // valid. It is aligned (checked), so it lies in the page, which is mapped as long as the
        // machine lives; the reference does not leave this module.
        unsafe { &*(at as *const T) }
    }

    /// Loads 1, 2, 4 or 8 bytes of the page, zero-extended. One access if aligned.
    pub(crate) fn load(self, addr: u64, bytes: u64) -> u64 {
        match bytes {
            _ if addr & (bytes - 1) != 0 => self.load_bytes(addr, bytes),
            1 => self.cell::<AtomicU8>(addr).load(Ordering::Relaxed).into(),
            2 => self.cell::<AtomicU16>(addr).load(Ordering::Relaxed).into(),
            4 => self.cell::<AtomicU32>(addr).load(Ordering::Relaxed).into(),
            _ => self.cell::<AtomicU64>(addr).load(Ordering::Relaxed),
        }
    }

    /// Up to 8 bytes that do not leave the page; one access if they lie in one aligned word.
    fn load_bytes(self, addr: u64, bytes: u64) -> u64 {
        let (first, shift) = (addr & !7, (addr & 7) * 8);
        let mut value = self.cell::<AtomicU64>(first).load(Ordering::Relaxed) >> shift;
        if shift + 8 * bytes > 64 {
            let next = self
                .cell::<AtomicU64>(first.wrapping_add(8))
                .load(Ordering::Relaxed);
            value |= next << (64 - shift);
        }
        value & (u64::MAX >> (64 - 8 * bytes))
    }

    /// Stores the low 1, 2, 4 or 8 bytes of `value`. One access if aligned.
    pub(crate) fn store(self, addr: u64, bytes: u64, value: u64) {
        match bytes {
            _ if addr & (bytes - 1) != 0 => {
                (0..bytes).for_each(|i| self.store(addr + i, 1, value >> (8 * i)));
            }
            1 => self
                .cell::<AtomicU8>(addr)
                .store(value as u8, Ordering::Relaxed),
            2 => self
                .cell::<AtomicU16>(addr)
                .store(value as u16, Ordering::Relaxed),
            4 => self
                .cell::<AtomicU32>(addr)
                .store(value as u32, Ordering::Relaxed),
            _ => self.cell::<AtomicU64>(addr).store(value, Ordering::Relaxed),
        }
    }

    /// Compare-and-swap of 1, 2, 4 or 8 aligned bytes; returns what was there, zero-extended.
    pub(crate) fn cmpxchg(self, addr: u64, bytes: u64, expected: u64, new: u64) -> u64 {
        macro_rules! exchange {
            ($atomic:ty, $int:ty) => {{
                let (ok, err) = (Ordering::SeqCst, Ordering::SeqCst);
                let cell = self.cell::<$atomic>(addr);
                match cell.compare_exchange(expected as $int, new as $int, ok, err) {
                    Ok(old) | Err(old) => old as u64,
                }
            }};
        }
        match bytes {
            1 => exchange!(AtomicU8, u8),
            2 => exchange!(AtomicU16, u16),
            4 => exchange!(AtomicU32, u32),
            _ => exchange!(AtomicU64, u64),
        }
    }

    /// Atomic read-modify-write of 1, 2, 4 or 8 aligned bytes; returns what was there.
    pub(crate) fn rmw(self, addr: u64, bytes: u64, rmw: RmwOp, value: u64) -> u64 {
        macro_rules! apply {
            ($atomic:ty, $int:ty, $signed:ty) => {{
                let cell = self.cell::<$atomic>(addr);
                let (v, order) = (value as $int, Ordering::SeqCst);
                let signed = |f: fn($signed, $signed) -> $signed| {
                    let new = |old: $int| f(old as $signed, v as $signed) as $int;
                    cell.update(order, order, new)
                };
                u64::from(match rmw {
                    RmwOp::Xchg => cell.swap(v, order),
                    RmwOp::Add => cell.fetch_add(v, order),
                    RmwOp::And => cell.fetch_and(v, order),
                    RmwOp::Or => cell.fetch_or(v, order),
                    RmwOp::Xor => cell.fetch_xor(v, order),
                    RmwOp::Umin => cell.fetch_min(v, order),
                    RmwOp::Umax => cell.fetch_max(v, order),
                    RmwOp::Smin => signed(<$signed>::min),
                    RmwOp::Smax => signed(<$signed>::max),
                })
            }};
        }
        match bytes {
            1 => apply!(AtomicU8, u8, i8),
            2 => apply!(AtomicU16, u16, i16),
            4 => apply!(AtomicU32, u32, i32),
            _ => apply!(AtomicU64, u64, i64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> HostPage {
        let words: &'static mut [u128] = vec![0u128; PAGE_SIZE / 16].leak();
        HostPage::new(&RamPage {
            host: words.as_mut_ptr().cast(),
            index: 0,
            writable: true,
        })
    }

    #[test]
    fn misaligned_accesses_are_whole() {
        let page = page();
        page.store(0x1_0003, 8, 0x1122_3344_5566_7788);
        assert_eq!(page.load(3, 8), 0x1122_3344_5566_7788);
        assert_eq!(page.load(5, 2), 0x5566);
        assert_eq!(page.load(7, 4), 0x1122_3344);
        page.store(0xffd, 1, 0x77);
        assert_eq!(page.fetch(0xffd), ([0x77, 0, 0, 0, 0, 0, 0, 0], 3));
        assert_eq!(
            page.fetch(5),
            ([0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0, 0], 8)
        );
    }

    #[test]
    fn rmw_by_width_and_sign() {
        let page = page();
        let check = |bytes, start, rmw, value, expected| {
            page.store(8, 8, start);
            let cut = u64::MAX >> (64 - 8 * bytes);
            assert_eq!(page.rmw(8, bytes, rmw, value), start & cut, "{rmw:?}");
            assert_eq!(page.load(8, 8), expected, "{rmw:?}");
        };
        check(1, 0x180, RmwOp::Smin, 1, 0x180);
        check(1, 0x180, RmwOp::Umin, 1, 0x101);
        check(2, 0xffff, RmwOp::Add, 2, 1);
        check(4, 0x1_8000_0000, RmwOp::Smax, 7, 0x1_0000_0007);
        check(4, 0x1_8000_0000, RmwOp::Umax, 7, 0x1_8000_0000);
        check(8, 5, RmwOp::Xor, u64::MAX, !5);
        check(8, 5, RmwOp::Xchg, 9, 9);
        assert_eq!(page.cmpxchg(8, 8, 9, 10), 9);
        assert_eq!(page.cmpxchg(8, 4, 9, 11), 10);
        assert_eq!(page.load(8, 8), 10);
    }
}
