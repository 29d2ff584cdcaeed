//! Machines without an accelerator: what the options make of the board.

use chardev::Chardevs;
use include::{AccessSize, AddressSpace, PhysAddr, ShutdownCause, VirtAddr};
use parking_lot::Mutex;
use util::main_loop::MainLoop;

use super::*;
use crate::console::HostTerminal;
use crate::options;

#[derive(Default)]
struct Ended(Mutex<Vec<ShutdownCause>>);

impl RunStateControl for Ended {
    fn shutdown_request(&self, cause: ShutdownCause) {
        self.0.lock().push(cause);
    }
    fn reset_request(&self) {}
    fn pause_request(&self) {}
    fn resume_request(&self) {}
}

/// Executes nothing.
struct NoAccelerator;

impl Accelerator for NoAccelerator {
    fn start(&self) {}
    fn resume(&self) {}
    fn pause(&self) {}
    fn reset(&self, _pc: PhysAddr) {}
    fn quit(&self) {}
    fn ram_written(&self, _first_page: u32, _count: u32) {}
    fn cpu_count(&self) -> usize {
        1
    }
    fn registers(&self, _cpu: usize) -> String {
        String::new()
    }
    fn register(&self, _cpu: usize, _name: &str) -> Option<u64> {
        None
    }
    fn translate(&self, _cpu: usize, _addr: VirtAddr) -> Option<PhysAddr> {
        None
    }
    fn stats(&self) -> String {
        String::new()
    }
}

fn machine(line: &str) -> Result<(Joined, Arc<Ended>), String> {
    let args: Vec<String> = line.split_whitespace().map(str::to_string).collect();
    let options = options::parse(&args).unwrap();
    let main_loop = MainLoop::new();
    let ended = Arc::new(Ended::default());
    let timers = main_loop.timers().clone();
    let terminal = Arc::new(HostTerminal);
    let chardevs = Chardevs::new(main_loop.poster(), ended.clone(), terminal, 1);
    let chardevs = Arc::new(Mutex::new(chardevs));
    let backends = Backends::open(&options, timers.clone(), chardevs)?;
    let host = Host {
        timers,
        backends,
        runstate: ended.clone(),
        serials: Vec::new(),
    };
    let board = build(&options, &host)?;
    let make: MakeAccelerator = |_, _, _| Ok(Arc::new(NoAccelerator));
    Ok((board.join(&options, main_loop.timers(), make)?, ended))
}

#[test]
fn the_default_machine() {
    let (machine, ended) = machine("-bios none").unwrap();
    assert_eq!(machine.memory.ram_bytes(), 128 << 20);
    machine.reset();
    let first = machine
        .memory
        .io_read(machine.board.reset_pc, AccessSize::Word);
    assert!(first.is_ok_and(|insn| insn != 0), "{first:x?}");
    let magic = machine
        .memory
        .io_read(machine.board.fdt_addr, AccessSize::Word);
    assert_eq!(magic, Ok(0xedfe_0dd0));
    // The test finisher, with PASS.
    machine
        .memory
        .io_write(PhysAddr(0x10_0000), AccessSize::Word, 0x5555)
        .unwrap();
    assert_eq!(
        *ended.0.lock(),
        [ShutdownCause::GuestShutdown { status: 0 }]
    );
    assert!(
        machine
            .memory
            .mtree()
            .contains("0000000080000000-0000000087ffffff (ram): ram")
    );
}

#[test]
fn options_reach_the_board() {
    let (machine, _) =
        machine("-bios none -m 64M -smp 4 -cpu max,zba=off -device virtio-rng-device").unwrap();
    assert_eq!(machine.memory.ram_bytes(), 64 << 20);
    let fdt = String::from_utf8_lossy(&machine.board.fdt).into_owned();
    assert!(fdt.contains("cpu@3") && !fdt.contains("cpu@4"));
    assert!(fdt.contains("_zbb") && !fdt.contains("_zba"));
}

fn refused(line: &str, beginning: &str) {
    match machine(line) {
        Ok(_) => panic!("{line} was accepted"),
        Err(reason) => assert!(reason.starts_with(beginning), "{line}: {reason}"),
    }
}

#[test]
fn bad_values_are_refused_by_name() {
    refused("-bios none -cpu z80", "-cpu z80: no such CPU model");
    refused("-bios none -cpu rv64,foo=on", "-cpu: no property 'foo'");
    refused("-bios none -smp 99", "-smp 99: ");
    refused("-bios none -device foo", "-device foo: ");
    refused(
        "-bios none -kernel no-such-kernel",
        "-kernel no-such-kernel: ",
    );
    refused("-bios no-such-bios", "-bios no-such-bios: ");
    refused("-bios none -dtb no-such-dtb", "-dtb no-such-dtb: ");
}

#[test]
fn the_clock_starts_where_rtc_says() {
    let timers = MainLoop::new().timers().clone();
    let config = |text: &str| {
        rtc(
            options::parse(&["-rtc".into(), text.into()]).unwrap().rtc,
            &timers,
        )
    };
    assert_eq!(config("base=utc").offset_ns, 0);
    let date = config("base=1970-01-02,clock=vm");
    assert_eq!(
        (date.clock, date.offset_ns),
        (ClockType::Virtual, 86_400_000_000_000)
    );
    let local = config("base=localtime").offset_ns;
    assert_eq!(local % 60_000_000_000, 0);
}

#[test]
fn ram_of_a_file() {
    let path = std::env::temp_dir().join(format!("tinamou-backend-{}", std::process::id()));
    let object = |options: &str| {
        format!(
            "-bios none -M virt,memory-backend=m \
             -object memory-backend-file,id=m,size=16M,mem-path={},{options}",
            path.display()
        )
    };
    let ram = PhysAddr(0x8000_0000);
    let store = |line: &str, value| {
        let (machine, _) = machine(line).unwrap();
        assert_eq!(machine.memory.ram_bytes(), 16 << 20);
        let before = machine.memory.io_read(ram, AccessSize::Word);
        machine
            .memory
            .io_write(ram, AccessSize::Word, value)
            .unwrap();
        machine.memory.sync().unwrap();
        before
    };
    assert_eq!(store(&object("share=on"), 1), Ok(0));
    assert_eq!(store(&object("share=off,prealloc=on"), 2), Ok(1));
    assert_eq!(store(&object("readonly=on"), 3), Ok(1));
    assert_eq!(store(&object("share=on,readonly=off"), 4), Ok(1));
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 16 << 20);
    refused(
        &object("offset=64K"),
        &format!(
            "-object id=m: mem-path={} has 16777216 bytes, and size and offset ask for 16842752",
            path.display()
        ),
    );
    std::fs::remove_file(&path).unwrap();
    refused(
        &object("readonly=on"),
        &format!("-object id=m: mem-path={}: ", path.display()),
    );
    let folder = std::env::temp_dir();
    let line = object("share=on").replace(path.to_str().unwrap(), folder.to_str().unwrap());
    assert_eq!(store(&line, 1), Ok(0));
}
