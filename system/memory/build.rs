//! Building the table: everything is added, then sorted, checked and sealed.

use std::fmt;
use std::sync::Arc;

use include::{MmioDevice, PhysAddr};
use parking_lot::Mutex;
use util::mmap_alloc::{AllocError, RamBlock};

use super::{Kind, PAGE_SIZE, Region, Table};

/// Why a memory map cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MapError {
    /// The host lacks memory.
    Alloc(AllocError),
    /// Two windows share an address.
    Overlap {
        first: &'static str,
        second: &'static str,
        at: PhysAddr,
    },
    /// A window of no bytes, or one that wraps around, or RAM that is not made of pages.
    BadRange {
        name: &'static str,
        base: PhysAddr,
        size: u64,
    },
}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alloc(error) => write!(f, "{error}"),
            Self::Overlap { first, second, at } => {
                write!(
                    f,
                    "'{first}' and '{second}' overlap at {at} in the memory map"
                )
            }
            Self::BadRange { name, base, size } => {
                write!(
                    f,
                    "'{name}' cannot be {size:#x} bytes at {base} in the memory map"
                )
            }
        }
    }
}

impl std::error::Error for MapError {}

/// Collects the windows.
#[derive(Default)]
pub struct MemoryBuilder {
    regions: Vec<Region>,
    pages: u64,
}

impl MemoryBuilder {
    /// Adds RAM.
    pub fn ram(
        &mut self,
        name: &'static str,
        base: PhysAddr,
        block: RamBlock,
    ) -> Result<(), MapError> {
        self.block(name, base, block, true)
    }

    /// Adds ROM; `PhysMemory::rom_write` fills it.
    pub fn rom(&mut self, name: &'static str, base: PhysAddr, size: u64) -> Result<(), MapError> {
        let block = RamBlock::alloc(size).map_err(MapError::Alloc)?;
        self.block(name, base, block, false)
    }

    /// Adds a device window.
    pub fn device(
        &mut self,
        name: &'static str,
        base: PhysAddr,
        size: u64,
        device: Arc<Mutex<dyn MmioDevice>>,
    ) -> Result<(), MapError> {
        let (min, max) = {
            let device = device.lock();
            (device.min_access(), device.max_access())
        };
        self.add(name, base, size, Kind::Device { device, min, max })
    }

    /// Checks that nothing overlaps, and makes the table.
    pub(super) fn check(mut self) -> Result<Table, MapError> {
        self.regions.sort_by_key(|region| region.first);
        for pair in self.regions.windows(2) {
            let [low, high] = pair else {
                unreachable!("windows of two")
            };
            if high.first <= low.last {
                let at = PhysAddr(high.first);
                return Err(MapError::Overlap {
                    first: low.name,
                    second: high.name,
                    at,
                });
            }
        }
        let ram_pages = u32::try_from(self.pages).expect("`block` kept the count below 2^32");
        Ok(Table {
            regions: self.regions,
            ram_pages,
        })
    }

    fn block(
        &mut self,
        name: &'static str,
        base: PhysAddr,
        block: RamBlock,
        writable: bool,
    ) -> Result<(), MapError> {
        let size = block.len() as u64;
        let pages = self.pages + size / PAGE_SIZE;
        let paged = base.0.is_multiple_of(PAGE_SIZE) && size.is_multiple_of(PAGE_SIZE);
        if !paged || pages > u64::from(u32::MAX) {
            return Err(MapError::BadRange { name, base, size });
        }
        let first_page = self.pages as u32;
        self.add(
            name,
            base,
            size,
            Kind::Ram {
                block,
                first_page,
                writable,
            },
        )?;
        self.pages = pages;
        Ok(())
    }

    fn add(
        &mut self,
        name: &'static str,
        base: PhysAddr,
        size: u64,
        kind: Kind,
    ) -> Result<(), MapError> {
        let last = size
            .checked_sub(1)
            .and_then(|rest| base.0.checked_add(rest));
        let last = last.ok_or(MapError::BadRange { name, base, size })?;
        self.regions.push(Region {
            name,
            first: base.0,
            last,
            kind,
        });
        Ok(())
    }
}
