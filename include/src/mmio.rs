//! What a memory-mapped device is.

/// The width of one bus access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AccessSize {
    Byte = 1,
    Half = 2,
    Word = 4,
    Double = 8,
}

impl AccessSize {
    /// Width in bytes.
    pub const fn bytes(self) -> u64 {
        self as u64
    }

    /// The access of `bytes` bytes; `None` unless 1, 2, 4 or 8.
    pub const fn from_bytes(bytes: u64) -> Option<Self> {
        match bytes {
            1 => Some(Self::Byte),
            2 => Some(Self::Half),
            4 => Some(Self::Word),
            8 => Some(Self::Double),
            _ => None,
        }
    }

    /// A mask of the bits that an access of this width carries.
    pub const fn mask(self) -> u64 {
        u64::MAX >> (64 - 8 * self as u32)
    }
}

/// A device seen through its register window.
///
/// The bus (see `system/memory`) holds each device as `Arc<Mutex<dyn MmioDevice>>` and splits or
/// refuses accesses by `min_access`/`max_access` before they get here: an access of another width
/// inside the window is a bus error to the guest, as in QEMU's `MemoryRegionOps.valid`.
/// `offset` is always inside the window, and `offset + size` too.
///
/// Lock order: a device may, while locked, raise interrupts (an interrupt controller is below
/// every device) and use guest RAM; it never calls another device's registers.
pub trait MmioDevice: Send {
    /// Reads a register. A guest's mistake is logged and answered, never a panic.
    fn read(&mut self, offset: u64, size: AccessSize) -> u64;
    /// Writes a register; `value` is zero above the width.
    fn write(&mut self, offset: u64, size: AccessSize, value: u64);
    /// Narrowest access that the window takes.
    fn min_access(&self) -> AccessSize {
        AccessSize::Byte
    }
    /// Widest access that the window takes.
    fn max_access(&self) -> AccessSize {
        AccessSize::Double
    }
    /// Back to the state after power-on; wiring and configuration stay.
    fn reset(&mut self);
}
