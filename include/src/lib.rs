//! Interfaces and newtypes that every layer shares. No logic lives here.
//!
//! **Architecture Invariant:** this crate depends on nothing, names no guest, no device and no
//! host system call.

pub mod addr;
pub mod block;
pub mod chardev;
pub mod clock;
pub mod errno;
pub mod fsdev;
pub mod irq;
pub mod memory;
pub mod mmio;
pub mod runstate;

pub use addr::{PhysAddr, VirtAddr};
pub use block::{Attempt, BlockBackend, BlockDone, BlockRequest};
pub use chardev::{CharBackend, CharFrontend};
pub use clock::{Clock, ClockType, TickCounter, Timer, TimerCallback, TimerService};
pub use errno::Errno;
pub use fsdev::FileSystem;
pub use irq::{IrqLine, IrqSink};
pub use memory::{AddressSpace, BusError, RamPage};
pub use mmio::{AccessSize, MmioDevice};
pub use runstate::{RunStateControl, ShutdownCause};
