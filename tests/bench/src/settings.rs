//! The command line.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::workloads::{self, Workload};

/// An emulator with QEMU's options.
pub struct Emulator {
    pub name: String,
    pub command: Vec<String>,
}

impl Emulator {
    /// The bundle that an engine of JavaScript runs: there may be several engines for one.
    pub fn script(&self) -> Option<&str> {
        let mut words = self.command.iter().skip(1).map(String::as_str);
        words.find(|word| word.ends_with(".js"))
    }
}

/// What to run.
pub struct Settings {
    pub emulators: Vec<Emulator>,
    /// The emulator that the others are compared with.
    pub baseline: usize,
    pub workloads: Vec<Workload>,
    pub runs: usize,
    pub quick: bool,
    pub icount: bool,
    /// Folder that `scripts/fetch-bench-guest` filled.
    pub guest: PathBuf,
    /// For one workload or boot.
    pub limit: Duration,
    pub out: Option<String>,
    pub record: Option<String>,
}

const USAGE: &str = "usage: bench [--emulator NAME='CMD ...']... [--baseline NAME] [--runs N] \
                     [--only NAME,...] [--quick] [--icount] [--guest DIR] [--limit SECONDS] \
                     [--out FILE.json] [--record FILE.md]";
/// The name of the emulator that is the yardstick unless `--baseline` names another.
const BASELINE: &str = "qemu";
/// Without `--emulator`: those of these that are there (the last word of a row is the file).
const DEFAULTS: &[(&str, &str)] = &[
    ("native", "target/release/tinamou-system-riscv64"),
    ("node", "node build/wasm/tinamou-system-riscv64.js"),
    (BASELINE, "build/oracle/qemu-system-riscv64"),
];

fn emulator(name: &str, command: &str) -> Emulator {
    let command = command.split_whitespace().map(str::to_string).collect();
    Emulator {
        name: name.to_string(),
        command,
    }
}

fn default_emulators() -> Vec<Emulator> {
    let is_there = |command: &str| {
        command
            .split_whitespace()
            .last()
            .is_some_and(|file| Path::new(file).exists())
    };
    let mut found: Vec<Emulator> = DEFAULTS
        .iter()
        .filter(|(_, command)| is_there(command))
        .map(|(name, command)| emulator(name, command))
        .collect();
    if found.iter().all(|emulator| emulator.name != BASELINE) {
        found.push(emulator(BASELINE, "qemu-system-riscv64"));
    }
    found
}

fn number(option: &str, text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number @ 1..) => Ok(number),
        _ => Err(format!(
            "{option} needs a number of at least 1, not {text:?}"
        )),
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            emulators: Vec::new(),
            baseline: 0,
            workloads: Vec::new(),
            runs: 3,
            quick: false,
            icount: false,
            guest: "build/bench-guest".into(),
            limit: Duration::from_secs(900),
            out: None,
            record: None,
        }
    }
}

impl Settings {
    pub fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut settings = Self::default();
        let (mut only, mut baseline) = (Vec::new(), BASELINE.to_string());
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--emulator" => {
                    let text = value()?;
                    let (name, command) = text
                        .split_once('=')
                        .ok_or("--emulator needs NAME='CMD ...'")?;
                    settings.emulators.push(emulator(name, command));
                }
                "--baseline" => baseline = value()?,
                "--runs" => settings.runs = number(&arg, &value()?)?,
                "--only" => only.extend(value()?.split(',').map(str::to_string)),
                "--quick" => settings.quick = true,
                "--icount" => settings.icount = true,
                "--guest" => settings.guest = value()?.into(),
                "--limit" => {
                    settings.limit = Duration::from_secs(number(&arg, &value()?)? as u64);
                }
                "--out" => settings.out = Some(value()?),
                "--record" => settings.record = Some(value()?),
                _ => return Err(format!("unknown option {arg}\n{USAGE}")),
            }
        }
        settings.complete(&only, &baseline)
    }

    fn complete(mut self, only: &[String], baseline: &str) -> Result<Self, String> {
        if self.emulators.is_empty() {
            self.emulators = default_emulators();
        }
        let place = self
            .emulators
            .iter()
            .position(|emulator| emulator.name == baseline);
        self.baseline = place.ok_or_else(|| format!("no emulator is named {baseline:?}"))?;
        self.workloads = workloads::chosen(only, self.quick);
        if self.workloads.is_empty() {
            return Err(format!("--only {} names no workload", only.join(",")));
        }
        if !self.guest.join("bare.bin").exists() {
            let guest = self.guest.display();
            return Err(format!(
                "no guests in {guest}: run scripts/fetch-bench-guest"
            ));
        }
        Ok(self)
    }

    /// A file of the guests.
    pub fn file(&self, name: &str) -> String {
        self.guest.join(name).to_string_lossy().into_owned()
    }
}
