//! Counters for `info jit`.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one vCPU.
#[derive(Clone, Copy, Debug, Default)]
pub struct CpuStats {
    pub tlb_flushes: u64,
    pub tlb_page_flushes: u64,
    /// First-level misses that the second level answered.
    pub tlb_refills: u64,
    /// Page-table walks.
    pub tlb_fills: u64,
    pub exceptions: u64,
    pub interrupts: u64,
    /// Stores to data in pages with code.
    pub slow_stores: u64,
    /// Returns from generated code to the execution loop.
    pub exits: u64,
    /// Of these, to look at a change of state; because of a request; to find a block.
    pub exits_main: u64,
    pub exits_request: u64,
    pub exits_lookup: u64,
}

impl CpuStats {
    pub(crate) fn add(&mut self, other: &Self) {
        self.tlb_flushes += other.tlb_flushes;
        self.tlb_page_flushes += other.tlb_page_flushes;
        self.tlb_refills += other.tlb_refills;
        self.tlb_fills += other.tlb_fills;
        self.exceptions += other.exceptions;
        self.interrupts += other.interrupts;
        self.slow_stores += other.slow_stores;
        self.exits += other.exits;
        self.exits_main += other.exits_main;
        self.exits_request += other.exits_request;
        self.exits_lookup += other.exits_lookup;
    }
}

/// A counter that many threads add to.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn bump(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// All counters.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stats {
    pub cpus: CpuStats,
    pub code_bytes: usize,
    pub code_bytes_max: usize,
    /// Blocks that are valid now.
    pub blocks: usize,
    pub blocks_made: u64,
    pub blocks_invalidated: u64,
    pub links: u64,
    pub code_flushes: u64,
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "code buffer         {}/{}",
            self.code_bytes, self.code_bytes_max
        )?;
        writeln!(f, "TB count            {}", self.blocks)?;
        writeln!(f, "TBs made            {}", self.blocks_made)?;
        writeln!(f, "TB invalidations    {}", self.blocks_invalidated)?;
        writeln!(f, "direct links        {}", self.links)?;
        writeln!(f, "TB flushes          {}", self.code_flushes)?;
        writeln!(f, "TLB flushes         {}", self.cpus.tlb_flushes)?;
        writeln!(f, "TLB page flushes    {}", self.cpus.tlb_page_flushes)?;
        writeln!(f, "TLB refills         {}", self.cpus.tlb_refills)?;
        writeln!(f, "TLB fills           {}", self.cpus.tlb_fills)?;
        writeln!(f, "stores beside code  {}", self.cpus.slow_stores)?;
        writeln!(f, "exceptions          {}", self.cpus.exceptions)?;
        writeln!(f, "interrupts          {}", self.cpus.interrupts)?;
        writeln!(f, "loop exits          {}", self.cpus.exits)?;
        writeln!(f, "  changed state     {}", self.cpus.exits_main)?;
        writeln!(f, "  requests          {}", self.cpus.exits_request)?;
        writeln!(f, "  lookups           {}", self.cpus.exits_lookup)
    }
}
