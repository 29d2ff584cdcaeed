//! The modules of a machine, and the regions in them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use parking_lot::Mutex;
use tcg::wasm32::Module;

use super::plan::Plan;
use crate::stats::{Counter, JitStats};
use crate::tb_ref::TbRef;

/// In `TbHeader::wasm_module`: a thread is going to make a region of the block.
pub(crate) const PENDING: u32 = u32::MAX;
/// Bytes of modules that are kept; the oldest go first.
const BYTES_MAX: usize = 64 << 20;
/// How often dead modules are looked for.
const SWEEP_EACH: u32 = 64;

/// A region: one function of a module.
pub(crate) struct RegionCode {
    /// The module's number.
    module: u32,
    pub(crate) entries: Vec<TbRef>,
    /// What its entries start to count from when it dies.
    threshold: u32,
    valid: AtomicBool,
}

impl RegionCode {
    pub(crate) fn new(module: u32, plan: &Plan, threshold: u32) -> Arc<Self> {
        Arc::new(Self {
            module,
            entries: plan.entries.iter().map(|&e| plan.blocks[e].tb).collect(),
            threshold,
            valid: AtomicBool::new(true),
        })
    }

    pub(crate) fn is_valid(&self) -> bool {
        self.valid.load(Ordering::Acquire)
    }

    /// Nobody shall enter it any more; true if somebody might have. The blocks in it are still in
    /// the cache.
    pub(crate) fn die(&self) -> bool {
        self.kill(self.threshold)
    }

    /// The same; its entries are hot again after `count` executions.
    pub(crate) fn kill(&self, count: u32) -> bool {
        if !self.valid.swap(false, Ordering::AcqRel) {
            return false;
        }
        for header in self.entries.iter().map(TbRef::header) {
            let order = (Ordering::AcqRel, Ordering::Relaxed);
            let _ = header
                .wasm_module
                .compare_exchange(self.module, 0, order.0, order.1);
            header
                .exec_count
                .iter()
                .for_each(|c| c.store(count, Ordering::Relaxed));
            header
                .wasm_instance
                .iter()
                .for_each(|i| i.store(0, Ordering::Release));
        }
        true
    }

    /// After a flush of the code buffer: there are no blocks to tell.
    fn forget(&self) {
        self.valid.store(false, Ordering::Release);
    }
}

/// The bytes of a module; each thread makes its own instance of them.
pub(crate) struct ModuleCode {
    pub(crate) number: u32,
    pub(crate) code: Module,
    /// By the number of the function.
    pub(crate) regions: Vec<Arc<RegionCode>>,
}

impl ModuleCode {
    pub(crate) fn new(number: u32, code: Module, regions: Vec<Arc<RegionCode>>) -> Self {
        Self {
            number,
            code,
            regions,
        }
    }

    pub(crate) fn is_dead(&self) -> bool {
        !self.regions.iter().any(|region| region.is_valid())
    }
}

/// What `info jit` says of WebAssembly.
#[derive(Debug, Default)]
pub(crate) struct JitCounters {
    pub(crate) regions: Counter,
    pub(crate) region_insns: Counter,
    pub(crate) region_blocks: Counter,
    pub(crate) blocks_again: Counter,
    pub(crate) modules: Counter,
    pub(crate) bytes: Counter,
    pub(crate) instances: Counter,
    pub(crate) instantiations: Counter,
    pub(crate) evictions: Counter,
    pub(crate) refused: Counter,
    pub(crate) too_large: Counter,
    pub(crate) compile_ns: Counter,
    pub(crate) instantiate_ns: Counter,
}

impl JitCounters {
    pub(crate) fn stats(&self) -> JitStats {
        JitStats {
            regions: self.regions.get(),
            region_insns: self.region_insns.get(),
            region_blocks: self.region_blocks.get(),
            blocks_again: self.blocks_again.get(),
            modules: self.modules.get(),
            bytes: self.bytes.get(),
            instances: self.instances.get(),
            instantiations: self.instantiations.get(),
            evictions: self.evictions.get(),
            refused: self.refused.get(),
            too_large: self.too_large.get(),
            died: 0,
            compile_ns: self.compile_ns.get(),
            instantiate_ns: self.instantiate_ns.get(),
        }
    }
}

#[derive(Default)]
struct Modules {
    by_number: BTreeMap<u32, Arc<ModuleCode>>,
    bytes: usize,
}

/// See the module's text.
#[derive(Default)]
pub(crate) struct Store {
    modules: Mutex<Modules>,
    last_number: AtomicU32,
    pub(crate) counters: JitCounters,
}

impl Store {
    /// Numbers start at 1.
    pub(crate) fn next_number(&self) -> u32 {
        self.last_number.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn get(&self, number: u32) -> Option<Arc<ModuleCode>> {
        if number == 0 || number == PENDING {
            return None;
        }
        self.modules.lock().by_number.get(&number).cloned()
    }

    /// Keeps a module; its entries lead to it from here on.
    pub(crate) fn add(&self, module: ModuleCode) -> Arc<ModuleCode> {
        let module = Arc::new(module);
        let mut modules = self.modules.lock();
        if module.number.is_multiple_of(SWEEP_EACH) {
            modules.by_number.retain(|_, module| !module.is_dead());
            modules.bytes = modules.by_number.values().map(|m| m.code.bytes.len()).sum();
        }
        modules.bytes += module.code.bytes.len();
        modules.by_number.insert(module.number, module.clone());
        while modules.bytes > BYTES_MAX
            && let Some((_, oldest)) = modules.by_number.pop_first()
        {
            modules.bytes -= oldest.code.bytes.len();
            for region in &oldest.regions {
                region.die();
            }
        }
        drop(modules);
        for region in module.regions.iter().filter(|region| region.is_valid()) {
            for entry in &region.entries {
                entry
                    .header()
                    .wasm_module
                    .store(module.number, Ordering::Release);
            }
        }
        self.count(&module);
        module
    }

    fn count(&self, module: &ModuleCode) {
        self.counters.modules.bump();
        self.counters.regions.add(module.regions.len() as u64);
        self.counters.bytes.add(module.code.bytes.len() as u64);
    }

    /// All blocks are gone.
    pub(crate) fn clear(&self) {
        let mut modules = self.modules.lock();
        for module in std::mem::take(&mut modules.by_number).into_values() {
            module.regions.iter().for_each(|region| region.forget());
        }
        modules.bytes = 0;
    }
}
