//! Address translation: Bare, Sv39, Sv48, Sv57 with Svnapot, Svpbmt, Svadu and Svade (Privileged
//! manual, sections 12.3 to 12.7), then PMP.

use accel_tcg::{Access, TlbFill};
use include::PhysAddr;

use crate::cpu::{Privilege, RiscvCpu, mmu_idx};
use crate::csr::envcfg;
use crate::isa::{Ext, PagingMode};
use crate::mstatus as ms;
use crate::trap::{Cause, Trap};

/// Fields of a page-table entry.
mod pte {
    pub const V: u64 = 1;
    pub const R: u64 = 2;
    pub const W: u64 = 4;
    pub const X: u64 = 8;
    pub const U: u64 = 0x10;
    pub const G: u64 = 0x20;
    pub const A: u64 = 0x40;
    pub const D: u64 = 0x80;
    pub const PPN_SHIFT: u32 = 10;
    pub const PPN_BITS: u32 = 44;
    pub const RESERVED: u64 = 0x7f << 54;
    pub const PBMT_SHIFT: u32 = 61;
    pub const N: u64 = 1 << 63;
}

const PAGE_SHIFT: u32 = 12;
/// Bits of the virtual page number that one level resolves.
const LEVEL_BITS: u32 = 9;

/// Why a walk failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WalkError {
    /// No valid or permitted translation.
    Page,
    /// A page-table entry lies where nothing may be read.
    Access,
}

/// A leaf that was found.
struct Leaf {
    entry: u64,
    /// Physical address of the entry.
    at: u64,
    /// 0 for a 4 KiB page, 1 for 2 MiB, ...
    level: u32,
    global: bool,
}

impl Leaf {
    /// Physical address and size of the page; refuses misaligned superpages and reserved
    /// encodings of Svnapot.
    fn page(&self) -> Result<(u64, u64), WalkError> {
        let mut ppn = self.entry >> pte::PPN_SHIFT & ((1 << pte::PPN_BITS) - 1);
        let mut page_bits = PAGE_SHIFT + LEVEL_BITS * self.level;
        if self.entry & pte::N != 0 {
            if self.level != 0 || ppn & 0xf != 8 {
                return Err(WalkError::Page);
            }
            ppn &= !0xf;
            page_bits = 16;
        }
        let (base, size) = (ppn << PAGE_SHIFT, 1 << page_bits);
        if base & (size - 1) != 0 {
            return Err(WalkError::Page);
        }
        Ok((base, size))
    }
}

/// What a finished walk gives.
struct Translation {
    paddr: u64,
    size: u64,
    read: bool,
    write: bool,
    execute: bool,
    global: bool,
}

impl RiscvCpu {
    /// See `GuestCpu::tlb_fill`.
    pub(crate) fn translate_address(
        &mut self,
        addr: u64,
        access: Access,
        mode: usize,
        probe: bool,
    ) -> Result<TlbFill, ()> {
        match self.try_translate(addr, access, mode) {
            Ok(fill) => Ok(fill),
            Err(error) => {
                if !probe {
                    let cause = fault_cause(error, access);
                    self.raise(Trap { cause, tval: addr });
                }
                Err(())
            }
        }
    }

    fn try_translate(
        &mut self,
        addr: u64,
        access: Access,
        mode: usize,
    ) -> Result<TlbFill, WalkError> {
        let found = if mode == mmu_idx::MACHINE || self.satp >> 60 == 0 {
            bare(addr)
        } else {
            self.walk(addr, access, mode)?
        };
        let privilege = match mode {
            mmu_idx::MACHINE => Privilege::Machine,
            mmu_idx::USER => Privilege::User,
            _ => Privilege::Supervisor,
        };
        let verdict = self.pmp_check(found.paddr, 1, privilege);
        if !verdict.allows(access) {
            return Err(WalkError::Access);
        }
        Ok(TlbFill {
            paddr: PhysAddr(found.paddr),
            read: found.read && verdict.read,
            write: found.write && verdict.write,
            execute: found.execute && verdict.execute,
            size: verdict.bytes.map_or(found.size, |bytes| bytes.min(0xfff)),
            global: found.global,
            asid: (self.satp >> 44) as u16,
        })
    }

    pub(crate) fn pmp_check(
        &self,
        paddr: u64,
        size: u64,
        privilege: Privilege,
    ) -> crate::pmp::PmpVerdict {
        if self.isa.pmp {
            self.pmp.check(paddr, size, privilege)
        } else {
            crate::pmp::Pmp::unrestricted()
        }
    }

    fn walk(&mut self, addr: u64, access: Access, mode: usize) -> Result<Translation, WalkError> {
        loop {
            let leaf = self.find_leaf(addr)?;
            self.check_permission(&leaf, access, mode)?;
            leaf.page()?; // before A and D are set
            let wanted = pte::A | if access == Access::Store { pte::D } else { 0 };
            if leaf.entry & wanted != wanted {
                if self.menvcfg & envcfg::ADUE == 0 {
                    return Err(WalkError::Page);
                }
                let new = leaf.entry | wanted;
                let verdict = self.pmp_check(leaf.at, 8, Privilege::Supervisor);
                if !verdict.write {
                    return Err(WalkError::Access);
                }
                let old = self
                    .common
                    .phys_cmpxchgq(PhysAddr(leaf.at), leaf.entry, new);
                match old {
                    None => return Err(WalkError::Access),
                    Some(old) if old != leaf.entry => continue, // changed meanwhile: walk again
                    Some(_) => return self.translation(addr, Leaf { entry: new, ..leaf }, mode),
                }
            }
            return self.translation(addr, leaf, mode);
        }
    }

    /// Follows the tables of `satp` to the leaf for `addr`.
    fn find_leaf(&mut self, addr: u64) -> Result<Leaf, WalkError> {
        let levels = match self.satp >> 60 {
            x if x == PagingMode::Sv39 as u64 => 3,
            x if x == PagingMode::Sv48 as u64 => 4,
            _ => 5,
        };
        let va_bits = PAGE_SHIFT + LEVEL_BITS * levels;
        if (addr as i64) << (64 - va_bits) >> (64 - va_bits) != addr as i64 {
            return Err(WalkError::Page);
        }
        let mut table = (self.satp & ((1 << pte::PPN_BITS) - 1)) << PAGE_SHIFT;
        let mut global = false;
        for level in (0..levels).rev() {
            let index = addr >> (PAGE_SHIFT + LEVEL_BITS * level) & 0x1ff;
            let at = table + index * 8;
            let entry = self.read_entry(at)?;
            self.check_reserved(entry)?;
            global |= entry & pte::G != 0;
            let next = entry >> pte::PPN_SHIFT & ((1 << pte::PPN_BITS) - 1);
            if entry & (pte::R | pte::W | pte::X) != 0 {
                return Ok(Leaf {
                    entry,
                    at,
                    level,
                    global,
                });
            }
            let leaf_only = pte::D | pte::A | pte::U | pte::N | 3 << pte::PBMT_SHIFT;
            if entry & leaf_only != 0 {
                return Err(WalkError::Page);
            }
            table = next << PAGE_SHIFT;
        }
        Err(WalkError::Page)
    }

    fn read_entry(&mut self, at: u64) -> Result<u64, WalkError> {
        if !self.pmp_check(at, 8, Privilege::Supervisor).read {
            return Err(WalkError::Access);
        }
        self.common.phys_ldq(PhysAddr(at)).ok_or(WalkError::Access)
    }

    fn check_reserved(&self, entry: u64) -> Result<(), WalkError> {
        let pbmt = entry >> pte::PBMT_SHIFT & 3;
        let pbmt_bad = pbmt == 3 || (pbmt != 0 && self.menvcfg & envcfg::PBMTE == 0);
        let napot_bad = entry & pte::N != 0 && !self.isa.has(Ext::Svnapot);
        let bad = entry & pte::V == 0
            || entry & (pte::R | pte::W) == pte::W
            || entry & pte::RESERVED != 0
            || pbmt_bad
            || napot_bad;
        if bad { Err(WalkError::Page) } else { Ok(()) }
    }

    fn check_permission(&self, leaf: &Leaf, access: Access, mode: usize) -> Result<(), WalkError> {
        let user_page = leaf.entry & pte::U != 0;
        let mode_ok = match mode {
            mmu_idx::USER => user_page,
            mmu_idx::SUPERVISOR_SUM => !user_page || access != Access::Fetch,
            _ => !user_page,
        };
        let mxr = self.mstatus & ms::MXR != 0;
        let access_ok = match access {
            Access::Load => leaf.entry & pte::R != 0 || (mxr && leaf.entry & pte::X != 0),
            Access::Store => leaf.entry & pte::W != 0,
            Access::Fetch => leaf.entry & pte::X != 0,
        };
        if mode_ok && access_ok {
            Ok(())
        } else {
            Err(WalkError::Page)
        }
    }

    /// The translation that a permitted leaf gives.
    fn translation(&self, addr: u64, leaf: Leaf, mode: usize) -> Result<Translation, WalkError> {
        let (entry, (base, size)) = (leaf.entry, leaf.page()?);
        let mxr = self.mstatus & ms::MXR != 0;
        let user_page = entry & pte::U != 0;
        Ok(Translation {
            paddr: base | addr & (size - 1),
            size,
            read: entry & pte::R != 0 || (mxr && entry & pte::X != 0),
            // A clean page is entered read-only, so that its first store comes back here.
            write: entry & pte::W != 0 && entry & pte::D != 0,
            execute: entry & pte::X != 0 && (mode == mmu_idx::USER) == user_page,
            global: leaf.global,
        })
    }
}

fn bare(addr: u64) -> Translation {
    let size = 1 << PAGE_SHIFT;
    Translation {
        paddr: addr,
        size,
        read: true,
        write: true,
        execute: true,
        global: true,
    }
}

/// The exception for a failed access (Privileged manual, section 12.3.2).
fn fault_cause(error: WalkError, access: Access) -> Cause {
    match (error, access) {
        (WalkError::Page, Access::Load) => Cause::LoadPage,
        (WalkError::Page, Access::Store) => Cause::StorePage,
        (WalkError::Page, Access::Fetch) => Cause::InstructionPage,
        (WalkError::Access, Access::Load) => Cause::LoadAccess,
        (WalkError::Access, Access::Store) => Cause::StoreAccess,
        (WalkError::Access, Access::Fetch) => Cause::InstructionAccess,
    }
}
