//! `http` and `https`: an image on a server, read in parts as they are needed (QEMU's `curl.c`).
//!
//! What must hold: what is read is of one version of the file. The server's ETag (or time of last
//! change) and the file's length are those of the first answer in every later one, or the image is
//! an I/O error from then on. Memory for what was read is bounded.

mod cache;
mod fetch;
#[cfg(test)]
mod tests;

use include::Errno;
use parking_lot::Mutex;
use util::coroutine::CoQueue;
use util::thread_pool;

use crate::node::SECTOR;
use crate::options::HttpOptions;
use cache::{BLOCK, Block, Cache, Claim};
use fetch::Remote;

pub struct Http {
    remote: Remote,
    /// Blocks that are fetched beyond the one that is wanted.
    ahead: u64,
    cache: Mutex<Cache>,
    /// Who waits for what somebody else fetches.
    arrivals: CoQueue,
}

impl Http {
    /// Finds the file and how long it is. Errors are sentences without the URL.
    pub fn open(options: &HttpOptions) -> Result<Self, String> {
        let (remote, start) = thread_pool::run(|| Remote::open(options))?;
        let mut cache = Cache::default();
        cache.insert(0, start);
        Ok(Self {
            remote,
            ahead: options.readahead.div_ceil(BLOCK),
            cache: Mutex::new(cache),
            arrivals: CoQueue::new(),
        })
    }

    pub fn url(&self) -> &str {
        &self.remote.url
    }

    /// What tells this version of the file from others.
    pub fn tag(&self) -> Option<&str> {
        self.remote.tag.as_deref()
    }

    /// Whole sectors: what is behind the file's end reads as zeros.
    pub fn len(&self) -> u64 {
        self.remote.len.next_multiple_of(SECTOR)
    }

    pub fn read(&self, offset: u64, buf: &mut [u8]) -> Result<(), Errno> {
        let end = offset + buf.len() as u64;
        let mut done = 0;
        while done < buf.len() {
            let at = offset + done as u64;
            if at >= self.remote.len {
                buf[done..].fill(0);
                break;
            }
            let block = self.block(at / BLOCK, end)?;
            let within = (at % BLOCK) as usize;
            // A block of the cache is full, but for the file's last one.
            let bytes = block.get(within..).filter(|bytes| !bytes.is_empty());
            let bytes = bytes.ok_or(Errno::EIO)?;
            let count = bytes.len().min(buf.len() - done);
            buf[done..done + count].copy_from_slice(&bytes[..count]);
            done += count;
        }
        Ok(())
    }

    /// A block, from the cache or from the server, of a read that goes to `end`.
    fn block(&self, index: u64, end: u64) -> Result<Block, Errno> {
        loop {
            let wanted = end.div_ceil(BLOCK).max(index + 1);
            let last = wanted.saturating_add(self.ahead);
            let last = last.min(self.remote.len.div_ceil(BLOCK));
            let claim = self.cache.lock().claim(index, last);
            let run = match claim {
                Claim::There(block) => return Ok(block),
                Claim::Fetch(run) => run,
                Claim::Coming => {
                    self.wait_for(index);
                    continue;
                }
            };
            let fetched = thread_pool::run(|| self.remote.fetch(&run));
            let block = self.cache.lock().arrived(&run, fetched);
            self.arrivals.wake_all();
            return block;
        }
    }

    /// Waits until something has arrived, unless the block has done so meanwhile.
    fn wait_for(&self, index: u64) {
        let cache = self.cache.lock();
        let waiter = cache.is_coming(index).then(|| self.arrivals.join());
        drop(cache);
        if let Some(waiter) = waiter {
            waiter.wait();
        }
    }

    pub fn write(&self, _offset: u64, _data: &[u8]) -> Result<(), Errno> {
        Err(Errno::EROFS)
    }

    pub fn write_zeroes(&self, _offset: u64, _bytes: u64, _may_unmap: bool) -> Result<(), Errno> {
        Err(Errno::EROFS)
    }

    pub fn discard(&self, _offset: u64, _bytes: u64) -> Result<(), Errno> {
        Err(Errno::EROFS)
    }

    /// Nothing is written, so everything is stable.
    pub fn flush(&self) -> Result<(), Errno> {
        Ok(())
    }

    pub fn set_len(&self, _bytes: u64) -> Result<(), Errno> {
        Err(Errno::EROFS)
    }
}
