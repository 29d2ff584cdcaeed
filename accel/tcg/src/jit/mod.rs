//! Hot code becomes WebAssembly: what a vCPU thread does with a block whose count is used up.
//!
//! The block becomes the seed of a region (`plan.rs`), which the back end (`tcg::wasm32`) turns
//! into a function; some seeds are gathered, so that they share a module. Modules belong to the
//! machine (`store.rs`), their instances to each thread (`instances.rs`). A region dies with any of
//! its blocks; its other blocks start to count again.

mod host;
mod instances;
mod plan;
mod slow_paths;
mod store;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tcg::Compiler;
use tcg::wasm32::{ModuleBuilder, Options, Region, SlowPaths, TailCalls};

use crate::guest::GuestCpu;
use crate::machine::Machine;
use crate::stats::JitStats;
use crate::tb_ref::TbRef;
use instances::Instances;
use plan::Plan;
use store::{ModuleCode, PENDING};

pub(crate) use host::call;
pub use host::is_available;
pub(crate) use store::{RegionCode, Store};

/// A block that is never hot.
pub(crate) const NEVER: u32 = u32::MAX;
/// Seeds that are gathered for one module, unless one of them is hot again before.
const BATCH: usize = 16;
/// Below this threshold somebody wants to see WebAssembly at once.
const GATHER_FROM: u32 = 64;

/// `-accel tcg,threshold=N,max-instances=N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JitConfig {
    /// The execution of a block, counted from 1, at which it is hot.
    pub threshold: u32,
    /// Most instances of modules in one thread.
    pub max_instances: usize,
}

impl Default for JitConfig {
    fn default() -> Self {
        Self {
            threshold: 10_000,
            max_instances: 2000,
        }
    }
}

/// The machine's part.
pub(crate) struct Jit {
    pub(crate) config: JitConfig,
    pub(crate) store: Store,
    pub(crate) slow_paths: SlowPaths,
    tail_calls: TailCalls,
}

impl Jit {
    pub(crate) fn new<G: GuestCpu>(config: JitConfig) -> Self {
        Self {
            config,
            store: Store::default(),
            slow_paths: slow_paths::table::<G>(),
            tail_calls: host::tail_calls(),
        }
    }
}

impl Jit {
    pub(crate) fn stats(&self) -> JitStats {
        self.store.counters.stats()
    }
}

/// A thread's part.
pub(crate) struct JitThread {
    jit: Arc<Jit>,
    /// Index of the thread in the arrays of `TbHeader`.
    thread: usize,
    compiler: Compiler,
    instances: Instances,
    /// Seeds that wait for company.
    queue: Vec<TbRef>,
    /// `TbCache::flush_count` that all this is good for.
    flush_count: u32,
}

impl JitThread {
    pub(crate) fn new(jit: Arc<Jit>, thread: usize) -> Self {
        Self {
            instances: Instances::new(thread, jit.config.max_instances, jit.config.threshold - 1),
            jit,
            thread,
            compiler: Compiler::default(),
            queue: Vec::new(),
            flush_count: 0,
        }
    }

    pub(crate) fn thread(&self) -> usize {
        self.thread
    }

    /// The thread is about to run blocks: those of before a flush are gone.
    pub(crate) fn enter(&mut self, flush_count: u32) {
        if self.flush_count != flush_count {
            self.flush_count = flush_count;
            self.queue.clear();
            self.instances.clear();
        }
    }

    /// A block's count is used up, and this thread has no instance for it. Its count is not 0
    /// afterwards, unless it has.
    pub(crate) fn heat<G: GuestCpu>(&mut self, machine: &Machine<G>, cpu: &mut G, tb: TbRef) {
        let header = tb.header();
        let number = header.wasm_module.load(Ordering::Acquire);
        if let Some(module) = self.jit.store.get(number) {
            self.bring(&module);
        } else if number == PENDING {
            if self.queue.contains(&tb) {
                self.compile(machine, cpu);
            }
        } else if !header.is_invalid() && self.claim(tb, number) {
            self.queue.push(tb);
            let urgent = std::mem::take(&mut cpu.common_mut().long_loop);
            let at_once = urgent || self.jit.config.threshold < GATHER_FROM;
            if at_once || self.queue.len() >= BATCH {
                self.compile(machine, cpu);
            }
        }
        if header.wasm_instance[self.thread].load(Ordering::Relaxed) == 0 {
            let count = &header.exec_count[self.thread];
            let again = self.jit.config.threshold.max(1);
            // A block that was refused has a higher count already.
            let _ = count.compare_exchange(0, again, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// No other thread makes a region of this seed from here on.
    fn claim(&self, tb: TbRef, number: u32) -> bool {
        let module = &tb.header().wasm_module;
        let order = Ordering::AcqRel;
        module
            .compare_exchange(number, PENDING, order, Ordering::Relaxed)
            .is_ok()
    }

    fn bring(&mut self, module: &Arc<ModuleCode>) {
        let counters = &self.jit.store.counters;
        if !self.instances.bring(module, counters) {
            self.refuse(module);
        }
    }

    /// The engine does not take the module: its blocks stay with the interpreter.
    fn refuse(&self, module: &ModuleCode) {
        if self.jit.store.counters.refused.bump() == 0 {
            log::warn!("the WebAssembly engine refused a module; its code is interpreted");
        }
        for region in &module.regions {
            region.kill(NEVER);
        }
    }

    /// Makes one module of all seeds.
    fn compile<G: GuestCpu>(&mut self, machine: &Machine<G>, cpu: &mut G) {
        let started = Instant::now();
        let jit = self.jit.clone();
        let options = Options {
            helpers: &machine.helpers,
            slow_paths: jit.slow_paths,
            pc_slot: machine.pc_slot,
            tail_calls: jit.tail_calls,
        };
        let number = jit.store.next_number();
        let mut builder = ModuleBuilder::new(options);
        let mut regions: Vec<Arc<RegionCode>> = Vec::new();
        let mut members: Vec<TbRef> = Vec::new();
        for seed in std::mem::take(&mut self.queue) {
            seed.header().wasm_module.store(0, Ordering::Release);
            if members.contains(&seed) {
                continue;
            }
            let has_code = |tb: TbRef| {
                let module = tb.header().wasm_module.load(Ordering::Relaxed);
                module != 0 && module != PENDING || regions.iter().any(|r| r.entries.contains(&tb))
            };
            let Some(plan) = plan::plan(machine, &mut self.compiler, cpu, seed, has_code) else {
                continue;
            };
            match builder.add(&plan.region()) {
                Ok(_) => {
                    let region = RegionCode::new(number, &plan, jit.config.threshold);
                    let counters = &jit.store.counters;
                    counters.region_insns.add(plan.insns.into());
                    counters.region_blocks.add(plan.blocks.len() as u64);
                    let again = machine.tbs.add_region(&region, &plan.members());
                    counters.blocks_again.add(again);
                    members.extend(plan.members());
                    regions.push(region);
                }
                Err(error) => {
                    log::debug!("region at {:#x}: {error}", seed.header().pc);
                    jit.store.counters.too_large.bump();
                    seed.header().exec_count[self.thread].store(NEVER, Ordering::Relaxed);
                }
            }
        }
        if !regions.is_empty() {
            let module = jit
                .store
                .add(ModuleCode::new(number, builder.finish(), regions));
            self.bring(&module);
        }
        let nanoseconds = started.elapsed().as_nanos() as u64;
        jit.store.counters.compile_ns.add(nanoseconds);
    }
}

impl Plan {
    fn region(&self) -> Region<'_> {
        Region {
            blocks: self
                .blocks
                .iter()
                .map(|block| block.region_block())
                .collect(),
            entries: self.entries.clone(),
        }
    }

    fn members(&self) -> Vec<TbRef> {
        self.blocks.iter().map(|block| block.tb).collect()
    }
}
