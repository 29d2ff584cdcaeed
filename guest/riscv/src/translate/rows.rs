//! `insns!`: instructions that differ from their likes in one fact are rows.
//!
//! `[Zbb|Zbkb] andn(R) = arith(Builder::andc);` makes the method `andn`, which refuses unless the
//! CPU has one of the extensions, then calls `self.arith(a, Builder::andc)`. Several brackets must
//! all be met; without brackets, the instruction is of the base.

macro_rules! insns {
    ($($([$($ext:ident)|+])* $name:ident($set:ident) = $method:ident($($arg:expr),*);)*) => {
        impl $crate::translate::Translator<'_, '_> {
            $(pub(super) fn $name(&mut self, a: &$crate::decode::$set) -> bool {
                $(if !($(self.has($crate::isa::Ext::$ext))||+) {
                    return false;
                })*
                self.$method(a, $($arg),*)
            })*
        }
    };
}
