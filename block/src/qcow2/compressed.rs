//! Compressed clusters are read; one that is written to becomes a normal one.

use std::io::Read;

use flate2::{Decompress, FlushDecompress};
use include::Errno;
use parking_lot::Mutex;
use std::sync::Arc;

use super::header::Compression;

/// How many uncompressed clusters are kept: a guest reads them piece by piece.
const KEPT: usize = 4;

/// Clusters by where their compressed bytes are.
#[derive(Default)]
pub struct Recent(Mutex<Vec<(u64, Arc<[u8]>)>>);

impl Recent {
    pub fn get(&self, host: u64) -> Option<Arc<[u8]>> {
        let mut kept = self.0.lock();
        let index = kept.iter().position(|(at, _)| *at == host)?;
        let found = kept.remove(index);
        kept.push(found.clone());
        Some(found.1)
    }

    pub fn put(&self, host: u64, cluster: Arc<[u8]>) {
        let mut kept = self.0.lock();
        if kept.len() >= KEPT {
            kept.remove(0);
        }
        kept.push((host, cluster));
    }

    /// Nothing is where it was.
    pub fn clear(&self) {
        self.0.lock().clear();
    }
}

/// The `size` bytes that `packed` begins with, uncompressed; behind them there may be others.
pub fn unpack(kind: Compression, packed: &[u8], size: usize) -> Result<Arc<[u8]>, Errno> {
    let mut cluster = vec![0; size];
    let complete = match kind {
        Compression::Zlib => inflate(packed, &mut cluster),
        Compression::Zstd => unpack_zstd(packed, &mut cluster),
    };
    match complete {
        true => Ok(cluster.into()),
        false => Err(Errno::EIO),
    }
}

/// A deflate stream without a header.
fn inflate(packed: &[u8], cluster: &mut [u8]) -> bool {
    let mut state = Decompress::new(false);
    let done = state.decompress(packed, cluster, FlushDecompress::Finish);
    done.is_ok() && state.total_out() == cluster.len() as u64
}

fn unpack_zstd(packed: &[u8], cluster: &mut [u8]) -> bool {
    let decoder = ruzstd::decoding::StreamingDecoder::new(packed);
    decoder.is_ok_and(|mut decoder| decoder.read_exact(cluster).is_ok())
}
