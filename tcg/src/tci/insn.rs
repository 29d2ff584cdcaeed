//! The fields of the instruction that runs.

#![expect(unsafe_code, reason = "reads bytecode by address")]

/// The instruction that runs. Its fields are read from the bytecode one by one: cheaper than a load
/// of the whole word and shifts, natively and in wasm.
#[derive(Clone, Copy)]
pub struct Insn(*const u64);

impl Insn {
    /// The instruction at an address.
    ///
    /// # Safety
    /// There is one, and it stays while the `Insn` is used.
    #[inline(always)]
    pub const unsafe fn at(address: *const u64) -> Self {
        Self(address)
    }
    /// All of it.
    #[inline(always)]
    pub const fn word(self) -> u64 {
        // SAFETY: `at`'s promise.
        unsafe { *self.0 }
    }
}

macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident: $ty:ty as $out:ty, $offset:literal;)*) => {
        impl Insn {
            $($(#[$doc])*
            #[inline(always)]
            pub const fn $name(self) -> $out {
                // SAFETY: `at`'s promise; the offset is inside the word, and aligned.
                unsafe { *self.0.cast::<u8>().add($offset).cast::<$ty>() as $out }
            }
            )*
        }
    };
}

// See the layout of `bytecode::Word`.
fields! {
    op: u8 as u8, 0;
    d: u8 as u8, 1;
    a: u8 as u8, 2;
    b: u8 as u8, 3;
    imm: i32 as i64, 4;
    imm_low: i16 as i64, 4;
    imm_high: u16 as u16, 6;
    c0: u8 as u8, 4;
    c1: u8 as u8, 5;
    c2: u8 as u8, 6;
}

/// The low half, sign-extended.
#[inline(always)]
pub const fn sext(value: u64) -> u64 {
    value as i32 as u64
}

#[inline(always)]
pub const fn low(value: u64) -> u64 {
    value as u32 as u64
}

pub const fn pair(low: u64, high: u64) -> u128 {
    (high as u128) << 64 | low as u128
}
