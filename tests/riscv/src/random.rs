//! Seeded random numbers and the values that break arithmetic.

/// xorshift64*.
#[derive(Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        // Any seed but 0 works; mix so that neighbouring seeds differ at once.
        let mixed = seed
            .wrapping_add(0x9e37_79b9_7f4a_7c15)
            .wrapping_mul(0xbf58_476d_1ce4_e5b9);
        Self(mixed | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 16) % limit
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// An integer register's value.
    pub fn integer(&mut self) -> u64 {
        const CORNERS: [u64; 16] = [
            0,
            1,
            2,
            u64::MAX,
            i64::MAX as u64,
            i64::MIN as u64,
            0x7fff_ffff,
            0x8000_0000,
            0xffff_ffff,
            0xffff_ffff_8000_0000,
            0xff,
            0x8000,
            63,
            64,
            0x0123_4567_89ab_cdef,
            0xffff_ffff_0000_0000,
        ];
        match self.below(4) {
            0 => self.pick(&CORNERS),
            1 => self.next() >> self.below(64),
            2 => (self.next() as i64 >> self.below(64)) as u64,
            _ => self.next(),
        }
    }

    /// A floating-point register's value: mostly well-boxed numbers of the three widths.
    pub fn float(&mut self) -> u64 {
        match self.below(8) {
            0..=2 => self.float_bits(11, 52),
            3..=5 => 0xffff_ffff_0000_0000 | self.float_bits(8, 23),
            6 => 0xffff_ffff_ffff_0000 | self.float_bits(5, 10),
            _ => self.next(),
        }
    }

    fn float_bits(&mut self, exponent_bits: u32, fraction_bits: u32) -> u64 {
        let max = (1u64 << exponent_bits) - 1;
        let bias = max >> 1;
        let exponent = match self.below(8) {
            0 => 0,
            1 => max,
            2 => 1 + self.below(3),
            3 => max - 1 - self.below(2),
            4 | 5 => bias.wrapping_add(self.below(8)).wrapping_sub(4) & max,
            _ => self.below(max + 1),
        };
        let all = (1u64 << fraction_bits) - 1;
        let fraction = match self.below(6) {
            0 => 0,
            1 => all,
            2 => 1 << (fraction_bits - 1),
            3 => 1 << self.below(u64::from(fraction_bits)),
            _ => self.next() & all,
        };
        self.below(2) << (exponent_bits + fraction_bits) | exponent << fraction_bits | fraction
    }
}
