//! Fields of `mstatus` (Privileged manual, section 3.1.6).

pub const SIE: u64 = 1 << 1;
pub const MIE: u64 = 1 << 3;
pub const SPIE: u64 = 1 << 5;
pub const MPIE: u64 = 1 << 7;
pub const SPP: u64 = 1 << 8;
pub const MPP_SHIFT: u32 = 11;
pub const MPP: u64 = 3 << MPP_SHIFT;
pub const FS_SHIFT: u32 = 13;
pub const FS: u64 = 3 << FS_SHIFT;
pub const MPRV: u64 = 1 << 17;
pub const SUM: u64 = 1 << 18;
pub const MXR: u64 = 1 << 19;
pub const TVM: u64 = 1 << 20;
pub const TW: u64 = 1 << 21;
pub const TSR: u64 = 1 << 22;
/// UXL and SXL, fixed to 64 bits (2).
pub const XLEN64: u64 = 2 << 32 | 2 << 34;
pub const SD: u64 = 1 << 63;

/// What a write through `sstatus` may change.
pub const SSTATUS_WRITE: u64 = SIE | SPIE | SPP | FS | SUM | MXR;
/// What `sstatus` shows (SD is added).
pub const SSTATUS_READ: u64 = SSTATUS_WRITE | 2 << 32;
/// What a write through `mstatus` may change.
pub const MSTATUS_WRITE: u64 = SSTATUS_WRITE | MIE | MPIE | MPP | MPRV | TVM | TW | TSR;

/// `FS` when the floating-point state is dirty.
pub const FS_DIRTY: u64 = 3 << FS_SHIFT;
