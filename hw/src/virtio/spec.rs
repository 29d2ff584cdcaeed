//! Numbers of the virtio 1.2 specification that are common to transports and devices.

/// Device types (chapter 5).
pub mod device_id {
    pub const NET: u32 = 1;
    pub const BLOCK: u32 = 2;
    pub const CONSOLE: u32 = 3;
    pub const RNG: u32 = 4;
    pub const NINE_P: u32 = 9;
}

/// Device status (2.1).
pub mod status {
    pub const ACKNOWLEDGE: u8 = 1;
    pub const DRIVER: u8 = 2;
    pub const DRIVER_OK: u8 = 4;
    pub const FEATURES_OK: u8 = 8;
    pub const NEEDS_RESET: u8 = 64;
    pub const FAILED: u8 = 128;
}

/// Feature bits that no device type owns (chapter 6), as masks.
pub mod feature {
    /// Legacy only: interrupt when the available ring ran empty, whatever the driver asked.
    pub const NOTIFY_ON_EMPTY: u64 = 1 << 24;
    pub const ANY_LAYOUT: u64 = 1 << 27;
    pub const INDIRECT_DESC: u64 = 1 << 28;
    pub const EVENT_IDX: u64 = 1 << 29;
    pub const VERSION_1: u64 = 1 << 32;
    pub const RING_PACKED: u64 = 1 << 34;
    /// What a legacy driver can see.
    pub const LEGACY: u64 = 0xffff_ffff;
    /// What makes no sense to a driver of version 1.
    pub const LEGACY_ONLY: u64 = NOTIFY_ON_EMPTY;
}

/// Interrupt status (4.2.2, "InterruptStatus").
pub mod isr {
    pub const USED_BUFFER: u8 = 1;
    pub const CONFIG_CHANGE: u8 = 2;
}

/// Descriptor flags of both ring formats (2.7.5, 2.8.1).
pub mod descriptor {
    pub const NEXT: u16 = 1;
    pub const WRITE: u16 = 2;
    pub const INDIRECT: u16 = 4;
    /// Packed ring only.
    pub const AVAIL: u16 = 1 << 7;
    /// Packed ring only.
    pub const USED: u16 = 1 << 15;
    /// Bytes of a descriptor in both formats.
    pub const SIZE: usize = 16;
}

/// Flags of the split ring's available and used halves (2.7.6, 2.7.8).
pub mod split {
    pub const AVAIL_NO_INTERRUPT: u16 = 1;
    pub const USED_NO_NOTIFY: u16 = 1;
}

/// Flags of the packed ring's event suppression structures (2.8.14).
pub mod packed {
    pub const EVENT_ENABLE: u16 = 0;
    pub const EVENT_DISABLE: u16 = 1;
    pub const EVENT_DESC: u16 = 2;
}
