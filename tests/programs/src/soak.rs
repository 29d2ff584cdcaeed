//! Memory over much churn: short processes one after the other, whose code is loaded, becomes
//! WebAssembly and goes away, while the emulator's resident memory is watched from outside.

use std::time::{Duration, Instant};

use harness::{Failure, Outcome, Session, check};

use crate::Settings;

/// A round takes some seconds; it ends with a number that tells rounds apart.
const ROUND: &str = "openssl dgst -sha256 data >/dev/null; \
     python3 -S -c 'exec(\"def f(n):\\n  return sum(i*i for i in range(n))\\nf(3000)\")' \
     2>/dev/null; \
     gzip -1 -c data | gzip -dc | sort -u | tail -n 1 | md5sum >/dev/null; \
     i=0; while [ $i -lt 60 ]; do /bin/busybox true; i=$((i+1)); done; true";
/// The last third of the time may hold so much more than the second one.
const GROWTH_MAX: f64 = 1.10;

/// Resident memory of a process and what it has started, in MiB.
fn resident_mib(pid: u32) -> Outcome<u64> {
    let path = format!("/proc/{pid}/status");
    let text =
        std::fs::read_to_string(&path).map_err(|e| Failure::Check(format!("{path}: {e}")))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.map(|kib| kib / 1024)
        .ok_or_else(|| Failure::Check(format!("{path} has no VmRSS")))
}

/// The most of the samples between two shares of the time.
fn most(samples: &[u64], from: usize, to: usize) -> u64 {
    let all = samples.len();
    let part = &samples[all * from / 3..all * to / 3];
    part.iter().copied().max().unwrap_or(0)
}

/// Runs rounds for that long; prints a line for each, and fails if memory goes on growing.
pub fn run(settings: &Settings, session: &mut Session, minutes: u64) -> Outcome<()> {
    let started = Instant::now();
    let mut samples = Vec::new();
    while started.elapsed() < Duration::from_secs(60 * minutes) {
        session.shell(ROUND, settings.seconds(120))?;
        let mib = resident_mib(session.pid())?;
        samples.push(mib);
        println!("{:5} s  {mib} MiB", started.elapsed().as_secs());
    }
    let jit = counters(settings, session)?;
    println!("{jit}");
    let (middle, last) = (most(&samples, 1, 2), most(&samples, 2, 3));
    check(samples.len() >= 6, || {
        "too few rounds to say anything".into()
    })?;
    check(last as f64 <= middle as f64 * GROWTH_MAX, || {
        format!("memory went from {middle} to {last} MiB")
    })
}

/// What `info jit` says.
fn counters(settings: &Settings, session: &mut Session) -> Outcome<String> {
    session.send("\x01c");
    session.expect("type 'help'", settings.seconds(20))?;
    session.send("info jit\n");
    let text = session.expect("compile time", settings.seconds(20))?;
    Ok(text)
}
