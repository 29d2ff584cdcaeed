//! virtio-blk, a disk (virtio 1.2, 5.2), on a back end of the host.
//!
//! Requests are taken from the queues on the thread that notifies. What the back end can do at once
//! is answered there. The rest ends on threads of the back end: those put it on a list and wake the
//! bus, where answers are written with the bus locked. The back end never calls back on the thread
//! that asks, so the bus's lock is never taken twice.
//!
//! What must hold: data in flight is bounded; after a reset no answer to what was asked before
//! reaches memory, and nothing new is asked until all of that has ended, so that an old write never
//! follows a new one.

mod config;
mod request;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Weak};

use include::{Attempt, BlockBackend, BlockRequest, Errno};
use parking_lot::Mutex;

pub use config::{BlkConfig, RANGE_SECTORS_MAX};
use request::{Disk, ID_BYTES, Malformed, Request, status};

use crate::core::log_guest_error;
use crate::virtio::spec::device_id;
use crate::virtio::virtio_bus::{VirtioBus, VirtioDevice, VirtioState};
use crate::virtio::virtqueue::{Element, QueueError};

/// Data that requests in flight may have; more waits in the queues.
const IN_FLIGHT_BYTES_MAX: usize = 128 << 20;
/// Buffers that are kept for later requests, and how large they may be.
const SPARE_BUFFERS_MAX: usize = 16;
const SPARE_BYTES_MAX: usize = 1 << 20;

/// A request that has ended.
struct Done {
    queue: u16,
    element: Element,
    generation: u64,
    /// What it counted in the bytes in flight.
    bytes: usize,
    result: Result<(), Errno>,
    /// What was read, if it was a read.
    is_read: bool,
    buf: Vec<u8>,
}

type DoneList = Arc<Mutex<Vec<Done>>>;

/// The disk; plug it with `VirtioBus::plug`.
pub struct VirtioBlk {
    config: BlkConfig,
    backend: Arc<dyn BlockBackend>,
    space: Vec<u8>,
    queue_sizes: Vec<u16>,
    bus: Weak<Mutex<VirtioBus>>,
    done: DoneList,
    spare: Vec<Vec<u8>>,
    in_flight: usize,
    in_flight_bytes: usize,
    /// Counts resets.
    generation: u64,
    /// Requests from before the last reset that have not ended.
    stale: usize,
}

impl VirtioBlk {
    pub fn new(config: BlkConfig, backend: Arc<dyn BlockBackend>) -> Box<Self> {
        Box::new(Self {
            space: config::space(&config, &*backend),
            queue_sizes: vec![config.queue_size; usize::from(config.queues)],
            config,
            backend,
            bus: Weak::new(),
            done: DoneList::default(),
            spare: Vec::new(),
            in_flight: 0,
            in_flight_bytes: 0,
            generation: 0,
            stale: 0,
        })
    }

    /// Takes what there is in a queue, as far as memory goes.
    fn serve(&mut self, queue: u16, state: &mut VirtioState) {
        if !state.is_driver_ok() {
            return;
        }
        // While requests are taken the guest need not say that there are more.
        for wanted in [false, true] {
            state.set_notification(queue, wanted);
            while self.stale == 0 && self.in_flight_bytes < IN_FLIGHT_BYTES_MAX {
                let Some(element) = state.pop(queue) else {
                    break;
                };
                if let Err(error) = self.start(queue, element, state) {
                    return state.fail(error);
                }
            }
        }
    }

    fn serve_all(&mut self, state: &mut VirtioState) {
        for queue in 0..self.config.queues {
            self.serve(queue, state);
        }
    }

    fn start(
        &mut self,
        queue: u16,
        element: Element,
        state: &mut VirtioState,
    ) -> Result<(), QueueError> {
        let disk = Disk {
            config: &self.config,
            len: self.backend.len(),
            read_only: self.backend.is_read_only(),
            write_through: !state.has_features(config::feature::FLUSH)
                && !state.has_features(config::feature::CONFIG_WCE),
        };
        let spare = &mut self.spare;
        let mut buffer = |bytes: usize| {
            let mut buf = spare.pop().unwrap_or_default();
            buf.resize(bytes, 0);
            buf
        };
        match request::parse(&element, &**state.memory(), &disk, &mut buffer) {
            Ok(Request::Backend(request)) => self.submit(queue, element, request, state)?,
            Ok(Request::GetId) => {
                let mut id = [0; ID_BYTES];
                let serial = self.config.serial.as_bytes();
                let count = serial.len().min(ID_BYTES);
                id[..count].copy_from_slice(&serial[..count]);
                let room = element.writable_len().saturating_sub(1);
                let count = room.min(ID_BYTES as u64) as usize;
                answer(state, queue, element, status::OK, &id[..count])?;
                state.notify(queue);
            }
            Ok(Request::Answer(status)) => {
                answer(state, queue, element, status, &[])?;
                state.notify(queue);
            }
            Err(Malformed::Queue(error)) => return Err(error),
            Err(Malformed::Short) => {
                log_guest_error!("virtio-blk: a request without header or status");
                return Err(QueueError::Order);
            }
        }
        Ok(())
    }

    fn submit(
        &mut self,
        queue: u16,
        element: Element,
        request: BlockRequest,
        state: &mut VirtioState,
    ) -> Result<(), QueueError> {
        let bytes = match &request {
            BlockRequest::Read { buf, .. } => buf.len(),
            BlockRequest::Write { data, .. } => data.len(),
            _ => 0,
        };
        let is_read = matches!(request, BlockRequest::Read { .. });
        self.in_flight += 1;
        self.in_flight_bytes += bytes;
        let generation = self.generation;
        let done = move |result, buf| Done {
            queue,
            element,
            generation,
            bytes,
            result,
            is_read,
            buf,
        };
        match self.backend.attempt(request) {
            Attempt::Done(result, buf) => {
                self.finish(done(result, buf), state)?;
                state.notify(queue);
            }
            Attempt::Later(request) => {
                let (list, bus) = (self.done.clone(), self.bus.clone());
                let ended = move |result, buf| put(&list, &bus, done(result, buf));
                self.backend.submit(request, Box::new(ended));
            }
        }
        Ok(())
    }

    /// Answers a request that has ended, unless there was a reset meanwhile.
    fn finish(&mut self, done: Done, state: &mut VirtioState) -> Result<(), QueueError> {
        self.in_flight_bytes -= done.bytes;
        if done.generation != self.generation {
            self.stale -= 1;
            return Ok(());
        }
        self.in_flight -= 1;
        let (status, data) = match done.result {
            Ok(()) if done.is_read => (status::OK, &done.buf[..]),
            Ok(()) => (status::OK, &[][..]),
            Err(Errno::EOPNOTSUPP) => (status::UNSUPP, &[][..]),
            Err(_) => (status::IOERR, &[][..]),
        };
        answer(state, done.queue, done.element, status, data)?;
        if self.spare.len() < SPARE_BUFFERS_MAX && done.buf.capacity() <= SPARE_BYTES_MAX {
            self.spare.push(done.buf);
        }
        Ok(())
    }
}

/// Puts what has ended on the list. Whoever is the first there wakes the bus for all that come
/// meanwhile.
fn put(list: &DoneList, bus: &Weak<Mutex<VirtioBus>>, done: Done) {
    let mut list = list.lock();
    list.push(done);
    let is_first = list.len() == 1;
    drop(list);
    if is_first && let Some(bus) = bus.upgrade() {
        bus.lock().wake();
    }
}

/// Writes data and status, and gives the buffer back.
fn answer(
    state: &mut VirtioState,
    queue: u16,
    element: Element,
    status: u8,
    data: &[u8],
) -> Result<(), QueueError> {
    let last = element.writable_len() - 1;
    let memory = state.memory().clone();
    element.write(&*memory, 0, data)?;
    element.write(&*memory, last, &[status])?;
    // "Written" counts from the start of the buffer to the last byte written.
    let written = u32::try_from(last + 1).unwrap_or(u32::MAX);
    state.push(queue, element, written);
    Ok(())
}

impl VirtioDevice for VirtioBlk {
    fn device_id(&self) -> u32 {
        device_id::BLOCK
    }

    fn features(&self) -> u64 {
        config::features(&self.config, &*self.backend)
    }

    fn queue_sizes(&self) -> &[u16] {
        &self.queue_sizes
    }

    fn config(&self) -> &[u8] {
        &self.space
    }

    fn write_config(&mut self, offset: usize, bytes: &[u8]) {
        if offset == config::WRITEBACK && self.config.config_wce && !bytes.is_empty() {
            self.space[offset] = bytes[0] & 1;
            self.backend.set_writeback(bytes[0] & 1 != 0);
        }
    }

    fn realize(&mut self, bus: Weak<Mutex<VirtioBus>>) {
        self.bus = bus;
    }

    fn queue_notify(&mut self, queue: u16, state: &mut VirtioState) {
        self.serve(queue, state);
    }

    fn wake(&mut self, state: &mut VirtioState) {
        let done = std::mem::take(&mut *self.done.lock());
        let mut queues: Vec<u16> = done.iter().map(|done| done.queue).collect();
        for done in done {
            if let Err(error) = self.finish(done, state) {
                state.fail(error);
            }
        }
        queues.sort_unstable();
        queues.dedup();
        queues.iter().for_each(|queue| state.notify(*queue));
        self.serve_all(state);
    }

    fn reset(&mut self) {
        self.generation += 1;
        self.stale += std::mem::take(&mut self.in_flight);
    }
}
