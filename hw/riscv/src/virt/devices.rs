//! `-device` on `virt`: drivers are rows, and each fills one virtio slot.

use std::sync::Arc;

use hw::virtio::virtio_bus::{VirtioBus, VirtioDevice};
use hw::virtio::virtio_rng::{RngConfig, VirtioRng};
use include::{CharBackend, CharFrontend};
use parking_lot::Mutex;

use super::config::{DeviceOption, MachineWiring};
use super::error::BoardError;

/// What makes a device out of its properties; it takes those that it knows.
type Create = fn(&mut Properties<'_>, &MachineWiring) -> Result<Box<dyn VirtioDevice>, BoardError>;

/// The drivers that `-device` knows.
const DRIVERS: &[(&str, Create)] = &[("virtio-rng-device", create_rng)];

/// The drivers by name, for `-device help`.
pub fn drivers() -> impl Iterator<Item = &'static str> {
    DRIVERS.iter().map(|(name, _)| *name)
}

/// Makes all devices and plugs them in, as QEMU does: into the bus that `bus=` names, else into
/// the free slot with the highest address.
pub fn plug_all(
    options: &[DeviceOption],
    slots: &[Arc<Mutex<VirtioBus>>],
    wiring: &MachineWiring,
) -> Result<(), BoardError> {
    let mut free: Vec<bool> = vec![true; slots.len()];
    let mut ids: Vec<String> = Vec::new();
    for option in options {
        let known = DRIVERS.iter().find(|(name, _)| *name == option.driver);
        let (_, create) = known.ok_or_else(|| no_driver(&option.driver))?;
        let mut properties = Properties::new(option);
        properties.id(&mut ids)?;
        let slot = properties.slot(&free)?;
        let device = create(&mut properties, wiring)?;
        properties.finish()?;
        free[slot] = false;
        let plugged = VirtioBus::plug(&slots[slot], device);
        assert!(plugged.is_ok(), "a free slot had a device");
    }
    Ok(())
}

fn no_driver(driver: &str) -> BoardError {
    let known: Vec<&str> = DRIVERS.iter().map(|(name, _)| *name).collect();
    BoardError::NoDriver {
        driver: driver.into(),
        known: known.join(", "),
    }
}

fn create_rng(
    properties: &mut Properties<'_>,
    wiring: &MachineWiring,
) -> Result<Box<dyn VirtioDevice>, BoardError> {
    const MAX_BYTES: &str = "a number from 1 to 9223372036854775807";
    const PERIOD: &str = "a number of milliseconds from 1 to 4294967295";
    let config = RngConfig {
        max_bytes: properties
            .number("max-bytes", 1..=i64::MAX as u64, MAX_BYTES)?
            .unwrap_or(i64::MAX as u64),
        period_ms: properties
            .number("period", 1..=u32::MAX.into(), PERIOD)?
            .map_or(0x1_0000, |period| period as u32),
    };
    let entropy = wiring.entropy.clone();
    Ok(VirtioRng::new(
        config,
        Box::new(move |buf| entropy(buf)),
        wiring.timers.clone(),
    ))
}

/// The properties of a `-device` that nobody took yet.
struct Properties<'a> {
    driver: &'a str,
    left: Vec<(&'a str, &'a str)>,
}

impl<'a> Properties<'a> {
    fn new(option: &'a DeviceOption) -> Self {
        let pairs = option.properties.iter();
        let left = pairs
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        Self {
            driver: &option.driver,
            left,
        }
    }

    /// The last value of `name`.
    fn take(&mut self, name: &str) -> Option<&'a str> {
        let value = self.left.iter().rev().find(|(found, _)| *found == name)?.1;
        self.left.retain(|(found, _)| *found != name);
        Some(value)
    }

    fn bad_value(&self, property: &str, value: &str, expected: &'static str) -> BoardError {
        let (driver, property) = (self.driver.into(), property.into());
        BoardError::BadValue {
            driver,
            property,
            value: value.into(),
            expected,
        }
    }

    /// A number, decimal or with 0x.
    fn number(
        &mut self,
        name: &str,
        range: std::ops::RangeInclusive<u64>,
        expected: &'static str,
    ) -> Result<Option<u64>, BoardError> {
        let Some(text) = self.take(name) else {
            return Ok(None);
        };
        let number = match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16),
            None => text.parse(),
        };
        match number.ok().filter(|number| range.contains(number)) {
            Some(number) => Ok(Some(number)),
            None => Err(self.bad_value(name, text, expected)),
        }
    }

    /// Notes `id=`, which no two devices may share.
    fn id(&mut self, ids: &mut Vec<String>) -> Result<(), BoardError> {
        let Some(id) = self.take("id") else {
            return Ok(());
        };
        if ids.iter().any(|other| other == id) {
            return Err(BoardError::DuplicateId {
                driver: self.driver.into(),
                id: id.into(),
            });
        }
        ids.push(id.into());
        Ok(())
    }

    /// The slot for the device: `bus=virtio-mmio-bus.N`, or a free one.
    fn slot(&mut self, free: &[bool]) -> Result<usize, BoardError> {
        let Some(bus) = self.take("bus") else {
            let taken = BoardError::SlotsTaken {
                driver: self.driver.into(),
                slots: free.len(),
            };
            return free.iter().rposition(|free| *free).ok_or(taken);
        };
        let number = bus
            .strip_prefix("virtio-mmio-bus.")
            .and_then(|n| n.parse::<usize>().ok());
        match number.and_then(|slot| Some((slot, *free.get(slot)?))) {
            Some((slot, true)) => Ok(slot),
            Some(_) => Err(BoardError::BusTaken {
                driver: self.driver.into(),
                bus: bus.into(),
            }),
            None => Err(self.bad_value("bus", bus, "virtio-mmio-bus.0 to virtio-mmio-bus.7")),
        }
    }

    /// Refuses what nobody took.
    fn finish(self) -> Result<(), BoardError> {
        match self.left.first() {
            None => Ok(()),
            Some((property, _)) => {
                let (driver, property) = (self.driver.into(), (*property).into());
                Err(BoardError::NoProperty { driver, property })
            }
        }
    }
}

/// `-serial none`: what the guest prints is lost.
pub struct NoBackend;

impl CharBackend for NoBackend {
    fn write(&self, _bytes: &[u8]) {}
    fn set_frontend(&self, _frontend: Arc<dyn CharFrontend>) {}
    fn accept_input(&self) {}
}
