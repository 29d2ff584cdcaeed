//! Physical memory protection: 16 regions (Privileged manual, section 3.7).

use accel_tcg::Access;

use crate::cpu::Privilege;

/// Regions.
pub const PMP_COUNT: usize = 16;
const R: u8 = 1;
const W: u8 = 2;
const X: u8 = 4;
const LOCK: u8 = 0x80;
/// Address bits that a `pmpaddr` register has: 54, for physical addresses of 56 bits.
const ADDR_MASK: u64 = (1 << 54) - 1;

/// The registers, and the ranges computed from them.
#[derive(Clone, Debug)]
pub struct Pmp {
    config: [u8; PMP_COUNT],
    addr: [u64; PMP_COUNT],
    /// First and last byte of each region; empty regions have first > last.
    ranges: [(u64, u64); PMP_COUNT],
    /// Regions that match something, so that the usual case of none is quick.
    active: bool,
}

impl Default for Pmp {
    fn default() -> Self {
        Self {
            config: [0; PMP_COUNT],
            addr: [0; PMP_COUNT],
            ranges: [(1, 0); PMP_COUNT],
            active: false,
        }
    }
}

/// What PMP says about an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PmpVerdict {
    pub read: bool,
    pub write: bool,
    pub execute: bool,
    /// How many bytes from the address on the verdict holds for; `None`: the whole 4 KiB page.
    pub bytes: Option<u64>,
}

impl PmpVerdict {
    /// True when `access` is permitted.
    pub fn allows(self, access: Access) -> bool {
        match access {
            Access::Load => self.read,
            Access::Store => self.write,
            Access::Fetch => self.execute,
        }
    }

    fn all(allowed: bool, bytes: Option<u64>) -> Self {
        Self {
            read: allowed,
            write: allowed,
            execute: allowed,
            bytes,
        }
    }
}

impl Pmp {
    /// The verdict of a hart without PMP.
    pub fn unrestricted() -> PmpVerdict {
        PmpVerdict::all(true, None)
    }

    /// `pmpcfg<2n>`: eight configuration bytes.
    pub fn read_config(&self, register: usize) -> u64 {
        let first = register * 4;
        let bytes = std::array::from_fn(|i| self.config.get(first + i).copied().unwrap_or(0));
        u64::from_le_bytes(bytes)
    }

    /// Writes eight bytes; locked regions keep theirs. The reserved combination W without R is
    /// not stored, as in QEMU.
    pub fn write_config(&mut self, register: usize, value: u64) {
        for (i, byte) in value.to_le_bytes().into_iter().enumerate() {
            let Some(config) = self.config.get_mut(register * 4 + i) else {
                continue;
            };
            if *config & LOCK == 0 && byte & (R | W) != W {
                *config = byte & 0x9f;
            }
        }
        self.update();
    }

    /// `pmpaddr<n>`.
    pub fn read_addr(&self, register: usize) -> u64 {
        self.addr.get(register).copied().unwrap_or(0)
    }

    /// Writes `pmpaddr<n>` unless it is locked, itself or as the base of a locked TOR region.
    pub fn write_addr(&mut self, register: usize, value: u64) {
        let next = self.config.get(register + 1).copied().unwrap_or(0);
        let base_of_locked = next & LOCK != 0 && next >> 3 & 3 == 1;
        if register < PMP_COUNT && self.config[register] & LOCK == 0 && !base_of_locked {
            self.addr[register] = value & ADDR_MASK;
            self.update();
        }
    }

    fn update(&mut self) {
        for i in 0..PMP_COUNT {
            self.ranges[i] = self.range_of(i);
        }
        self.active = self.ranges.iter().any(|(first, last)| first <= last);
    }

    fn range_of(&self, i: usize) -> (u64, u64) {
        let addr = self.addr[i];
        match self.config[i] >> 3 & 3 {
            1 => {
                let base = if i == 0 { 0 } else { self.addr[i - 1] };
                if base < addr {
                    (base << 2, (addr << 2) - 1)
                } else {
                    (1, 0)
                }
            }
            2 => (addr << 2, (addr << 2) + 3),
            3 => {
                let ones = (!addr).trailing_zeros().min(54);
                let size_mask = if ones >= 53 {
                    (1 << 56) - 1
                } else {
                    (8u64 << ones) - 1
                };
                let base = (addr << 2) & !size_mask;
                (base, base + size_mask)
            }
            _ => (1, 0),
        }
    }

    /// The verdict on `size` bytes at `addr` for an access with the rules of `privilege`.
    pub fn check(&self, addr: u64, size: u64, privilege: Privilege) -> PmpVerdict {
        let machine = privilege == Privilege::Machine;
        if !self.active {
            // No region matches: M-mode may do all; S and U may because the hart behaves as if it
            // had no PMP until the first region is set, which is what QEMU does.
            return PmpVerdict::all(machine || self.config.iter().all(|c| c >> 3 & 3 == 0), None);
        }
        let last = addr + (size - 1);
        let (page_first, page_last) = (addr & !0xfff, addr | 0xfff);
        let mut whole_page = true;
        // Where the regions start that come first in rank, but after the address.
        let mut next = u64::MAX;
        for (i, &(first, end)) in self.ranges.iter().enumerate() {
            if first > end || page_last < first || page_first > end {
                continue;
            }
            whole_page &= first <= page_first && page_last <= end;
            if last < first {
                next = next.min(first);
            }
            if last < first || addr > end {
                continue;
            }
            let bytes = (!whole_page).then(|| next.min(end + 1) - addr);
            if addr < first || last > end {
                return PmpVerdict::all(false, Some(1));
            }
            let config = self.config[i];
            if machine && config & LOCK == 0 {
                return PmpVerdict::all(true, bytes);
            }
            let (read, write) = (config & R != 0, config & W != 0);
            return PmpVerdict {
                read,
                write,
                execute: config & X != 0,
                bytes,
            };
        }
        PmpVerdict::all(machine, (!whole_page).then(|| next - addr))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAPOT: u64 = 3 << 3;
    const TOR: u64 = 1 << 3;

    fn check(config: u64, addrs: &[u64], at: u64, privilege: Privilege, want: (bool, bool)) {
        let mut pmp = Pmp::default();
        for (i, addr) in addrs.iter().enumerate() {
            pmp.write_addr(i, *addr);
        }
        pmp.write_config(0, config);
        let verdict = pmp.check(at, 8, privilege);
        assert_eq!(
            (verdict.read, verdict.bytes.is_none()),
            want,
            "{config:#x} {at:#x}"
        );
    }

    #[test]
    fn regions() {
        let s = Privilege::Supervisor;
        let m = Privilege::Machine;
        // NAPOT, 8 KiB at 0x8000_0000.
        let napot = 0x8000_0000 >> 2 | 0x3ff;
        check(NAPOT | 1, &[napot], 0x8000_1ff8, s, (true, true));
        check(NAPOT | 1, &[napot], 0x8000_2000, s, (false, true));
        check(NAPOT, &[napot], 0x8000_0000, s, (false, true));
        check(NAPOT, &[napot], 0x8000_0000, m, (true, true));
        check(NAPOT | 0x80, &[napot], 0x8000_0000, m, (false, true));
        // TOR with a border inside a page.
        check(TOR | 1, &[0x8000_0800 >> 2], 0x8000_07f8, s, (true, false));
        check(TOR | 1, &[0x8000_0800 >> 2], 0x8000_0800, s, (false, false));
        check(TOR | 1, &[0x8000_0800 >> 2], 0x8000_07fc, s, (false, false));
        // Everything.
        check(NAPOT | 7, &[u64::MAX], 0x1000, s, (true, true));
        check(0, &[], 0x1000, s, (true, true));
    }

    #[test]
    fn locks() {
        let mut pmp = Pmp::default();
        pmp.write_addr(0, 0x1000);
        pmp.write_addr(1, 0x2000);
        pmp.write_config(0, (TOR | 0x81) << 8);
        pmp.write_addr(0, 0);
        pmp.write_addr(1, 0);
        pmp.write_config(0, 0);
        assert_eq!((pmp.read_addr(0), pmp.read_addr(1)), (0x1000, 0x2000));
        assert_eq!(pmp.read_config(0), (TOR | 0x81) << 8);
        pmp.write_config(0, 2);
        assert_eq!(pmp.read_config(0) & 0xff, 0, "W without R is reserved");
    }
}
