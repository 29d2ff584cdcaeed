//! `machine.json`: what a static folder says of itself (`docs/converting.md`).

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

pub const NAME: &str = "machine.json";
pub const VERSION: u64 = 1;
pub const KERNEL: &str = "kernel";
pub const INITRD: &str = "initrd";
pub const BIOS: &str = "bios";
pub const DISK: &str = "disk";

/// What the guest writes is gone at its end.
pub const IN_MEMORY: &str = "memory";
/// The part of the drive's option that who keeps what is written replaces by `overlay=...`.
const FORGETS: &str = "snapshot=on";

/// The emulator's option for the disk.
pub fn drive(file: &str) -> String {
    format!("file={file},format=chunked,{FORGETS},if=virtio")
}

/// Only names that are the same in options, URLs and files.
pub fn check_overlay(overlay: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let name = overlay.strip_prefix("opfs:").unwrap_or_default();
    match overlay == IN_MEMORY
        || !name.is_empty() && !name.starts_with('.') && name.chars().all(plain)
    {
        true => Ok(()),
        false => Err(format!(
            "--overlay {overlay}: it is {IN_MEMORY}, or opfs: and a name of letters, digits, \
             '.', '_' and '-'"
        )),
    }
}

/// The options, with what the guest writes kept in `file`.
pub fn keep_writes(args: &mut [String], file: &str) -> Result<(), String> {
    let drive = args
        .iter_mut()
        .find(|arg| arg.starts_with("file=") && arg.contains(FORGETS));
    let drive = drive.ok_or("--overlay: the machine has no disk that forgets what is written")?;
    let kept = format!("overlay={}", file.replace(',', ",,"));
    *drive = drive.replacen(FORGETS, &kept, 1);
    Ok(())
}

/// What the entrypoint is, in the words of the control port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entrypoint {
    pub argv: Vec<String>,
    /// In order, each key once.
    pub env: Vec<(String, String)>,
    pub cwd: String,
    pub user: String,
}

impl Entrypoint {
    pub fn set_env(&mut self, key: &str, value: &str) {
        self.env.retain(|(known, _)| known != key);
        self.env.push((key.into(), value.into()));
    }

    pub fn document(&self) -> Value {
        let env = self
            .env
            .iter()
            .map(|(key, value)| (key.clone(), json!(value)));
        json!({
            "argv": self.argv,
            "env": Value::Object(env.collect()),
            "cwd": self.cwd,
            "user": self.user,
            "tty": true,
        })
    }
}

/// Reads and checks the document of a folder.
pub fn read(folder: &Path) -> Result<Value, String> {
    let path = folder.join(NAME);
    let fail = |reason: String| format!("'{}': {reason}", path.display());
    let bytes = fs::read(&path).map_err(|error| fail(error.to_string()))?;
    let value: Value = serde_json::from_slice(&bytes).map_err(|error| fail(error.to_string()))?;
    match value.get("version").and_then(Value::as_u64) {
        Some(VERSION) => Ok(value),
        Some(other) => Err(fail(format!("its version {other} is not {VERSION}"))),
        None => Err(fail("it has no version".into())),
    }
}

/// The options of the emulator.
pub fn args(machine: &Value) -> Vec<String> {
    let args = machine.get("args").and_then(Value::as_array);
    let args = args.into_iter().flatten().filter_map(Value::as_str);
    args.map(String::from).collect()
}
