//! Instruction tests: the self-checking programs of `tests/riscv/insn`, one for each extension and
//! each part of the privileged architecture, run on an emulator.
//!
//! Each `NAME.S` is assembled into a flat image for `-bios` and run alone; the emulator's exit
//! status is the verdict (see `insn/test.h`). Comments that start with `//:` in a file set its
//! options: `//: cpu max,c=off`, `//: smp 4`, `//: args ...` (further options of the emulator).

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use object::{Object, ObjectSegment};

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{0}: {1}")]
    File(PathBuf, std::io::Error),
    #[error("{0} does not start: {1}")]
    Start(String, std::io::Error),
    #[error("{0}")]
    Usage(String),
}

const USAGE: &str = "insntest --emulator 'CMD ...' [--cross 'CMD ...'] [--cpu MODEL] \
    [--slow FACTOR] [--skip NAME] [--list] [NAME ...]";
/// Every instruction that a test may use; what a test is about, its name says.
const MARCH: &str = "-march=rv64imafd_zicsr_zifencei_zicntr_zihpm_zba_zbb_zbc_zbs_zbkb_zicond_\
zicbom_zicbop_zicboz_zihintpause_zfh_zfa_zacas_zabha_zawrs_svinval";
const RAM: u64 = 0x8000_0000;
/// How long a test may take, in seconds; `--slow` multiplies it.
const LIMIT: u32 = 20;
const AT_ONCE: usize = 2;

/// The command line.
struct Config {
    emulator: Vec<String>,
    cross: Vec<String>,
    /// What `max` at the front of a test's CPU becomes.
    cpu: String,
    limit: Duration,
    /// Tests that are left out: for emulators that are not ours.
    skip: Vec<String>,
    names: Vec<String>,
    list: bool,
}

/// One test: its source and what its `//:` lines say.
struct Test {
    name: String,
    source: PathBuf,
    cpu: String,
    smp: String,
    args: Vec<String>,
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_string).collect()
}

fn parse_args() -> Result<Config, Error> {
    let from_env = std::env::var("TINAMOU_CROSS").ok();
    let cross = from_env.unwrap_or_else(|| "build/oracle/riscv64-linux-gnu-gcc".into());
    let mut config = Config {
        emulator: Vec::new(),
        cross: words(&cross),
        cpu: "max".into(),
        limit: Duration::from_secs(LIMIT.into()),
        skip: Vec::new(),
        names: Vec::new(),
        list: false,
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || {
            let missing = || Error::Usage(format!("{arg}: {USAGE}"));
            args.next().ok_or_else(missing)
        };
        match arg.as_str() {
            "--emulator" => config.emulator = words(&value()?),
            "--cross" => config.cross = words(&value()?),
            "--cpu" => config.cpu = value()?,
            "--slow" => {
                let factor = value()?.parse::<u32>();
                let factor = factor.map_err(|_| Error::Usage(format!("--slow: {USAGE}")))?;
                config.limit *= factor;
            }
            "--skip" => config.skip.push(value()?),
            "--list" => config.list = true,
            _ if arg.starts_with('-') => return Err(Error::Usage(format!("{arg}: {USAGE}"))),
            _ => config.names.push(arg),
        }
    }
    if (config.emulator.is_empty() && !config.list) || config.cross.is_empty() {
        return Err(Error::Usage(USAGE.into()));
    }
    Ok(config)
}

/// Reads a test's `//:` lines.
fn read_test(source: PathBuf) -> Result<Test, Error> {
    let text = std::fs::read_to_string(&source).map_err(|e| Error::File(source.clone(), e))?;
    let name = source.file_stem().unwrap_or_default().to_string_lossy();
    let mut test = Test {
        name: name.into_owned(),
        source,
        cpu: "max".into(),
        smp: "1".into(),
        args: Vec::new(),
    };
    for option in text.lines().filter_map(|line| line.strip_prefix("//: ")) {
        match option.split_once(' ') {
            Some(("cpu", cpu)) => test.cpu = cpu.into(),
            Some(("smp", smp)) => test.smp = smp.into(),
            Some(("args", args)) => test.args = words(args),
            _ => return Err(Error::Usage(format!("{}: //: {option}", test.name))),
        }
    }
    Ok(test)
}

/// The tests of the folder, by name; those asked for, or all, without those to be skipped.
fn find_tests(folder: &Path, config: &Config) -> Result<Vec<Test>, Error> {
    let entries = std::fs::read_dir(folder).map_err(|e| Error::File(folder.into(), e))?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut sources: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|ext| ext == "S"))
        .collect();
    sources.sort();
    let tests: Result<Vec<Test>, Error> = sources.into_iter().map(read_test).collect();
    let tests = tests?;
    let mut named = config.names.iter().chain(&config.skip);
    if let Some(name) = named.find(|n| tests.iter().all(|t| t.name != **n)) {
        return Err(Error::Usage(format!("{name}: no such test (see --list)")));
    }
    let Config { names, skip, .. } = config;
    let asked = |test: &Test| {
        (names.is_empty() || names.contains(&test.name)) && !skip.contains(&test.name)
    };
    Ok(tests.into_iter().filter(asked).collect())
}

/// Assembles a test; `Err` says what the compiler said.
fn assemble(config: &Config, test: &Test, folder: &Path, image: &Path) -> Result<(), String> {
    let script = folder.join("flat.ld");
    let program = image.with_extension("elf");
    let output = Command::new(&config.cross[0])
        .args(&config.cross[1..])
        .args(["-nostdlib", "-static", "-fno-pic", "-mno-relax"])
        .args(["-mabi=lp64d", MARCH])
        .args(["-Wl,--build-id=none", "-Wl,--no-warn-rwx-segments"])
        .arg("-T")
        .arg(&script)
        .arg("-o")
        .arg(&program)
        .arg(&test.source)
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("{}: {e}", config.cross[0]))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let elf = std::fs::read(&program).map_err(|e| e.to_string())?;
    let flat = flatten(&elf).map_err(|e| e.to_string())?;
    std::fs::write(image, flat).map_err(|e| e.to_string())
}

/// The bytes of an ELF file's segments, as they lie from the start of RAM.
fn flatten(elf: &[u8]) -> Result<Vec<u8>, object::Error> {
    let file = object::File::parse(elf)?;
    let mut flat = Vec::new();
    for segment in file.segments() {
        let data = segment.data()?;
        let start = segment.address().saturating_sub(RAM) as usize;
        flat.resize(flat.len().max(start + data.len()), 0);
        flat[start..start + data.len()].copy_from_slice(data);
    }
    Ok(flat)
}

/// Runs an image; `Err` says what it printed and how it ended.
fn run(config: &Config, test: &Test, image: &Path) -> Result<(), String> {
    let out = image.with_extension("out");
    let create = || std::fs::File::create(&out).map_err(|e| e.to_string());
    let cpu = match test.cpu.strip_prefix("max") {
        Some(properties) => format!("{}{properties}", config.cpu),
        None => test.cpu.clone(),
    };
    let console = create()?;
    let errors = console.try_clone().map_err(|e| e.to_string())?;
    let mut child = Command::new(&config.emulator[0])
        .args(&config.emulator[1..])
        .args(["-M", "virt", "-display", "none", "-monitor", "none"])
        .args(["-serial", "stdio", "-m", "128M", "-smp", &test.smp])
        .args(["-cpu", &cpu])
        .args(&test.args)
        .arg("-bios")
        .arg(image)
        .stdin(Stdio::null())
        .stdout(console)
        .stderr(errors)
        .spawn()
        .map_err(|e| format!("{}: {e}", config.emulator[0]))?;
    let start = Instant::now();
    let ended = loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => break status.to_string(),
            Ok(None) if start.elapsed() < config.limit => {
                std::thread::sleep(Duration::from_millis(5))
            }
            Ok(None) => break format!("no end within {} s", config.limit.as_secs()),
            Err(e) => break e.to_string(),
        }
    };
    let _ = child.kill();
    let _ = child.wait();
    let text = std::fs::read(&out).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    Err(format!("{} ({ended})", text.trim()))
}

fn work(config: &Config) -> Result<usize, Error> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = home.join("insn");
    let tests = find_tests(&folder, config)?;
    if config.list {
        tests.iter().for_each(|test| println!("{}", test.name));
        return Ok(0);
    }
    Command::new(&config.cross[0])
        .args(&config.cross[1..])
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .map_err(|e| Error::Start(config.cross[0].clone(), e))?;
    let images = home.join("../../target/insntest");
    let images = images.join(std::process::id().to_string());
    std::fs::create_dir_all(&images).map_err(|e| Error::File(images.clone(), e))?;
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(test) = tests.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let image = images.join(format!("{}.bin", test.name));
                    let result = assemble(config, test, &folder, &image)
                        .and_then(|()| run(config, test, &image));
                    match result {
                        Ok(()) => println!("ok     {}", test.name),
                        Err(why) => {
                            println!("FAILED {}: {why}", test.name);
                            failed.lock().expect("no panic inside").push(&test.name);
                        }
                    }
                }
            });
        }
    });
    let _ = std::fs::remove_dir_all(&images);
    let failed = failed.into_inner().expect("no panic inside").len();
    println!("insntest: {} passed, {failed} failed", tests.len() - failed);
    Ok(failed)
}

fn main() -> ExitCode {
    match parse_args().and_then(|config| work(&config)) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("insntest: {error}");
            ExitCode::from(2)
        }
    }
}
