//! emscripten's back end: fibers over Asyncify (`coroutine-wasm.c`).
//!
//! Linking wants `-sASYNCIFY`, `-sASYNCIFY_IGNORE_INDIRECT` (else half of the program would be
//! instrumented) and `-sASYNCIFY_ADD=tinamou_coroutine_run`, the one function that may be on a
//! waiting stack and calls through a pointer.
#![expect(
    unsafe_code,
    reason = "fibers are emscripten's, and C calls back into Rust"
)]

use std::ffi::c_void;
use std::io;

use super::STACK_BYTES;
use super::context::{Entry, Leader};

/// What Asyncify saves of a waiting coroutine's functions: their locals, much less than they have
/// on their stacks.
const ASYNCIFY_BYTES: usize = 16 << 10;

#[repr(C)]
struct Stack {
    _opaque: [u8; 0],
}

type Start = Box<dyn FnOnce() -> Leader + Send>;

unsafe extern "C" {
    fn tinamou_coroutine_stack(owner: *mut c_void, stack: usize, asyncify: usize) -> *mut Stack;
    fn tinamou_coroutine_free(stack: *mut Stack);
    fn tinamou_coroutine_intact(stack: *const Stack) -> i32;
    fn tinamou_coroutine_suspend();
    fn tinamou_coroutine_thread(start: *mut c_void) -> i32;
}

/// What runs on a stack; the C side has its address.
struct Slot {
    entry: Option<Entry>,
    idle: bool,
}

/// A stack and what runs on it, again and again.
pub struct Fiber {
    stack: *mut Stack,
    slot: *mut Slot,
}

impl Fiber {
    pub fn new() -> Self {
        let slot = Box::into_raw(Box::new(Slot {
            entry: None,
            idle: true,
        }));
        // SAFETY: the stack keeps the slot's address; both live until the fiber is dropped.
        let stack = unsafe { tinamou_coroutine_stack(slot.cast(), STACK_BYTES, ASYNCIFY_BYTES) };
        assert!(!stack.is_null(), "there is memory for a coroutine's stack");
        Self { stack, slot }
    }

    pub fn set_entry(&mut self, entry: Entry) {
        // SAFETY: the slot is this fiber's, and the fiber does not run while its leader does.
        unsafe {
            (*self.slot).idle = false;
            (*self.slot).entry = Some(entry);
        }
    }

    /// Whether its entry has returned.
    pub fn is_idle(&self) -> bool {
        // SAFETY: as in `set_entry`.
        unsafe { (*self.slot).idle }
    }

    /// There are no guard pages in wasm: ends the program if the stack has been full.
    pub fn check_stack(&self) {
        // SAFETY: the stack lives as long as the fiber.
        let intact = unsafe { tinamou_coroutine_intact(self.stack) };
        assert!(intact != 0, "a coroutine's stack is full");
    }
}

impl Drop for Fiber {
    fn drop(&mut self) {
        // A worker may use what is on the stack of a coroutine that waits: it stays.
        if !self.is_idle() {
            return;
        }
        // SAFETY: both came from `new`; a fiber that is dropped never runs again.
        unsafe {
            tinamou_coroutine_free(self.stack);
            drop(Box::from_raw(self.slot));
        }
    }
}

/// Back to the leader, until the fiber is resumed.
pub fn suspend() {
    // SAFETY: the caller runs on a fiber of this thread.
    unsafe { tinamou_coroutine_suspend() };
}

/// Runs a leader on a new thread, where it is made. The thread is not one of `std::thread`: its
/// first functions would have to be instrumented.
pub fn start_thread(
    _name: &str,
    leader: impl FnOnce() -> Leader + Send + 'static,
) -> io::Result<()> {
    let start: *mut Start = Box::into_raw(Box::new(Box::new(leader)));
    // SAFETY: the thread takes the box.
    match unsafe { tinamou_coroutine_thread(start.cast()) } {
        0 => Ok(()),
        status => {
            // SAFETY: there is no thread, so the box is still this function's.
            drop(unsafe { Box::from_raw(start) });
            Err(io::Error::from_raw_os_error(status))
        }
    }
}

/// Makes the leader, on its thread.
#[unsafe(no_mangle)]
extern "C" fn tinamou_coroutine_leader(start: *mut c_void) -> *mut c_void {
    // SAFETY: what `start_thread` boxed, once.
    let start = unsafe { Box::from_raw(start.cast::<Start>()) };
    Box::into_raw(Box::new(start())).cast()
}

/// The stack to switch to; null when the thread shall end.
#[unsafe(no_mangle)]
extern "C" fn tinamou_coroutine_next(leader: *mut c_void) -> *mut Stack {
    // SAFETY: the box of `tinamou_coroutine_leader`; only its thread has it.
    let leader = unsafe { &mut *leader.cast::<Leader>() };
    match leader.next() {
        Some(fiber) => fiber.stack,
        None => std::ptr::null_mut(),
    }
}

#[unsafe(no_mangle)]
extern "C" fn tinamou_coroutine_end(leader: *mut c_void) {
    // SAFETY: as above; the thread does not use it any more.
    drop(unsafe { Box::from_raw(leader.cast::<Leader>()) });
}

/// Runs what is in the slot, on its stack.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn tinamou_coroutine_run(slot: *mut c_void) {
    let slot = slot.cast::<Slot>();
    // SAFETY: the slot outlives its stack; its leader does not run now.
    let entry = unsafe { (*slot).entry.take() };
    if let Some(entry) = entry {
        entry();
    }
    // SAFETY: as above.
    unsafe { (*slot).idle = true };
}
