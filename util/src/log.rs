//! Logging: QEMU's `-d` items, and the `log` crate's logger on top of the same output.
//!
//! `-d` items are for blocks of text about the guest (`enabled` is one atomic load, so that
//! asking is free on hot paths); the `log` crate is for messages. Two targets join them:
//! [`GUEST_ERRORS`] and [`UNIMP`] are `-d` items and message targets at once. Messages at debug
//! level there show only when `-d` asks; at warning level they show anyway, a few a second.
//! Output goes to stderr or to `-D`'s file; one call writes one block, whole, whatever other
//! threads do.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use log::{LevelFilter, Log, Metadata, Record};
use parking_lot::Mutex;

use crate::cutils::parse_u64;

/// Message target for what the guest does wrong: `log::warn!(target: GUEST_ERRORS, ...)`.
pub const GUEST_ERRORS: &str = "guest_errors";
/// Message target for what the machine lacks.
pub const UNIMP: &str = "unimp";

macro_rules! items {
    ($($item:ident $name:literal $help:literal;)*) => {
        /// What `-d` can ask for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u32)]
        pub enum Item { $(#[doc = $help] $item),* }

        /// Item, its name on the command line, and what it shows.
        pub const ITEMS: &[(Item, &str, &str)] = &[$((Item::$item, $name, $help)),*];
    };
}

items! {
    OutAsm "out_asm" "the host code (TCI bytecode) of each translation block";
    InAsm "in_asm" "the guest code of each translation block";
    Op "op" "the TCG ops of each translation block, as translated";
    OpOpt "op_opt" "the TCG ops of each translation block, after the optimizer";
    Int "int" "interrupts and exceptions";
    Exec "exec" "a line before each executed translation block (many)";
    Cpu "cpu" "the CPU's registers before each executed translation block";
    Mmu "mmu" "what page table walks find";
    CpuReset "cpu_reset" "the CPU's registers at each reset";
    Unimp "unimp" "what the guest uses and the machine lacks";
    GuestErrors "guest_errors" "what the guest does wrong, without a rate limit";
    Perf "perf" "at the end: the hottest guest code, found by sampling";
    NoChain "nochain" "do not chain translation blocks, so that \"exec\" and \"cpu\" see each";
}

static ENABLED: AtomicU32 = AtomicU32::new(0);
static FILTERED: AtomicBool = AtomicBool::new(false);
static FILTER: Mutex<Vec<(u64, u64)>> = Mutex::new(Vec::new());
static LOGGER: OnceLock<Logger> = OnceLock::new();
static OUTPUT: Mutex<Option<File>> = Mutex::new(None);

/// Whether `-d` asks for an item. One relaxed load.
#[inline]
pub fn enabled(item: Item) -> bool {
    ENABLED.load(Ordering::Relaxed) & (1 << item as u32) != 0
}

/// Whether `-dfilter` lets a guest address through.
#[inline]
pub fn in_filter(address: u64) -> bool {
    !FILTERED.load(Ordering::Relaxed)
        || FILTER
            .lock()
            .iter()
            .any(|&(first, last)| (first..=last).contains(&address))
}

/// Writes one block of text for an item, if it is enabled:
/// `util::qemu_log!(Item::Int, "hart {n}: trap\n")`.
#[macro_export]
macro_rules! qemu_log {
    ($item:expr, $($format:tt)*) => {
        if $crate::log::enabled($item) {
            $crate::log::write(::core::format_args!($($format)*));
        }
    };
}

/// Writes one block of text, whole, without asking for an item. Lines end with `\n` in `block`.
pub fn write(block: fmt::Arguments<'_>) {
    let text = match block.as_str() {
        Some(text) => std::borrow::Cow::Borrowed(text),
        None => std::borrow::Cow::Owned(block.to_string()),
    };
    let mut output = OUTPUT.lock();
    // A full disk or closed stderr is no reason to stop the guest, and there is nobody to tell.
    let _ = match output.as_mut() {
        Some(file) => file.write_all(text.as_bytes()),
        None => std::io::stderr().lock().write_all(text.as_bytes()),
    };
}

/// Parses `-d`'s argument; the error is a sentence that names the item.
pub fn parse_items(list: &str) -> Result<Vec<Item>, String> {
    let mut items = Vec::new();
    for name in list.split(',') {
        match ITEMS.iter().find(|(_, known, _)| *known == name) {
            Some((item, _, _)) => items.push(*item),
            None if name == "all" => items.extend(ITEMS.iter().map(|(item, _, _)| *item)),
            None if name == "none" => items.clear(),
            None => return Err(format!("there is no log item '{name}' (try '-d help')")),
        }
    }
    Ok(items)
}

/// The text of `-d help`.
pub fn items_help() -> String {
    let mut text = String::from("Log items, separated by commas (or 'all', 'none'):\n");
    for (_, name, help) in ITEMS {
        text += &format!("{name:<15} {help}\n");
    }
    text
}

/// Sets what is logged, replacing what was before.
pub fn set_items(items: &[Item]) {
    let mask = items
        .iter()
        .fold(0, |mask, item| mask | (1 << *item as u32));
    ENABLED.store(mask, Ordering::Relaxed);
    update_max_level();
}

/// Devices say what the guest does wrong at debug level, so it must get past the `log` crate's
/// own filter as soon as `-d` asks.
fn update_max_level() {
    let asked = enabled(Item::GuestErrors) || enabled(Item::Unimp);
    let for_items = if asked {
        LevelFilter::Debug
    } else {
        LevelFilter::Off
    };
    let for_levels = LOGGER
        .get()
        .map_or(LevelFilter::Off, |logger| logger.levels.loudest());
    log::set_max_level(for_items.max(for_levels));
}

/// The names of the enabled items.
pub fn enabled_names() -> Vec<&'static str> {
    ITEMS
        .iter()
        .filter(|(item, _, _)| enabled(*item))
        .map(|(_, name, _)| *name)
        .collect()
}

/// Sends the log to a file (`%d` in the name becomes the process id), or back to stderr.
pub fn set_file(path: Option<&str>) -> Result<(), String> {
    let file = match path {
        None => None,
        Some(path) => Some(open_file(path)?),
    };
    *OUTPUT.lock() = file;
    Ok(())
}

fn open_file(path: &str) -> Result<File, String> {
    let name = path.replacen("%d", &std::process::id().to_string(), 1);
    File::create(&name).map_err(|error| format!("cannot create the log file '{name}': {error}"))
}

/// Parses `-dfilter`'s argument: ranges `first..last`, `first+size` or `last-size`.
pub fn parse_filter(list: &str) -> Result<Vec<(u64, u64)>, String> {
    list.split(',')
        .map(|range| parse_range(range).ok_or_else(|| bad_range(range)))
        .collect()
}

fn bad_range(range: &str) -> String {
    format!("'{range}' is no address range (such as 0x80000000..0x80000fff or 0x80000000+0x1000)")
}

fn parse_range(range: &str) -> Option<(u64, u64)> {
    let (first, last) = if let Some((first, last)) = range.split_once("..") {
        (parse_u64(first)?, parse_u64(last)?)
    } else if let Some((first, size)) = range.split_once('+') {
        let first = parse_u64(first)?;
        (first, first.checked_add(parse_u64(size)?.checked_sub(1)?)?)
    } else {
        let (last, size) = range.split_once('-')?;
        let last = parse_u64(last)?;
        (last.checked_sub(parse_u64(size)?.checked_sub(1)?)?, last)
    };
    (first <= last).then_some((first, last))
}

/// Sets the address filter; no ranges let everything through.
pub fn set_filter(ranges: Vec<(u64, u64)>) {
    FILTERED.store(!ranges.is_empty(), Ordering::Relaxed);
    *FILTER.lock() = ranges;
}

/// How loud the messages of the `log` crate are: `TINAMOU_LOG` (or `RUST_LOG`), a comma list of
/// `level` and `target=level`, where the longest matching prefix of a target wins.
struct Levels {
    default: LevelFilter,
    targets: Vec<(String, LevelFilter)>,
}

impl Levels {
    fn parse(text: &str) -> Result<Self, String> {
        let mut levels = Self {
            default: LevelFilter::Warn,
            targets: Vec::new(),
        };
        for part in text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            let (target, level) = match part.split_once('=') {
                Some((target, level)) => (Some(target), level.parse()),
                None => match part.parse() {
                    Ok(level) => (None, Ok(level)),
                    // A target alone is fully on, as in env_logger.
                    Err(_) => (Some(part), Ok(LevelFilter::Trace)),
                },
            };
            let level = level.map_err(|_| format!("there is no log level in '{part}'"))?;
            match target {
                Some(target) => levels.targets.push((target.to_string(), level)),
                None => levels.default = level,
            }
        }
        Ok(levels)
    }

    fn of(&self, target: &str) -> LevelFilter {
        let matching = self
            .targets
            .iter()
            .filter(|(prefix, _)| target.starts_with(prefix));
        matching
            .max_by_key(|(prefix, _)| prefix.len())
            .map_or(self.default, |(_, level)| *level)
    }

    fn loudest(&self) -> LevelFilter {
        self.targets
            .iter()
            .map(|(_, level)| *level)
            .fold(self.default, Ord::max)
    }
}

/// Limits lines a guest can cause: a few at once, then one a second for each kind.
#[derive(Default)]
struct RateLimit {
    kinds: HashMap<&'static str, Bucket>,
}

struct Bucket {
    tokens: u32,
    refilled: Instant,
    dropped: u64,
}

const BURST: u32 = 5;
const REFILL: Duration = Duration::from_secs(1);

impl RateLimit {
    /// `None`: drop the line. `Some(n)`: print it; `n` lines before it were dropped.
    fn admit(&mut self, kind: &'static str, now: Instant) -> Option<u64> {
        let fresh = || Bucket {
            tokens: BURST,
            refilled: now,
            dropped: 0,
        };
        let bucket = self.kinds.entry(kind).or_insert_with(fresh);
        let refills = now.saturating_duration_since(bucket.refilled).as_secs() as u32;
        if refills > 0 {
            bucket.tokens = bucket.tokens.saturating_add(refills).min(BURST);
            bucket.refilled += REFILL * refills;
        }
        if bucket.tokens == 0 {
            bucket.dropped += 1;
            return None;
        }
        bucket.tokens -= 1;
        Some(std::mem::take(&mut bucket.dropped))
    }
}

struct Logger {
    levels: Levels,
    limit: Mutex<RateLimit>,
}

impl Logger {
    /// The `-d` item that a target is, if it is one.
    fn item_of(target: &str) -> Option<(Item, &'static str)> {
        [(Item::GuestErrors, GUEST_ERRORS), (Item::Unimp, UNIMP)]
            .into_iter()
            .find(|(_, name)| *name == target)
    }

    fn log_limited(&self, kind: &'static str, record: &Record<'_>) {
        match self.limit.lock().admit(kind, Instant::now()) {
            None => (),
            Some(0) => write(format_args!("{kind}: {}\n", record.args())),
            Some(dropped) => {
                let asked = format_args!("({dropped} more before this; -d {kind} shows all)");
                write(format_args!("{kind}: {} {asked}\n", record.args()));
            }
        }
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let asked = Self::item_of(metadata.target()).is_some_and(|(item, _)| enabled(item));
        asked || metadata.level() <= self.levels.of(metadata.target())
    }

    fn log(&self, record: &Record<'_>) {
        if !Log::enabled(self, record.metadata()) {
            return;
        }
        match Self::item_of(record.target()) {
            Some((item, _)) if enabled(item) => write(format_args!("{}\n", record.args())),
            Some((_, kind)) => self.log_limited(kind, record),
            None => {
                let level = record.level().as_str().to_ascii_lowercase();
                write(format_args!(
                    "{level}: {}: {}\n",
                    record.target(),
                    record.args()
                ));
            }
        }
    }

    fn flush(&self) {}
}

/// Installs the logger, with the levels that the environment asks for. Once for each process;
/// later calls change nothing.
pub fn init() -> Result<(), String> {
    let asked = std::env::var("TINAMOU_LOG").or_else(|_| std::env::var("RUST_LOG"));
    let levels = Levels::parse(&asked.unwrap_or_default())?;
    let logger = LOGGER.get_or_init(|| Logger {
        levels,
        limit: Mutex::default(),
    });
    // It fails only when there is a logger already.
    let _ = log::set_logger(logger);
    update_max_level();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_known_or_refused_by_name() {
        assert_eq!(
            parse_items("in_asm,exec"),
            Ok(vec![Item::InAsm, Item::Exec])
        );
        assert_eq!(parse_items("all").unwrap().len(), ITEMS.len());
        for bad in ["", "in_asm,", "plugin", "IN_ASM", " int"] {
            assert!(parse_items(bad).is_err(), "{bad}");
        }
        assert!(
            parse_items("in_asm,trace:foo")
                .unwrap_err()
                .contains("'trace:foo'")
        );
        assert!(items_help().contains("op_opt"));
    }

    #[test]
    fn the_table_is_in_the_order_of_the_bits() {
        for (index, (item, _, _)) in ITEMS.iter().enumerate() {
            assert_eq!(*item as usize, index);
        }
        assert!(ITEMS.len() <= 32);
    }

    #[test]
    fn filters_have_three_forms() {
        for (text, expected) in [
            ("0x1000..0x1fff", Some(vec![(0x1000, 0x1fff)])),
            ("0x1000+0x10", Some(vec![(0x1000, 0x100f)])),
            ("0x1000-0x10", Some(vec![(0xff1, 0x1000)])),
            ("1..2,8+1", Some(vec![(1, 2), (8, 8)])),
            ("0x2000..0x1000", None),
            ("0x1000", None),
            ("0x1000+0", None),
            ("0xffffffffffffffff+2", None),
            ("1-3", None),
            ("", None),
            ("..", None),
        ] {
            assert_eq!(parse_filter(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn the_longest_prefix_sets_the_level() {
        let levels = Levels::parse("info,hw=debug,hw::char=off,guest_errors=error").unwrap();
        assert_eq!(levels.of("util"), LevelFilter::Info);
        assert_eq!(levels.of("hw::rtc"), LevelFilter::Debug);
        assert_eq!(levels.of("hw::char::serial"), LevelFilter::Off);
        assert_eq!(levels.of("guest_errors"), LevelFilter::Error);
        assert_eq!(Levels::parse("").unwrap().of("x"), LevelFilter::Warn);
        assert!(Levels::parse("hw=loud").is_err());
    }

    #[test]
    fn a_flood_of_guest_errors_is_thinned() {
        let mut limit = RateLimit::default();
        let start = Instant::now();
        let admitted = (0..100)
            .filter(|_| limit.admit("guest_errors", start).is_some())
            .count();
        assert_eq!(admitted as u32, BURST);
        assert_eq!(limit.admit("unimp", start), Some(0));
        assert_eq!(limit.admit("guest_errors", start + REFILL), Some(95));
        assert_eq!(limit.admit("guest_errors", start + REFILL), None);
    }
}
