//! Platform-level interrupt controller (RISC-V PLIC specification 1.0.0; SiFive's memory map).
//!
//! Gateways are level-triggered, as in QEMU: a source is pending while its input is high, until
//! it is claimed; when it is completed and its input is still high, it is pending again. An
//! input that falls before the claim takes the request back.

mod registers;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};

use include::{AccessSize, IrqLine, IrqSink, MmioDevice};
use parking_lot::Mutex;

use crate::core::log_guest_error;
use registers::{CONTEXT_BASE, CONTEXT_STRIDE, Register, SOURCES_MAX};

/// What a board chooses.
#[derive(Clone, Copy, Debug)]
pub struct PlicConfig {
    /// Sources including the absent source 0 (virt: 96, so `riscv,ndev` is 95).
    pub sources: u32,
    /// Highest priority, one below a power of two (virt: 7).
    pub priorities: u32,
}

/// The PLIC. Window: [`SifivePlic::window_size`].
pub struct SifivePlic {
    config: PlicConfig,
    inputs: Arc<Inputs>,
    outputs: Vec<IrqLine>,
    priority: Vec<u32>,
    pending: Vec<u32>,
    claimed: Vec<u32>,
    contexts: Vec<Context>,
}

/// One hart in one privilege mode.
struct Context {
    enable: Vec<u32>,
    threshold: u32,
    /// What the output wire shows.
    raised: bool,
}

/// The input wires: what they show is kept outside the PLIC's lock, so that a device that sets a
/// wire to what it is already costs one atomic operation.
struct Inputs {
    plic: Weak<Mutex<SifivePlic>>,
    levels: Vec<AtomicU32>,
    sources: u32,
}

impl Inputs {
    fn is_high(&self, source: usize) -> bool {
        self.levels[source / 32].load(Ordering::SeqCst) & bit(source) != 0
    }
}

impl IrqSink for Inputs {
    fn set_irq(&self, number: u32, level: bool) {
        assert!(
            number > 0 && number < self.sources,
            "the PLIC has no source {number}"
        );
        let source = number as usize;
        let word = &self.levels[source / 32];
        let before = if level {
            word.fetch_or(bit(source), Ordering::SeqCst)
        } else {
            word.fetch_and(!bit(source), Ordering::SeqCst)
        };
        if (before & bit(source) != 0) != level
            && let Some(plic) = self.plic.upgrade()
        {
            plic.lock().input_changed(source);
        }
    }
}

fn bit(source: usize) -> u32 {
    1 << (source % 32)
}

fn set_bit(words: &mut [u32], source: usize, value: bool) {
    if value {
        words[source / 32] |= bit(source);
    } else {
        words[source / 32] &= !bit(source);
    }
}

impl SifivePlic {
    /// `outputs[n]` is driven by context n: hart 0 M, hart 0 S, hart 1 M, ...
    pub fn new(config: PlicConfig, outputs: Vec<IrqLine>) -> Arc<Mutex<Self>> {
        assert!(
            config.sources > 1 && config.sources <= SOURCES_MAX,
            "sources of the PLIC"
        );
        assert!(
            (config.priorities + 1).is_power_of_two(),
            "priorities of the PLIC"
        );
        let words = config.sources.div_ceil(32) as usize;
        let contexts = outputs
            .iter()
            .map(|_| Context {
                enable: vec![0; words],
                threshold: 0,
                raised: false,
            })
            .collect();
        Arc::new_cyclic(|plic| {
            Mutex::new(Self {
                config,
                inputs: Arc::new(Inputs {
                    plic: plic.clone(),
                    levels: (0..words).map(|_| AtomicU32::new(0)).collect(),
                    sources: config.sources,
                }),
                outputs,
                priority: vec![0; config.sources as usize],
                pending: vec![0; words],
                claimed: vec![0; words],
                contexts,
            })
        })
    }

    /// The source inputs, for `IrqLine::new(plic.lock().inputs(), source)`.
    pub fn inputs(&self) -> Arc<dyn IrqSink> {
        self.inputs.clone()
    }

    /// Bytes of the window for that many contexts (QEMU's `VIRT_PLIC_SIZE`).
    pub const fn window_size(contexts: u64) -> u64 {
        CONTEXT_BASE + contexts * CONTEXT_STRIDE
    }

    fn input_changed(&mut self, source: usize) {
        let level = self.inputs.is_high(source);
        set_bit(&mut self.pending, source, level);
        self.update();
    }

    /// The source that `context` would be given: highest priority above the threshold, lowest
    /// number among equals; 0 if there is none.
    fn best(&self, context: &Context) -> usize {
        let (mut best, mut best_priority) = (0, context.threshold);
        for (word, &pending) in self.pending.iter().enumerate() {
            let mut candidates = pending & !self.claimed[word] & context.enable[word];
            while candidates != 0 {
                let source = word * 32 + candidates.trailing_zeros() as usize;
                candidates &= candidates - 1;
                if self.priority[source] > best_priority {
                    (best, best_priority) = (source, self.priority[source]);
                }
            }
        }
        best
    }

    fn update(&mut self) {
        for index in 0..self.contexts.len() {
            let raised = self.best(&self.contexts[index]) != 0;
            if self.contexts[index].raised != raised {
                self.contexts[index].raised = raised;
                self.outputs[index].set(raised);
            }
        }
    }

    fn claim(&mut self, context: usize) -> u32 {
        let source = self.best(&self.contexts[context]);
        if source != 0 {
            set_bit(&mut self.pending, source, false);
            set_bit(&mut self.claimed, source, true);
            self.update();
        }
        source as u32
    }

    /// Sources that are not claimed may be completed without effect, as the specification says.
    fn complete(&mut self, source: u32) {
        if source == 0 || source >= self.config.sources {
            log_guest_error!("plic: completion of source {source}");
            return;
        }
        let source = source as usize;
        set_bit(&mut self.claimed, source, false);
        if self.inputs.is_high(source) {
            set_bit(&mut self.pending, source, true);
        }
        self.update();
    }

    /// Like [`Register::at`], for what this configuration has.
    fn register(&self, offset: u64) -> Option<Register> {
        let (sources, words) = (self.priority.len(), self.pending.len());
        let contexts = self.contexts.len();
        let register = Register::at(offset)?;
        let exists = match register {
            Register::Priority { source } => source < sources,
            Register::Pending { word } => word < words,
            Register::Enable { context, word } => context < contexts && word < words,
            Register::Threshold { context } | Register::ClaimComplete { context } => {
                context < contexts
            }
        };
        exists.then_some(register)
    }

    /// The enable bits of `word` that stand for a source.
    fn existing_sources(&self, word: usize) -> u32 {
        let absent = if word == 0 { 1 } else { 0 };
        let left = self.config.sources - 32 * word as u32;
        let mask = if left >= 32 {
            u32::MAX
        } else {
            (1 << left) - 1
        };
        mask & !absent
    }
}

impl MmioDevice for SifivePlic {
    fn read(&mut self, offset: u64, _size: AccessSize) -> u64 {
        let value = match self.register(offset) {
            Some(Register::Priority { source }) => self.priority[source],
            Some(Register::Pending { word }) => self.pending[word],
            Some(Register::Enable { context, word }) => self.contexts[context].enable[word],
            Some(Register::Threshold { context }) => self.contexts[context].threshold,
            Some(Register::ClaimComplete { context }) => self.claim(context),
            None => {
                log_guest_error!("plic: read of no register {offset:#x}");
                0
            }
        };
        value.into()
    }

    fn write(&mut self, offset: u64, _size: AccessSize, value: u64) {
        let value = value as u32;
        match self.register(offset) {
            Some(Register::ClaimComplete { .. }) => return self.complete(value),
            Some(Register::Priority { source: 0 }) => {}
            Some(Register::Priority { source }) => {
                self.priority[source] = value & self.config.priorities;
            }
            Some(Register::Enable { context, word }) => {
                self.contexts[context].enable[word] = value & self.existing_sources(word);
            }
            Some(Register::Threshold { context }) => {
                self.contexts[context].threshold = value & self.config.priorities;
            }
            Some(Register::Pending { .. }) | None => {
                log_guest_error!("plic: write of {value:#x} to register {offset:#x}");
                return;
            }
        }
        self.update();
    }

    fn min_access(&self) -> AccessSize {
        AccessSize::Word
    }

    fn max_access(&self) -> AccessSize {
        AccessSize::Word
    }

    fn reset(&mut self) {
        self.priority.fill(0);
        self.claimed.fill(0);
        for (pending, level) in self.pending.iter_mut().zip(&self.inputs.levels) {
            *pending = level.load(Ordering::SeqCst);
        }
        for (context, output) in self.contexts.iter_mut().zip(&self.outputs) {
            context.enable.fill(0);
            context.threshold = 0;
            context.raised = false;
            output.set(false);
        }
    }
}
