//! The life of the process (QEMU's `system/vl.c`): options in, machine up, main loop, exit status.
//!
//! What must hold: whatever is wrong is one sentence on stderr and status 1; the terminal is put
//! back on every way out.

use std::ffi::OsString;
use std::io::Write;
use std::sync::Arc;

use chardev::{Chardevs, Terminal, mux};
use include::{AddressSpace, PhysAddr, RunStateControl, VirtAddr};
use monitor::{Emulator, Monitor};
use parking_lot::Mutex;
use util::main_loop::MainLoop;

use crate::accel::MakeAccelerator;
use crate::backends::Backends;
use crate::console::{self, HostTerminal};
use crate::datadir;
use crate::machine_init::{self, Host, Joined};
use crate::options::{self, Options, PROGRAM, Stop, Topic};
use crate::runstate::{MachineControl, RunStateMachine};

/// Runs the program with the command line `args` (its own name first), and returns the process's
/// exit status.
pub fn run(args: Vec<OsString>) -> i32 {
    run_with(args, crate::accel::tcg::make)
}

/// [`run`] on another accelerator.
pub fn run_with(args: Vec<OsString>, make: MakeAccelerator) -> i32 {
    let status = match emulate(&args, make) {
        Ok(status) => status,
        Err(Stop::Print(text)) => print(&text),
        Err(Stop::Help(topic)) => print(&help(topic, &args)),
        Err(Stop::Refuse(sentence)) => {
            // Nobody is left to hear about a closed stderr.
            let _ = writeln!(std::io::stderr(), "{PROGRAM}: {sentence}");
            1
        }
    };
    HostTerminal.set_raw(false);
    status
}

/// A closed stdout is an error: whoever asked for a list gets none.
fn print(text: &str) -> i32 {
    let mut out = std::io::stdout();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    i32::from(written.is_err())
}

fn help(topic: Topic, args: &[OsString]) -> String {
    let list = |names: &mut dyn Iterator<Item = String>| names.map(|name| name + "\n").collect();
    match topic {
        Topic::Options => options::help(),
        Topic::Version => options::version(),
        Topic::Machines => {
            let line = |(name, help): &(&str, &str)| format!("{name:<20} {help}");
            format!(
                "Machines:\n{}",
                list(&mut options::MACHINES.iter().map(line)) as String
            )
        }
        Topic::Cpus => cpu_help(),
        Topic::Devices => {
            format!(
                "Devices:\n{}",
                list(&mut hw::virtio::drivers::drivers().map(str::to_string)) as String
            )
        }
        Topic::DataDirs => {
            // The words after each -L before `-L help` count.
            let pairs = args
                .windows(2)
                .filter(|pair| pair[0] == "-L" || pair[0] == "--L");
            let asked: Vec<_> = pairs
                .filter(|p| p[1] != "help")
                .map(|p| (&p[1]).into())
                .collect();
            list(
                &mut datadir::folders(&asked)
                    .iter()
                    .map(|dir| dir.display().to_string()),
            )
        }
    }
}

fn cpu_help() -> String {
    let models = guest_riscv::isa::MODELS.join(" ");
    let all = guest_riscv::Isa::model("max").map(|isa| isa.isa_extensions().join(" "));
    format!(
        "CPU models: {models}\nProperties (on or off): sv39 sv48 sv57 mmu pmp {}\n",
        all.unwrap_or_default()
    )
}

fn emulate(args: &[OsString], make: MakeAccelerator) -> Result<i32, Stop> {
    let words: Result<Vec<String>, _> = args
        .iter()
        .skip(1)
        .map(|arg| arg.clone().into_string())
        .collect();
    let words = words.map_err(|arg| format!("{}: is not UTF-8", arg.display()))?;
    let options = options::parse(&words)?;
    set_up_log(&options)?;
    let main_loop = MainLoop::new();
    let runstate = RunStateMachine::new(main_loop.clone(), options.actions);
    let escape = options.escape.unwrap_or(mux::ESCAPE_DEFAULT);
    let terminal = Arc::new(HostTerminal);
    let mut chardevs = Chardevs::new(main_loop.poster(), runstate.clone(), terminal, escape);
    let (serials, monitors) = console::open(&options, &mut chardevs)?;
    let chardevs = Arc::new(Mutex::new(chardevs));
    let timers = main_loop.timers().clone();
    let backends = Backends::open(&options, timers, chardevs.clone())?;
    let host = Host {
        timers: main_loop.timers().clone(),
        runstate: runstate.clone(),
        serials,
        backends: backends.clone(),
    };
    let board = machine_init::build(&options, &host)?;
    if let Some(path) = &options.machine.dump_dtb {
        let written = std::fs::write(path, &board.board.fdt[..]);
        written.map_err(|error| format!("-machine dumpdtb={}: {error}", path.display()))?;
        return Ok(0);
    }
    let machine = Arc::new(board.join(&options, main_loop.timers(), make)?);
    let info = chardevs.lock().info();
    let shown = Shown {
        options,
        runstate: runstate.clone(),
        machine: machine.clone(),
        info,
    };
    let shown = Arc::new(shown);
    for (backend, shared) in monitors {
        Monitor::start(backend, shown.clone(), shared);
    }
    live(&main_loop, &runstate, &machine, shown.options.start_paused);
    let outputs = chardevs.lock().outputs();
    outputs.iter().for_each(|output| output.flush());
    backends.close()?;
    let synced = machine.memory.sync();
    synced.map_err(|error| format!("-object memory-backend-file: {error}"))?;
    Ok(runstate.exit_status())
}

/// From power-on to the end.
fn live(
    main_loop: &Arc<MainLoop>,
    runstate: &Arc<RunStateMachine>,
    machine: &Arc<Joined>,
    paused: bool,
) {
    machine.reset();
    machine.accel.start();
    runstate.set_machine(machine.clone());
    if !paused {
        runstate.resume_request();
    }
    main_loop.run();
    machine.accel.quit();
}

fn set_up_log(options: &Options) -> Result<(), Stop> {
    util::log::init().map_err(|reason| format!("TINAMOU_LOG: {reason}"))?;
    util::log::set_file(options.log_file.as_deref()).map_err(|reason| format!("-D: {reason}"))?;
    util::log::set_filter(options.log_filter.clone());
    util::log::set_items(&options.log_items);
    Ok(())
}

/// What the monitor sees.
struct Shown {
    options: Options,
    runstate: Arc<RunStateMachine>,
    machine: Arc<Joined>,
    /// The list of character devices, which never changes.
    info: String,
}

impl Emulator for Shown {
    fn version(&self) -> String {
        options::version()
    }
    fn name(&self) -> Option<String> {
        self.options.name.clone()
    }
    fn status(&self) -> String {
        self.runstate.state().name().to_string()
    }
    fn control(&self) -> &dyn RunStateControl {
        self.runstate.as_ref()
    }
    fn settle(&self) {
        self.runstate.settle();
    }
    fn memory(&self) -> &dyn AddressSpace {
        self.machine.memory.as_ref()
    }
    fn cpu_count(&self) -> usize {
        self.machine.accel.cpu_count()
    }
    fn registers(&self, cpu: usize) -> String {
        self.machine.accel.registers(cpu)
    }
    fn register(&self, cpu: usize, name: &str) -> Option<u64> {
        self.machine.accel.register(cpu, name)
    }
    fn translate(&self, cpu: usize, addr: VirtAddr) -> Option<PhysAddr> {
        self.machine.accel.translate(cpu, addr)
    }
    fn mtree(&self) -> String {
        self.machine.memory.mtree()
    }
    fn qtree(&self) -> String {
        let line = |mapping: &hw::core::Mapping| {
            format!(
                "  dev: {}, mmio {:016x}/{:x}\n",
                mapping.name, mapping.base, mapping.size
            )
        };
        let devices: String = self.machine.board.mappings.iter().map(line).collect();
        format!("bus: main-system-bus\n{devices}")
    }
    fn chardevs(&self) -> String {
        self.info.clone()
    }
    fn jit(&self) -> String {
        self.machine.accel.stats()
    }
}
