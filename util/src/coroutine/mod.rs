//! Coroutines (QEMU's `util/qemu-coroutine.c`): functions that wait without blocking their thread.
//!
//! A coroutine belongs to an [`AioContext`], a thread that runs one coroutine at a time until it
//! waits or ends. Everything here may also be called outside coroutines, where waiting blocks the
//! thread: block drivers do so when they open their images.
//!
//! Two back ends: `coroutine-native.rs` switches stacks; `coroutine-wasm.rs` uses emscripten's
//! fibers over Asyncify, for which all functions on a waiting coroutine's stack are instrumented.
//! emscripten finds them by following direct calls only. **What must hold:** between a coroutine's
//! first function and its waiting there is no call through a `dyn` trait or a function pointer
//! (`scripts/asyncify-check` looks for others; the wrong answer would be silent). Drivers are
//! enums, helpers are generic.

#[cfg(any(test, feature = "cases"))]
pub mod cases;
mod context;
mod lock;
mod waiter;

#[cfg(not(target_os = "emscripten"))]
#[path = "coroutine-native.rs"]
mod imp;
#[cfg(target_os = "emscripten")]
#[path = "coroutine-wasm.rs"]
mod imp;

#[cfg(test)]
mod tests;

pub use context::{AioContext, Coroutine, blocking, current, in_coroutine, sleep, yield_now};
pub use lock::{CoMutex, CoMutexGuard, CoQueue, CoReadGuard, CoRwLock, CoWriteGuard};
pub use waiter::Waiter;

/// Bytes of a coroutine's stack. Natively what is not used takes no memory.
pub const STACK_BYTES: usize = if cfg!(target_os = "emscripten") {
    64 << 10
} else {
    256 << 10
};
