//! The circumstances of a run: a number without them says nothing.

use std::process::Command;

use crate::settings::Emulator;

/// What is known of the host.
pub struct Machine {
    /// Pairs of a name and a value, in the order in which they are shown.
    pub facts: Vec<(&'static str, String)>,
    /// The first line of each emulator's `-version`, and the engine that runs it if there is one.
    pub versions: Vec<String>,
}

/// The first line that a program prints; empty when it cannot be run.
fn first_line(command: &[&str]) -> String {
    let output = Command::new(command[0]).args(&command[1..]).output();
    let text = output.map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&text)
        .lines()
        .next()
        .unwrap_or("")
        .trim()
        .to_string()
}

fn cpu_model() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find(|line| line.starts_with("model name"));
    let value = model.and_then(|line| line.split_once(": "));
    value.map_or("unknown".to_string(), |(_, value)| value.to_string())
}

fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("").to_string()
}

fn revision() -> String {
    let commit = first_line(&["git", "rev-parse", "--short", "HEAD"]);
    let changed = first_line(&["git", "status", "--porcelain", "--untracked-files=no"]);
    if changed.is_empty() {
        commit
    } else {
        format!("{commit} and changes")
    }
}

/// An engine of JavaScript by its own name and version.
fn engine(program: &str) -> String {
    let name = std::path::Path::new(program).file_stem();
    let name = name.unwrap_or_default().to_string_lossy();
    format!("{name} {}", first_line(&[program, "--version"]))
}

impl Machine {
    pub fn of_host(emulators: &[Emulator]) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let facts = vec![
            ("date", first_line(&["date", "-u", "+%Y-%m-%d %H:%M UTC"])),
            ("revision", revision()),
            ("cpu", cpu_model()),
            ("cores", cores.to_string()),
            ("load at start", load()),
            ("system", first_line(&["uname", "-sr"])),
        ];
        let version = |emulator: &Emulator| {
            let mut command: Vec<&str> = emulator.command.iter().map(String::as_str).collect();
            command.push("-version");
            let version = first_line(&command);
            match emulator.script() {
                Some(_) => format!("{version}, on {}", engine(&emulator.command[0])),
                None => version,
            }
        };
        Self {
            facts,
            versions: emulators.iter().map(version).collect(),
        }
    }
}
