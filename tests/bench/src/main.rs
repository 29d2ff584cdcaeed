//! Benchmark driver: boots the same guests on several emulators in turn, several times, times work
//! in them from outside, and prints medians and their ratios to native QEMU in the same run.
//! `docs/benchmarks.md` says how to use it.
//!
//! **Invariant:** no clock of a guest is believed. A piece of work lies between two lines on the
//! console, and the time is that of their arrival on the host. A wrong checksum fails the run.

mod count;
mod figures;
mod json;
mod machine;
mod report;
mod results;
mod run;
mod scratch;
mod settings;
mod workloads;

use std::process::ExitCode;

use machine::Machine;
use results::Results;
use settings::Settings;

fn write_reports(settings: &Settings, machine: &Machine, results: &Results) -> Result<(), String> {
    let text = report::markdown(settings, machine, results);
    println!("{text}");
    if let Some(path) = &settings.out {
        let json = report::json(settings, machine, results);
        std::fs::write(path, format!("{json}\n")).map_err(|e| format!("--out {path}: {e}"))?;
    }
    if let Some(path) = &settings.record {
        report::record(path, &text).map_err(|e| format!("--record {path}: {e}"))?;
    }
    Ok(())
}

fn main() -> ExitCode {
    let settings = match Settings::parse(std::env::args().skip(1)) {
        Ok(settings) => settings,
        Err(message) => {
            eprintln!("bench: {message}");
            return ExitCode::from(2);
        }
    };
    let machine = Machine::of_host(&settings.emulators);
    let mut results = Results::new(settings.baseline);
    for run in 1..=settings.runs {
        for emulator in 0..settings.emulators.len() {
            eprintln!(
                "bench: run {run} of {}, {}",
                settings.runs, settings.emulators[emulator].name
            );
            run::all_guests(&settings, emulator, &mut results);
        }
    }
    if settings.icount {
        count::all(&settings, &mut results);
    }
    match figures::downloads(&settings.emulators) {
        Ok(downloads) => results.downloads = downloads,
        Err(why) => results
            .failures
            .push(format!("size of the download: {why}")),
    }
    results.compare_checksums(&settings);
    if let Err(message) = write_reports(&settings, &machine, &results) {
        eprintln!("bench: {message}");
        return ExitCode::FAILURE;
    }
    for failure in &results.failures {
        eprintln!("bench: FAILED {failure}");
    }
    if results.failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
