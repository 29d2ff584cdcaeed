//! Helpers for privileged and cache-block instructions, called by generated code.

use accel_tcg::{Access, GuestCpu, ldst};

use crate::cpu::{Privilege, RiscvCpu, slot, tb_flags};
use crate::csr::{Update, envcfg};
use crate::mstatus as ms;
use crate::trap::{Cause, Trap};

impl RiscvCpu {
    /// The value, or 0 with the trap pending.
    fn or_raise(&mut self, result: Result<u64, Trap>) -> u64 {
        result.unwrap_or_else(|trap| {
            self.raise(trap);
            0
        })
    }
}

fn cause_from(number: u64) -> Cause {
    match number {
        0 => Cause::InstructionMisaligned,
        1 => Cause::InstructionAccess,
        3 => Cause::Breakpoint,
        4 => Cause::LoadMisaligned,
        5 => Cause::LoadAccess,
        6 => Cause::StoreMisaligned,
        7 => Cause::StoreAccess,
        8 => Cause::EcallFromU,
        9 => Cause::EcallFromS,
        11 => Cause::EcallFromM,
        12 => Cause::InstructionPage,
        13 => Cause::LoadPage,
        15 => Cause::StorePage,
        _ => Cause::IllegalInstruction,
    }
}

/// Raises exception `cause` with `tval`.
pub extern "C" fn raise_exception(cpu: &mut RiscvCpu, cause: u64, tval: u64) -> u64 {
    cpu.raise(Trap {
        cause: cause_from(cause),
        tval,
    });
    0
}

/// `csrrs rd, csr, x0` and the like.
pub extern "C" fn csr_read(cpu: &mut RiscvCpu, csr: u64) -> u64 {
    let result = cpu.csr_read_checked(csr as u16);
    cpu.or_raise(result)
}

/// `csrrw x0, csr, rs1`.
pub extern "C" fn csr_write(cpu: &mut RiscvCpu, csr: u64, value: u64) -> u64 {
    let result = cpu.csr_write_checked(csr as u16, value).map(|()| 0);
    cpu.or_raise(result)
}

/// The other forms: returns the old value; the bits of `mask` become those of `value`.
pub extern "C" fn csr_read_write(cpu: &mut RiscvCpu, csr: u64, value: u64, mask: u64) -> u64 {
    let result = cpu.csr_update_checked(csr as u16, Update { value, mask });
    cpu.or_raise(result)
}

/// mstatus.FS becomes Dirty.
pub extern "C" fn mark_fs_dirty(cpu: &mut RiscvCpu) -> u64 {
    cpu.set_fs_dirty();
    0
}

/// mstatus.FS becomes Dirty, unless the accrued flags are still `fflags`.
pub extern "C" fn mark_fs_dirty_unless(cpu: &mut RiscvCpu, flags: u64) -> u64 {
    if fflags(cpu) != flags {
        cpu.set_fs_dirty();
    }
    0
}

/// The accrued exception flags.
pub extern "C" fn fflags(cpu: &mut RiscvCpu) -> u64 {
    cpu.common.state.slots[slot::FFLAGS]
}

/// `mret` (Privileged manual, section 3.3.2). Sets the pc.
pub extern "C" fn mret(cpu: &mut RiscvCpu) -> u64 {
    if cpu.privilege != Privilege::Machine {
        cpu.raise(Trap::ILLEGAL);
        return 0;
    }
    let to = Privilege::from_bits(cpu.mstatus >> ms::MPP_SHIFT);
    let mut status = cpu.mstatus & !(ms::MPP | ms::MIE);
    if cpu.mstatus & ms::MPIE != 0 {
        status |= ms::MIE;
    }
    if to != Privilege::Machine {
        status &= !ms::MPRV;
    }
    let pc = cpu.csr_read_checked(0x341).unwrap_or(0);
    cpu.return_from_trap(pc, status | ms::MPIE, to);
    0
}

/// `sret`.
pub extern "C" fn sret(cpu: &mut RiscvCpu) -> u64 {
    let trapped = cpu.privilege == Privilege::Supervisor && cpu.mstatus & ms::TSR != 0;
    if cpu.privilege == Privilege::User || trapped {
        cpu.raise(Trap::ILLEGAL);
        return 0;
    }
    let to = if cpu.mstatus & ms::SPP != 0 {
        Privilege::Supervisor
    } else {
        Privilege::User
    };
    let mut status = cpu.mstatus & !(ms::SPP | ms::SIE | ms::MPRV);
    if cpu.mstatus & ms::SPIE != 0 {
        status |= ms::SIE;
    }
    let pc = cpu.csr_read_checked(0x141).unwrap_or(0);
    cpu.return_from_trap(pc, status | ms::SPIE, to);
    0
}

impl RiscvCpu {
    fn return_from_trap(&mut self, pc: u64, status: u64, to: Privilege) {
        self.set_reservation_none();
        self.set_pc_slot(pc);
        self.set_status_and_privilege(status, to);
    }
}

/// `wfi`: sleeps until something is pending; TW traps it below M-mode, and U-mode may not wait
/// (it would have to be bounded; QEMU traps it too).
pub extern "C" fn wfi(cpu: &mut RiscvCpu) -> u64 {
    let trapped = cpu.privilege == Privilege::Supervisor && cpu.mstatus & ms::TW != 0;
    if cpu.privilege == Privilege::User || trapped {
        cpu.raise(Trap::ILLEGAL);
    } else {
        cpu.common.halt();
    }
    0
}

/// `wrs.nto`: waits for the reservation to go; below M-mode TW traps it. (Zawrs)
pub extern "C" fn wrs_nto(cpu: &mut RiscvCpu) -> u64 {
    let trapped = cpu.privilege != Privilege::Machine && cpu.mstatus & ms::TW != 0;
    if trapped && cpu.common.state.slots[crate::cpu::slot::LOAD_RES] != u64::MAX {
        cpu.raise(Trap::ILLEGAL);
        return 0;
    }
    wrs_sto(cpu)
}

/// `wrs.sto`: a stall that may end at once, so it only lets others run; TW does not bind it.
pub extern "C" fn wrs_sto(_cpu: &mut RiscvCpu) -> u64 {
    std::thread::yield_now();
    0
}

/// `sfence.vma` and `sinval.vma`: bit 0 of `which` says that rs1 is not x0, bit 1 that rs2 is not.
pub extern "C" fn sfence_vma(cpu: &mut RiscvCpu, addr: u64, asid: u64, which: u64) -> u64 {
    let trapped = cpu.privilege == Privilege::Supervisor && cpu.mstatus & ms::TVM != 0;
    if cpu.privilege == Privilege::User || trapped {
        cpu.raise(Trap::ILLEGAL);
        return 0;
    }
    match which & 3 {
        0 => cpu.common.tlb_flush(),
        1 => cpu.common.tlb_flush_page(addr),
        2 => cpu.common.tlb_flush_asid(asid as u16),
        _ => cpu.common.tlb_flush_page_asid(addr, asid as u16),
    }
    0
}

impl RiscvCpu {
    /// The value of an envcfg field as it binds this privilege: menvcfg and senvcfg in turn.
    fn envcfg_allows(&self, field: u64) -> bool {
        let machine = self.privilege == Privilege::Machine || self.menvcfg & field != 0;
        let user = self.privilege != Privilege::User || self.senvcfg & field != 0;
        machine && user
    }

    fn data_mmu_idx_now(&self) -> u8 {
        (self.common.state.tb_flags() & tb_flags::MMU_IDX) as u8
    }

    /// Cache-block management has no cache to manage: it checks, and faults as the manual says
    /// (CMO specification: load permission is enough, faults are reported as store faults).
    fn cache_block(&mut self, addr: u64, field: u64, block: u64) {
        if !self.envcfg_allows(field) {
            self.raise(Trap::ILLEGAL);
            return;
        }
        let mode = usize::from(self.data_mmu_idx_now());
        let first = include::VirtAddr(addr & !(block - 1));
        if self.tlb_fill(first, Access::Load, mode, true).is_err() {
            // Faults as a store would; a store that works changes nothing.
            let _ = ldst::probe(self, addr, 1, Access::Store, mode);
        }
    }
}

pub extern "C" fn cbo_inval(cpu: &mut RiscvCpu, addr: u64) -> u64 {
    cpu.cache_block(addr, envcfg::CBIE, cpu.isa.cbom_blocksize);
    0
}

pub extern "C" fn cbo_clean(cpu: &mut RiscvCpu, addr: u64) -> u64 {
    cpu.cache_block(addr, envcfg::CBCFE, cpu.isa.cbom_blocksize);
    0
}

pub extern "C" fn cbo_flush(cpu: &mut RiscvCpu, addr: u64) -> u64 {
    cbo_clean(cpu, addr)
}

/// `cbo.zero`: zeroes the block that contains `addr`; a fault reports `addr` itself.
pub extern "C" fn cbo_zero(cpu: &mut RiscvCpu, addr: u64) -> u64 {
    if !cpu.envcfg_allows(envcfg::CBZE) {
        cpu.raise(Trap::ILLEGAL);
        return 0;
    }
    let mode = cpu.data_mmu_idx_now();
    // On a fault the exception is pending; that is all there is to do.
    let _ = ldst::zero(cpu, addr, cpu.isa.cboz_blocksize, usize::from(mode));
    0
}
