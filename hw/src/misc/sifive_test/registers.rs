//! The one register of SiFive's test finisher: a command in the lower half, an exit code above.

pub const FINISHER: u64 = 0;

pub const FAIL: u16 = 0x3333;
pub const PASS: u16 = 0x5555;
pub const RESET: u16 = 0x7777;
