//! The UART by register, with a back end that types and listens.

use super::*;
use crate::core::testing::{FakeBackend, ManualTimers, RecordingIrq, fuzz};
use std::sync::atomic::Ordering;

struct Rig {
    serial: Arc<Mutex<Serial>>,
    backend: Arc<FakeBackend>,
    timers: Arc<ManualTimers>,
    irq: Arc<RecordingIrq>,
}

impl Rig {
    fn new() -> Self {
        let (backend, timers, irq) = (FakeBackend::new(), ManualTimers::new(), RecordingIrq::new());
        let serial = Serial::new(backend.clone(), irq.line(0), timers.clone());
        Self {
            serial,
            backend,
            timers,
            irq,
        }
    }
    fn read(&self, offset: u64) -> u8 {
        self.serial.lock().read(offset, AccessSize::Byte) as u8
    }
    fn write(&self, offset: u64, value: u8) {
        self.serial
            .lock()
            .write(offset, AccessSize::Byte, value.into());
    }
    fn irq(&self) -> bool {
        self.irq.level(0)
    }
}

#[test]
fn reset_values_are_the_datasheets() {
    let rig = Rig::new();
    assert_eq!(rig.read(offset::IER_DLM), 0);
    assert_eq!(rig.read(offset::IIR_FCR), 0x01);
    assert_eq!(rig.read(offset::LCR), 0);
    assert_eq!(rig.read(offset::LSR), 0x60);
    assert_eq!(rig.read(offset::MSR), 0xb0);
}

#[test]
fn transmits_at_once_and_interrupts() {
    let rig = Rig::new();
    rig.write(offset::RBR_THR_DLL, b'h');
    rig.write(offset::RBR_THR_DLL, b'i');
    assert_eq!(*rig.backend.output.lock(), b"hi");
    assert!(!rig.irq());
    rig.write(offset::IER_DLM, ier::ETBEI);
    assert!(rig.irq());
    assert_eq!(rig.read(offset::IIR_FCR), iir::THR_EMPTY);
    assert!(!rig.irq(), "reading IIR clears it");
    assert_eq!(rig.read(offset::IIR_FCR), iir::NONE);
    rig.write(offset::RBR_THR_DLL, b'!');
    assert!(rig.irq());
    rig.write(offset::IER_DLM, 0);
    rig.write(offset::IER_DLM, ier::ETBEI);
    assert!(
        rig.irq(),
        "enabling with an empty THR interrupts (Linux's THRE test)"
    );
}

#[test]
fn trigger_level_and_timeout() {
    let rig = Rig::new();
    rig.write(offset::IIR_FCR, fcr::FIFO_ENABLE | 0x80);
    rig.write(offset::IER_DLM, ier::ERBFI);
    assert_eq!(rig.backend.type_in(b"1234567"), 7);
    assert!(!rig.irq());
    rig.timers.advance(10_000_000);
    assert!(rig.irq());
    assert_eq!(rig.read(offset::IIR_FCR), 0xcc);
    assert_eq!(rig.read(offset::RBR_THR_DLL), b'1');
    assert!(!rig.irq(), "reading clears the timeout");
    assert_eq!(rig.backend.type_in(b"89"), 2);
    assert_eq!(rig.read(offset::IIR_FCR), 0xc4);
    for expected in b"23456789" {
        assert_eq!(rig.read(offset::LSR) & lsr::DR, lsr::DR);
        assert_eq!(rig.read(offset::RBR_THR_DLL), *expected);
    }
    assert_eq!(rig.read(offset::LSR), 0x60);
    rig.timers.advance(10_000_000);
    assert!(!rig.irq());
}

#[test]
fn input_is_held_back_while_the_fifo_is_full() {
    let rig = Rig::new();
    assert_eq!(rig.backend.type_in(b"ab"), 1, "one character without FIFOs");
    rig.write(offset::IIR_FCR, fcr::FIFO_ENABLE);
    assert_eq!(rig.read(offset::LSR) & lsr::DR, 0, "switching empties");
    assert_eq!(rig.backend.accepts.load(Ordering::Relaxed), 1);
    assert_eq!(rig.backend.type_in(&[b'x'; 40]), 16);
    assert_eq!(rig.backend.type_in(b"y"), 0);
    for _ in 0..15 {
        rig.read(offset::RBR_THR_DLL);
    }
    assert_eq!(rig.backend.accepts.load(Ordering::Relaxed), 1);
    rig.read(offset::RBR_THR_DLL);
    assert_eq!(rig.backend.accepts.load(Ordering::Relaxed), 2);
}

#[test]
fn loopback_as_linux_probes_it() {
    let rig = Rig::new();
    rig.write(offset::MCR, mcr::LOOP | mcr::OUT2 | mcr::RTS);
    assert_eq!(rig.read(offset::MSR) & 0xf0, 0x90);
    rig.write(offset::RBR_THR_DLL, 0x5a);
    assert_eq!(rig.read(offset::LSR) & lsr::DR, lsr::DR);
    assert_eq!(rig.read(offset::RBR_THR_DLL), 0x5a);
    assert!(rig.backend.output.lock().is_empty());
    assert_eq!(rig.backend.type_in(b"a"), 0);
    rig.write(offset::MCR, mcr::OUT2);
    assert_eq!(rig.backend.accepts.load(Ordering::Relaxed), 1);
}

#[test]
fn modem_deltas_interrupt() {
    let rig = Rig::new();
    rig.write(offset::IER_DLM, ier::EDSSI);
    rig.write(offset::MCR, mcr::LOOP | mcr::OUT1);
    assert!(rig.irq());
    assert_eq!(rig.read(offset::IIR_FCR), iir::MODEM_STATUS);
    assert_eq!(
        rig.read(offset::MSR),
        msr::RI | msr::DCTS | msr::DDSR | msr::DDCD
    );
    assert!(!rig.irq());
    rig.write(offset::MCR, mcr::LOOP);
    assert_eq!(rig.read(offset::MSR), msr::TERI);
}

#[test]
fn break_and_overrun_are_line_errors() {
    let rig = Rig::new();
    rig.write(offset::IER_DLM, ier::ELSI);
    let frontend = rig.backend.frontend.lock().clone().unwrap();
    frontend.receive_break();
    assert_eq!(rig.read(offset::IIR_FCR), iir::RECEIVER_LINE_STATUS);
    assert_eq!(rig.read(offset::LSR), 0x60 | lsr::BI | lsr::DR);
    assert!(!rig.irq());
    frontend.receive(b"z");
    assert_eq!(rig.read(offset::LSR), 0x60 | lsr::OE | lsr::DR);
    assert_eq!(rig.read(offset::RBR_THR_DLL), b'z');
}

#[test]
fn divisor_latch_and_scratch() {
    let rig = Rig::new();
    rig.write(offset::LCR, lcr::DLAB | 3);
    rig.write(offset::RBR_THR_DLL, 0x34);
    rig.write(offset::IER_DLM, 0x12);
    assert_eq!(
        (rig.read(offset::RBR_THR_DLL), rig.read(offset::IER_DLM)),
        (0x34, 0x12)
    );
    rig.write(offset::LCR, 3);
    assert_eq!(rig.read(offset::IER_DLM), 0);
    assert!(rig.backend.output.lock().is_empty());
    rig.write(offset::SCR, 0xa5);
    assert_eq!(rig.read(offset::SCR), 0xa5);
}

#[test]
fn ier_keeps_four_bits() {
    let rig = Rig::new();
    rig.write(offset::IER_DLM, 0xff);
    assert_eq!(rig.read(offset::IER_DLM), 0x0f);
}

#[test]
fn random_accesses_do_no_harm() {
    for seed in 0..8 {
        let rig = Rig::new();
        let device: Arc<Mutex<dyn MmioDevice>> = rig.serial.clone();
        fuzz(&device, SERIAL_SIZE, seed, &rig.timers);
        rig.backend.type_in(b"still alive");
    }
}
