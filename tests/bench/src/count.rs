//! `--icount`: guest instructions per second. The integer kernels run without an operating system
//! (`guest/bare.c`); their instructions are counted under `-icount shift=0,sleep=off`, where
//! `minstret` is exact, and their time is taken without it.

use harness::{Failure, Outcome, Session};

use crate::results::{Counted, Results};
use crate::run;
use crate::settings::Settings;
use crate::workloads::{self, INTEGER, QUICK_DIVISOR};

const ICOUNT: &[&str] = &["-icount", "shift=0,sleep=off"];

/// What one run of a kernel gave.
struct Bare {
    instructions: u64,
    checksum: String,
    seconds: f64,
}

/// A machine whose guest is the integer kernels alone.
pub fn start(settings: &Settings, emulator: usize, extra: &[&str]) -> Outcome<Session> {
    let image = settings.file("bare.bin");
    let mut args = run::machine_args("1", &["-bios", &image]);
    args.extend(extra.iter().map(|arg| arg.to_string()));
    let mut session = Session::start(&settings.emulators[emulator].command, &args)?;
    session.expect("bare ready\n", settings.limit)?;
    Ok(session)
}

fn one(settings: &Settings, session: &mut Session, kernel: &str, rounds: u64) -> Outcome<Bare> {
    session.send(&format!("{kernel} {rounds}\n"));
    let (_, count, seconds) = run::between_markers(session, settings.limit)?;
    let instructions = count
        .parse()
        .map_err(|_| Failure::Check(format!("{count:?} is not a count")))?;
    let checksum = session.expect("\n", settings.limit)?.trim().to_string();
    Ok(Bare {
        instructions,
        checksum,
        seconds,
    })
}

/// Each of `kernels` once, in one boot.
fn several(
    settings: &Settings,
    emulator: usize,
    extra: &[&str],
    kernels: &[(&'static str, u64)],
) -> Outcome<Vec<Bare>> {
    let mut session = start(settings, emulator, extra)?;
    let mut found = Vec::new();
    for (kernel, rounds) in kernels {
        if extra.is_empty() {
            // Engines that compile themselves while they run get to their speed.
            one(
                settings,
                &mut session,
                kernel,
                (rounds / QUICK_DIVISOR).max(1),
            )?;
        }
        let bare = one(settings, &mut session, kernel, *rounds)?;
        let mode = if extra.is_empty() { "" } else { " (counted)" };
        eprintln!("bench:   {:9.3} s  bare {kernel}{mode}", bare.seconds);
        found.push(bare);
    }
    session.send("quit\n");
    session.finish(settings.limit)?;
    Ok(found)
}

/// The counts at a small scale must agree: `minstret` under `-icount` is part of what is emulated.
fn compare_counts(settings: &Settings, kernels: &[(&'static str, u64)], results: &mut Results) {
    let small: Vec<_> = kernels
        .iter()
        .map(|(name, rounds)| (*name, (rounds / QUICK_DIVISOR).max(1)))
        .collect();
    let Ok(right) = several(settings, settings.baseline, ICOUNT, &small) else {
        return;
    };
    for emulator in (0..settings.emulators.len()).filter(|index| *index != settings.baseline) {
        match several(settings, emulator, ICOUNT, &small) {
            Ok(ours) => {
                for ((ours, right), (name, _)) in ours.iter().zip(&right).zip(&small) {
                    if ours.instructions != right.instructions {
                        let (ours, right) = (ours.instructions, right.instructions);
                        let why = format!("{ours} instructions counted, not {right}");
                        results.fail(settings, emulator, &format!("bare {name}"), &why);
                    }
                }
            }
            Err(failure) => results.fail(settings, emulator, "bare -icount", &failure),
        }
    }
}

fn time(
    settings: &Settings,
    right: &[Bare],
    results: &mut Results,
    kernels: &[(&'static str, u64)],
) {
    for _ in 0..settings.runs {
        for emulator in 0..settings.emulators.len() {
            match several(settings, emulator, &[], kernels) {
                Ok(found) => {
                    for (index, bare) in found.iter().enumerate() {
                        results.counted[index].seconds[emulator].push(bare.seconds);
                        if bare.checksum != right[index].checksum {
                            let what = format!("bare {}", kernels[index].0);
                            results.fail(settings, emulator, &what, &"wrong answer");
                        }
                    }
                }
                Err(failure) => results.fail(settings, emulator, "bare", &failure),
            }
        }
    }
}

/// Counts on the baseline, compares the counting of the others, and times all.
pub fn all(settings: &Settings, results: &mut Results) {
    let kernels: Vec<_> = workloads::chosen(&[INTEGER.to_string()], settings.quick)
        .iter()
        .map(|workload| (workload.name, workload.rounds))
        .collect();
    let right = match several(settings, settings.baseline, ICOUNT, &kernels) {
        Ok(right) => right,
        Err(failure) => return results.fail(settings, settings.baseline, "bare -icount", &failure),
    };
    results.counted = kernels
        .iter()
        .zip(&right)
        .map(|((kernel, _), bare)| Counted {
            kernel,
            instructions: bare.instructions,
            seconds: vec![Vec::new(); settings.emulators.len()],
        })
        .collect();
    compare_counts(settings, &kernels, results);
    time(settings, &right, results, &kernels);
}
