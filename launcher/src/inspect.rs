//! `launcher inspect`: what is in a folder.

use std::fs;
use std::path::{Path, PathBuf};

use block::chunked::format::{INDEX_BYTES_MAX, Index, pack_name};
use serde_json::Value;

use crate::machine;

#[derive(clap::Args, Debug)]
pub struct Options {
    /// The folder that convert made
    pub folder: PathBuf,
}

pub fn inspect(options: &Options) -> Result<(), String> {
    let machine = machine::read(&options.folder)?;
    let text = |key: &str| match machine.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => "-".into(),
    };
    for key in ["title", "arch", "memory", "cpus", "append"] {
        println!("{key:12}{}", text(key));
    }
    for key in ["argv", "env", "cwd", "user"] {
        let value = machine.pointer(&format!("/entrypoint/{key}"));
        println!("{key:12}{}", value.unwrap_or(&Value::Null));
    }
    let files = machine.get("files").and_then(Value::as_object);
    for (key, name) in files.into_iter().flatten() {
        let path = options.folder.join(name.as_str().unwrap_or_default());
        let size = fs::metadata(&path).map(|meta| meta.len());
        let size = size.map_err(|error| format!("'{}': {error}", path.display()))?;
        println!("{key:12}{} KiB", size.div_ceil(1024));
        if key == "disk" {
            disk(&path)?;
        }
    }
    Ok(())
}

fn disk(path: &Path) -> Result<(), String> {
    let fail = |reason: String| format!("'{}': {reason}", path.display());
    let size = fs::metadata(path).map(|meta| meta.len());
    if size.map_err(|error| fail(error.to_string()))? > INDEX_BYTES_MAX {
        return Err(fail("it is too large".into()));
    }
    let bytes = fs::read(path).map_err(|error| fail(error.to_string()))?;
    let index = Index::parse(&bytes).map_err(fail)?;
    let stored: u64 = index
        .uniques
        .iter()
        .map(|unique| u64::from(unique.length))
        .sum();
    let used = index.chunks.iter().filter(|chunk| **chunk != 0).count();
    println!("{:12}{} MiB", "  size", index.disk_bytes >> 20);
    println!(
        "{:12}{} of {} bytes",
        "  chunks",
        index.chunks.len(),
        index.chunk_bytes
    );
    println!(
        "{:12}{used}, {} of them different",
        "  used",
        index.uniques.len()
    );
    println!(
        "{:12}{}, {} KiB",
        "  packs",
        index.packs,
        stored.div_ceil(1024)
    );
    for pack in 0..index.packs {
        let name = pack_name(&path.to_string_lossy(), pack);
        fs::metadata(&name).map_err(|error| format!("'{name}': {error}"))?;
    }
    Ok(())
}
