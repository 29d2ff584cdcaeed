//! What generated code calls when its inline memory access does not do. On a fault the exception
//! is pending in the CPU, and the result means nothing.

use tcg::cpu_state::SLOT_DISCARD;
use tcg::ir::{MemOpIdx, RmwOp};
use tcg::wasm32::{CMPXCHG2_SLOT, SlowPaths};

use crate::guest::GuestCpu;
use crate::{atomic, ldst};

const RMW_OPS: [RmwOp; 9] = [
    RmwOp::Xchg,
    RmwOp::Add,
    RmwOp::And,
    RmwOp::Or,
    RmwOp::Xor,
    RmwOp::Smin,
    RmwOp::Smax,
    RmwOp::Umin,
    RmwOp::Umax,
];

/// The functions for a guest.
pub(crate) fn table<G: GuestCpu>() -> SlowPaths {
    SlowPaths {
        load: load::<G> as *const () as usize,
        store: store::<G> as *const () as usize,
        load2: load2::<G> as *const () as usize,
        store2: store2::<G> as *const () as usize,
        cmpxchg: cmpxchg::<G> as *const () as usize,
        cmpxchg2: cmpxchg2::<G> as *const () as usize,
        rmw: rmw::<G> as *const () as usize,
    }
}

fn index(oi: u64) -> MemOpIdx {
    MemOpIdx(oi as u16)
}

/// The low half; the high one goes where generated code looks for it.
fn halves<G: GuestCpu>(cpu: &mut G, (low, high): (u64, u64)) -> u64 {
    cpu.common_mut().state.slots[usize::from(SLOT_DISCARD)] = high;
    low
}

extern "C" fn load<G: GuestCpu>(cpu: &mut G, addr: u64, oi: u64) -> u64 {
    ldst::load(cpu, addr, index(oi)).unwrap_or(0)
}

extern "C" fn store<G: GuestCpu>(cpu: &mut G, addr: u64, value: u64, oi: u64) -> u64 {
    let _ = ldst::store(cpu, addr, value, index(oi));
    0
}

extern "C" fn load2<G: GuestCpu>(cpu: &mut G, addr: u64, oi: u64) -> u64 {
    let value = ldst::load2(cpu, addr, index(oi)).unwrap_or_default();
    halves(cpu, value)
}

extern "C" fn store2<G: GuestCpu>(cpu: &mut G, addr: u64, low: u64, high: u64, oi: u64) -> u64 {
    let _ = ldst::store2(cpu, addr, low, high, index(oi));
    0
}

extern "C" fn cmpxchg<G: GuestCpu>(
    cpu: &mut G,
    addr: u64,
    expected: u64,
    new: u64,
    oi: u64,
) -> u64 {
    atomic::cmpxchg(cpu, addr, expected, new, index(oi)).unwrap_or(0)
}

extern "C" fn cmpxchg2<G: GuestCpu>(cpu: &mut G, addr: u64, oi: u64) -> u64 {
    let operand = |i: usize| cpu.common().state.slots[usize::from(CMPXCHG2_SLOT) + i];
    let (expected, new) = ((operand(0), operand(1)), (operand(2), operand(3)));
    let old = atomic::cmpxchg2(cpu, addr, expected, new, index(oi)).unwrap_or_default();
    halves(cpu, old)
}

extern "C" fn rmw<G: GuestCpu>(cpu: &mut G, addr: u64, value: u64, op: u64, oi: u64) -> u64 {
    let Some(&op) = RMW_OPS.get(op as usize) else {
        return 0;
    };
    atomic::rmw(cpu, addr, value, op, index(oi)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_in_order() {
        for (number, op) in RMW_OPS.into_iter().enumerate() {
            assert_eq!(op as usize, number);
        }
    }
}
