//! The split ring (virtio 1.2, 2.7).

use std::sync::atomic::{Ordering, fence};

use include::PhysAddr;

use super::element::{Descriptor, Element};
use super::{QueueError, Ring, RingContext, Scratch, need_event};
use crate::virtio::spec::descriptor::{INDIRECT, NEXT, SIZE};
use crate::virtio::spec::{feature, split};

/// How far device and driver have got.
#[derive(Default)]
pub(super) struct SplitRing {
    event_idx: bool,
    notify_on_empty: bool,
    /// What the available index was when it was last looked at.
    available: u16,
    /// The next entry of the available ring.
    next_available: u16,
    /// The next entry of the used ring.
    next_used: u16,
    /// The used index when the guest was last told; `None` before that.
    told: Option<u16>,
    /// The device does not want notifications now.
    quiet: bool,
}

impl SplitRing {
    pub fn new(features: u64) -> Self {
        Self {
            event_idx: features & feature::EVENT_IDX != 0,
            notify_on_empty: features & feature::NOTIFY_ON_EMPTY != 0,
            ..Self::default()
        }
    }

    /// Looks for new entries, and says how many there are.
    fn look(&mut self, context: &RingContext) -> Result<u16, QueueError> {
        let available = context.read_u16(context.layout.driver.add(2))?;
        let new = available.wrapping_sub(self.next_available);
        if new > context.size {
            return Err(QueueError::IndexJump(new));
        }
        self.available = available;
        // Entries and descriptors are read after the index that announces them.
        fence(Ordering::Acquire);
        Ok(new)
    }
}

impl Ring for SplitRing {
    fn pop(
        &mut self,
        context: &RingContext,
        scratch: &mut Scratch,
    ) -> Result<Option<Element>, QueueError> {
        if self.available == self.next_available && self.look(context)? == 0 {
            return Ok(None);
        }
        let slot = u64::from(self.next_available % context.size);
        let head = context.read_u16(context.layout.driver.add(4 + 2 * slot))?;
        self.next_available = self.next_available.wrapping_add(1);
        if self.event_idx && !self.quiet {
            context.write_u16(available_event(context), self.next_available)?;
        }
        let mut element = scratch.element();
        element.id = head;
        walk(context, &mut element, &mut scratch.table)?;
        Ok(Some(element))
    }

    fn push(
        &mut self,
        context: &RingContext,
        element: &Element,
        written: u32,
    ) -> Result<(), QueueError> {
        let used = context.layout.device;
        let slot = u64::from(self.next_used % context.size);
        let entry = u64::from(element.id) | u64::from(written) << 32;
        context
            .memory
            .write(used.add(4 + 8 * slot), &entry.to_le_bytes())?;
        // The entry is there before the index that announces it.
        fence(Ordering::Release);
        self.next_used = self.next_used.wrapping_add(1);
        context.write_u16(used.add(2), self.next_used)
    }

    fn needs_interrupt(&mut self, context: &RingContext) -> Result<bool, QueueError> {
        // The guest sets its wish, then reads the index; we wrote the index, then read its wish.
        fence(Ordering::SeqCst);
        let driver = context.layout.driver;
        if self.notify_on_empty && context.in_flight == 0 && self.look(context)? == 0 {
            return Ok(true);
        }
        if !self.event_idx {
            return Ok(context.read_u16(driver)? & split::AVAIL_NO_INTERRUPT == 0);
        }
        let event = context.read_u16(driver.add(4 + 2 * u64::from(context.size)))?;
        let told = self.told.replace(self.next_used);
        Ok(told.is_none_or(|told| need_event(event, self.next_used, told)))
    }

    fn set_notification(&mut self, context: &RingContext, wanted: bool) -> Result<(), QueueError> {
        self.quiet = !wanted;
        if !self.event_idx {
            let flags = if wanted { 0 } else { split::USED_NO_NOTIFY };
            context.write_u16(context.layout.device, flags)?;
        } else if wanted {
            context.write_u16(available_event(context), self.next_available)?;
        }
        fence(Ordering::SeqCst);
        Ok(())
    }
}

/// The field after the used ring: the device wants to hear when that entry becomes available.
fn available_event(context: &RingContext) -> PhysAddr {
    context.layout.device.add(4 + 8 * u64::from(context.size))
}

/// Collects the chain that starts at `element.id`.
fn walk(
    context: &RingContext,
    element: &mut Element,
    table: &mut Vec<u8>,
) -> Result<(), QueueError> {
    let mut index = element.id;
    for _ in 0..context.size {
        if index >= context.size {
            return Err(QueueError::NoDescriptor(index));
        }
        let at = context
            .layout
            .descriptors
            .add(SIZE as u64 * u64::from(index));
        let descriptor = Descriptor::parse_split(&context.read(at)?);
        if descriptor.is(INDIRECT) {
            return walk_indirect(context, &descriptor, element, table);
        }
        element.add(&descriptor)?;
        if !descriptor.is(NEXT) {
            return Ok(());
        }
        index = descriptor.next;
    }
    Err(QueueError::ChainTooLong)
}

/// Collects the chain in the table that `outer` describes; it ends the outer chain.
fn walk_indirect(
    context: &RingContext,
    outer: &Descriptor,
    element: &mut Element,
    table: &mut Vec<u8>,
) -> Result<(), QueueError> {
    if outer.is(NEXT) {
        return Err(QueueError::Indirect(outer.len));
    }
    let descriptors = context.indirect_table(outer.addr, outer.len, table)?;
    let mut index = 0;
    for _ in descriptors {
        let bytes = descriptors
            .get(usize::from(index))
            .ok_or(QueueError::NoDescriptor(index))?;
        let descriptor = Descriptor::parse_split(bytes);
        element.add(&descriptor)?;
        if !descriptor.is(NEXT) {
            return Ok(());
        }
        index = descriptor.next;
    }
    Err(QueueError::ChainTooLong)
}
