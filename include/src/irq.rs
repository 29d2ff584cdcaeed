//! Interrupt wires.

use std::sync::Arc;

/// Whatever has numbered interrupt inputs: a PLIC, a vCPU, a test.
pub trait IrqSink: Send + Sync {
    /// Sets input `number` high or low. Level-triggered, idempotent, callable from any thread.
    fn set_irq(&self, number: u32, level: bool);
}

/// One wire from a device to an input of a sink.
#[derive(Clone)]
pub struct IrqLine {
    sink: Arc<dyn IrqSink>,
    number: u32,
}

impl IrqLine {
    /// The wire to input `number` of `sink`.
    pub fn new(sink: Arc<dyn IrqSink>, number: u32) -> Self {
        Self { sink, number }
    }

    /// A wire that leads nowhere.
    pub fn unconnected() -> Self {
        struct Nowhere;
        impl IrqSink for Nowhere {
            fn set_irq(&self, _number: u32, _level: bool) {}
        }
        Self::new(Arc::new(Nowhere), 0)
    }

    /// Drives the wire.
    pub fn set(&self, level: bool) {
        self.sink.set_irq(self.number, level);
    }
}
