//! Memory map of the RISC-V PLIC (specification 1.0.0, "Memory Map"), as on QEMU's virt.

/// Priority of source n at 4 n.
pub const PRIORITY_BASE: u64 = 0;
/// One pending bit per source, 32 in a word.
pub const PENDING_BASE: u64 = 0x1000;
/// One enable bit per source for each context.
pub const ENABLE_BASE: u64 = 0x2000;
pub const ENABLE_STRIDE: u64 = 0x80;
/// Threshold and claim/complete of each context.
pub const CONTEXT_BASE: u64 = 0x20_0000;
pub const CONTEXT_STRIDE: u64 = 0x1000;

/// The specification's limit.
pub const SOURCES_MAX: u32 = 1024;

/// A register, with the number of its source, word or context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    Priority { source: usize },
    Pending { word: usize },
    Enable { context: usize, word: usize },
    Threshold { context: usize },
    ClaimComplete { context: usize },
}

impl Register {
    /// The register at `offset`, whether or not the configuration has that source or context.
    pub fn at(offset: u64) -> Option<Self> {
        let index = |base: u64, stride: u64| ((offset - base) / stride) as usize;
        Some(match offset {
            PRIORITY_BASE..PENDING_BASE => Self::Priority {
                source: index(PRIORITY_BASE, 4),
            },
            PENDING_BASE..ENABLE_BASE => Self::Pending {
                word: index(PENDING_BASE, 4),
            },
            ENABLE_BASE..CONTEXT_BASE => Self::Enable {
                context: index(ENABLE_BASE, ENABLE_STRIDE),
                word: (offset % ENABLE_STRIDE / 4) as usize,
            },
            _ => match offset % CONTEXT_STRIDE {
                0 => Self::Threshold {
                    context: index(CONTEXT_BASE, CONTEXT_STRIDE),
                },
                4 => Self::ClaimComplete {
                    context: index(CONTEXT_BASE, CONTEXT_STRIDE),
                },
                _ => return None,
            },
        })
    }
}
