//! The interpreter's instructions: one table, from which the opcodes, the dispatch loop
//! (`exec.rs`) and the disassembler (`disas.rs`) are derived.
//!
//! An instruction is one little-endian 64-bit word, some have a second:
//!
//! | bits | 0-7 | 8-15 | 16-23 | 24-31 | 32-63 |
//! |---|---|---|---|---|---|
//! | | opcode | d | a | b | imm |
//!
//! `d`, `a` and `b` are slots of `CpuState::slots` unless the class says otherwise; further slots
//! are bytes of `imm` (c0 is the lowest). Every handler reads all its inputs before it writes.
//!
//! I32 values use the low half of a slot; the high half of a local is anything. Instructions with
//! a `W` read low halves and write sign-extended results.

/// Calls `$macro! { table }`. Classes:
/// - `binary`: `d <- a, b`; `immediate`: `d <- a, imm` (sign-extended); `unary`: `d <- a`;
/// - `compare`: seven instructions for each condition, named in the row: set, set W, branch (`imm`
///   is the distance in words from the next instruction), branch W, chain, move (`d = cond(a, b)
///   ? c0 : c1`), move W. `chain` ends a block: it continues in the block linked at exit `d & 1`
///   if the condition holds, at the other exit if not; when that is not linked, it branches by
///   `imm` (true) or falls through (false);
/// - `load`, `store`: guest memory at `a` plus the low half of `imm`, through the TLB whose offset
///   in `CpuState` is the high half; the `MemOp` is in the field `b` (load) or `d` (store), and the
///   value of a store is `b`;
/// - `state_load`, `state_store`: the field of `CpuState` at byte `imm`; value in `d` or `b`;
/// - `step`: what the method of `exec.rs` says; `leave`: the same, for those that may leave;
/// - `fused`: pairs that follow each other often: the first, and then at once the next instruction,
///   which is the second and stands there as ever (so branches to it and positions in exceptions
///   stay right). Found by counting while a kernel booted; each saves a dispatch.
macro_rules! for_each_bytecode {
    ($macro:ident) => {
        $macro! {
            binary {
                Add(a, b) a.wrapping_add(b);
                Sub(a, b) a.wrapping_sub(b);
                Mul(a, b) a.wrapping_mul(b);
                MulUH(a, b) (u128::from(a) * u128::from(b) >> 64) as u64;
                MulSH(a, b) (i128::from(a as i64) * i128::from(b as i64) >> 64) as u64;
                MulSUH(a, b) (i128::from(a as i64).wrapping_mul(i128::from(b)) >> 64) as u64;
                DivS(a, b) if b == 0 { !0 } else { (a as i64).wrapping_div(b as i64) as u64 };
                DivU(a, b) a.checked_div(b).unwrap_or(!0);
                RemS(a, b) if b == 0 { a } else { (a as i64).wrapping_rem(b as i64) as u64 };
                RemU(a, b) a.checked_rem(b).unwrap_or(a);
                And(a, b) a & b;
                Or(a, b) a | b;
                Xor(a, b) a ^ b;
                AndC(a, b) a & !b;
                OrC(a, b) a | !b;
                Eqv(a, b) !(a ^ b);
                Shl(a, b) a.wrapping_shl(b as u32);
                Shr(a, b) a.wrapping_shr(b as u32);
                Sar(a, b) (a as i64).wrapping_shr(b as u32) as u64;
                RotL(a, b) a.rotate_left(b as u32 & 63);
                RotR(a, b) a.rotate_right(b as u32 & 63);
                Clz(a, b) if a == 0 { b } else { u64::from(a.leading_zeros()) };
                Ctz(a, b) if a == 0 { b } else { u64::from(a.trailing_zeros()) };
                AddW(a, b) a.wrapping_add(b) as i32 as u64;
                SubW(a, b) a.wrapping_sub(b) as i32 as u64;
                MulW(a, b) a.wrapping_mul(b) as i32 as u64;
                MulUHW(a, b) (u64::from(a as u32) * u64::from(b as u32) >> 32) as i32 as u64;
                MulSHW(a, b) (i64::from(a as i32) * i64::from(b as i32) >> 32) as u64;
                MulSUHW(a, b) (i64::from(a as i32) * i64::from(b as u32) >> 32) as u64;
                DivSW(a, b) if b as u32 == 0 { !0 } else {
                    (a as i32).wrapping_div(b as i32) as u64
                };
                DivUW(a, b) (a as u32).checked_div(b as u32).unwrap_or(!0) as i32 as u64;
                RemSW(a, b) if b as u32 == 0 { a as i32 as u64 } else {
                    (a as i32).wrapping_rem(b as i32) as u64
                };
                RemUW(a, b) (a as u32).checked_rem(b as u32).unwrap_or(a as u32) as i32 as u64;
                ShlW(a, b) (a as i32).wrapping_shl(b as u32) as u64;
                ShrW(a, b) (a as u32).wrapping_shr(b as u32) as i32 as u64;
                SarW(a, b) (a as i32).wrapping_shr(b as u32) as u64;
                RotLW(a, b) (a as i32).rotate_left(b as u32 & 31) as u64;
                RotRW(a, b) (a as i32).rotate_right(b as u32 & 31) as u64;
                ClzW(a, b) if a as u32 == 0 { b as i32 as u64 } else {
                    u64::from((a as u32).leading_zeros())
                };
                CtzW(a, b) if a as u32 == 0 { b as i32 as u64 } else {
                    u64::from((a as u32).trailing_zeros())
                };
            }
            immediate {
                AddI(a, i) a.wrapping_add(i);
                AndI(a, i) a & i;
                OrI(a, i) a | i;
                XorI(a, i) a ^ i;
                ShlI(a, i) a.wrapping_shl(i as u32);
                ShrI(a, i) a.wrapping_shr(i as u32);
                SarI(a, i) (a as i64).wrapping_shr(i as u32) as u64;
                RotLI(a, i) a.rotate_left(i as u32 & 63);
                MulI(a, i) a.wrapping_mul(i);
                AddIW(a, i) a.wrapping_add(i) as i32 as u64;
                ShlIW(a, i) (a as i32).wrapping_shl(i as u32) as u64;
                ShrIW(a, i) (a as u32).wrapping_shr(i as u32) as i32 as u64;
                SarIW(a, i) (a as i32).wrapping_shr(i as u32) as u64;
                RotLIW(a, i) (a as i32).rotate_left(i as u32 & 31) as u64;
                SetEqI(a, i) u64::from(a == i);
                SetNeI(a, i) u64::from(a != i);
                SetLtI(a, i) u64::from((a as i64) < i as i64);
                SetGeI(a, i) u64::from(a as i64 >= i as i64);
                SetLtUI(a, i) u64::from(a < i);
                SetGeUI(a, i) u64::from(a >= i);
                // Fields: shift left by the low byte of `imm`, then right by the next.
                Extract(a, i) a.wrapping_shl(i as u32 & 63) >> (i >> 8 & 63);
                SExtract(a, i) ((a.wrapping_shl(i as u32 & 63) as i64) >> (i >> 8 & 63)) as u64;
            }
            unary {
                Mov(a) a;
                ExtU(a) u64::from(a as u32);
                Ctpop(a) u64::from(a.count_ones());
                CtpopW(a) u64::from((a as u32).count_ones());
                Bswap16(a) u64::from((a as u16).swap_bytes());
                Bswap32(a) u64::from((a as u32).swap_bytes());
                Bswap64(a) a.swap_bytes();
            }
            compare {
                SetEq SetEqW BrEq BrEqW ChainEq MovEq MovEqW (a, b) a == b;
                SetNe SetNeW BrNe BrNeW ChainNe MovNe MovNeW (a, b) a != b;
                SetLt SetLtW BrLt BrLtW ChainLt MovLt MovLtW (a, b) (a as i64) < b as i64;
                SetGe SetGeW BrGe BrGeW ChainGe MovGe MovGeW (a, b) a as i64 >= b as i64;
                SetLtU SetLtUW BrLtU BrLtUW ChainLtU MovLtU MovLtUW (a, b) a < b;
                SetGeU SetGeUW BrGeU BrGeUW ChainGeU MovGeU MovGeUW (a, b) a >= b;
                SetTstEq SetTstEqW BrTstEq BrTstEqW ChainTstEq MovTstEq MovTstEqW
                    (a, b) a & b == 0;
                SetTstNe SetTstNeW BrTstNe BrTstNeW ChainTstNe MovTstNe MovTstNeW
                    (a, b) a & b != 0;
            }
            load {
                QLdU8 u8;
                QLdS8 i8;
                QLdU16 u16;
                QLdS16 i16;
                QLdU32 u32;
                QLdS32 i32;
                QLd64 u64;
            }
            store {
                QSt8 u8;
                QSt16 u16;
                QSt32 u32;
                QSt64 u64;
            }
            state_load {
                LdU8 u8;
                LdS8 i8;
                LdU16 u16;
                LdS16 i16;
                LdU32 u32;
                LdS32 i32;
                Ld64 u64;
            }
            state_store {
                St8 u8;
                St16 u16;
                St32 u32;
                St64 u64;
            }
            step {
                MovI mov_imm;           // d <- imm
                MovI64 mov_imm64;       // d <- second word
                Deposit deposit;        // d <- a with field (pos, len: bytes of imm) from b
                Add2 add2;              // d, c0 <- a, c1 + b, c2 (low, high)
                Sub2 sub2;
                Add2W add2_w;
                Sub2W sub2_w;
                MulU2 mulu2;            // d, c0 <- a * b (low, high)
                MulS2 muls2;
                MulU2W mulu2_w;
                MulS2W muls2_w;
                AddC addc;              // d, c0 <- a + b + c1
                SubB subb;
                AddCW addc_w;
                SubBW subb_w;
                Br branch;              // imm words
                Fence fence;
                Call0 call0;            // d <- second word (a, b, c0, c1)
                Call1 call1;
                Call2 call2;
                Call3 call3;
                Call4 call4;
            }
            leave {
                CallR0 call_raise0;     // calls that may raise
                CallR1 call_raise1;
                CallR2 call_raise2;
                CallR3 call_raise3;
                CallR4 call_raise4;
                QLd load_any;           // d <- [a], imm is the MemOpIdx
                QSt store_any;          // [a] <- b
                QLd2 load2;             // d, c0 <- [a], high half of imm is the MemOpIdx
                QSt2 store2;            // [a] <- b, c0
                Cmpxchg cmpxchg;        // d <- [a], expected b, new c0
                Cmpxchg2 cmpxchg2;      // d, c0 <- [a], second word: el, eh, nl, nh in bytes
                Rmw rmw;                // d <- [a], b; c0 is the RmwOp
                GotoTb goto_tb;         // exit d, if it is linked
                Budget budget;          // -icount: takes imm off, at the start of a block
                GotoPtr goto_ptr;       // pc is in slot a
                GotoPtrAnd goto_ptr_and; // pc is d <- a & imm
                GotoPtrImm goto_ptr_imm; // pc is d <- imm
                ExitSlot exit_slot;     // exit d
                ExitMain exit_main;
                ExitException exit_exception;
            }
            fused {
                QLd64QLd64 QLd64 QLd64;
                QSt64QSt64 QSt64 QSt64;
                AddAdd Add Add;
                ShlIAdd ShlI Add;
                ShlIShrI ShlI ShrI;
                QSt64AddI QSt64 AddI;
                XorXor Xor Xor;
                AddIAddI AddI AddI;
                AddQLd64 Add QLd64;
                QLd64AddI QLd64 AddI;
                AddSetLtU Add SetLtU;
                ShrIAdd ShrI Add;
                QLd64Add QLd64 Add;
                AddIChainNe AddI ChainNe;
                SetLtUAdd SetLtU Add;
                MovMov Mov Mov;
                AddIQSt64 AddI QSt64;
                ShlIOr ShlI Or;
                QLdU8AddI QLdU8 AddI;
                MovMovI Mov MovI;
                AddSub Add Sub;
                MulAdd Mul Add;
                AddIWAddI AddIW AddI;
                AddMov Add Mov;
                AndIChainNe AndI ChainNe;
                AndIChainEq AndI ChainEq;
                AddChainEq Add ChainEq;
                AddChainNe Add ChainNe;
                QLd64ChainEq QLd64 ChainEq;
                QLd64ChainNe QLd64 ChainNe;
                QLd64Xor QLd64 Xor;
                QLd64AddIW QLd64 AddIW;
                QLdU8QLdU8 QLdU8 QLdU8;
                QLdU8ChainEq QLdU8 ChainEq;
                QLdU8ChainNe QLdU8 ChainNe;
                QLd64Sub QLd64 Sub;
                QLd64Mov QLd64 Mov;
                QLd64ShlI QLd64 ShlI;
                MovQLd64 Mov QLd64;
                AddIGotoPtrAnd AddI GotoPtrAnd;
                AddIQLd64 AddI QLd64;
                MovIGotoPtrImm MovI GotoPtrImm;
                AddChainLtU Add ChainLtU;
                AddQLdU8 Add QLdU8;
                AddQSt64 Add QSt64;
                MovIChainEq MovI ChainEq;
                MovIChainNe MovI ChainNe;
                OrShlI Or ShlI;
                MovChainLtU Mov ChainLtU;
                AddIGotoTb AddI GotoTb;
                AddIWChainNe AddIW ChainNe;
                QSt64ChainNe QSt64 ChainNe;
                QSt64QLd64 QSt64 QLd64;
                QSt64Mov QSt64 Mov;
                AddIChainEq AddI ChainEq;
                MovIMovI MovI MovI;
                QLdS32ChainEq QLdS32 ChainEq;
                QLdS32AddIW QLdS32 AddIW;
                QLd64QSt64 QLd64 QSt64;
                MulShlI Mul ShlI;
            }
        }
    };
}
pub(crate) use for_each_bytecode;

macro_rules! define_opcode {
    (
        binary { $($bin:ident ($_ba:ident, $_bb:ident) $_be:expr;)* }
        immediate { $($imm:ident ($_ia:ident, $_ib:ident) $_ie:expr;)* }
        unary { $($una:ident ($_ua:ident) $_ue:expr;)* }
        compare { $($set:ident $set_w:ident $br:ident $br_w:ident $chain:ident $mov:ident
            $mov_w:ident ($_ca:ident, $_cb:ident) $_ce:expr;)* }
        load { $($ld:ident $_lt:ty;)* }
        store { $($st:ident $_st:ty;)* }
        state_load { $($sld:ident $_slt:ty;)* }
        state_store { $($sst:ident $_sst:ty;)* }
        step { $($step:ident $_sf:ident;)* }
        leave { $($leave:ident $_lf:ident;)* }
        fused { $($fused:ident $first:ident $second:ident;)* }
    ) => {
        /// What an instruction does; see the table.
        #[repr(u8)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Opcode {
            $($bin,)* $($imm,)* $($una,)*
            $($set,)* $($set_w,)* $($br,)* $($br_w,)* $($chain,)* $($mov,)* $($mov_w,)*
            $($ld,)* $($st,)* $($sld,)* $($sst,)* $($step,)* $($leave,)* $($fused,)*
        }

        impl Opcode {
            /// All of them: `ALL[op as usize] == op`.
            pub const ALL: &[Self] = &[
                $(Self::$bin,)* $(Self::$imm,)* $(Self::$una,)*
                $(Self::$set,)* $(Self::$set_w,)* $(Self::$br,)* $(Self::$br_w,)*
                $(Self::$chain,)* $(Self::$mov,)* $(Self::$mov_w,)*
                $(Self::$ld,)* $(Self::$st,)* $(Self::$sld,)* $(Self::$sst,)*
                $(Self::$step,)* $(Self::$leave,)* $(Self::$fused,)*
            ];

            /// The instruction that does this one and the next, which is `second`.
            pub const fn fuse(self, second: Self) -> Option<Self> {
                match (self, second) {
                    $((Self::$first, Self::$second) => Some(Self::$fused),)*
                    _ => None,
                }
            }

            /// For a fused one, the first of the two.
            pub const fn first(self) -> Self {
                match self {
                    $(Self::$fused => Self::$first,)*
                    other => other,
                }
            }
        }

        /// The instructions of one condition.
        #[derive(Clone, Copy, Debug)]
        pub struct CompareOps {
            pub set: Opcode,
            pub set_w: Opcode,
            pub br: Opcode,
            pub br_w: Opcode,
            pub chain: Opcode,
            pub mov: Opcode,
            pub mov_w: Opcode,
        }

        /// In the order of the table: Eq, Ne, Lt, Ge, Ltu, Geu, TstEq, TstNe.
        pub const COMPARE_OPS: [CompareOps; 8] = [$(CompareOps {
            set: Opcode::$set,
            set_w: Opcode::$set_w,
            br: Opcode::$br,
            br_w: Opcode::$br_w,
            chain: Opcode::$chain,
            mov: Opcode::$mov,
            mov_w: Opcode::$mov_w,
        },)*];
    };
}
for_each_bytecode!(define_opcode);

impl Opcode {
    /// Has a second word.
    pub const fn is_long(self) -> bool {
        use Opcode::*;
        matches!(
            self,
            MovI64
                | Call0
                | Call1
                | Call2
                | Call3
                | Call4
                | CallR0
                | CallR1
                | CallR2
                | CallR3
                | CallR4
                | Cmpxchg2
        )
    }
}

/// An instruction's first word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word(pub u64);

impl Word {
    /// Puts the fields together.
    pub const fn new(op: Opcode, d: u8, a: u8, b: u8, imm: i32) -> Self {
        let fields = op as u64 | (d as u64) << 8 | (a as u64) << 16 | (b as u64) << 24;
        Self(fields | (imm as u64) << 32)
    }
    /// `None` when the byte is no opcode.
    pub fn opcode(self) -> Option<Opcode> {
        Opcode::ALL.get(self.0 as u8 as usize).copied()
    }
    pub const fn d(self) -> u8 {
        (self.0 >> 8) as u8
    }
    pub const fn a(self) -> u8 {
        (self.0 >> 16) as u8
    }
    pub const fn b(self) -> u8 {
        (self.0 >> 24) as u8
    }
    /// Sign-extended.
    pub const fn imm(self) -> i64 {
        self.0 as i64 >> 32
    }
    /// The low half of `imm`, sign-extended.
    pub const fn imm_low(self) -> i64 {
        (self.0 >> 32) as i16 as i64
    }
    /// Byte `index` of `imm`.
    pub const fn c(self, index: u32) -> u8 {
        (self.0 >> (32 + 8 * index)) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_their_fields() {
        for &op in Opcode::ALL {
            let w = Word::new(op, 1, 2, 255, -5);
            assert_eq!(w.opcode(), Some(op));
            assert_eq!((w.d(), w.a(), w.b(), w.imm()), (1, 2, 255, -5));
        }
        let w = Word::new(Opcode::MovEq, 0, 0, 0, 0x0807_f605);
        assert_eq!((w.c(0), w.c(1), w.imm_low()), (0x05, 0xf6, -0x9fb));
    }

    #[test]
    fn pairs_are_pairs() {
        for &first in Opcode::ALL {
            for &second in Opcode::ALL {
                let Some(fused) = first.fuse(second) else {
                    continue;
                };
                assert_eq!(fused.first(), first);
                assert_eq!(format!("{fused:?}"), format!("{first:?}{second:?}"));
                assert!(!first.is_long() && fused.fuse(second).is_none());
            }
        }
    }

    /// What `select.rs` counts on.
    #[test]
    fn comparisons_stand_together() {
        let set = |op: Opcode| op as u8 - Opcode::SetEq as u8;
        for (number, ops) in (0..).zip(COMPARE_OPS) {
            assert_eq!((set(ops.set), set(ops.set_w)), (number, number + 8));
        }
    }
}
