//! Counters: `cycle`, `time`, `instret` and the programmable ones (Zicntr, Zihpm).
//!
//! As in QEMU without a host counter, cycles and instructions follow guest time (1 GHz), and are
//! exact instruction counts under `-icount`. Programmable counters hold what is written to them
//! and do not count: no event is modelled.

use super::Update;
use super::values::COUNTEREN;
use crate::cpu::{HPM_COUNTERS, Privilege, RiscvCpu};
use crate::isa::Ext;
use crate::trap::Trap;

pub fn counter_gate(cpu: &RiscvCpu, number: u16) -> bool {
    cpu.isa.has(Ext::Zicntr) && cpu.counter_enabled(u32::from(number & 31))
}

pub fn time_gate(cpu: &RiscvCpu, number: u16) -> bool {
    cpu.time.is_some() && counter_gate(cpu, number)
}

pub fn hpm_gate(cpu: &RiscvCpu, number: u16) -> bool {
    cpu.isa.has(Ext::Zihpm) && cpu.counter_enabled(u32::from(number & 31))
}

pub fn has_zihpm(cpu: &RiscvCpu, _number: u16) -> bool {
    cpu.isa.has(Ext::Zihpm)
}

pub fn has_sscofpmf(cpu: &RiscvCpu, _number: u16) -> bool {
    cpu.isa.has(Ext::Sscofpmf)
}

/// Bits of `mcountinhibit`.
const CY: u64 = 1;
const IR: u64 = 4;

/// A counter that runs is kept as its distance from the cycles; one that stands, as its value.
fn base(cpu: &mut RiscvCpu, bit: u64) -> u64 {
    if cpu.mcountinhibit & bit == 0 {
        cpu.common.cycles()
    } else {
        0
    }
}

pub fn read_cycle(cpu: &mut RiscvCpu, _number: u16) -> Result<u64, Trap> {
    Ok(base(cpu, CY).wrapping_add(cpu.mcycle_offset))
}

pub fn read_instret(cpu: &mut RiscvCpu, _number: u16) -> Result<u64, Trap> {
    Ok(base(cpu, IR).wrapping_add(cpu.minstret_offset))
}

/// Starts and stops `cycle` and `instret`, which keep their values.
pub fn write_mcountinhibit(cpu: &mut RiscvCpu, number: u16, update: Update) -> Result<(), Trap> {
    let (cycle, instret) = (read_cycle(cpu, number)?, read_instret(cpu, number)?);
    cpu.mcountinhibit = update.apply(cpu.mcountinhibit, COUNTEREN & !2);
    cpu.mcycle_offset = cycle.wrapping_sub(base(cpu, CY));
    cpu.minstret_offset = instret.wrapping_sub(base(cpu, IR));
    Ok(())
}

pub fn read_time(cpu: &mut RiscvCpu, _number: u16) -> Result<u64, Trap> {
    cpu.common.icount_sync();
    cpu.time
        .as_ref()
        .map(|time| time.counter.ticks())
        .ok_or(Trap::ILLEGAL)
}

pub fn write_mcycle(cpu: &mut RiscvCpu, _number: u16, update: Update) -> Result<(), Trap> {
    let base = base(cpu, CY);
    let new = update.apply(base.wrapping_add(cpu.mcycle_offset), u64::MAX);
    cpu.mcycle_offset = new.wrapping_sub(base);
    Ok(())
}

pub fn write_minstret(cpu: &mut RiscvCpu, _number: u16, update: Update) -> Result<(), Trap> {
    let base = base(cpu, IR);
    let new = update.apply(base.wrapping_add(cpu.minstret_offset), u64::MAX);
    cpu.minstret_offset = new.wrapping_sub(base);
    Ok(())
}

/// Index of programmable counter `number & 31`, if it is one that holds a value.
fn index(number: u16) -> Option<usize> {
    let index = (number as usize & 31).checked_sub(3)?;
    (index < HPM_COUNTERS).then_some(index)
}

pub fn read_hpmcounter(cpu: &mut RiscvCpu, number: u16) -> Result<u64, Trap> {
    Ok(index(number).map_or(0, |i| cpu.mhpmcounter[i]))
}

pub fn write_mhpmcounter(cpu: &mut RiscvCpu, number: u16, update: Update) -> Result<(), Trap> {
    if let Some(i) = index(number) {
        cpu.mhpmcounter[i] = update.apply(cpu.mhpmcounter[i], u64::MAX);
    }
    Ok(())
}

pub fn read_mhpmevent(cpu: &mut RiscvCpu, number: u16) -> Result<u64, Trap> {
    Ok(index(number).map_or(0, |i| cpu.mhpmevent[i]))
}

pub fn write_mhpmevent(cpu: &mut RiscvCpu, number: u16, update: Update) -> Result<(), Trap> {
    if let Some(i) = index(number) {
        cpu.mhpmevent[i] = update.apply(cpu.mhpmevent[i], u64::MAX);
    }
    Ok(())
}

/// `scountovf`: the OF bit of each event; S-mode sees those that mcounteren lets it
/// (Sscofpmf, section 2.1).
pub fn read_scountovf(cpu: &mut RiscvCpu, _number: u16) -> Result<u64, Trap> {
    let overflowed = |bits, (i, event): (usize, &u64)| bits | event >> 63 << (i + 3);
    let bits = cpu.mhpmevent.iter().enumerate().fold(0, overflowed);
    let visible = match cpu.privilege {
        Privilege::Machine => u64::MAX,
        Privilege::Supervisor | Privilege::User => cpu.mcounteren,
    };
    Ok(bits & visible)
}
