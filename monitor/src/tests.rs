//! A monitor on a machine of two CPUs and one page of RAM.

use include::{AccessSize, BusError, RamPage, ShutdownCause};

use super::*;

#[derive(Default)]
struct Fake {
    written: Mutex<Vec<u8>>,
    asked: Mutex<Vec<String>>,
}

impl RunStateControl for Fake {
    fn shutdown_request(&self, cause: ShutdownCause) {
        self.asked.lock().push(format!("{cause:?}"));
    }
    fn reset_request(&self) {
        self.asked.lock().push("reset".into());
    }
    fn pause_request(&self) {
        self.asked.lock().push("pause".into());
    }
    fn resume_request(&self) {
        self.asked.lock().push("resume".into());
    }
}

impl AddressSpace for Fake {
    fn ram_page(&self, _addr: PhysAddr) -> Option<RamPage> {
        None
    }
    fn ram_pages(&self) -> u32 {
        1
    }
    fn io_read(&self, _addr: PhysAddr, _size: AccessSize) -> Result<u64, BusError> {
        Err(BusError)
    }
    fn io_write(&self, _addr: PhysAddr, _size: AccessSize, _value: u64) -> Result<(), BusError> {
        Err(BusError)
    }
    fn read(&self, addr: PhysAddr, buf: &mut [u8]) -> Result<(), BusError> {
        buf.fill(addr.0 as u8);
        if addr.0 < 0x1000 {
            Ok(())
        } else {
            Err(BusError)
        }
    }
    fn write(&self, _addr: PhysAddr, _data: &[u8]) -> Result<(), BusError> {
        Err(BusError)
    }
}

impl Emulator for Fake {
    fn version(&self) -> String {
        "Tinamou emulator version 0\n".into()
    }
    fn name(&self) -> Option<String> {
        Some("box".into())
    }
    fn status(&self) -> String {
        "running".into()
    }
    fn control(&self) -> &dyn RunStateControl {
        self
    }
    fn settle(&self) {
        self.asked.lock().push("settled".into());
    }
    fn memory(&self) -> &dyn AddressSpace {
        self
    }
    fn cpu_count(&self) -> usize {
        2
    }
    fn registers(&self, cpu: usize) -> String {
        format!("registers of {cpu}\n")
    }
    fn register(&self, cpu: usize, name: &str) -> Option<u64> {
        (name == "pc").then_some(0x10 * cpu as u64)
    }
    fn translate(&self, _cpu: usize, addr: VirtAddr) -> Option<PhysAddr> {
        addr.0.checked_sub(0x8000).map(PhysAddr)
    }
    fn mtree(&self) -> String {
        "map\n".into()
    }
    fn qtree(&self) -> String {
        "tree\n".into()
    }
    fn chardevs(&self) -> String {
        "chardevs\n".into()
    }
    fn jit(&self) -> String {
        "jit\n".into()
    }
}

impl CharBackend for Fake {
    fn write(&self, bytes: &[u8]) {
        self.written.lock().extend_from_slice(bytes);
    }
    fn set_frontend(&self, _frontend: Arc<dyn CharFrontend>) {}
    fn accept_input(&self) {}
}

/// Runs lines one after the other, and checks the last answer.
fn check(lines: &[&str], expected: &str) {
    let mut state = State::default();
    let fake = Fake::default();
    let answers: Vec<_> = lines
        .iter()
        .map(|l| commands::run(&fake, &mut state, l))
        .collect();
    assert_eq!(
        answers.last().map(String::as_str),
        Some(expected),
        "{lines:?}"
    );
}

#[test]
fn answers() {
    check(&[""], "");
    check(&["info status"], "VM status: running\n");
    check(&["info version"], "Tinamou emulator version 0\n");
    check(&["info name"], "box\n");
    check(&["info registers"], "\nCPU#0\nregisters of 0\n");
    check(&["cpu 1", "info registers"], "\nCPU#1\nregisters of 1\n");
    check(
        &["info registers -a"],
        "\nCPU#0\nregisters of 0\n\nCPU#1\nregisters of 1\n",
    );
    check(
        &["cpu 1", "info cpus"],
        "  CPU #0: pc=0x0000000000000000\n* CPU #1: pc=0x0000000000000010\n",
    );
    check(&["xp/2xb 0x20"], "0000000000000020: 0x20 0x21\n");
    check(
        &["cpu 1", "x /1xh $pc+0x8000"],
        "0000000000008010: 0x1110\n",
    );
    check(&["xp/2ub 1", "xp 2"], "0000000000000002: 2\n");
    check(
        &["xp/1xb 0x1000"],
        "0000000000001000:\nThere is no memory at 0x1000\n",
    );
    check(
        &["x/1xb 0"],
        "0000000000000000:\nThere is no memory at 0x0\n",
    );
    check(&["p/d 3-5"], "-2\n");
    check(&["print 0x10"], "0x0000000000000010\n");
}

#[test]
fn mistakes_are_sentences() {
    check(&["foo"], "there is no command 'foo' (try 'help')\n");
    check(
        &["info foo"],
        "there is no command 'info foo' (try 'help')\n",
    );
    check(&["stop now"], "stop takes no arguments\n");
    check(&["cpu 2"], "there is no CPU '2'\n");
    check(
        &["xp/4i 0"],
        "instructions cannot be shown yet (try -d in_asm)\n",
    );
    check(&["xp"], "'' is no number\n");
    check(&["log foo"], "there is no log item 'foo' (try '-d help')\n");
    check(&["help foo"], "there is no command 'foo'\n");
    check(&["\u{e9}/"], "there is no command '\u{e9}' (try 'help')\n");
}

#[test]
fn help_is_the_table() {
    let mut state = State::default();
    let help = commands::run(&Fake::default(), &mut state, "help");
    assert!(help.contains("quit|q -- end the emulator\n"), "{help}");
    let info = commands::run(&Fake::default(), &mut state, "info");
    assert!(info.contains("info mtree -- the memory map\n"), "{info}");
    check(&["help stop"], "stop|s -- stop the machine\n");
}

#[test]
fn a_session_on_a_terminal() {
    let fake = Arc::new(Fake::default());
    let state = Mutex::default();
    let monitor = Monitor {
        backend: fake.clone(),
        emulator: fake.clone(),
        state,
    };
    monitor.focused();
    monitor.receive(b"stop\rq\x08c\r");
    monitor.focused();
    let written = String::from_utf8(fake.written.lock().clone()).unwrap();
    let greeting = "Tinamou emulator version 0 - type 'help' for the commands\r\n(tinamou) ";
    let rest = "stop\r\n(tinamou) q\x08 \x08c\r\n(tinamou) (tinamou) ";
    assert_eq!(written, format!("{greeting}{rest}"));
    assert_eq!(
        *fake.asked.lock(),
        ["pause", "settled", "resume", "settled"]
    );
}
