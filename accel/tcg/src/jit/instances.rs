//! The instances that one thread has of the machine's modules, and its budget of them.
//!
//! Whoever has been brought longest ago is on probation: its regions are no longer entered from
//! generated code, so that a block of it that is used comes back to [`Instances::bring`], which
//! makes the instance the youngest again. Of those on probation the oldest is dropped when there
//! are too many. So what is used stays, and no code counts its uses.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::host;
use super::store::{JitCounters, ModuleCode};

/// A share of the budget is on probation when it is used up.
const PROBATION_SHARE: usize = 4;
/// Executions, at least, between the drop of an instance and the making of another: about what it
/// costs, in hundreds.
const COOL_COUNT_MIN: u32 = 64;

struct Instance {
    module: Arc<ModuleCode>,
    /// Index in the function table, by region.
    slots: Vec<u32>,
}

/// See the module's text.
pub(crate) struct Instances {
    thread: usize,
    max: usize,
    /// What the entries of a dropped instance start to count from.
    hot_count: u32,
    /// The oldest first. The first `probation` of them are on probation.
    live: VecDeque<Instance>,
    probation: usize,
    free_slots: Vec<u32>,
}

impl Instances {
    pub(crate) fn new(thread: usize, max: usize, hot_count: u32) -> Self {
        Self {
            thread,
            max: max.max(1),
            hot_count: hot_count.max(COOL_COUNT_MIN),
            live: VecDeque::new(),
            probation: 0,
            free_slots: Vec::new(),
        }
    }

    /// Makes the entries of a module lead to an instance of it; false if the engine refuses.
    pub(crate) fn bring(&mut self, module: &Arc<ModuleCode>, counters: &JitCounters) -> bool {
        let found = self
            .live
            .iter()
            .position(|i| Arc::ptr_eq(&i.module, module));
        let instance = match found {
            Some(at) => {
                self.probation -= usize::from(at < self.probation);
                self.live.remove(at)
            }
            None => {
                self.make_room(counters);
                self.instantiate(module, counters)
            }
        };
        let Some(instance) = instance else {
            return false;
        };
        self.link(&instance);
        self.live.push_back(instance);
        true
    }

    fn instantiate(
        &mut self,
        module: &Arc<ModuleCode>,
        counters: &JitCounters,
    ) -> Option<Instance> {
        let started = Instant::now();
        let count = module.regions.len();
        while self.free_slots.len() < count {
            self.free_slots.extend(host::grow_table()?);
        }
        let slots = self.free_slots.split_off(self.free_slots.len() - count);
        let made = host::instantiate(&module.code.bytes, &module.code.functions, &slots);
        counters.instantiations.bump();
        let nanoseconds = started.elapsed().as_nanos() as u64;
        counters.instantiate_ns.add(nanoseconds);
        if !made {
            self.free_slots.extend(slots);
            return None;
        }
        counters.instances.bump();
        Some(Instance {
            module: module.clone(),
            slots,
        })
    }

    fn link(&self, instance: &Instance) {
        for (region, slot) in instance.module.regions.iter().zip(&instance.slots) {
            for header in region.entries.iter().map(|entry| entry.header()) {
                // The region may die at any moment, which unlinks it. So it is looked at again.
                header.exec_count[self.thread].store(0, Ordering::SeqCst);
                header.wasm_instance[self.thread].store(*slot, Ordering::SeqCst);
                if !region.is_valid() {
                    header.wasm_instance[self.thread].store(0, Ordering::SeqCst);
                }
            }
        }
    }

    /// Its entries are interpreted until they are hot once more, so that too small a budget does
    /// not mean to make instances all the time.
    fn cool(&self, instance: &Instance) {
        let regions = instance.module.regions.iter();
        for region in regions.filter(|region| region.is_valid()) {
            for header in region.entries.iter().map(|entry| entry.header()) {
                if header.wasm_instance[self.thread].load(Ordering::SeqCst) == 0 {
                    header.exec_count[self.thread].store(self.hot_count, Ordering::SeqCst);
                }
            }
        }
    }

    fn unlink(&self, instance: &Instance) {
        for (region, slot) in instance.module.regions.iter().zip(&instance.slots) {
            if !region.is_valid() {
                continue;
            }
            for header in region.entries.iter().map(|entry| entry.header()) {
                let mine = &header.wasm_instance[self.thread];
                let order = Ordering::SeqCst;
                let _ = mine.compare_exchange(*slot, 0, order, order);
            }
        }
    }

    /// Below the budget there is room; else dead instances go, or the oldest on probation.
    fn make_room(&mut self, counters: &JitCounters) {
        if self.live.len() < self.max {
            return;
        }
        let before = self.live.len();
        for at in (0..before).rev() {
            if self.live[at].module.is_dead() {
                self.drop_at(at);
            }
        }
        counters.instances.sub((before - self.live.len()) as u64);
        if self.live.len() >= self.max {
            self.drop_at(0);
            counters.instances.sub(1);
            counters.evictions.bump();
        }
        while self.probation < self.live.len() / PROBATION_SHARE {
            self.unlink(&self.live[self.probation]);
            self.probation += 1;
        }
    }

    fn drop_at(&mut self, at: usize) {
        self.probation -= usize::from(at < self.probation);
        if let Some(instance) = self.live.remove(at) {
            self.unlink(&instance);
            self.cool(&instance);
            host::clear_slots(&instance.slots);
            self.free_slots.extend(instance.slots);
        }
    }

    /// Drops all; their blocks are gone.
    pub(crate) fn clear(&mut self) {
        self.probation = 0;
        for instance in self.live.drain(..) {
            host::clear_slots(&instance.slots);
            self.free_slots.extend(instance.slots);
        }
    }
}
