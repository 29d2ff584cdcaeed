//! MTIMER and MSWI by register, on clocks moved by hand.

use super::*;
use crate::core::testing::{ManualTimers, RecordingIrq, fuzz};
use include::{AccessSize, MmioDevice, TickCounter};
use parking_lot::Mutex;
use std::sync::Arc;

const FREQUENCY_HZ: u64 = 10_000_000;

struct Rig {
    mtime: Arc<Mtime>,
    mtimer: Arc<Mutex<AclintMtimer>>,
    timers: Arc<ManualTimers>,
    mtip: Arc<RecordingIrq>,
}

impl Rig {
    fn new() -> Self {
        let (timers, mtip) = (ManualTimers::new(), RecordingIrq::new());
        let mtime = Mtime::new(timers.clone(), FREQUENCY_HZ);
        let mtimer = AclintMtimer::new(mtime.clone(), timers.clone(), mtip.lines(2));
        Self {
            mtime,
            mtimer,
            timers,
            mtip,
        }
    }
    fn read(&self, offset: u64, size: AccessSize) -> u64 {
        self.mtimer.lock().read(offset, size)
    }
    fn write(&self, offset: u64, size: AccessSize, value: u64) {
        self.mtimer.lock().write(offset, size, value);
    }
}

#[test]
fn mtime_counts_100_ns_ticks() {
    let rig = Rig::new();
    rig.timers.advance(12_345);
    assert_eq!(rig.mtime.ticks(), 123);
    assert_eq!(rig.read(0x7ff8, AccessSize::Double), 123);
    assert_eq!(rig.read(0x7ff8, AccessSize::Word), 123);
    assert_eq!(rig.read(0x7ffc, AccessSize::Word), 0);
    assert_eq!(rig.mtime.frequency_hz(), FREQUENCY_HZ);
    assert_eq!(rig.mtime.deadline_ns(1000), 100_000);
    assert_eq!(rig.mtime.deadline_ns(100), 12_345, "reached already");
    assert_eq!(rig.mtime.deadline_ns(u64::MAX), i64::MAX);
}

#[test]
fn mtimecmp_interrupts_when_reached() {
    let rig = Rig::new();
    rig.write(8, AccessSize::Double, 1000);
    rig.timers.advance(99_999);
    assert_eq!(rig.mtip.levels(), 0);
    rig.timers.advance(1);
    assert_eq!(rig.mtip.levels(), 0b10);
    rig.write(8, AccessSize::Double, 2000);
    assert_eq!(rig.mtip.levels(), 0);
    rig.write(8, AccessSize::Double, 5);
    assert_eq!(rig.mtip.levels(), 0b10, "past: at once");
    rig.write(8, AccessSize::Double, u64::MAX);
    rig.timers.advance(1_000_000_000_000);
    assert_eq!(rig.mtip.levels(), 0);
}

#[test]
fn halves_of_mtimecmp() {
    let rig = Rig::new();
    rig.write(4, AccessSize::Word, 0);
    rig.write(0, AccessSize::Word, 500);
    assert_eq!(rig.read(0, AccessSize::Double), 500);
    rig.timers.advance(50_000);
    assert_eq!(rig.mtip.levels(), 0b01);
    rig.write(4, AccessSize::Word, 1);
    assert_eq!(rig.mtip.levels(), 0);
    assert_eq!(rig.read(0, AccessSize::Double), (1 << 32) + 500);
    assert_eq!(rig.read(4, AccessSize::Word), 1);
}

#[test]
fn moving_mtimecmp_on_does_not_arm_again() {
    let rig = Rig::new();
    for ticks in 1000..2000 {
        rig.write(0, AccessSize::Double, ticks);
    }
    assert_eq!(rig.timers.times_armed(), 1);
    rig.timers.advance(199_899);
    assert_eq!(rig.mtip.levels(), 0);
    rig.timers.advance(1);
    assert_eq!(rig.mtip.levels(), 1);
    assert_eq!(rig.timers.times_armed(), 2);
}

#[test]
fn writing_mtime_moves_deadlines() {
    let rig = Rig::new();
    rig.write(0, AccessSize::Double, 1 << 40);
    rig.write(0x7ff8, AccessSize::Double, (1 << 40) - 10);
    assert_eq!(rig.mtime.ticks(), (1 << 40) - 10);
    rig.timers.advance(1000);
    assert_eq!(rig.mtip.levels(), 1);
    rig.write(0x7ff8, AccessSize::Word, 0);
    assert_eq!(rig.mtime.ticks(), 1 << 40);
    rig.mtimer.lock().reset();
    assert_eq!((rig.mtip.levels(), rig.mtime.ticks()), (0, 0));
}

#[test]
fn software_interrupts() {
    let wires = RecordingIrq::new();
    let mswi = AclintSwi::new(wires.lines(2));
    mswi.lock().write(4, AccessSize::Word, 0xffff_ffff);
    assert_eq!(wires.levels(), 0b10);
    assert_eq!(mswi.lock().read(4, AccessSize::Word), 1);
    mswi.lock().write(4, AccessSize::Word, 0xffff_fffe);
    assert_eq!(wires.levels(), 0);
    mswi.lock().write(8, AccessSize::Word, 1);
    assert_eq!(mswi.lock().read(8, AccessSize::Word), 0);
    mswi.lock().write(0, AccessSize::Word, 1);
    mswi.lock().reset();
    assert_eq!(wires.levels(), 0);
}

#[test]
fn random_accesses_do_no_harm() {
    for seed in 0..4 {
        let rig = Rig::new();
        let mtimer: Arc<Mutex<dyn MmioDevice>> = rig.mtimer.clone();
        fuzz(&mtimer, 24, seed, &rig.timers);
        fuzz(&mtimer, MTIMER_SIZE, seed, &rig.timers);
        let mswi: Arc<Mutex<dyn MmioDevice>> = AclintSwi::new(RecordingIrq::new().lines(2));
        fuzz(&mswi, SWI_SIZE, seed, &rig.timers);
    }
}
