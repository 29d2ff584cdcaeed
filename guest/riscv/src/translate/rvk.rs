//! Zbkb: bit manipulation for cryptography, beyond what it shares with Zbb (in `rvb.rs`).

use tcg::ir::{OpVisitor, Type};

use super::Translator;
use crate::decode::*;
use crate::helpers::Helper;

insns! {
    [Zbkb] pack(R) = pack_halves();
    [Zbkb] packh(R) = pack_bytes();
    [Zbkb] packw(R) = pack_halfwords();
    [Zbkb] brev8(R1) = reverse_bits();
}

impl Translator<'_, '_> {
    fn pack_halves(&mut self, a: &R) -> bool {
        let (x, y, d) = (self.x(a.rs1), self.x(a.rs2), self.x_dest(a.rd));
        self.b().deposit(Type::I64, d, x, y, 32, 32);
        true
    }

    fn pack_bytes(&mut self, a: &R) -> bool {
        let (x, y) = (self.x(a.rs1), self.x(a.rs2));
        let (low, high) = (self.zext(x, 8), self.zext(y, 8));
        let d = self.x_dest(a.rd);
        self.b().deposit(Type::I64, d, low, high, 8, 8);
        true
    }

    fn pack_halfwords(&mut self, a: &R) -> bool {
        let (x, y, word) = (self.x(a.rs1), self.x(a.rs2), self.temp());
        self.b().deposit(Type::I64, word, x, y, 16, 16);
        let d = self.x_dest(a.rd);
        self.b().sextract(Type::I64, d, word, 0, 32);
        true
    }

    fn reverse_bits(&mut self, a: &R1) -> bool {
        let (x, d) = (self.x(a.rs1), self.x_dest(a.rd));
        self.call(Helper::brev8, d, &[x]);
        true
    }
}
