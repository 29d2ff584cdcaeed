//! fw_cfg.
use include::{AccessSize, AddressSpace, MmioDevice};
use parking_lot::Mutex;
use std::sync::Arc;

/// fw_cfg with its MMIO window of [`FW_CFG_SIZE`] bytes.
pub struct FwCfg {}

/// Bytes in the window.
pub const FW_CFG_SIZE: u64 = 0x18;

/// An item that cannot be added.
#[derive(Debug, thiserror::Error)]
pub enum FwCfgError {
    #[error("fw_cfg: a file named {0} is there already")]
    Exists(String),
    #[error("fw_cfg: the name {0} is longer than 55 bytes")]
    NameTooLong(String),
    #[error("fw_cfg: no room for the file {0}")]
    Full(String),
}

impl FwCfg {
    pub fn new(_memory: Arc<dyn AddressSpace>) -> Arc<Mutex<Self>> {
        todo!()
    }
    /// Sets the item with a well-known number (see `keys`), replacing what it was.
    pub fn add_bytes(&mut self, _key: u16, _data: Vec<u8>) {
        todo!()
    }
    /// A little-endian number.
    pub fn add_u16(&mut self, _key: u16, _value: u16) {
        todo!()
    }
    /// A little-endian number.
    pub fn add_u32(&mut self, _key: u16, _value: u32) {
        todo!()
    }
    /// A little-endian number.
    pub fn add_u64(&mut self, _key: u16, _value: u64) {
        todo!()
    }
    /// A string with its closing NUL.
    pub fn add_string(&mut self, _key: u16, _value: &str) {
        todo!()
    }
    /// A file in the directory, such as `etc/boot-fail-wait`.
    pub fn add_file(&mut self, _name: &str, _data: Vec<u8>) -> Result<(), FwCfgError> {
        todo!()
    }
}

impl MmioDevice for FwCfg {
    fn read(&mut self, _offset: u64, _size: AccessSize) -> u64 {
        todo!()
    }
    fn write(&mut self, _offset: u64, _size: AccessSize, _value: u64) {
        todo!()
    }
    fn reset(&mut self) {
        todo!()
    }
}
