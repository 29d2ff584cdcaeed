//! Every operation against `rustc_apfloat` (LLVM's APFloat in Rust), square root against its
//! definition, and the host's arithmetic against the integer code.
//!
//! Cross products of special values cover the corners; random cases, made to cancel, to land
//! halfway and to underflow, cover the rest. `FPU_SEED` repeats a run, `FPU_CASES` sizes it.

mod arithmetic;
mod comparisons;
mod conversions;
mod formats;
mod policies;
mod random;
mod reference;
mod sqrt;
