//! ELF files written by hand, whole and damaged.

use super::*;

const RISCV: ElfMachine = ElfMachine {
    number: 243,
    name: "RISC-V",
};
const HEADER: usize = 64;
const ROW: usize = 56;

/// A file with one `PT_LOAD` row per `(paddr, memsz, bytes)`.
fn elf64(segments: &[(u64, u64, &[u8])]) -> Vec<u8> {
    let mut file = Vec::new();
    file.extend([0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    file.extend(2u16.to_le_bytes());
    file.extend(243u16.to_le_bytes());
    file.extend(1u32.to_le_bytes());
    file.extend(0x8000_0004u64.to_le_bytes());
    file.extend((HEADER as u64).to_le_bytes());
    file.extend(0u64.to_le_bytes());
    file.extend(0u32.to_le_bytes());
    for half in [HEADER as u16, ROW as u16, segments.len() as u16, 64, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    let mut offset = (HEADER + ROW * segments.len()) as u64;
    for (paddr, memsz, bytes) in segments {
        file.extend(1u32.to_le_bytes());
        file.extend(5u32.to_le_bytes());
        let size = bytes.len() as u64;
        for word in [offset, paddr + 0xffff_0000_0000, *paddr, size, *memsz, 4096] {
            file.extend(word.to_le_bytes());
        }
        offset += size;
    }
    segments
        .iter()
        .for_each(|(_, _, bytes)| file.extend(*bytes));
    file
}

fn good() -> Vec<u8> {
    elf64(&[
        (0x8000_0000, 0x10, b"code"),
        (0x8000_1000, 8, b"data"),
        (0x8000_2000, 0, b""),
    ])
}

fn check(data: &[u8], expected: &str) {
    let answer = parse(data, RISCV).map_or_else(|p| p.to_string(), |image| format!("{image:x?}"));
    assert_eq!(answer, expected);
}

/// The good file with `bytes` at `offset`.
fn patched(offset: usize, bytes: &[u8]) -> Vec<u8> {
    let mut file = good();
    file[offset..offset + bytes.len()].copy_from_slice(bytes);
    file
}

#[test]
fn segments_go_to_physical_addresses() {
    let image = parse(&good(), RISCV).unwrap();
    assert_eq!(image.entry, 0x8000_0004);
    assert_eq!(image.span(), 0x8000_0000..0x8000_1008);
    let code = HEADER + 3 * ROW;
    let segment = |addr, data, zeros| Segment {
        addr: PhysAddr(addr),
        data,
        zeros,
    };
    let expected = [
        segment(0x8000_0000, code..code + 4, 12),
        segment(0x8000_1000, code + 4..code + 8, 4),
    ];
    assert_eq!(image.segments, expected);
}

#[test]
fn segments_become_roms() {
    let blob = Blob::new("-kernel", "vmlinux", good());
    let mut roms = RomSet::new(0x8000_0000..0x8000_1008);
    parse(&blob.bytes, RISCV)
        .unwrap()
        .add_to(&mut roms, &blob)
        .unwrap();
    let roms = roms.into_roms();
    assert_eq!((roms[0].bytes(), roms[0].size()), (&b"code"[..], 16));
    assert_eq!(
        (roms[1].bytes(), roms[1].addr),
        (&b"data"[..], PhysAddr(0x8000_1000))
    );

    let mut small = RomSet::new(0x8000_0000..0x8000_1000);
    let error = parse(&blob.bytes, RISCV)
        .unwrap()
        .add_to(&mut small, &blob)
        .unwrap_err();
    let expected = "-kernel vmlinux: its bytes at 0x80001000 to 0x80001007 do not fit in RAM, \
                    which is 0x80000000 to 0x80000fff";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn wrong_files_are_named() {
    let foreign = |found| format!("this ELF file is for {found}, but the machine needs RISC-V");
    check(&patched(18, &[62, 0]), &foreign("x86-64"));
    check(&patched(18, &[183, 0]), &foreign("AArch64"));
    check(&patched(18, &[0x34, 0x12]), &foreign("machine number 4660"));
    let broken = |detail| format!("this ELF file is broken: {detail}");
    check(
        &patched(4, &[3]),
        &broken("it is neither 32-bit nor 64-bit"),
    );
    check(&patched(6, &[2]), &broken("its header is not of version 1"));
    check(
        &patched(16, &[1]),
        &broken("it is an object file that was not linked"),
    );
    check(&patched(56, &[0]), &broken("it has nothing to load"));
    let memsz = HEADER + 40;
    let larger = "a segment is larger in the file than in memory";
    check(&patched(memsz, &[3]), &broken(larger));
    let wraps = "a segment wraps around the end of the address space";
    check(&patched(memsz, &[0xff; 8]), &broken(wraps));
    let mut big = patched(5, &[2]);
    big[16..20].copy_from_slice(&[0, 2, 0, 243]);
    let expected = "this ELF file is for big-endian RISC-V, but the machine needs little-endian \
                    code";
    check(&big, expected);
}

#[test]
fn every_truncation_is_noticed() {
    let file = good();
    for len in 4..file.len() {
        assert!(is_elf(&file[..len]));
        check(&file[..len], "this ELF file is truncated");
    }
    check(
        &patched(32, &[0xf0, 0xff, 0xff]),
        "this ELF file is truncated",
    );
    check(
        &patched(HEADER + 8, &[0xff; 8]),
        "this ELF file is truncated",
    );
}

#[test]
fn no_damaged_byte_panics() {
    for offset in 0..good().len() {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            if let Ok(image) = parse(&patched(offset, &[value]), RISCV) {
                image.span();
            }
        }
    }
}
