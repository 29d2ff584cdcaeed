//! Placing firmware, kernel and initrd, and the reset vector; QEMU's `hw/riscv/boot.c`.
//!
//! Addresses are those of QEMU 11 (checked against its `info roms`), so that a guest finds
//! everything where it was. Two things are better here: a kernel may be gzipped, and an initrd
//! moves up instead of colliding with a large kernel.

pub mod image;

use std::sync::Arc;

use hw::core::loader::elf::{self, ElfMachine, Symbol};
use hw::core::loader::image::{gunzip, is_gzip};
use hw::core::loader::{Blob, LoadError, Rom, RomSet};
use include::PhysAddr;

/// What an ELF file for these boards must be for.
pub const RISCV: ElfMachine = ElfMachine {
    number: 243,
    name: "RISC-V",
};

const MIB: u64 = 1 << 20;
/// Kernels of RV64 are mapped by 2 MiB pages; the device tree is aligned alike.
pub const KERNEL_ALIGN: u64 = 2 * MIB;
/// How far behind the kernel the initrd starts, if RAM is large.
const INITRD_DISTANCE: u64 = 512 * MIB;

/// Where the firmware is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Firmware {
    /// Where harts start.
    pub entry: u64,
    /// The address after its last byte.
    pub end: u64,
    /// Its functions.
    pub symbols: Vec<Symbol>,
}

/// Where the kernel is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// Its first byte, where the firmware jumps to (even in an ELF file with another entry).
    pub start: u64,
    /// The address after its last byte, `.bss` included.
    pub end: u64,
    /// Its functions.
    pub symbols: Vec<Symbol>,
}

/// Loads `-bios`: an ELF file to its own addresses, anything else to `base`.
pub fn load_firmware(blob: &Blob, base: u64, roms: &mut RomSet) -> Result<Firmware, LoadError> {
    if elf::is_elf(&blob.bytes) {
        let image = elf::parse(&blob.bytes, RISCV).map_err(|problem| blob.error(problem))?;
        image.add_to(roms, blob)?;
        let end = image.span().end;
        return Ok(Firmware {
            entry: image.entry,
            end,
            symbols: image.symbols,
        });
    }
    let end = add_whole(blob, base, blob.bytes.len() as u64, roms)?;
    Ok(Firmware {
        entry: base,
        end,
        symbols: Vec::new(),
    })
}

/// Loads `-kernel`: an ELF file to its own addresses, an `Image` or a plain binary to `base`;
/// gzipped or not.
pub fn load_kernel(blob: &Blob, base: u64, roms: &mut RomSet) -> Result<Kernel, LoadError> {
    let unpacked;
    let mut blob = blob;
    if is_gzip(&blob.bytes) {
        let ram = roms.ram();
        let bytes = gunzip(&blob.bytes, ram.end - ram.start).map_err(|p| blob.error(p))?;
        unpacked = Blob::new(blob.option, &blob.path, bytes);
        blob = &unpacked;
    }
    if elf::is_elf(&blob.bytes) {
        let image = elf::parse(&blob.bytes, RISCV).map_err(|problem| blob.error(problem))?;
        image.add_to(roms, blob)?;
        let span = image.span();
        return Ok(Kernel {
            start: span.start,
            end: span.end,
            symbols: image.symbols,
        });
    }
    let header = image::parse(&blob.bytes).map_err(|problem| blob.error(problem))?;
    let size = header
        .map_or(0, |header| header.image_size)
        .max(blob.bytes.len() as u64);
    let end = add_whole(blob, base, size, roms)?;
    Ok(Kernel {
        start: base,
        end,
        symbols: Vec::new(),
    })
}

/// Loads `-initrd` behind the kernel: halfway into RAM, or 512 MiB when RAM is larger than 1 GiB.
/// Gives its first address, and the one after its last byte.
pub fn load_initrd(
    blob: &Blob,
    kernel: &Kernel,
    roms: &mut RomSet,
) -> Result<(u64, u64), LoadError> {
    let ram = roms.ram();
    let distance = ((ram.end - ram.start) / 2).min(INITRD_DISTANCE);
    let start = (kernel.start + distance).max(align_up(kernel.end, KERNEL_ALIGN));
    let end = add_whole(blob, start, blob.bytes.len() as u64, roms)?;
    Ok((start, end))
}

/// Adds all bytes of `blob` at `base`, zero up to `size`. Gives the address after them.
fn add_whole(blob: &Blob, base: u64, size: u64, roms: &mut RomSet) -> Result<u64, LoadError> {
    let len = blob.bytes.len();
    let zeros = size.saturating_sub(len as u64);
    let bytes = blob.bytes.clone();
    roms.add(
        blob,
        Rom::part(blob.label(), PhysAddr(base), bytes, 0..len, zeros),
    )?;
    Ok(base + size)
}

/// Where the kernel goes if it does not say so itself.
pub fn kernel_base(firmware_end: u64) -> u64 {
    align_up(firmware_end, KERNEL_ALIGN)
}

/// Where a device tree of `size` bytes goes: as high in RAM as it can be, 2 MiB aligned.
pub fn fdt_base(ram_end: u64, size: u64) -> u64 {
    ram_end.saturating_sub(size) / KERNEL_ALIGN * KERNEL_ALIGN
}

fn align_up(value: u64, align: u64) -> u64 {
    value.checked_next_multiple_of(align).unwrap_or(value)
}

/// What the reset vector tells the firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResetVector {
    /// Where the firmware starts.
    pub start: u64,
    /// Where the device tree is.
    pub fdt: u64,
    /// Where the firmware shall go on, in S-mode; 0 without a kernel.
    pub next: u64,
}

impl ResetVector {
    /// The bytes at the reset address, for RV64: code, its two addresses, and the
    /// `fw_dynamic_info` of OpenSBI (`docs/firmware/fw_dynamic.md` there), version 2.
    pub fn bytes(&self) -> Arc<Vec<u8>> {
        // All harts run this; it is position-independent. OpenSBI elects the one that boots.
        let code: [u32; 6] = [
            0x0000_0297, // auipc t0, 0
            0x0282_8613, // addi  a2, t0, 40    # fw_dynamic_info
            0xf140_2573, // csrr  a0, mhartid
            0x0202_b583, // ld    a1, 32(t0)    # device tree
            0x0182_b283, // ld    t0, 24(t0)    # firmware
            0x0002_8067, // jr    t0
        ];
        const MAGIC: u64 = 0x4942_534f;
        const VERSION: u64 = 2;
        const S_MODE: u64 = 1;
        let (options, boot_hart) = (0, 0);
        let info = [MAGIC, VERSION, self.next, S_MODE, options, boot_hart];
        let words = [self.start, self.fdt].into_iter().chain(info);
        let code = code.into_iter().flat_map(u32::to_le_bytes);
        Arc::new(code.chain(words.flat_map(u64::to_le_bytes)).collect())
    }
}

#[cfg(test)]
mod tests;
