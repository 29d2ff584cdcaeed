//! Modules made at run time, in the thread's own function table (`wasm.c` has the JavaScript).

#![expect(unsafe_code, reason = "calls JavaScript and generated code")]

use tcg::wasm32::TailCalls;

use crate::guest::GuestCpu;
use crate::tb_ref::TbRef;

unsafe extern "C" {
    fn tinamou_wasm_tail_calls() -> i32;
    fn tinamou_wasm_grow_table(count: u32) -> i32;
    fn tinamou_wasm_instantiate(
        bytes: *const u8,
        length: usize,
        functions: *const usize,
        function_count: usize,
        slots: *const u32,
        slot_count: usize,
    ) -> i32;
    fn tinamou_wasm_clear_slot(slot: u32);
}

/// Table entries that are made at a time.
const TABLE_STEP: u32 = 256;

/// Whether code can be made at run time.
pub fn is_available() -> bool {
    true
}

pub(crate) fn tail_calls() -> TailCalls {
    // SAFETY: takes nothing.
    match unsafe { tinamou_wasm_tail_calls() } {
        0 => TailCalls::None,
        1 => TailCalls::Table,
        _ => TailCalls::Chain,
    }
}

/// New entries of this thread's table; `None` when it cannot grow.
pub(crate) fn grow_table() -> Option<std::ops::Range<u32>> {
    // SAFETY: takes numbers.
    let first = unsafe { tinamou_wasm_grow_table(TABLE_STEP) };
    let first = u32::try_from(first).ok()?;
    Some(first..first + TABLE_STEP)
}

/// Makes an instance, whose functions go to these table entries. False if the engine refuses.
pub(crate) fn instantiate(bytes: &[u8], functions: &[usize], slots: &[u32]) -> bool {
    // SAFETY: the function reads what the slices have, and keeps nothing.
    let made = unsafe {
        tinamou_wasm_instantiate(
            bytes.as_ptr(),
            bytes.len(),
            functions.as_ptr(),
            functions.len(),
            slots.as_ptr(),
            slots.len(),
        )
    };
    made != 0
}

pub(crate) fn clear_slots(slots: &[u32]) {
    for &slot in slots {
        // SAFETY: takes a number; the entry is one of ours.
        unsafe { tinamou_wasm_clear_slot(slot) }
    }
}

/// Calls a generated function: see `tcg::wasm32`.
pub(crate) fn call<G: GuestCpu>(slot: u32, cpu: &mut G, tb: TbRef) -> u32 {
    type Function = extern "C" fn(*mut u8, usize) -> u32;
    // SAFETY: here a function pointer is an index of the table, and the entry is that of a region
    // made for this guest (`TbHeader::wasm_instance` of this thread). The CPU starts with its
    // state (`check_layout`).
    let function = unsafe { std::mem::transmute::<usize, Function>(slot as usize) };
    function(std::ptr::from_mut(cpu).cast(), tb.address())
}
