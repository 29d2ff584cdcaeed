//! PLIC: claims, completions, priorities and thresholds by register.

use super::*;
use crate::core::testing::{ManualTimers, Random, RecordingIrq, fuzz};

struct Rig {
    plic: Arc<Mutex<SifivePlic>>,
    sources: Arc<dyn IrqSink>,
    out: Arc<RecordingIrq>,
}

const CLAIM: u64 = CONTEXT_BASE + 4;

impl Rig {
    /// Two harts: contexts M0, S0, M1, S1.
    fn new() -> Self {
        let out = RecordingIrq::new();
        let plic = SifivePlic::new(
            PlicConfig {
                sources: 96,
                priorities: 7,
            },
            out.lines(4),
        );
        let sources = plic.lock().inputs();
        Self { plic, sources, out }
    }
    fn read(&self, offset: u64) -> u32 {
        self.plic.lock().read(offset, AccessSize::Word) as u32
    }
    fn write(&self, offset: u64, value: u32) {
        self.plic
            .lock()
            .write(offset, AccessSize::Word, value.into());
    }
    fn priority(&self, source: u64, priority: u32) {
        self.write(4 * source, priority);
    }
    fn enable(&self, context: u64, source: u64) {
        let offset = 0x2000 + 0x80 * context + source / 32 * 4;
        self.write(offset, self.read(offset) | 1 << (source % 32));
    }
    fn claim(&self, context: u64) -> u32 {
        self.read(CLAIM + 0x1000 * context)
    }
    fn complete(&self, context: u64, source: u32) {
        self.write(CLAIM + 0x1000 * context, source);
    }
}

#[test]
fn level_source_is_claimed_and_completed() {
    let rig = Rig::new();
    rig.sources.set_irq(10, true);
    assert_eq!(rig.read(0x1000), 1 << 10);
    assert_eq!(rig.out.levels(), 0);
    rig.priority(10, 1);
    assert_eq!(rig.out.levels(), 0);
    rig.enable(1, 10);
    assert_eq!(rig.out.levels(), 0b0010);
    assert_eq!(rig.claim(0), 0, "not enabled for that context");
    assert_eq!(rig.claim(1), 10);
    assert_eq!(rig.out.levels(), 0);
    assert_eq!(rig.read(0x1000), 0);
    assert_eq!(rig.claim(1), 0);
    rig.complete(1, 10);
    assert_eq!(rig.out.levels(), 0b0010, "still high: pending again");
    assert_eq!(rig.claim(1), 10);
    rig.sources.set_irq(10, false);
    rig.complete(1, 10);
    assert_eq!(rig.out.levels(), 0);
    assert_eq!(rig.claim(1), 0);
}

#[test]
fn a_rise_while_claimed_waits_for_completion() {
    let rig = Rig::new();
    rig.priority(64, 7);
    rig.enable(3, 64);
    rig.sources.set_irq(64, true);
    assert_eq!(rig.claim(3), 64);
    rig.sources.set_irq(64, false);
    rig.sources.set_irq(64, true);
    assert_eq!(rig.out.levels(), 0);
    rig.complete(3, 64);
    assert_eq!(rig.out.levels(), 0b1000);
}

#[test]
fn a_fall_before_the_claim_takes_it_back() {
    let rig = Rig::new();
    rig.priority(5, 1);
    rig.enable(0, 5);
    rig.sources.set_irq(5, true);
    assert!(rig.out.level(0));
    rig.sources.set_irq(5, false);
    assert!(!rig.out.level(0));
    assert_eq!(rig.claim(0), 0);
}

#[test]
fn highest_priority_then_lowest_number() {
    let rig = Rig::new();
    for (source, priority) in [(3, 2), (40, 5), (70, 5), (95, 1)] {
        rig.priority(source, priority);
        rig.enable(1, source);
        rig.sources.set_irq(source as u32, true);
    }
    let order: Vec<u32> = (0..5).map(|_| rig.claim(1)).collect();
    assert_eq!(order, [40, 70, 3, 95, 0]);
}

#[test]
fn threshold_masks_equal_and_lower() {
    let rig = Rig::new();
    rig.priority(7, 3);
    rig.enable(2, 7);
    rig.sources.set_irq(7, true);
    for (threshold, raised) in [(2, true), (3, false), (7, false), (8 + 2, true), (0, true)] {
        rig.write(CONTEXT_BASE + 0x2000, threshold);
        assert_eq!(rig.read(CONTEXT_BASE + 0x2000), threshold & 7);
        assert_eq!(rig.out.level(2), raised, "threshold {threshold}");
    }
}

#[test]
fn source_0_and_sources_past_the_end_do_not_exist() {
    let rig = Rig::new();
    rig.write(0, 7);
    assert_eq!(rig.read(0), 0);
    for word in 0..3 {
        rig.write(0x2000 + 4 * word, u32::MAX);
    }
    assert_eq!(rig.read(0x2000), u32::MAX - 1);
    assert_eq!(rig.read(0x2008), u32::MAX);
    rig.priority(96, 7);
    assert_eq!(rig.read(4 * 96), 0);
    rig.write(0x1000, u32::MAX);
    assert_eq!(rig.read(0x1000), 0, "pending is read-only");
}

#[test]
fn reset_keeps_wires() {
    let rig = Rig::new();
    rig.priority(9, 1);
    rig.enable(0, 9);
    rig.sources.set_irq(9, true);
    rig.plic.lock().reset();
    assert_eq!(rig.out.levels(), 0);
    rig.priority(9, 1);
    rig.enable(0, 9);
    assert!(rig.out.level(0));
}

#[test]
fn random_accesses_do_no_harm() {
    let timers = ManualTimers::new();
    for seed in 0..4 {
        let rig = Rig::new();
        let device: Arc<Mutex<dyn MmioDevice>> = rig.plic.clone();
        let mut random = Random::new(seed);
        for window in [0x2000, 0x2200, SifivePlic::window_size(4)] {
            rig.sources
                .set_irq(1 + random.below(95) as u32, random.below(2) == 0);
            fuzz(&device, window, seed, &timers);
        }
    }
}
