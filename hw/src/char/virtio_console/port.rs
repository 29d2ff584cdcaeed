//! One port of a serial device: what the host types waits here until the guest has room for it,
//! and what the guest prints goes to the back end.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use include::{CharBackend, CharFrontend};
use parking_lot::Mutex;

use super::spec::input_queue;
use crate::virtio::virtio_bus::{VirtioBus, VirtioState};
use crate::virtio::virtqueue::{Element, QueueError};

/// Input that a port holds for a guest without buffers; the rest stays in the back end.
const INPUT_BYTES_MAX: usize = 4096;
/// Output is copied in pieces of this size.
const OUTPUT_PIECE_BYTES: usize = 4096;
/// What taking a buffer costs, whatever is in it.
const ELEMENT_COST: usize = 64;

/// What `-device virtconsole` or `-device virtserialport` asks for.
pub struct PortConfig {
    /// A console becomes a terminal of the guest (`hvc0`), another port a device file.
    pub is_console: bool,
    /// `nr`: the port's number, if not the next that is free.
    pub nr: Option<u32>,
    /// `name`, which the guest makes a link of.
    pub name: Option<String>,
    /// `chardev`: without it, output vanishes.
    pub backend: Option<Arc<dyn CharBackend>>,
}

/// What may be done in one call, so that no guest keeps a thread here.
pub struct Budget(usize);

impl Budget {
    pub fn new() -> Self {
        Self(256 << 10)
    }

    /// A buffer was taken and `bytes` of it copied.
    pub fn spend(&mut self, bytes: usize) {
        self.0 = self.0.saturating_sub(bytes.max(ELEMENT_COST));
    }

    pub fn is_spent(&self) -> bool {
        self.0 == 0
    }
}

/// Input on its way, shared with the back end's thread. Locked after the bus, if both are.
#[derive(Default)]
struct Input {
    /// The guest's program has the port open.
    is_open: bool,
    bytes: VecDeque<u8>,
    /// The back end was turned away, and waits for `accept_input`.
    held_back: bool,
    /// Columns and rows of the host's window, until the guest hears of them.
    new_size: Option<(u16, u16)>,
}

/// A port; all calls come with the bus locked.
pub struct Port {
    pub id: u32,
    pub is_console: bool,
    pub name: Option<String>,
    backend: Option<Arc<dyn CharBackend>>,

    input: Arc<Mutex<Input>>,
    /// A buffer of output that is not all written, and how far it is.
    output: Option<(Element, u64)>,
    /// The guest's driver knows the port.
    pub is_ready: bool,
    /// Columns and rows of the host's window.
    pub size: Option<(u16, u16)>,
}

impl Port {
    pub fn new(id: u32, config: PortConfig) -> Self {
        Self {
            id,
            is_console: config.is_console,
            name: config.name,
            backend: config.backend,
            input: Arc::default(),
            output: None,
            is_ready: false,
            size: None,
        }
    }

    /// Connects the back end, whose input goes to the device of `bus`.
    pub fn realize(&self, bus: Weak<Mutex<VirtioBus>>) {
        if let Some(backend) = &self.backend {
            let input = self.input.clone();
            backend.set_frontend(Arc::new(FrontEnd { input, bus }));
        }
    }

    /// Whether there is something at the host's end.
    pub fn is_connected(&self) -> bool {
        self.backend.is_some()
    }

    /// The guest's program opens or closes the port. What it did not read is lost, as with QEMU.
    pub fn set_open(&mut self, is_open: bool) {
        let mut input = self.input.lock();
        input.is_open = is_open;
        if !is_open {
            input.bytes.clear();
        }
        drop(input);
        self.let_input_in();
    }

    /// Lets held-back input in, once there is much room. The back end delivers it later, from
    /// its own thread.
    fn let_input_in(&self) {
        let mut input = self.input.lock();
        let has_room = input.is_open && input.bytes.len() <= INPUT_BYTES_MAX / 2;
        let wanted = has_room && std::mem::take(&mut input.held_back);
        drop(input);
        if wanted && let Some(backend) = &self.backend {
            backend.accept_input();
        }
    }

    /// Gives input to the guest, as far as it has buffers. True if there is more to do.
    pub fn serve_input(
        &mut self,
        state: &mut VirtioState,
        budget: &mut Budget,
    ) -> Result<bool, QueueError> {
        let queue = input_queue(self.id);
        let mut input = self.input.lock();
        let mut pushed = false;
        while !input.bytes.is_empty() && !budget.is_spent() {
            let Some(element) = state.pop(queue) else {
                break;
            };
            let bytes = input.bytes.make_contiguous();
            let count = element.write(&**state.memory(), 0, bytes)?;
            input.bytes.drain(..count);
            state.push(queue, element, count as u32);
            budget.spend(count);
            pushed = true;
        }
        drop(input);
        if pushed {
            state.notify(queue);
        }
        self.let_input_in();
        Ok(budget.is_spent())
    }

    /// Prints what the guest gave. True if there may be more.
    pub fn serve_output(
        &mut self,
        state: &mut VirtioState,
        budget: &mut Budget,
    ) -> Result<bool, QueueError> {
        let queue = input_queue(self.id) + 1;
        let mut pushed = false;
        while !budget.is_spent() {
            let next = self.output.take();
            let Some((element, at)) = next.or_else(|| Some((state.pop(queue)?, 0))) else {
                break;
            };
            let at = self.print(state, &element, at, budget)?;
            if at < element.readable_len() {
                self.output = Some((element, at));
                continue;
            }
            state.push(queue, element, 0);
            pushed = true;
        }
        if pushed {
            state.notify(queue);
        }
        Ok(budget.is_spent())
    }

    /// Prints a piece of a buffer from `at` on; says where the next one begins.
    fn print(
        &self,
        state: &VirtioState,
        element: &Element,
        at: u64,
        budget: &mut Budget,
    ) -> Result<u64, QueueError> {
        let Some(backend) = &self.backend else {
            budget.spend(0);
            return Ok(element.readable_len());
        };
        let mut piece = [0; OUTPUT_PIECE_BYTES];
        let count = element.read(&**state.memory(), at, &mut piece)?;
        backend.write(&piece[..count]);
        budget.spend(count);
        Ok(at + count as u64)
    }

    /// A byte from a guest in trouble, which has no queues (5.3.4).
    pub fn print_byte(&self, byte: u8) {
        if let Some(backend) = &self.backend {
            backend.write(&[byte]);
        }
    }

    /// Takes note of a new size of the host's window; true if there is one.
    pub fn take_new_size(&mut self) -> bool {
        let new = self.input.lock().new_size.take();
        let changed = new.is_some() && new != self.size;
        self.size = new.or(self.size);
        changed
    }

    pub fn reset(&mut self) {
        (self.output, self.is_ready) = (None, false);
        self.set_open(false);
    }
}

/// The port as the back end sees it; called without locks.
struct FrontEnd {
    input: Arc<Mutex<Input>>,
    bus: Weak<Mutex<VirtioBus>>,
}

impl FrontEnd {
    fn wake(&self) {
        if let Some(bus) = self.bus.upgrade() {
            bus.lock().wake();
        }
    }
}

impl CharFrontend for FrontEnd {
    fn can_receive(&self) -> usize {
        let mut input = self.input.lock();
        let room = match input.is_open {
            true => INPUT_BYTES_MAX - input.bytes.len(),
            false => 0,
        };
        input.held_back |= room == 0;
        room
    }

    fn receive(&self, bytes: &[u8]) {
        let mut input = self.input.lock();
        // The port may have been closed since the back end asked: then this is lost.
        let room = match input.is_open {
            true => INPUT_BYTES_MAX - input.bytes.len(),
            false => 0,
        };
        input.bytes.extend(bytes.iter().take(room));
        drop(input);
        self.wake();
    }

    fn resized(&self, columns: u16, rows: u16) {
        self.input.lock().new_size = Some((columns, rows));
        self.wake();
    }
}
