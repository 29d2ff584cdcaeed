//! Registers of the Goldfish real-time clock ("GOLDFISH VIRTUAL HARDWARE", section VI). Times are
//! nanoseconds since 1970 in two halves.

/// Reading it latches the other half.
pub const TIME_LOW: u64 = 0x00;
pub const TIME_HIGH: u64 = 0x04;
/// Writing it arms the alarm; the other half is written before.
pub const ALARM_LOW: u64 = 0x08;
pub const ALARM_HIGH: u64 = 0x0c;
pub const IRQ_ENABLED: u64 = 0x10;
pub const CLEAR_ALARM: u64 = 0x14;
/// 1 while an alarm is armed.
pub const ALARM_STATUS: u64 = 0x18;
pub const CLEAR_INTERRUPT: u64 = 0x1c;
