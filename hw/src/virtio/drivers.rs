//! `-device`: the drivers of the virtio bus, each a row, and the slots that they fill. What the
//! host gives to them (disks, shares, random bytes) they ask of a [`Host`].

mod properties;

use std::io;
use std::sync::Arc;

use include::{BlockBackend, CharBackend, FileSystem, TimerService};
use parking_lot::Mutex;
use util::coroutine::AioContext;

use super::virtio_bus::{COMMON_FEATURES, VirtioBus, VirtioDevice};
use super::virtio_rng::{RngConfig, VirtioRng};
use crate::block::virtio_blk::{BlkConfig, RANGE_SECTORS_MAX, VirtioBlk};
use crate::char::virtio_console::{PORTS_DEFAULT, PortConfig, VirtioSerial};
use crate::ninep::virtio::Virtio9p;
use properties::{BLK, NINE_P, OF_ALL, PORT, Property, RNG, SERIAL};

/// One `-device driver,name=value,...`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceOption {
    /// The first word.
    pub driver: String,
    /// The others.
    pub properties: Vec<(String, String)>,
}

/// What the host has for devices, by the ids of its options. Each can be taken once.
pub trait Host: Send + Sync {
    /// `drive=`: a `-drive` or a `-blockdev`.
    fn drive(&self, id: &str) -> Result<Arc<dyn BlockBackend>, String>;
    /// `chardev=`.
    fn chardev(&self, id: &str) -> Result<Arc<dyn CharBackend>, String>;
    /// `fsdev=`.
    fn share(&self, id: &str) -> Result<Arc<dyn FileSystem>, String>;
    /// Fills the buffer with random bytes, or says what failed.
    fn random(&self, buf: &mut [u8]) -> io::Result<()>;
    /// Where requests that wait for the host run.
    fn context(&self) -> Arc<AioContext>;
    fn timers(&self) -> Arc<dyn TimerService>;
}

/// What is wrong with a `-device`.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    #[error("-device {driver}: this device is not there yet; there are {known}")]
    NoDriver { driver: String, known: String },
    #[error("-device {driver}: the property {property} is not there yet")]
    NoProperty { driver: String, property: String },
    #[error("-device {driver}: the property {property} is missing")]
    Missing {
        driver: String,
        property: &'static str,
    },
    #[error("-device {driver}: {property}={value} is not {expected}")]
    BadValue {
        driver: String,
        property: String,
        value: String,
        expected: &'static str,
    },
    #[error("-device {driver}: {reason}")]
    Refused { driver: String, reason: String },
    #[error("-device {driver}: all {slots} virtio slots are taken")]
    SlotsTaken { driver: String, slots: usize },
    #[error("-device {driver}: {bus} has a device already")]
    BusTaken { driver: String, bus: String },
    #[error("-device {driver}: there is another device with the id {id}")]
    DuplicateId { driver: String, id: String },
}

type Made = Result<Box<dyn VirtioDevice>, DeviceError>;

/// What makes a device out of its properties; it takes those that it knows.
type Create = fn(&mut Properties<'_>, &Arc<dyn Host>) -> Made;

/// What a driver's name stands for.
#[derive(Clone, Copy)]
enum Driver {
    /// A device of the virtio bus.
    Device(Create),
    /// A device of the virtio bus with ports.
    Serial,
    /// A port of the last one.
    Port { is_console: bool },
}

/// The drivers that `-device` knows, and their properties.
const DRIVERS: &[(&str, Driver, &[Property])] = &[
    ("virtconsole", Driver::Port { is_console: true }, PORT),
    ("virtio-9p-device", Driver::Device(create_9p), NINE_P),
    ("virtio-blk-device", Driver::Device(create_blk), BLK),
    ("virtio-rng-device", Driver::Device(create_rng), RNG),
    ("virtio-serial-device", Driver::Serial, SERIAL),
    ("virtserialport", Driver::Port { is_console: false }, PORT),
];

/// The drivers by name, for `-device help`.
pub fn drivers() -> impl Iterator<Item = &'static str> {
    DRIVERS.iter().map(|(name, ..)| *name)
}

/// The properties of a driver, for `-device DRIVER,help`, if there is one.
pub fn driver_help(name: &str) -> Option<String> {
    let (name, driver, properties) = find(name).ok()?;
    let on_bus = !matches!(driver, Driver::Port { .. });
    Some(properties::list(name, properties, on_bus))
}

fn find(name: &str) -> Result<&'static (&'static str, Driver, &'static [Property]), DeviceError> {
    let known = DRIVERS.iter().find(|(known, ..)| *known == name);
    known.ok_or_else(|| no_driver(name))
}

/// Makes all devices and plugs them in, as QEMU does: into the bus that `bus=` names, else into
/// the free slot with the highest address.
pub fn plug_all(
    options: &[DeviceOption],
    slots: &[Arc<Mutex<VirtioBus>>],
    host: &Arc<dyn Host>,
) -> Result<(), DeviceError> {
    let mut plugger = Plugger {
        host,
        slots,
        free: vec![true; slots.len()],
        ids: Vec::new(),
        serials: Vec::new(),
    };
    options.iter().try_for_each(|option| plugger.add(option))?;
    plugger.plug_serials();
    Ok(())
}

/// A device that gets ports, which later options may name.
struct Serial {
    /// The name of its bus.
    bus: String,
    slot: usize,
    /// Of [`COMMON_FEATURES`].
    common: u64,
    device: Box<VirtioSerial>,
}

/// Goes through the options in order.
struct Plugger<'a> {
    host: &'a Arc<dyn Host>,
    slots: &'a [Arc<Mutex<VirtioBus>>],
    /// Slots that no device has yet.
    free: Vec<bool>,
    ids: Vec<String>,
    serials: Vec<Serial>,
}

impl Plugger<'_> {
    fn add(&mut self, option: &DeviceOption) -> Result<(), DeviceError> {
        let (_, driver, known) = find(&option.driver)?;
        let mut properties = Properties::new(option, known);
        let id = properties.id(&mut self.ids)?;
        match driver {
            Driver::Device(create) => self.add_device(*create, properties),
            Driver::Serial => self.add_serial(id, properties),
            Driver::Port { is_console } => self.add_port(*is_console, properties),
        }
    }

    fn add_device(
        &mut self,
        create: Create,
        mut properties: Properties<'_>,
    ) -> Result<(), DeviceError> {
        let slot = properties.slot(&self.free)?;
        let common = properties.common_features()?;
        let device = create(&mut properties, self.host)?;
        properties.finish()?;
        self.free[slot] = false;
        self.plug(slot, device, common);
        Ok(())
    }

    fn plug(&self, slot: usize, device: Box<dyn VirtioDevice>, common: u64) {
        let plugged = VirtioBus::plug_with(&self.slots[slot], device, common);
        assert!(plugged.is_ok(), "a free slot had a device");
    }

    fn add_serial(
        &mut self,
        id: Option<&str>,
        mut properties: Properties<'_>,
    ) -> Result<(), DeviceError> {
        const PORTS: &str = "a number from 1 to 511";
        let slot = properties.slot(&self.free)?;
        let common = properties.common_features()?;
        let max_ports = properties.number("max_ports", 1..=511, PORTS)?;
        let max_ports = max_ports.map_or(PORTS_DEFAULT, |count| count as u32);
        let device = VirtioSerial::new(max_ports, self.host.timers());
        let device = device.map_err(|reason| properties.refused(reason))?;
        properties.finish()?;
        self.free[slot] = false;
        let bus = match id {
            Some(id) => format!("{id}.0"),
            None => format!("virtio-serial-bus.{}", self.serials.len()),
        };
        self.serials.push(Serial {
            bus,
            slot,
            common,
            device,
        });
        Ok(())
    }

    fn add_port(
        &mut self,
        is_console: bool,
        mut properties: Properties<'_>,
    ) -> Result<(), DeviceError> {
        let backend = properties.take("chardev").map(|id| self.host.chardev(id));
        let backend = backend.transpose();
        let config = PortConfig {
            is_console,
            nr: properties
                .number("nr", 0..=510, "a number from 0 to 510")?
                .map(|nr| nr as u32),
            name: properties.take("name").map(str::to_string),
            backend: backend.map_err(|reason| properties.refused(reason))?,
        };
        let serial = self.serial_of(&mut properties)?;
        let added = serial.device.add_port(config);
        added.map_err(|reason| properties.refused(reason))?;
        properties.finish()
    }

    /// The device for a port: the one that `bus=` names, or the first with room.
    fn serial_of(&mut self, properties: &mut Properties<'_>) -> Result<&mut Serial, DeviceError> {
        const BUS: &str = "the bus of a virtio-serial-device before it (id.0)";
        let found = match properties.take("bus") {
            Some(bus) => {
                let found = self.serials.iter().position(|serial| serial.bus == bus);
                Some(found.ok_or_else(|| properties.bad_value("bus", bus, BUS))?)
            }
            None => {
                let mut serials = self.serials.iter();
                serials.position(|serial| !serial.device.is_full())
            }
        };
        let none =
            || properties.refused("there is no virtio-serial-device with room for it".into());
        found
            .and_then(|index| self.serials.get_mut(index))
            .ok_or_else(none)
    }

    fn plug_serials(&mut self) {
        for serial in std::mem::take(&mut self.serials) {
            self.plug(serial.slot, serial.device, serial.common);
        }
    }
}

fn no_driver(driver: &str) -> DeviceError {
    let known: Vec<&str> = drivers().collect();
    DeviceError::NoDriver {
        driver: driver.into(),
        known: known.join(", "),
    }
}

fn create_rng(properties: &mut Properties<'_>, host: &Arc<dyn Host>) -> Made {
    const MAX_BYTES: &str = "a number from 1 to 9223372036854775807";
    const PERIOD: &str = "a number of milliseconds from 1 to 4294967295";
    // The caller knows which source it is.
    properties.take("rng");
    let config = RngConfig {
        max_bytes: properties
            .number("max-bytes", 1..=i64::MAX as u64, MAX_BYTES)?
            .unwrap_or(i64::MAX as u64),
        period_ms: properties
            .number("period", 1..=u32::MAX.into(), PERIOD)?
            .map_or(0x1_0000, |period| period as u32),
    };
    let (timers, host) = (host.timers(), host.clone());
    Ok(VirtioRng::new(
        config,
        Box::new(move |buf| host.random(buf)),
        timers,
    ))
}

fn create_9p(properties: &mut Properties<'_>, host: &Arc<dyn Host>) -> Made {
    let tag = properties.required("mount_tag")?;
    let share = host.share(properties.required("fsdev")?);
    let share = share.map_err(|reason| properties.refused(reason))?;
    let device = Virtio9p::new(tag, share, host.context());
    match device {
        Ok(device) => Ok(device),
        Err(reason) => Err(properties.refused(reason)),
    }
}

fn create_blk(properties: &mut Properties<'_>, host: &Arc<dyn Host>) -> Made {
    const SECTORS: &str = "a number of sectors from 1 to 4194303";
    const BLOCK: &str = "a power of two from 512 to 32768";
    const IO_SIZE: &str = "a multiple of the block size below 32 MiB";
    let default = BlkConfig::default();
    let backend = host.drive(properties.required("drive")?);
    let backend = backend.map_err(|reason| properties.refused(reason))?;
    let sectors = 1..=u64::from(RANGE_SECTORS_MAX);
    let logical = properties.power("logical_block_size", 512..=32768, BLOCK)?;
    let logical = logical.unwrap_or(512);
    let physical = properties.power("physical_block_size", logical..=32768, BLOCK)?;
    let mut io_size = |name| properties.number(name, 0..=(32 << 20) - 1, IO_SIZE);
    let (min_io_size, opt_io_size) = (io_size("min_io_size")?, io_size("opt_io_size")?);
    let config = BlkConfig {
        serial: properties.take("serial").unwrap_or_default().into(),
        queues: properties
            .number("num-queues", 1..=1024, "a number from 1 to 1024")?
            .map_or(default.queues, |queues| queues as u16),
        queue_size: properties
            .power("queue-size", 4..=1024, "a power of two from 4 to 1024")?
            .map_or(default.queue_size, |size| size as u16),
        seg_max_adjust: properties.switch("seg-max-adjust")?.unwrap_or(true),
        config_wce: properties.switch("config-wce")?.unwrap_or(true),
        discard: properties.switch("discard")?.unwrap_or(true),
        write_zeroes: properties.switch("write-zeroes")?.unwrap_or(true),
        max_discard_sectors: properties
            .number("max-discard-sectors", sectors.clone(), SECTORS)?
            .map_or(default.max_discard_sectors, |sectors| sectors as u32),
        max_write_zeroes_sectors: properties
            .number("max-write-zeroes-sectors", sectors, SECTORS)?
            .map_or(default.max_write_zeroes_sectors, |sectors| sectors as u32),
        logical_block_size: logical as u32,
        physical_block_size: physical.unwrap_or(logical) as u32,
        min_io_size: min_io_size.unwrap_or(0) as u32,
        opt_io_size: opt_io_size.unwrap_or(0) as u32,
    };
    refuse_without_meaning(properties)?;
    if let Some(on) = properties.switch("write-cache")? {
        backend.set_writeback(on);
    }
    Ok(VirtioBlk::new(config, backend))
}

/// Properties of QEMU's disks that nothing here could follow.
fn refuse_without_meaning(properties: &mut Properties<'_>) -> Result<(), DeviceError> {
    if properties.take("bootindex").is_some() {
        let reason = "no firmware of this machine looks for 'bootindex'";
        return Err(properties.refused(reason.into()));
    }
    if properties.switch("request-merging")? == Some(true) {
        let reason = "requests are never merged, so request-merging can only be off";
        return Err(properties.refused(reason.into()));
    }
    Ok(())
}

/// The properties of a `-device` that nobody took yet.
struct Properties<'a> {
    driver: &'a str,
    known: &'static [Property],
    left: Vec<(&'a str, &'a str)>,
}

impl<'a> Properties<'a> {
    fn new(option: &'a DeviceOption, known: &'static [Property]) -> Self {
        let pairs = option.properties.iter();
        let left = pairs
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        Self {
            driver: &option.driver,
            known,
            left,
        }
    }

    /// The last value of `name`.
    fn take(&mut self, name: &str) -> Option<&'a str> {
        debug_assert!(self.is_listed(name), "{} has no {name}", self.driver);
        let value = self.left.iter().rev().find(|(found, _)| *found == name)?.1;
        self.left.retain(|(found, _)| *found != name);
        Some(value)
    }

    fn is_listed(&self, name: &str) -> bool {
        let common = COMMON_FEATURES.iter().any(|(common, ..)| *common == name);
        common || OF_ALL.contains(&name) || self.known.iter().any(|(known, ..)| *known == name)
    }

    fn required(&mut self, property: &'static str) -> Result<&'a str, DeviceError> {
        let value = self.take(property);
        value.ok_or_else(|| DeviceError::Missing {
            driver: self.driver.into(),
            property,
        })
    }

    fn refused(&self, reason: String) -> DeviceError {
        DeviceError::Refused {
            driver: self.driver.into(),
            reason,
        }
    }

    fn bad_value(&self, property: &str, value: &str, expected: &'static str) -> DeviceError {
        let (driver, property) = (self.driver.into(), property.into());
        DeviceError::BadValue {
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
    ) -> Result<Option<u64>, DeviceError> {
        self.number_that(name, expected, |number| range.contains(&number))
    }

    /// A power of two.
    fn power(
        &mut self,
        name: &str,
        range: std::ops::RangeInclusive<u64>,
        expected: &'static str,
    ) -> Result<Option<u64>, DeviceError> {
        self.number_that(name, expected, |number| {
            range.contains(&number) && number.is_power_of_two()
        })
    }

    fn number_that(
        &mut self,
        name: &str,
        expected: &'static str,
        fits: impl Fn(u64) -> bool,
    ) -> Result<Option<u64>, DeviceError> {
        let Some(text) = self.take(name) else {
            return Ok(None);
        };
        match util::cutils::parse_u64(text).filter(|number| fits(*number)) {
            Some(number) => Ok(Some(number)),
            None => Err(self.bad_value(name, text, expected)),
        }
    }

    fn switch(&mut self, name: &str) -> Result<Option<bool>, DeviceError> {
        let Some(text) = self.take(name) else {
            return Ok(None);
        };
        let parsed = util::keyval::parse_switch(name, text);
        parsed
            .map(Some)
            .map_err(|_| self.bad_value(name, text, "on or off"))
    }

    /// Those of [`COMMON_FEATURES`] that shall be offered.
    fn common_features(&mut self) -> Result<u64, DeviceError> {
        let mut features = 0;
        for (name, bit, default) in COMMON_FEATURES {
            if self.switch(name)?.unwrap_or(*default) {
                features |= bit;
            }
        }
        Ok(features)
    }

    /// Notes `id=`, which no two devices may share.
    fn id(&mut self, ids: &mut Vec<String>) -> Result<Option<&'a str>, DeviceError> {
        let Some(id) = self.take("id") else {
            return Ok(None);
        };
        if ids.iter().any(|other| other == id) {
            return Err(DeviceError::DuplicateId {
                driver: self.driver.into(),
                id: id.into(),
            });
        }
        ids.push(id.into());
        Ok(Some(id))
    }

    /// The slot for the device: `bus=virtio-mmio-bus.N`, or a free one.
    fn slot(&mut self, free: &[bool]) -> Result<usize, DeviceError> {
        let Some(bus) = self.take("bus") else {
            let taken = DeviceError::SlotsTaken {
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
            Some(_) => Err(DeviceError::BusTaken {
                driver: self.driver.into(),
                bus: bus.into(),
            }),
            None => Err(self.bad_value("bus", bus, "virtio-mmio-bus.0 to virtio-mmio-bus.7")),
        }
    }

    /// Refuses what nobody took.
    fn finish(self) -> Result<(), DeviceError> {
        match self.left.first() {
            None => Ok(()),
            Some((property, _)) => {
                let (driver, property) = (self.driver.into(), (*property).into());
                Err(DeviceError::NoProperty { driver, property })
            }
        }
    }
}
