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
