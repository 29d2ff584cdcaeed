//! The header of a RISC-V Linux `Image` (Linux `Documentation/arch/riscv/boot-image-header.rst`)
//! and the formats that are mistaken for it.
//!
//! A file without the header is a plain binary, which is as good as any kernel.

use hw::core::loader::LoadProblem;
use hw::core::loader::image::{Magic, refuse_magic};

/// Bytes in the header.
pub const HEADER_SIZE: usize = 64;
/// `magic2`, and where it is.
const MAGIC2: (usize, &[u8; 4]) = (0x38, b"RSC\x05");
/// Where the offset of the PE header is.
const PE_OFFSET: usize = 0x3c;
/// Flag: a big-endian kernel.
const FLAG_BIG_ENDIAN: u64 = 1;

const FORMAT: &str = "Linux Image";
const NEEDED: &str = "RISC-V";

/// What this project needs of the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageHeader {
    /// Where the kernel wants to be, from the start of RAM. Kernels since 4.x relocate
    /// themselves, and QEMU ignores it; so do we.
    pub text_offset: u64,
    /// Bytes in memory, `.bss` included; 0 in very old kernels.
    pub image_size: u64,
}

/// Formats that are no plain binary and that the machine cannot run.
const REFUSED: &[Magic] = &[
    row(0x38, b"ARM\x64", || foreign_image("AArch64")),
    row(0x202, b"HdrS", || foreign_image("x86")),
    row(4, b"zimg", || unsupported("an EFI zboot image")),
    row(0, &[0x27, 0x05, 0x19, 0x56], || {
        unsupported("a U-Boot image")
    }),
    row(0, &[0xd0, 0x0d, 0xfe, 0xed], || {
        unsupported("a flattened image tree")
    }),
    row(0, b"\xfd7zXZ\0", || unsupported("an xz file")),
    row(0, &[0x28, 0xb5, 0x2f, 0xfd], || unsupported("a zstd file")),
    row(0, b"BZh", || unsupported("a bzip2 file")),
    row(0, &[0x02, 0x21, 0x4c, 0x18], || unsupported("an lz4 file")),
    row(0, b"\x89LZO", || unsupported("an lzop file")),
];

const fn row(offset: usize, bytes: &'static [u8], problem: fn() -> LoadProblem) -> Magic {
    Magic {
        offset,
        bytes,
        problem,
    }
}

fn foreign_image(found: &str) -> LoadProblem {
    LoadProblem::Foreign {
        format: FORMAT,
        found: found.into(),
        needed: NEEDED,
    }
}

fn unsupported(format: &'static str) -> LoadProblem {
    LoadProblem::Unsupported {
        format,
        advice: "unpack it to an Image first",
    }
}

/// Reads the header; `None` for a plain binary.
pub fn parse(data: &[u8]) -> Result<Option<ImageHeader>, LoadProblem> {
    refuse_magic(data, REFUSED)?;
    let is_image = data.get(MAGIC2.0..MAGIC2.0 + 4) == Some(MAGIC2.1);
    // `MZ` is an instruction, too: without the RISC-V number, a PE header decides what it is.
    let pe = read_u32(data, PE_OFFSET).map_or(usize::MAX, |pe| pe as usize);
    let is_pe = data
        .get(pe..)
        .is_some_and(|header| header.starts_with(b"PE\0\0"));
    if data.starts_with(b"MZ") && (is_image || is_pe) {
        check_pe(data, pe)?;
    }
    if !is_image {
        return Ok(None);
    }
    let field = |offset| read_u64(data, offset).ok_or(truncated());
    let header = ImageHeader {
        text_offset: field(8)?,
        image_size: field(16)?,
    };
    if data.len() < HEADER_SIZE {
        return Err(truncated());
    }
    if field(24)? & FLAG_BIG_ENDIAN != 0 {
        return Err(foreign_image("big-endian RISC-V"));
    }
    Ok(Some(header))
}

/// A kernel with an EFI stub is a PE file too. Its section table says for which CPU it is, and
/// how long the file must be.
fn check_pe(data: &[u8], pe: usize) -> Result<(), LoadProblem> {
    let coff = |offset: usize| pe.checked_add(offset).and_then(|at| read_u16(data, at));
    let (Some(machine), Some(sections), Some(optional)) = (coff(4), coff(6), coff(20)) else {
        return Err(truncated());
    };
    match machine {
        0x5064 => {}
        0x014c => return Err(foreign_image("x86")),
        0x8664 => return Err(foreign_image("x86-64")),
        0xaa64 => return Err(foreign_image("AArch64")),
        0x6264 => return Err(foreign_image("LoongArch")),
        other => return Err(foreign_image(&format!("PE machine number {other:#x}"))),
    }
    let table = pe.saturating_add(24 + usize::from(optional));
    for section in 0..usize::from(sections) {
        let row = table.saturating_add(section * 40);
        let field = |offset| row.checked_add(offset).and_then(|at| read_u32(data, at));
        let (Some(size), Some(start)) = (field(16), field(20)) else {
            return Err(truncated());
        };
        if u64::from(size) + u64::from(start) > data.len() as u64 {
            return Err(truncated());
        }
    }
    Ok(())
}

fn truncated() -> LoadProblem {
    LoadProblem::Truncated { format: FORMAT }
}

fn read_u16(data: &[u8], offset: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*data.get(offset..)?.first_chunk()?))
}

fn read_u32(data: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*data.get(offset..)?.first_chunk()?))
}

fn read_u64(data: &[u8], offset: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*data.get(offset..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An Image with an EFI stub and one section of 0x40 bytes at 0x100.
    fn image() -> Vec<u8> {
        let mut image = vec![0; 0x140];
        image[..2].copy_from_slice(b"MZ");
        image[8..16].copy_from_slice(&0x20_0000u64.to_le_bytes());
        image[16..24].copy_from_slice(&0x1000u64.to_le_bytes());
        image[0x38..0x3c].copy_from_slice(MAGIC2.1);
        image[0x3c] = 0x40;
        image[0x40..0x44].copy_from_slice(b"PE\0\0");
        image[0x44..0x48].copy_from_slice(&[0x64, 0x50, 1, 0]);
        image[0x54] = 8;
        image[0x70] = 0x40;
        image[0x75] = 1;
        image
    }

    fn check(data: &[u8], expected: &str) {
        let answer = match parse(data) {
            Ok(Some(h)) => format!("offset {:#x}, size {:#x}", h.text_offset, h.image_size),
            Ok(None) => "plain".into(),
            Err(problem) => problem.to_string(),
        };
        assert_eq!(answer, expected);
    }

    fn patched(offset: usize, bytes: &[u8]) -> Vec<u8> {
        let mut image = image();
        image[offset..offset + bytes.len()].copy_from_slice(bytes);
        image
    }

    #[test]
    fn headers_are_read() {
        check(&image(), "offset 0x200000, size 0x1000");
        check(&patched(0, &[0, 0])[..64], "offset 0x200000, size 0x1000");
        check(
            &[b"MZ and no number at 0x38: ", &[b'.'; 100][..]].concat(),
            "plain",
        );
        check(&[0x13; 100], "plain");
        check(&[0x13], "plain");
    }

    #[test]
    fn every_truncation_of_an_efi_kernel_is_noticed() {
        for len in 0x3c..image().len() {
            check(&image()[..len], "this Linux Image is truncated");
        }
    }

    #[test]
    fn other_formats_are_named() {
        let foreign =
            |found| format!("this Linux Image is for {found}, but the machine needs RISC-V");
        check(&patched(0x38, b"ARM\x64"), &foreign("AArch64"));
        check(&patched(0x44, &[0x64, 0x86]), &foreign("x86-64"));
        check(&patched(24, &[1]), &foreign("big-endian RISC-V"));
        let expected = "this is an EFI zboot image, which is not supported: unpack it to an Image \
                        first";
        check(&patched(4, b"zimg"), expected);
    }

    #[test]
    fn no_damaged_byte_panics() {
        for offset in 0..image().len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let _ = parse(&patched(offset, &[value]));
            }
        }
    }
}
