//! What the host gives to the machine's devices: disks, shared folders, random bytes. Opened from
//! the options, and asked for by the devices.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, OnceLock};

use block::Graph;
use block::options::{Drive, Interface};
use chardev::Chardevs;
use fsdev::options::FsdevOptions;
use hw::virtio::drivers::{DeviceOption, Host};
use include::{BlockBackend, CharBackend, FileSystem, TimerService};
use parking_lot::Mutex;
use util::coroutine::AioContext;
use util::timer::Timers;

use crate::entropy::{self, Entropy};
use crate::options::{Named, Options, Rng};

/// All back ends of a machine.
pub struct Backends {
    timers: Arc<Timers>,
    chardevs: Arc<Mutex<Chardevs>>,
    entropy: Entropy,
    /// Started when somebody needs it: a machine without disks and shares has no such thread.
    context: OnceLock<Arc<AioContext>>,
    graph: OnceLock<Graph>,
    drives: Mutex<HashMap<String, Arc<block::Backend>>>,
    shares: Mutex<HashMap<String, Arc<dyn FileSystem>>>,
}

impl Backends {
    /// Opens everything that the options name. Errors are sentences that name the option.
    pub fn open(
        options: &Options,
        timers: Arc<Timers>,
        chardevs: Arc<Mutex<Chardevs>>,
    ) -> Result<Arc<Self>, String> {
        let backends = Self {
            timers,
            chardevs,
            entropy: entropy_of(options)?,
            context: OnceLock::new(),
            graph: OnceLock::new(),
            drives: Mutex::default(),
            shares: Mutex::default(),
        };
        for blockdev in &options.blockdevs {
            let added = backends.graph().add(blockdev);
            added.map_err(|reason| format!("-blockdev {}: {reason}", blockdev.name))?;
        }
        for (number, drive) in options.drives.iter().enumerate() {
            backends.open_drive(&drive_id(drive, number), drive, options.snapshot)?;
        }
        let of_virtfs = options.virtfs.iter().map(|share| ("-virtfs", &share.fsdev));
        let of_fsdev = options.fsdevs.iter().map(|share| ("-fsdev", share));
        for (option, share) in of_fsdev.chain(of_virtfs) {
            backends.open_share(option, share)?;
        }
        Ok(Arc::new(backends))
    }

    fn graph(&self) -> &Graph {
        self.graph.get_or_init(|| Graph::new(self.context()))
    }

    fn open_drive(&self, id: &str, drive: &Drive, snapshot: bool) -> Result<(), String> {
        let drive = Drive {
            snapshot: drive.snapshot || snapshot,
            ..drive.clone()
        };
        let refuse = |reason| format!("-drive id={id}: {reason}");
        let backend = self.graph().open_drive(&drive).map_err(refuse)?;
        match self.drives.lock().insert(id.into(), backend) {
            None => Ok(()),
            Some(_) => Err(refuse("there is another drive with this id".into())),
        }
    }

    fn open_share(&self, option: &str, share: &FsdevOptions) -> Result<(), String> {
        let id = &share.id;
        let refuse = |reason| format!("{option} id={id}: {reason}");
        let fs = fsdev::open(share).map_err(refuse)?;
        match self.shares.lock().insert(id.clone(), fs) {
            None => Ok(()),
            Some(_) => Err(refuse("there is another share with this id".into())),
        }
    }

    /// Where all random bytes come from.
    pub fn entropy(&self) -> Entropy {
        self.entropy.clone()
    }

    /// The devices of `-device`, and those that other options imply, in QEMU's order.
    pub fn devices(&self, options: &Options) -> Vec<DeviceOption> {
        let named = |name: &str| {
            let properties = options.devices.iter().flat_map(|device| &device.properties);
            let mut drives = properties.filter(|(key, _)| key == "drive");
            drives.any(|(_, value)| value == name)
        };
        let of_drives = options
            .drives
            .iter()
            .enumerate()
            .filter_map(|(number, drive)| {
                let id = drive_id(drive, number);
                let wanted = match drive.interface {
                    Interface::None => false,
                    Interface::Virtio => true,
                    Interface::Default => !named(&id),
                };
                wanted.then(|| device("virtio-blk-device", &[("drive", &id)]))
            });
        let of_shares = options.virtfs.iter().map(|share| {
            let properties = [
                ("fsdev", share.fsdev.id.as_str()),
                ("mount_tag", &share.mount_tag),
            ];
            device("virtio-9p-device", &properties)
        });
        let explicit = options.devices.iter().map(|named| DeviceOption {
            driver: named.name.clone(),
            properties: named.properties.clone(),
        });
        let all = of_drives.chain(of_shares).chain(explicit);
        all.map(|device| with_globals(device, options)).collect()
    }

    /// Puts everything that was written on stable storage. The guest does not run any more.
    pub fn close(&self) -> Result<(), String> {
        match self.graph.get() {
            Some(graph) => graph.close().map_err(|error| format!("-drive: {error}")),
            None => Ok(()),
        }
    }
}

/// What a drive is called that has no `id=`.
fn drive_id(drive: &Drive, number: usize) -> String {
    let id = drive.id.clone();
    id.unwrap_or_else(|| format!("virtio{number}"))
}

fn device(driver: &str, properties: &[(&str, &str)]) -> DeviceOption {
    let pairs = properties.iter();
    DeviceOption {
        driver: driver.into(),
        properties: pairs.map(|(k, v)| (k.to_string(), v.to_string())).collect(),
    }
}

/// Puts the properties of `-global` before those of the device itself, which count more.
fn with_globals(mut device: DeviceOption, options: &Options) -> DeviceOption {
    let globals = options.globals.iter();
    let globals = globals.filter(|(driver, _, _)| *driver == device.driver);
    let globals = globals.map(|(_, property, value)| (property.clone(), value.clone()));
    device.properties.splice(0..0, globals.collect::<Vec<_>>());
    device
}

impl Host for Backends {
    fn drive(&self, id: &str) -> Result<Arc<dyn BlockBackend>, String> {
        let backend = self.drives.lock().remove(id);
        let backend = backend.or_else(|| self.graph.get()?.take(id));
        match backend {
            Some(backend) => Ok(backend),
            None => Err(format!("there is no drive '{id}' that is free")),
        }
    }

    fn chardev(&self, id: &str) -> Result<Arc<dyn CharBackend>, String> {
        self.chardevs.lock().connect(id)
    }

    fn share(&self, id: &str) -> Result<Arc<dyn FileSystem>, String> {
        let share = self.shares.lock().remove(id);
        share.ok_or_else(|| format!("there is no fsdev '{id}' that is free"))
    }

    fn random(&self, buf: &mut [u8]) -> io::Result<()> {
        (self.entropy)(buf)
    }

    fn context(&self) -> Arc<AioContext> {
        let start = || AioContext::start("io").expect("the host gives a thread");
        self.context.get_or_init(|| Arc::new(start())).clone()
    }

    fn timers(&self) -> Arc<dyn TimerService> {
        self.timers.clone()
    }
}

/// All random bytes of a machine come from one source: the one that a device names, if any.
fn entropy_of(options: &Options) -> Result<Entropy, String> {
    let named = options
        .devices
        .iter()
        .flat_map(|device: &Named| &device.properties);
    let ids = named.filter(|(key, _)| key == "rng").map(|(_, id)| id);
    let files = ids.filter_map(|id| options.objects.rngs.iter().find(|rng: &&Rng| rng.id == *id));
    let mut files: Vec<_> = files.filter_map(|rng| rng.file.as_deref()).collect();
    files.dedup();
    match files[..] {
        [] => entropy::open(None),
        [file] => entropy::open(Some(file)),
        _ => Err("-object rng-random: there can be one file of random bytes yet".into()),
    }
    .map_err(|reason| format!("-object rng-random: {reason}"))
}
