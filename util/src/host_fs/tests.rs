//! The checks of `cases.rs` on the native back end.
