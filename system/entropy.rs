//! Random bytes, for virtio-rng and the device tree's seed.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

/// What the host has, emscripten's file system included.
const HOST_DEVICE: &str = "/dev/urandom";

/// Fills a buffer.
pub type Entropy = Arc<dyn Fn(&mut [u8]) -> io::Result<()> + Send + Sync>;

/// Random bytes from `file` (`-object rng-random,filename=`), or from the host. Opened at once, so
/// that a bad name is refused at the start.
pub fn open(file: Option<&Path>) -> Result<Entropy, String> {
    let path = file.unwrap_or(Path::new(HOST_DEVICE));
    let opened = File::open(path);
    let opened = opened.map_err(|error| format!("random bytes from {path:?}: {error}"))?;
    let source = Mutex::new(opened);
    Ok(Arc::new(move |buf| source.lock().read_exact(buf)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_has_random_bytes() {
        let entropy = open(None).unwrap();
        let mut seeds = [[0; 16]; 2];
        for seed in &mut seeds {
            entropy(seed).unwrap();
        }
        assert_ne!(seeds[0], seeds[1]);
        assert!(open(Some(Path::new("no-such-file"))).is_err());
    }
}
