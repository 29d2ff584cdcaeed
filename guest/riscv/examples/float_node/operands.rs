//! Operands: corner values crossed, numbers whose exponents are near each other, results near
//! the ends of the exponents' range, sums that cancel, ties.

use tcg::float::{FloatFormat, FloatHelper, FloatOp};

/// Operands, and the flags before.
pub type Case = [u64; 4];

const INEXACT: u64 = 1;
const ALL_FLAGS: u64 = 31;

pub struct Operands {
    float: FloatHelper,
    random: u64,
    corners: Vec<u64>,
}

impl Operands {
    pub fn new(float: FloatHelper) -> Self {
        let mut this = Self {
            float,
            random: 0x9e37_79b9_7f4a_7c15,
            corners: Vec::new(),
        };
        this.corners = match (float.op.is_from_integer(), float.format) {
            (true, _) => integer_corners(),
            (_, FloatFormat::Single) => single_corners(),
            (_, FloatFormat::Double) => double_corners(),
        };
        this
    }

    /// What programs have: the helper must not be needed for most of these.
    pub fn ordinary(&mut self) -> Vec<Case> {
        let mut cases = Vec::new();
        for _ in 0..1000 {
            let [mut a, b, c] = self.near();
            use FloatOp::*;
            match self.float.op {
                Sqrt | ToU32 | ToU64 if self.is_single() => a &= !(1 << 31),
                Sqrt | ToU32 | ToU64 => a &= !(1 << 63),
                FromI32 | FromU32 | FromI64 | FromU64 => a = self.next() >> 42,
                // One that is exact, since not every mode may be inexact.
                Convert if !self.is_single() => a &= !0 << 29,
                _ => {}
            }
            cases.push([a, b, c, INEXACT]);
        }
        cases
    }

    pub fn special(&mut self) -> Vec<Case> {
        let mut cases = Vec::new();
        self.crossed(&mut cases);
        for _ in 0..800 {
            let near = self.near();
            self.push(&mut cases, near);
            let [any, edge, short] = [self.any(), self.edge(), self.short()];
            self.push(&mut cases, any);
            self.push(&mut cases, edge);
            self.push(&mut cases, short);
            let [_, b, c] = self.near();
            self.push(&mut cases, [any[0], b, c]);
            let cancelling = self.cancelling();
            self.push(&mut cases, cancelling);
        }
        cases
    }

    fn push(&mut self, cases: &mut Vec<Case>, [a, b, c]: [u64; 3]) {
        let flags = match self.next() % 8 {
            0 => 0,
            1 => self.next() & ALL_FLAGS,
            _ => INEXACT,
        };
        cases.push([a, b, c, flags]);
    }

    fn crossed(&mut self, cases: &mut Vec<Case>) {
        let corners = self.corners.clone();
        let pick = |this: &mut Self| corners[this.next() as usize % corners.len()];
        match self.float.op.operands() {
            1 => {
                for &a in &corners {
                    cases.extend([0, INEXACT, 2, ALL_FLAGS].map(|flags| [a, 0, 0, flags]));
                }
            }
            2 => {
                for (&a, &b) in corners
                    .iter()
                    .flat_map(|a| corners.iter().map(move |b| (a, b)))
                {
                    self.push(cases, [a, b, 0]);
                }
            }
            _ => {
                for _ in 0..12_000 {
                    let triple = [pick(self), pick(self), pick(self)];
                    self.push(cases, triple);
                }
            }
        }
    }

    /// xorshift64*
    fn next(&mut self) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: u64) -> i64 {
        (self.next() % limit) as i64
    }

    fn is_single(&self) -> bool {
        self.float.format == FloatFormat::Single
    }

    /// A number with this exponent (kept in the format's range) and this fraction of 52 bits.
    fn number(&mut self, exponent: i64, fraction: u64) -> u64 {
        let sign = self.next() & 1;
        let fraction = fraction & ((1 << 52) - 1);
        if self.is_single() {
            let field = (exponent + 127).clamp(0, 254) as u64;
            BOX | sign << 31 | field << 23 | fraction >> 29
        } else {
            let field = (exponent + 1023).clamp(0, 2046) as u64;
            sign << 63 | field << 52 | fraction
        }
    }

    /// Moderate numbers, with exponents that are mostly near each other.
    fn near(&mut self) -> [u64; 3] {
        let spread = [1, 2, 4, 24, 60][self.next() as usize % 5];
        let base = self.below(20) - 10;
        [0; 3].map(|_| {
            let exponent = (base + self.below(spread)).clamp(-30, 29);
            let fraction = self.next();
            self.number(exponent, fraction)
        })
    }

    /// Any bits at all; single ones boxed most of the time.
    fn any(&mut self) -> [u64; 3] {
        [0; 3].map(|_| match self.next() % 16 {
            0 => self.next(),
            _ if self.is_single() && !self.float.op.is_from_integer() => BOX | self.next() >> 32,
            length if self.float.op.is_from_integer() => self.next() >> (length * 4),
            _ => self.next(),
        })
    }

    /// Products and quotients near the ends of the exponents' range, and near where `fma` stops
    /// being inline.
    fn edge(&mut self) -> [u64; 3] {
        let (least, most) = if self.is_single() {
            (-126, 127)
        } else {
            (-1022, 1023)
        };
        let ends = [least, most, -960, least - 52, 0];
        let target = ends[self.next() as usize % ends.len()] + self.below(5) - 2;
        let a = self.below((most - least) as u64) + least;
        let b = match self.float.op {
            FloatOp::Div => a - target,
            _ => target - a,
        };
        let c = target + self.below(120) - 60;
        [a, b, c].map(|exponent| {
            let few = self.next() & 1 == 0;
            let fraction = self.next() & if few { !0 << 49 } else { !0 };
            self.number(exponent, fraction)
        })
    }

    /// Numbers with few digits: exact results and ties.
    fn short(&mut self) -> [u64; 3] {
        let digits = self.below(30);
        let spread = [3, 30, 60, 110][self.next() as usize % 4];
        [0; 3].map(|_| {
            let exponent = self.below(spread) - spread as i64 / 2;
            let fraction = self.next() & !0 << (52 - digits);
            self.number(exponent, fraction)
        })
    }

    /// The addend is about the product, negated: next to nothing is left, or half a unit.
    fn cancelling(&mut self) -> [u64; 3] {
        let [a, b, _] = if self.next() & 1 == 0 {
            self.near()
        } else {
            self.short()
        };
        let off = self.below(5) - 2;
        let sign = self.next() << 63;
        let c = if self.is_single() {
            let product = f32::from_bits(a as u32) * f32::from_bits(b as u32);
            BOX | u64::from(product.to_bits().wrapping_add(off as u32)) ^ sign >> 32
        } else {
            let product = f64::from_bits(a) * f64::from_bits(b);
            product.to_bits().wrapping_add(off as u64) ^ sign
        };
        match self.next() % 3 {
            0 => [a, b, self.scaled(c, -53 - off)],
            1 => [a, c, b],
            _ => [a, b, c],
        }
    }

    /// A number times a power of two, if that is normal.
    fn scaled(&self, a: u64, by: i64) -> u64 {
        let (shift, max) = if self.is_single() {
            (23, 0xff)
        } else {
            (52, 0x7ff)
        };
        let field = (a >> shift & max) as i64;
        match field + by {
            moved if (1..max as i64).contains(&moved) => {
                a & !(max << shift) | (moved as u64) << shift
            }
            _ => a,
        }
    }
}

const BOX: u64 = !0 << 32;

/// Both signs of each.
fn signed(values: &[f64], extra: &[u64]) -> Vec<u64> {
    let values = values.iter().flat_map(|v| [v.to_bits(), (-v).to_bits()]);
    values.chain(extra.iter().copied()).collect()
}

const VALUES: [f64; 31] = [
    0.0,
    0.25,
    0.5,
    0.75,
    0.999_999_9,
    1.0,
    1.5,
    2.0,
    2.5,
    3.0,
    3.5,
    10.0,
    255.5,
    8_388_607.5,
    8_388_608.0,
    16_777_215.0,
    16_777_216.0,
    16_777_218.0,
    2_147_483_520.0,
    2_147_483_648.0,
    2_147_483_904.0,
    4_294_967_040.0,
    4_294_967_296.0,
    9_223_371_487_098_961_920.0,
    9_223_372_036_854_775_808.0,
    9_223_373_136_366_403_584.0,
    18_446_742_974_197_923_840.0,
    18_446_744_073_709_551_616.0,
    1e20,
    1e-20,
    f64::INFINITY,
];

fn double_corners() -> Vec<u64> {
    let mut values = VALUES.to_vec();
    values.extend([
        2_147_483_647.0,
        2_147_483_647.5,
        4_294_967_295.0,
        4_294_967_295.5,
    ]);
    values.extend([
        4_503_599_627_370_495.5,
        4_503_599_627_370_497.0,
        9_007_199_254_740_993.0,
    ]);
    values.extend([
        f64::MIN_POSITIVE,
        f64::MIN_POSITIVE * 2.0,
        f64::MAX,
        f64::MAX / 2.0,
        1e200,
    ]);
    values.extend([1.0 + f64::EPSILON, 1.0 - f64::EPSILON / 2.0, 1e-200, 1e-300]);
    values.extend([f64::EPSILON, f64::EPSILON / 2.0, f64::EPSILON / 4.0]);
    // Ends of the range of singles.
    values.extend([f32::MAX, f32::MIN_POSITIVE, f32::from_bits(1)].map(f64::from));
    values.extend([
        f64::from(f32::MAX) * (1.0 + f64::EPSILON),
        3.402_823_567_797_336_6e38,
    ]);
    values.extend([1.0 + 2_f64.powi(-24), 1.0 + 3.0 * 2_f64.powi(-24)]);
    values.extend([
        2_f64.powi(-150),
        f64::from(f32::MIN_POSITIVE) * (1.0 - f64::EPSILON),
    ]);
    signed(
        &values,
        &[
            1,
            2,
            1 << 63 | 1,
            0x000f_ffff_ffff_ffff,
            0x0010_0000_0000_0001,
            0x0020_0000_0000_0001,
            0x7ff8_0000_0000_0000,
            0x7ff0_0000_0000_0001,
            0xfff8_0000_0000_0000,
            0x7fff_ffff_ffff_ffff,
        ],
    )
}

fn single_corners() -> Vec<u64> {
    let of = |value: &f64| [*value as f32, -*value as f32].map(|v| BOX | u64::from(v.to_bits()));
    let mut corners: Vec<u64> = VALUES.iter().flat_map(of).collect();
    let (tiny, large) = (f64::from(f32::MIN_POSITIVE), f64::from(f32::MAX));
    let epsilon = f64::from(f32::EPSILON);
    let more = [
        tiny,
        tiny * 2.0,
        large,
        large / 2.0,
        1e30,
        1e-30,
        1.0 + epsilon,
        epsilon / 2.0,
    ];
    corners.extend(more.iter().flat_map(of));
    corners.extend(
        [
            1_u64,
            2,
            0x8000_0001,
            0x007f_ffff,
            0x0080_0001,
            0x0100_0001,
            0x7fc0_0000,
            0x7f80_0001,
            0xffc0_0000,
            0x7fff_ffff,
        ]
        .map(|bits| BOX | bits),
    );
    // Not boxed.
    corners.extend([0x3f80_0000, 0xffff_fffe_3f80_0000, 0x7fff_ffff_3f80_0000]);
    corners
}

fn integer_corners() -> Vec<u64> {
    let mut corners = vec![0, 1, 2, 3, !0, !1];
    for bit in [22, 23, 24, 25, 30, 31, 32, 51, 52, 53, 54, 62, 63] {
        let power = 1_u64 << bit;
        for value in [
            power - 1,
            power,
            power + 1,
            power + power / 2,
            power | power >> 24,
        ] {
            corners.extend([value, value.wrapping_neg()]);
        }
    }
    corners.extend([
        0x1_0000_0001,
        0xffff_ffff_0000_0000,
        (1 << 53) + 1,
        (1 << 24) + 1,
    ]);
    corners
}
