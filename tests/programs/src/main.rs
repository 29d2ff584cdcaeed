//! Debian's programs in a booted guest, whose answers must be right.
//!
//! `programs --emulator 'CMD ...' --guest DIR [--harts N] [--slow FACTOR] [NAME ...]` boots
//! DIR/stress.cpio (`scripts/fetch-bench-guest`) once, runs the tests of `tests.rs` whose names
//! contain one of NAME, prints a line for each and `N passed, N failed` at the end. With
//! `--soak MINUTES` it watches the emulator's memory over many short processes instead. With
//! `--root raw|qcow2|9p` Debian boots from a copy of a root file system (`debian.rs`).

mod debian;
mod soak;
mod tests;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use debian::{Machine, Root};
use harness::{Outcome, Session, check};
use tests::{Answer, SETUP, Test};

struct Settings {
    emulator: Vec<String>,
    guest: PathBuf,
    /// The folder with `guest`, `rootfs` and `guest-repo`, for `--root`.
    build: PathBuf,
    harts: u32,
    /// Time limits are multiplied by this.
    slow: u64,
    /// Minutes of `soak.rs` instead of tests.
    soak: Option<u64>,
    root: Option<Root>,
    names: Vec<String>,
}

impl Settings {
    fn parse(args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut settings = Self {
            emulator: Vec::new(),
            guest: PathBuf::from("build/bench-guest"),
            build: PathBuf::from("build"),
            harts: 1,
            slow: 1,
            soak: None,
            root: None,
            names: Vec::new(),
        };
        let mut args = args.peekable();
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            let number = |text: String| text.parse().map_err(|e| format!("{arg} {text}: {e}"));
            match arg.as_str() {
                "--emulator" => {
                    settings.emulator = value()?.split_whitespace().map(str::to_owned).collect();
                }
                "--guest" => settings.guest = value()?.into(),
                "--build" => settings.build = value()?.into(),
                "--harts" => settings.harts = number(value()?)?,
                "--soak" => settings.soak = Some(number(value()?)?.into()),
                "--root" => settings.root = Some(Root::parse(&value()?)?),
                "--slow" => settings.slow = number(value()?)?.into(),
                _ if arg.starts_with('-') => return Err(format!("unknown option {arg}")),
                _ => settings.names.push(arg),
            }
        }
        match settings.emulator.is_empty() {
            true => Err("--emulator 'CMD ...' is needed".into()),
            false => Ok(settings),
        }
    }

    fn seconds(&self, seconds: u64) -> Duration {
        Duration::from_secs(seconds * self.slow)
    }

    fn wanted<'a>(&self, table: &'a [Test]) -> Vec<&'a Test> {
        let is_wanted = |test: &&Test| {
            self.names.is_empty() || self.names.iter().any(|name| test.name.contains(name))
        };
        table.iter().filter(is_wanted).collect()
    }

    /// Starts the emulator; `initrd` is a file beside the kernel.
    fn start(&self, guest: &Path, initrd: &str, append: &str, more: &[String]) -> Outcome<Session> {
        let file = |name: &str| guest.join(name).to_string_lossy().into_owned();
        let harts = self.harts.to_string();
        let options = [
            ("-M", "virt".to_owned()),
            ("-m", "512".to_owned()),
            ("-smp", harts),
            ("-bios", file("fw_dynamic.bin")),
            ("-kernel", file("Image")),
            ("-initrd", file(initrd)),
            ("-append", append.to_owned()),
        ];
        let mut args = vec!["-nographic".to_owned()];
        args.extend(
            options
                .into_iter()
                .flat_map(|(name, value)| [name.to_owned(), value]),
        );
        args.extend_from_slice(more);
        Session::start(&self.emulator, &args)
    }

    fn boot(&self) -> Outcome<Session> {
        let append = "console=ttyS0 quiet";
        let mut session = self.start(&self.guest, "stress.cpio", append, &[])?;
        session.expect("Tinamou guest ready", self.seconds(120))?;
        session.expect("# ", self.seconds(20))?;
        session.shell(SETUP, self.seconds(30))?;
        Ok(session)
    }

    fn boot_debian(&self, machine: &Machine) -> Outcome<Session> {
        let guest = self.build.join("guest");
        let (append, options) = (machine.append(), machine.options());
        let mut session = self.start(&guest, "initrd.cpio.gz", &append, &options)?;
        machine.log_in(&mut session, self.seconds(120))?;
        Ok(session)
    }
}

/// Runs a test on a booted guest.
fn run(settings: &Settings, session: &mut Session, test: &Test) -> Outcome<()> {
    let limit = settings.seconds(test.seconds);
    let got = session.shell(&format!("({}); echo \"status $?\"", test.command), limit)?;
    let lines: Vec<&str> = got.lines().map(str::trim).collect();
    let (answer, status) = match lines.split_last() {
        Some((status, answer)) => (answer.join("\n"), *status),
        None => (String::new(), ""),
    };
    check(status == "status 0", || {
        format!("{status}, after:\n{answer}")
    })?;
    let right = match test.answer {
        Answer::Is(text) => answer == text,
        Answer::Has(text) => answer.contains(text),
    };
    check(right, || {
        format!("the answer was {answer:?}, not {:?}", test.answer)
    })
}

/// Runs the tests of a table; a guest that does not answer is not asked any more.
fn run_table(settings: &Settings, session: &mut Session, tests: &[&Test]) -> (usize, usize) {
    let (mut passed, mut failed) = (0, 0);
    for (done, test) in tests.iter().enumerate() {
        let started = Instant::now();
        let outcome = run(settings, session, test);
        let seconds = started.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => {
                passed += 1;
                println!("ok   {} ({seconds:.1} s)", test.name);
            }
            Err(failure @ harness::Failure::Check(_)) => {
                failed += 1;
                println!("FAIL {} ({seconds:.1} s): {failure}", test.name);
            }
            Err(failure) => {
                failed += tests.len() - done;
                println!(
                    "FAIL {} and all behind it ({seconds:.1} s): {failure}",
                    test.name
                );
                break;
            }
        }
    }
    (passed, failed)
}

/// Boots Debian from `root`, runs its tests, powers off, boots again and verifies its files.
fn run_debian(settings: &Settings, root: Root) -> Outcome<(usize, usize)> {
    let machine = Machine::new(root, &settings.build)?;
    let limit = settings.seconds(180);
    let started = Instant::now();
    let mut session = settings.boot_debian(&machine)?;
    println!("ok   login ({:.1} s)", started.elapsed().as_secs_f64());
    let (passed, failed) = run_table(settings, &mut session, &settings.wanted(debian::TESTS));
    machine.power_off(&mut session, limit)?;
    println!("ok   power off");
    let mut session = settings.boot_debian(&machine)?;
    let again = run_table(settings, &mut session, &[&debian::VERIFY]);
    machine.power_off(&mut session, limit)?;
    Ok((passed + again.0 + 2, failed + again.1))
}

/// How many tests passed and failed.
fn run_all(settings: &Settings) -> Outcome<(usize, usize)> {
    if let Some(root) = settings.root {
        return run_debian(settings, root);
    }
    let mut session = settings.boot()?;
    if let Some(minutes) = settings.soak {
        soak::run(settings, &mut session, minutes)?;
        return Ok((1, 0));
    }
    let tests: Vec<&Test> = tests::TESTS
        .iter()
        .flat_map(|table| settings.wanted(table))
        .collect();
    Ok(run_table(settings, &mut session, &tests))
}

fn main() -> ExitCode {
    let settings = match Settings::parse(std::env::args().skip(1)) {
        Ok(settings) => settings,
        Err(message) => {
            eprintln!("programs: {message}");
            return ExitCode::from(2);
        }
    };
    let (passed, failed) = run_all(&settings).unwrap_or_else(|failure| {
        println!("FAIL: {failure}");
        (0, 1)
    });
    println!("programs: {passed} passed, {failed} failed");
    ExitCode::from(u8::from(failed > 0 || passed == 0))
}
