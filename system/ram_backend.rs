//! The guest's RAM: fresh memory, or what `-machine memory-backend=` names (QEMU's
//! `backends/hostmem*.c`).

use std::fs::{File, OpenOptions};
use std::ops::Range;

use util::mmap_alloc::{FileBacking, RamBlock};

use crate::options::{MemoryBackend, MemoryFile, Options};

fn backend(options: &Options) -> Option<&MemoryBackend> {
    options
        .objects
        .memory(options.machine.memory_backend.as_deref()?)
}

/// How much RAM the options ask for.
pub fn bytes(options: &Options) -> Option<u64> {
    let backend = backend(options).map(|backend| backend.bytes);
    backend.or(options.ram_bytes)
}

/// Memory for the RAM at `range`. Errors are sentences that name the option.
pub fn open(options: &Options, range: &Range<u64>) -> Result<RamBlock, String> {
    let bytes = range.end - range.start;
    let Some(backend) = backend(options) else {
        return RamBlock::alloc(bytes).map_err(|error| format!("-m: {error}"));
    };
    let refuse = |reason: String| format!("-object id={}: {reason}", backend.id);
    let block = match &backend.file {
        None => RamBlock::alloc(bytes).map_err(|error| error.to_string()),
        Some(file) => open_file(file, bytes),
    };
    let block = block.map_err(refuse)?;
    if backend.prealloc {
        block.populate();
    }
    Ok(block)
}

fn open_file(file: &MemoryFile, bytes: u64) -> Result<RamBlock, String> {
    let in_file = |reason: std::io::Error| format!("mem-path={}: {reason}", file.path.display());
    let opened = open_or_create(file, bytes).map_err(in_file)?;
    let there = opened.metadata().map_err(in_file)?.len();
    let needed = file
        .offset
        .checked_add(bytes)
        .ok_or("'offset' is too large")?;
    if there < needed {
        let path = file.path.display();
        return Err(format!(
            "mem-path={path} has {there} bytes, and size and offset ask for {needed}"
        ));
    }
    let backing = FileBacking {
        file: opened,
        offset: file.offset,
        share: file.share,
    };
    RamBlock::open(bytes, backing).map_err(|error| error.to_string())
}

/// A file that is there, with the length that it has; else a new one, of the right length.
fn open_or_create(file: &MemoryFile, bytes: u64) -> std::io::Result<File> {
    if file.readonly {
        return File::open(&file.path);
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    let opened = if file.path.is_dir() {
        let name = format!("tinamou-ram-{}", std::process::id());
        let path = file.path.join(name);
        let opened = options.create_new(true).open(&path)?;
        std::fs::remove_file(&path)?;
        opened
    } else {
        options.create(true).truncate(false).open(&file.path)?
    };
    if opened.metadata()?.len() == 0 {
        opened.set_len(file.offset.saturating_add(bytes))?;
    }
    Ok(opened)
}
