//! The JavaScript around the emulator, in a page or under Node: streams of bytes to and from it
//! ([`Port`], behind `-chardev js`), and calls that it makes ([`serve`]).
//!
//! The bytes lie in rings in shared memory; the first thread, which runs nothing but JavaScript,
//! is the other end of all of them. It is told of output by a message, and tells of input by a
//! call that must not wait long.
//!
//! What must hold:
//! - Input that nobody takes stays in its ring, and JavaScript holds back what does not fit.
//! - Output that does not fit waits for JavaScript, which takes what comes as soon as it runs.
//! - Without JavaScript (natively, or when it offers no host) there are no ports.

mod ring;
#[cfg(target_os = "emscripten")]
mod wasm;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
pub use ring::Ring;

/// Bytes of a ring; a power of two.
const RING_BYTES: usize = 64 << 10;

/// How long a writer sleeps before it looks at a full ring again, in case a wake-up was lost.
#[cfg_attr(not(target_os = "emscripten"), expect(dead_code))]
const WRITE_WAIT: Duration = Duration::from_millis(100);

/// What JavaScript tells a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// There is input.
    Input,
    /// The window has so many columns and rows.
    Resized(u16, u16),
    /// A BREAK condition.
    Break,
}

/// Takes events on JavaScript's thread, where it must not wait.
pub type OnEvent = Box<dyn Fn(Event) + Send + Sync>;

/// A stream in both directions that JavaScript knows by a name.
pub struct Port {
    #[cfg_attr(not(target_os = "emscripten"), expect(dead_code))]
    number: u32,
    input: Ring,
    output: Ring,
    on_event: OnEvent,
}

/// Ports, by their numbers.
static PORTS: Mutex<Vec<Arc<Port>>> = Mutex::new(Vec::new());

impl Port {
    /// Offers a port to JavaScript. The error is a sentence.
    pub fn open(name: &str, on_event: OnEvent) -> Result<Arc<Self>, String> {
        let mut ports = PORTS.lock();
        let port = Arc::new(Self {
            number: ports.len() as u32,
            input: Ring::new(RING_BYTES),
            output: Ring::new(RING_BYTES),
            on_event,
        });
        ports.push(port.clone());
        // JavaScript's thread may be at a port that is open already.
        drop(ports);
        imp::open(&port, name)?;
        Ok(port)
    }

    /// Takes input that has come, at most `room` bytes.
    pub fn take(&self, room: usize) -> Vec<u8> {
        let taken = self.input.take(room);
        if !taken.is_empty() && self.input.was_full() {
            imp::tell(self);
        }
        taken
    }

    /// Hands all bytes to JavaScript, and waits while there is no room for them.
    pub fn write(&self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let before = self.output.taken();
            let count = self.output.put(bytes);
            bytes = &bytes[count..];
            if self.output.must_tell() {
                imp::tell(self);
            }
            if count == 0 {
                imp::wait(&self.output, before);
            }
        }
    }
}

/// Tells a port what happened; JavaScript's own mistakes (a wrong number) change nothing.
#[cfg_attr(not(target_os = "emscripten"), expect(dead_code))]
fn tell_port(number: u32, event: Event) {
    let port = PORTS.lock().get(number as usize).cloned();
    if let Some(port) = port {
        (port.on_event)(event);
    }
}

/// Answers a call of JavaScript, on its thread, soon.
pub type Service = Box<dyn Fn(&[u8]) -> Vec<u8> + Send + Sync>;

static SERVICES: Mutex<BTreeMap<String, Arc<Service>>> = Mutex::new(BTreeMap::new());

/// Offers calls to JavaScript, under a name; natively nobody will call.
pub fn serve(name: &str, service: Service) {
    SERVICES.lock().insert(name.into(), Arc::new(service));
    imp::offer_calls();
}

/// A call of JavaScript; none if nothing has this name.
pub fn call(name: &str, request: &[u8]) -> Option<Vec<u8>> {
    let service = SERVICES.lock().get(name).cloned();
    service.map(|service| service(request))
}

#[cfg(target_os = "emscripten")]
use wasm as imp;

/// There is no JavaScript around a native program.
#[cfg(not(target_os = "emscripten"))]
mod imp {
    use super::{Port, Ring};

    pub fn open(_port: &Port, _name: &str) -> Result<(), String> {
        Err("there is JavaScript around the emulator only in a page and under Node".into())
    }

    pub fn tell(_port: &Port) {}

    pub fn wait(_ring: &Ring, _taken: u32) {
        unreachable!("no port is open")
    }

    pub fn offer_calls() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_no_ports_natively() {
        let error = Port::open("x", Box::new(|_| ())).err();
        assert!(error.is_some_and(|sentence| sentence.contains("only in a page")));
    }

    #[test]
    fn calls_find_their_service() {
        serve(
            "js_host-test",
            Box::new(|request| request.iter().rev().copied().collect()),
        );
        assert_eq!(call("js_host-test", b"abc"), Some(b"cba".to_vec()));
        assert_eq!(call("js_host-other", b"abc"), None);
    }
}
