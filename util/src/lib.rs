//! What every layer needs from the host: the main loop, timers, logging, memory for guest RAM,
//! and the parsers of numbers that options and monitor commands share.
//!
//! **Architecture Invariant:** nothing here names a guest, a device or an accelerator.

pub mod coroutine;
pub mod cutils;
pub mod host_console;
pub mod host_fs;
pub mod json;
pub mod keyval;
pub mod localtime;
pub mod log;
pub mod main_loop;
pub mod mmap_alloc;
pub mod thread_pool;
pub mod timer;
