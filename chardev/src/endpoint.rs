//! The end of a character device that a front end holds.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use include::{CharBackend, CharFrontend};
use parking_lot::Mutex;
use util::main_loop::Poster;

use crate::gate::{Gate, READ_MAX, WAITING_MAX};

/// Where an endpoint's output goes.
pub type Writer = Box<dyn Fn(&[u8]) + Send + Sync>;

/// One front end's view of a host device, with the input that waits for it.
pub struct Endpoint {
    this: Weak<Endpoint>,
    poster: Poster,
    writer: Writer,
    gate: Arc<Gate>,
    frontend: Mutex<Option<Arc<dyn CharFrontend>>>,
    waiting: Mutex<VecDeque<u8>>,
    /// A delivery is posted and has not started.
    posted: AtomicBool,
}

impl Endpoint {
    /// An endpoint without a front end; input that it consumes leaves `gate`.
    pub fn new(poster: Poster, gate: Arc<Gate>, writer: Writer) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            this: this.clone(),
            poster,
            writer,
            gate,
            frontend: Mutex::new(None),
            waiting: Mutex::default(),
            posted: AtomicBool::new(false),
        })
    }

    /// Input from the host, on the main loop's thread. Too much of it (somebody types while the
    /// guest does not read) is dropped; only a terminal's reader lets it come to that.
    pub fn push(&self, bytes: &[u8]) {
        let mut waiting = self.waiting.lock();
        let taken = bytes
            .len()
            .min((WAITING_MAX + READ_MAX).saturating_sub(waiting.len()));
        waiting.extend(&bytes[..taken]);
        drop(waiting);
        self.gate.leave(bytes.len() - taken);
        self.deliver();
    }

    /// A BREAK from the host, on the main loop's thread.
    pub fn send_break(&self) {
        if let Some(frontend) = self.frontend() {
            frontend.receive_break();
        }
    }

    /// Tells the front end that it has the keyboard, on the main loop's thread.
    pub fn focused(&self) {
        if let Some(frontend) = self.frontend() {
            frontend.focused();
        }
    }

    fn frontend(&self) -> Option<Arc<dyn CharFrontend>> {
        self.frontend.lock().clone()
    }

    /// Gives the front end what it can take; runs on the main loop's thread only.
    fn deliver(&self) {
        let Some(frontend) = self.frontend() else {
            return;
        };
        loop {
            let room = frontend.can_receive();
            let mut waiting = self.waiting.lock();
            let count = room.min(waiting.len());
            let piece: Vec<u8> = waiting.drain(..count).collect();
            drop(waiting);
            if piece.is_empty() {
                return;
            }
            self.gate.leave(piece.len());
            frontend.receive(&piece);
        }
    }

    fn post_delivery(&self) {
        if self.waiting.lock().is_empty() || self.posted.swap(true, Ordering::AcqRel) {
            return;
        }
        let Some(this) = self.this.upgrade() else {
            return;
        };
        self.poster.post(move || {
            this.posted.store(false, Ordering::Release);
            this.deliver();
        });
    }
}

impl CharBackend for Endpoint {
    fn write(&self, bytes: &[u8]) {
        (self.writer)(bytes);
    }

    fn set_frontend(&self, frontend: Arc<dyn CharFrontend>) {
        *self.frontend.lock() = Some(frontend);
        self.post_delivery();
    }

    fn accept_input(&self) {
        self.post_delivery();
    }
}
