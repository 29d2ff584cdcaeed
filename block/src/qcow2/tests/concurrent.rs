//! Many requests at one time on one thread of coroutines, over a storage that makes them wait.

use std::sync::mpsc;

use util::coroutine::AioContext;

use super::power::Logged;
use super::*;

/// Runs `work` as so many coroutines and waits for them.
fn run(count: u64, work: impl Fn(u64) + Clone + Send + 'static) {
    let context = AioContext::start("concurrent").expect("a thread");
    let (sender, receiver) = mpsc::channel();
    for number in 0..count {
        let (work, sender) = (work.clone(), sender.clone());
        context.spawn(move || {
            work(number);
            let _ = sender.send(());
        });
    }
    drop(sender);
    assert_eq!(receiver.iter().count() as u64, count);
    context.stop();
}

fn image(cluster_bits: u32, version: u32, backing: Option<Vec<u8>>) -> Arc<Image<Logged>> {
    let options = CreateOptions {
        size: 256 << 10,
        cluster_bits,
        version,
        ..CreateOptions::default()
    };
    let storage = Logged::of(create_in_memory(&options).bytes());
    let image = open(storage, backing.map(Logged::of), false);
    Arc::new(image.expect("a new image"))
}

/// Writers of parts that share clusters: each sees what it wrote.
#[test]
fn neighbours() {
    for (cluster_bits, version) in [(9, 3), (12, 2), (16, 3)] {
        let backing = Rng(4).data(200 << 10);
        let image = image(cluster_bits, version, Some(backing.clone()));
        let mut first = backing;
        first.resize(256 << 10, 0);
        let (shared, count) = (image.clone(), 13);
        run(count, move |number| {
            let part = (256 << 10) / count;
            let from = number * part;
            let mut rng = Rng(number + 1);
            let mut expected = first[from as usize..(from + part) as usize].to_vec();
            for _ in 0..60 {
                let (offset, bytes) = rng.range(part, 1 << cluster_bits);
                let range = offset as usize..(offset + bytes) as usize;
                match rng.below(4) {
                    0 | 1 => {
                        let data = rng.data(bytes);
                        shared.write(from + offset, &data).expect("a write");
                        expected[range].copy_from_slice(&data);
                    }
                    2 if rng.below(3) == 0 => shared.flush().expect("a flush"),
                    2 => {
                        let unmap = rng.below(2) == 0;
                        let zeroed = shared.write_zeroes(from + offset, bytes, unmap);
                        zeroed.expect("zeros");
                        expected[range].fill(0);
                    }
                    _ => {
                        let mut seen = vec![0; bytes as usize];
                        shared.read(from + offset, &mut seen).expect("a read");
                        assert!(seen == expected[range], "{number}: {offset:#x}");
                    }
                }
            }
        });
        image.flush().expect("a flush");
        assert_sound(&image, false);
    }
}

/// Everybody writes everywhere: bytes are somebody's, and the image is whole.
#[test]
fn crowd() {
    for cluster_bits in [9, 12] {
        let image = image(cluster_bits, 3, None);
        let shared = image.clone();
        run(16, move |number| {
            let mut rng = Rng(number + 100);
            for _ in 0..50 {
                let (offset, bytes) = rng.range(256 << 10, 1 << cluster_bits);
                let done = match rng.below(6) {
                    0..3 => shared.write(offset, &vec![number as u8 + 1; bytes as usize]),
                    3 => shared.write_zeroes(offset, bytes, number % 2 == 0),
                    4 => shared.discard(offset, bytes),
                    _ => {
                        let mut seen = vec![0xff; bytes as usize];
                        let done = shared.read(offset, &mut seen);
                        assert!(seen.iter().all(|byte| *byte <= 16));
                        done
                    }
                };
                done.expect("it works");
            }
        });
        image.flush().expect("a flush");
        assert_sound(&image, false);
        assert!(contents(&image).iter().all(|byte| *byte <= 16));
    }
}
