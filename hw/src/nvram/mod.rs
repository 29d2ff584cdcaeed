//! Configuration memories.
pub mod fw_cfg;
