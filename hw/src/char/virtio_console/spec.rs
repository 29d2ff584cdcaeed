//! Numbers of the console device (virtio 1.2, 5.3), and its control messages.

use crate::virtio::virtqueue::CHAIN_LENGTH_MAX;

/// Feature bits, as masks (5.3.3).
pub mod feature {
    pub const SIZE: u64 = 1 << 0;
    pub const MULTIPORT: u64 = 1 << 1;
    pub const EMERG_WRITE: u64 = 1 << 2;
}

/// Offsets in the configuration space (5.3.4).
pub mod config {
    pub const COLUMNS: usize = 0;
    pub const ROWS: usize = 2;
    pub const MAX_PORTS: usize = 4;
    pub const EMERG_WRITE: usize = 8;
    pub const SIZE: usize = 12;
}

/// `virtio_console_control.event` (5.3.6.2).
pub mod event {
    pub const DEVICE_READY: u16 = 0;
    pub const DEVICE_ADD: u16 = 1;
    pub const PORT_READY: u16 = 3;
    pub const CONSOLE_PORT: u16 = 4;
    pub const RESIZE: u16 = 5;
    pub const PORT_OPEN: u16 = 6;
    pub const PORT_NAME: u16 = 7;
}

/// Port numbers go up to this in QEMU: each port has two queues of its 1024.
pub const PORTS_MAX: u32 = 511;
/// `max_ports` unless said otherwise.
pub const PORTS_DEFAULT: u32 = 31;
/// QEMU's sizes of queues.
pub const PORT_QUEUE_SIZE: u16 = 128;
pub const CONTROL_QUEUE_SIZE: u16 = 32;
const _: () = assert!(PORT_QUEUE_SIZE as usize <= CHAIN_LENGTH_MAX);

/// What each queue is for (5.3.2).
pub const CONTROL_TO_GUEST: u16 = 2;
pub const CONTROL_FROM_GUEST: u16 = 3;

/// The queue that takes input to the guest's port `id`; the next one is for its output.
pub fn input_queue(id: u32) -> u16 {
    match id {
        0 => 0,
        id => 2 + 2 * id as u16,
    }
}

/// The port that a queue belongs to; none for the control queues.
pub fn port_of_queue(queue: u16) -> Option<u32> {
    match queue / 2 {
        0 => Some(0),
        1 => None,
        pair => Some(u32::from(pair) - 1),
    }
}

/// A control message's head; a name or a size may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Control {
    pub id: u32,
    pub event: u16,
    pub value: u16,
}

impl Control {
    pub const BYTES: usize = 8;

    pub fn parse(bytes: [u8; Self::BYTES]) -> Self {
        let whole = u64::from_le_bytes(bytes);
        Self {
            id: whole as u32,
            event: (whole >> 32) as u16,
            value: (whole >> 48) as u16,
        }
    }

    /// The message with what follows its head.
    pub fn message(self, tail: &[u8]) -> Vec<u8> {
        let head = [self.event.to_le_bytes(), self.value.to_le_bytes()];
        [&self.id.to_le_bytes(), head.as_flattened(), tail].concat()
    }
}
