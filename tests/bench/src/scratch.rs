//! The disk and the share of a guest, in a folder of the host that vanishes.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Written in full, so that no emulator meets holes.
const DISK_BYTES: usize = 128 << 20;

pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> io::Result<Self> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let (process, number) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(format!("tinamou-bench-{process}-{number}"));
        // What a killed run left.
        let _ = fs::remove_dir_all(&folder);
        let scratch = Self(folder);
        fs::create_dir_all(scratch.0.join("share"))?;
        fs::write(scratch.0.join("disk.raw"), vec![0x11; DISK_BYTES])?;
        Ok(scratch)
    }

    /// The options of a machine that has them.
    pub fn options(&self) -> Vec<String> {
        let disk = self.0.join("disk.raw");
        let share = self.0.join("share");
        let disk = format!("file={},format=raw,if=none,id=disk", disk.display());
        let share = format!(
            "local,path={},security_model=none,id=share",
            share.display()
        );
        [
            ["-drive", &disk],
            ["-device", "virtio-blk-device,drive=disk"],
            ["-fsdev", &share],
            ["-device", "virtio-9p-device,fsdev=share,mount_tag=share"],
        ]
        .concat()
        .into_iter()
        .map(str::to_owned)
        .collect()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // It is in a folder for temporary files anyway.
        let _ = fs::remove_dir_all(&self.0);
    }
}
