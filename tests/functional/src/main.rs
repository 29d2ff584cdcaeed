//! Functional tests: boots Debian's kernel on an emulator and looks at it as a user would.
//!
//! `functional --emulator 'CMD ...' --guest DIR [--oracle 'CMD ...'] [--slow FACTOR] [--jobs N]
//! [--cuts N] [--without PART ...] [NAME ...]` runs the tests of `boots.rs`, `compare.rs`,
//! `files.rs`, `jit.rs`, `power.rs` (with N cuts each) and `bad_input.rs` (those whose names
//! contain one of NAME; only the one test if NAME is the whole of its name; none whose name
//! contains PART), prints a line for each and `N passed, N failed` at the end.

mod bad_input;
mod boots;
mod compare;
mod files;
mod jit;
mod power;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use harness::{Outcome, Session};

/// What is tested, and with which guest.
pub struct Setup {
    pub emulator: Vec<String>,
    pub oracle: Option<Vec<String>>,
    pub guest: PathBuf,
    /// Time limits are multiplied by this.
    pub slow: u64,
    /// How often the tests of `power.rs` cut the power.
    pub cuts: u64,
    /// Tests at a time.
    jobs: usize,
    /// Parts of the names of tests that are left out.
    without: Vec<String>,
}

impl Setup {
    /// A file of the guest.
    pub fn file(&self, name: &str) -> String {
        self.guest.join(name).to_string_lossy().into_owned()
    }

    /// A time limit.
    pub fn seconds(&self, seconds: u64) -> Duration {
        Duration::from_secs(seconds * self.slow)
    }

    /// Options that boot the guest, with `extra` ones.
    pub fn boot_args(&self, extra: &[&str]) -> Vec<String> {
        let mut args: Vec<String> = vec!["-M".into(), "virt".into(), "-nographic".into()];
        for (option, file) in [
            ("-bios", "fw_dynamic.bin"),
            ("-kernel", "Image"),
            ("-initrd", "initrd.cpio.gz"),
        ] {
            args.extend([option.into(), self.file(file)]);
        }
        args.extend(extra.iter().map(|arg| arg.to_string()));
        if !extra.contains(&"-append") {
            args.extend(["-append".into(), "console=ttyS0".into()]);
        }
        if !extra.contains(&"-m") {
            args.extend(["-m".into(), "512M".into()]);
        }
        args
    }

    /// Boots to the shell's prompt.
    pub fn boot(&self, extra: &[&str]) -> Outcome<Session> {
        self.boot_on(&self.emulator, extra)
    }

    /// Boots `command` to the shell's prompt.
    pub fn boot_on(&self, command: &[String], extra: &[&str]) -> Outcome<Session> {
        let mut session = Session::start(command, &self.boot_args(extra))?;
        session.expect("Tinamou guest ready", self.seconds(120))?;
        session.expect("# ", self.seconds(20))?;
        Ok(session)
    }
}

type Test = (&'static str, fn(&Setup) -> Outcome<()>);

fn parse_args() -> Result<(Setup, Vec<String>), String> {
    let mut setup = Setup {
        emulator: Vec::new(),
        oracle: None,
        guest: "build/guest".into(),
        slow: 1,
        cuts: 2,
        jobs: 1,
        without: Vec::new(),
    };
    let mut names = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
        let words = |text: String| text.split_whitespace().map(str::to_string).collect();
        match arg.as_str() {
            "--emulator" => setup.emulator = words(value()?),
            "--oracle" => setup.oracle = Some(words(value()?)),
            "--guest" => setup.guest = value()?.into(),
            "--slow" => setup.slow = value()?.parse().map_err(|_| "--slow needs a number")?,
            "--cuts" => setup.cuts = value()?.parse().map_err(|_| "--cuts needs a number")?,
            "--jobs" => setup.jobs = value()?.parse().map_err(|_| "--jobs needs a number")?,
            "--without" => setup.without.push(value()?),
            _ if arg.starts_with('-') => return Err(format!("unknown option {arg}")),
            _ => names.push(arg),
        }
    }
    if setup.emulator.is_empty() {
        Err("--emulator 'CMD ...' is needed".into())
    } else {
        Ok((setup, names))
    }
}

/// Runs the tests, `jobs` at a time; returns how many passed and failed.
fn run(setup: &Setup, tests: &[Test], jobs: usize) -> (usize, usize) {
    let (next, passed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let worker = || {
        while let Some((name, test)) = tests.get(next.fetch_add(1, Ordering::Relaxed)) {
            let start = Instant::now();
            let outcome = test(setup);
            let seconds = start.elapsed().as_secs_f64();
            match outcome {
                Ok(()) => {
                    passed.fetch_add(1, Ordering::Relaxed);
                    println!("ok   {name} ({seconds:.1} s)");
                }
                Err(failure) => println!("FAIL {name} ({seconds:.1} s): {failure}"),
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(worker);
        }
    });
    let passed = passed.into_inner();
    (passed, tests.len() - passed)
}

/// The tests that `names` ask for; all if there are none.
fn selected(tests: &[Test], names: &[String]) -> Vec<Test> {
    let whole = |part: &String| tests.iter().any(|(name, _)| name == part);
    let wanted = |name: &str| {
        let matches = |part: &String| match whole(part) {
            true => name == part,
            false => name.contains(part.as_str()),
        };
        names.is_empty() || names.iter().any(matches)
    };
    let wanted = tests.iter().filter(|(name, _)| wanted(name));
    wanted.copied().collect()
}

fn main() -> ExitCode {
    let (setup, names) = match parse_args() {
        Ok(parsed) => parsed,
        Err(message) => {
            eprintln!("functional: {message}");
            return ExitCode::from(2);
        }
    };
    let mut tests = selected(
        &[
            boots::TESTS,
            files::TESTS,
            jit::TESTS,
            power::TESTS,
            bad_input::TESTS,
            compare::TESTS,
        ]
        .concat(),
        &names,
    );
    for part in &setup.without {
        tests.retain(|(name, _)| !name.contains(part.as_str()));
    }
    let (passed, failed) = run(&setup, &tests, setup.jobs);
    println!("functional: {passed} passed, {failed} failed");
    if failed == 0 && passed > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_name_is_one_test() {
        let all: Vec<Test> = [boots::TESTS, jit::TESTS].concat();
        let names = |wanted: &[&str]| -> Vec<&str> {
            let wanted: Vec<String> = wanted.iter().map(|name| name.to_string()).collect();
            selected(&all, &wanted).iter().map(|test| test.0).collect()
        };
        assert_eq!(names(&["icount"]), ["icount"]);
        assert_eq!(names(&["jit_ic"]), ["jit_icount"]);
        assert_eq!(names(&[]).len(), all.len());
    }
}
