//! virtio-9p (virtio 1.2 has only its number; QEMU's `hw/9pfs/virtio-9p-device.c`): one queue of
//! messages, each a buffer to read the request from and to write the answer to.

#[cfg(test)]
mod tests;

use std::sync::{Arc, Weak};

use include::FileSystem;
use parking_lot::Mutex;
use util::coroutine::AioContext;

use super::protocol::Header;
use super::server::{MSIZE_MAX, REPLY_BYTES_MIN, Server};
use crate::core::log_guest_error;
use crate::virtio::spec::device_id;
use crate::virtio::virtio_bus::{VirtioBus, VirtioDevice, VirtioState};
use crate::virtio::virtqueue::{Element, QueueError};

const QUEUE: u16 = 0;
/// As QEMU's.
const QUEUE_SIZE: u16 = 128;
/// The configuration space has the mount tag.
const FEATURE_MOUNT_TAG: u64 = 1;
/// Longest mount tag; QEMU's limit.
const MOUNT_TAG_MAX: usize = 32;
/// Requests that wait in the queue until others are done when those have so many bytes, answers
/// included: what a guest can make its host allocate.
const IN_FLIGHT_BYTES_MAX: u64 = 32 << 20;
/// What a request counts for at least: its coroutine has a stack. A queue bounds the requests of
/// one driver, but resets let it begin anew while old ones still wait for the host.
const REQUEST_BYTES_MIN: u64 = 64 << 10;
const _: () = assert!(
    IN_FLIGHT_BYTES_MAX / REQUEST_BYTES_MIN <= 512,
    "stacks at a time"
);

/// A request that was answered.
struct Done {
    epoch: u32,
    element: Element,
    reply: Vec<u8>,
    /// What it counted for in `in_flight`.
    bytes: u64,
}

/// The device; plug it with `VirtioBus::plug`.
pub struct Virtio9p {
    config: Vec<u8>,
    fs: Arc<dyn FileSystem>,
    context: Arc<AioContext>,

    bus: Weak<Mutex<VirtioBus>>,

    server: Arc<Server>,
    done: Arc<Mutex<Vec<Done>>>,
    /// Bytes of requests that are not done. Outlives resets, as the requests do.
    in_flight: u64,
    /// Counts resets, so that nothing is written to buffers from before.
    epoch: u32,
}

impl Virtio9p {
    /// `fs` appears in the guest under `mount_tag`; requests run as coroutines of `context`.
    pub fn new(
        mount_tag: &str,
        fs: Arc<dyn FileSystem>,
        context: Arc<AioContext>,
    ) -> Result<Box<Self>, String> {
        if mount_tag.is_empty() || mount_tag.len() > MOUNT_TAG_MAX {
            return Err(format!(
                "the mount tag '{mount_tag}' of virtio-9p-device has {} bytes, not 1 to \
                 {MOUNT_TAG_MAX}",
                mount_tag.len()
            ));
        }
        let mut config = (mount_tag.len() as u16).to_le_bytes().to_vec();
        config.extend_from_slice(mount_tag.as_bytes());
        Ok(Box::new(Self {
            config,
            server: Server::new(fs.clone()),
            fs,
            context,
            bus: Weak::new(),
            done: Arc::default(),
            in_flight: 0,
            epoch: 0,
        }))
    }

    /// Takes requests as long as there are some and their memory is bounded.
    fn serve(&mut self, state: &mut VirtioState) {
        while state.is_driver_ok() && self.in_flight < IN_FLIGHT_BYTES_MAX {
            let Some(element) = state.pop(QUEUE) else {
                return;
            };
            match self.message(state, &element) {
                Ok(Some(message)) => self.start(element, message),
                Ok(None) => {
                    state.push(QUEUE, element, 0);
                    state.notify(QUEUE);
                }
                Err(error) => return state.fail(error),
            }
        }
    }

    /// The message in a buffer; none if there is no answering it.
    fn message(
        &self,
        state: &VirtioState,
        element: &Element,
    ) -> Result<Option<Vec<u8>>, QueueError> {
        let mut header = [0; Header::BYTES];
        let found = element.read(&**state.memory(), 0, &mut header)?;
        let size = Header::parse(header).size;
        let bad_size = u64::from(size) > element.readable_len() || size < Header::BYTES as u32;
        if found < header.len() || bad_size || size > MSIZE_MAX {
            log_guest_error!("virtio-9p: a request of {size} bytes that is none");
            return Ok(None);
        }
        if element.writable_len() < REPLY_BYTES_MIN as u64 {
            log_guest_error!("virtio-9p: a request without room for an answer");
            return Ok(None);
        }
        let mut message = self.server.buffers.take(size as usize);
        element.read(&**state.memory(), 0, &mut message)?;
        Ok(Some(message))
    }

    /// Lets a coroutine answer.
    fn start(&mut self, element: Element, message: Vec<u8>) {
        let room = element.writable_len().min(MSIZE_MAX.into()) as usize;
        let bytes = ((message.len() + room) as u64).max(REQUEST_BYTES_MIN);
        self.in_flight += bytes;
        let (server, done, bus) = (self.server.clone(), self.done.clone(), self.bus.clone());
        let epoch = self.epoch;
        self.context.spawn(move || {
            let reply = server.handle(message, room);
            done.lock().push(Done {
                epoch,
                element,
                reply,
                bytes,
            });
            if let Some(bus) = bus.upgrade() {
                bus.lock().wake();
            }
        });
    }

    /// Gives answered requests back.
    fn finish(&mut self, state: &mut VirtioState) {
        let done = std::mem::take(&mut *self.done.lock());
        let mut pushed = false;
        for done in done {
            self.in_flight -= done.bytes;
            if done.epoch != self.epoch {
                continue;
            }
            match done.element.write(&**state.memory(), 0, &done.reply) {
                Ok(written) => state.push(QUEUE, done.element, written as u32),
                Err(error) => state.fail(error),
            }
            self.server.buffers.give(done.reply);
            pushed = true;
        }
        if pushed {
            state.notify(QUEUE);
        }
    }
}

impl VirtioDevice for Virtio9p {
    fn device_id(&self) -> u32 {
        device_id::NINE_P
    }

    fn features(&self) -> u64 {
        FEATURE_MOUNT_TAG
    }

    fn queue_sizes(&self) -> &[u16] {
        &[QUEUE_SIZE]
    }

    fn config(&self) -> &[u8] {
        &self.config
    }

    /// Drivers only read it.
    fn write_config(&mut self, _offset: usize, _bytes: &[u8]) {}

    fn realize(&mut self, bus: Weak<Mutex<VirtioBus>>) {
        self.bus = bus;
    }

    fn queue_notify(&mut self, _queue: u16, state: &mut VirtioState) {
        self.serve(state);
    }

    fn wake(&mut self, state: &mut VirtioState) {
        self.finish(state);
        self.serve(state);
    }

    /// Requests that are at work end with the server they began with.
    fn reset(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        self.server = Server::new(self.fs.clone());
    }
}
