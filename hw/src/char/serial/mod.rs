//! 16550A UART (datasheet PC16550D; sections in `registers`), register shift 0.
//!
//! A transmitted byte reaches the back end inside the write of THR, so the transmitter is always
//! empty. Received bytes wait in the back end until the FIFO has room (`can_receive`); an overrun
//! happens only to a back end that does not ask. Modem lines are tied high, as with a terminal
//! that is always ready.

mod registers;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use include::{
    AccessSize, CharBackend, CharFrontend, ClockType, IrqLine, MmioDevice, Timer, TimerService,
};
use parking_lot::Mutex;

use crate::core::log_guest_error;
use registers::{fcr, ier, iir, lcr, lsr, mcr, msr, offset};

/// Bytes in the window.
pub const SERIAL_SIZE: u64 = registers::SIZE;

const FIFO_LENGTH: usize = 16;
/// Input clock over 16, which the divisor divides (virt's device tree says 3.6864 MHz).
const BAUD_BASE: u64 = 3_686_400 / 16;
/// The divisor after power-on: 9600 baud of a PC's clock, as in QEMU.
const DIVISOR_RESET: u16 = 12;
/// The other end of the cable is there and ready.
const LINES_CONNECTED: u8 = msr::DCD | msr::DSR | msr::CTS;
const CHARACTER_TIMES_UNTIL_TIMEOUT: u64 = 4;

/// The UART. Window: [`SERIAL_SIZE`] bytes.
pub struct Serial {
    backend: Arc<dyn CharBackend>,
    irq: IrqLine,
    timers: Arc<dyn TimerService>,
    timeout: Arc<dyn Timer>,
    state: State,
}

/// What reset clears.
struct State {
    received: VecDeque<u8>,
    divisor: u16,
    ier: u8,
    fcr: u8,
    lcr: u8,
    mcr: u8,
    /// Error bits of LSR; the others are derived.
    line_errors: u8,
    /// Delta bits of MSR; the others are derived.
    modem_deltas: u8,
    scr: u8,
    /// THR went empty and nobody has read that in IIR yet.
    thr_empty_pending: bool,
    timeout_pending: bool,
    /// The back end was turned away, and waits for `accept_input`.
    held_back: bool,
}

impl State {
    fn power_on() -> Self {
        Self {
            received: VecDeque::with_capacity(FIFO_LENGTH),
            divisor: DIVISOR_RESET,
            ier: 0,
            fcr: 0,
            lcr: 0,
            mcr: mcr::OUT2,
            line_errors: 0,
            modem_deltas: 0,
            scr: 0,
            thr_empty_pending: false,
            timeout_pending: false,
            held_back: false,
        }
    }

    fn fifos_enabled(&self) -> bool {
        self.fcr & fcr::FIFO_ENABLE != 0
    }

    fn looped(&self) -> bool {
        self.mcr & mcr::LOOP != 0
    }

    fn room(&self) -> usize {
        let capacity = if self.fifos_enabled() { FIFO_LENGTH } else { 1 };
        capacity.saturating_sub(self.received.len())
    }

    /// The modem inputs, as the upper half of MSR; looped back they are the MCR outputs.
    fn modem_lines(&self) -> u8 {
        if !self.looped() {
            return LINES_CONNECTED;
        }
        [
            (mcr::DTR, msr::DSR),
            (mcr::RTS, msr::CTS),
            (mcr::OUT1, msr::RI),
            (mcr::OUT2, msr::DCD),
        ]
        .into_iter()
        .filter(|(output, _)| self.mcr & output != 0)
        .fold(0, |lines, (_, input)| lines | input)
    }

    fn line_status(&self) -> u8 {
        let data_ready = if self.received.is_empty() { 0 } else { lsr::DR };
        lsr::THRE | lsr::TEMT | self.line_errors | data_ready
    }

    /// The interrupt of the highest priority (table IV).
    fn interrupt_id(&self) -> u8 {
        let level = if self.fifos_enabled() {
            fcr::trigger_level(self.fcr)
        } else {
            1
        };
        let enabled = |bit| self.ier & bit != 0;
        if enabled(ier::ELSI) && self.line_errors & lsr::ERRORS != 0 {
            iir::RECEIVER_LINE_STATUS
        } else if enabled(ier::ERBFI) && self.timeout_pending {
            iir::CHARACTER_TIMEOUT
        } else if enabled(ier::ERBFI) && self.received.len() >= level {
            iir::RECEIVED_DATA_AVAILABLE
        } else if enabled(ier::ETBEI) && self.thr_empty_pending {
            iir::THR_EMPTY
        } else if enabled(ier::EDSSI) && self.modem_deltas != 0 {
            iir::MODEM_STATUS
        } else {
            iir::NONE
        }
    }

    fn character_ns(&self) -> u64 {
        let divisor = u64::from(self.divisor.max(1));
        u64::from(lcr::character_bits(self.lcr)) * divisor * 1_000_000_000 / BAUD_BASE
    }
}

impl Serial {
    /// Connects itself as the front end of `backend`.
    pub fn new(
        backend: Arc<dyn CharBackend>,
        irq: IrqLine,
        timers: Arc<dyn TimerService>,
    ) -> Arc<Mutex<Self>> {
        let serial = Arc::new_cyclic(|this: &Weak<Mutex<Self>>| {
            let weak = this.clone();
            let on_timeout = move || {
                if let Some(serial) = weak.upgrade() {
                    serial.lock().receive_timeout();
                }
            };
            let timeout = timers.new_timer(ClockType::Virtual, Box::new(on_timeout));
            let backend = backend.clone();
            Mutex::new(Self {
                backend,
                irq,
                timers,
                timeout,
                state: State::power_on(),
            })
        });
        backend.set_frontend(Arc::new(FrontEnd(Arc::downgrade(&serial))));
        serial
    }

    fn update_irq(&self) {
        self.irq.set(self.state.interrupt_id() != iir::NONE);
    }

    fn receive_timeout(&mut self) {
        if !self.state.received.is_empty() {
            self.state.timeout_pending = true;
            self.update_irq();
        }
    }

    /// Four character times without traffic raise the timeout interrupt (8.11).
    fn arm_timeout(&self) {
        let ns = CHARACTER_TIMES_UNTIL_TIMEOUT * self.state.character_ns();
        let now = self.timers.now_ns(ClockType::Virtual);
        self.timeout.modify_ns(now.saturating_add_unsigned(ns));
    }

    fn receive(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if self.state.room() == 0 {
                self.state.line_errors |= lsr::OE;
                if !self.state.fifos_enabled() {
                    // Without a FIFO the new character replaces the unread one (8.3).
                    self.state.received[0] = byte;
                }
            } else {
                self.state.received.push_back(byte);
            }
        }
        self.state.held_back |= self.state.room() == 0;
        if self.state.fifos_enabled() && !bytes.is_empty() {
            self.arm_timeout();
        }
        self.update_irq();
    }

    fn receive_break(&mut self) {
        self.state.line_errors |= lsr::BI;
        self.receive(&[0]);
    }

    /// Lets held-back input in. The back end delivers it from the main loop, never from here.
    fn let_input_in(&mut self) {
        if self.state.held_back && !self.state.looped() && self.state.received.is_empty() {
            self.state.held_back = false;
            self.backend.accept_input();
        }
    }

    fn clear_received(&mut self) {
        self.state.received.clear();
        self.state.timeout_pending = false;
        self.timeout.cancel();
        self.let_input_in();
    }

    fn read_rbr(&mut self) -> u8 {
        let Some(byte) = self.state.received.pop_front() else {
            return 0;
        };
        self.state.timeout_pending = false;
        if self.state.received.is_empty() {
            self.timeout.cancel();
            self.let_input_in();
        } else {
            self.arm_timeout();
        }
        self.update_irq();
        byte
    }

    fn write_thr(&mut self, byte: u8) {
        if self.state.looped() {
            self.receive(&[byte]);
        } else {
            self.backend.write(&[byte]);
        }
        self.state.thr_empty_pending = true;
        self.update_irq();
    }

    fn write_ier(&mut self, value: u8) {
        let value = value & ier::ALL;
        if (self.state.ier ^ value) & ier::ETBEI != 0 {
            // Enabling it while THR is empty, which is always, interrupts at once.
            self.state.thr_empty_pending = value & ier::ETBEI != 0;
        }
        self.state.ier = value;
        self.update_irq();
    }

    fn read_iir(&mut self) -> u8 {
        let id = self.state.interrupt_id();
        if id == iir::THR_EMPTY {
            self.state.thr_empty_pending = false;
            self.update_irq();
        }
        id | if self.state.fifos_enabled() {
            iir::FIFOS_ENABLED
        } else {
            0
        }
    }

    fn write_fcr(&mut self, value: u8) {
        // Switching the FIFOs on or off empties them (8.4), and the other bits count only then.
        let switched = (self.state.fcr ^ value) & fcr::FIFO_ENABLE != 0;
        let value = if value & fcr::FIFO_ENABLE != 0 || switched {
            value
        } else {
            0
        };
        self.state.fcr = value & fcr::KEPT;
        if switched || value & fcr::RCVR_FIFO_RESET != 0 {
            self.clear_received();
        }
        if switched || value & fcr::XMIT_FIFO_RESET != 0 {
            self.state.thr_empty_pending = true;
        }
        self.update_irq();
    }

    fn write_mcr(&mut self, value: u8) {
        let before = self.state.modem_lines();
        self.state.mcr = value & mcr::ALL;
        let after = self.state.modem_lines();
        let changed = before ^ after;
        let deltas = [
            (changed & msr::CTS, msr::DCTS),
            (changed & msr::DSR, msr::DDSR),
            (changed & before & msr::RI, msr::TERI),
            (changed & msr::DCD, msr::DDCD),
        ];
        for (happened, delta) in deltas {
            self.state.modem_deltas |= if happened != 0 { delta } else { 0 };
        }
        self.let_input_in();
        self.update_irq();
    }

    fn read_lsr(&mut self) -> u8 {
        let status = self.state.line_status();
        if self.state.line_errors != 0 {
            self.state.line_errors = 0;
            self.update_irq();
        }
        status
    }

    fn read_msr(&mut self) -> u8 {
        let status = self.state.modem_lines() | self.state.modem_deltas;
        if self.state.modem_deltas & msr::DELTAS != 0 {
            self.state.modem_deltas = 0;
            self.update_irq();
        }
        status
    }

    fn dlab(&self) -> bool {
        self.state.lcr & lcr::DLAB != 0
    }
}

impl MmioDevice for Serial {
    fn read(&mut self, offset: u64, _size: AccessSize) -> u64 {
        let [dll, dlm] = self.state.divisor.to_le_bytes();
        let value = match offset {
            offset::RBR_THR_DLL if self.dlab() => dll,
            offset::RBR_THR_DLL => self.read_rbr(),
            offset::IER_DLM if self.dlab() => dlm,
            offset::IER_DLM => self.state.ier,
            offset::IIR_FCR => self.read_iir(),
            offset::LCR => self.state.lcr,
            offset::MCR => self.state.mcr,
            offset::LSR => self.read_lsr(),
            offset::MSR => self.read_msr(),
            offset::SCR => self.state.scr,
            _ => {
                log_guest_error!("serial: read of no register {offset:#x}");
                0
            }
        };
        value.into()
    }

    fn write(&mut self, offset: u64, _size: AccessSize, value: u64) {
        let value = value as u8;
        let [dll, dlm] = self.state.divisor.to_le_bytes();
        match offset {
            offset::RBR_THR_DLL if self.dlab() => {
                self.state.divisor = u16::from_le_bytes([value, dlm]);
            }
            offset::RBR_THR_DLL => self.write_thr(value),
            offset::IER_DLM if self.dlab() => {
                self.state.divisor = u16::from_le_bytes([dll, value]);
            }
            offset::IER_DLM => self.write_ier(value),
            offset::IIR_FCR => self.write_fcr(value),
            offset::LCR => self.state.lcr = value,
            offset::MCR => self.write_mcr(value),
            offset::SCR => self.state.scr = value,
            _ => log_guest_error!("serial: write of {value:#x} to register {offset:#x}"),
        }
    }

    fn reset(&mut self) {
        let held_back = self.state.held_back;
        self.state = State {
            held_back,
            ..State::power_on()
        };
        self.clear_received();
        self.update_irq();
    }
}

/// The device as the back end sees it.
struct FrontEnd(Weak<Mutex<Serial>>);

impl CharFrontend for FrontEnd {
    fn can_receive(&self) -> usize {
        let Some(serial) = self.0.upgrade() else {
            return 0;
        };
        let mut serial = serial.lock();
        let room = if serial.state.looped() {
            0
        } else {
            serial.state.room()
        };
        serial.state.held_back |= room == 0;
        room
    }

    fn receive(&self, bytes: &[u8]) {
        if let Some(serial) = self.0.upgrade() {
            serial.lock().receive(bytes);
        }
    }

    fn receive_break(&self) {
        if let Some(serial) = self.0.upgrade() {
            serial.lock().receive_break();
        }
    }
}
