//! Drives one guest on one emulator: boots it, types the commands, takes the times.

use std::time::Duration;

use harness::{Failure, Outcome, Session};

use crate::count;
use crate::figures;
use crate::results::{Results, Sample};
use crate::scratch::Scratch;
use crate::settings::Settings;
use crate::workloads::{BOOT, Guest, Workload};

/// The options of every machine that is timed; its harts come behind.
const MACHINE: &str = "-M virt -nographic -m 512M -smp";
const PROMPT_LIMIT: Duration = Duration::from_secs(60);
/// Reboots that one run of a guest may need before the rest is given up.
const FAILURES_MAX: usize = 3;

/// The machine's options and `extra` ones.
pub fn machine_args(harts: &str, extra: &[&str]) -> Vec<String> {
    MACHINE
        .split(' ')
        .chain([harts])
        .chain(extra.iter().copied())
        .map(str::to_string)
        .collect()
}

fn boot_args(settings: &Settings, guest: Guest) -> Vec<String> {
    let firmware = settings.file("fw_dynamic.bin");
    let (kernel, initrd) = (settings.file("Image"), settings.file(guest.initrd()));
    let images = ["-bios", &firmware, "-kernel", &kernel, "-initrd", &initrd];
    let extra = [&images[..], &["-append", "console=ttyS0"]].concat();
    machine_args(guest.harts(), &extra)
}

/// A guest at its first prompt. The seconds are from the start of the emulator's process.
struct Booted {
    session: Session,
    /// To the firmware's first bytes.
    first_bytes: f64,
    /// To the prompt.
    prompt: f64,
    /// What its disks are in.
    scratch: Option<Scratch>,
}

fn boot(settings: &Settings, emulator: usize, guest: Guest) -> Outcome<Booted> {
    let command = &settings.emulators[emulator].command;
    let mut args = boot_args(settings, guest);
    let scratch = match guest {
        Guest::Files => Some(Scratch::new().map_err(|e| Failure::Check(format!("scratch: {e}")))?),
        _ => None,
    };
    args.extend(scratch.iter().flat_map(Scratch::options));
    let mut session = Session::start(command, &args)?;
    let since_start = |session: &Session| (session.found_at() - session.started()).as_secs_f64();
    session.expect("OpenSBI", settings.limit)?;
    let first_bytes = since_start(&session);
    session.expect("Tinamou guest ready", settings.limit)?;
    session.expect("# ", settings.limit)?;
    let prompt = since_start(&session);
    // The kernel's messages would get between what is printed.
    session.shell("dmesg -n 1", PROMPT_LIMIT)?;
    Ok(Booted {
        session,
        first_bytes,
        prompt,
        scratch,
    })
}

/// What was between the marker lines, with the time that it took.
pub fn between_markers(session: &mut Session, limit: Duration) -> Outcome<(String, String, f64)> {
    session.expect("[begin]\n", PROMPT_LIMIT)?;
    let begin = session.found_at();
    let output = session.expect("[end ", limit)?;
    let seconds = (session.found_at() - begin).as_secs_f64();
    let status = session.expect("]", PROMPT_LIMIT)?;
    Ok((output, status, seconds))
}

fn one(session: &mut Session, workload: &Workload, limit: Duration) -> Outcome<Sample> {
    if !workload.prepare.is_empty() {
        session.shell(&workload.prepare, limit)?;
    }
    session.send(&format!("timed '{}'\n", workload.command));
    let (output, status, seconds) = between_markers(session, limit)?;
    let mut checksum = output.trim().to_string();
    if status != "0" {
        return Err(Failure::Check(format!(
            "status {status} in the guest: {checksum}"
        )));
    }
    if !workload.check.is_empty() {
        checksum = session.shell(&workload.check, limit)?.trim().to_string();
    }
    if checksum.is_empty() {
        return Err(Failure::Check("no checksum".into()));
    }
    Ok(Sample { seconds, checksum })
}

fn power_off(mut session: Session) -> Outcome<()> {
    session.send("poweroff -f\n");
    let status = session.finish(PROMPT_LIMIT)?;
    harness::check(status == 0, || {
        format!("exit status {status} after poweroff")
    })
}

/// A guest that is up, and whose boot is in the results if that was asked for.
fn booted(
    settings: &Settings,
    emulator: usize,
    guest: Guest,
    results: &mut Results,
) -> Option<(Session, Option<Scratch>)> {
    let timed = settings
        .workloads
        .iter()
        .find(|w| w.name == BOOT && w.guest == guest);
    match boot(settings, emulator, guest) {
        Ok(booted) => {
            let (session, seconds) = (booted.session, booted.prompt);
            eprintln!("bench:   {seconds:9.3} s  boot of {}", guest.initrd());
            if guest == Guest::Base {
                results.add_figure(figures::FIRST_BYTES, emulator, booted.first_bytes);
                if let Some(memory) = figures::memory(session.pid()) {
                    results.add_figure(figures::RESIDENT, emulator, memory.resident);
                }
            }
            if let Some(workload) = timed {
                // The kernel's version stands for a checksum.
                let version = session
                    .text
                    .lines()
                    .find_map(|l| l.split_once("Linux version "));
                let checksum = version.map_or(String::new(), |(_, text)| text.to_string());
                results.add(workload.name, emulator, Sample { seconds, checksum });
            }
            Some((session, booted.scratch))
        }
        Err(failure) => {
            results.fail(
                settings,
                emulator,
                &format!("boot of {}", guest.initrd()),
                &failure,
            );
            None
        }
    }
}

fn one_guest(settings: &Settings, emulator: usize, guest: Guest, results: &mut Results) {
    let workloads = settings.workloads.iter().filter(|w| w.guest == guest);
    let Some((mut session, mut _scratch)) = booted(settings, emulator, guest, results) else {
        return;
    };
    let mut failures = 0;
    for workload in workloads.filter(|w| w.name != BOOT) {
        match one(&mut session, workload, settings.limit) {
            Ok(sample) => {
                eprintln!("bench:   {:9.3} s  {}", sample.seconds, workload.name);
                results.add(workload.name, emulator, sample);
            }
            Err(failure) => {
                results.fail(settings, emulator, workload.name, &failure);
                failures += 1;
                if failures == FAILURES_MAX {
                    return;
                }
                let Ok(again) = boot(settings, emulator, guest) else {
                    return;
                };
                // The old emulator ends before its files do.
                session = again.session;
                _scratch = again.scratch;
            }
        }
    }
    if guest == Guest::Base
        && let Some(memory) = figures::memory(session.pid())
    {
        results.add_figure(figures::PEAK, emulator, memory.peak);
    }
    if let Err(failure) = power_off(session) {
        results.fail(settings, emulator, "power off", &failure);
    }
}

/// A guest of a few instructions, which prints a line: the start of the emulator alone.
fn first_instruction(settings: &Settings, emulator: usize, results: &mut Results) {
    match count::start(settings, emulator, &[]) {
        Ok(session) => {
            let seconds = (session.found_at() - session.started()).as_secs_f64();
            results.add_figure(figures::FIRST_INSTRUCTION, emulator, seconds);
        }
        Err(failure) => results.fail(settings, emulator, "the bare guest", &failure),
    }
}

/// Runs every workload once on one emulator.
pub fn all_guests(settings: &Settings, emulator: usize, results: &mut Results) {
    if settings.workloads.iter().any(|w| w.name == BOOT) {
        first_instruction(settings, emulator, results);
    }
    for guest in Guest::ALL {
        if settings
            .workloads
            .iter()
            .any(|workload| workload.guest == guest)
        {
            one_guest(settings, emulator, guest, results);
        }
    }
}
