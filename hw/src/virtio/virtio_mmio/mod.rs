//! virtio over MMIO (virtio 1.2, 4.2): version 2, and the legacy version 1 (4.2.4).
//!
//! A slot without a device shows magic, version and vendor, and a device ID of 0, which tells
//! drivers to leave it alone.

mod registers;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use include::{AccessSize, AddressSpace, IrqLine, MmioDevice, PhysAddr};
use parking_lot::Mutex;

use crate::core::log_guest_error;
use crate::virtio::spec::{feature, status};
use crate::virtio::virtio_bus::VirtioBus;
use crate::virtio::virtqueue::{Layout, VirtQueue};
use registers::*;

/// "virt".
const MAGIC: u32 = u32::from_le_bytes(*b"virt");
/// "QEMU", so that guests see what they see there.
const VENDOR: u32 = u32::from_le_bytes(*b"QEMU");
const VERSION_LEGACY: u32 = 1;
const VERSION_MODERN: u32 = 2;
/// Bytes in QEMU's window.
pub const VIRTIO_MMIO_SIZE: u64 = 0x200;
/// What a legacy queue is aligned to until the driver says.
const LEGACY_ALIGN: u32 = 4096;

/// Properties of the transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VirtioMmioConfig {
    /// QEMU's property `force-legacy`: answer as version 1.
    pub force_legacy: bool,
}

impl Default for VirtioMmioConfig {
    fn default() -> Self {
        Self { force_legacy: true }
    }
}

/// A transport slot. Window: [`VIRTIO_MMIO_SIZE`] bytes (0x1000 apart on virt).
pub struct VirtioMmio {
    legacy: bool,
    bus: Arc<Mutex<VirtioBus>>,
    state: State,
}

/// What a reset of the machine clears; the rest of the state is the bus's.
struct State {
    device_features_sel: u32,
    driver_features_sel: u32,
    /// What the driver wrote and FEATURES_OK makes valid.
    driver_features: u64,
    queue_sel: u16,
    shm_sel: u32,
    /// Legacy.
    guest_page_size: u32,
    /// Legacy.
    queue_align: u32,
}

impl State {
    fn power_on() -> Self {
        Self {
            device_features_sel: 0,
            driver_features_sel: 0,
            driver_features: 0,
            queue_sel: 0,
            shm_sel: 0,
            guest_page_size: 0,
            queue_align: LEGACY_ALIGN,
        }
    }
}

fn low(value: u64) -> u32 {
    value as u32
}

fn high(value: u64) -> u32 {
    (value >> 32) as u32
}

/// `whole` with one half replaced.
fn with_half(whole: u64, upper: bool, half: u32) -> u64 {
    let shift = if upper { 32 } else { 0 };
    whole & !(0xffff_ffff << shift) | u64::from(half) << shift
}

impl VirtioMmio {
    pub fn new(
        config: VirtioMmioConfig,
        memory: Arc<dyn AddressSpace>,
        irq: IrqLine,
    ) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self {
            legacy: config.force_legacy,
            bus: VirtioBus::new(memory, irq),
            state: State::power_on(),
        }))
    }

    /// Where a device plugs in.
    pub fn bus(&self) -> Arc<Mutex<VirtioBus>> {
        self.bus.clone()
    }

    fn version(&self) -> u32 {
        if self.legacy {
            VERSION_LEGACY
        } else {
            VERSION_MODERN
        }
    }

    /// The part of the offered features that this version of the transport can show.
    fn offered(&self, bus: &VirtioBus) -> u64 {
        let hidden = if self.legacy {
            !feature::LEGACY
        } else {
            feature::LEGACY_ONLY
        };
        bus.host_features() & !hidden
    }

    fn read_empty(&self, offset: u64) -> u32 {
        match offset {
            MAGIC_VALUE => MAGIC,
            VERSION => self.version(),
            VENDOR_ID => VENDOR,
            _ => 0,
        }
    }

    fn read_register(&self, bus: &VirtioBus, offset: u64) -> Option<u32> {
        let queue = bus.queue(self.state.queue_sel);
        Some(match offset {
            MAGIC_VALUE | VERSION | VENDOR_ID => self.read_empty(offset),
            DEVICE_ID => bus.device()?.device_id(),
            DEVICE_FEATURES => match self.state.device_features_sel {
                0 => low(self.offered(bus)),
                1 => high(self.offered(bus)),
                _ => 0,
            },
            QUEUE_NUM_MAX => queue.map_or(0, VirtQueue::size_max).into(),
            INTERRUPT_STATUS => bus.isr().into(),
            STATUS => bus.status().into(),
            QUEUE_PFN if self.legacy => queue.map_or(0, |queue| self.frame(queue)),
            QUEUE_READY if !self.legacy => queue.is_some_and(VirtQueue::is_ready).into(),
            SHM_LEN_LOW..=SHM_BASE_HIGH if !self.legacy => self.shared_memory(bus, offset),
            CONFIG_GENERATION if !self.legacy => bus.config_generation(),
            _ => return None,
        })
    }

    /// Legacy: the page that the queue begins at.
    fn frame(&self, queue: &VirtQueue) -> u32 {
        let descriptors = queue.layout().descriptors.0;
        descriptors
            .checked_div(self.state.guest_page_size.into())
            .map_or(0, low)
    }

    /// A region that is not there has all bits set.
    fn shared_memory(&self, bus: &VirtioBus, offset: u64) -> u32 {
        let id = u8::try_from(self.state.shm_sel).ok();
        let region = id.and_then(|id| bus.device()?.shared_memory(id));
        let (base, length) = region.map_or((u64::MAX, u64::MAX), |it| (it.base, it.length));
        match offset {
            SHM_LEN_LOW => low(length),
            SHM_LEN_HIGH => high(length),
            SHM_BASE_LOW => low(base),
            SHM_BASE_HIGH => high(base),
            _ => 0,
        }
    }

    /// False if there is no such register to write.
    fn write_register(&mut self, bus: &mut VirtioBus, offset: u64, value: u32) -> bool {
        match offset {
            DEVICE_FEATURES_SEL => self.state.device_features_sel = value,
            DRIVER_FEATURES_SEL => self.state.driver_features_sel = value,
            DRIVER_FEATURES => return self.write_features(bus, value),
            QUEUE_SEL => self.state.queue_sel = value.try_into().unwrap_or(u16::MAX),
            QUEUE_NUM => return self.write_queue_size(bus, value),
            QUEUE_NOTIFY => bus.queue_notify(value.try_into().unwrap_or(u16::MAX)),
            INTERRUPT_ACK => bus.acknowledge(value as u8),
            STATUS => self.write_status(bus, value as u8),
            _ if self.legacy => return self.write_legacy(bus, offset, value),
            _ => return self.write_modern(bus, offset, value),
        }
        true
    }

    fn write_legacy(&mut self, bus: &mut VirtioBus, offset: u64, value: u32) -> bool {
        match offset {
            GUEST_PAGE_SIZE => self.state.guest_page_size = value,
            // An alignment that is no power of two would be the guest's own trouble; 0 is ours.
            QUEUE_ALIGN => self.state.queue_align = value.max(1),
            QUEUE_PFN => return self.write_frame(bus, value),
            _ => return false,
        }
        true
    }

    fn write_modern(&mut self, bus: &mut VirtioBus, offset: u64, value: u32) -> bool {
        let selected = self.state.queue_sel;
        match offset {
            SHM_SEL => self.state.shm_sel = value,
            QUEUE_READY if value & 1 != 0 => return bus.start_queue(selected),
            QUEUE_READY => {
                if let Some(queue) = bus.queue_mut(selected) {
                    queue.reset();
                }
            }
            _ => {
                return bus
                    .queue_mut(selected)
                    .is_some_and(|queue| set_half(queue, offset, value));
            }
        }
        true
    }

    /// Legacy drivers negotiate with the write; others with FEATURES_OK.
    fn write_features(&mut self, bus: &mut VirtioBus, value: u32) -> bool {
        if self.legacy {
            let accepted = u64::from(value) & self.offered(bus);
            return self.state.driver_features_sel != 0 || bus.set_guest_features(accepted);
        }
        let upper = match self.state.driver_features_sel {
            0 => false,
            1 => true,
            // Bits from 64 on: none are offered, so none may be accepted.
            _ => return value == 0,
        };
        self.state.driver_features = with_half(self.state.driver_features, upper, value);
        true
    }

    fn write_queue_size(&mut self, bus: &mut VirtioBus, value: u32) -> bool {
        let queue = bus.queue_mut(self.state.queue_sel);
        let size = u16::try_from(value).unwrap_or(0);
        queue.is_some_and(|queue| queue.set_size(size))
    }

    /// Legacy: where the queue is, and that it is ready; page 0 takes it out of use.
    fn write_frame(&mut self, bus: &mut VirtioBus, frame: u32) -> bool {
        let page_size = u64::from(self.state.guest_page_size);
        let (selected, align) = (self.state.queue_sel, self.state.queue_align);
        let Some(queue) = bus.queue_mut(selected) else {
            return false;
        };
        if frame == 0 {
            queue.reset();
            return true;
        }
        let descriptors = PhysAddr(page_size * u64::from(frame));
        queue.set_layout(Layout::legacy(descriptors, queue.size(), align))
            && bus.start_queue(selected)
    }

    /// A reset by the driver leaves the transport's own registers alone: Linux sets the legacy
    /// page size before it.
    fn write_status(&mut self, bus: &mut VirtioBus, value: u8) {
        if value == 0 {
            self.state.driver_features = 0;
            return bus.reset();
        }
        let negotiating = value & !bus.status() & status::FEATURES_OK != 0;
        let refused = negotiating && !self.legacy && !self.negotiate(bus);
        bus.set_status(if refused {
            value & !status::FEATURES_OK
        } else {
            value
        });
    }

    /// A modern driver must accept VERSION_1, and nothing that was not offered.
    fn negotiate(&self, bus: &mut VirtioBus) -> bool {
        let features = self.state.driver_features;
        let offered = features & !self.offered(bus) == 0;
        offered && features & feature::VERSION_1 != 0 && bus.set_guest_features(features)
    }
}

/// One half of an address of a queue; false if `offset` is no such register or it is in use.
fn set_half(queue: &mut VirtQueue, offset: u64, value: u32) -> bool {
    let mut layout = queue.layout();
    let (part, upper) = match offset {
        QUEUE_DESC_LOW => (&mut layout.descriptors, false),
        QUEUE_DESC_HIGH => (&mut layout.descriptors, true),
        QUEUE_DRIVER_LOW => (&mut layout.driver, false),
        QUEUE_DRIVER_HIGH => (&mut layout.driver, true),
        QUEUE_DEVICE_LOW => (&mut layout.device, false),
        QUEUE_DEVICE_HIGH => (&mut layout.device, true),
        _ => return false,
    };
    part.0 = with_half(part.0, upper, value);
    queue.set_layout(layout)
}

impl MmioDevice for VirtioMmio {
    fn read(&mut self, offset: u64, size: AccessSize) -> u64 {
        let bus = self.bus.clone();
        let bus = bus.lock();
        let value = match (offset, size) {
            _ if !bus.has_device() => Some(self.read_empty(offset).into()),
            (CONFIG.., _) => Some(bus.read_config(offset - CONFIG, size.bytes() as usize)),
            (_, AccessSize::Word) => self.read_register(&bus, offset).map(u64::from),
            _ => None,
        };
        value.map_or_else(
            || {
                log_guest_error!("virtio-mmio: {size:?} read of register {offset:#x}");
                0
            },
            |value| value & size.mask(),
        )
    }

    fn write(&mut self, offset: u64, size: AccessSize, value: u64) {
        let bus = self.bus.clone();
        let mut bus = bus.lock();
        let known = match (offset, size) {
            _ if !bus.has_device() => true,
            (CONFIG.., _) => {
                bus.write_config(offset - CONFIG, size.bytes() as usize, value);
                true
            }
            (_, AccessSize::Word) => self.write_register(&mut bus, offset, value as u32),
            _ => false,
        };
        if !known {
            log_guest_error!("virtio-mmio: {size:?} write of {value:#x} to {offset:#x} refused");
        }
    }

    fn reset(&mut self) {
        self.state = State::power_on();
        self.bus.lock().reset();
    }
}
