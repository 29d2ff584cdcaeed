//! The helpers themselves, called natively.

use std::sync::Arc;

use accel_tcg::{CpuCommon, GuestCpu, HelperFn};
use guest_riscv::cpu::slot;
use guest_riscv::{Isa, RiscvCpu};
use include::{AccessSize, AddressSpace, BusError, Clock, ClockType, PhysAddr, RamPage};

use crate::Call;

/// A machine with nothing in it.
struct Nothing;

impl AddressSpace for Nothing {
    fn ram_page(&self, _: PhysAddr) -> Option<RamPage> {
        None
    }
    fn ram_pages(&self) -> u32 {
        0
    }
    fn io_read(&self, _: PhysAddr, _: AccessSize) -> Result<u64, BusError> {
        Err(BusError)
    }
    fn io_write(&self, _: PhysAddr, _: AccessSize, _: u64) -> Result<(), BusError> {
        Err(BusError)
    }
    fn read(&self, _: PhysAddr, _: &mut [u8]) -> Result<(), BusError> {
        Err(BusError)
    }
    fn write(&self, _: PhysAddr, _: &[u8]) -> Result<(), BusError> {
        Err(BusError)
    }
}

impl Clock for Nothing {
    fn now_ns(&self, _: ClockType) -> i64 {
        0
    }
}

pub struct Reference(Box<RiscvCpu>);

impl Reference {
    pub fn new() -> Self {
        let isa = Isa::model("max").expect("a model");
        let common = CpuCommon::new(0, Arc::new(Nothing), Arc::new(Nothing));
        Self(Box::new(RiscvCpu::new(isa, common)))
    }

    /// Operands and the flags before; the result and the flags behind.
    pub fn call(&mut self, call: &Call, [a, b, c, flags]: [u64; 4]) -> (u64, u64) {
        let cpu = &mut *self.0;
        cpu.common.state.slots[slot::FFLAGS] = flags;
        let result = match (&RiscvCpu::helpers()[call.helper].function, call.control) {
            (HelperFn::F2(f), Some(control)) => f(cpu, control, a),
            (HelperFn::F2(f), None) => f(cpu, a, b),
            (HelperFn::F3(f), Some(control)) => f(cpu, control, a, b),
            (HelperFn::F4(f), Some(control)) => f(cpu, control, a, b, c),
            _ => panic!("no floating-point helper has such arguments"),
        };
        (result, cpu.common.state.slots[slot::FFLAGS])
    }
}
