//! Counters for `info jit`.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::profile::Samples;

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
    /// Entries into WebAssembly from the interpreter.
    pub region_calls: u64,
    /// Ways back from WebAssembly, by [`Leave`](tcg::wasm32::Leave).
    pub region_leaves: [u64; LEAVES.len()],
    /// Guest instructions run under `-icount`: in WebAssembly, and all.
    pub insns_compiled: u64,
    pub insns_counted: u64,
}

/// What the ways back from WebAssembly are called.
const LEAVES: [&str; 8] = [
    "not compiled",
    "exit 0 not linked",
    "exit 1 not linked",
    "changed state",
    "lookups",
    "requests",
    "exceptions",
    "long loops",
];

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
        self.region_calls += other.region_calls;
        for (sum, more) in self.region_leaves.iter_mut().zip(other.region_leaves) {
            *sum += more;
        }
        self.insns_compiled += other.insns_compiled;
        self.insns_counted += other.insns_counted;
    }

    /// The part of `info jit` about WebAssembly.
    fn write_regions(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "regions entered     {}", self.region_calls)?;
        for (name, count) in LEAVES.iter().zip(self.region_leaves) {
            writeln!(f, "  {name:<18}{count}")?;
        }
        if self.insns_counted > 0 {
            let (share, all) = (self.insns_compiled as f64, self.insns_counted as f64);
            let percent = 100.0 * share / all;
            writeln!(f, "run in wasm         {percent:.1}% of {all} instructions")?;
        }
        Ok(())
    }
}

/// A counter that many threads add to.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds one; returns what it was.
    pub(crate) fn bump(&self) -> u64 {
        self.add(1)
    }

    pub(crate) fn add(&self, count: u64) -> u64 {
        self.0.fetch_add(count, Ordering::Relaxed)
    }

    pub(crate) fn sub(&self, count: u64) {
        self.0.fetch_sub(count, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counters of code that became WebAssembly.
#[derive(Clone, Copy, Debug, Default)]
pub struct JitStats {
    pub regions: u64,
    /// Guest instructions and blocks in them; blocks that some other region had already.
    pub region_insns: u64,
    pub region_blocks: u64,
    pub blocks_again: u64,
    pub modules: u64,
    /// Bytes of the modules.
    pub bytes: u64,
    /// Alive now, in all threads.
    pub instances: u64,
    pub instantiations: u64,
    pub evictions: u64,
    /// Modules that the engine did not take.
    pub refused: u64,
    /// Regions that were given up.
    pub too_large: u64,
    /// Regions whose code was overwritten or unmapped.
    pub died: u64,
    /// Time in the back end and in the engine (which compiles later, too).
    pub compile_ns: u64,
    pub instantiate_ns: u64,
}

impl fmt::Display for JitStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "wasm regions        {}", self.regions)?;
        writeln!(f, "  instructions      {}", self.region_insns)?;
        writeln!(f, "  blocks            {}", self.region_blocks)?;
        writeln!(f, "    of others       {}", self.blocks_again)?;
        writeln!(f, "  died              {}", self.died)?;
        writeln!(f, "  given up          {}", self.too_large)?;
        writeln!(f, "wasm modules        {}", self.modules)?;
        writeln!(f, "  bytes             {}", self.bytes)?;
        writeln!(f, "  refused           {}", self.refused)?;
        writeln!(f, "wasm instances      {}", self.instances)?;
        writeln!(f, "  made              {}", self.instantiations)?;
        writeln!(f, "  evicted           {}", self.evictions)?;
        writeln!(f, "compile time        {} ms", self.compile_ns / 1_000_000)?;
        writeln!(
            f,
            "  instantiation     {} ms",
            self.instantiate_ns / 1_000_000
        )
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
    pub samples: Samples,
    /// If hot code becomes WebAssembly.
    pub jit: Option<JitStats>,
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
        writeln!(f, "  lookups           {}", self.cpus.exits_lookup)?;
        match &self.jit {
            Some(jit) => {
                self.cpus.write_regions(f)?;
                self.samples.fmt(f)?;
                jit.fmt(f)
            }
            None => Ok(()),
        }
    }
}
