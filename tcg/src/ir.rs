//! Types of the IR: temps, labels, conditions, memory ops, helpers and the ops themselves.

use crate::float::FloatHelper;
use crate::for_each_op;

/// What a temp holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    I32,
    I64,
}

impl Type {
    /// Width in bits.
    pub const fn bits(self) -> u32 {
        match self {
            Self::I32 => 32,
            Self::I64 => 64,
        }
    }
}

/// A value: index into [`crate::builder::Function::temps`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Temp(pub u16);

/// Where a temp lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TempKind {
    /// A guest register: the 8-byte slot `slot` of `CpuState::slots`. An I32 global uses the low
    /// half and leaves the high half zero.
    Global { slot: u8 },
    /// A constant; shared by all uses of the same value and type.
    Const(u64),
    /// A value computed inside the block; defined on every path before it is used.
    Local,
}

/// A branch destination inside one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Label(pub u16);

/// Integer comparisons. `TstEq`/`TstNe` compare `a & b` with zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cond {
    Eq,
    Ne,
    Lt,
    Ge,
    Le,
    Gt,
    Ltu,
    Geu,
    Leu,
    Gtu,
    TstEq,
    TstNe,
    Always,
    Never,
}

impl Cond {
    /// True exactly when this one is false.
    pub const fn invert(self) -> Self {
        match self {
            Self::Eq => Self::Ne,
            Self::Ne => Self::Eq,
            Self::Lt => Self::Ge,
            Self::Ge => Self::Lt,
            Self::Le => Self::Gt,
            Self::Gt => Self::Le,
            Self::Ltu => Self::Geu,
            Self::Geu => Self::Ltu,
            Self::Leu => Self::Gtu,
            Self::Gtu => Self::Leu,
            Self::TstEq => Self::TstNe,
            Self::TstNe => Self::TstEq,
            Self::Always => Self::Never,
            Self::Never => Self::Always,
        }
    }

    /// The same for exchanged operands.
    pub const fn swap(self) -> Self {
        match self {
            Self::Lt => Self::Gt,
            Self::Gt => Self::Lt,
            Self::Le => Self::Ge,
            Self::Ge => Self::Le,
            Self::Ltu => Self::Gtu,
            Self::Gtu => Self::Ltu,
            Self::Leu => Self::Geu,
            Self::Geu => Self::Leu,
            other => other,
        }
    }
}

/// Size, sign, endianness and alignment of a memory access.
///
/// Bits: 0-2 log2 of the size in bytes (0 to 4), 3 sign-extend, 4 big-endian, 5 the access must be
/// naturally aligned (else a misaligned fault), 6 the whole access must be single-copy atomic when
/// it lies within an aligned 16 bytes (Zama16b; otherwise only naturally aligned ones are).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MemOp(pub u8);

impl MemOp {
    pub const UB: Self = Self(0);
    pub const UW: Self = Self(1);
    pub const UL: Self = Self(2);
    pub const UQ: Self = Self(3);
    pub const UO: Self = Self(4);
    pub const SB: Self = Self(8);
    pub const SW: Self = Self(8 + 1);
    pub const SL: Self = Self(8 + 2);
    pub const BE: Self = Self(16);
    pub const ALIGN: Self = Self(32);
    pub const ATOM_WITHIN16: Self = Self(64);

    /// Both sets of flags.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
    /// Bytes accessed: 1 to 16.
    pub const fn bytes(self) -> u64 {
        1 << (self.0 & 7)
    }
    pub const fn is_signed(self) -> bool {
        self.0 & 8 != 0
    }
    pub const fn is_big_endian(self) -> bool {
        self.0 & Self::BE.0 != 0
    }
    pub const fn must_align(self) -> bool {
        self.0 & Self::ALIGN.0 != 0
    }
}

/// A [`MemOp`] and the MMU mode (0 to 7) that translates it: `memop << 3 | mmu_idx`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MemOpIdx(pub u16);

impl MemOpIdx {
    pub const fn new(mem: MemOp, mmu_idx: u8) -> Self {
        Self((mem.0 as u16) << 3 | (mmu_idx & 7) as u16)
    }
    pub const fn mem(self) -> MemOp {
        MemOp((self.0 >> 3) as u8)
    }
    pub const fn mmu_idx(self) -> usize {
        (self.0 & 7) as usize
    }
}

/// Atomic read-modify-write operations.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RmwOp {
    Xchg,
    Add,
    And,
    Or,
    Xor,
    Smin,
    Smax,
    Umin,
    Umax,
}

/// Memory barriers. One strength (sequentially consistent) is enough for hosts of today.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Barrier {
    Full,
    /// Orders nothing between host threads; kept for printing.
    Compiler,
}

/// Why `exit_tb` leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TbExit {
    /// Exit `slot` (0 or 1), to be linked to its successor: the pc global is up to date.
    Slot(u8),
    /// Back to the execution loop: state that decides about interrupts or translation changed.
    Main,
    /// A guest exception is pending in the CPU state (raised by the op before).
    Exception,
}

/// Index into the guest's table of [`HelperInfo`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HelperId(pub u16);

/// One row of a guest's helper table: a typed function that generated code calls.
///
/// Every helper is an `extern "C" fn(&mut Cpu, u64 × nargs) -> u64` (nargs 0 to 4); one without
/// a result returns 0. So there are five wasm signatures, and none can be wrong.
#[derive(Clone, Copy, Debug)]
pub struct HelperInfo {
    pub name: &'static str,
    /// The function's address, as a number that only back ends turn into a call.
    pub function: usize,
    pub nargs: u8,
    pub flags: HelperFlags,
    /// What it computes, if that is floating point that may be done inline.
    pub float: Option<FloatHelper>,
}

/// What a helper may do, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HelperFlags(pub u8);

impl HelperFlags {
    /// Reads and writes globals, has side effects, does not raise. The careful default.
    pub const NONE: Self = Self(0);
    /// Result depends on the arguments alone; may be removed, reordered, folded together.
    pub const PURE: Self = Self(1);
    /// Neither reads nor writes slots (it may touch other CPU state, such as fflags).
    pub const NO_GLOBALS: Self = Self(2);
    /// Reads slots but does not write them.
    pub const NO_WRITE_GLOBALS: Self = Self(4);
    /// May leave an exception in `CpuState::exception`; checked after the call.
    pub const MAY_RAISE: Self = Self(8);

    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
    /// Slots may have changed after the call.
    pub const fn writes_globals(self) -> bool {
        !self.has(
            Self::PURE
                .with(Self::NO_GLOBALS)
                .with(Self::NO_WRITE_GLOBALS),
        )
    }
    /// The call may look at slots. If it may raise, everybody may after it.
    pub const fn reads_globals(self) -> bool {
        !self.has(Self::PURE.with(Self::NO_GLOBALS)) || self.has(Self::MAY_RAISE)
    }
}

/// Flags of an op in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpFlags(pub u16);

impl OpFlags {
    pub const NONE: Self = Self(0);
    /// Ends a basic block unconditionally.
    pub const BB_END: Self = Self(1);
    /// Starts one.
    pub const BB_START: Self = Self(2);
    /// Branches or falls through.
    pub const COND_BRANCH: Self = Self(4);
    /// May leave the block with an exception: all globals must be stored, none may be dead.
    pub const MAY_FAULT: Self = Self(8);
    /// Must not be removed.
    pub const SIDE_EFFECT: Self = Self(16);
    pub const READS_STATE: Self = Self(32);
    pub const WRITES_STATE: Self = Self(64);
    /// Reads all globals.
    pub const READS_ALL: Self = Self(128);
    /// Effects are those of the helper.
    pub const CALL: Self = Self(256);

    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

macro_rules! define_ops {
    ($($name:ident = $variant:ident {
        $($out:ident),* <- $($inp:ident),* ; $($imm:ident : $imm_ty:ty),*
    } [$($flag:ident),*];)*) => {
        /// An op with its operands. `Call` uses as many of `a0..a3` as its helper has arguments
        /// (the rest are [`Temp`] `u16::MAX`), and `d` is `u16::MAX` when the result is unused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum OpKind {
            $($variant { $($out: Temp,)* $($inp: Temp,)* $($imm: $imm_ty,)* },)*
        }

        impl OpKind {
            /// The op's name, as `-d op` prints it.
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$variant { .. } => stringify!($name),)* }
            }

            /// Its flags.
            pub const fn flags(&self) -> OpFlags {
                match self {
                    $(Self::$variant { .. } => OpFlags::NONE$(.with(OpFlags::$flag))*,)*
                }
            }

            /// Calls `f` on every output temp (`u16::MAX` placeholders left out).
            #[allow(unused_variables, unused_mut)]
            pub fn outputs(&mut self, mut f: impl FnMut(&mut Temp)) {
                match self {
                    $(Self::$variant { $($out,)* .. } => {
                        $(if $out.0 != u16::MAX { f($out) })*
                    })*
                }
            }

            /// Calls `f` on every input temp (`u16::MAX` placeholders left out).
            #[allow(unused_variables, unused_mut)]
            pub fn inputs(&mut self, mut f: impl FnMut(&mut Temp)) {
                match self {
                    $(Self::$variant { $($inp,)* .. } => {
                        $(if $inp.0 != u16::MAX { f($inp) })*
                    })*
                }
            }
        }

        /// One method per op; back ends implement it, and the compiler lists what is missing.
        pub trait OpVisitor {
            type Output;
            $(
                #[allow(clippy::too_many_arguments)]
                fn $name(&mut self, ty: Type $(, $out: Temp)* $(, $inp: Temp)* $(, $imm: $imm_ty)*)
                    -> Self::Output;
            )*
        }

        impl Op {
            /// Calls the visitor's method for this op.
            pub fn visit<V: OpVisitor>(&self, visitor: &mut V) -> V::Output {
                match self.kind {
                    $(OpKind::$variant { $($out,)* $($inp,)* $($imm,)* } => {
                        visitor.$name(self.ty $(, $out)* $(, $inp)* $(, $imm)*)
                    })*
                }
            }
        }
    };
}

/// An op and the type that it works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Op {
    pub kind: OpKind,
    pub ty: Type,
}

for_each_op!(define_ops);
