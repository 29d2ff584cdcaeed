//! ELF images (System V ABI, chapter 5), read with the `object` crate.
//!
//! What a machine loads are the `PT_LOAD` segments, at their physical addresses and without
//! relocation, as QEMU's `load_elf` does.

use std::ops::Range;

use include::PhysAddr;
use object::Endianness;
use object::elf::{self, FileHeader32, FileHeader64};
use object::read::elf::{FileHeader, ProgramHeader, Sym};

use super::{Blob, LoadError, LoadProblem, Rom, RomSet};

/// Symbols kept from one image; more are dropped.
const SYMBOLS_MAX: usize = 1 << 20;
/// Longest name kept, so that overlapping names in a hostile file cannot fill the host's memory.
const SYMBOL_NAME_MAX: usize = 512;

const FORMAT: &str = "ELF file";
/// Where `e_ident` has the class.
const EI_CLASS: usize = 4;

/// Which machine an image must be for.
#[derive(Clone, Copy, Debug)]
pub struct ElfMachine {
    /// `e_machine`.
    pub number: u16,
    /// What messages call it.
    pub name: &'static str,
}

/// A part of the file that goes to guest memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// `p_paddr`.
    pub addr: PhysAddr,
    /// Which bytes of the file.
    pub data: Range<usize>,
    /// How many zeros follow.
    pub zeros: u64,
}

impl Segment {
    /// The address after its last byte.
    fn end(&self) -> u64 {
        self.addr.0 + self.data.len() as u64 + self.zeros
    }
}

/// A function of the guest, for `-d in_asm`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Its (virtual) address.
    pub addr: u64,
    /// Its size in bytes; 0 when unknown.
    pub size: u64,
    /// Its name.
    pub name: String,
}

/// What an ELF file says.
#[derive(Clone, Debug, Default)]
pub struct ElfImage {
    /// `e_entry`.
    pub entry: u64,
    /// The segments with at least one byte, in the order of the file. Never none.
    pub segments: Vec<Segment>,
    /// Its functions, sorted by address.
    pub symbols: Vec<Symbol>,
}

impl ElfImage {
    /// The addresses from the first to the last byte of all segments.
    pub fn span(&self) -> Range<u64> {
        let start = self.segments.iter().map(|s| s.addr.0).min().unwrap_or(0);
        let end = self.segments.iter().map(Segment::end).max().unwrap_or(0);
        start..end
    }

    /// Adds all segments to `roms`. `blob` is the file that was parsed.
    pub fn add_to(&self, roms: &mut RomSet, blob: &Blob) -> Result<(), LoadError> {
        for Segment { addr, data, zeros } in &self.segments {
            let bytes = blob.bytes.clone();
            roms.add(
                blob,
                Rom::part(blob.label(), *addr, bytes, data.clone(), *zeros),
            )?;
        }
        Ok(())
    }
}

/// Whether the file claims to be ELF.
pub fn is_elf(data: &[u8]) -> bool {
    data.starts_with(&elf::ELFMAG)
}

/// Reads an ELF file for `machine`; of either class, little-endian.
pub fn parse(data: &[u8], machine: ElfMachine) -> Result<ElfImage, LoadProblem> {
    let class = *data.get(EI_CLASS).ok_or(truncated())?;
    match elf::FileClass(class) {
        elf::ELFCLASS32 => parse_class::<FileHeader32<Endianness>>(data, machine),
        elf::ELFCLASS64 => parse_class::<FileHeader64<Endianness>>(data, machine),
        _ => Err(broken("it is neither 32-bit nor 64-bit")),
    }
}

fn parse_class<Elf>(data: &[u8], machine: ElfMachine) -> Result<ElfImage, LoadProblem>
where
    Elf: FileHeader<Endian = Endianness>,
{
    if data.len() < size_of::<Elf>() {
        return Err(truncated());
    }
    let header = Elf::parse(data).map_err(|_| broken("its header is not of version 1"))?;
    let endian = header
        .endian()
        .map_err(|_| broken("its byte order is neither of the two"))?;
    check_machine(header, endian, machine)?;
    let headers = header
        .program_headers(endian, data)
        .map_err(|_| truncated())?;
    let mut segments = Vec::new();
    for program in headers.iter().filter(|p| p.p_type(endian) == elf::PT_LOAD) {
        segments.extend(segment(program, endian, data.len())?);
    }
    if segments.is_empty() {
        return Err(broken("it has nothing to load"));
    }
    let symbols = symbols(header, endian, data).unwrap_or_default();
    Ok(ElfImage {
        entry: header.e_entry(endian).into(),
        segments,
        symbols,
    })
}

fn check_machine<Elf>(
    header: &Elf,
    endian: Endianness,
    machine: ElfMachine,
) -> Result<(), LoadProblem>
where
    Elf: FileHeader<Endian = Endianness>,
{
    let number = header.e_machine(endian).0;
    if number != machine.number {
        let found = machine_name(number);
        return Err(LoadProblem::Foreign {
            format: FORMAT,
            found,
            needed: machine.name,
        });
    }
    if endian == Endianness::Big {
        let found = format!("big-endian {}", machine.name);
        return Err(LoadProblem::Foreign {
            format: FORMAT,
            found,
            needed: "little-endian code",
        });
    }
    match header.e_type(endian) {
        elf::ET_EXEC | elf::ET_DYN => Ok(()),
        elf::ET_REL => Err(broken("it is an object file that was not linked")),
        elf::ET_CORE => Err(broken("it is a core dump")),
        _ => Err(broken("it is not an executable")),
    }
}

/// `e_machine` in words.
fn machine_name(number: u16) -> String {
    let known = match elf::Machine(number) {
        elf::EM_386 => "x86",
        elf::EM_X86_64 => "x86-64",
        elf::EM_ARM => "Arm",
        elf::EM_AARCH64 => "AArch64",
        elf::EM_RISCV => "RISC-V",
        elf::EM_LOONGARCH => "LoongArch",
        elf::EM_MIPS => "MIPS",
        elf::EM_PPC => "PowerPC",
        elf::EM_PPC64 => "64-bit PowerPC",
        elf::EM_S390 => "s390",
        elf::EM_SPARC | elf::EM_SPARCV9 => "SPARC",
        _ => return format!("machine number {number}"),
    };
    known.into()
}

/// One `PT_LOAD` row; `None` if it is empty.
fn segment<P>(p: &P, endian: Endianness, len: usize) -> Result<Option<Segment>, LoadProblem>
where
    P: ProgramHeader<Endian = Endianness>,
{
    let (offset, paddr) = (p.p_offset(endian).into(), p.p_paddr(endian).into());
    let (file_size, size): (u64, u64) = (p.p_filesz(endian).into(), p.p_memsz(endian).into());
    let Some(zeros) = size.checked_sub(file_size) else {
        return Err(broken("a segment is larger in the file than in memory"));
    };
    if size == 0 {
        return Ok(None);
    }
    if paddr.checked_add(size).is_none() {
        return Err(broken(
            "a segment wraps around the end of the address space",
        ));
    }
    let end: u64 = offset.checked_add(file_size).ok_or(truncated())?;
    if end > len as u64 {
        return Err(truncated());
    }
    // Both fit in usize: they are at most `len`, except the offset of a segment without bytes.
    let data = if file_size == 0 {
        0..0
    } else {
        offset as usize..end as usize
    };
    Ok(Some(Segment {
        addr: PhysAddr(paddr),
        data,
        zeros,
    }))
}

/// The functions. A broken symbol table only costs the names, as symbols are not loaded.
fn symbols<Elf>(header: &Elf, endian: Endianness, data: &[u8]) -> object::Result<Vec<Symbol>>
where
    Elf: FileHeader<Endian = Endianness>,
{
    let table = header
        .sections(endian, data)?
        .symbols(endian, data, elf::SHT_SYMTAB)?;
    let functions = table.iter().filter(|symbol| {
        symbol.st_type() == elf::STT_FUNC && symbol.st_shndx(endian) != elf::SHN_UNDEF
    });
    let mut symbols: Vec<Symbol> = functions
        .take(SYMBOLS_MAX)
        .filter_map(|symbol| {
            let name = table.symbol_name(endian, symbol).ok()?;
            let name = &name[..name.len().min(SYMBOL_NAME_MAX)];
            Some(Symbol {
                addr: symbol.st_value(endian).into(),
                size: symbol.st_size(endian).into(),
                name: String::from_utf8_lossy(name).into_owned(),
            })
        })
        .collect();
    symbols.sort_by_key(|symbol| symbol.addr);
    Ok(symbols)
}

fn truncated() -> LoadProblem {
    LoadProblem::Truncated { format: FORMAT }
}

fn broken(detail: &'static str) -> LoadProblem {
    LoadProblem::Broken {
        format: FORMAT,
        detail,
    }
}

#[cfg(test)]
mod tests;
