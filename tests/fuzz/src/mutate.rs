//! Seeded damage: the same seed always makes the same file.

/// Most changes to one file.
const CHANGES_MAX: usize = 6;
/// Largest file that mutations may grow to.
const SIZE_MAX: usize = 1 << 16;
/// Numbers at the edges, where bounds checks go wrong.
const EDGES: [u64; 12] = [
    0,
    1,
    2,
    0x7f,
    0x80,
    0xff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    u64::MAX - 1,
    u64::MAX,
];

/// A source of mutations (xorshift64*).
pub struct Mutator(u64);

impl Mutator {
    /// Mutations by `seed`.
    pub fn new(seed: u64) -> Self {
        // Neighbouring seeds must not give neighbouring sequences, nor may the state be 0.
        let mut mutator = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        (0..4).for_each(|_| {
            mutator.word();
        });
        mutator
    }

    /// Any number.
    pub fn word(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number from 0 to `limit - 1`; 0 if there is none.
    pub fn below(&mut self, limit: usize) -> usize {
        ((self.word() >> 11) % (limit.max(1) as u64)) as usize
    }

    /// A number at an edge.
    pub fn edge_number(&mut self) -> u64 {
        EDGES[self.below(EDGES.len())]
    }

    /// `data` with a few changes.
    pub fn mutate(&mut self, data: &[u8]) -> Vec<u8> {
        let mut data = data.to_vec();
        for _ in 0..=self.below(CHANGES_MAX) {
            self.change(&mut data);
        }
        data.truncate(SIZE_MAX);
        data
    }

    fn change(&mut self, data: &mut Vec<u8>) {
        // Headers are where the numbers are: half of the changes go there.
        let limit = if self.below(2) == 0 {
            data.len().min(128)
        } else {
            data.len()
        };
        let at = self.below(limit);
        match self.below(7) {
            0 => data.truncate(at),
            1 => self.overwrite(data, at),
            2 => self.edge(data, at),
            3 => data.insert(at.min(data.len()), self.word() as u8),
            4 => drop(data.drain(at..(at + self.below(16)).min(data.len()))),
            5 => self.duplicate(data, at),
            _ => {
                if let Some(byte) = data.get_mut(at) {
                    *byte ^= 1 << self.below(8);
                }
            }
        }
    }

    fn overwrite(&mut self, data: &mut [u8], at: usize) {
        if let Some(byte) = data.get_mut(at) {
            *byte = self.word() as u8;
        }
    }

    /// An aligned number at the edge, of any width and byte order.
    fn edge(&mut self, data: &mut [u8], at: usize) {
        let width = [1, 2, 4, 8][self.below(4)];
        let at = at / width * width;
        let mut bytes = self.edge_number().to_le_bytes();
        if self.below(2) == 0 {
            bytes[..width].reverse();
        }
        if let Some(place) = data.get_mut(at..at + width) {
            place.copy_from_slice(&bytes[..width]);
        }
    }

    /// A piece of the file again, somewhere else.
    fn duplicate(&mut self, data: &mut Vec<u8>, at: usize) {
        let end = (at + self.below(256)).min(data.len());
        let piece = data[at.min(end)..end].to_vec();
        let to = self.below(data.len() + 1);
        data.splice(to..to, piece);
    }
}
