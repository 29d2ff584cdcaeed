//! The blocks that were read last, and those that are on their way.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use include::Errno;

/// Bytes of a block: the file is fetched in whole ones.
pub const BLOCK: u64 = 64 << 10;
/// Blocks that are kept.
pub const BLOCKS_MAX: usize = 512;
/// Blocks of one request.
pub const RUN_MAX: u64 = 32;

pub type Block = Arc<[u8]>;

/// What to do for a block.
pub enum Claim {
    There(Block),
    /// Somebody else fetches it.
    Coming,
    /// To be fetched by who asked; everybody else waits.
    Fetch(Range<u64>),
}

#[derive(Default)]
pub struct Cache {
    blocks: HashMap<u64, (Block, u64)>,
    /// Blocks by when they were used last.
    order: BTreeMap<u64, u64>,
    clock: u64,
    coming: HashSet<u64>,
}

impl Cache {
    /// A block, or who gets it. A fetch goes as far as `last` or to the first block that is not
    /// missing.
    pub fn claim(&mut self, index: u64, last: u64) -> Claim {
        if let Some((block, used)) = self.blocks.get_mut(&index) {
            self.order.remove(used);
            self.clock += 1;
            *used = self.clock;
            self.order.insert(self.clock, index);
            return Claim::There(block.clone());
        }
        if self.coming.contains(&index) {
            return Claim::Coming;
        }
        let missing = |it: &u64| !self.blocks.contains_key(it) && !self.coming.contains(it);
        let last = last.min(index.saturating_add(RUN_MAX));
        let more = (index + 1..last).take_while(missing).count() as u64;
        let run = index..index + 1 + more;
        self.coming.extend(run.clone());
        Claim::Fetch(run)
    }

    pub fn is_coming(&self, index: u64) -> bool {
        self.coming.contains(&index)
    }

    /// The end of a fetch: its first block.
    pub fn arrived(
        &mut self,
        run: &Range<u64>,
        bytes: Result<Vec<u8>, Errno>,
    ) -> Result<Block, Errno> {
        for index in run.clone() {
            self.coming.remove(&index);
        }
        let bytes = bytes?;
        let blocks: Vec<Block> = bytes.chunks(BLOCK as usize).map(Block::from).collect();
        for (index, block) in run.clone().zip(&blocks) {
            self.keep(index, block.clone());
        }
        blocks.into_iter().next().ok_or(Errno::EIO)
    }

    /// Keeps what was read without having been asked for.
    pub fn insert(&mut self, index: u64, bytes: Vec<u8>) {
        self.keep(index, bytes.into());
    }

    fn keep(&mut self, index: u64, block: Block) {
        self.clock += 1;
        if let Some((_, used)) = self.blocks.insert(index, (block, self.clock)) {
            self.order.remove(&used);
        }
        self.order.insert(self.clock, index);
        while self.blocks.len() > BLOCKS_MAX
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.blocks.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_small_and_keeps_what_is_used() {
        let mut cache = Cache::default();
        for index in 0..3 * BLOCKS_MAX as u64 {
            cache.insert(index, vec![index as u8]);
            assert!(matches!(cache.claim(0, 1), Claim::There(_)));
        }
        assert_eq!(cache.blocks.len(), BLOCKS_MAX);
        assert_eq!(cache.order.len(), BLOCKS_MAX);
        assert!(matches!(cache.claim(1, 2), Claim::Fetch(_)));
    }

    #[test]
    fn each_block_is_fetched_by_one() {
        let mut cache = Cache::default();
        cache.insert(4, vec![4]);
        let Claim::Fetch(run) = cache.claim(1, 9) else {
            panic!("nobody fetches it")
        };
        assert_eq!(run, 1..4);
        assert!(matches!(cache.claim(3, 9), Claim::Coming));
        assert!(cache.arrived(&run, Err(Errno::EIO)).is_err());
        assert!(matches!(cache.claim(3, u64::MAX), Claim::Fetch(run) if run == (3..4)));
        assert!(matches!(cache.claim(5, u64::MAX), Claim::Fetch(run) if run == (5..5 + RUN_MAX)));
    }
}
