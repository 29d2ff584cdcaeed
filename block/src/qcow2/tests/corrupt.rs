//! Damaged images: a clear error, or it works; never a panic, nor much memory.

use super::super::header;
use super::*;

/// A small image with all kinds of clusters.
fn sample(version: u32) -> Vec<u8> {
    let options = CreateOptions {
        size: 300 << 10,
        version,
        cluster_bits: 9,
        ..CreateOptions::default()
    };
    let storage = create_in_memory(&options);
    let image = open(storage.clone(), None, false).expect("a new image");
    let mut rng = Rng(8);
    let data = rng.data(250 << 10);
    image.write(0, &data).expect("a write");
    for _ in 0..100 {
        let (offset, bytes) = rng.range(options.size, 512);
        let data = rng.data(bytes);
        image.write(offset, &data).expect("a write");
    }
    image.write_zeroes(0, 20 << 10, false).expect("zeros");
    image.discard(100 << 10, 20 << 10).expect("a discard");
    image.flush().expect("a flush");
    storage.bytes()
}

fn refused(bytes: Vec<u8>) -> String {
    match open(Memory::of(bytes), None, false) {
        Err(sentence) => sentence,
        Ok(_) => panic!("it opened"),
    }
}

/// The sample with a field changed.
fn with(at: usize, field: &[u8]) -> Vec<u8> {
    let mut bytes = sample(3);
    bytes[at..at + field.len()].copy_from_slice(field);
    bytes
}

#[test]
fn headers_are_refused_in_a_sentence() {
    let check = |at: usize, field: &[u8], expected: &str| {
        let sentence = refused(with(at, field));
        assert!(sentence.contains(expected), "{sentence}");
    };
    check(0, b"QFJ", "no qcow2 image");
    check(4, &4u32.to_be_bytes(), "version 4");
    check(20, &8u32.to_be_bytes(), "2^8");
    check(20, &22u32.to_be_bytes(), "2^22");
    check(24, &u64::MAX.to_be_bytes(), "too large");
    check(24, &(1u64 << 40).to_be_bytes(), "L1 table");
    check(32, &1u32.to_be_bytes(), "encrypted");
    check(36, &u32::MAX.to_be_bytes(), "L1 table");
    check(40, &0x201u64.to_be_bytes(), "L1 table");
    check(40, &(1u64 << 62).to_be_bytes(), "L1 table");
    check(40, &(1u64 << 40).to_be_bytes(), "behind its end");
    check(48, &0u64.to_be_bytes(), "reference count table");
    check(56, &0u32.to_be_bytes(), "reference count table");
    check(56, &u32::MAX.to_be_bytes(), "reference count table");
    check(60, &u32::MAX.to_be_bytes(), "snapshots");
    check(72, &(1u64 << 63).to_be_bytes(), "unknown features: bit 63");
    check(72, &(1u64 << 2).to_be_bytes(), "another file");
    check(72, &(1u64 << 4).to_be_bytes(), "extended L2");
    check(72, &(1u64 << 1).to_be_bytes(), "marked as corrupt");
    check(72, &(1u64 << 3).to_be_bytes(), "compression type 0");
    check(96, &7u32.to_be_bytes(), "2^7");
    check(100, &8u32.to_be_bytes(), "8 bytes");
    check(104, &0xe279_2aca_ffff_ffffu64.to_be_bytes(), "extensions");
    check(8, b"\0\0\0\0\0\x10\0\0\0\0\0\x05", "backing file");
    assert!(refused(Vec::new()).contains("no qcow2 image"));
    assert!(refused(b"QFI\xfb".to_vec()).contains("no qcow2 image"));
}

#[test]
fn features_have_the_names_that_the_image_gives() {
    let mut bytes = with(72, &(1u64 << 40 | 1 << 41).to_be_bytes());
    bytes[104..108].copy_from_slice(&0x6803_f857u32.to_be_bytes());
    bytes[108..112].copy_from_slice(&48u32.to_be_bytes());
    bytes[112..119].copy_from_slice(b"\0\x28sails");
    let sentence = refused(bytes);
    assert!(
        sentence.ends_with("unknown features: sails, bit 41"),
        "{sentence}"
    );
}

#[test]
fn a_corrupt_image_can_be_read() {
    let bytes = with(72, &header::CORRUPT.to_be_bytes());
    let image = open(Memory::of(bytes), None, true).expect("it can be read");
    let sound = open(Memory::of(sample(3)), None, true).expect("it can be read");
    assert!(contents(&image) == contents(&sound));
}

/// The counts of an image that was not closed are made anew.
#[test]
fn a_dirty_image_is_repaired() {
    let mut bytes = with(72, &header::DIRTY.to_be_bytes());
    let expected = contents(&open(Memory::of(bytes.clone()), None, true).expect("ours"));
    let table = header::be64(&bytes, 48) as usize;
    let blocks: Vec<usize> = (0..4)
        .map(|index| header::be64(&bytes, table + index * 8) as usize)
        .filter(|block| *block != 0)
        .collect();
    assert!(blocks.len() > 2);
    // Some counts are lost, others too large, and a block was never there.
    bytes[blocks[0] + 40..blocks[0] + 300].fill(0);
    bytes[blocks[1] + 1..blocks[1] + 60].fill(1);
    bytes[table + 16..table + 24].fill(0);
    let storage = Memory::of(bytes);
    let image = open(storage.clone(), None, false).expect("it is repaired");
    assert_sound(&image, false);
    assert!(contents(&image) == expected);
    assert_eq!(read_header(&storage).expect("a header").incompatible, 0);
}

#[test]
fn what_is_found_damaged_is_marked() {
    let bytes = sample(3);
    let l1 = header::be64(&bytes, 40) as usize;
    let mut damaged = bytes.clone();
    // An L2 table where the header is.
    damaged[l1 + 7] = 0;
    damaged[l1 + 6] = 2;
    damaged[l1 + 5] = 0;
    let storage = Memory::of(damaged);
    let image = open(storage.clone(), None, false).expect("nothing is wrong yet");
    assert_eq!(image.write(0, b"x"), Err(Errno::EIO));
    assert_eq!(
        image.write(250 << 10, b"x"),
        Err(Errno::EIO),
        "not written any more"
    );
    let header = read_header(&storage).expect("a header");
    assert_eq!(header.incompatible, header::CORRUPT);
    assert!(refused(storage.bytes()).contains("corrupt"));
}

/// Uses an image that may be anything.
fn use_it(bytes: Vec<u8>, rng: &mut Rng) -> bool {
    let storage = Memory::of(bytes);
    let read_only = rng.below(2) == 0;
    let Ok(image) = open(storage.clone(), None, read_only) else {
        return false;
    };
    let disk = image.len().clamp(1, 400 << 10);
    let mut works = true;
    for _ in 0..12 {
        let (offset, bytes) = rng.range(disk, 2048);
        let done = match rng.below(5) {
            0 => image.read(offset, &mut vec![0; bytes as usize]),
            1 | 2 => image.write(offset, &rng.data(bytes)),
            3 => image.write_zeroes(offset, bytes, true),
            _ => image.discard(offset, bytes).and_then(|()| image.flush()),
        };
        works &= done.is_ok() || read_only;
    }
    let _ = image.check();
    assert!(storage.bytes().len() <= 8 << 20, "it grew without bounds");
    works
}

#[test]
fn damaged_at_random() {
    let mut rng = Rng(2);
    let (mut worked, rounds) = (0, 1500);
    for round in 0..rounds {
        let mut bytes = sample_of(round);
        let damages = 1 + rng.below(6);
        for _ in 0..damages {
            // The header and the first tables more often than the rest.
            let end = [112, 2048, bytes.len() as u64][rng.below(3) as usize];
            let at = rng.below(end) as usize;
            let width = (1 + rng.below(8) as usize).min(bytes.len() - at);
            let value = match rng.below(3) {
                0 => [0; 8],
                1 => [0xff; 8],
                _ => rng.next().to_be_bytes(),
            };
            bytes[at..at + width].copy_from_slice(&value[..width]);
        }
        if rng.below(10) == 0 {
            bytes.truncate(rng.below(bytes.len() as u64) as usize);
        }
        worked += u32::from(use_it(bytes, &mut rng));
    }
    assert!(worked > 100, "only {worked} of {rounds} worked");
}

fn sample_of(round: u64) -> Vec<u8> {
    use std::sync::LazyLock;
    static SAMPLES: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| [sample(2), sample(3)]);
    SAMPLES[(round % 2) as usize].clone()
}
