//! Finds blocks by physical pc. Readers take no lock: nodes are only reused after a flush of the
//! code buffer, during which nobody reads. One writer at a time (the lock in `tb_cache.rs`).

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use crate::tb_ref::TbRef;

const BUCKETS: usize = 1 << 15;
const CHUNK: usize = 4096;
const CHUNKS: usize = 256;
/// Most blocks that there can be between flushes.
pub(crate) const BLOCKS_MAX: usize = CHUNK * CHUNKS;
/// Stands for "no page" among RAM page numbers.
pub(crate) const NO_PAGE: u32 = u32::MAX;

/// What a block is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// RAM page number and offset of the first instruction.
    pub(crate) phys: u64,
    pub(crate) pc: u64,
    pub(crate) flags: u32,
    pub(crate) cflags: u32,
}

impl Key {
    fn bucket(&self) -> usize {
        let mixed = (self.phys >> 1) ^ self.pc.rotate_left(32) ^ u64::from(self.flags) << 40;
        let hash = (mixed ^ u64::from(self.cflags)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (hash >> 40) as usize % BUCKETS
    }
}

#[derive(Default)]
struct Node {
    tb: AtomicUsize,
    phys: AtomicU64,
    pc: AtomicU64,
    flags: AtomicU32,
    cflags: AtomicU32,
    /// The page of the last instruction's end when it is another than the first's.
    second_page: AtomicU32,
    /// Number of the next node plus 1.
    next: AtomicU32,
}

impl Node {
    fn is(&self, key: &Key) -> bool {
        self.pc.load(Ordering::Relaxed) == key.pc
            && self.phys.load(Ordering::Relaxed) == key.phys
            && self.flags.load(Ordering::Relaxed) == key.flags
            && self.cflags.load(Ordering::Relaxed) == key.cflags
    }
}

/// See the module's text. Node `i` is that of block `i` (`TbHeader::tb_index`).
pub(crate) struct TbHash {
    /// Number of each chain's first node plus 1.
    heads: Vec<AtomicU32>,
    chunks: [OnceLock<Box<[Node]>>; CHUNKS],
}

impl TbHash {
    pub(crate) fn new() -> Self {
        let heads = (0..BUCKETS).map(|_| AtomicU32::new(0)).collect();
        Self {
            heads,
            chunks: [const { OnceLock::new() }; CHUNKS],
        }
    }

    fn node(&self, index: u32) -> Option<&Node> {
        let index = index as usize;
        self.chunks.get(index / CHUNK)?.get()?.get(index % CHUNK)
    }

    /// The block for `key`, of those whose second page, if any, is what `second` says it is now.
    pub(crate) fn find(&self, key: &Key, second: impl FnOnce() -> Option<u32>) -> Option<TbRef> {
        let mut second = Some(second);
        let mut second_now = None;
        let mut next = self.heads[key.bucket()].load(Ordering::Acquire);
        while let Some(node) = next.checked_sub(1).and_then(|i| self.node(i)) {
            if node.is(key) {
                let page = node.second_page.load(Ordering::Relaxed);
                if page != NO_PAGE
                    && let Some(ask) = second.take()
                {
                    second_now = ask();
                }
                if page == NO_PAGE || second_now == Some(page) {
                    return TbRef::from_address(node.tb.load(Ordering::Relaxed));
                }
            }
            next = node.next.load(Ordering::Acquire);
        }
        None
    }

    /// Enters block number `index`.
    pub(crate) fn insert(&self, index: u32, key: &Key, second_page: u32, tb: TbRef) {
        let chunk = &self.chunks[index as usize / CHUNK % CHUNKS];
        chunk.get_or_init(|| (0..CHUNK).map(|_| Node::default()).collect());
        let Some(node) = self.node(index) else { return };
        let head = &self.heads[key.bucket()];
        node.tb.store(tb.address(), Ordering::Relaxed);
        node.phys.store(key.phys, Ordering::Relaxed);
        node.pc.store(key.pc, Ordering::Relaxed);
        node.flags.store(key.flags, Ordering::Relaxed);
        node.cflags.store(key.cflags, Ordering::Relaxed);
        node.second_page.store(second_page, Ordering::Relaxed);
        node.next
            .store(head.load(Ordering::Relaxed), Ordering::Relaxed);
        head.store(index + 1, Ordering::Release);
    }

    /// Takes block number `index` out. A reader that stands on it still finds the rest.
    pub(crate) fn remove(&self, index: u32, key: &Key) {
        let mut at = &self.heads[key.bucket()];
        while let Some(next) = at.load(Ordering::Relaxed).checked_sub(1) {
            let Some(node) = self.node(next) else { return };
            if next == index {
                at.store(node.next.load(Ordering::Relaxed), Ordering::Release);
                return;
            }
            at = &node.next;
        }
    }

    /// Forgets all; nobody reads meanwhile.
    pub(crate) fn clear(&self) {
        self.heads
            .iter()
            .for_each(|head| head.store(0, Ordering::Relaxed));
    }
}
