//! Zicond: conditional zeros.

use tcg::ir::{Cond, OpVisitor, Type};

use super::Translator;
use crate::decode::*;

insns! {
    [Zicond] czero_eqz(R) = zero_if(Cond::Eq);
    [Zicond] czero_nez(R) = zero_if(Cond::Ne);
}

impl Translator<'_, '_> {
    fn zero_if(&mut self, a: &R, cond: Cond) -> bool {
        let (value, condition, zero) = (self.x(a.rs1), self.x(a.rs2), self.constant(0));
        let d = self.x_dest(a.rd);
        self.b()
            .movcond(Type::I64, d, condition, zero, zero, value, cond);
        true
    }
}
