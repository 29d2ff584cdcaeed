//! A native program runs in no WebAssembly engine: nothing is ever compiled.

use tcg::wasm32::TailCalls;

use crate::guest::GuestCpu;
use crate::tb_ref::TbRef;

/// Whether code can be made at run time.
pub fn is_available() -> bool {
    false
}

pub(crate) fn tail_calls() -> TailCalls {
    TailCalls::None
}

pub(crate) fn grow_table() -> Option<std::ops::Range<u32>> {
    None
}

pub(crate) fn instantiate(_bytes: &[u8], _functions: &[usize], _slots: &[u32]) -> bool {
    false
}

pub(crate) fn clear_slots(_slots: &[u32]) {}

pub(crate) fn call<G: GuestCpu>(_slot: u32, _cpu: &mut G, _tb: TbRef) -> u32 {
    unreachable!("there is no function table")
}
