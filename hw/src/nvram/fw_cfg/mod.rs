//! QEMU's firmware configuration device with its MMIO window (`docs/specs/fw_cfg`).
//!
//! The board adds items; the guest selects one and reads it through the data register or by DMA.
//! Items cannot be written by the guest: such a transfer ends with the error bit.

mod registers;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use include::{AccessSize, AddressSpace, BusError, MmioDevice, PhysAddr};
use parking_lot::Mutex;

use crate::core::log_guest_error;
use registers::{
    DATA, DMA, DMA_SIGNATURE, DmaAccess, FILE_NAME_LENGTH, FILE_SLOTS, SELECTOR, SIGNATURE,
    control, id,
};

pub use registers::{SIZE as FW_CFG_SIZE, keys};

/// Bytes that a transfer past the end of an item clears in one go.
const ZEROS: [u8; 4096] = [0; 4096];

/// An item that cannot be added.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FwCfgError {
    #[error("fw_cfg: a file named {0} is there already")]
    Exists(String),
    #[error("fw_cfg: the name {0} is longer than 55 bytes")]
    NameTooLong(String),
    #[error("fw_cfg: no room for the file {0}")]
    Full(String),
}

/// fw_cfg. Window: [`FW_CFG_SIZE`] bytes.
pub struct FwCfg {
    memory: Arc<dyn AddressSpace>,
    items: BTreeMap<u16, Arc<Vec<u8>>>,
    /// In order of names, as the directory lists them; the position makes the key.
    files: BTreeMap<String, Arc<Vec<u8>>>,
    selected: Arc<Vec<u8>>,
    position: usize,
    dma_address_high: u32,
}

impl FwCfg {
    pub fn new(memory: Arc<dyn AddressSpace>) -> Arc<Mutex<Self>> {
        let mut fw_cfg = Self {
            memory,
            items: BTreeMap::new(),
            files: BTreeMap::new(),
            selected: Arc::default(),
            position: 0,
            dma_address_high: 0,
        };
        fw_cfg.add_bytes(keys::SIGNATURE, SIGNATURE.to_vec());
        fw_cfg.add_u32(keys::ID, id::TRADITIONAL | id::DMA);
        fw_cfg.reset();
        Arc::new(Mutex::new(fw_cfg))
    }

    /// Sets the item with a well-known number (see [`keys`]), replacing what it was.
    pub fn add_bytes(&mut self, key: u16, data: Vec<u8>) {
        assert!(
            key < keys::FILE_FIRST && key != keys::FILE_DIR,
            "fw_cfg: key {key:#x} is taken"
        );
        self.items.insert(key, Arc::new(data));
    }

    /// A little-endian number.
    pub fn add_u16(&mut self, key: u16, value: u16) {
        self.add_bytes(key, value.to_le_bytes().into());
    }

    /// A little-endian number.
    pub fn add_u32(&mut self, key: u16, value: u32) {
        self.add_bytes(key, value.to_le_bytes().into());
    }

    /// A little-endian number.
    pub fn add_u64(&mut self, key: u16, value: u64) {
        self.add_bytes(key, value.to_le_bytes().into());
    }

    /// A string with its closing NUL.
    pub fn add_string(&mut self, key: u16, value: &str) {
        self.add_bytes(key, [value.as_bytes(), b"\0"].concat());
    }

    /// A file in the directory, such as `etc/boot-fail-wait`, before the machine runs.
    pub fn add_file(&mut self, name: &str, data: Vec<u8>) -> Result<(), FwCfgError> {
        if name.len() >= FILE_NAME_LENGTH {
            return Err(FwCfgError::NameTooLong(name.into()));
        }
        if self.files.contains_key(name) {
            return Err(FwCfgError::Exists(name.into()));
        }
        if self.files.len() == FILE_SLOTS {
            return Err(FwCfgError::Full(name.into()));
        }
        self.files.insert(name.into(), Arc::new(data));
        Ok(())
    }

    fn directory(&self) -> Vec<u8> {
        let mut bytes = Vec::from((self.files.len() as u32).to_be_bytes());
        for (key, (name, data)) in (keys::FILE_FIRST..).zip(&self.files) {
            bytes.extend((data.len() as u32).to_be_bytes());
            bytes.extend(key.to_be_bytes());
            bytes.extend([0, 0]);
            bytes.extend(name.as_bytes());
            bytes.extend(&ZEROS[..FILE_NAME_LENGTH - name.len()]);
        }
        bytes
    }

    /// An item that is not there reads as zeros, as an empty one does.
    fn select(&mut self, key: u16) {
        self.position = 0;
        self.selected = match key {
            keys::FILE_DIR => Arc::new(self.directory()),
            ..keys::FILE_FIRST => self.items.get(&key).cloned().unwrap_or_default(),
            _ => {
                let index = usize::from(key - keys::FILE_FIRST);
                self.files.values().nth(index).cloned().unwrap_or_default()
            }
        };
    }

    fn rest(&self) -> &[u8] {
        self.selected.get(self.position..).unwrap_or_default()
    }

    fn skip(&mut self, bytes: usize) {
        self.position = self.position.saturating_add(bytes).min(self.selected.len());
    }

    /// The next bytes of the item as they shall lie in guest memory.
    fn read_data(&mut self, size: AccessSize) -> u64 {
        let mut bytes = [0; 8];
        let wanted = size.bytes() as usize;
        let there = self.rest().len().min(wanted);
        bytes[..there].copy_from_slice(&self.rest()[..there]);
        self.skip(wanted);
        u64::from_le_bytes(bytes)
    }

    fn write_dma(&mut self, offset: u64, size: AccessSize, value: u64) {
        match (offset - DMA, size) {
            (0, AccessSize::Word) => self.dma_address_high = (value as u32).swap_bytes(),
            (4, AccessSize::Word) => {
                let high = u64::from(std::mem::take(&mut self.dma_address_high));
                self.transfer(PhysAddr(
                    high << 32 | u64::from((value as u32).swap_bytes()),
                ));
            }
            (0, AccessSize::Double) => self.transfer(PhysAddr(value.swap_bytes())),
            _ => log_guest_error!("fw_cfg: DMA address written in parts of {size:?}"),
        }
    }

    /// Does what the structure at `at` says, and puts the outcome into its control word.
    fn transfer(&mut self, at: PhysAddr) {
        let mut bytes = [0; DmaAccess::SIZE];
        if self.memory.read(at, &mut bytes).is_err() {
            log_guest_error!("fw_cfg: no DMA structure at {at}");
            return;
        }
        let access = DmaAccess::parse(&bytes);
        if access.control & control::SELECT != 0 {
            self.select((access.control >> 16) as u16);
        }
        let outcome = self.carry_out(&access);
        let status = if outcome.is_err() { control::ERROR } else { 0 };
        let told = self.memory.write(at, &status.to_be_bytes());
        if outcome.and(told).is_err() {
            log_guest_error!("fw_cfg: DMA of {:#x} at {at} failed", access.control);
        }
    }

    fn carry_out(&mut self, access: &DmaAccess) -> Result<(), BusError> {
        if access.control & control::READ != 0 {
            self.read_to_ram(PhysAddr(access.address), access.length)
        } else if access.control & control::WRITE != 0 {
            Err(BusError)
        } else {
            if access.control & control::SKIP != 0 {
                self.skip(access.length as usize);
            }
            Ok(())
        }
    }

    /// Copies the item, then zeros for what lies past its end.
    fn read_to_ram(&mut self, to: PhysAddr, length: u32) -> Result<(), BusError> {
        let wanted = length as usize;
        let there = self.rest().len().min(wanted);
        self.memory.write(to, &self.rest()[..there])?;
        self.skip(there);
        let mut done = there;
        while done < wanted {
            let chunk = ZEROS.len().min(wanted - done);
            self.memory.write(to.add(done as u64), &ZEROS[..chunk])?;
            done += chunk;
        }
        Ok(())
    }
}

impl MmioDevice for FwCfg {
    fn read(&mut self, offset: u64, size: AccessSize) -> u64 {
        match offset {
            DATA..SELECTOR => self.read_data(size),
            DMA.. => u64::from_le_bytes(*DMA_SIGNATURE) >> (8 * (offset - DMA)) & size.mask(),
            _ => 0,
        }
    }

    fn write(&mut self, offset: u64, size: AccessSize, value: u64) {
        match (offset, size) {
            (SELECTOR, AccessSize::Half) => self.select((value as u16).swap_bytes()),
            (DMA.., _) => self.write_dma(offset, size, value),
            _ => log_guest_error!("fw_cfg: write of {value:#x} to register {offset:#x}"),
        }
    }

    /// Items stay; the signature is selected.
    fn reset(&mut self) {
        self.dma_address_high = 0;
        self.select(keys::SIGNATURE);
    }
}
