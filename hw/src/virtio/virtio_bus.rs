//! One virtio device, and the state that every transport keeps for it (virtio 1.2, chapter 2).

use std::sync::{Arc, Weak};

use include::{AddressSpace, IrqLine};
use parking_lot::Mutex;

use super::spec::{feature, isr, status};
use super::virtqueue::{Element, QueueError, VirtQueue};
use crate::core::log_guest_error;

/// Features that every device offers besides its own: QEMU's property, the bit, the default.
pub const COMMON_FEATURES: &[(&str, u64, bool)] = &[
    ("any_layout", feature::ANY_LAYOUT, true),
    ("event_idx", feature::EVENT_IDX, true),
    ("indirect_desc", feature::INDIRECT_DESC, true),
    ("notify_on_empty", feature::NOTIFY_ON_EMPTY, true),
    ("packed", feature::RING_PACKED, false),
];

/// The bits of [`COMMON_FEATURES`] that are on by default.
fn default_features() -> u64 {
    let on = COMMON_FEATURES.iter().filter(|(_, _, default)| *default);
    on.fold(0, |all, (_, bit, _)| all | bit)
}

/// A shared memory region of a device (2.10), where the guest sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedMemory {
    pub base: u64,
    pub length: u64,
}

/// A virtio device, without its transport. All calls come with the bus locked.
pub trait VirtioDevice: Send {
    /// Device type, see [`super::spec::device_id`].
    fn device_id(&self) -> u32;
    /// Features of this type of device; [`COMMON_FEATURES`] are the bus's affair.
    fn features(&self) -> u64;
    /// Greatest size of each queue, a power of two.
    fn queue_sizes(&self) -> &[u16];
    /// The configuration space as it is now.
    fn config(&self) -> &[u8];
    /// The guest wrote inside the configuration space.
    fn write_config(&mut self, offset: usize, bytes: &[u8]);
    /// Once, when the device is plugged: where [`VirtioBus::wake`] is to be called for work that
    /// ends on another thread or in a timer.
    fn realize(&mut self, bus: Weak<Mutex<VirtioBus>>);
    /// The guest says that there are new buffers. Also called for each queue when the driver is
    /// ready, since it may have filled them before.
    fn queue_notify(&mut self, queue: u16, state: &mut VirtioState);
    /// Somebody called [`VirtioBus::wake`].
    fn wake(&mut self, state: &mut VirtioState);
    /// Back to the state after `realize`. The queues are reset already.
    fn reset(&mut self);
    /// Region `id`, if there is one.
    fn shared_memory(&self, _id: u8) -> Option<SharedMemory> {
        None
    }
}

/// The part of the bus that a device works with.
pub struct VirtioState {
    memory: Arc<dyn AddressSpace>,
    irq: IrqLine,
    queues: Vec<VirtQueue>,
    host_features: u64,
    guest_features: u64,
    status: u8,
    isr: u8,
    config_generation: u32,
    broken: bool,
}

impl VirtioState {
    fn new(memory: Arc<dyn AddressSpace>, irq: IrqLine) -> Self {
        Self {
            memory,
            irq,
            queues: Vec::new(),
            host_features: 0,
            guest_features: 0,
            status: 0,
            isr: 0,
            config_generation: 0,
            broken: false,
        }
    }

    pub fn memory(&self) -> &Arc<dyn AddressSpace> {
        &self.memory
    }

    /// Did the driver accept all of `features`?
    pub fn has_features(&self, features: u64) -> bool {
        self.guest_features & features == features
    }

    pub fn is_driver_ok(&self) -> bool {
        self.status & status::DRIVER_OK != 0
    }

    /// The next buffer of a queue; none while the device is broken.
    pub fn pop(&mut self, queue: u16) -> Option<Element> {
        if self.broken {
            return None;
        }
        let popped = self.queues.get_mut(usize::from(queue))?.pop();
        popped.unwrap_or_else(|error| {
            self.fail(error);
            None
        })
    }

    /// Gives a buffer back; the guest hears of it with the next [`VirtioState::notify`].
    pub fn push(&mut self, queue: u16, element: Element, written: u32) {
        let Some(virtqueue) = self.queues.get_mut(usize::from(queue)) else {
            return;
        };
        if let Err(error) = virtqueue.push(element, written) {
            self.fail(error);
        }
    }

    /// Interrupts the guest for what was pushed, if it wants that.
    pub fn notify(&mut self, queue: u16) {
        let Some(virtqueue) = self.queues.get_mut(usize::from(queue)) else {
            return;
        };
        match virtqueue.needs_interrupt() {
            Ok(true) => self.raise(isr::USED_BUFFER),
            Ok(false) => {}
            Err(error) => self.fail(error),
        }
    }

    /// Asks for notifications of a queue, or not (see [`VirtQueue::set_notification`]).
    pub fn set_notification(&mut self, queue: u16, wanted: bool) {
        let Some(virtqueue) = self.queues.get_mut(usize::from(queue)) else {
            return;
        };
        if let Err(error) = virtqueue.set_notification(wanted) {
            self.fail(error);
        }
    }

    /// Tells the guest that the configuration space changed.
    pub fn notify_config(&mut self) {
        self.config_generation = self.config_generation.wrapping_add(1);
        if self.is_driver_ok() {
            self.raise(isr::CONFIG_CHANGE);
        }
    }

    /// The guest broke a ring or a buffer: nothing works until it resets the device (2.1.2).
    pub fn fail(&mut self, error: QueueError) {
        log_guest_error!("virtio: device stopped: {error}");
        self.broken = true;
        if self.has_features(feature::VERSION_1) {
            self.status |= status::NEEDS_RESET;
            self.notify_config();
        }
    }

    fn raise(&mut self, bits: u8) {
        self.isr |= bits;
        self.irq.set(true);
    }

    fn reset(&mut self) {
        for queue in &mut self.queues {
            queue.reset();
        }
        self.guest_features = 0;
        self.status = 0;
        self.isr = 0;
        self.config_generation = 0;
        self.broken = false;
        self.irq.set(false);
    }
}

/// The slot has a device already.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the virtio bus has a device already")]
pub struct BusOccupied;

/// What a transport has room for: one device, its queues, its interrupt.
pub struct VirtioBus {
    device: Option<Box<dyn VirtioDevice>>,
    state: VirtioState,
}

impl VirtioBus {
    /// An empty bus, for a transport.
    pub fn new(memory: Arc<dyn AddressSpace>, irq: IrqLine) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self {
            device: None,
            state: VirtioState::new(memory, irq),
        }))
    }

    /// Puts a device into the slot, before the machine runs.
    pub fn plug(bus: &Arc<Mutex<Self>>, device: Box<dyn VirtioDevice>) -> Result<(), BusOccupied> {
        Self::plug_with(bus, device, default_features())
    }

    /// The same with other [`COMMON_FEATURES`] than the default ones.
    pub fn plug_with(
        bus: &Arc<Mutex<Self>>,
        mut device: Box<dyn VirtioDevice>,
        common: u64,
    ) -> Result<(), BusOccupied> {
        let weak = Arc::downgrade(bus);
        let mut bus = bus.lock();
        if bus.device.is_some() {
            return Err(BusOccupied);
        }
        device.realize(weak);
        let memory = bus.state.memory.clone();
        let queue = |&size| VirtQueue::new(memory.clone(), size);
        bus.state.queues = device.queue_sizes().iter().map(queue).collect();
        bus.state.host_features = feature::VERSION_1 | common | device.features();
        bus.device = Some(device);
        Ok(())
    }

    pub fn has_device(&self) -> bool {
        self.device.is_some()
    }

    /// Lets the device go on with work that ended elsewhere.
    pub fn wake(&mut self) {
        if let Some(device) = &mut self.device {
            device.wake(&mut self.state);
        }
    }

    pub(super) fn device(&self) -> Option<&dyn VirtioDevice> {
        self.device.as_deref()
    }

    pub(super) fn queue(&self, index: u16) -> Option<&VirtQueue> {
        self.state.queues.get(usize::from(index))
    }

    pub(super) fn queue_mut(&mut self, index: u16) -> Option<&mut VirtQueue> {
        self.state.queues.get_mut(usize::from(index))
    }

    pub(super) fn start_queue(&mut self, index: u16) -> bool {
        let features = self.state.guest_features;
        self.queue_mut(index)
            .is_some_and(|queue| queue.start(features))
    }

    /// The guest kicks a queue. A driver of version 1 must not before it is ready (3.1.1).
    pub(super) fn queue_notify(&mut self, index: u16) {
        let early = self.state.has_features(feature::VERSION_1) && !self.state.is_driver_ok();
        let ready = self.queue(index).is_some_and(VirtQueue::is_ready);
        if early || !ready || self.state.broken {
            return;
        }
        if let Some(device) = &mut self.device {
            device.queue_notify(index, &mut self.state);
        }
    }

    pub(super) fn host_features(&self) -> u64 {
        self.state.host_features
    }

    /// Takes what the driver accepted, if it is a part of what was offered.
    pub(super) fn set_guest_features(&mut self, features: u64) -> bool {
        let valid = features & !self.state.host_features == 0;
        if valid {
            self.state.guest_features = features;
        }
        valid
    }

    pub(super) fn status(&self) -> u8 {
        self.state.status
    }

    /// Any status but 0, which is a reset. The device's own bit stays.
    pub(super) fn set_status(&mut self, value: u8) {
        let was_ok = self.state.is_driver_ok();
        let own = self.state.status & status::NEEDS_RESET;
        self.state.status = value & !status::NEEDS_RESET | own;
        if !was_ok && self.state.is_driver_ok() {
            for index in 0..self.state.queues.len() as u16 {
                self.queue_notify(index);
            }
        }
    }

    pub(super) fn isr(&self) -> u8 {
        self.state.isr
    }

    pub(super) fn acknowledge(&mut self, bits: u8) {
        self.state.isr &= !bits;
        self.state.irq.set(self.state.isr != 0);
    }

    pub(super) fn config_generation(&self) -> u32 {
        self.state.config_generation
    }

    /// Bytes of the configuration space; past its end all bits are set, as in QEMU.
    pub(super) fn read_config(&self, offset: u64, size: usize) -> u64 {
        let config = self
            .device
            .as_ref()
            .map_or(&[][..], |device| device.config());
        let mut bytes = [0; 8];
        let range = usize::try_from(offset)
            .ok()
            .and_then(|at| Some(at..at.checked_add(size)?));
        match range.and_then(|range| config.get(range)) {
            Some(source) => bytes[..size].copy_from_slice(source),
            None => bytes[..size].fill(0xff),
        }
        u64::from_le_bytes(bytes)
    }

    pub(super) fn write_config(&mut self, offset: u64, size: usize, value: u64) {
        let Some(device) = &mut self.device else {
            return;
        };
        let end = offset.saturating_add(size as u64);
        if end > device.config().len() as u64 {
            log_guest_error!("virtio: write at {offset:#x} of the configuration space");
            return;
        }
        device.write_config(offset as usize, &value.to_le_bytes()[..size]);
    }

    pub(super) fn reset(&mut self) {
        self.state.reset();
        if let Some(device) = &mut self.device {
            device.reset();
        }
    }
}
