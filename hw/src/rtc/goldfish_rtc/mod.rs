//! Goldfish real-time clock (registers in `registers`; behaviour as QEMU's virt shows it: time
//! can be set by writing TIME_HIGH and TIME_LOW).

mod registers;

use std::sync::{Arc, Weak};

use include::{AccessSize, ClockType, IrqLine, MmioDevice, Timer, TimerService};
use parking_lot::Mutex;

use crate::core::log_guest_error;
use registers::{
    ALARM_HIGH, ALARM_LOW, ALARM_STATUS, CLEAR_ALARM, CLEAR_INTERRUPT, IRQ_ENABLED, TIME_HIGH,
    TIME_LOW,
};

/// What `-rtc` chooses.
#[derive(Clone, Copy, Debug)]
pub struct RtcConfig {
    /// `-rtc clock=`: host, vm (virtual) or rt.
    pub clock: ClockType,
    /// `-rtc base=`: guest time since 1970 minus `clock`'s time, in ns (0 for host and utc).
    pub offset_ns: i64,
}

/// The clock. Window: 0x1000 bytes on virt (0x20 used).
pub struct GoldfishRtc {
    clock: ClockType,
    irq: IrqLine,
    timers: Arc<dyn TimerService>,
    alarm_timer: Arc<dyn Timer>,
    /// Guest time minus the clock's time, wrapping. What the guest set survives a reset.
    offset_ns: u64,
    state: State,
}

/// What reset clears.
#[derive(Default)]
struct State {
    time_high_latch: u32,
    alarm_ns: u64,
    alarm_running: bool,
    irq_pending: bool,
    irq_enabled: bool,
}

fn with_low(whole: u64, low: u64) -> u64 {
    whole & !0xffff_ffff | low & 0xffff_ffff
}

fn with_high(whole: u64, high: u64) -> u64 {
    whole & 0xffff_ffff | high << 32
}

impl GoldfishRtc {
    pub fn new(config: RtcConfig, irq: IrqLine, timers: Arc<dyn TimerService>) -> Arc<Mutex<Self>> {
        Arc::new_cyclic(|this: &Weak<Mutex<Self>>| {
            let weak = this.clone();
            let fired = move || {
                if let Some(rtc) = weak.upgrade() {
                    rtc.lock().check_alarm();
                }
            };
            Mutex::new(Self {
                clock: config.clock,
                irq,
                alarm_timer: timers.new_timer(config.clock, Box::new(fired)),
                timers,
                offset_ns: config.offset_ns as u64,
                state: State::default(),
            })
        })
    }

    fn clock_ns(&self) -> u64 {
        self.timers.now_ns(self.clock) as u64
    }

    fn time_ns(&self) -> u64 {
        self.clock_ns().wrapping_add(self.offset_ns)
    }

    fn set_time(&mut self, time_ns: u64) {
        self.offset_ns = time_ns.wrapping_sub(self.clock_ns());
        self.check_alarm();
    }

    fn update_irq(&self) {
        self.irq
            .set(self.state.irq_pending && self.state.irq_enabled);
    }

    /// Fires the alarm if it is armed and due, else sees to it that somebody checks again.
    fn check_alarm(&mut self) {
        if !self.state.alarm_running {
            return;
        }
        let now = self.time_ns();
        if self.state.alarm_ns > now {
            let deadline = self.clock_ns().saturating_add(self.state.alarm_ns - now);
            self.alarm_timer
                .modify_ns(i64::try_from(deadline).unwrap_or(i64::MAX));
        } else {
            self.clear_alarm();
            self.state.irq_pending = true;
            self.update_irq();
        }
    }

    fn clear_alarm(&mut self) {
        self.alarm_timer.cancel();
        self.state.alarm_running = false;
    }

    fn read_time_low(&mut self) -> u32 {
        let now = self.time_ns();
        self.state.time_high_latch = (now >> 32) as u32;
        now as u32
    }
}

impl MmioDevice for GoldfishRtc {
    fn read(&mut self, offset: u64, _size: AccessSize) -> u64 {
        let value = match offset {
            TIME_LOW => self.read_time_low(),
            TIME_HIGH => self.state.time_high_latch,
            ALARM_LOW => self.state.alarm_ns as u32,
            ALARM_HIGH => (self.state.alarm_ns >> 32) as u32,
            IRQ_ENABLED => self.state.irq_enabled.into(),
            ALARM_STATUS => self.state.alarm_running.into(),
            _ => {
                log_guest_error!("goldfish_rtc: read of no register {offset:#x}");
                0
            }
        };
        value.into()
    }

    fn write(&mut self, offset: u64, _size: AccessSize, value: u64) {
        match offset {
            TIME_LOW => self.set_time(with_low(self.time_ns(), value)),
            TIME_HIGH => self.set_time(with_high(self.time_ns(), value)),
            ALARM_LOW => {
                self.state.alarm_ns = with_low(self.state.alarm_ns, value);
                self.state.alarm_running = true;
                self.check_alarm();
            }
            ALARM_HIGH => self.state.alarm_ns = with_high(self.state.alarm_ns, value),
            IRQ_ENABLED => {
                self.state.irq_enabled = value & 1 != 0;
                self.update_irq();
            }
            CLEAR_ALARM => self.clear_alarm(),
            CLEAR_INTERRUPT => {
                self.state.irq_pending = false;
                self.update_irq();
            }
            _ => log_guest_error!("goldfish_rtc: write of {value:#x} to register {offset:#x}"),
        }
    }

    fn min_access(&self) -> AccessSize {
        AccessSize::Word
    }

    fn max_access(&self) -> AccessSize {
        AccessSize::Word
    }

    fn reset(&mut self) {
        self.clear_alarm();
        self.state = State::default();
        self.update_irq();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::testing::{ManualTimers, RecordingIrq, fuzz};

    const BASE_NS: u64 = 1_700_000_000_000_000_000;

    struct Rig {
        rtc: Arc<Mutex<GoldfishRtc>>,
        timers: Arc<ManualTimers>,
        irq: Arc<RecordingIrq>,
    }

    impl Rig {
        fn new() -> Self {
            let (timers, irq) = (ManualTimers::new(), RecordingIrq::new());
            let config = RtcConfig {
                clock: ClockType::Host,
                offset_ns: BASE_NS as i64,
            };
            let rtc = GoldfishRtc::new(config, irq.line(0), timers.clone());
            Self { rtc, timers, irq }
        }
        fn read(&self, offset: u64) -> u64 {
            self.rtc.lock().read(offset, AccessSize::Word)
        }
        fn write(&self, offset: u64, value: u64) {
            self.rtc
                .lock()
                .write(offset, AccessSize::Word, value & 0xffff_ffff);
        }
        fn time(&self) -> u64 {
            self.read(TIME_LOW) | self.read(TIME_HIGH) << 32
        }
        fn arm(&self, alarm_ns: u64) {
            self.write(ALARM_HIGH, alarm_ns >> 32);
            self.write(ALARM_LOW, alarm_ns);
        }
    }

    #[test]
    fn time_is_read_in_two_halves_that_fit() {
        let rig = Rig::new();
        assert_eq!(rig.time(), BASE_NS);
        let low = rig.read(TIME_LOW);
        rig.timers.advance(5_000_000_000);
        assert_eq!(low | rig.read(TIME_HIGH) << 32, BASE_NS);
        assert_eq!(rig.time(), BASE_NS + 5_000_000_000);
    }

    #[test]
    fn alarm_interrupts_when_enabled() {
        let rig = Rig::new();
        rig.arm(BASE_NS + 1000);
        assert_eq!(rig.read(ALARM_STATUS), 1);
        rig.timers.advance(999);
        assert_eq!(rig.read(ALARM_STATUS), 1);
        rig.timers.advance(1);
        assert_eq!((rig.read(ALARM_STATUS), rig.irq.levels()), (0, 0));
        rig.write(IRQ_ENABLED, 1);
        assert_eq!(rig.irq.levels(), 1);
        rig.write(CLEAR_INTERRUPT, 1);
        assert_eq!(rig.irq.levels(), 0);
        rig.arm(BASE_NS);
        assert_eq!(rig.irq.levels(), 1, "a past alarm fires at once");
    }

    #[test]
    fn cleared_alarm_never_fires() {
        let rig = Rig::new();
        rig.write(IRQ_ENABLED, 1);
        rig.arm(BASE_NS + 1000);
        rig.write(CLEAR_ALARM, 1);
        rig.timers.advance(2000);
        assert_eq!(rig.irq.levels(), 0);
    }

    #[test]
    fn time_can_be_set_and_takes_the_alarm_along() {
        let rig = Rig::new();
        rig.write(IRQ_ENABLED, 1);
        rig.arm(BASE_NS + (7 << 32));
        let target = BASE_NS + (8 << 32);
        rig.write(TIME_HIGH, target >> 32);
        rig.write(TIME_LOW, target);
        assert_eq!(rig.time(), target);
        assert_eq!(rig.irq.levels(), 1);
        rig.rtc.lock().reset();
        assert_eq!((rig.time(), rig.irq.levels()), (target, 0));
    }

    #[test]
    fn random_accesses_do_no_harm() {
        for seed in 0..4 {
            let rig = Rig::new();
            let device: Arc<Mutex<dyn MmioDevice>> = rig.rtc.clone();
            fuzz(&device, 0x20, seed, &rig.timers);
            fuzz(&device, 0x1000, seed, &rig.timers);
        }
    }
}
