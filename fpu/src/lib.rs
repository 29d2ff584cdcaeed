//! Bit-exact software floating point: IEEE 754-2019 binary16, binary32, binary64 and bfloat16.
//!
//! Guest-neutral: what the standard leaves open (clauses 6.2.3 NaN propagation, 7.5 tininess,
//! 5.8 out-of-range integer conversion, subnormal flushing) is a field of [`Status`], and
//! [`Status::riscv`] is the choice of the RISC-V unprivileged manual, chapters "F", "Zfh", "Zfa".
//! Values are passed as their encodings (clause 3.4); nothing here knows of NaN boxing.
//!
//! | clause | here |
//! |---|---|
//! | 4.3 rounding attributes | [`RoundingMode`] |
//! | 5.4.1 add, sub, mul, div, sqrt, fma | `f64_add` ... `f64_fma` |
//! | 5.3.1, 5.9 roundToIntegral | `f64_round_to_int` |
//! | 5.4.1, 5.8 to and from integers | `f64_to_i32`, `i32_to_f64`, ... |
//! | 5.4.2 between formats | `f32_to_f64`, ... |
//! | 5.6.1, 5.11 comparisons | `f64_eq_quiet`, `f64_lt_signaling`, `f64_compare`, ... |
//! | 5.7.2 class | `f64_classify` |
//! | 7 exceptions | [`Flags`] |
//! | 9.6 minimum, maximumNumber, ... | `f64_minimum`, `f64_maximum_number`, ... |
//!
//! **Architecture Invariant:** results and flags depend on the arguments alone, never on the host.
//! The host's own arithmetic is used (module `hard`) only where it provably gives the same bits:
//! mostly once inexact is sticky, so pass the guest's accumulated flags in, not cleared ones.
//!
//! Proof: `tests/oracle` (APFloat, exact squares), and `examples/ops_digest`, which prints the same
//! number on every host.
//!
//! Absent: x87's 80-bit and the 128-bit format, x86's denormal-operand flag, traps on exceptions.

mod api;
mod arith;
mod compare;
mod convert;
mod format;
mod hard;
mod nan;
mod status;

pub use api::*;
pub use status::{Flags, IntOverflow, NanRule, Relation, RoundingMode, Status};
