//! Seeded random operands, biased towards the places where rounding goes wrong.

use crate::formats::Ops;

pub struct Random(u64);

/// A step of the sequence, and how many random cases to run.
pub fn cases() -> u32 {
    let default = if cfg!(debug_assertions) {
        40_000
    } else {
        1_000_000
    };
    std::env::var("FPU_CASES")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(default)
}

impl Random {
    /// Different in each test, the same in each run; printed by every failing assertion.
    pub fn new(salt: u64) -> Self {
        let seed = std::env::var("FPU_SEED").ok().and_then(|n| n.parse().ok());
        let seed: u64 = seed.unwrap_or(0x1234_5678_9abc_def1);
        println!("FPU_SEED={seed}");
        Self((seed ^ salt.wrapping_mul(0x9e37_79b9_7f4a_7c15)).max(1))
    }

    /// xorshift64*
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 32) % limit
    }

    fn around(&mut self, centre: i32, spread: u64) -> i32 {
        centre - spread as i32 + self.below(2 * spread + 1) as i32
    }

    /// Few ones, few zeros, a run of either, or anything.
    pub fn pattern(&mut self) -> u64 {
        let (low, high) = (self.below(64), self.below(64));
        let few = 1 << low | 1 << high;
        match self.below(6) {
            0 => few,
            1 => !few,
            2 => u64::MAX >> low,
            3 => u64::MAX << low,
            4 => self.next() << low,
            _ => self.next(),
        }
    }

    fn sign(&mut self, ops: &Ops) -> u64 {
        if self.next() >> 63 != 0 {
            ops.sign()
        } else {
            0
        }
    }

    pub fn operand(&mut self, ops: &Ops) -> u64 {
        let sign = self.sign(ops);
        let fraction = self.pattern();
        let magnitude = match self.below(8) {
            0 => self.next() & (ops.sign() - 1),
            1 => fraction & (ops.min_normal() - 1),
            2 => ops.normal(self.around(1 - ops.bias(), 3), fraction),
            3 => ops.normal(self.around(ops.bias(), 3), fraction),
            4 => ops.normal(self.around(ops.fraction_bits as i32, 12), fraction),
            5 => {
                let specials = ops.specials();
                specials[self.below(specials.len() as u64) as usize] & (ops.sign() - 1)
            }
            _ => ops.normal(self.around(0, u64::from(ops.fraction_bits)), fraction),
        };
        sign | magnitude
    }

    /// A second operand close enough in exponent to `a` for sums to cancel or tie.
    pub fn near(&mut self, ops: &Ops, a: u64) -> u64 {
        let exponent = ((a & ops.infinity()) >> ops.fraction_bits) as i32 - ops.bias();
        match self.below(4) {
            0 => (a ^ ops.sign()) ^ self.below(16),
            1 => self.sign(ops) | ops.normal(self.around(exponent, 2), self.pattern()),
            _ => {
                let spread = u64::from(ops.fraction_bits) + 3;
                self.sign(ops) | ops.normal(self.around(exponent, spread), self.pattern())
            }
        }
    }

    /// A factor that takes `a` to the edge of underflow, overflow or unity.
    pub fn factor(&mut self, ops: &Ops, a: u64, divide: bool) -> u64 {
        let exponent = ((a & ops.infinity()) >> ops.fraction_bits) as i32 - ops.bias();
        let goal = match self.below(3) {
            0 => self.around(1 - ops.bias(), 3),
            1 => self.around(1 - ops.bias() - ops.fraction_bits as i32, 3),
            _ => self.around(ops.bias(), 2),
        };
        let wanted = if divide {
            exponent - goal
        } else {
            goal - exponent
        };
        self.sign(ops) | ops.normal(wanted, self.pattern())
    }
}
