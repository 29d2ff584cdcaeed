//! Virtqueues (virtio 1.2, 2.6 to 2.8): taking buffers from the guest and giving them back.
//!
//! Both ring formats hide behind [`VirtQueue`]. All addresses are the guest's and are checked by
//! the address space at each access; a chain has at most [`CHAIN_LENGTH_MAX`] parts, which
//! bounds both the walk and what an [`Element`] allocates.

mod element;
mod packed;
mod split;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use include::{AddressSpace, BusError, PhysAddr};

pub use element::{Element, Segment};
use packed::PackedRing;
use split::SplitRing;

use super::spec::feature;

/// Most descriptors in a chain, those of an indirect table included (QEMU's limit too).
pub const CHAIN_LENGTH_MAX: usize = 1024;

/// What a guest can do wrong with a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    #[error("a ring or a buffer lies outside RAM")]
    Memory,
    #[error("the available index moved by {0}, more than the queue holds")]
    IndexJump(u16),
    #[error("descriptor {0} does not exist")]
    NoDescriptor(u16),
    #[error("a descriptor chain is too long or loops")]
    ChainTooLong,
    #[error("a buffer to read follows one to write")]
    Order,
    #[error("an indirect table of {0} bytes, or inside another")]
    Indirect(u32),
    #[error("more buffers are available than the queue holds")]
    TooManyBuffers,
}

impl From<BusError> for QueueError {
    fn from(BusError: BusError) -> Self {
        Self::Memory
    }
}

/// Where the guest put the parts of a ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Descriptor table, or the packed ring.
    pub descriptors: PhysAddr,
    /// Available ring, or the driver's event suppression.
    pub driver: PhysAddr,
    /// Used ring, or the device's event suppression.
    pub device: PhysAddr,
}

impl Layout {
    /// The legacy layout: all in one piece, the used ring aligned to `align` (2.7.2).
    pub fn legacy(descriptors: PhysAddr, size: u16, align: u32) -> Self {
        let (size, align) = (u64::from(size), u64::from(align.max(1)));
        let available = 16 * size;
        let used = (available + 6 + 2 * size).next_multiple_of(align);
        Self {
            descriptors,
            driver: descriptors.add(available),
            device: descriptors.add(used),
        }
    }
}

/// A queue of a device. The transport configures it, the device pops and pushes.
pub struct VirtQueue {
    memory: Arc<dyn AddressSpace>,
    size_max: u16,
    size: u16,
    layout: Layout,
    ready: bool,
    ring: Box<dyn Ring>,
    /// Buffers that the device has taken and not given back.
    in_flight: u16,
    scratch: Scratch,
    /// Counts resets, so that buffers from before a reset are not given back after it.
    epoch: u32,
}

/// Memory that requests use one after the other, so that a request allocates nothing.
#[derive(Default)]
struct Scratch {
    /// Of elements that were given back.
    segments: Vec<Vec<Segment>>,
    /// An indirect table, copied so that the guest does not change it under the walk.
    table: Vec<u8>,
}

/// How much memory of elements is kept, and how large it may be each.
const SPARE_ELEMENTS_MAX: usize = 64;
const SPARE_SEGMENTS_MAX: usize = 128;

impl Scratch {
    fn element(&mut self) -> Element {
        Element::new(self.segments.pop().unwrap_or_default())
    }

    fn recycle(&mut self, element: Element) {
        let segments = element.into_segments();
        let fits = (1..=SPARE_SEGMENTS_MAX).contains(&segments.capacity());
        if fits && self.segments.len() < SPARE_ELEMENTS_MAX {
            self.segments.push(segments);
        }
    }
}

/// One of the two ring formats: how far device and driver have got.
trait Ring: Send {
    fn pop(
        &mut self,
        context: &RingContext,
        scratch: &mut Scratch,
    ) -> Result<Option<Element>, QueueError>;
    fn push(
        &mut self,
        context: &RingContext,
        element: &Element,
        written: u32,
    ) -> Result<(), QueueError>;
    fn needs_interrupt(&mut self, context: &RingContext) -> Result<bool, QueueError>;
    fn set_notification(&mut self, context: &RingContext, wanted: bool) -> Result<(), QueueError>;
}

/// What the ring formats need to know of their queue.
struct RingContext<'a> {
    memory: &'a dyn AddressSpace,
    size: u16,
    layout: Layout,
    in_flight: u16,
}

impl RingContext<'_> {
    fn read<const N: usize>(&self, addr: PhysAddr) -> Result<[u8; N], QueueError> {
        let mut bytes = [0; N];
        self.memory.read(addr, &mut bytes)?;
        Ok(bytes)
    }

    fn read_u16(&self, addr: PhysAddr) -> Result<u16, QueueError> {
        self.read(addr).map(u16::from_le_bytes)
    }

    fn write_u16(&self, addr: PhysAddr, value: u16) -> Result<(), QueueError> {
        Ok(self.memory.write(addr, &value.to_le_bytes())?)
    }

    /// The whole of an indirect table, which must be a multiple of descriptors; `table` is
    /// memory for it.
    fn indirect_table<'t>(
        &self,
        addr: PhysAddr,
        bytes: u32,
        table: &'t mut Vec<u8>,
    ) -> Result<&'t [[u8; super::spec::descriptor::SIZE]], QueueError> {
        let length = bytes as usize;
        if length == 0 || !length.is_multiple_of(super::spec::descriptor::SIZE) {
            return Err(QueueError::Indirect(bytes));
        }
        if length / super::spec::descriptor::SIZE > CHAIN_LENGTH_MAX {
            return Err(QueueError::ChainTooLong);
        }
        table.resize(length.max(table.len()), 0);
        self.memory.read(addr, &mut table[..length])?;
        Ok(table[..length].as_chunks().0)
    }
}

/// Is the other side's wish, to hear of index `event`, met by going from `old` to `new`?
fn need_event(event: u16, new: u16, old: u16) -> bool {
    new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
}

impl VirtQueue {
    pub fn new(memory: Arc<dyn AddressSpace>, size_max: u16) -> Self {
        let valid = size_max.is_power_of_two() && usize::from(size_max) <= CHAIN_LENGTH_MAX;
        assert!(valid, "size of a virtqueue: {size_max}");
        Self {
            memory,
            size_max,
            size: size_max,
            layout: Layout::default(),
            ready: false,
            ring: Box::new(SplitRing::new(0)),
            in_flight: 0,
            scratch: Scratch::default(),
            epoch: 0,
        }
    }

    /// As after power-on: not ready, of greatest size.
    pub fn reset(&mut self) {
        let epoch = self.epoch.wrapping_add(1);
        *self = Self {
            epoch,
            ..Self::new(self.memory.clone(), self.size_max)
        };
    }

    pub fn size_max(&self) -> u16 {
        self.size_max
    }

    pub fn size(&self) -> u16 {
        self.size
    }

    pub fn is_ready(&self) -> bool {
        self.ready
    }

    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Sets the size; false, and nothing happens, if it cannot be that.
    pub fn set_size(&mut self, size: u16) -> bool {
        // The packed ring allows any size, the split ring only powers of two.
        let valid = size > 0 && size <= self.size_max && !self.ready;
        if valid {
            self.size = size;
        }
        valid
    }

    /// Sets the addresses; false, and nothing happens, while the queue is in use.
    pub fn set_layout(&mut self, layout: Layout) -> bool {
        if !self.ready {
            self.layout = layout;
        }
        !self.ready
    }

    /// Starts the queue under the negotiated features; false if its size does not suit them.
    pub fn start(&mut self, features: u64) -> bool {
        let packed = features & feature::RING_PACKED != 0;
        if self.ready || !(packed || self.size.is_power_of_two()) {
            return false;
        }
        self.ring = if packed {
            Box::new(PackedRing::default())
        } else {
            Box::new(SplitRing::new(features))
        };
        self.ready = true;
        true
    }

    /// The ring with what it needs, if the queue is ready.
    fn ring(&mut self) -> Option<(&mut dyn Ring, RingContext<'_>, &mut Scratch)> {
        let Self {
            memory,
            size,
            layout,
            in_flight,
            scratch,
            ..
        } = self;
        let (size, layout, in_flight) = (*size, *layout, *in_flight);
        let context = RingContext {
            memory: &**memory,
            size,
            layout,
            in_flight,
        };
        self.ready.then_some((&mut *self.ring, context, scratch))
    }

    /// The next buffer that the guest made available, if there is one.
    pub fn pop(&mut self) -> Result<Option<Element>, QueueError> {
        let Some((ring, context, scratch)) = self.ring() else {
            return Ok(None);
        };
        let Some(mut element) = ring.pop(&context, scratch)? else {
            return Ok(None);
        };
        if self.in_flight == self.size {
            return Err(QueueError::TooManyBuffers);
        }
        self.in_flight += 1;
        element.epoch = self.epoch;
        Ok(Some(element))
    }

    /// Gives a buffer back, with the number of bytes that the device wrote into it.
    pub fn push(&mut self, element: Element, written: u32) -> Result<(), QueueError> {
        if element.epoch != self.epoch {
            return Ok(());
        }
        self.in_flight = self.in_flight.saturating_sub(1);
        let Some((ring, context, scratch)) = self.ring() else {
            return Ok(());
        };
        ring.push(&context, &element, written)?;
        scratch.recycle(element);
        Ok(())
    }

    /// After pushes: does the guest want to be interrupted for them? Asking counts as telling.
    pub fn needs_interrupt(&mut self) -> Result<bool, QueueError> {
        let Some((ring, context, _)) = self.ring() else {
            return Ok(false);
        };
        ring.needs_interrupt(&context)
    }

    /// Asks the guest for notifications of new buffers, or not to bother. After asking for them
    /// again, the device must look once more, lest it miss what came in between.
    pub fn set_notification(&mut self, wanted: bool) -> Result<(), QueueError> {
        let Some((ring, context, _)) = self.ring() else {
            return Ok(());
        };
        ring.set_notification(&context, wanted)
    }
}
