//! The power is cut: between any two operations on the storage, with any of the sectors lost that
//! were not synced. What the guest flushed is there, and nothing is worse than leaks.

use util::coroutine::AioContext;
use util::thread_pool;

use super::*;

const SECTOR: usize = 512;

enum Op {
    Write(u64, Vec<u8>),
    Punch(u64, u64),
    /// All operations before this number are stable.
    Sync(usize),
}

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    log: Vec<Op>,
    waits: u64,
}

/// A storage in memory that remembers what happened, and makes coroutines wait.
#[derive(Clone, Default)]
pub struct Logged(Arc<Mutex<State>>);

impl Logged {
    pub fn of(bytes: Vec<u8>) -> Self {
        let state = State {
            bytes,
            ..State::default()
        };
        Self(Arc::new(Mutex::new(state)))
    }

    fn now(&self) -> usize {
        self.0.lock().log.len()
    }

    fn wait(&self) {
        let waits = {
            let mut state = self.0.lock();
            state.waits = state.waits.wrapping_mul(25).wrapping_add(7);
            state.waits % 3
        };
        for _ in 0..waits {
            thread_pool::run(|| ());
        }
    }

    fn apply(&self, op: Op) -> Result<(), Errno> {
        let mut state = self.0.lock();
        act(&mut state.bytes, &op, |_| true)?;
        state.log.push(op);
        Ok(())
    }
}

/// Does to `bytes` what `op` does to the sectors that are kept.
fn act(bytes: &mut Vec<u8>, op: &Op, mut keeps: impl FnMut(u64) -> bool) -> Result<(), Errno> {
    let mut pieces = |offset: u64, data: &[u8]| {
        let mut done = 0;
        while done < data.len() {
            let at = offset as usize + done;
            let count = (SECTOR - at % SECTOR).min(data.len() - done);
            if keeps((at / SECTOR) as u64) {
                write_bytes(bytes, at as u64, &data[done..done + count])?;
            }
            done += count;
        }
        Ok(())
    };
    match op {
        Op::Write(offset, data) => pieces(*offset, data),
        Op::Punch(offset, count) => pieces(*offset, &vec![0xdd; *count as usize]),
        Op::Sync(_) => Ok(()),
    }
}

impl Storage for Logged {
    fn size(&self) -> u64 {
        self.0.lock().bytes.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), Errno> {
        self.wait();
        read_bytes(&self.0.lock().bytes, offset, buf);
        Ok(())
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), Errno> {
        self.wait();
        self.apply(Op::Write(offset, data.to_vec()))
    }

    fn punch_hole(&self, offset: u64, bytes: u64) -> Result<(), Errno> {
        let bytes = bytes.min(Storage::size(self).saturating_sub(offset));
        self.wait();
        self.apply(Op::Punch(offset, bytes))
    }

    fn sync(&self) -> Result<(), Errno> {
        let start = self.now();
        self.wait();
        self.apply(Op::Sync(start))
    }
}

/// What the guest did, from one operation of the storage to another.
struct Event {
    start: usize,
    end: usize,
    what: What,
}

enum What {
    Write(usize, Vec<u8>),
    /// Zeros afterwards, or in part what was there before.
    Discard(usize, usize),
    Flush,
}

type Events = Arc<Mutex<Vec<Event>>>;

struct Guest {
    image: Arc<Image<Logged>>,
    storage: Logged,
    events: Events,
    /// The part of the disk that only this one writes.
    from: u64,
    bytes: u64,
    cluster: u64,
}

impl Guest {
    fn step(&self, rng: &mut Rng) {
        let (offset, bytes) = rng.range(self.bytes, self.cluster);
        let (offset, at) = (self.from + offset, (self.from + offset) as usize);
        let start = self.storage.now();
        let what = match rng.below(12) {
            0..7 => {
                let data = rng.data(bytes);
                self.image.write(offset, &data).expect("a write");
                What::Write(at, data)
            }
            7 | 8 => {
                let unmap = rng.below(2) == 0;
                self.image
                    .write_zeroes(offset, bytes, unmap)
                    .expect("zeros");
                What::Write(at, vec![0; bytes as usize])
            }
            9 | 10 => {
                self.image.discard(offset, bytes).expect("a discard");
                What::Discard(at, bytes as usize)
            }
            _ => {
                self.image.flush().expect("a flush");
                What::Flush
            }
        };
        let end = self.storage.now();
        self.events.lock().push(Event { start, end, what });
    }
}

/// After a cut, a byte is what it was when the last flush began, or something newer. Guests write
/// to parts of their own, so that in each part events are one after the other.
fn check_contents(seen: &[u8], first: &[u8], events: &[Event], cut: usize) {
    let flushes = events
        .iter()
        .filter(|event| matches!(event.what, What::Flush) && event.end <= cut);
    let flushed = flushes.map(|flush| flush.start).max().unwrap_or(0);
    let mut stable = first.to_vec();
    let mut newer = vec![false; seen.len()];
    for event in events.iter().filter(|event| event.start <= cut) {
        match &event.what {
            What::Write(at, data) => {
                for (at, byte) in (*at..).zip(data) {
                    match event.end <= flushed {
                        true => (stable[at], newer[at]) = (*byte, false),
                        false => newer[at] |= seen[at] == *byte,
                    }
                }
            }
            // What is discarded stays, or is zeros: what is seen says which.
            What::Discard(at, bytes) => {
                for at in *at..*at + bytes {
                    newer[at] |= seen[at] == 0;
                }
            }
            What::Flush => (),
        }
    }
    for (at, byte) in seen.iter().enumerate() {
        let expected = stable[at];
        assert!(
            newer[at] || *byte == expected,
            "cut {cut}: byte {at:#x} is {byte:#x}, not {expected:#x} as flushed at {flushed}"
        );
    }
}

struct Case {
    first: Vec<u8>,
    backing: Option<Logged>,
    contents: Vec<u8>,
}

impl Case {
    /// Cuts the power after each operation.
    fn cut(&self, log: &[Op], events: &[Event], rng: &mut Rng) {
        let (mut synced, mut stable) = (self.first.clone(), 0);
        for cut in 0..=log.len() {
            if let Some(Op::Sync(before)) = cut.checked_sub(1).map(|last| &log[last]) {
                for op in &log[stable..(*before).max(stable)] {
                    act(&mut synced, op, |_| true).expect("it fitted before");
                }
                stable = stable.max(*before);
            }
            // Some of the rest: from hardly anything to nearly all.
            let (mut bytes, kept) = (synced.clone(), rng.below(9));
            for op in &log[stable..cut] {
                act(&mut bytes, op, |_| rng.below(8) < kept).expect("it fitted before");
            }
            let storage = Logged::of(bytes);
            let image = open(storage, self.backing.clone(), false).expect("it opens");
            let report = image.check().expect("it can be checked");
            assert_eq!(report.corruptions, 0, "cut {cut}: {report:?}");
            check_contents(&contents(&image), &self.contents, events, cut);
        }
    }
}

fn options(cluster_bits: u32, refcount_order: u32) -> CreateOptions {
    CreateOptions {
        size: 192 << 10,
        cluster_bits,
        refcount_order,
        ..CreateOptions::default()
    }
}

/// Guests that work at one time, each in a part of the disk, and then cuts.
fn check(options: &CreateOptions, backed: bool, guests: u64, steps: u64, seed: u64) {
    let first = create_in_memory(options).bytes();
    let backing = backed.then(|| Logged::of(Rng(seed).data(options.size - 3000)));
    let storage = Logged::of(first.clone());
    let image = open(storage.clone(), backing.clone(), false).expect("it opens");
    let case = Case {
        first,
        backing,
        contents: contents(&image),
    };
    let (image, events) = (Arc::new(image), Events::default());
    let context = Arc::new(AioContext::start("power").expect("a thread"));
    let bytes = options.size / guests;
    let (sender, receiver) = std::sync::mpsc::channel();
    for number in 0..guests {
        let guest = Guest {
            image: image.clone(),
            storage: storage.clone(),
            events: events.clone(),
            // Not at the border of a cluster.
            from: number * bytes,
            bytes,
            cluster: 1 << options.cluster_bits,
        };
        let sender = sender.clone();
        context.spawn(move || {
            let mut rng = Rng(seed + number + 1);
            (0..steps).for_each(|_| guest.step(&mut rng));
            let _ = sender.send(());
        });
    }
    drop(sender);
    assert_eq!(receiver.iter().count() as u64, guests);
    context.stop();
    // Events of one part must be in their order, as they began.
    let mut events = std::mem::take(&mut *events.lock());
    events.sort_by_key(|event| event.start);
    let state = storage.0.lock();
    case.cut(&state.log, &events, &mut Rng(seed * 3 + 1));
}

#[test]
fn one_guest() {
    check(&options(9, 6), false, 1, 150, 10);
    check(&options(9, 4), true, 1, 150, 20);
    check(&options(12, 0), true, 1, 150, 30);
    check(&options(16, 4), true, 1, 100, 40);
}

#[test]
fn many_guests() {
    check(&options(9, 6), false, 7, 40, 50);
    check(&options(9, 4), true, 5, 40, 60);
    check(&options(12, 4), true, 7, 30, 70);
    check(&options(16, 4), true, 5, 30, 80);
}
