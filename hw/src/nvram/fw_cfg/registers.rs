//! Registers, keys and structures of QEMU's firmware configuration device, by its
//! `docs/specs/fw_cfg`. Everything in it is big-endian, except the numbers that items hold.

/// Data of the selected item, 1 to 8 bytes at a time.
pub const DATA: u64 = 0;
/// Which item; 16 bits wide, write-only.
pub const SELECTOR: u64 = 8;
/// Address of a [`DmaAccess`]: upper half, then lower half, which starts the transfer.
pub const DMA: u64 = 16;
/// Bytes in the window.
pub const SIZE: u64 = 24;

/// What the data register and the DMA register say they are.
pub const SIGNATURE: &[u8; 4] = b"QEMU";
pub const DMA_SIGNATURE: &[u8; 8] = b"QEMU CFG";

/// Bits of the item [`keys::ID`].
pub mod id {
    pub const TRADITIONAL: u32 = 1 << 0;
    pub const DMA: u32 = 1 << 1;
}

/// Well-known items.
pub mod keys {
    pub const SIGNATURE: u16 = 0x00;
    pub const ID: u16 = 0x01;
    pub const UUID: u16 = 0x02;
    pub const RAM_SIZE: u16 = 0x03;
    pub const NOGRAPHIC: u16 = 0x04;
    pub const NB_CPUS: u16 = 0x05;
    pub const MACHINE_ID: u16 = 0x06;
    pub const KERNEL_ADDR: u16 = 0x07;
    pub const KERNEL_SIZE: u16 = 0x08;
    pub const KERNEL_CMDLINE: u16 = 0x09;
    pub const INITRD_ADDR: u16 = 0x0a;
    pub const INITRD_SIZE: u16 = 0x0b;
    pub const BOOT_DEVICE: u16 = 0x0c;
    pub const NUMA: u16 = 0x0d;
    pub const BOOT_MENU: u16 = 0x0e;
    pub const MAX_CPUS: u16 = 0x0f;
    pub const KERNEL_ENTRY: u16 = 0x10;
    pub const KERNEL_DATA: u16 = 0x11;
    pub const INITRD_DATA: u16 = 0x12;
    pub const CMDLINE_ADDR: u16 = 0x13;
    pub const CMDLINE_SIZE: u16 = 0x14;
    pub const CMDLINE_DATA: u16 = 0x15;
    pub const SETUP_ADDR: u16 = 0x16;
    pub const SETUP_SIZE: u16 = 0x17;
    pub const SETUP_DATA: u16 = 0x18;
    pub const FILE_DIR: u16 = 0x19;
    /// Files of the directory have the keys from here on.
    pub const FILE_FIRST: u16 = 0x20;
}

/// How many files there can be.
pub const FILE_SLOTS: usize = 0x20;
/// Bytes of a file's name in the directory, with its closing NUL.
pub const FILE_NAME_LENGTH: usize = 56;

/// Bits of `control` in a [`DmaAccess`]; the key is in the upper half.
pub mod control {
    pub const ERROR: u32 = 1 << 0;
    pub const READ: u32 = 1 << 1;
    pub const SKIP: u32 = 1 << 2;
    pub const SELECT: u32 = 1 << 3;
    pub const WRITE: u32 = 1 << 4;
}

/// What the guest puts in RAM to describe a transfer.
pub struct DmaAccess {
    pub control: u32,
    pub length: u32,
    pub address: u64,
}

impl DmaAccess {
    pub const SIZE: usize = 16;

    pub fn parse(bytes: &[u8; Self::SIZE]) -> Self {
        let whole = u128::from_be_bytes(*bytes);
        Self {
            control: (whole >> 96) as u32,
            length: (whole >> 64) as u32,
            address: whole as u64,
        }
    }
}
