//! MTIMER (ACLINT chapter 2): `mtimecmp` per hart, and `mtime`.
//!
//! Linux without Sstc writes `mtimecmp` at every timer event, mostly to a later time. So a timer
//! of the main loop that is armed for an earlier time stays armed; when it fires too soon, it is
//! armed again for what `mtimecmp` says then.

use std::sync::{Arc, Weak};

use include::{AccessSize, ClockType, IrqLine, MmioDevice, TickCounter, Timer, TimerService};
use parking_lot::Mutex;

use super::Mtime;
use crate::core::log_guest_error;

/// Bytes in the window.
pub const MTIMER_SIZE: u64 = 0x8000;
const MTIME: u64 = 0x7ff8;
/// After reset no interrupt is due.
const MTIMECMP_RESET: u64 = u64::MAX;

/// MTIMER. Window: [`MTIMER_SIZE`]; `mtimecmp` of hart n at 8 n, `mtime` at 0x7ff8.
pub struct AclintMtimer {
    mtime: Arc<Mtime>,
    harts: Vec<Hart>,
}

struct Hart {
    mtip: IrqLine,
    timer: Arc<dyn Timer>,
    mtimecmp: u64,
    /// What the wire shows.
    raised: bool,
    /// What the timer is armed for.
    armed_ns: Option<i64>,
}

impl Hart {
    fn update(&mut self, mtime: &Mtime) {
        let deadline = mtime.deadline_unless_reached(self.mtimecmp);
        let due = deadline.is_none();
        if self.raised != due {
            self.raised = due;
            self.mtip.set(due);
        }
        // A deadline at the end of time is none.
        let Some(deadline) = deadline.filter(|ns| *ns < i64::MAX) else {
            return;
        };
        if self.armed_ns.is_none_or(|armed| armed > deadline) {
            self.armed_ns = Some(deadline);
            self.timer.modify_ns(deadline);
        }
    }
}

impl AclintMtimer {
    /// `mtip[n]` is the timer interrupt of hart n.
    pub fn new(
        mtime: Arc<Mtime>,
        timers: Arc<dyn TimerService>,
        mtip: Vec<IrqLine>,
    ) -> Arc<Mutex<Self>> {
        assert!(8 * mtip.len() as u64 <= MTIME, "harts of an MTIMER");
        Arc::new_cyclic(|this: &Weak<Mutex<Self>>| {
            let new_hart = |(index, mtip)| {
                let weak = this.clone();
                let fired = move || {
                    if let Some(mtimer) = weak.upgrade() {
                        mtimer.lock().timer_fired(index);
                    }
                };
                let timer = timers.new_timer(ClockType::Virtual, Box::new(fired));
                Hart {
                    mtip,
                    timer,
                    mtimecmp: MTIMECMP_RESET,
                    raised: false,
                    armed_ns: None,
                }
            };
            let harts = mtip.into_iter().enumerate().map(new_hart).collect();
            Mutex::new(Self { mtime, harts })
        })
    }

    fn timer_fired(&mut self, hart: usize) {
        self.harts[hart].armed_ns = None;
        self.harts[hart].update(&self.mtime);
    }

    fn write_mtime(&mut self, ticks: u64) {
        self.mtime.set(ticks);
        for hart in &mut self.harts {
            hart.update(&self.mtime);
        }
    }

    fn register(&self, offset: u64) -> Option<u64> {
        match offset & !7 {
            MTIME => Some(self.mtime.ticks()),
            offset => self
                .harts
                .get((offset / 8) as usize)
                .map(|hart| hart.mtimecmp),
        }
    }
}

/// `whole` with the part that an access of `size` at `offset` covers replaced.
fn merge(whole: u64, offset: u64, size: AccessSize, value: u64) -> u64 {
    let shift = 8 * (offset & 7);
    whole & !(size.mask() << shift) | (value & size.mask()) << shift
}

impl MmioDevice for AclintMtimer {
    fn read(&mut self, offset: u64, size: AccessSize) -> u64 {
        let Some(value) = self.register(offset) else {
            log_guest_error!("aclint: read of no timer register {offset:#x}");
            return 0;
        };
        value >> (8 * (offset & 7)) & size.mask()
    }

    fn write(&mut self, offset: u64, size: AccessSize, value: u64) {
        let Some(before) = self.register(offset) else {
            log_guest_error!("aclint: write of {value:#x} to timer register {offset:#x}");
            return;
        };
        let value = merge(before, offset, size, value);
        match offset & !7 {
            MTIME => self.write_mtime(value),
            offset => {
                let hart = &mut self.harts[(offset / 8) as usize];
                hart.mtimecmp = value;
                hart.update(&self.mtime);
            }
        }
    }

    fn min_access(&self) -> AccessSize {
        AccessSize::Word
    }

    /// `mtime` starts from 0 again, as in QEMU.
    fn reset(&mut self) {
        for hart in &mut self.harts {
            hart.mtimecmp = MTIMECMP_RESET;
        }
        self.write_mtime(0);
    }
}
