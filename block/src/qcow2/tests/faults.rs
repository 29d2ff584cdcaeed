//! A storage that fails now and then: the guest hears of it, and nothing is worse than leaks.

use super::*;

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    /// One of so many operations fails; 0 for none.
    odds: u64,
    dice: u64,
    failed: u64,
}

#[derive(Clone, Default)]
struct Faulty(Arc<Mutex<State>>);

impl Faulty {
    fn roll(&self) -> Result<(), Errno> {
        let mut state = self.0.lock();
        if state.odds == 0 {
            return Ok(());
        }
        let mut rng = Rng(state.dice);
        let fails = rng.below(state.odds) == 0;
        state.dice = rng.next();
        state.failed += u64::from(fails);
        match fails {
            true => Err(Errno::ENOSPC),
            false => Ok(()),
        }
    }

    fn set_odds(&self, odds: u64) {
        self.0.lock().odds = odds;
    }
}

impl Storage for Faulty {
    fn size(&self) -> u64 {
        self.0.lock().bytes.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), Errno> {
        self.roll()?;
        read_bytes(&self.0.lock().bytes, offset, buf);
        Ok(())
    }

    /// Half of a write that fails is there.
    fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), Errno> {
        let rolled = self.roll();
        let count = match rolled {
            Ok(()) => data.len(),
            Err(_) => data.len() / 1024 * 512,
        };
        write_bytes(&mut self.0.lock().bytes, offset, &data[..count])?;
        rolled
    }

    fn punch_hole(&self, _offset: u64, _bytes: u64) -> Result<(), Errno> {
        self.roll()
    }

    fn sync(&self) -> Result<(), Errno> {
        self.roll()
    }
}

/// What each byte may be: one of the values that were written since it was last sure.
fn check(options: &CreateOptions, seed: u64, odds: u64) {
    let storage = Faulty(Arc::new(Mutex::new(State {
        bytes: create_in_memory(options).bytes(),
        dice: seed,
        ..State::default()
    })));
    let image = open(storage.clone(), None, false).expect("a new image");
    storage.set_odds(odds);
    let mut rng = Rng(seed);
    let mut expected = vec![0; options.size as usize];
    let mut sure = vec![true; expected.len()];
    for _ in 0..400 {
        let (offset, bytes) = rng.range(options.size, 1 << options.cluster_bits);
        let range = offset as usize..(offset + bytes) as usize;
        let data = match rng.below(4) {
            0 => vec![0; bytes as usize],
            _ => rng.data(bytes),
        };
        let done = match data[0] {
            0 => image.write_zeroes(offset, bytes, true),
            _ => image.write(offset, &data),
        };
        expected[range.clone()].copy_from_slice(&data);
        sure[range].fill(done.is_ok());
        if rng.below(10) == 0 {
            let _ = image.flush();
        }
    }
    storage.set_odds(0);
    assert!(storage.0.lock().failed > 0);
    let seen = contents(&image);
    let fits = |at: usize| !sure[at] || seen[at] == expected[at];
    assert!((0..seen.len()).all(fits), "written data is not there");
    if image.flush().is_ok() {
        let image = open(storage, None, false).expect("it opens again");
        assert!(contents(&image) == seen, "flushed data is not there");
    } else {
        // The header could not be written at a bad moment.
        assert!(image.meta.lock().corrupt);
    }
    assert_sound(&open_again(&image), true);
}

fn open_again(image: &Image<Faulty>) -> Image<Faulty> {
    open(image.storage.clone(), None, true).expect("it opens again")
}

#[test]
fn a_storage_that_fails() {
    for seed in 1..16 {
        for (cluster_bits, refcount_order) in [(9, 6), (12, 4)] {
            let options = CreateOptions {
                size: 256 << 10,
                cluster_bits,
                refcount_order,
                ..CreateOptions::default()
            };
            check(&options, seed, 5 + seed * 7);
        }
    }
}
