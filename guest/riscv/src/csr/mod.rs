//! Control and status registers: who may access what (Privileged manual, chapter 2, and the
//! sections that each register has there). `table.rs` lists them, one row each.

mod counters;
mod table;
mod values;

use crate::cpu::{Privilege, RiscvCpu};
use crate::isa::Ext;
use crate::mstatus as ms;
use crate::trap::Trap;

/// Fields of `menvcfg` and `senvcfg`.
pub mod envcfg {
    pub const FIOM: u64 = 1;
    pub const CBIE: u64 = 3 << 4;
    pub const CBCFE: u64 = 1 << 6;
    pub const CBZE: u64 = 1 << 7;
    pub const ADUE: u64 = 1 << 61;
    pub const PBMTE: u64 = 1 << 62;
    pub const STCE: u64 = 1 << 63;
}

/// Reads a register; some reads are themselves refused (`Err`).
type Read = fn(&mut RiscvCpu, u16) -> Result<u64, Trap>;
/// Writes the bits of a register that `mask` selects.
type Write = fn(&mut RiscvCpu, u16, Update) -> Result<(), Trap>;
/// Whether the hart has the register and it is accessible besides the privilege in its number.
type Gate = fn(&RiscvCpu, u16) -> bool;

/// A write: the bits of `mask` become those of `value`.
#[derive(Clone, Copy, Debug)]
pub struct Update {
    pub value: u64,
    pub mask: u64,
}

impl Update {
    /// `old` with the update applied, changing only `writable` bits.
    pub fn apply(self, old: u64, writable: u64) -> u64 {
        let mask = self.mask & writable;
        old & !mask | self.value & mask
    }
}

/// A row of the table; it stands for `count` registers from `first` on.
pub struct Csr {
    first: u16,
    count: u16,
    name: &'static str,
    gate: Gate,
    read: Read,
    write: Write,
}

impl Csr {
    /// The row of register `number`.
    fn find(number: u16) -> Option<&'static Self> {
        let index = table::TABLE.partition_point(|row| row.first <= number);
        let row = table::TABLE.get(index.checked_sub(1)?)?;
        (number - row.first < row.count).then_some(row)
    }
}

/// Name of register `number`, for disassembly.
pub(crate) fn name(number: u16) -> Option<String> {
    let row = Csr::find(number)?;
    if row.count == 1 {
        return Some(row.name.to_string());
    }
    // Performance counters are numbered from 3 on.
    let first = if row.name.contains("hpm") { 3 } else { 0 };
    Some(format!("{}{}", row.name, number - row.first + first))
}

impl RiscvCpu {
    /// `csrr`: reads CSR `number`.
    pub fn csr_read_checked(&mut self, number: u16) -> Result<u64, Trap> {
        let row = self.csr_row(number, false)?;
        (row.read)(self, number)
    }

    /// `csrw`: writes it without reading.
    pub fn csr_write_checked(&mut self, number: u16, value: u64) -> Result<(), Trap> {
        let row = self.csr_row(number, true)?;
        (row.write)(
            self,
            number,
            Update {
                value,
                mask: u64::MAX,
            },
        )
    }

    /// `csrrs`, `csrrc`, `csrrw`: the old value, then the bits of `mask` become those of `value`.
    pub fn csr_update_checked(&mut self, number: u16, update: Update) -> Result<u64, Trap> {
        let row = self.csr_row(number, true)?;
        let old = (row.read)(self, number)?;
        (row.write)(self, number, update)?;
        Ok(old)
    }

    /// The row of `number`, if this hart may access it now.
    fn csr_row(&self, number: u16, write: bool) -> Result<&'static Csr, Trap> {
        let row = Csr::find(number).ok_or(Trap::ILLEGAL)?;
        let needed = u64::from(number >> 8 & 3);
        let read_only = number >> 10 & 3 == 3;
        if (self.privilege as u64) < needed || (write && read_only) || !(row.gate)(self, number) {
            log::debug!(
                target: "guest_errors",
                "riscv: CSR {} ({number:#x}) refused at privilege {:?}",
                row.name, self.privilege,
            );
            return Err(Trap::ILLEGAL);
        }
        Ok(row)
    }

    /// `mstatus` as it reads: SD summarises FS.
    pub fn read_mstatus(&self) -> u64 {
        let dirty = self.mstatus & ms::FS == ms::FS_DIRTY;
        self.mstatus | if dirty { ms::SD } else { 0 }
    }

    /// Sstc is there and switched on for S-mode.
    pub(crate) fn stce(&self) -> bool {
        self.isa.has(Ext::Sstc) && self.menvcfg & envcfg::STCE != 0
    }

    /// mcounteren and scounteren let this privilege read counter `bit`.
    pub(crate) fn counter_enabled(&self, bit: u32) -> bool {
        match self.privilege {
            Privilege::Machine => true,
            Privilege::Supervisor => self.mcounteren >> bit & 1 != 0,
            Privilege::User => (self.mcounteren & self.scounteren) >> bit & 1 != 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::table::TABLE;

    #[test]
    fn rows_are_sorted_and_disjoint() {
        for pair in TABLE.windows(2) {
            let end = pair[0].first + pair[0].count;
            assert!(
                end <= pair[1].first,
                "{} and {}",
                pair[0].name,
                pair[1].name
            );
        }
    }
}
