//! The arguments of the options that have more than one word.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use include::ClockType;
use util::cutils::{parse_size, parse_u64};
use util::keyval::{KeyVal, split_commas};

use super::{Named, Stop, Topic};

/// The machines that there are.
pub const MACHINES: &[(&str, &str)] = &[("virt", "RISC-V VirtIO board (default)")];

/// `-machine`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// Write the device tree there and exit.
    pub dump_dtb: Option<PathBuf>,
    /// The `-object` that is the guest's RAM.
    pub memory_backend: Option<String>,
}

/// `-smp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Smp {
    pub cpus: u32,
    pub sockets: u32,
    pub cores: u32,
    pub threads: u32,
    pub max_cpus: u32,
}

impl Default for Smp {
    fn default() -> Self {
        Self {
            cpus: 1,
            sockets: 1,
            cores: 1,
            threads: 1,
            max_cpus: 1,
        }
    }
}

/// `-accel tcg`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accel {
    /// A thread for each hart; `None`: the default.
    pub multi_thread: Option<bool>,
    pub one_insn_per_tb: bool,
    /// Bytes of translated code that are kept.
    pub tb_size: Option<u64>,
    pub backend: Backend,
    /// Interpreted executions after which a block is compiled to WebAssembly.
    pub threshold: Option<u32>,
    /// Where `-d perf` finds names: a System.map or an ELF file.
    pub symbols: Option<PathBuf>,
    /// Most instances of WebAssembly modules in a thread.
    pub max_instances: Option<u32>,
}

/// What runs translated code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// WebAssembly where there is an engine for it, for what is hot.
    #[default]
    Auto,
    /// The interpreter.
    Tci,
    /// WebAssembly; without an engine for it there is no machine.
    Wasm32,
}

/// `-icount`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Icount {
    /// An instruction takes `1 << shift` ns.
    pub shift: u8,
    /// Wait in real time while all harts wait, instead of jumping to the next deadline.
    pub sleep: bool,
}

/// `-rtc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rtc {
    pub base: RtcBase,
    pub clock: ClockType,
}

impl Default for Rtc {
    fn default() -> Self {
        Self {
            base: RtcBase::Utc,
            clock: ClockType::Host,
        }
    }
}

/// `-rtc base=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtcBase {
    Utc,
    LocalTime,
    /// Seconds since 1970.
    Date(i64),
}

/// Largest `-icount shift=`, as in QEMU.
const ICOUNT_SHIFT_MAX: u64 = 10;
/// More harts than any board has, and few enough for all products to fit.
const SMP_MAX: u64 = 1024;
/// What a 32-bit host can give at most: the emulator itself needs some, too.
const RAM_MAX_32_BIT: u64 = 3 << 30;
/// Bounds of `tb-size`, in MiB.
const TB_SIZE_MIB: RangeInclusive<u64> = 1..=2047;
const THRESHOLD: RangeInclusive<u64> = 1..=1_000_000_000;
/// Browsers run out of memory above.
const MAX_INSTANCES: RangeInclusive<u64> = 1..=12_000;

/// Properties of QEMU's `virt` and of every machine that have one value yet, QEMU's default but for
/// `acpi` (whose tables would only say what the device tree says).
const MACHINE_FIXED: &[(&str, &str)] = &[
    ("acpi", "off"),
    // Off: an ACLINT that looks like a CLINT.
    ("aclint", "off"),
    ("aia", "none"),
    ("graphics", "off"),
    ("iommu-sys", "off"),
    ("nvdimm", "off"),
    ("usb", "off"),
];

/// Properties of QEMU's `virt` and of every machine, not there yet.
const MACHINE_NOT_THERE: &[&str] = &[
    "aia-guests",
    "append",
    "confidential-guest-support",
    "dt-compatible",
    "dtb",
    "firmware",
    "initrd",
    "kernel",
    "memory",
    "memory-encryption",
    "pflash0",
    "pflash1",
    "phandle-start",
    "spcr",
    "suppress-vmdesc",
];

/// Properties of QEMU's `-accel tcg`, not there yet.
const ACCEL_NOT_THERE: &[&str] = &["split-wx", "threshold", "max-instances"];

/// `-machine virt,...`.
pub fn machine(machine: &mut Machine, text: &str) -> Result<(), Stop> {
    let mut keyval = KeyVal::parse(text, Some("type"))?;
    match keyval.take("type").as_deref() {
        None => (),
        Some("help" | "?") => return Err(Stop::Help(Topic::Machines)),
        Some(name) if MACHINES.iter().any(|(known, _)| *known == name) => (),
        Some(name) => Err(format!(
            "there is no machine '{name}' (try '-machine help')"
        ))?,
    }
    if let Some(path) = keyval.take("dumpdtb") {
        machine.dump_dtb = Some(path.into());
    }
    if let Some(id) = keyval.take("memory-backend") {
        machine.memory_backend = Some(id);
    }
    if let Some(list) = keyval.take("accel")
        && !list.split(':').any(|name| name == "tcg")
    {
        Err(format!("there is no accelerator '{list}' here, only tcg"))?;
    }
    for (key, only) in MACHINE_FIXED {
        if keyval.take(key).is_some_and(|value| value != *only) {
            Err(format!("'{key}' can only be '{only}' yet in Tinamou"))?;
        }
    }
    if let Some((key, _)) = keyval.clone().take_first()
        && MACHINE_NOT_THERE.contains(&key.as_str())
    {
        Err(format!(
            "the machine property '{key}' is not there yet in Tinamou"
        ))?;
    }
    Ok(keyval.finish()?)
}

/// `-accel tcg,...`.
pub fn accel(accel: &mut Accel, text: &str) -> Result<(), Stop> {
    let mut keyval = KeyVal::parse(text, Some("accel"))?;
    match keyval.take("accel").as_deref() {
        Some("tcg") => (),
        Some("help" | "?") => return Err(Stop::Print("Accelerators: tcg\n".into())),
        Some(name) => Err(format!("there is no accelerator '{name}' here, only tcg"))?,
        None => Err("it names no accelerator, such as tcg".to_string())?,
    }
    match keyval.take("thread").as_deref() {
        None => (),
        Some("single") => accel.multi_thread = Some(false),
        Some("multi") => accel.multi_thread = Some(true),
        Some(other) => Err(format!("'thread' is 'single' or 'multi', not '{other}'"))?,
    }
    match keyval.take("backend").as_deref() {
        None => (),
        Some("auto") => accel.backend = Backend::Auto,
        Some("tci") => accel.backend = Backend::Tci,
        Some("wasm32") => accel.backend = Backend::Wasm32,
        Some(other) => Err(format!(
            "'backend' is 'auto', 'tci' or 'wasm32', not '{other}'"
        ))?,
    }
    if let Some(text) = keyval.take("threshold") {
        accel.threshold = Some(count("threshold", &text, THRESHOLD)?);
    }
    accel.symbols = keyval
        .take("symbols")
        .map(PathBuf::from)
        .or(accel.symbols.take());
    if let Some(text) = keyval.take("max-instances") {
        accel.max_instances = Some(count("max-instances", &text, MAX_INSTANCES)?);
    }
    if let Some(one) = keyval.take_switch("one-insn-per-tb")? {
        accel.one_insn_per_tb = one;
    }
    if let Some(size) = keyval.take("tb-size") {
        let mib = parse_u64(&size).filter(|mib| TB_SIZE_MIB.contains(mib));
        let (low, high) = (TB_SIZE_MIB.start(), TB_SIZE_MIB.end());
        let mib = mib.ok_or_else(|| format!("'tb-size' is {low} to {high} MiB, not '{size}'"))?;
        accel.tb_size = Some(mib << 20);
    }
    if let Some((key, _)) = keyval.clone().take_first()
        && ACCEL_NOT_THERE.contains(&key.as_str())
    {
        Err(format!("'{key}' is not there yet in Tinamou"))?;
    }
    Ok(keyval.finish()?)
}

/// A number within bounds.
fn count(key: &str, text: &str, bounds: RangeInclusive<u64>) -> Result<u32, String> {
    let number = parse_u64(text).filter(|number| bounds.contains(number));
    let (low, high) = (bounds.start(), bounds.end());
    number
        .map(|number| number as u32)
        .ok_or_else(|| format!("'{key}' is {low} to {high}, not '{text}'"))
}

/// `-smp`: what is left out follows from the rest, more cores rather than more sockets.
pub fn smp(text: &str) -> Result<Smp, String> {
    let mut keyval = KeyVal::parse(text, Some("cpus"))?;
    let mut number = |key: &str| -> Result<Option<u32>, String> {
        let Some(value) = keyval.take(key) else {
            return Ok(None);
        };
        let number = parse_u64(&value).filter(|n| (1..=SMP_MAX).contains(n));
        let wrong = || format!("'{key}' is a number from 1 to {SMP_MAX}, not '{value}'");
        Ok(Some(number.ok_or_else(wrong)? as u32))
    };
    let (cpus, max) = (number("cpus")?, number("maxcpus")?);
    let (sockets, cores, threads) = (number("sockets")?, number("cores")?, number("threads")?);
    keyval.finish()?;
    let (s, t) = (sockets.unwrap_or(1), threads.unwrap_or(1));
    let product = |a: u32, b: u32| u64::from(a) * u64::from(b);
    let wanted = max.or(cpus);
    let (sockets, cores, threads) = match (cores, wanted) {
        (None, None) => (s, 1, t),
        (None, Some(n)) => (s, (u64::from(n) / product(s, t)) as u32, t),
        (Some(c), Some(n)) if sockets.is_none() => ((u64::from(n) / product(c, t)) as u32, c, t),
        (Some(c), Some(n)) if threads.is_none() => (s, c, (u64::from(n) / product(c, s)) as u32),
        (Some(c), _) => (s, c, t),
    };
    let total = product(sockets, cores) * u64::from(threads);
    let max_cpus = u64::from(max.or(cpus).unwrap_or(total.min(SMP_MAX) as u32));
    let cpus = u64::from(cpus.unwrap_or(max_cpus as u32));
    if total != max_cpus {
        let shape = format!("sockets {sockets} * cores {cores} * threads {threads}");
        return Err(format!(
            "the topology ({shape}) is not the number of CPUs ({max_cpus})"
        ));
    }
    if cpus > max_cpus {
        return Err(format!("{cpus} CPUs are more than maxcpus={max_cpus}"));
    }
    Ok(Smp {
        cpus: cpus as u32,
        sockets,
        cores,
        threads,
        max_cpus: max_cpus as u32,
    })
}

/// `-m`: bytes, or `None` for the machine's default (QEMU's meaning of 0).
pub fn ram_size(text: &str) -> Result<Option<u64>, String> {
    let mut keyval = KeyVal::parse(text, Some("size"))?;
    for key in ["slots", "maxmem"] {
        if keyval.take(key).is_some() {
            return Err(format!(
                "'{key}' (memory hot-plug) is not there yet in Tinamou"
            ));
        }
    }
    let size = keyval.take("size");
    keyval.finish()?;
    let Some(size) = size else {
        return Err("it says no size".into());
    };
    let bytes = parse_size(&size, 1 << 20);
    let bytes = bytes.ok_or_else(|| format!("'{size}' is no size (such as 512, 512M or 2G)"))?;
    if bytes == 0 {
        return Ok(None);
    }
    // QEMU rounds up to its largest page.
    let bytes = bytes
        .checked_next_multiple_of(8192)
        .ok_or("that is more than 2^64 bytes")?;
    if usize::BITS == 32 && bytes > RAM_MAX_32_BIT {
        return Err(format!(
            "here a guest can have {} MiB at most",
            RAM_MAX_32_BIT >> 20
        ));
    }
    Ok(Some(bytes))
}

/// `-icount`.
pub fn icount(text: &str) -> Result<Icount, String> {
    let mut keyval = KeyVal::parse(text, Some("shift"))?;
    let sleep = keyval.take_switch("sleep")?.unwrap_or(true);
    if keyval.take_switch("align")? == Some(true) {
        return Err("'align=on' is not there yet in Tinamou".into());
    }
    for key in ["rr", "rrfile", "rrsnapshot"] {
        if keyval.take(key).is_some() {
            return Err(format!(
                "'{key}' (record and replay) is not there yet in Tinamou"
            ));
        }
    }
    let shift = keyval
        .take("shift")
        .ok_or("the parameter 'shift' is missing")?;
    keyval.finish()?;
    if shift == "auto" {
        return Err("'shift=auto' is not there yet in Tinamou, only shift=N".into());
    }
    match parse_u64(&shift) {
        Some(shift @ 0..=ICOUNT_SHIFT_MAX) => Ok(Icount {
            shift: shift as u8,
            sleep,
        }),
        _ => Err(format!(
            "'shift' is a number from 0 to {ICOUNT_SHIFT_MAX}, not '{shift}'"
        )),
    }
}

/// `-rtc`.
pub fn rtc(text: &str) -> Result<Rtc, String> {
    let mut keyval = KeyVal::parse(text, None)?;
    let base = match keyval.take("base").as_deref() {
        None | Some("utc") => RtcBase::Utc,
        Some("localtime") => RtcBase::LocalTime,
        Some(date) => RtcBase::Date(parse_date(date).ok_or_else(|| {
            format!("'base' is utc, localtime or a date such as 2006-06-17T16:01:21, not '{date}'")
        })?),
    };
    let clock = match keyval.take("clock").as_deref() {
        None | Some("host") => ClockType::Host,
        Some("rt") => ClockType::Realtime,
        Some("vm") => ClockType::Virtual,
        Some(other) => return Err(format!("'clock' is host, rt or vm, not '{other}'")),
    };
    match keyval.take("driftfix").as_deref() {
        None | Some("none") => (),
        Some(_) => return Err("'driftfix' is only for PCs, and they are not there yet".into()),
    }
    keyval.finish()?;
    Ok(Rtc { base, clock })
}

/// Seconds since 1970 of `YYYY-MM-DD` or `YYYY-MM-DDTHH:MM:SS` (UTC).
fn parse_date(text: &str) -> Option<i64> {
    let (date, time) = text.split_once('T').unwrap_or((text, "00:00:00"));
    let fields = |text: &str, separator| -> Option<[i64; 3]> {
        let numbers = text.split(separator).map(|field| {
            let plain = !field.is_empty() && field.bytes().all(|b| b.is_ascii_digit());
            if plain && field.len() <= 4 {
                field.parse().ok()
            } else {
                None
            }
        });
        numbers.collect::<Option<Vec<i64>>>()?.try_into().ok()
    };
    let [year, month, day] = fields(date, '-')?;
    let [hour, minute, second] = fields(time, ':')?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let february = if leap { 29 } else { 28 };
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let length = *lengths.get(usize::try_from(month - 1).ok()?)?;
    if year < 1970 || !(1..=length).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let before = year - 1;
    let leaps = |y: i64| y / 4 - y / 100 + y / 400;
    let years = (year - 1970) * 365 + leaps(before) - leaps(1969);
    let months: i64 = lengths[..(month - 1) as usize].iter().sum();
    Some(((years + months + day - 1) * 24 + hour) * 3600 + minute * 60 + second)
}

/// `-echr`.
pub fn escape(text: &str) -> Result<u8, String> {
    let code = parse_u64(text).and_then(|code| u8::try_from(code).ok());
    code.ok_or_else(|| format!("'{text}' is no character code from 0 to 255"))
}

/// The value of an option that has one parameter, whose name may be left out.
pub fn only(text: &str, key: &str) -> Result<String, String> {
    let mut keyval = KeyVal::parse(text, Some(key))?;
    let value = keyval
        .take(key)
        .ok_or_else(|| format!("the parameter '{key}' is missing"))?;
    keyval.finish()?;
    Ok(value)
}

/// A name and properties that somebody else knows: `-cpu`, `-device`.
pub fn parse_named(text: &str, what: &str) -> Result<Named, String> {
    let mut parts = split_commas(text).into_iter();
    let name = parts
        .next()
        .filter(|name| !name.is_empty() && !name.contains('='));
    let name = name.ok_or_else(|| format!("it names no {what}"))?;
    let mut properties = Vec::new();
    for part in parts {
        let (key, value) = part.split_once('=').unwrap_or((&part, "on"));
        if key.is_empty() {
            return Err(format!("'{part}' is no property"));
        }
        properties.push((key.to_string(), value.to_string()));
    }
    Ok(Named { name, properties })
}

/// `-global driver.property=value`, or the three with their names.
pub fn global(text: &str) -> Result<(String, String, String), String> {
    let short = text.split_once('=').and_then(|(name, value)| {
        let (driver, property) = name.split_once('.')?;
        Some((driver.into(), property.into(), value.into()))
    });
    if let Some(short) = short {
        return Ok(short);
    }
    let mut keyval = KeyVal::parse(text, None)?;
    let mut part = |key: &str| {
        let value = keyval.take(key);
        value.ok_or_else(|| format!("'{text}' is not driver.property=value"))
    };
    let global = (part("driver")?, part("property")?, part("value")?);
    keyval.finish()?;
    Ok(global)
}
