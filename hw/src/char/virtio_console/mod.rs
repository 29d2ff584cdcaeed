//! virtio-serial (virtio 1.2, 5.3, "console device"): a device with ports, which are consoles or
//! plain lines to the host. Ports are named `virtconsole` and `virtserialport`, as in QEMU.
//!
//! What must hold: input waits in the back end until the guest has the port open; output and
//! control messages are taken in bounded portions, and a timer goes on with the rest; messages
//! to a guest that gives no buffers for them are bounded.

mod port;
mod spec;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use include::{ClockType, Timer, TimerService};
use parking_lot::Mutex;

pub use port::PortConfig;
use port::{Budget, Port};
pub use spec::PORTS_DEFAULT;
use spec::{
    CONTROL_FROM_GUEST, CONTROL_QUEUE_SIZE, CONTROL_TO_GUEST, Control, PORT_QUEUE_SIZE, PORTS_MAX,
    config, event, feature, port_of_queue,
};

use crate::core::log_guest_error;
use crate::virtio::spec::device_id;
use crate::virtio::virtio_bus::{VirtioBus, VirtioDevice, VirtioState};
use crate::virtio::virtqueue::QueueError;

/// Messages that wait for a guest's buffers; more are lost.
const MESSAGES_MAX: usize = 4 * PORTS_MAX as usize;

/// The device (`virtio-serial-device`); plug it with `VirtioBus::plug` when it has its ports.
pub struct VirtioSerial {
    max_ports: u32,
    queue_sizes: Vec<u16>,
    timers: Arc<dyn TimerService>,
    /// Goes on with work that was too much for one call; from `realize` on.
    again: Option<Arc<dyn Timer>>,

    space: [u8; config::SIZE],
    ports: Vec<Port>,
    /// Control messages that the guest has no buffers for.
    messages: VecDeque<Vec<u8>>,
}

impl VirtioSerial {
    /// A device without ports, for numbers below `max_ports`.
    pub fn new(max_ports: u32, timers: Arc<dyn TimerService>) -> Result<Box<Self>, String> {
        if !(1..=PORTS_MAX).contains(&max_ports) {
            return Err(format!("max_ports={max_ports} is not 1 to {PORTS_MAX}"));
        }
        let mut queue_sizes = vec![PORT_QUEUE_SIZE; 2 + 2 * max_ports as usize];
        for queue in [CONTROL_TO_GUEST, CONTROL_FROM_GUEST] {
            queue_sizes[usize::from(queue)] = CONTROL_QUEUE_SIZE;
        }
        let mut space = [0; config::SIZE];
        space[config::MAX_PORTS..][..4].copy_from_slice(&max_ports.to_le_bytes());
        Ok(Box::new(Self {
            max_ports,
            queue_sizes,
            timers,
            again: None,
            space,
            ports: Vec::new(),
            messages: VecDeque::new(),
        }))
    }

    /// Adds a port, before the device is plugged. Port 0 is the first console's: old drivers know
    /// no other.
    pub fn add_port(&mut self, config: PortConfig) -> Result<(), String> {
        let id = self.choose_id(&config)?;
        if id >= self.max_ports {
            return Err(format!("nr={id} is not below max_ports={}", self.max_ports));
        }
        if id == 0 && !config.is_console {
            return Err("port 0 is for virtconsole".into());
        }
        if self.ports.iter().any(|port| port.id == id) {
            return Err(format!("there is a port {id} already"));
        }
        let name = config.name.as_deref();
        let has_name = |port: &Port| name.is_some() && port.name.as_deref() == name;
        if self.ports.iter().any(has_name) {
            let name = name.unwrap_or_default();
            return Err(format!("there is a port named '{name}' already"));
        }
        self.ports.push(Port::new(id, config));
        Ok(())
    }

    /// Whether no port without `nr` could be added any more.
    pub fn is_full(&self) -> bool {
        self.ports.len() >= self.max_ports as usize
    }

    fn choose_id(&self, config: &PortConfig) -> Result<u32, String> {
        let is_free = |id: &u32| !self.ports.iter().any(|port| port.id == *id);
        let first = if config.is_console && is_free(&0) {
            0
        } else {
            1
        };
        let free = || (first..self.max_ports).find(is_free);
        let full = || format!("all {} ports are taken", self.max_ports);
        config.nr.or_else(free).ok_or_else(full)
    }

    fn port(&mut self, id: u32) -> Option<&mut Port> {
        self.ports.iter_mut().find(|port| port.id == id)
    }

    /// A driver without MULTIPORT never says that port 0 is open: it is, while there is a driver.
    fn open_only_port(&mut self, state: &VirtioState) {
        let single = state.is_driver_ok() && !state.has_features(feature::MULTIPORT);
        if single && let Some(port) = self.port(0) {
            port.set_open(true);
        }
    }

    /// Does what a queue asks for. True if there is more to do.
    fn serve(&mut self, queue: u16, state: &mut VirtioState) -> Result<bool, QueueError> {
        let mut budget = Budget::new();
        match port_of_queue(queue) {
            None if queue == CONTROL_TO_GUEST => {
                self.send(state)?;
                Ok(false)
            }
            None => self.serve_control(state, &mut budget),
            Some(id) => {
                let is_input = queue.is_multiple_of(2);
                match self.port(id) {
                    Some(port) if is_input => port.serve_input(state, &mut budget),
                    Some(port) => port.serve_output(state, &mut budget),
                    None if is_input => Ok(false),
                    None => Ok(discard(queue, state, &mut budget)),
                }
            }
        }
    }

    /// Serves a queue; what is too much for now, the timer goes on with.
    fn serve_or_fail(&mut self, queue: u16, state: &mut VirtioState) {
        match self.serve(queue, state) {
            Ok(false) => {}
            Ok(true) => {
                if let Some(timer) = &self.again {
                    timer.modify_ns(self.timers.now_ns(ClockType::Virtual));
                }
            }
            Err(error) => state.fail(error),
        }
    }

    /// Takes control messages from the guest.
    fn serve_control(
        &mut self,
        state: &mut VirtioState,
        budget: &mut Budget,
    ) -> Result<bool, QueueError> {
        let mut pushed = false;
        while !budget.is_spent() {
            let Some(element) = state.pop(CONTROL_FROM_GUEST) else {
                break;
            };
            let mut bytes = [0; Control::BYTES];
            let count = element.read(&**state.memory(), 0, &mut bytes)?;
            if count == bytes.len() {
                self.handle(Control::parse(bytes));
            }
            state.push(CONTROL_FROM_GUEST, element, 0);
            budget.spend(count);
            pushed = true;
        }
        if pushed {
            state.notify(CONTROL_FROM_GUEST);
        }
        self.send(state)?;
        Ok(budget.is_spent())
    }

    fn handle(&mut self, control: Control) {
        let Control { id, event, value } = control;
        if event == event::DEVICE_READY {
            if value == 0 {
                log_guest_error!("virtio-serial: the guest's driver does not want the device");
                return;
            }
            let ids: Vec<u32> = self.ports.iter().map(|port| port.id).collect();
            ids.into_iter()
                .for_each(|id| self.tell(id, event::DEVICE_ADD, 1, &[]));
            return;
        }
        let Some(port) = self.port(id) else {
            log_guest_error!("virtio-serial: a message for port {id}, which is not there");
            return;
        };
        match event {
            event::PORT_OPEN => port.set_open(value != 0),
            event::PORT_READY if value != 0 => {
                port.is_ready = true;
                self.introduce(id);
            }
            event::PORT_READY => {
                log_guest_error!("virtio-serial: the guest's driver does not want port {id}");
            }
            _ => log_guest_error!("virtio-serial: an unknown control message {event}"),
        }
    }

    /// Says what a port is, to a driver that asks for it.
    fn introduce(&mut self, id: u32) {
        let Some(port) = self.port(id) else {
            return;
        };
        let (is_console, is_connected) = (port.is_console, port.is_connected());
        let name = port.name.clone();
        if is_console {
            self.tell(id, event::CONSOLE_PORT, 1, &[]);
        }
        if let Some(name) = name {
            let name = [name.as_bytes(), &[0]].concat();
            self.tell(id, event::PORT_NAME, 1, &name);
        }
        if is_connected {
            self.tell(id, event::PORT_OPEN, 1, &[]);
        }
        self.tell_size(id);
    }

    /// Says how large the window of a console is, if the guest and we know of it.
    fn tell_size(&mut self, id: u32) {
        let Some(port) = self.port(id) else {
            return;
        };
        if let (true, true, Some((columns, rows))) = (port.is_ready, port.is_console, port.size) {
            let size = [columns.to_le_bytes(), rows.to_le_bytes()];
            self.tell(id, event::RESIZE, 0, size.as_flattened());
        }
    }

    /// Puts a control message on its way.
    fn tell(&mut self, id: u32, event: u16, value: u16, tail: &[u8]) {
        if self.messages.len() == MESSAGES_MAX {
            log_guest_error!("virtio-serial: no buffers for control messages");
            return;
        }
        let message = Control { id, event, value }.message(tail);
        self.messages.push_back(message);
    }

    /// Gives waiting control messages to the guest, as far as it has buffers.
    fn send(&mut self, state: &mut VirtioState) -> Result<(), QueueError> {
        let mut pushed = false;
        while !self.messages.is_empty() {
            let Some(element) = state.pop(CONTROL_TO_GUEST) else {
                break;
            };
            let message = self.messages.pop_front().unwrap_or_default();
            let count = element.write(&**state.memory(), 0, &message)?;
            state.push(CONTROL_TO_GUEST, element, count as u32);
            pushed = true;
        }
        if pushed {
            state.notify(CONTROL_TO_GUEST);
        }
        Ok(())
    }

    /// Tells the guest of windows that have a new size.
    fn resize(&mut self, state: &mut VirtioState) {
        for index in 0..self.ports.len() {
            if !self.ports[index].take_new_size() {
                continue;
            }
            let (id, size) = (self.ports[index].id, self.ports[index].size);
            if let (0, Some((columns, rows))) = (id, size) {
                self.space[config::COLUMNS..][..2].copy_from_slice(&columns.to_le_bytes());
                self.space[config::ROWS..][..2].copy_from_slice(&rows.to_le_bytes());
                state.notify_config();
            }
            self.tell_size(id);
        }
    }
}

/// Takes the output of a port that is not there. True if there may be more.
fn discard(queue: u16, state: &mut VirtioState, budget: &mut Budget) -> bool {
    let mut pushed = false;
    while !budget.is_spent() {
        let Some(element) = state.pop(queue) else {
            break;
        };
        state.push(queue, element, 0);
        budget.spend(0);
        pushed = true;
    }
    if pushed {
        state.notify(queue);
    }
    budget.is_spent()
}

impl VirtioDevice for VirtioSerial {
    fn device_id(&self) -> u32 {
        device_id::CONSOLE
    }

    fn features(&self) -> u64 {
        let multiport = match self.max_ports {
            1 => 0,
            _ => feature::MULTIPORT,
        };
        feature::SIZE | feature::EMERG_WRITE | multiport
    }

    fn queue_sizes(&self) -> &[u16] {
        &self.queue_sizes
    }

    fn config(&self) -> &[u8] {
        &self.space
    }

    /// The guest may print a byte on the first console without any queue.
    fn write_config(&mut self, offset: usize, bytes: &[u8]) {
        let mut consoles = self.ports.iter().filter(|port| port.is_console);
        let console = consoles.find(|port| port.is_connected());
        match (offset, console, bytes.first()) {
            (config::EMERG_WRITE, Some(console), Some(&byte)) => console.print_byte(byte),
            _ => log_guest_error!("virtio-serial: write at {offset} of the configuration space"),
        }
    }

    fn realize(&mut self, bus: Weak<Mutex<VirtioBus>>) {
        self.ports.iter().for_each(|port| port.realize(bus.clone()));
        let fired = move || {
            if let Some(bus) = bus.upgrade() {
                bus.lock().wake();
            }
        };
        self.again = Some(self.timers.new_timer(ClockType::Virtual, Box::new(fired)));
    }

    fn queue_notify(&mut self, queue: u16, state: &mut VirtioState) {
        self.open_only_port(state);
        self.serve_or_fail(queue, state);
    }

    /// There is input, a new size, or work that was left over.
    fn wake(&mut self, state: &mut VirtioState) {
        self.resize(state);
        if !state.is_driver_ok() {
            return;
        }
        for queue in 0..self.queue_sizes.len() as u16 {
            self.serve_or_fail(queue, state);
        }
    }

    fn reset(&mut self) {
        if let Some(timer) = &self.again {
            timer.cancel();
        }
        self.messages.clear();
        self.ports.iter_mut().for_each(Port::reset);
    }
}
