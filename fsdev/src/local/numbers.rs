//! `multidevs=`: one number for each file of a share that may have several devices.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::options::MultiDevices;
use include::Errno;
use include::fsdev::Attr;

/// Bits of a file's number that stay when it is remapped.
const INO_BITS: u32 = 48;

pub struct Numbers {
    mode: MultiDevices,
    /// The shared folder's device.
    root: u64,
    /// The others, in the order of coming.
    devices: parking_lot::Mutex<Vec<u64>>,
    warned: AtomicBool,
}

impl Numbers {
    pub fn new(mode: MultiDevices, root: u64) -> Self {
        Self {
            mode,
            root,
            devices: parking_lot::Mutex::default(),
            warned: AtomicBool::new(false),
        }
    }

    /// The number that the guest sees.
    pub fn map(&self, dev: u64, ino: u64) -> Result<u64, Errno> {
        if dev == self.root {
            return Ok(ino);
        }
        match self.mode {
            MultiDevices::Forbid => Err(Errno::ENODEV),
            MultiDevices::Remap => Ok(self.remap(dev, ino)),
            MultiDevices::Warn => {
                if !self.warned.swap(true, Ordering::Relaxed) {
                    log::warn!(
                        "9p: the shared folder has files of several devices, which may have \
                         the same numbers; multidevs=remap keeps them apart"
                    );
                }
                Ok(ino)
            }
        }
    }

    /// Devices after the first in the top bits; what does not fit there is mixed up well.
    fn remap(&self, dev: u64, ino: u64) -> u64 {
        let mut devices = self.devices.lock();
        let known = devices.iter().position(|device| *device == dev);
        let index = known.unwrap_or_else(|| {
            if devices.len() < 1 << 14 {
                devices.push(dev);
            }
            devices.len()
        }) as u64;
        let fits = ino >> INO_BITS == 0 && index < 1 << 14;
        match fits {
            true => 1 << 62 | (index << INO_BITS) | ino,
            false => 1 << 63 | mix(dev.rotate_left(32) ^ mix(ino)) >> 1,
        }
    }

    /// Fills in the number of a file.
    pub fn number(&self, dev: u64, attr: &mut Attr) -> Result<(), Errno> {
        attr.id = self.map(dev, attr.id)?;
        Ok(())
    }
}

/// A one-to-one scramble (the finalizer of MurmurHash3).
fn mix(mut number: u64) -> u64 {
    number = (number ^ number >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    number = (number ^ number >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    number ^ number >> 33
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_kept_apart() {
        let numbers = Numbers::new(MultiDevices::Remap, 7);
        let mut seen = std::collections::HashSet::new();
        for dev in [7, 8, 9, 1 << 40] {
            for ino in [1, 2, (1 << 48) - 1] {
                assert!(seen.insert(numbers.map(dev, ino).unwrap()));
            }
        }
        for dev in [8, 9] {
            assert!(seen.insert(numbers.map(dev, u64::MAX - 5).unwrap()));
        }
        assert_eq!(numbers.map(8, 1), numbers.map(8, 1));
        assert_eq!(numbers.map(7, 5), Ok(5));
        let forbid = Numbers::new(MultiDevices::Forbid, 7);
        assert_eq!(
            (forbid.map(7, 1), forbid.map(8, 1)),
            (Ok(1), Err(Errno::ENODEV))
        );
        let warn = Numbers::new(MultiDevices::Warn, 7);
        assert_eq!(warn.map(8, 1), Ok(1));
    }
}
