//! MSWI (ACLINT chapter 3): machine-level software interrupts between harts.

use std::sync::Arc;

use include::{AccessSize, IrqLine, MmioDevice};
use parking_lot::Mutex;

use crate::core::log_guest_error;

/// Bytes in the window.
pub const SWI_SIZE: u64 = 0x4000;

/// MSWI. Window: [`SWI_SIZE`]; `msip` of hart n at 4 n.
pub struct AclintSwi {
    wires: Vec<IrqLine>,
    msip: Vec<bool>,
}

impl AclintSwi {
    /// `msip[n]` is the software interrupt of hart n.
    pub fn new(msip: Vec<IrqLine>) -> Arc<Mutex<Self>> {
        assert!(4 * msip.len() as u64 <= SWI_SIZE, "harts of an MSWI");
        let levels = vec![false; msip.len()];
        Arc::new(Mutex::new(Self {
            wires: msip,
            msip: levels,
        }))
    }
}

impl MmioDevice for AclintSwi {
    fn read(&mut self, offset: u64, _size: AccessSize) -> u64 {
        match self.msip.get((offset / 4) as usize) {
            Some(&level) => level.into(),
            None => {
                log_guest_error!("aclint: read of no msip register {offset:#x}");
                0
            }
        }
    }

    fn write(&mut self, offset: u64, _size: AccessSize, value: u64) {
        let hart = (offset / 4) as usize;
        let Some(level) = self.msip.get_mut(hart) else {
            log_guest_error!("aclint: write of {value:#x} to msip register {offset:#x}");
            return;
        };
        *level = value & 1 != 0;
        self.wires[hart].set(*level);
    }

    fn min_access(&self) -> AccessSize {
        AccessSize::Word
    }

    fn max_access(&self) -> AccessSize {
        AccessSize::Word
    }

    fn reset(&mut self) {
        self.msip.fill(false);
        for wire in &self.wires {
            wire.set(false);
        }
    }
}
