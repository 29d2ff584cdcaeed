//! Helpers of Zbc and Zbkb that are too long to be inline (Unprivileged manual, chapter
//! "Bit-Manipulation Extensions").

use crate::cpu::RiscvCpu;

/// The 128-bit carry-less product.
fn carryless(a: u64, b: u64) -> u128 {
    (0..64)
        .filter(|i| b >> i & 1 != 0)
        .fold(0, |product, i| product ^ u128::from(a) << i)
}

/// Low half of the carry-less product.
pub extern "C" fn clmul(_: &mut RiscvCpu, a: u64, b: u64) -> u64 {
    carryless(a, b) as u64
}

/// High half.
pub extern "C" fn clmulh(_: &mut RiscvCpu, a: u64, b: u64) -> u64 {
    (carryless(a, b) >> 64) as u64
}

/// Bits 126 to 63: the product of the bit-reversed operands, reversed.
pub extern "C" fn clmulr(_: &mut RiscvCpu, a: u64, b: u64) -> u64 {
    (carryless(a, b) >> 63) as u64
}

/// Reverses the bits in each byte.
pub extern "C" fn brev8(_: &mut RiscvCpu, a: u64) -> u64 {
    a.reverse_bits().swap_bytes()
}

#[cfg(test)]
mod tests {
    use super::carryless;

    #[test]
    fn products() {
        let check = |a, b, expected| assert_eq!(carryless(a, b), expected, "{a:#x} {b:#x}");
        check(0, !0, 0);
        check(1, 0x1234, 0x1234);
        check(3, 3, 5);
        check(0x8000_0000_0000_0000, 0x8000_0000_0000_0000, 1 << 126);
        check(!0, !0, 0x5555_5555_5555_5555_5555_5555_5555_5555);
    }
}
