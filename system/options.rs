//! The command line: QEMU's options, from one table.
//!
//! What must hold: an option is carried out or refused with a sentence, never ignored; the
//! parser has no side effects and never panics, whatever it is given.

mod objects;
mod table;
#[cfg(test)]
mod tests;
mod values;

use std::path::PathBuf;

use block::options::{Blockdev, Drive, drive_of_file};
use chardev::spec::{Short, Spec};
use fsdev::options::{FsdevOptions, VirtfsOptions};
use hw::virtio::virtio_mmio::VirtioMmioConfig;
use util::log::Item;

pub use objects::{MemoryBackend, MemoryFile, Objects, Rng};
pub use values::{Accel, Backend, Icount, MACHINES, Machine, Rtc, RtcBase, Smp};

/// What all sentences start with.
pub const PROGRAM: &str = "tinamou-system-riscv64";

/// `-bios`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Bios {
    /// The firmware that QEMU has by default, found along `-L`.
    #[default]
    Default,
    /// None: the kernel runs in M-mode.
    None,
    /// A file, or a name to look for along `-L`.
    File(String),
}

/// A driver or model, and its properties in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    pub name: String,
    pub properties: Vec<(String, String)>,
}

/// What happens instead of, or after, an end of the machine: `-action` and its short forms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Actions {
    /// `-no-reboot`: a reset ends the machine.
    pub reset_is_shutdown: bool,
    /// `-no-shutdown`: a power-off pauses the machine.
    pub shutdown_is_pause: bool,
    pub panic: OnPanic,
}

/// `-action panic=`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnPanic {
    /// End, with the guest's status.
    #[default]
    Shutdown,
    Pause,
    /// End, with status 1.
    ExitFailure,
    /// Go on.
    None,
}

/// Everything that the command line says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    pub machine: Machine,
    pub cpu: Option<Named>,
    pub smp: Smp,
    /// `None`: the machine's default.
    pub ram_bytes: Option<u64>,
    pub accel: Accel,
    pub icount: Option<Icount>,
    pub bios: Bios,
    pub kernel: Option<PathBuf>,
    pub initrd: Option<PathBuf>,
    pub append: Option<String>,
    pub dtb: Option<PathBuf>,
    pub nographic: bool,
    /// `-display none`: no window, and no console on the terminal either unless asked for.
    pub no_display: bool,
    pub no_defaults: bool,
    pub serials: Vec<Short>,
    pub monitors: Vec<Short>,
    pub chardevs: Vec<Spec>,
    /// Byte of Ctrl-A.
    pub escape: Option<u8>,
    pub devices: Vec<Named>,
    /// `-global`: driver, property, value.
    pub globals: Vec<(String, String, String)>,
    /// The slots of virtio devices.
    pub virtio_mmio: VirtioMmioConfig,
    pub drives: Vec<Drive>,
    pub blockdevs: Vec<Blockdev>,
    /// `-snapshot`: no drive is written.
    pub snapshot: bool,
    pub fsdevs: Vec<FsdevOptions>,
    pub virtfs: Vec<VirtfsOptions>,
    pub objects: Objects,
    pub actions: Actions,
    pub rtc: Rtc,
    pub name: Option<String>,
    pub start_paused: bool,
    pub data_dirs: Vec<PathBuf>,
    pub log_items: Vec<Item>,
    pub log_file: Option<String>,
    pub log_filter: Vec<(u64, u64)>,
}

/// Lists that an option asks for instead of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    Options,
    Version,
    Machines,
    Cpus,
    Devices,
    DataDirs,
}

/// What ends the parsing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Print a list that only the caller has, exit 0.
    Help(Topic),
    /// Print this, exit 0.
    Print(String),
    /// Print this sentence on stderr, exit 1.
    Refuse(String),
}

impl From<String> for Stop {
    fn from(reason: String) -> Self {
        Self::Refuse(reason)
    }
}

/// Parses the arguments after the program's name.
pub fn parse(args: &[String]) -> Result<Options, Stop> {
    let mut options = Options::default();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let Some(name) = arg.strip_prefix("--").or_else(|| arg.strip_prefix('-')) else {
            let drive = drive_of_file(arg);
            let refuse = |reason| Stop::Refuse(format!("{arg}: {reason}"));
            options.drives.push(drive.map_err(refuse)?);
            continue;
        };
        let Some(row) = table::find(name) else {
            return Err(Stop::Refuse(table::refusal(arg, name)));
        };
        let value = match (row.arg, args.as_slice().first()) {
            ("", _) => "",
            (_, None) => return Err(Stop::Refuse(format!("{arg}: requires an argument"))),
            (_, Some(value)) => {
                args.next();
                value
            }
        };
        (row.set)(&mut options, value).map_err(|stop| in_context(arg, value, stop))?;
    }
    options.check()?;
    Ok(options)
}

fn in_context(arg: &str, value: &str, stop: Stop) -> Stop {
    match stop {
        Stop::Refuse(reason) if value.is_empty() => Stop::Refuse(format!("{arg}: {reason}")),
        Stop::Refuse(reason) => Stop::Refuse(format!("{arg} {value}: {reason}")),
        other => other,
    }
}

/// The text of `-help`.
pub fn help() -> String {
    table::help()
}

/// The text of `-version`.
pub fn version() -> String {
    format!("Tinamou emulator version {}\n", env!("CARGO_PKG_VERSION"))
}

impl Options {
    /// What no option says alone.
    fn check(&self) -> Result<(), Stop> {
        let refuse = |reason: &str| Err(Stop::Refuse(reason.to_string()));
        if self.icount.is_some() && self.accel.multi_thread == Some(true) {
            return refuse("-icount: needs one thread, so -accel tcg,thread=multi cannot be");
        }
        for (given, name) in [
            (self.initrd.is_some(), "-initrd"),
            (self.append.is_some(), "-append"),
        ] {
            if given && self.kernel.is_none() {
                return refuse(&format!("{name}: is only allowed with the option -kernel"));
            }
        }
        if self.monitors.len() > 1 {
            return refuse("-monitor: there can be one monitor");
        }
        if let Some(id) = &self.machine.memory_backend {
            self.check_memory(id)?;
        }
        for device in &self.devices {
            self.check_rng(device)?;
        }
        Ok(())
    }

    /// `memory-backend=` must name an `-object`, and be what `-m` says.
    fn check_memory(&self, id: &str) -> Result<(), Stop> {
        let refuse = |reason: String| {
            let sentence = format!("-machine memory-backend={id}: {reason}");
            Err(Stop::Refuse(sentence))
        };
        let Some(backend) = self.objects.memory(id) else {
            return refuse("there is no memory backend with this id".into());
        };
        match self.ram_bytes {
            Some(bytes) if bytes != backend.bytes => {
                let (asked, there) = (bytes >> 10, backend.bytes >> 10);
                refuse(format!("it has {there} KiB, and -m says {asked} KiB"))
            }
            _ => Ok(()),
        }
    }

    /// `rng=` must name an `-object`.
    fn check_rng(&self, device: &Named) -> Result<(), Stop> {
        let rngs = device.properties.iter().filter(|(key, _)| key == "rng");
        for (_, id) in rngs {
            if !self.objects.rngs.iter().any(|rng| rng.id == *id) {
                let reason = format!("-device {}: there is no object '{id}'", device.name);
                return Err(Stop::Refuse(reason));
            }
        }
        Ok(())
    }
}
