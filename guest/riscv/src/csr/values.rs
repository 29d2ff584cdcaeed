//! What reading and writing each register does beyond storing it.

use super::{Update, envcfg};
use crate::cpu::{Privilege, RiscvCpu, slot};
use crate::isa::{Ext, PagingMode};
use crate::mstatus as ms;
use crate::trap::{Trap, irq};

pub const ALL: u64 = u64::MAX;
/// Counters with an enable bit.
pub const COUNTEREN: u64 = 0xffff_ffff;
/// Exceptions that may be delegated: all but the environment call from M-mode.
pub const DELEGABLE_EXCEPTIONS: u64 = 0xb3ff;
const S_INTERRUPTS: u64 = 1 << irq::SSI | 1 << irq::STI | 1 << irq::SEI;
const M_INTERRUPTS: u64 = 1 << irq::MSI | 1 << irq::MTI | 1 << irq::MEI;
const LCOFI: u64 = 1 << irq::LCOFI;
/// Smstateen bits of `mstateen0` that something here obeys: ENVCFG and SE.
const STATEEN0_ENVCFG: u64 = 1 << 62;
const STATEEN_SE: u64 = 1 << 63;

type Done = Result<(), Trap>;

pub fn always(_cpu: &RiscvCpu, _number: u16) -> bool {
    true
}

pub fn fs_on(cpu: &RiscvCpu, _number: u16) -> bool {
    cpu.isa.has(Ext::F) && cpu.mstatus & ms::FS != 0
}

pub fn has_smstateen(cpu: &RiscvCpu, _number: u16) -> bool {
    cpu.isa.has(Ext::Smstateen)
}

pub fn has_pmp(cpu: &RiscvCpu, _number: u16) -> bool {
    cpu.isa.pmp
}

/// RV64 has the even-numbered `pmpcfg` registers only.
pub fn pmpcfg_gate(cpu: &RiscvCpu, number: u16) -> bool {
    cpu.isa.pmp && number & 1 == 0
}

pub fn senvcfg_gate(cpu: &RiscvCpu, _number: u16) -> bool {
    stateen_allows(cpu, STATEEN0_ENVCFG)
}

fn stateen_allows(cpu: &RiscvCpu, bit: u64) -> bool {
    !cpu.isa.has(Ext::Smstateen)
        || cpu.privilege == Privilege::Machine
        || cpu.mstateen[0] & bit != 0
}

pub fn sstateen_gate(cpu: &RiscvCpu, number: u16) -> bool {
    let enabled = cpu.mstateen[(number & 3) as usize] & STATEEN_SE != 0;
    cpu.isa.has(Ext::Smstateen) && (cpu.privilege == Privilege::Machine || enabled)
}

/// Section 12.1.1 and Sstc: S-mode needs menvcfg.STCE and mcounteren.TM.
pub fn stimecmp_gate(cpu: &RiscvCpu, _number: u16) -> bool {
    let s_allowed = cpu.stce() && cpu.mcounteren & 2 != 0;
    cpu.isa.has(Ext::Sstc)
        && cpu.time.is_some()
        && (cpu.privilege == Privilege::Machine || s_allowed)
}

/// mstatus.TVM keeps S-mode from `satp`.
pub fn satp_gate(cpu: &RiscvCpu, _number: u16) -> bool {
    cpu.privilege == Privilege::Machine || cpu.mstatus & ms::TVM == 0
}

pub fn ignore(_cpu: &mut RiscvCpu, _number: u16, _update: Update) -> Done {
    Ok(())
}

/// Stores the `writable` bits.
pub fn set(field: &mut u64, update: Update, writable: u64) -> Done {
    *field = update.apply(*field, writable);
    Ok(())
}

/// Trap vectors: modes 0 (direct) and 1 (vectored); a reserved mode leaves the register alone.
pub fn set_tvec(field: &mut u64, update: Update) -> Done {
    let new = update.apply(*field, ALL);
    if new & 3 < 2 {
        *field = new;
    }
    Ok(())
}

pub fn read_fflags(cpu: &mut RiscvCpu, _number: u16) -> Result<u64, Trap> {
    Ok(cpu.common.state.slots[slot::FFLAGS] & 0x1f)
}

pub fn read_frm(cpu: &mut RiscvCpu, _number: u16) -> Result<u64, Trap> {
    Ok(cpu.frm)
}

pub fn read_fcsr(cpu: &mut RiscvCpu, number: u16) -> Result<u64, Trap> {
    Ok(read_fflags(cpu, number)? | cpu.frm << 5)
}

pub fn write_fflags(cpu: &mut RiscvCpu, number: u16, update: Update) -> Done {
    let new = update.apply(read_fflags(cpu, number)?, 0x1f);
    write_fcsr(
        cpu,
        number,
        Update {
            value: new,
            mask: 0x1f,
        },
    )
}

pub fn write_frm(cpu: &mut RiscvCpu, number: u16, update: Update) -> Done {
    write_fcsr(
        cpu,
        number,
        Update {
            value: update.value << 5,
            mask: (update.mask & 7) << 5,
        },
    )
}

pub fn write_fcsr(cpu: &mut RiscvCpu, number: u16, update: Update) -> Done {
    let new = update.apply(read_fcsr(cpu, number)?, 0xff);
    cpu.common.state.slots[slot::FFLAGS] = new & 0x1f;
    cpu.frm = new >> 5;
    cpu.set_fs_dirty();
    Ok(())
}

pub fn read_sstatus(cpu: &mut RiscvCpu, _number: u16) -> Result<u64, Trap> {
    Ok(cpu.read_mstatus() & (ms::SSTATUS_READ | ms::SD))
}

pub fn write_sstatus(cpu: &mut RiscvCpu, number: u16, update: Update) -> Done {
    let mask = update.mask & ms::SSTATUS_WRITE;
    write_mstatus(cpu, number, Update { mask, ..update })
}

pub fn write_mstatus(cpu: &mut RiscvCpu, _number: u16, update: Update) -> Done {
    let mut writable = ms::MSTATUS_WRITE;
    if !cpu.isa.has(Ext::F) {
        writable &= !ms::FS;
    }
    let mut new = update.apply(cpu.mstatus, writable);
    if new & ms::MPP == 2 << ms::MPP_SHIFT {
        new = new & !ms::MPP | cpu.mstatus & ms::MPP; // reserved encoding: WARL
    }
    cpu.set_status_and_privilege(new, cpu.privilege);
    Ok(())
}

fn valid_interrupts(cpu: &RiscvCpu) -> u64 {
    let lcofi = if cpu.isa.has(Ext::Sscofpmf) { LCOFI } else { 0 };
    S_INTERRUPTS | M_INTERRUPTS | lcofi
}

pub fn write_mideleg(cpu: &mut RiscvCpu, _number: u16, update: Update) -> Done {
    let writable = valid_interrupts(cpu) & !M_INTERRUPTS;
    set(&mut cpu.mideleg, update, writable)
}

pub fn write_mie(cpu: &mut RiscvCpu, _number: u16, update: Update) -> Done {
    let writable = valid_interrupts(cpu);
    set(&mut cpu.mie, update, writable)?;
    cpu.recheck_interrupts();
    Ok(())
}

pub fn write_sie(cpu: &mut RiscvCpu, number: u16, update: Update) -> Done {
    let mask = update.mask & cpu.mideleg;
    write_mie(cpu, number, Update { mask, ..update })
}

/// Wires (MSIP, MTIP, MEIP and the external part of SEIP) are not changed by writes; neither is
/// STIP while Sstc drives it.
pub fn write_mip(cpu: &mut RiscvCpu, _number: u16, update: Update) -> Done {
    let mut writable = valid_interrupts(cpu) & !M_INTERRUPTS;
    if cpu.stce() {
        writable &= !(1 << irq::STI);
    }
    set(&mut cpu.mip_soft, update, writable)?;
    cpu.recheck_interrupts();
    Ok(())
}

/// Through `sip` only SSIP (and LCOFIP) can be written, when delegated.
pub fn write_sip(cpu: &mut RiscvCpu, number: u16, update: Update) -> Done {
    let mask = update.mask & cpu.mideleg & (1 << irq::SSI | LCOFI);
    write_mip(cpu, number, Update { mask, ..update })
}

/// With C, xepc keeps bit 1; without it, instructions are 4-byte aligned.
fn epc_mask(cpu: &RiscvCpu) -> u64 {
    if cpu.isa.has(Ext::Zca) { !1 } else { !3 }
}

pub fn read_sepc(cpu: &mut RiscvCpu, _number: u16) -> Result<u64, Trap> {
    Ok(cpu.sepc & epc_mask(cpu))
}

pub fn read_mepc(cpu: &mut RiscvCpu, _number: u16) -> Result<u64, Trap> {
    Ok(cpu.mepc & epc_mask(cpu))
}

/// Fields that `menvcfg` and `senvcfg` share.
fn common_envcfg(cpu: &RiscvCpu) -> u64 {
    let mut bits = envcfg::FIOM;
    if cpu.isa.has(Ext::Zicbom) {
        bits |= envcfg::CBIE | envcfg::CBCFE;
    }
    if cpu.isa.has(Ext::Zicboz) {
        bits |= envcfg::CBZE;
    }
    bits
}

/// CBIE = 2 is reserved: such a write leaves the field alone.
fn apply_envcfg(update: Update, old: u64, writable: u64) -> u64 {
    let new = update.apply(old, writable);
    if new & envcfg::CBIE == 2 << 4 {
        new & !envcfg::CBIE | old & envcfg::CBIE
    } else {
        new
    }
}

pub fn write_senvcfg(cpu: &mut RiscvCpu, _number: u16, update: Update) -> Done {
    cpu.senvcfg = apply_envcfg(update, cpu.senvcfg, common_envcfg(cpu));
    Ok(())
}

pub fn write_menvcfg(cpu: &mut RiscvCpu, _number: u16, update: Update) -> Done {
    let mut writable = common_envcfg(cpu);
    let optional = [
        (Ext::Sstc, envcfg::STCE),
        (Ext::Svpbmt, envcfg::PBMTE),
        (Ext::Svadu, envcfg::ADUE),
    ];
    for (ext, bit) in optional {
        if cpu.isa.has(ext) {
            writable |= bit;
        }
    }
    let old = cpu.menvcfg;
    cpu.menvcfg = apply_envcfg(update, old, writable);
    if (old ^ cpu.menvcfg) & (envcfg::PBMTE | envcfg::ADUE) != 0 {
        cpu.common.tlb_flush();
    }
    if (old ^ cpu.menvcfg) & envcfg::STCE != 0 {
        cpu.update_stimer();
    }
    Ok(())
}

pub fn write_mstateen(cpu: &mut RiscvCpu, number: u16, update: Update) -> Done {
    let index = (number & 3) as usize;
    let writable = if index == 0 {
        STATEEN_SE | STATEEN0_ENVCFG
    } else {
        STATEEN_SE
    };
    set(&mut cpu.mstateen[index], update, writable)
}

/// No user-level state is gated here, so nothing of `sstateen` is writable.
pub fn write_sstateen(_cpu: &mut RiscvCpu, _number: u16, _update: Update) -> Done {
    Ok(())
}

pub fn write_stimecmp(cpu: &mut RiscvCpu, _number: u16, update: Update) -> Done {
    set(&mut cpu.stimecmp, update, ALL)?;
    cpu.update_stimer();
    Ok(())
}

/// An unsupported mode leaves the whole register alone (section 12.1.11).
pub fn write_satp(cpu: &mut RiscvCpu, _number: u16, update: Update) -> Done {
    let new = update.apply(cpu.satp, ALL);
    let mode = match new >> 60 {
        0 => PagingMode::Bare,
        8 => PagingMode::Sv39,
        9 => PagingMode::Sv48,
        10 => PagingMode::Sv57,
        _ => return Ok(()),
    };
    if mode > cpu.isa.paging {
        return Ok(());
    }
    let changed = new ^ cpu.satp;
    cpu.satp = new;
    let asid = (new >> 44) as u16;
    if changed >> 60 != 0 {
        cpu.common.set_asid(asid);
        cpu.common.tlb_flush();
    } else if changed >> 44 != 0 {
        cpu.common.set_asid(asid);
    } else if changed != 0 {
        cpu.common.tlb_flush_asid(asid);
    }
    Ok(())
}

pub fn write_pmpcfg(cpu: &mut RiscvCpu, number: u16, update: Update) -> Done {
    let register = (number - 0x3a0) as usize;
    let new = update.apply(cpu.pmp.read_config(register), ALL);
    cpu.pmp.write_config(register, new);
    cpu.common.tlb_flush();
    Ok(())
}

pub fn write_pmpaddr(cpu: &mut RiscvCpu, number: u16, update: Update) -> Done {
    let register = (number - 0x3b0) as usize;
    let new = update.apply(cpu.pmp.read_addr(register), ALL);
    cpu.pmp.write_addr(register, new);
    cpu.common.tlb_flush();
    Ok(())
}

impl RiscvCpu {
    /// Sets STIP and the timer by `stimecmp` and `menvcfg`.
    pub(crate) fn update_stimer(&mut self) {
        if let Some(time) = &self.time {
            time.stimer.set(self.stce().then_some(self.stimecmp));
        }
    }
}
