//! `-chardev js`: a line to the JavaScript around the emulator, in a page or under Node.
//!
//! Input waits in the port's ring until the device has room, so a sender in JavaScript is held
//! back by a guest that does not read.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use include::{CharBackend, CharFrontend};
use parking_lot::Mutex;
use util::js_host::{Event, Port};
use util::main_loop::Poster;

use crate::output::Output;

/// The end that a front end holds.
pub struct JsEnd {
    this: Weak<JsEnd>,
    poster: Poster,
    port: OnceLock<Arc<Port>>,
    output: Arc<Output>,
    frontend: Mutex<Option<Arc<dyn CharFrontend>>>,
    /// Columns and rows of the window, for a front end that comes later.
    size: Mutex<Option<(u16, u16)>>,
    /// A delivery is posted and has not started.
    posted: AtomicBool,
}

impl JsEnd {
    /// Offers a line called `name` to JavaScript. The error is a sentence.
    pub fn open(name: &str, poster: Poster) -> Result<Arc<Self>, String> {
        let end = Arc::new_cyclic(|this: &Weak<Self>| Self {
            this: this.clone(),
            output: Output::new(poster.clone(), sink(this.clone())),
            poster,
            port: OnceLock::new(),
            frontend: Mutex::new(None),
            size: Mutex::new(None),
            posted: AtomicBool::new(false),
        });
        let heard = Arc::downgrade(&end);
        let port = Port::open(
            name,
            Box::new(move |event| {
                if let Some(end) = heard.upgrade() {
                    end.hear(event);
                }
            }),
        )?;
        let _ = end.port.set(port);
        Ok(end)
    }

    /// What collects the output.
    pub fn output(&self) -> Arc<Output> {
        self.output.clone()
    }

    /// JavaScript did something; on its thread, so the main loop looks into it.
    fn hear(&self, event: Event) {
        match event {
            Event::Input => self.post_delivery(),
            Event::Break => self.post(|end| {
                if let Some(frontend) = end.frontend() {
                    frontend.receive_break();
                }
            }),
            Event::Resized(columns, rows) => {
                *self.size.lock() = Some((columns, rows));
                self.post(Self::tell_size);
            }
        }
    }

    fn post(&self, work: impl FnOnce(&Self) + Send + 'static) {
        if let Some(this) = self.this.upgrade() {
            self.poster.post(move || work(&this));
        }
    }

    fn post_delivery(&self) {
        if !self.posted.swap(true, Ordering::AcqRel) {
            self.post(|end| {
                end.posted.store(false, Ordering::Release);
                end.deliver();
            });
        }
    }

    fn tell_size(&self) {
        let size = *self.size.lock();
        if let (Some(frontend), Some((columns, rows))) = (self.frontend(), size) {
            frontend.resized(columns, rows);
        }
    }

    fn frontend(&self) -> Option<Arc<dyn CharFrontend>> {
        self.frontend.lock().clone()
    }

    /// Gives the front end what it can take; runs on the main loop's thread only.
    fn deliver(&self) {
        let (Some(frontend), Some(port)) = (self.frontend(), self.port.get()) else {
            return;
        };
        loop {
            let room = frontend.can_receive();
            let piece = port.take(room);
            if piece.is_empty() {
                return;
            }
            frontend.receive(&piece);
        }
    }
}

/// Writes to the port, which is there before anybody can print.
fn sink(end: Weak<JsEnd>) -> crate::output::Sink {
    Box::new(move |bytes| {
        if let Some(end) = end.upgrade()
            && let Some(port) = end.port.get()
        {
            port.write(bytes);
        }
    })
}

impl CharBackend for JsEnd {
    fn write(&self, bytes: &[u8]) {
        self.output.write(bytes);
    }

    fn set_frontend(&self, frontend: Arc<dyn CharFrontend>) {
        *self.frontend.lock() = Some(frontend);
        self.post(Self::tell_size);
        self.post_delivery();
    }

    fn accept_input(&self) {
        self.post_delivery();
    }
}
