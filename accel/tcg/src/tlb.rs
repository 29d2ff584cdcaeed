//! The soft TLB: a first level that generated code looks into (`CpuState::tlb`, direct-mapped) and
//! a second level that refills it without a page-table walk.
//!
//! The first level holds translations of the current address space and global ones. Flushing it
//! costs as much as was filled since the last flush. The second level keeps translations of many
//! address spaces, tagged with their ASIDs; flushing all of it, or one address space, takes
//! constant time: entries carry the time of their making, and a flush notes the time.
//!
//! What must hold: a page with code has `TLB_NOTDIRTY` in each first-level entry through which it
//! can be written (`TbCache::has_code`, and the protocol in `exclusive.rs`).

use include::PhysAddr;
use tcg::cpu_state::{
    CpuState, MMU_MODES, PAGE_BITS, PAGE_MASK, TLB_ENTRIES, TLB_INVALID, TLB_MMIO, TLB_NOTDIRTY,
    TlbEntry,
};

use crate::cpu::CpuCommon;
use crate::guest::{Access, TlbFill};
use crate::ram::HostPage;
use crate::tb_cache::PROTECT_GROUP;

const WAYS: usize = 4;
const SETS: usize = 1024;
/// Flush times are kept for this many classes of ASIDs; a flush may hit others of its class.
const ASID_CLASSES: usize = 256;
/// More gigabyte regions with large pages than this make each page flush a full one.
const LARGE_REGIONS_MAX: usize = 32;
/// So many pages to protect, and the whole first level is dropped instead.
pub(crate) const PROTECT_MAX: usize = 16;
const LARGE_REGION_BITS: u32 = 30;
/// What a translation may be used for.
mod permission {
    pub const READ: u8 = 1;
    pub const WRITE: u8 = 2;
    pub const EXECUTE: u8 = 4;
    pub const GLOBAL: u8 = 8;
    /// Behind it is RAM that may be written (not ROM).
    pub const WRITABLE: u8 = 16;
    /// Less than a page: good for one access.
    pub const ONCE: u8 = 32;
}

/// RAM behind a page: where in the host, and its index over all RAM.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PageRam {
    pub(crate) host: HostPage,
    pub(crate) index: u32,
}

/// A translated page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page {
    /// Physical address of the page's first byte.
    pub(crate) paddr: u64,
    /// What is there unless it is a device.
    pub(crate) ram: Option<PageRam>,
    permissions: u8,
    asid: u16,
    /// Bytes from the address on that the permissions hold for, if `ONCE`.
    limit: u16,
}

impl Page {
    const NONE: Self = Self {
        paddr: 0,
        ram: None,
        permissions: 0,
        asid: 0,
        limit: 0,
    };

    pub(crate) fn new(common: &CpuCommon, fill: &TlbFill) -> Self {
        use permission::*;
        let paddr = fill.paddr.0 & PAGE_MASK;
        let page = common.memory.ram_page(PhysAddr(paddr));
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        Self {
            paddr,
            ram: page.map(|p| PageRam {
                host: HostPage::new(&p),
                index: p.index,
            }),
            permissions: bit(fill.read, READ)
                | bit(fill.write, WRITE)
                | bit(fill.execute, EXECUTE)
                | bit(fill.global, GLOBAL)
                | bit(page.is_some_and(|p| p.writable), WRITABLE)
                | bit(fill.size < 1 << PAGE_BITS, ONCE),
            asid: fill.asid,
            limit: fill.size.min(0xfff) as u16,
        }
    }

    pub(crate) fn allows(&self, access: Access) -> bool {
        let bit = match access {
            Access::Load => permission::READ,
            Access::Store => permission::WRITE,
            Access::Fetch => permission::EXECUTE,
        };
        self.permissions & bit != 0
    }

    pub(crate) fn is_writable_ram(&self) -> bool {
        self.permissions & permission::WRITABLE != 0
    }

    pub(crate) fn is_once(&self) -> bool {
        self.permissions & permission::ONCE != 0
    }

    /// Whether an access of so many bytes, from the address asked for on, stays within what the
    /// permissions hold for.
    pub(crate) fn covers(&self, bytes: u64) -> bool {
        !self.is_once() || bytes <= u64::from(self.limit)
    }

    pub(crate) fn is_global(&self) -> bool {
        self.permissions & permission::GLOBAL != 0
    }

    /// The first-level entry for the page at `vpage`.
    fn entry(&self, vpage: u64, has_code: bool) -> TlbEntry {
        let device = if self.ram.is_some() { 0 } else { TLB_MMIO };
        let store = match (self.is_writable_ram(), has_code) {
            (false, _) => TLB_MMIO,
            (true, true) => TLB_NOTDIRTY,
            (true, false) => 0,
        };
        let tag = |access, flags| match self.allows(access) {
            true => vpage | flags,
            false => TLB_INVALID,
        };
        TlbEntry {
            read: tag(Access::Load, device),
            write: tag(Access::Store, store),
            code: tag(Access::Fetch, device),
            addend: self
                .ram
                .map_or(0, |ram| ram.host.number().wrapping_sub(vpage)),
        }
    }
}

/// A second-level entry.
#[derive(Clone, Copy)]
struct Backing {
    /// Virtual page address, and the MMU mode in its low bits.
    key: u64,
    /// `Tlb::time` at its making; 0 in an empty entry.
    time: u64,
    page: Page,
}

/// The vCPU's own part of the TLB, beside `CpuState::tlb`.
pub(crate) struct Tlb {
    asid: u16,
    /// What the entries of `CpuState::tlb` stand for.
    pages: Vec<Page>,
    /// Indices (over all modes) of the first level's entries in use, each once.
    filled: Vec<u16>,
    /// Whether an index is in `filled`.
    listed: Vec<bool>,
    backing: Vec<Backing>,
    /// Counts flushes, from 1.
    time: u64,
    flushed_all: u64,
    flushed_asid: [u64; ASID_CLASSES],
    large_regions: Vec<u64>,
    next_way: u8,
}

impl Tlb {
    pub(crate) fn new() -> Self {
        let empty = Backing {
            key: 0,
            time: 0,
            page: Page::NONE,
        };
        Self {
            asid: 0,
            pages: vec![Page::NONE; MMU_MODES * TLB_ENTRIES],
            filled: Vec::with_capacity(MMU_MODES * TLB_ENTRIES),
            listed: vec![false; MMU_MODES * TLB_ENTRIES],
            backing: vec![empty; WAYS * SETS],
            time: 1,
            flushed_all: 0,
            flushed_asid: [0; ASID_CLASSES],
            large_regions: Vec::new(),
            next_way: 0,
        }
    }

    fn set_of(vpage: u64) -> usize {
        let page = (vpage >> PAGE_BITS) as usize;
        (page ^ page >> 10 ^ page >> 20) % SETS * WAYS
    }

    fn is_live(&self, entry: &Backing) -> bool {
        entry.time > self.flushed_all
            && (entry.page.is_global()
                || entry.time > self.flushed_asid[usize::from(entry.page.asid) % ASID_CLASSES])
    }

    /// The second level's translation of `key` in the current address space.
    fn find(&self, key: u64) -> Option<Page> {
        let set = Self::set_of(key & PAGE_MASK);
        let entries = &self.backing[set..set + WAYS];
        let found = entries.iter().find(|e| {
            e.key == key && (e.page.is_global() || e.page.asid == self.asid) && self.is_live(e)
        });
        found.map(|e| e.page)
    }

    fn insert(&mut self, key: u64, page: Page) {
        let set = Self::set_of(key & PAGE_MASK);
        let same = |e: &Backing| {
            e.key == key && (e.page.is_global() || page.is_global() || e.page.asid == page.asid)
        };
        let ways = set..set + WAYS;
        let free = ways
            .clone()
            .find(|&i| same(&self.backing[i]) && self.backing[i].time != 0);
        let free = free.or_else(|| ways.clone().find(|&i| !self.is_live(&self.backing[i])));
        let at = free.unwrap_or_else(|| {
            self.next_way = self.next_way.wrapping_add(1);
            set + usize::from(self.next_way) % WAYS
        });
        self.backing[at] = Backing {
            key,
            time: self.time,
            page,
        };
    }

    /// Notes a superpage: a flush of any page in it must drop all its pieces.
    fn note_size(&mut self, addr: u64, size: u64) {
        if size <= 1 << PAGE_BITS || self.large_regions.len() > LARGE_REGIONS_MAX {
            return;
        }
        let region = addr >> LARGE_REGION_BITS;
        if size > 1 << LARGE_REGION_BITS {
            self.large_regions.resize(LARGE_REGIONS_MAX + 1, 0);
        } else if !self.large_regions.contains(&region) {
            self.large_regions.push(region);
        }
    }

    fn may_be_large(&self, addr: u64) -> bool {
        self.large_regions.len() > LARGE_REGIONS_MAX
            || self.large_regions.contains(&(addr >> LARGE_REGION_BITS))
    }

    /// The clock for the next flush: everything made so far is older than what it returns.
    fn flush_time(&mut self) -> u64 {
        self.time += 1;
        self.time - 1
    }
}

/// Index over all modes.
fn entry_index(addr: u64, mode: usize) -> usize {
    mode % MMU_MODES * TLB_ENTRIES + CpuState::tlb_index(addr)
}

impl CpuCommon {
    /// The address space that non-global translations belong to from now on. What others have in
    /// the second level stays for their return.
    pub fn set_asid(&mut self, asid: u16) {
        if asid != self.tlb.asid {
            self.tlb.asid = asid;
            self.drop_first_level(|page| !page.is_global());
            self.jumps_drop_local();
        }
    }

    /// Forgets all translations.
    pub fn tlb_flush(&mut self) {
        self.stats.tlb_flushes += 1;
        self.tlb.flushed_all = self.tlb.flush_time();
        self.tlb.large_regions.clear();
        self.drop_first_level(|_| true);
        self.jumps_flush();
    }

    /// Forgets the translations of the page (or superpage) around `addr` in all address spaces.
    pub fn tlb_flush_page(&mut self, addr: u64) {
        if self.tlb.may_be_large(addr) {
            return self.tlb_flush();
        }
        self.flush_page_if(addr, |_| true);
        self.jumps_drop_page(addr & PAGE_MASK);
    }

    /// Forgets the translations of an address space except global ones.
    pub fn tlb_flush_asid(&mut self, asid: u16) {
        self.stats.tlb_flushes += 1;
        let now = self.tlb.flush_time();
        self.tlb.flushed_asid[usize::from(asid) % ASID_CLASSES] = now;
        if asid == self.tlb.asid {
            self.drop_first_level(|page| !page.is_global());
            self.jumps_drop_local();
        }
    }

    /// Forgets the translation of the page (or superpage) around `addr` in one address space.
    pub fn tlb_flush_page_asid(&mut self, addr: u64, asid: u16) {
        if self.tlb.may_be_large(addr) {
            return self.tlb_flush_asid(asid);
        }
        self.flush_page_if(addr, |page| !page.is_global() && page.asid == asid);
        if asid == self.tlb.asid {
            self.jumps_drop_local_page(addr & PAGE_MASK);
        }
    }

    fn flush_page_if(&mut self, addr: u64, drop: impl Fn(&Page) -> bool) {
        self.stats.tlb_page_flushes += 1;
        let vpage = addr & PAGE_MASK;
        for mode in 0..MMU_MODES {
            let entry = &mut self.state.tlb[mode][CpuState::tlb_index(addr)];
            if is_for(entry, vpage) && drop(&self.tlb.pages[entry_index(addr, mode)]) {
                *entry = TlbEntry::EMPTY;
            }
        }
        let set = Tlb::set_of(vpage);
        let ways = &mut self.tlb.backing[set..set + WAYS];
        for entry in ways
            .iter_mut()
            .filter(|e| e.key & PAGE_MASK == vpage && drop(&e.page))
        {
            entry.time = 0;
        }
    }

    fn drop_first_level(&mut self, drop: impl Fn(&Page) -> bool) {
        let (state, pages, listed) = (&mut self.state, &self.tlb.pages, &mut self.tlb.listed);
        self.tlb.filled.retain(|&index| {
            let index = usize::from(index);
            let gone = drop(&pages[index]);
            if gone {
                state.tlb[index / TLB_ENTRIES][index % TLB_ENTRIES] = TlbEntry::EMPTY;
                listed[index] = false;
            }
            !gone
        });
    }

    /// The translation that the TLB has for an access, if any; refills the first level from the
    /// second.
    pub(crate) fn tlb_lookup(&mut self, addr: u64, access: Access, mode: usize) -> Option<Page> {
        let vpage = addr & PAGE_MASK;
        let index = entry_index(addr, mode);
        let entry = &self.state.tlb[index / TLB_ENTRIES][index % TLB_ENTRIES];
        if is_for(entry, vpage) {
            let page = self.tlb.pages[index];
            return page.allows(access).then_some(page);
        }
        let page = self.tlb.find(vpage | (mode % MMU_MODES) as u64)?;
        self.fill_first_level(vpage, index, page);
        self.stats.tlb_refills += 1;
        page.allows(access).then_some(page)
    }

    /// Enters what the guest's page tables said.
    pub(crate) fn tlb_enter(&mut self, addr: u64, mode: usize, fill: &TlbFill) -> Page {
        self.stats.tlb_fills += 1;
        let page = Page::new(self, fill);
        if !page.is_once() {
            let vpage = addr & PAGE_MASK;
            self.tlb.note_size(addr, fill.size);
            self.tlb.insert(vpage | (mode % MMU_MODES) as u64, page);
            // Another address space's translation (a guest's oddity) must not stay for this one.
            if page.is_global() || page.asid == self.tlb.asid {
                self.fill_first_level(vpage, entry_index(addr, mode), page);
            }
        }
        page
    }

    fn fill_first_level(&mut self, vpage: u64, index: usize, page: Page) {
        let ram = page.ram;
        let has_code = |tbs: &crate::tb_cache::TbCache| ram.is_some_and(|r| tbs.has_code(r.index));
        let has_code = self.tbs.as_deref().is_some_and(has_code);
        if !self.tlb.listed[index] {
            self.tlb.listed[index] = true;
            self.tlb.filled.push(index as u16);
        }
        self.state.tlb[index / TLB_ENTRIES][index % TLB_ENTRIES] = page.entry(vpage, has_code);
        self.tlb.pages[index] = page;
    }

    /// [`Self::tlb_protect`] for what other vCPUs asked for.
    pub(crate) fn tlb_protect_pages(&mut self, pages: &[u32]) {
        if pages.len() >= PROTECT_MAX {
            self.drop_first_level(|_| true);
        } else {
            pages.iter().for_each(|page| self.tlb_protect(*page));
        }
    }

    /// Stores to the RAM page's group take the slow path from now on: it holds code.
    pub(crate) fn tlb_protect(&mut self, page: u32) {
        for &index in &self.tlb.filled {
            let index = usize::from(index);
            if self.tlb.pages[index]
                .ram
                .is_some_and(|ram| ram.index / PROTECT_GROUP == page / PROTECT_GROUP)
            {
                let entry = &mut self.state.tlb[index / TLB_ENTRIES][index % TLB_ENTRIES];
                if entry.write & TLB_INVALID == 0 && self.tlb.pages[index].is_writable_ram() {
                    entry.write |= TLB_NOTDIRTY;
                }
            }
        }
    }

    /// The page lost its last code: stores through this translation are fast again.
    pub(crate) fn tlb_unprotect(&mut self, addr: u64, mode: usize) {
        let entry = &mut self.state.tlb[mode % MMU_MODES][CpuState::tlb_index(addr)];
        if entry.write & PAGE_MASK == addr & PAGE_MASK {
            entry.write &= !TLB_NOTDIRTY;
        }
    }
}

/// Whether a first-level entry stands for the page.
fn is_for(entry: &TlbEntry, vpage: u64) -> bool {
    let matches = |tag: u64| tag & TLB_INVALID == 0 && tag & PAGE_MASK == vpage;
    matches(entry.read) || matches(entry.write) || matches(entry.code)
}
