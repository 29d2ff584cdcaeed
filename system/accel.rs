//! What the rest of the machine asks of an accelerator.

mod sampling;
mod symbols;
pub mod tcg;

use std::sync::Arc;

use guest_riscv::RiscvCpu;
use include::{PhysAddr, VirtAddr};
use util::timer::Timers;

use crate::options::Options;

/// The vCPUs, from outside. Methods are called on the main loop's thread, except where it says
/// so.
pub trait Accelerator: Send + Sync {
    /// Starts the vCPU threads, paused.
    fn start(&self);
    /// Lets the vCPUs execute.
    fn resume(&self);
    /// Returns when no vCPU executes any more.
    fn pause(&self);
    /// Power-on state for each paused vCPU, about to execute at `pc`.
    fn reset(&self, pc: PhysAddr);
    /// Ends the vCPU threads, and waits for them.
    fn quit(&self);
    /// RAM was written by a device (any thread): code from there is stale.
    fn ram_written(&self, first_page: u32, count: u32);

    /// Harts.
    fn cpu_count(&self) -> usize;
    /// The registers as text.
    fn registers(&self, cpu: usize) -> String;
    /// One register by name.
    fn register(&self, cpu: usize, name: &str) -> Option<u64>;
    /// The physical address behind a virtual one.
    fn translate(&self, cpu: usize, addr: VirtAddr) -> Option<PhysAddr>;
    /// What the translator did, as text.
    fn stats(&self) -> String;
}

/// Makes the accelerator that the options ask for, with these vCPUs. With `-icount` it becomes
/// the source of virtual time in `timers`.
pub type MakeAccelerator =
    fn(&Options, Vec<Box<RiscvCpu>>, &Arc<Timers>) -> Result<Arc<dyn Accelerator>, String>;
