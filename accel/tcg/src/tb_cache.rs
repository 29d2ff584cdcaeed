//! All translated blocks: who finds them, which RAM they were made from, who jumps to whom.
//!
//! A store to a page with code takes the slow path (`TLB_NOTDIRTY`); it stores first, then looks at
//! the page's mask of code granules. A translator sets the mask first, then reads the bytes. With a
//! fence between each, one of the two sees the other; a page's `version` tells the translator
//! that it was the store that came late. Blocks overlapped by a store go at once: out of the hash
//! table, unlinked from all that jump to them; jump caches of other vCPUs are emptied before they
//! next enter the execution loop, which they are asked to do.
//!
//! Lock order: `inner` is innermost.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tcg::code_buffer::{BlockInfo, CodeBufferFull};
use tcg::tb::{TB_CF_INVALID, TB_CF_TWO_PAGES};
use tcg::{CodeBuffer, CompiledBlock};

use crate::cpu::VcpuShared;
use crate::exclusive::ExclusiveSection;
use crate::jit::{NEVER, RegionCode};
use crate::stats::{Counter, Stats};
use crate::tb_hash::{BLOCKS_MAX, Key, NO_PAGE, TbHash};
use crate::tb_ref::{self, TbRef};
use crate::tlb::PageRam;

const NO_BLOCK: u32 = u32::MAX;
const PAGE_BYTES: u64 = 4096;
/// A bit of a page's mask stands for this many bytes.
const GRANULE_BITS: u32 = 6;

/// RAM pages that are marked together, from a multiple of this on (a power of two).
pub(crate) const PROTECT_GROUP: u32 = 8;

/// The bytes of one RAM page that a block was made from: `start <= offset < end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CodeRange {
    pub(crate) page: u32,
    pub(crate) start: u16,
    pub(crate) end: u16,
}

impl CodeRange {
    pub(crate) const NONE: Self = Self {
        page: NO_PAGE,
        start: 0,
        end: 0,
    };

    fn overlaps(&self, page: u32, start: u64, end: u64) -> bool {
        self.page == page && u64::from(self.start) < end && start < u64::from(self.end)
    }
}

/// The granules of `start..end` (offsets in a page).
fn granules(start: u64, end: u64) -> u64 {
    let (first, last) = (start >> GRANULE_BITS, end.saturating_sub(1) >> GRANULE_BITS);
    (u64::MAX << (first & 63)) & (u64::MAX >> (63 - (last & 63)))
}

/// The offsets in its page of an access that does not leave it.
fn offsets(addr: u64, bytes: u64) -> (u64, u64) {
    let start = addr & (PAGE_BYTES - 1);
    (start, (start + bytes).min(PAGE_BYTES))
}

/// A translated block that is not in the cache yet.
pub(crate) struct NewBlock {
    pub(crate) key: Key,
    pub(crate) compiled: CompiledBlock,
    pub(crate) ranges: [CodeRange; 2],
    /// How many instructions.
    pub(crate) icount: u32,
    /// Of each instruction, how far behind the first, if anybody is going to ask.
    pub(crate) insn_offsets: Vec<u16>,
    /// The first page.
    pub(crate) ram: PageRam,
    /// Executions after which it is hot, if its page is not one that often changes.
    pub(crate) exec_count: u32,
}

/// What the cache knows of a block; number `i` is that of `TbHeader::tb_index` `i`.
struct Block {
    tb: TbRef,
    key: Key,
    ranges: [CodeRange; 2],
    insns: Vec<u8>,
    insn_offsets: Vec<u16>,
    /// Exits of other blocks that are linked to this one.
    incoming: Vec<(u32, u8)>,
    /// Blocks that its exits are linked to.
    outgoing: [u32; 2],
    ram: PageRam,
    /// Regions that it is part of.
    regions: Vec<Arc<RegionCode>>,
}

/// A RAM page that holds or held code.
#[derive(Default)]
struct CodePage {
    /// Counts stores to its code.
    version: u64,
    /// Translations under way.
    in_flight: u32,
    /// Granules of valid blocks.
    mask: u64,
    blocks: Vec<u32>,
    /// How often `evict` took all of them.
    evictions: u32,
}

/// Page numbers are small and dense: one multiplication spreads them.
#[derive(Default)]
struct PageHasher(u64);

impl Hasher for PageHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|b| self.write_u32(u32::from(*b)));
    }
    fn write_u32(&mut self, number: u32) {
        self.0 = (self.0 ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

struct Inner {
    buffer: CodeBuffer,
    blocks: Vec<Block>,
    valid_blocks: usize,
    pages: HashMap<u32, CodePage, BuildHasherDefault<PageHasher>>,
}

/// See the module's text.
pub struct TbCache {
    /// By RAM page: granules with code. All ones while a translation is under way.
    masks: Vec<AtomicU64>,
    hash: TbHash,
    inner: Mutex<Inner>,
    /// Counts the times when jump caches must be emptied.
    jump_generation: AtomicU64,
    /// Counts the flushes of the code buffer.
    flush_count: AtomicU32,
    vcpus: OnceLock<Vec<Arc<VcpuShared>>>,
    made: Counter,
    invalidated: Counter,
    links: Counter,
    regions_died: Counter,
}

/// The page is not protected yet: see [`TbCache::mark`].
pub(crate) struct NotProtected;

/// Why a block was not entered.
pub(crate) enum InsertError {
    Full,
    /// Its bytes changed meanwhile.
    Stale,
}

impl From<CodeBufferFull> for InsertError {
    fn from(_: CodeBufferFull) -> Self {
        Self::Full
    }
}

impl TbCache {
    /// A cache for so many RAM pages; `None` when the host lacks the memory for the code buffer.
    pub fn new(ram_pages: u32, code_bytes: usize) -> Option<Self> {
        let inner = Inner {
            buffer: CodeBuffer::new(code_bytes)?,
            blocks: Vec::new(),
            valid_blocks: 0,
            pages: HashMap::default(),
        };
        Some(Self {
            masks: (0..ram_pages).map(|_| AtomicU64::new(0)).collect(),
            hash: TbHash::new(),
            inner: Mutex::new(inner),
            jump_generation: AtomicU64::new(0),
            flush_count: AtomicU32::new(0),
            vcpus: OnceLock::new(),
            made: Counter::default(),
            invalidated: Counter::default(),
            links: Counter::default(),
            regions_died: Counter::default(),
        })
    }

    pub(crate) fn set_vcpus(&self, vcpus: Vec<Arc<VcpuShared>>) {
        self.vcpus.get_or_init(|| vcpus);
    }

    pub(crate) fn jump_generation(&self) -> u64 {
        self.jump_generation.load(Ordering::SeqCst)
    }

    pub(crate) fn flush_count(&self) -> u32 {
        self.flush_count.load(Ordering::SeqCst)
    }

    pub(crate) fn find(&self, key: &Key, second: impl FnOnce() -> Option<u32>) -> Option<TbRef> {
        self.hash.find(key, second)
    }

    fn mask(&self, page: u32) -> Option<&AtomicU64> {
        self.masks.get(page as usize)
    }

    /// Whether stores to the page must be seen.
    pub(crate) fn has_code(&self, page: u32) -> bool {
        self.mask(page)
            .is_some_and(|mask| mask.load(Ordering::SeqCst) != 0)
    }

    /// Whether there may be code at or around these bytes, which were stored already.
    pub(crate) fn has_code_at(&self, page: u32, addr: u64, bytes: u64) -> bool {
        fence(Ordering::SeqCst);
        let (start, end) = offsets(addr, bytes);
        let mask = self
            .mask(page)
            .map_or(0, |mask| mask.load(Ordering::SeqCst));
        mask & granules(start, end) != 0
    }

    /// Whether a valid block was made from any of these bytes.
    pub(crate) fn has_block_at(&self, page: u32, addr: u64, bytes: u64) -> bool {
        if !self.has_code_at(page, addr, bytes) {
            return false;
        }
        let (start, end) = offsets(addr, bytes);
        let inner = self.inner.lock();
        let blocks = inner.pages.get(&page).map_or(&[][..], |p| &p.blocks);
        let hit = |r: &CodeRange| r.overlaps(page, start, end);
        blocks
            .iter()
            .any(|&i| inner.blocks[i as usize].ranges.iter().any(hit))
    }

    /// Stores to the page must be seen from now on, and to its neighbours in the group, where code
    /// is likely too (one section less); every vCPU takes note before it runs again. A neighbour
    /// without code loses its mark at the first store.
    pub(crate) fn mark(&self, page: u32, me: &VcpuShared, section: &ExclusiveSection<'_>) {
        let mut inner = self.inner.lock();
        let first = page & !(PROTECT_GROUP - 1);
        for page in first..first + PROTECT_GROUP {
            if let Some(mask) = self.mask(page)
                && mask.load(Ordering::SeqCst) == 0
            {
                inner.pages.entry(page).or_default();
                mask.store(u64::MAX, Ordering::SeqCst);
            }
        }
        section.protect(page, me);
    }

    /// A translator is going to read the page; the number goes to [`TbCache::insert`], and
    /// [`TbCache::end`] must follow.
    pub(crate) fn begin(&self, page: u32) -> Result<u64, NotProtected> {
        let mut inner = self.inner.lock();
        if !self.has_code(page) {
            return Err(NotProtected);
        }
        let record = inner.pages.entry(page).or_default();
        record.in_flight += 1;
        self.publish_mask(page, record);
        fence(Ordering::SeqCst);
        Ok(record.version)
    }

    /// The translator is done with the page.
    pub(crate) fn end(&self, page: u32) {
        let mut inner = self.inner.lock();
        if let Some(record) = inner.pages.get_mut(&page) {
            record.in_flight = record.in_flight.saturating_sub(1);
            self.publish_mask(page, record);
        }
    }

    fn publish_mask(&self, page: u32, record: &CodePage) {
        if let Some(mask) = self.mask(page) {
            let all = if record.in_flight > 0 {
                u64::MAX
            } else {
                record.mask
            };
            mask.store(all, Ordering::SeqCst);
        }
    }

    /// Enters a block whose pages had these versions when its translation began. If another vCPU
    /// was faster, that one's block is returned.
    pub(crate) fn insert(&self, new: NewBlock, versions: [u64; 2]) -> Result<TbRef, InsertError> {
        let mut inner = self.inner.lock();
        let used = |range: &CodeRange| range.page != NO_PAGE;
        for (range, version) in new.ranges.iter().zip(versions).filter(|(r, _)| used(r)) {
            if inner
                .pages
                .get(&range.page)
                .is_none_or(|p| p.version != version)
            {
                return Err(InsertError::Stale);
            }
        }
        let second = new.ranges[1].page;
        if let Some(tb) = self.hash.find(&new.key, || Some(second)) {
            return Ok(tb);
        }
        let index = inner.blocks.len();
        if index >= BLOCKS_MAX {
            return Err(InsertError::Full);
        }
        // Code that is often overwritten is not worth much work.
        let changes = versions[0].max(versions[1]);
        let tb = TbRef::new(
            inner
                .buffer
                .push(&new.compiled, &info(&new, index as u32, changes))?,
        );
        for range in new.ranges.iter().filter(|r| used(r)) {
            let record = inner.pages.entry(range.page).or_default();
            record.blocks.push(index as u32);
            record.mask |= granules(range.start.into(), range.end.into());
            self.publish_mask(range.page, record);
        }
        self.hash.insert(index as u32, &new.key, second, tb);
        inner.add(tb, new);
        self.made.bump();
        Ok(tb)
    }

    /// Links exit `slot` of `from` to `to`, if both are valid.
    pub(crate) fn link(&self, from: TbRef, slot: u8, to: TbRef) {
        let mut inner = self.inner.lock();
        let (source, dest) = (from.header().tb_index, to.header().tb_index);
        let cut = from.header().is_invalid() || to.header().is_invalid();
        let exit = usize::from(slot & 1);
        if cut || inner.blocks[source as usize].outgoing[exit] != NO_BLOCK {
            return;
        }
        inner.blocks[source as usize].outgoing[exit] = dest;
        inner.blocks[dest as usize]
            .incoming
            .push((source, slot & 1));
        from.header().link(exit, to.address() as *const _);
        self.links.bump();
    }

    /// Bytes of a RAM page were stored: blocks made from them go. True if there were any; `me`
    /// empties its own jump cache then.
    pub(crate) fn invalidate_range(
        &self,
        page: u32,
        addr: u64,
        bytes: u64,
        me: Option<&VcpuShared>,
    ) -> bool {
        let (start, end) = offsets(addr, bytes);
        let mut guard = self.inner.lock();
        let inner = &mut *guard;
        let Some(record) = inner.pages.get_mut(&page) else {
            return false;
        };
        record.version += 1;
        let (blocks, hit) = (&inner.blocks, |r: &CodeRange| r.overlaps(page, start, end));
        let hit = |i: &u32| blocks[*i as usize].ranges.iter().any(hit);
        let (hits, rest): (Vec<_>, Vec<_>) = record.blocks.iter().partition(|i| hit(i));
        let gone = !hits.is_empty();
        if let Some(record) = inner.pages.get_mut(&page) {
            record.blocks = rest;
        }
        hits.into_iter()
            .for_each(|index| self.remove(inner, index, page));
        inner.count_granules(page);
        if let Some(record) = inner.pages.get(&page) {
            self.publish_mask(page, record);
        }
        if gone {
            self.jump_generation.fetch_add(1, Ordering::SeqCst);
            self.ask_others(me);
        }
        gone
    }

    /// Takes all code out of a page, data in which was stored `stores` times lately; not again and
    /// again, in case both are alive. True if it did.
    pub(crate) fn evict(&self, page: u32, stores: u32, me: &VcpuShared) -> bool {
        {
            let mut inner = self.inner.lock();
            let Some(record) = inner.pages.get_mut(&page) else {
                return false;
            };
            if stores >> (3 * record.evictions).min(24) < crate::cpu::MIXED_STORES {
                return false;
            }
            record.evictions += 1;
        }
        self.invalidate_range(page, 0, PAGE_BYTES, Some(me))
    }

    /// Makes the other vCPUs look at `jump_generation` soon.
    fn ask_others(&self, me: Option<&VcpuShared>) {
        for vcpu in self.vcpus.get().into_iter().flatten() {
            if me.is_none_or(|me| !std::ptr::eq(me, &**vcpu)) {
                vcpu.exit_request.store(1, Ordering::SeqCst);
            }
        }
    }

    /// Takes a block out of everything except `page`'s record.
    fn remove(&self, inner: &mut Inner, index: u32, page: u32) {
        let block = &inner.blocks[index as usize];
        let flags = &block.tb.header().cflags;
        flags.fetch_or(TB_CF_INVALID, Ordering::SeqCst);
        self.hash.remove(index, &block.key);
        let ranges = block.ranges;
        for region in std::mem::take(&mut inner.blocks[index as usize].regions) {
            if region.die() {
                self.regions_died.bump();
            }
        }
        inner.unlink(index);
        inner.valid_blocks -= 1;
        self.invalidated.bump();
        for other in ranges.iter().map(|r| r.page).filter(|p| *p != page) {
            if let Some(record) = inner.pages.get_mut(&other) {
                record.blocks.retain(|&i| i != index);
                inner.count_granules(other);
            }
            if let Some(record) = inner.pages.get(&other) {
                self.publish_mask(other, record);
            }
        }
    }

    /// RAM pages were written by a device (any thread). Call after the writing.
    pub fn ram_written(&self, first_page: u32, count: u32) {
        fence(Ordering::SeqCst);
        for page in first_page..first_page.saturating_add(count) {
            if self.has_code(page) {
                self.invalidate_range(page, 0, PAGE_BYTES, None);
            }
        }
    }

    /// Forgets all blocks, if none did since the caller saw `flush_count`.
    pub(crate) fn flush(&self, seen: u32, section: &ExclusiveSection<'_>) {
        let mut inner = self.inner.lock();
        if self.flush_count() != seen {
            return;
        }
        self.hash.clear();
        inner.blocks.clear();
        inner.valid_blocks = 0;
        for page in std::mem::take(&mut inner.pages).into_keys() {
            if let Some(mask) = self.mask(page) {
                mask.store(0, Ordering::SeqCst);
            }
        }
        self.flush_count.fetch_add(1, Ordering::SeqCst);
        self.jump_generation.fetch_add(1, Ordering::SeqCst);
        tb_ref::reset(&mut inner.buffer, section);
    }

    /// The words of the `insn_start` in front of a position of a block, and how many instructions
    /// of the block were complete there.
    pub(crate) fn find_insn(&self, tb: TbRef, position: u32) -> Option<(u64, u64, u32)> {
        let inner = self.inner.lock();
        let block = inner.blocks.get(tb.header().tb_index as usize)?;
        let (pc, extra) = tcg::compile::find_insn(&block.insns, position)?;
        let offset = pc.wrapping_sub(block.key.pc);
        let done = block
            .insn_offsets
            .iter()
            .take_while(|&&o| u64::from(o) < offset)
            .count();
        Some((pc, extra, done as u32))
    }

    /// What a block was made from, if it is still valid: key, first page, second page's number.
    pub(crate) fn origin(&self, tb: TbRef) -> Option<(Key, PageRam, u32)> {
        let inner = self.inner.lock();
        let block = inner.blocks.get(tb.header().tb_index as usize)?;
        let second = block.ranges[1].page;
        (!tb.header().is_invalid()).then_some((block.key, block.ram, second))
    }

    /// Bytes of guest code of a block.
    pub(crate) fn bytes_of(&self, tb: TbRef) -> u64 {
        let inner = self.inner.lock();
        let block = inner.blocks.get(tb.header().tb_index as usize);
        let length = |range: &CodeRange| u64::from(range.end - range.start);
        block.map_or(0, |block| block.ranges.iter().map(length).sum())
    }

    /// The region dies with any of these blocks; at once, if one is gone already. Returns how many
    /// of them are in some other region.
    pub(crate) fn add_region(&self, region: &Arc<RegionCode>, members: &[TbRef]) -> u64 {
        let mut inner = self.inner.lock();
        if members.iter().any(|tb| tb.header().is_invalid()) {
            region.die();
            return 0;
        }
        let mut again = 0;
        for tb in members {
            let regions = &mut inner.blocks[tb.header().tb_index as usize].regions;
            regions.retain(|region| region.is_valid());
            again += u64::from(!regions.is_empty());
            regions.push(region.clone());
        }
        again
    }

    /// The words of the `insn_start` of a block's instruction by its number, and the number.
    pub(crate) fn nth_insn(&self, tb: TbRef, insn: u32) -> Option<(u64, u64, u32)> {
        let inner = self.inner.lock();
        let block = inner.blocks.get(tb.header().tb_index as usize)?;
        let (pc, extra) = tcg::compile::nth_insn(&block.insns, insn)?;
        Some((pc, extra, insn))
    }

    /// Fills in the cache's counters.
    pub(crate) fn stats(&self, stats: &mut Stats) {
        let inner = self.inner.lock();
        stats.code_bytes = inner.buffer.used();
        stats.code_bytes_max = inner.buffer.size();
        stats.blocks = inner.valid_blocks;
        stats.blocks_made = self.made.get();
        stats.blocks_invalidated = self.invalidated.get();
        stats.links = self.links.get();
        if let Some(jit) = &mut stats.jit {
            jit.died = self.regions_died.get();
        }
        stats.code_flushes = self.flush_count().into();
    }
}

/// So many changes of a page double the executions that make its blocks hot.
const CHANGES_PER_DOUBLING: u64 = 16;

fn info(new: &NewBlock, tb_index: u32, changes: u64) -> BlockInfo {
    let doublings = (changes / CHANGES_PER_DOUBLING).min(16) as u32;
    let two_pages = if new.ranges[1].page == NO_PAGE {
        0
    } else {
        TB_CF_TWO_PAGES
    };
    BlockInfo {
        pc: new.key.pc,
        tb_flags: new.key.flags,
        cflags: new.key.cflags | two_pages,
        icount: new.icount,
        tb_index,
        exec_count: heated_after(new.exec_count, doublings),
    }
}

/// The count of executions before the one that makes a block hot, which is doubled so often.
fn heated_after(count: u32, doublings: u32) -> u32 {
    match count {
        NEVER => NEVER,
        _ => (count + 1).saturating_mul(1 << doublings) - 1,
    }
}

impl Inner {
    fn add(&mut self, tb: TbRef, new: NewBlock) {
        self.valid_blocks += 1;
        self.blocks.push(Block {
            tb,
            key: new.key,
            ranges: new.ranges,
            insns: new.compiled.insns,
            insn_offsets: new.insn_offsets,
            incoming: Vec::new(),
            outgoing: [NO_BLOCK; 2],
            ram: new.ram,
            regions: Vec::new(),
        });
    }

    /// Cuts all links from and to a block.
    fn unlink(&mut self, index: u32) {
        for (source, slot) in std::mem::take(&mut self.blocks[index as usize].incoming) {
            let source = &mut self.blocks[source as usize];
            source.outgoing[usize::from(slot)] = NO_BLOCK;
            source.tb.header().unlink(slot.into());
        }
        for slot in 0..2 {
            let block = &mut self.blocks[index as usize];
            let dest = std::mem::replace(&mut block.outgoing[slot], NO_BLOCK);
            block.tb.header().unlink(slot);
            if let Some(dest) = self.blocks.get_mut(dest as usize) {
                dest.incoming.retain(|&link| link != (index, slot as u8));
            }
        }
    }

    /// Brings a page's mask in line with its blocks.
    fn count_granules(&mut self, page: u32) {
        let blocks = &self.blocks;
        let Some(record) = self.pages.get_mut(&page) else {
            return;
        };
        let ranges = record
            .blocks
            .iter()
            .flat_map(|&i| &blocks[i as usize].ranges);
        let here = ranges.filter(|r| r.page == page);
        record.mask = here.fold(0, |mask, r| mask | granules(r.start.into(), r.end.into()));
    }
}
