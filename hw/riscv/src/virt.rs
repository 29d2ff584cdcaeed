//! x
pub mod memory_map;
