//! The decoder that `build.rs` makes of `insn32.decode` and `insn16.decode`.
//!
//! [`Decode`] has a method for each instruction; the translator and the disassembler implement it
//! through `for_each_insn!`, so that a row without code does not compile.

/// Number of an x or f register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reg(u8);

impl Reg {
    /// The register as an index, 0 to 31.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl From<i32> for Reg {
    fn from(number: i32) -> Self {
        Self(number as u8 & 31)
    }
}

const fn plus_8(value: i32) -> i32 {
    value + 8
}

const fn times_2(value: i32) -> i32 {
    value << 1
}

const fn times_4(value: i32) -> i32 {
    value << 2
}

const fn times_8(value: i32) -> i32 {
    value << 3
}

const fn times_16(value: i32) -> i32 {
    value << 4
}

const fn times_32(value: i32) -> i32 {
    value << 5
}

const fn times_4096(value: i32) -> i32 {
    value << 12
}

include!(concat!(env!("OUT_DIR"), "/decode.rs"));

/// Bytes of the instruction that starts with `halfword`: 4 if its low two bits are ones, else 2.
/// (Longer encodings are reserved; they decode as 32-bit ones and are illegal.)
pub const fn length_of(halfword: u16) -> usize {
    if halfword & 3 == 3 { 4 } else { 2 }
}

/// Calls the method for the instruction of `length` bytes.
pub fn decode<T: Decode>(insn: u32, length: usize, t: &mut T) -> bool {
    match length {
        2 => decode_insn16(insn & 0xffff, t),
        _ => decode_insn32(insn, t),
    }
}
