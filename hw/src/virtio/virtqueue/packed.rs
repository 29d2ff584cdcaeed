//! The packed ring (virtio 1.2, 2.8).

use std::sync::atomic::{Ordering, fence};

use include::PhysAddr;

use super::element::{Descriptor, Element};
use super::{QueueError, Ring, RingContext, Scratch, need_event};
use crate::virtio::spec::descriptor::{AVAIL, INDIRECT, NEXT, SIZE, USED, WRITE};
use crate::virtio::spec::packed;

/// A place in the ring, with the wrap counter that tells rounds apart.
#[derive(Clone, Copy)]
struct Position {
    index: u16,
    wrap: bool,
}

impl Position {
    const START: Self = Self {
        index: 0,
        wrap: true,
    };

    /// `count` is at most the size. True if it went past the end.
    fn advance(&mut self, count: u16, size: u16) -> bool {
        let next = u32::from(self.index) + u32::from(count);
        let wrapped = next >= u32::from(size);
        self.index = if wrapped {
            next - u32::from(size)
        } else {
            next
        } as u16;
        self.wrap ^= wrapped;
        wrapped
    }
}

/// How far device and driver have got.
pub(super) struct PackedRing {
    next_available: Position,
    next_used: Position,
    /// The used index when the guest was last told; `None` at the start and after a wrap.
    told: Option<u16>,
}

impl Default for PackedRing {
    fn default() -> Self {
        Self {
            next_available: Position::START,
            next_used: Position::START,
            told: None,
        }
    }
}

fn slot(context: &RingContext, index: u16) -> PhysAddr {
    context
        .layout
        .descriptors
        .add(SIZE as u64 * u64::from(index))
}

const FLAGS: u64 = 14;

impl Ring for PackedRing {
    fn pop(
        &mut self,
        context: &RingContext,
        scratch: &mut Scratch,
    ) -> Result<Option<Element>, QueueError> {
        let Position { index, wrap } = self.next_available;
        let flags = context.read_u16(slot(context, index).add(FLAGS))?;
        if (flags & AVAIL != 0) != wrap || (flags & USED != 0) == wrap {
            return Ok(None);
        }
        // Descriptors are read after the flags that announce them.
        fence(Ordering::Acquire);
        let element = walk(context, self.next_available, scratch)?;
        self.next_available
            .advance(element.ring_descriptors, context.size);
        Ok(Some(element))
    }

    fn push(
        &mut self,
        context: &RingContext,
        element: &Element,
        written: u32,
    ) -> Result<(), QueueError> {
        let Position { index, wrap } = self.next_used;
        let at = slot(context, index);
        let length_and_id = u64::from(written) | u64::from(element.id) << 32;
        context
            .memory
            .write(at.add(8), &length_and_id.to_le_bytes()[..6])?;
        let round = if wrap { AVAIL | USED } else { 0 };
        let wrote = if written > 0 { WRITE } else { 0 };
        // The descriptor is there before the flags that announce it.
        fence(Ordering::Release);
        context.write_u16(at.add(FLAGS), round | wrote)?;
        if self
            .next_used
            .advance(element.ring_descriptors, context.size)
        {
            self.told = None;
        }
        Ok(())
    }

    fn needs_interrupt(&mut self, context: &RingContext) -> Result<bool, QueueError> {
        // The guest sets its wish, then reads the ring; we wrote the ring, then read its wish.
        fence(Ordering::SeqCst);
        let told = self.told.replace(self.next_used.index);
        let flags = context.read_u16(context.layout.driver.add(2))?;
        match flags & 3 {
            packed::EVENT_DISABLE => Ok(false),
            packed::EVENT_DESC => {
                let wish = context.read_u16(context.layout.driver)?;
                let same_round = (wish & 0x8000 != 0) == self.next_used.wrap;
                let back = if same_round { 0 } else { context.size };
                let event = (wish & 0x7fff).wrapping_sub(back);
                Ok(told.is_none_or(|told| need_event(event, self.next_used.index, told)))
            }
            _ => Ok(true),
        }
    }

    fn set_notification(&mut self, context: &RingContext, wanted: bool) -> Result<(), QueueError> {
        let flags = if wanted {
            packed::EVENT_ENABLE
        } else {
            packed::EVENT_DISABLE
        };
        context.write_u16(context.layout.device.add(2), flags)?;
        fence(Ordering::SeqCst);
        Ok(())
    }
}

/// Collects the chain that starts at `at`: neighbours in the ring, the id in the last one.
fn walk(
    context: &RingContext,
    mut at: Position,
    scratch: &mut Scratch,
) -> Result<Element, QueueError> {
    let mut element = scratch.element();
    for count in 1..=context.size {
        let (descriptor, id) = Descriptor::parse_packed(&context.read(slot(context, at.index))?);
        if descriptor.is(INDIRECT) {
            add_table(context, &descriptor, &mut element, &mut scratch.table)?;
        } else {
            element.add(&descriptor)?;
        }
        if !descriptor.is(NEXT) {
            (element.id, element.ring_descriptors) = (id, count);
            return Ok(element);
        }
        at.advance(1, context.size);
    }
    Err(QueueError::ChainTooLong)
}

/// All descriptors of an indirect table belong to the chain, in order (2.8.8).
fn add_table(
    context: &RingContext,
    outer: &Descriptor,
    element: &mut Element,
    table: &mut Vec<u8>,
) -> Result<(), QueueError> {
    if outer.is(NEXT) {
        return Err(QueueError::Indirect(outer.len));
    }
    for bytes in context.indirect_table(outer.addr, outer.len, table)? {
        element.add(&Descriptor::parse_packed(bytes).0)?;
    }
    Ok(())
}
