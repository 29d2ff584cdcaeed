//! What is measured beside the time of workloads: the way to the first byte of the guest, the
//! memory of the emulator's process, and the size of what a page would download.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::settings::Emulator;

pub const FIRST_BYTES: &str = "start of the process to the firmware's first line, s";
pub const FIRST_INSTRUCTION: &str = "start of the process to the guest's first instructions, s";
pub const RESIDENT: &str = "memory after the boot, MiB";
pub const PEAK: &str = "most memory until after the workloads, MiB";
/// In the order of the table.
pub const FIGURES: [&str; 4] = [FIRST_INSTRUCTION, FIRST_BYTES, RESIDENT, PEAK];

/// Memory of a process in MiB.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Memory {
    pub resident: f64,
    pub peak: f64,
}

impl Memory {
    /// From the text of `/proc/PID/status`.
    fn parse(status: &str) -> Option<Self> {
        let field = |name: &str| -> Option<f64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
            Some(kib / 1024.0)
        };
        Some(Self {
            resident: field("VmRSS:")?,
            peak: field("VmHWM:")?,
        })
    }
}

/// The process id and the parent's, from the text of `/proc/PID/stat`.
fn parse_stat(stat: &str) -> Option<(u32, u32)> {
    let (pid, rest) = stat.split_once(' ')?;
    // The name of the program may contain anything.
    let (_, rest) = rest.rsplit_once(") ")?;
    Some((pid.parse().ok()?, rest.split(' ').nth(1)?.parse().ok()?))
}

/// `root` and all below it: the emulator may be started by a script.
fn tree(root: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pairs: Vec<(u32, u32)> = entries
        .filter_map(|entry| parse_stat(&fs::read_to_string(entry.path().join("stat")).ok()?))
        .collect();
    let mut found = vec![root];
    let mut index = 0;
    while let Some(parent) = found.get(index).copied() {
        found.extend(pairs.iter().filter(|(_, p)| *p == parent).map(|(p, _)| p));
        index += 1;
    }
    found
}

/// The largest process at or below `root`; `None` where there is no `/proc`.
pub fn memory(root: u32) -> Option<Memory> {
    let status = |pid: u32| fs::read_to_string(format!("/proc/{pid}/status")).ok();
    tree(root)
        .into_iter()
        .filter_map(|pid| Memory::parse(&status(pid)?))
        .max_by(|a, b| a.peak.total_cmp(&b.peak))
}

/// Bytes of a file as it is, and packed.
#[derive(Clone, Debug, PartialEq)]
pub struct Download {
    pub file: String,
    /// Raw, gzip -9, brotli -11.
    pub bytes: [u64; 3],
}

const PACK: &str = "const zlib = require('zlib');
for (const file of process.argv.slice(1)) {
    const bytes = require('fs').readFileSync(file);
    const packed = [zlib.gzipSync(bytes, { level: 9 }), zlib.brotliCompressSync(bytes)];
    console.log([bytes, ...packed].map((packed) => packed.length).join(' '));
}";

/// What belongs to a bundle: the JavaScript, and what has its name otherwise.
fn bundle(script: &str) -> Vec<String> {
    let stem = script.trim_end_matches(".js");
    let path = Path::new(stem);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let wasm = path.with_file_name(format!("{}.wasm", name.replace('-', "_")));
    let candidates = [wasm.to_string_lossy().into_owned(), format!("{stem}.wasm")];
    let module = candidates.into_iter().find(|file| Path::new(file).exists());
    [script.to_string()].into_iter().chain(module).collect()
}

fn pack(node: &str, files: Vec<String>) -> Result<Vec<Download>, String> {
    let output = Command::new(node)
        .args(["-e", PACK])
        .args(&files)
        .output()
        .map_err(|error| format!("{node}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let download = |(file, line): (String, &str)| {
        let numbers: Vec<u64> = line.split(' ').filter_map(|n| n.parse().ok()).collect();
        let bytes = numbers.try_into().ok()?;
        Some(Download { file, bytes })
    };
    let downloads: Vec<_> = files.into_iter().zip(text.lines()).collect();
    let all: Option<Vec<_>> = downloads.into_iter().map(download).collect();
    all.filter(|all| output.status.success() && !all.is_empty())
        .ok_or_else(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The download of each different bundle among the emulators.
pub fn downloads(emulators: &[Emulator]) -> Result<Vec<Download>, String> {
    let mut found: Vec<Download> = Vec::new();
    for emulator in emulators {
        let Some(script) = emulator.script() else {
            continue;
        };
        if found.iter().all(|download| download.file != script) {
            found.extend(pack(&emulator.command[0], bundle(script))?);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_proc() {
        let status = "Name:\tnode\nVmHWM:\t  204800 kB\nVmRSS:\t  102400 kB\n";
        let (resident, peak) = (100.0, 200.0);
        assert_eq!(Memory::parse(status), Some(Memory { resident, peak }));
        assert_eq!(Memory::parse("Name:\tkthreadd\n"), None);
        assert_eq!(parse_stat("12 (a b) c) S 7 12 12 0"), Some((12, 7)));
        assert_eq!(parse_stat(""), None);
    }

    #[test]
    fn a_child_is_in_the_tree() {
        let mut child = Command::new("sleep").arg("10").spawn().unwrap();
        assert!(tree(std::process::id()).contains(&child.id()));
        assert!(memory(child.id()).is_some_and(|memory| memory.peak > 0.0));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
