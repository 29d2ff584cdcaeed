//! The bytes of files: fetched in blocks when they are read, the last ones kept.
//!
//! What must hold: a read sees one version of a file. Its length is the index's, and what its
//! server tells of the version does not change while this share is open; else reading is an I/O
//! error.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use include::Errno;
use parking_lot::Mutex;
use util::http::{PARTIAL, Request, Response, send};

pub const BLOCK: u64 = 256 << 10;
/// Blocks that are kept, of all files.
const BLOCKS_MAX: usize = 128;
const RETRIES: u32 = 3;
const RETRY_AFTER: Duration = Duration::from_millis(200);

type Key = (u64, u64);

#[derive(Default)]
struct State {
    blocks: HashMap<Key, (Arc<Vec<u8>>, u64)>,
    /// By when they were used last.
    order: BTreeMap<u64, Key>,
    clock: u64,
    /// What files' servers said of their version when they were first read.
    tags: HashMap<u64, Option<String>>,
}

pub struct Content {
    /// Ends with `/`.
    base: String,
    timeout: Duration,
    state: Mutex<State>,
}

/// A file to read: its number, its path as in a URL, its length.
pub struct Source<'a> {
    pub id: u64,
    pub path: &'a str,
    pub size: u64,
}

impl State {
    fn used(&mut self, key: Key) -> Option<Arc<Vec<u8>>> {
        let (block, used) = self.blocks.get_mut(&key)?;
        self.order.remove(used);
        self.clock += 1;
        *used = self.clock;
        self.order.insert(self.clock, key);
        Some(block.clone())
    }

    fn keep(&mut self, key: Key, block: &Arc<Vec<u8>>) {
        self.clock += 1;
        if let Some((_, used)) = self.blocks.insert(key, (block.clone(), self.clock)) {
            self.order.remove(&used);
        }
        self.order.insert(self.clock, key);
        while self.blocks.len() > BLOCKS_MAX
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.blocks.remove(&oldest);
        }
    }
}

impl Content {
    pub fn new(base: String, timeout: Duration) -> Self {
        let state = Mutex::default();
        Self {
            base,
            timeout,
            state,
        }
    }

    pub fn read(&self, source: &Source<'_>, offset: u64, buf: &mut [u8]) -> Result<usize, Errno> {
        let left = source.size.saturating_sub(offset);
        let len = usize::try_from(left).map_or(buf.len(), |left| left.min(buf.len()));
        let mut done = 0;
        while done < len {
            let at = offset + done as u64;
            let block = self.block(source, at / BLOCK)?;
            let bytes = block.get((at % BLOCK) as usize..).unwrap_or_default();
            let count = bytes.len().min(len - done);
            if count == 0 {
                return Err(Errno::EIO);
            }
            buf[done..done + count].copy_from_slice(&bytes[..count]);
            done += count;
        }
        Ok(len)
    }

    fn block(&self, source: &Source<'_>, number: u64) -> Result<Arc<Vec<u8>>, Errno> {
        let key = (source.id, number);
        if let Some(block) = self.state.lock().used(key) {
            return Ok(block);
        }
        let fetched = self.fetch(source, number).map_err(|reason| {
            log::error!("cannot read '{}{}': {reason}", self.base, source.path);
            Errno::EIO
        });
        let block = Arc::new(fetched?);
        self.state.lock().keep(key, &block);
        Ok(block)
    }

    /// A block of a file, from the server.
    fn fetch(&self, source: &Source<'_>, number: u64) -> Result<Vec<u8>, String> {
        let url = format!("{}{}", self.base, source.path);
        let start = number * BLOCK;
        let end = start.saturating_add(BLOCK).min(source.size);
        // Small files are had from servers that know no ranges, too.
        let range = (source.size > BLOCK).then_some(start..end);
        let count = (end - start) as usize;
        let wanted = if range.is_some() { PARTIAL } else { 200 };
        let answer = retrying(&Request {
            url: &url,
            head: false,
            range,
            timeout: self.timeout,
            limit: count,
        })?;
        match answer.status {
            status if status == wanted => (),
            200 => return Err("its server gives whole files only, no ranges of bytes".into()),
            status => return Err(format!("the server answers with status {status}")),
        }
        self.check_version(source, &answer)?;
        match answer.body.len() == count {
            true => Ok(answer.body),
            false => Err("it has not the length that the index says".into()),
        }
    }

    fn check_version(&self, source: &Source<'_>, answer: &Response) -> Result<(), String> {
        let total = answer.content_range().and_then(|(_, total)| total);
        if total.is_some_and(|total| total != source.size) {
            return Err("it has not the length that the index says".into());
        }
        let tag = answer.tag().map(String::from);
        let mut state = self.state.lock();
        match state.tags.entry(source.id).or_insert_with(|| tag.clone()) == &tag {
            true => Ok(()),
            false => Err("it has changed on its server".into()),
        }
    }
}

/// The answer to a request that is made again if nothing came, or a server that is not well.
pub fn retrying(request: &Request<'_>) -> Result<Response, String> {
    let mut answer = send(request);
    for retry in 1..=RETRIES {
        match &answer {
            Ok(answer) if !matches!(answer.status, 408 | 429 | 500..=599) => break,
            _ => std::thread::sleep(RETRY_AFTER * retry),
        }
        answer = send(request);
    }
    answer
}
