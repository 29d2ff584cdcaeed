//! Pieces of guest memory that every reset puts back, and the check that they do not collide.

use std::ops::Range;
use std::sync::Arc;

use include::{AddressSpace, BusError, PhysAddr};

use super::{Blob, LoadError, LoadProblem};

/// Bytes with a guest address.
#[derive(Clone, Debug)]
pub struct Rom {
    /// Option and file, or what it is: `-kernel Image`, `fdt`.
    pub name: String,
    /// Where it starts.
    pub addr: PhysAddr,
    /// The file that it is a part of.
    data: Arc<Vec<u8>>,
    /// Which part.
    range: Range<usize>,
    /// How many zeros follow (`.bss`).
    zeros: u64,
}

impl Rom {
    /// All of `data` at `addr`.
    pub fn whole(name: impl Into<String>, addr: PhysAddr, data: Arc<Vec<u8>>) -> Self {
        let range = 0..data.len();
        Self {
            name: name.into(),
            addr,
            data,
            range,
            zeros: 0,
        }
    }

    /// The part `range` of `data` at `addr`, followed by `zeros` zeros. `range` must be inside.
    pub fn part(
        name: impl Into<String>,
        addr: PhysAddr,
        data: Arc<Vec<u8>>,
        range: Range<usize>,
        zeros: u64,
    ) -> Self {
        assert!(
            range.start <= range.end && range.end <= data.len(),
            "a ROM outside its file"
        );
        Self {
            name: name.into(),
            addr,
            data,
            range,
            zeros,
        }
    }

    /// What the file gives.
    pub fn bytes(&self) -> &[u8] {
        &self.data[self.range.clone()]
    }

    /// Bytes in guest memory.
    pub fn size(&self) -> u64 {
        (self.range.len() as u64).saturating_add(self.zeros)
    }

    /// The addresses that it takes; saturates at the end of the address space.
    pub fn span(&self) -> Range<u64> {
        self.addr.0..self.addr.0.saturating_add(self.size())
    }

    /// Copies it to guest RAM.
    pub fn write_to(&self, memory: &dyn AddressSpace) -> Result<(), BusError> {
        memory.write(self.addr, self.bytes())?;
        let zeros = [0; 4096];
        let mut addr = self.addr.add(self.range.len() as u64);
        let mut left = self.zeros;
        while left > 0 {
            let step = left.min(zeros.len() as u64);
            memory.write(addr, &zeros[..step as usize])?;
            addr = addr.add(step);
            left -= step;
        }
        Ok(())
    }
}

/// The ROMs of a machine: all inside RAM, no two overlapping.
#[derive(Debug)]
pub struct RomSet {
    ram: Range<u64>,
    roms: Vec<Rom>,
}

impl RomSet {
    /// No ROMs yet, in RAM at `ram`.
    pub fn new(ram: Range<u64>) -> Self {
        Self {
            ram,
            roms: Vec::new(),
        }
    }

    /// The RAM that they must be in.
    pub fn ram(&self) -> Range<u64> {
        self.ram.clone()
    }

    /// Adds a ROM made from `blob`, unless it collides with RAM's ends or with another one.
    pub fn add(&mut self, blob: &Blob, rom: Rom) -> Result<(), LoadError> {
        self.check(&rom).map_err(|problem| blob.error(problem))?;
        self.roms.push(rom);
        Ok(())
    }

    /// Adds a ROM that no file stands behind. The caller chose its place.
    pub fn add_generated(&mut self, rom: Rom) -> Result<(), LoadProblem> {
        self.check(&rom)?;
        self.roms.push(rom);
        Ok(())
    }

    /// The ROMs, in the order in which they came.
    pub fn into_roms(self) -> Vec<Rom> {
        self.roms
    }

    fn check(&self, rom: &Rom) -> Result<(), LoadProblem> {
        let Range { start, end } = rom.span();
        // A span that was cut at 2^64 is shorter than the ROM.
        if start < self.ram.start || end > self.ram.end || end - start != rom.size() {
            return Err(LoadProblem::OutsideRam {
                start,
                last: end.saturating_sub(1),
                ram_start: self.ram.start,
                ram_last: self.ram.end.saturating_sub(1),
            });
        }
        let overlaps = |other: &&Rom| start.max(other.span().start) < end.min(other.span().end);
        match self.roms.iter().find(overlaps) {
            None => Ok(()),
            Some(other) => Err(LoadProblem::Overlaps {
                start,
                last: end - 1,
                other: other.name.clone(),
                other_start: other.span().start,
                other_last: other.span().end - 1,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rom(addr: u64, size: usize, zeros: u64) -> Rom {
        let data = Arc::new(vec![1; size + 2]);
        Rom::part(
            format!("rom@{addr:x}"),
            PhysAddr(addr),
            data,
            1..size + 1,
            zeros,
        )
    }

    fn check(addr: u64, size: usize, zeros: u64, expected: &str) {
        let mut set = RomSet::new(0x1000..0x2000);
        set.add_generated(rom(0x1800, 0x100, 0x100)).unwrap();
        let answer = set.add_generated(rom(addr, size, zeros));
        let answer = answer.map_or_else(|problem| problem.to_string(), |()| "ok".into());
        assert_eq!(answer, expected);
    }

    #[test]
    fn roms_stay_in_ram_and_apart() {
        check(0x1000, 0x800, 0, "ok");
        check(0x1a00, 0x600, 0, "ok");
        check(0x1900, 0, 0, "ok");
        let ram = "do not fit in RAM, which is 0x1000 to 0x1fff";
        check(0xfff, 1, 0, &format!("its bytes at 0xfff to 0xfff {ram}"));
        check(
            0x1a00,
            0x600,
            1,
            &format!("its bytes at 0x1a00 to 0x2000 {ram}"),
        );
        check(
            0x1a00,
            0,
            u64::MAX,
            &format!("its bytes at 0x1a00 to {:#x} {ram}", u64::MAX - 1),
        );
        let other = "overlap rom@1800, which is at 0x1800 to 0x19ff";
        check(
            0x1000,
            0x801,
            0,
            &format!("its bytes at 0x1000 to 0x1800 {other}"),
        );
        check(
            0x19ff,
            1,
            0,
            &format!("its bytes at 0x19ff to 0x19ff {other}"),
        );
    }
}
