//! Why a machine cannot be built, in sentences for the user.

use hw::core::loader::LoadError;
use hw::virtio::drivers::DeviceError;

/// A configuration that makes no machine.
#[derive(Debug, thiserror::Error)]
pub enum BoardError {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("-smp {asked}: the machine virt has 1 to {max} harts")]
    Harts { asked: usize, max: usize },
    #[error("-m: {0} bytes of RAM are not a size that the machine virt can have")]
    RamSize(u64),
    #[error("-serial: the machine virt has one serial port, not {0}")]
    Serials(usize),
    #[error("{0} is only allowed with the option -kernel")]
    NeedsKernel(&'static str),
    #[error(
        "-m: {ram} bytes of RAM leave no room for the device tree after firmware, kernel and initrd"
    )]
    NoRoomForDeviceTree { ram: u64 },
    #[error("the device tree cannot be written: {0}")]
    DeviceTree(#[from] vm_fdt::Error),
    #[error("no random bytes can be had: {0}")]
    Entropy(std::io::Error),
    #[error(transparent)]
    Device(#[from] DeviceError),
}
