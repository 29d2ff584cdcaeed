//! Random operations beside a vector that has the same contents.

use super::*;

/// An image and what it must contain.
pub struct Model {
    pub storage: Memory,
    pub backing: Option<Memory>,
    pub image: Image<Memory>,
    pub expected: Vec<u8>,
    pub cluster: u64,
}

impl Model {
    pub fn new(options: &CreateOptions, backing: Option<Memory>) -> Self {
        let storage = create_in_memory(options);
        let mut expected = vec![0; options.size as usize];
        if let Some(backing) = &backing {
            read_bytes(&backing.bytes(), 0, &mut expected);
        }
        Self {
            image: open(storage.clone(), backing.clone(), false).expect("a new image"),
            storage,
            backing,
            expected,
            cluster: 1 << options.cluster_bits,
        }
    }

    pub fn step(&mut self, rng: &mut Rng) {
        let (offset, bytes) = rng.range(self.expected.len() as u64, self.cluster);
        let range = offset as usize..(offset + bytes) as usize;
        match rng.below(16) {
            0..7 => {
                let data = rng.data(bytes);
                self.image.write(offset, &data).expect("a write");
                self.expected[range].copy_from_slice(&data);
            }
            7..11 => self.read(offset, bytes),
            11 | 12 => {
                let unmap = rng.below(2) == 0;
                self.image
                    .write_zeroes(offset, bytes, unmap)
                    .expect("zeros");
                self.expected[range].fill(0);
            }
            13 | 14 => self.discard(offset, bytes),
            _ => {
                self.image.flush().expect("a flush");
                if rng.below(4) == 0 {
                    self.reopen();
                }
            }
        }
    }

    fn read(&self, offset: u64, bytes: u64) {
        let mut buf = vec![0xaa; bytes as usize];
        self.image.read(offset, &mut buf).expect("a read");
        let expected = &self.expected[offset as usize..(offset + bytes) as usize];
        assert!(buf == expected, "{bytes} bytes at {offset:#x} differ");
    }

    /// What is discarded is there still, or zeros.
    fn discard(&mut self, offset: u64, bytes: u64) {
        self.image.discard(offset, bytes).expect("a discard");
        let mut buf = vec![0; bytes as usize];
        self.image.read(offset, &mut buf).expect("a read");
        let old = &mut self.expected[offset as usize..(offset + bytes) as usize];
        let fits = |(new, old): (&u8, &u8)| *new == 0 || new == old;
        assert!(buf.iter().zip(old.iter()).all(fits), "{offset:#x}");
        old.copy_from_slice(&buf);
    }

    pub fn reopen(&mut self) {
        let (storage, backing) = (self.storage.clone(), self.backing.clone());
        self.image = open(storage, backing, false).expect("it was closed well");
    }

    pub fn finish(&mut self) {
        self.image.flush().expect("a flush");
        assert!(contents(&self.image) == self.expected);
        assert_sound(&self.image, false);
        self.reopen();
        assert!(contents(&self.image) == self.expected);
        assert_sound(&self.image, false);
    }
}

fn run(options: &CreateOptions, backing: Option<Memory>, steps: u64, seed: u64) -> Model {
    let mut model = Model::new(options, backing);
    let mut rng = Rng(seed);
    for _ in 0..steps {
        model.step(&mut rng);
    }
    model.finish();
    model
}

#[test]
fn cluster_sizes_and_versions() {
    for (cluster_bits, version, refcount_order) in [
        (9, 3, 4),
        (9, 2, 4),
        (9, 3, 6),
        (10, 3, 0),
        (12, 3, 1),
        (12, 2, 4),
        (16, 3, 2),
        (16, 3, 3),
        (16, 2, 4),
        (18, 3, 5),
        (21, 3, 4),
    ] {
        let options = CreateOptions {
            size: (1 << (cluster_bits + 4)).max(1 << 17) + 1536,
            version,
            cluster_bits,
            refcount_order,
            backing: None,
        };
        let steps = if cluster_bits > 16 { 60 } else { 400 };
        run(&options, None, steps, 77 + u64::from(cluster_bits));
    }
}

#[test]
fn over_a_backing_file() {
    for (version, backing_bytes) in [(2, 100_000), (3, 100_000), (3, 300_000), (2, 300_000)] {
        let backing = Memory::of(Rng(5).data(backing_bytes));
        let options = CreateOptions {
            size: 200_704,
            version,
            cluster_bits: 12,
            ..CreateOptions::default()
        };
        run(&options, Some(backing), 500, 1 + backing_bytes);
    }
}

#[test]
fn the_count_table_grows() {
    // Blocks of 64 counts, and 64 entries in a cluster of the table: it is full at 2 MiB.
    let options = CreateOptions {
        size: 5 << 20,
        cluster_bits: 9,
        refcount_order: 6,
        ..CreateOptions::default()
    };
    let mut model = Model::new(&options, None);
    let mut rng = Rng(3);
    for at in (0..options.size).step_by(64 << 10) {
        let data = rng.data(64 << 10);
        model.image.write(at, &data).expect("a write");
        model.expected[at as usize..at as usize + data.len()].copy_from_slice(&data);
    }
    model.finish();
}

#[test]
fn a_disk_grows() {
    let backing = Memory::of(Rng(9).data(1 << 20));
    let options = CreateOptions {
        size: 1 << 17,
        cluster_bits: 9,
        ..CreateOptions::default()
    };
    let mut model = Model::new(&options, Some(backing));
    model.image.write(1000, b"before").expect("a write");
    model.expected[1000..1006].copy_from_slice(b"before");
    model.image.set_len(6 << 20).expect("it grows");
    model.expected.resize(6 << 20, 0);
    model.image.write(5 << 20, b"behind").expect("a write");
    model.expected[5 << 20..(5 << 20) + 6].copy_from_slice(b"behind");
    model.finish();
    assert_eq!(model.image.set_len(1 << 20), Err(Errno::EOPNOTSUPP));
}

#[test]
fn small_clusters_are_filled_and_given_back() {
    let options = CreateOptions {
        size: 1 << 20,
        cluster_bits: 9,
        ..CreateOptions::default()
    };
    let mut model = run(&options, None, 3000, 42);
    let full = model.storage.bytes().len();
    // All is given back and written again: the file need not grow much.
    for round in 0..3 {
        model.image.discard(0, 1 << 20).expect("a discard");
        model.image.flush().expect("a flush");
        let data = Rng(round + 1).data(1 << 20);
        model.image.write(0, &data).expect("a write");
        model.expected = data;
    }
    model.finish();
    assert!(model.storage.bytes().len() < full.max(1 << 20) * 2);
}

#[test]
fn read_only_images_are_not_written() {
    let storage = create_in_memory(&CreateOptions {
        size: 1 << 20,
        ..CreateOptions::default()
    });
    let before = storage.bytes();
    let image = open(storage.clone(), None, true).expect("it can be read");
    assert_eq!(image.write(0, b"x"), Err(Errno::EPERM));
    assert_eq!(image.discard(0, 1 << 16), Err(Errno::EPERM));
    assert_eq!(image.write_zeroes(0, 1 << 16, true), Err(Errno::EPERM));
    assert_eq!(image.flush(), Ok(()));
    assert!(contents(&image).iter().all(|byte| *byte == 0));
    assert!(storage.bytes() == before);
}

#[test]
fn a_full_storage_is_an_error_and_no_harm() {
    let options = CreateOptions {
        size: 128 << 20,
        cluster_bits: 16,
        ..CreateOptions::default()
    };
    let mut model = Model::new(&options, None);
    let data = vec![7; 1 << 20];
    let mut failed = 0;
    for at in (0..options.size).step_by(data.len()) {
        match model.image.write(at, &data) {
            Ok(()) => model.expected[at as usize..at as usize + data.len()].fill(7),
            Err(Errno::ENOSPC) => failed += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(failed > 0);
    // What failed may be there in part.
    model.image.flush().expect("a flush");
    assert_sound(&model.image, false);
    let seen = contents(&model.image);
    let fits = |(new, old): (&u8, &u8)| new == old || *old == 0;
    assert!(seen.iter().zip(&model.expected).all(fits));
}
