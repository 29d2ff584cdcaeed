//! The guest's physical memory (QEMU's `system/memory.c` and `physmem.c`, without their trees):
//! RAM and ROM blocks and device windows in one sorted table, built once and then only read.
//!
//! What must hold: windows never overlap; RAM and ROM start and end on pages; every store to RAM
//! that does not come from a vCPU's own fast path is told to the code cache.

mod build;
#[cfg(test)]
mod tests;

use std::fmt::Write;
use std::sync::{Arc, OnceLock};

use include::{AccessSize, AddressSpace, BusError, MmioDevice, PhysAddr, RamPage};
use parking_lot::Mutex;
use util::log::{GUEST_ERRORS, UNIMP};
use util::mmap_alloc::RamBlock;

pub use build::{MapError, MemoryBuilder};

/// Pages of this table, 4 KiB.
pub const PAGE_BITS: u32 = 12;
const PAGE_SIZE: u64 = 1 << PAGE_BITS;

/// Told which RAM pages were written behind the vCPUs' backs: first index and count.
pub type RamObserver = Box<dyn Fn(u32, u32) + Send + Sync>;

/// All of it. Share it as an `Arc<dyn AddressSpace>`. Devices hold it before it knows them, so it
/// is empty until [`PhysMemory::seal`].
#[derive(Default)]
pub struct PhysMemory {
    table: OnceLock<Table>,
    observer: OnceLock<RamObserver>,
}

#[derive(Default)]
struct Table {
    /// Sorted by address, disjoint.
    regions: Vec<Region>,
    ram_pages: u32,
}

struct Region {
    name: &'static str,
    first: u64,
    last: u64,
    kind: Kind,
}

enum Kind {
    Ram {
        block: RamBlock,
        first_page: u32,
        writable: bool,
    },
    Device {
        device: Arc<Mutex<dyn MmioDevice>>,
        min: AccessSize,
        max: AccessSize,
    },
}

impl PhysMemory {
    /// Fills the memory with what was collected; once.
    pub fn seal(&self, builder: MemoryBuilder) -> Result<(), MapError> {
        let table = builder.check()?;
        assert!(self.table.set(table).is_ok(), "memory is sealed once");
        Ok(())
    }

    /// Sets who is told about writes to RAM; once.
    pub fn set_ram_observer(&self, observer: RamObserver) {
        assert!(self.observer.set(observer).is_ok(), "RAM has one observer");
    }

    /// Copies to RAM or ROM: what the loader does at reset.
    pub fn rom_write(&self, addr: PhysAddr, data: &[u8]) -> Result<(), BusError> {
        self.copy_in(addr, data, true)
    }

    /// Writes RAM that is a shared file's to the file.
    pub fn sync(&self) -> std::io::Result<()> {
        self.regions()
            .iter()
            .try_for_each(|region| match &region.kind {
                Kind::Ram { block, .. } => block.sync(),
                Kind::Device { .. } => Ok(()),
            })
    }

    /// Every window, as `info mtree` shows them.
    pub fn mtree(&self) -> String {
        let mut text = String::from("address-space: memory\n");
        for region in self.regions() {
            let kind = match region.kind {
                Kind::Ram { writable: true, .. } => "ram",
                Kind::Ram {
                    writable: false, ..
                } => "rom",
                Kind::Device { .. } => "i/o",
            };
            let Region {
                name, first, last, ..
            } = region;
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {first:016x}-{last:016x} ({kind}): {name}");
        }
        text
    }

    /// Bytes of RAM, ROM not counted.
    pub fn ram_bytes(&self) -> u64 {
        let writable = |region: &&Region| matches!(region.kind, Kind::Ram { writable: true, .. });
        self.regions()
            .iter()
            .filter(writable)
            .map(|region| region.last - region.first + 1)
            .sum()
    }

    fn regions(&self) -> &[Region] {
        self.table.get().map_or(&[], |table| &table.regions)
    }

    fn region(&self, addr: PhysAddr) -> Option<&Region> {
        let regions = self.regions();
        let after = regions.partition_point(|region| region.first <= addr.0);
        let region = &regions[after.checked_sub(1)?];
        (addr.0 <= region.last).then_some(region)
    }

    fn tell_observer(&self, region: &Region, offset: u64, len: u64) {
        let (Kind::Ram { first_page, .. }, Some(observer)) = (&region.kind, self.observer.get())
        else {
            return;
        };
        let first = offset >> PAGE_BITS;
        let last = (offset + len - 1) >> PAGE_BITS;
        observer(first_page + first as u32, (last - first + 1) as u32);
    }

    fn copy_out(&self, mut addr: PhysAddr, mut buf: &mut [u8]) -> Result<(), BusError> {
        while !buf.is_empty() {
            let (region, offset, len) = self.ram_span(addr, buf.len())?;
            let Kind::Ram { block, .. } = &region.kind else {
                return Err(BusError);
            };
            let (piece, rest) = buf.split_at_mut(len);
            assert!(
                block.read(offset as usize, piece),
                "the span lies in the block"
            );
            addr = addr.add(len as u64);
            buf = rest;
        }
        Ok(())
    }

    fn copy_in(&self, mut addr: PhysAddr, mut data: &[u8], loader: bool) -> Result<(), BusError> {
        while !data.is_empty() {
            let (region, offset, len) = self.ram_span(addr, data.len())?;
            let Kind::Ram {
                block, writable, ..
            } = &region.kind
            else {
                return Err(BusError);
            };
            if !writable && !loader {
                return Err(BusError);
            }
            let (piece, rest) = data.split_at(len);
            assert!(
                block.write(offset as usize, piece),
                "the span lies in the block"
            );
            self.tell_observer(region, offset, len as u64);
            addr = addr.add(len as u64);
            data = rest;
        }
        Ok(())
    }

    /// The region at `addr`, the offset in it, and how many of `len` bytes are in it.
    fn ram_span(&self, addr: PhysAddr, len: usize) -> Result<(&Region, u64, usize), BusError> {
        let region = self.region(addr).ok_or(BusError)?;
        let left = region.last - addr.0;
        let len = usize::try_from(left).map_or(len, |left| len.min(left.saturating_add(1)));
        Ok((region, addr.0 - region.first, len))
    }

    /// The device at `addr` and the offset in its window, if it takes this access.
    fn device_at(
        &self,
        region: &Region,
        addr: PhysAddr,
        size: AccessSize,
    ) -> Result<u64, BusError> {
        let Kind::Device { min, max, .. } = &region.kind else {
            return Err(BusError);
        };
        let fits = addr
            .0
            .checked_add(size.bytes() - 1)
            .is_some_and(|end| end <= region.last);
        let valid = fits && (*min..=*max).contains(&size) && addr.0.is_multiple_of(size.bytes());
        if !valid {
            let (name, bytes) = (region.name, size.bytes());
            log::debug!(target: GUEST_ERRORS, "{name}: refuses {bytes} bytes at {addr}");
            return Err(BusError);
        }
        Ok(addr.0 - region.first)
    }
}

fn unmapped(what: &str, addr: PhysAddr, size: AccessSize) -> BusError {
    log::debug!(target: GUEST_ERRORS, "{what} of {} bytes at {addr}: nothing there", size.bytes());
    BusError
}

impl AddressSpace for PhysMemory {
    fn ram_page(&self, addr: PhysAddr) -> Option<RamPage> {
        let region = self.region(addr)?;
        let Kind::Ram {
            block,
            first_page,
            writable,
        } = &region.kind
        else {
            return None;
        };
        let page = (addr.0 - region.first) >> PAGE_BITS;
        Some(RamPage {
            host: block.host().wrapping_add((page << PAGE_BITS) as usize),
            index: first_page + page as u32,
            writable: *writable,
        })
    }

    fn ram_pages(&self) -> u32 {
        self.table.get().map_or(0, |table| table.ram_pages)
    }

    fn io_read(&self, addr: PhysAddr, size: AccessSize) -> Result<u64, BusError> {
        let region = self
            .region(addr)
            .ok_or_else(|| unmapped("load", addr, size))?;
        if let Kind::Device { device, .. } = &region.kind {
            let offset = self.device_at(region, addr, size)?;
            return Ok(device.lock().read(offset, size) & size.mask());
        }
        let mut bytes = [0; 8];
        if let Kind::Ram { block, .. } = &region.kind
            && let Some(value) = block.load((addr.0 - region.first) as usize, size)
        {
            return Ok(value);
        }
        self.copy_out(addr, &mut bytes[..size as usize])?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn io_write(&self, addr: PhysAddr, size: AccessSize, value: u64) -> Result<(), BusError> {
        let region = self
            .region(addr)
            .ok_or_else(|| unmapped("store", addr, size))?;
        match &region.kind {
            Kind::Device { device, .. } => {
                let offset = self.device_at(region, addr, size)?;
                device.lock().write(offset, size, value & size.mask());
                Ok(())
            }
            Kind::Ram {
                writable: false, ..
            } => {
                log::debug!(target: UNIMP, "store to ROM '{}' at {addr}: ignored", region.name);
                Ok(())
            }
            Kind::Ram { block, .. } => {
                let offset = addr.0 - region.first;
                if block.store(offset as usize, size, value).is_some() {
                    self.tell_observer(region, offset, size.bytes());
                    return Ok(());
                }
                self.copy_in(addr, &value.to_le_bytes()[..size as usize], false)
            }
        }
    }

    fn read(&self, addr: PhysAddr, buf: &mut [u8]) -> Result<(), BusError> {
        self.copy_out(addr, buf)
    }

    fn write(&self, addr: PhysAddr, data: &[u8]) -> Result<(), BusError> {
        self.copy_in(addr, data, false)
    }
}
