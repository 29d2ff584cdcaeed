//! Whole devices, with a terminal and front ends made of vectors.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use include::{CharFrontend, RunStateControl, ShutdownCause};
use parking_lot::{Condvar, Mutex};
use util::main_loop::MainLoop;

use crate::spec::{parse_chardev, parse_short};
use crate::{Chardevs, Terminal, TerminalInput};

#[derive(Default)]
struct FakeTerminal {
    typed: Mutex<VecDeque<u8>>,
    more: Condvar,
    written: Mutex<Vec<u8>>,
    pipe: bool,
}

impl FakeTerminal {
    fn type_keys(&self, bytes: &[u8]) {
        self.typed.lock().extend(bytes);
        self.more.notify_all();
    }
}

impl Terminal for FakeTerminal {
    fn read_blocking(&self, buf: &mut [u8], timeout: Duration) -> TerminalInput {
        let mut typed = self.typed.lock();
        if typed.is_empty() {
            self.more.wait_for(&mut typed, timeout);
        }
        let count = typed.len().min(buf.len());
        typed
            .drain(..count)
            .zip(buf)
            .for_each(|(byte, slot)| *slot = byte);
        if count == 0 {
            TerminalInput::Timeout
        } else {
            TerminalInput::Bytes(count)
        }
    }
    fn write(&self, bytes: &[u8]) {
        self.written.lock().extend_from_slice(bytes);
    }
    fn set_raw(&self, _raw: bool) {}
    fn is_terminal(&self) -> bool {
        !self.pipe
    }
}

#[derive(Default)]
struct FakeFrontend {
    room: Mutex<usize>,
    received: Mutex<Vec<u8>>,
    breaks: Mutex<u32>,
}

impl CharFrontend for FakeFrontend {
    fn can_receive(&self) -> usize {
        *self.room.lock()
    }
    fn receive(&self, bytes: &[u8]) {
        *self.room.lock() -= bytes.len();
        self.received.lock().extend_from_slice(bytes);
    }
    fn receive_break(&self) {
        *self.breaks.lock() += 1;
    }
}

#[derive(Default)]
struct FakeControl(Mutex<Vec<ShutdownCause>>);

impl RunStateControl for FakeControl {
    fn shutdown_request(&self, cause: ShutdownCause) {
        self.0.lock().push(cause);
    }
    fn reset_request(&self) {}
    fn pause_request(&self) {}
    fn resume_request(&self) {}
}

struct Setup {
    main_loop: Arc<MainLoop>,
    terminal: Arc<FakeTerminal>,
    control: Arc<FakeControl>,
    chardevs: Chardevs,
}

impl Setup {
    fn new(pipe: bool) -> Self {
        let main_loop = MainLoop::new();
        let terminal = Arc::new(FakeTerminal {
            pipe,
            ..FakeTerminal::default()
        });
        let control = Arc::new(FakeControl::default());
        let poster = main_loop.poster();
        let chardevs = Chardevs::new(poster, control.clone(), terminal.clone(), 1);
        Self {
            main_loop,
            terminal,
            control,
            chardevs,
        }
    }

    /// Runs the loop until `done`, or fails after some seconds.
    fn run_until(&self, what: &str, done: impl Fn() -> bool) {
        for _ in 0..5000 {
            if done() {
                return;
            }
            self.main_loop.iterate(Some(Duration::from_millis(1)));
        }
        panic!("{what} did not happen");
    }
}

#[test]
fn a_mux_switches_between_its_front_ends() {
    let mut setup = Setup::new(false);
    let short = parse_short("mon:stdio").unwrap();
    let ends = setup.chardevs.connect_short("serial0", short).unwrap();
    let (serial, monitor) = (ends.device, ends.monitor.unwrap());
    let ends = [(); 2].map(|()| {
        Arc::new(FakeFrontend {
            room: Mutex::new(100),
            ..FakeFrontend::default()
        })
    });
    serial.set_frontend(ends[0].clone());
    monitor.set_frontend(ends[1].clone());
    setup.terminal.type_keys(b"ls\x01b\x03\x01cquit\x01x");
    setup.run_until("Ctrl-A x", || !setup.control.0.lock().is_empty());
    assert_eq!(*ends[0].received.lock(), b"ls\x03");
    assert_eq!(*ends[0].breaks.lock(), 1);
    assert_eq!(*ends[1].received.lock(), b"quit");
    serial.write(b"from the guest");
    setup.run_until("output", || {
        setup.terminal.written.lock().ends_with(b"from the guest")
    });
    assert_eq!(setup.chardevs.info(), "serial0: filename=mux (stdio)\n");
}

#[test]
fn input_waits_for_room_and_a_pipe_is_held_back() {
    let mut setup = Setup::new(true);
    let short = parse_short("stdio").unwrap();
    let serial = setup
        .chardevs
        .connect_short("serial0", short)
        .unwrap()
        .device;
    let frontend = Arc::new(FakeFrontend::default());
    serial.set_frontend(frontend.clone());
    let sent: Vec<u8> = (0..20_000u32).map(|i| (i % 253) as u8).collect();
    setup.terminal.type_keys(&sent);
    setup.run_until("reading", || setup.terminal.typed.lock().len() < 16_000);
    for _ in 0..20 {
        setup.main_loop.iterate(Some(Duration::from_millis(1)));
    }
    assert!(
        setup.terminal.typed.lock().len() > 15_000,
        "the reader did not wait"
    );
    assert!(frontend.received.lock().is_empty());
    setup.run_until("all input", || {
        *frontend.room.lock() = 16;
        serial.accept_input();
        setup.main_loop.iterate(Some(Duration::ZERO));
        frontend.received.lock().len() == sent.len()
    });
    assert_eq!(*frontend.received.lock(), sent);
    assert!(
        setup.control.0.lock().is_empty(),
        "a 3 in a pipe is no Ctrl-C"
    );
}

#[test]
fn ctrl_c_ends_plain_stdio_and_a_full_terminal_is_still_read() {
    let mut setup = Setup::new(false);
    setup
        .chardevs
        .connect_short("serial0", parse_short("stdio").unwrap())
        .unwrap();
    setup.terminal.type_keys(&[b'x'; 20_000]);
    setup.terminal.type_keys(b"\x03");
    setup.run_until("Ctrl-C", || !setup.control.0.lock().is_empty());
    assert_eq!(setup.control.0.lock()[0], ShutdownCause::HostRequest);
}

#[test]
fn devices_are_shared_only_when_asked() {
    let mut setup = Setup::new(false);
    for text in ["null,id=one", "stdio,id=many,mux=on"] {
        setup.chardevs.add(parse_chardev(text).unwrap()).unwrap();
    }
    assert!(setup.chardevs.connect("one").is_ok());
    assert!(
        setup
            .chardevs
            .connect("one")
            .err()
            .unwrap()
            .contains("in use")
    );
    assert!(setup.chardevs.connect("many").is_ok());
    assert!(setup.chardevs.connect("many").is_ok());
    assert!(setup.chardevs.connect("none").is_err());
    assert!(
        setup
            .chardevs
            .add(parse_chardev("null,id=one").unwrap())
            .is_err()
    );
    let second = setup
        .chardevs
        .connect_short("monitor", parse_short("stdio").unwrap());
    assert!(second.err().unwrap().contains("beside 'many'"));
}

#[test]
fn files_take_output() {
    let name = format!("tinamou-chardev-{}", std::process::id());
    let path = std::env::temp_dir().join(name);
    let mut setup = Setup::new(false);
    for append in ["off", "on"] {
        let text = format!("file,id=f{append},path={},append={append}", path.display());
        setup.chardevs.add(parse_chardev(&text).unwrap()).unwrap();
        setup
            .chardevs
            .connect(&format!("f{append}"))
            .unwrap()
            .write(b"line\n");
        setup
            .chardevs
            .outputs()
            .iter()
            .for_each(|output| output.flush());
    }
    assert_eq!(std::fs::read(&path).unwrap(), b"line\nline\n");
    std::fs::remove_file(&path).unwrap();
    let missing = parse_chardev("file,id=x,path=/nowhere/at/all").unwrap();
    assert!(
        setup
            .chardevs
            .add(missing)
            .unwrap_err()
            .contains("'/nowhere/at/all'")
    );
}
