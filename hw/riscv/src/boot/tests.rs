//! Placement, compared with what QEMU 11.1's `info roms` and `xp` show.

use super::*;

const BASE: u64 = 0x8000_0000;

fn blob(option: &'static str, size: usize) -> Blob {
    Blob::new(option, "file", vec![0x13; size])
}

/// Boots with files of these sizes: where kernel, initrd and a device tree of 5 KiB end up.
fn check(ram_mib: u64, firmware: usize, kernel: Blob, initrd: usize, expected: &str) {
    let ram = BASE..BASE + ram_mib * MIB;
    let mut roms = RomSet::new(ram.clone());
    let place = |roms: &mut RomSet| -> Result<String, LoadError> {
        let mut end = BASE;
        if firmware > 0 {
            end = load_firmware(&blob("-bios", firmware), BASE, roms)?.end;
        }
        let kernel = load_kernel(&kernel, kernel_base(end), roms)?;
        let initrd = load_initrd(&blob("-initrd", initrd), &kernel, roms)?;
        let fdt = fdt_base(ram.end, 5 << 10);
        Ok(format!("{:x} {:x} {fdt:x}", kernel.start, initrd.0))
    };
    let answer = place(&mut roms).unwrap_or_else(|error| error.to_string());
    assert_eq!(answer, expected);
}

#[test]
fn placement_is_qemus() {
    let kernel = || blob("-kernel", 5_000_000);
    check(
        512,
        0x43d68,
        kernel(),
        3_000_000,
        "80200000 90200000 9fe00000",
    );
    check(
        128,
        0x3f218,
        kernel(),
        3_000_000,
        "80200000 84200000 87e00000",
    );
    check(
        64,
        0x43d68,
        kernel(),
        3_000_000,
        "80200000 82200000 83e00000",
    );
    check(2048, 0, kernel(), 3_000_000, "80000000 a0000000 ffe00000");
    check(
        4096,
        0x43d68,
        kernel(),
        3_000_000,
        "80200000 a0200000 17fe00000",
    );
}

#[test]
fn an_initrd_gives_way_to_a_large_kernel() {
    check(
        64,
        0x43d68,
        blob("-kernel", 40_000_000),
        3_000_000,
        "80200000 82a00000 83e00000",
    );
    let mut image = vec![0; 4096];
    image[0x38..0x3c].copy_from_slice(b"RSC\x05");
    image[16..24].copy_from_slice(&(40 * MIB).to_le_bytes());
    let image = Blob::new("-kernel", "Image", image);
    check(64, 0x43d68, image, 3_000_000, "80200000 82a00000 83e00000");
}

#[test]
fn what_does_not_fit_is_refused() {
    let expected = "-kernel file: its bytes at 0x80200000 to 0x806c4b3f do not fit in RAM, which \
                    is 0x80000000 to 0x803fffff";
    check(4, 0x43d68, blob("-kernel", 5_000_000), 10, expected);
    let expected = "-initrd file: its bytes at 0x80800000 to 0x80adc6bf do not fit in RAM, which \
                    is 0x80000000 to 0x807fffff";
    check(8, 0x43d68, blob("-kernel", 5_000_000), 3_000_000, expected);
    let mut image = vec![0; 4096];
    image[0x38..0x3c].copy_from_slice(b"RSC\x05");
    image[16..24].copy_from_slice(&u64::MAX.to_le_bytes());
    let expected = "-kernel Image: its bytes at 0x80200000 to 0xfffffffffffffffe do not fit in \
                    RAM, which is 0x80000000 to 0x803fffff";
    check(
        4,
        0x43d68,
        Blob::new("-kernel", "Image", image),
        10,
        expected,
    );
}

#[test]
fn the_reset_vector_is_qemus() {
    let vector = ResetVector {
        start: BASE,
        fdt: 0x9fe0_0000,
        next: 0x8020_0000,
    };
    let bytes = vector.bytes();
    let words = bytes
        .chunks_exact(4)
        .map(|w| u32::from_le_bytes(w.try_into().unwrap()));
    // `xp /22xw 0x1000` of QEMU 11.1.2 with -m 512M, fw_dynamic.bin and a kernel.
    #[rustfmt::skip]
    let expected = [
        0x0000_0297, 0x0282_8613, 0xf140_2573, 0x0202_b583, 0x0182_b283, 0x0002_8067,
        0x8000_0000, 0, 0x9fe0_0000, 0, 0x4942_534f, 0, 2, 0, 0x8020_0000, 0, 1, 0, 0, 0, 0, 0,
    ];
    assert!(words.eq(expected));
}
