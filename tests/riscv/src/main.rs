//! Differential test: random instruction sequences and programs on native QEMU and on Tinamou.
//!
//! Both run the same M-mode program on their `virt` machine; every sequence prints a digest of all
//! registers, `fcsr`, the trap and memory. Where two digests differ, the sequence is run alone with
//! everything printed. See `docs/testing.md` for the commands.

mod asm;
mod flow;
mod image;
mod random;
mod sequence;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use flow::Features;
use image::Batch;
use sequence::{GROUP_NAMES, Generator};

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{0}: {1}")]
    Run(String, std::io::Error),
    #[error("{name} printed nothing for {} s (seed {seed}, sequence {index})", QUIET.as_secs())]
    Hang { name: String, seed: u64, index: u64 },
    #[error("{0}: {1} lines instead of {2} (seed {3}, sequences from {4}); stderr: {5}")]
    Lines(String, usize, usize, u64, u64, String),
    #[error("{0}")]
    Usage(String),
}

/// The command line.
struct Config {
    oracle: Vec<String>,
    tested: Vec<String>,
    oracle_cpu: String,
    tested_cpu: String,
    group: String,
    seed: u64,
    first: u64,
    count: u64,
    batch: u64,
    length: usize,
    /// Mute operations of a differing program as long as it differs.
    shrink: bool,
    /// Where images are kept.
    keep: Option<PathBuf>,
}

const USAGE: &str = "difftest --oracle 'CMD ...' --tested 'CMD ...' [--cpu MODEL] \
[--oracle-cpu MODEL] [--group GROUP] [--seed N] [--first N] [--count N] [--batch N] [--length N] \
[--shrink 1] [--keep FOLDER]";
/// QEMU's model with just what Tinamou's `max` has.
const ORACLE_CPU: &str = "rv64,h=off,zacas=on,zabha=on,zicond=on,zfh=on,zcb=on,zbkb=on,\
zimop=on,zcmop=on,svinval=on,svnapot=on,svpbmt=on,smstateen=on,sscofpmf=on";
/// An emulator that prints nothing for so long hangs.
const QUIET: Duration = Duration::from_secs(30);

fn parse_args() -> Result<Config, Error> {
    let mut config = Config {
        oracle: vec!["qemu-system-riscv64".into()],
        tested: Vec::new(),
        oracle_cpu: ORACLE_CPU.into(),
        tested_cpu: "max".into(),
        group: "all".into(),
        seed: 1,
        first: 0,
        count: 1000,
        batch: 100,
        length: 30,
        shrink: false,
        keep: None,
    };
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        let value = args
            .next()
            .ok_or_else(|| Error::Usage(format!("{name}: {USAGE}")))?;
        let words = || value.split_whitespace().map(str::to_string).collect();
        let number = || {
            value
                .parse::<u64>()
                .map_err(|_| Error::Usage(format!("{name} {value}")))
        };
        match name.as_str() {
            "--oracle" => config.oracle = words(),
            "--tested" => config.tested = words(),
            "--cpu" => config.tested_cpu = value,
            "--oracle-cpu" => config.oracle_cpu = value,
            "--group" => config.group = value,
            "--seed" => config.seed = number()?,
            "--first" => config.first = number()?,
            "--count" => config.count = number()?,
            "--batch" => config.batch = number()?.clamp(1, 500),
            "--shrink" => config.shrink = number()? != 0,
            "--keep" => config.keep = Some(value.into()),
            "--length" => config.length = number()?.clamp(1, 60) as usize,
            _ => return Err(Error::Usage(format!("{name}: {USAGE}"))),
        }
    }
    if config.tested.is_empty() {
        return Err(Error::Usage(USAGE.into()));
    }
    Ok(config)
}

/// Runs `program` on one emulator and returns the lines it printed.
fn run(
    config: &Config,
    command: &[String],
    cpu: &str,
    program: &Path,
    batch: &Batch<'_>,
    lines: usize,
) -> Result<Vec<String>, Error> {
    let name = command[0].clone();
    // The emulators run side by side.
    let side = if command == config.oracle {
        "oracle"
    } else {
        "tested"
    };
    let out = program.with_extension(format!("{side}.out"));
    let err = program.with_extension(format!("{side}.err"));
    let create = |path: &Path| std::fs::File::create(path).map_err(|e| Error::Run(name.clone(), e));
    let mut child = Command::new(&command[0])
        .args(&command[1..])
        .args([
            "-M", "virt", "-m", "64M", "-display", "none", "-monitor", "none",
        ])
        .args(["-serial", "stdio", "-cpu", cpu, "-bios"])
        .arg(program)
        .stdin(Stdio::null())
        .stdout(create(&out)?)
        .stderr(create(&err)?)
        .spawn()
        .map_err(|e| Error::Run(name.clone(), e))?;
    if !ends(&mut child, &out).map_err(|e| Error::Run(name.clone(), e))? {
        let (seed, per_sequence) = (batch.seed, lines as u64 / batch.count);
        let done = (whole_lines(&out) / per_sequence).min(batch.count - 1);
        let index = batch.first + done;
        return Err(Error::Hang { name, seed, index });
    }
    let text = std::fs::read_to_string(&out).map_err(|e| Error::Run(name.clone(), e))?;
    let got: Vec<String> = text.lines().map(|line| line.trim().to_string()).collect();
    if got.len() != lines {
        let stderr = std::fs::read_to_string(&err).unwrap_or_default();
        return Err(Error::Lines(
            name,
            got.len(),
            lines,
            batch.seed,
            batch.first,
            stderr,
        ));
    }
    Ok(got)
}

/// Waits for the end of an emulator; false, and it is killed, when it prints nothing any more.
fn ends(child: &mut Child, out: &Path) -> std::io::Result<bool> {
    let (mut printed, mut since) = (0, Instant::now());
    while child.try_wait()?.is_none() {
        let now = std::fs::metadata(out)?.len();
        if now != printed {
            (printed, since) = (now, Instant::now());
        } else if since.elapsed() > QUIET {
            child.kill()?;
            child.wait()?;
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(true)
}

fn whole_lines(out: &Path) -> u64 {
    let bytes = std::fs::read(out).unwrap_or_default();
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// What the oracle and the tested emulator print.
fn run_both(
    config: &Config,
    program: &Path,
    batch: &Batch<'_>,
    lines: usize,
) -> Result<(Vec<String>, Vec<String>), Error> {
    let both = std::thread::scope(|scope| {
        let (oracle, cpu) = (&config.oracle, &config.oracle_cpu);
        let want = scope.spawn(|| run(config, oracle, cpu, program, batch, lines));
        let got = run(
            config,
            &config.tested,
            &config.tested_cpu,
            program,
            batch,
            lines,
        );
        (want.join().expect("no panic in run"), got)
    });
    Ok((both.0?, both.1?))
}

/// Windows where QEMU's machine has something that ours lacks (PCI Express, flash, platform bus),
/// or answers otherwise as the manual allows (atomic operations on ROM and devices fault here).
const OTHER_WINDOWS: &[std::ops::Range<u64>] = &[
    0x0000_1000..0x0001_0000,
    0x0010_0000..0x0010_2000,
    0x0300_0000..0x0301_0000,
    0x0400_0000..0x0600_0000,
    0x2000_0000..0x2400_0000,
    0x3000_0000..0x8000_0000,
    0x4_0000_0000..0x8_0000_0000,
];

/// The tested side took an access fault in one of those windows.
fn hit_other_window(dump: &[String]) -> bool {
    let number = |line: usize| u64::from_str_radix(&dump[line], 16).unwrap_or(0);
    let (mcause, mtval) = (number(65), number(66));
    matches!(mcause, 1 | 5 | 7) && OTHER_WINDOWS.iter().any(|window| window.contains(&mtval))
}

/// Runs one sequence alone and says what differs; true unless the machines may differ there.
fn explain(config: &Config, batch: &Batch<'_>, index: u64, folder: &Path) -> Result<bool, Error> {
    let single = Batch {
        first: index,
        count: 1,
        dump: true,
        ..batch.clone()
    };
    let dump_lines = image::dump_lines(batch);
    let program = folder.join("single.bin");
    let image = image::build(&single);
    std::fs::write(&program, image).map_err(|e| Error::Run("single.bin".into(), e))?;
    let (mut want, mut got) = run_both(config, &program, &single, dump_lines)?;
    let mut single = single;
    if config.shrink && want != got {
        single = shrink(config, single, &program)?;
        (want, got) = run_both(config, &program, &single, dump_lines)?;
    }
    // Alone it lies at other addresses; where that matters, it is run after its neighbours.
    let (want, got) = if want == got {
        rerun_in_batch(config, batch, index, &program)?
    } else {
        (want, got)
    };
    if batch.features.is_none() && hit_other_window(&got) {
        return Ok(false);
    }
    let code = image::sequence_code(&single, index);
    let hex: Vec<String> = code.iter().map(|byte| format!("{byte:02x}")).collect();
    println!(
        "sequence {index} of seed {} differs; code: {}",
        batch.seed,
        hex.join("")
    );
    print_differences(batch, &want, &got);
    Ok(true)
}

/// Mutes operations of a program, many at first, as long as it differs. The image is left there.
fn shrink<'a>(config: &Config, mut batch: Batch<'a>, program: &Path) -> Result<Batch<'a>, Error> {
    let count = image::operations(&batch, batch.first);
    let lines = image::dump_lines(&batch);
    let write = |batch: &Batch<'_>| {
        std::fs::write(program, image::build(batch)).map_err(|e| Error::Run("image".into(), e))
    };
    batch.muted = vec![false; count];
    let mut size = count.div_ceil(2);
    while size > 0 {
        for start in (0..count).step_by(size) {
            let range = start..count.min(start + size);
            if batch.muted[range.clone()].iter().all(|muted| *muted) {
                continue;
            }
            let mut fewer = batch.clone();
            fewer.muted[range].fill(true);
            write(&fewer)?;
            // A program that hangs now is another one.
            if run_both(config, program, &fewer, lines).is_ok_and(|(want, got)| want != got) {
                batch = fewer;
            }
        }
        size /= 2;
    }
    write(&batch)?;
    let left = batch.muted.iter().filter(|muted| !**muted).count();
    println!("shrunk: {left} of {count} operations left");
    Ok(batch)
}

fn print_differences(batch: &Batch<'_>, want: &[String], got: &[String]) {
    for (line, (want, got)) in want
        .iter()
        .zip(got)
        .enumerate()
        .filter(|(_, (w, g))| w != g)
        .take(40)
    {
        println!(
            "  {}: oracle {want}, tested {got}",
            image::dump_line_name(batch, line)
        );
    }
}

/// What both print of a sequence when its whole batch runs.
fn rerun_in_batch(
    config: &Config,
    batch: &Batch<'_>,
    index: u64,
    program: &Path,
) -> Result<(Vec<String>, Vec<String>), Error> {
    let whole = Batch {
        dump: true,
        ..batch.clone()
    };
    std::fs::write(program, image::build(&whole)).map_err(|e| Error::Run("batch".into(), e))?;
    let dump_lines = image::dump_lines(batch);
    let lines = dump_lines * batch.count as usize;
    let (want, got) = run_both(config, program, &whole, lines)?;
    let start = dump_lines * (index - batch.first) as usize;
    let of = |lines: Vec<String>| lines[start..start + dump_lines].to_vec();
    Ok((of(want), of(got)))
}

/// Compares one batch; returns the numbers of sequences that differ.
fn compare(config: &Config, batch: &Batch<'_>, folder: &Path) -> Result<Vec<u64>, Error> {
    let program = folder.join("batch.bin");
    std::fs::write(&program, image::build(batch)).map_err(|e| Error::Run("batch.bin".into(), e))?;
    let lines = batch.count as usize;
    let (want, got) = run_both(config, &program, batch, lines)?;
    let differing = want
        .iter()
        .zip(&got)
        .enumerate()
        .filter(|(_, (w, g))| w != g);
    Ok(differing.map(|(i, _)| batch.first + i as u64).collect())
}

/// What programs have besides, if `group` is one of programs; and where operations are drawn from.
fn choose(group: &str) -> Result<(Option<Features>, Generator), Error> {
    let features = flow::GROUPS.iter().find(|(name, _)| *name == group);
    let features = features.map(|(_, features)| *features);
    let generator = Generator::new(features.map_or(group, |_| "all"));
    if generator.is_empty() {
        let groups = GROUP_NAMES.join(", ");
        let programs = flow::GROUPS.map(|(name, _)| name).join(", ");
        let message =
            format!("--group {group}: take {groups}, {programs} or an instruction's name");
        return Err(Error::Usage(message));
    }
    Ok((features, generator))
}

fn work(config: &Config) -> Result<u64, Error> {
    let (features, generator) = choose(&config.group)?;
    let folder = work_folder(config)?;
    let (mut failures, mut done, mut skipped) = (0, 0, 0);
    // A sequence that the oracle does not come out of: what lies before it is compared, it is not.
    let mut hanging = u64::MAX;
    while done < config.count {
        let first = config.first + done;
        if first == hanging {
            skipped += 1;
            done += 1;
            continue;
        }
        let mut count = config.batch.min(config.count - done);
        if hanging > first {
            count = count.min(hanging - first);
        }
        let (seed, length) = (config.seed, config.length);
        let batch = Batch {
            generator: &generator,
            seed,
            first,
            count,
            length,
            dump: false,
            features,
            muted: Vec::new(),
        };
        match compare(config, &batch, &folder) {
            Ok(differing) => {
                for index in differing {
                    failures += u64::from(explain(config, &batch, index, &folder)?);
                }
            }
            // A sequence ran into an endless loop of its own making (it executes data at times).
            Err(Error::Hang { name, index, .. }) if name == config.oracle[0] => {
                hanging = index;
                continue;
            }
            Err(error) => return Err(error),
        }
        done += count;
        eprintln!(
            "difftest {}: {done}/{} sequences, {failures} differ",
            config.group, config.count
        );
        if failures >= 20 {
            break;
        }
    }
    if config.keep.is_none() {
        let _ = std::fs::remove_dir_all(&folder);
    }
    if skipped * 4 > done {
        return Err(Error::Usage(
            "the oracle hung in more than a quarter".into(),
        ));
    }
    println!(
        "difftest {}: seed {}, {done} sequences, {failures} differ, {skipped} skipped",
        config.group, config.seed
    );
    Ok(failures)
}

fn work_folder(config: &Config) -> Result<PathBuf, Error> {
    let own = || std::env::temp_dir().join(format!("tinamou-difftest-{}", std::process::id()));
    let folder = config.keep.clone().unwrap_or_else(own);
    std::fs::create_dir_all(&folder).map_err(|e| Error::Run(folder.display().to_string(), e))?;
    Ok(folder)
}

fn main() -> ExitCode {
    match parse_args().and_then(|config| work(&config)) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("difftest: {error}");
            ExitCode::from(2)
        }
    }
}
