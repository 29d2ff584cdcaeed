//! The table of options, and of those that QEMU has and Tinamou has not yet.

use block::options::drive_of_file;
use fsdev::options::{parse_fsdev, parse_virtfs};
use hw::virtio::drivers::{driver_help, drivers};
use util::keyval::{KeyVal, parse_switch};
use util::log;

use super::values::{self, parse_named};
use super::{Bios, OnPanic, Options, Stop, Topic};

type Set = fn(&mut Options, &str) -> Result<(), Stop>;

/// One option. `-name` and `--name` are the same.
pub struct Row {
    /// The name, then its other names.
    names: &'static [&'static str],
    /// How the help shows the argument; empty: takes none.
    pub arg: &'static str,
    help: &'static str,
    pub set: Set,
}

const fn row(
    names: &'static [&'static str],
    arg: &'static str,
    help: &'static str,
    set: Set,
) -> Row {
    Row {
        names,
        arg,
        help,
        set,
    }
}

/// A heading in the help.
const fn heading(text: &'static str) -> Row {
    row(&[], "", text, |_, _| Ok(()))
}

#[rustfmt::skip]
const OPTIONS: &[Row] = &[
    heading("Standard options:"),
    row(&["h", "help"], "", "display this help and exit", |_, _| Err(Stop::Help(Topic::Options))),
    row(&["version"], "", "display version information and exit",
        |_, _| Err(Stop::Help(Topic::Version))),
    row(&["machine", "M"], "[type=]name[,prop=value[,...]]",
        "select the machine ('-machine help' lists them); dumpdtb=FILE writes its device tree, \
         memory-backend=ID is an -object for its RAM",
        |o, v| values::machine(&mut o.machine, v)),
    row(&["cpu"], "model[,prop=on|off][,+prop][,-prop]",
        "select the CPU ('-cpu help' lists models and properties)",
        |o, v| { o.cpu = Some(cpu(v)?); Ok(()) }),
    row(&["accel"], "tcg[,thread=single|multi][,backend=auto|tci|wasm32]\
        [,threshold=N][,max-instances=N][,symbols=FILE][,one-insn-per-tb=on|off][,tb-size=MiB]",
        "how guest code runs", |o, v| values::accel(&mut o.accel, v)),
    row(&["smp"], "[cpus=]n[,maxcpus=][,sockets=][,cores=][,threads=]",
        "number of harts [1]", |o, v| { o.smp = values::smp(v)?; Ok(()) }),
    row(&["m"], "[size=]megs", "size of RAM (suffixes K, M, G) [128M]",
        |o, v| { o.ram_bytes = values::ram_size(v)?; Ok(()) }),
    row(&["device"], "driver[,prop=value[,...]]", "add a device ('-device help' lists them)",
        |o, v| { o.devices.push(device(v)?); Ok(()) }),
    row(&["global"], "driver.property=value", "a property of all devices of a driver; \
        virtio-mmio.force-legacy=off makes the slots modern",
        global),
    row(&["object"], "rng-random,id=id[,filename=file] | rng-builtin,id=id\
        | memory-backend-ram,id=id,size=size[,prealloc=on|off]\
        | memory-backend-file,id=id,size=size,mem-path=path[,share=on|off][,readonly=on|off]\
        [,offset=size][,prealloc=on|off]",
        "a source of random bytes for a device, or memory for '-machine memory-backend=id'",
        |o, v| Ok(o.objects.add(v)?)),
    row(&["name"], "[guest=]string", "name of the guest, shown by the monitor",
        |o, v| { o.name = Some(values::only(v, "guest")?); Ok(()) }),
    row(&["rtc"], "[base=utc|localtime|date][,clock=host|rt|vm]",
        "the real-time clock's start and clock", |o, v| { o.rtc = values::rtc(v)?; Ok(()) }),

    heading("Disks and shared folders:"),
    row(&["drive"], "[file=file][,format=raw|qcow2][,if=none|virtio][,id=id][,snapshot=on|off]\
        [,readonly=on|off][,cache=writethrough|writeback|none|directsync|unsafe]\
        [,discard=ignore|unmap][,detect-zeroes=on|off|unmap][,file.locking=on|off|auto]",
        "a disk image, and the disk if no -device names the drive",
        |o, v| { o.drives.push(block::options::parse_drive(v)?); Ok(()) }),
    row(&["blockdev"], "driver,node-name=name[,file=name][,prop=value[,...]]",
        "a disk image for -device drive=name",
        |o, v| { o.blockdevs.push(block::options::parse_blockdev(v)?); Ok(()) }),
    row(&["hda", "hdb", "hdc", "hdd"], "file", "a disk image (as an argument without option)",
        |o, v| { o.drives.push(drive_of_file(not_empty(v)?)?); Ok(()) }),
    row(&["snapshot"], "", "keep what is written to disks in memory",
        |o, _| { o.snapshot = true; Ok(()) }),
    row(&["fsdev"], "local,id=id,path=path,security_model=mapped-xattr|mapped-file|passthrough|none\
        [,writeout=immediate][,readonly=on][,fmode=fmode][,dmode=dmode]\
        [,multidevs=remap|forbid|warn] | memory,id=id[,size=size] | synth,id=id",
        "a folder for -device virtio-9p-device,fsdev=id,mount_tag=tag",
        |o, v| { o.fsdevs.push(parse_fsdev(v).map_err(bare)?); Ok(()) }),
    row(&["virtfs"], "local,path=path,mount_tag=tag,security_model=... | as -fsdev",
        "a folder and its device",
        |o, v| { o.virtfs.push(parse_virtfs(v).map_err(bare)?); Ok(()) }),

    heading("Boot images:"),
    row(&["bios"], "default|none|file", "firmware", |o, v| {
        o.bios = match v {
            "default" => Bios::Default,
            "none" => Bios::None,
            file => Bios::File(not_empty(file)?.into()),
        };
        Ok(())
    }),
    row(&["kernel"], "file", "kernel: Image, gzipped Image or ELF",
        |o, v| { o.kernel = Some(not_empty(v)?.into()); Ok(()) }),
    row(&["initrd"], "file", "initial RAM disk",
        |o, v| { o.initrd = Some(not_empty(v)?.into()); Ok(()) }),
    row(&["append"], "cmdline", "kernel command line",
        |o, v| { o.append = Some(v.into()); Ok(()) }),
    row(&["dtb"], "file", "device tree, instead of the generated one",
        |o, v| { o.dtb = Some(not_empty(v)?.into()); Ok(()) }),
    row(&["L"], "dir", "look for firmware there first", |o, v| match v {
        "help" => Err(Stop::Help(Topic::DataDirs)),
        dir => { o.data_dirs.push(not_empty(dir)?.into()); Ok(()) }
    }),

    heading("Console and character devices:"),
    row(&["nographic"], "", "serial port and monitor on the terminal (there is no display yet)",
        |o, _| { o.nographic = true; Ok(()) }),
    row(&["display"], "none", "no display, and nothing on the terminal unless -serial says so",
        |o, v| { only_none(v, "display")?; o.no_display = true; Ok(()) }),
    row(&["vga"], "none", "no graphics card", |_, v| only_none(v, "graphics card")),
    row(&["parallel"], "none", "no parallel port", |_, v| only_none(v, "parallel port")),
    row(&["net", "nic"], "none", "no network", |_, v| only_none(v, "network")),
    row(&["serial"], "dev", "the serial port: stdio, mon:stdio, null, none, file:path, chardev:id",
        |o, v| { o.serials.push(chardev::spec::parse_short(v)?); Ok(()) }),
    row(&["monitor"], "dev", "the monitor: as -serial",
        |o, v| { o.monitors.push(chardev::spec::parse_short(v)?); Ok(()) }),
    row(&["chardev"], "stdio|null|file,id=id[,mux=on][,path=file]", "a character device",
        |o, v| match v {
            "help" => Err(Stop::Print(format!("Character devices: {}\n", chardev::spec::KINDS))),
            v => { o.chardevs.push(chardev::spec::parse_chardev(v)?); Ok(()) }
        }),
    row(&["echr"], "code", "the character code of Ctrl-A [1]",
        |o, v| { o.escape = Some(values::escape(v)?); Ok(()) }),

    heading("Running and debugging:"),
    row(&["icount"], "[shift=]N[,sleep=on|off]",
        "each instruction takes 2^N ns of guest time",
        |o, v| { o.icount = Some(values::icount(v)?); Ok(()) }),
    row(&["one-insn-per-tb"], "", "one guest instruction in each translation block",
        |o, _| { o.accel.one_insn_per_tb = true; Ok(()) }),
    row(&["S"], "", "do not start the CPUs ('cont' in the monitor does)",
        |o, _| { o.start_paused = true; Ok(()) }),
    row(&["no-reboot"], "", "exit instead of rebooting",
        |o, _| { o.actions.reset_is_shutdown = true; Ok(()) }),
    row(&["no-shutdown"], "", "stop before shutdown instead of exiting",
        |o, _| { o.actions.shutdown_is_pause = true; Ok(()) }),
    row(&["action"], "reboot=reset|shutdown,shutdown=poweroff|pause,\
        panic=shutdown|pause|exit-failure|none", "what these events do",
        action),
    row(&["nodefaults"], "", "no default devices: neither serial port nor monitor",
        |o, _| { o.no_defaults = true; Ok(()) }),
    row(&["no-user-config"], "", "read no configuration files (there are none)", |_, _| Ok(())),
    row(&["d"], "item1,...", "log these items ('-d help' lists them)", |o, v| match v {
        "help" | "?" => Err(Stop::Print(log::items_help())),
        v => { o.log_items = log::parse_items(v)?; Ok(()) }
    }),
    row(&["D"], "file", "log to this file [stderr]",
        |o, v| { o.log_file = Some(not_empty(v)?.into()); Ok(()) }),
    row(&["dfilter"], "range,...", "log only what happens at these addresses",
        |o, v| { o.log_filter = log::parse_filter(v)?; Ok(()) }),
];

/// Options of QEMU that are not there yet.
const NOT_THERE: &[&str] = &[
    "acpitable",
    "add-fd",
    "alt-grab",
    "async-teardown",
    "audio",
    "audiodev",
    "boot",
    "bt",
    "cdrom",
    "chroot",
    "compat",
    "ctrl-grab",
    "curses",
    "daemonize",
    "debugcon",
    "dump-vmstate",
    "enable-kvm",
    "enable-sync-profile",
    "fda",
    "fdb",
    "full-screen",
    "fw_cfg",
    "g",
    "gdb",
    "incoming",
    "iscsi",
    "jitdump",
    "k",
    "loadvm",
    "mem-path",
    "mem-prealloc",
    "mon",
    "msg",
    "mtdblock",
    "netdev",
    "no-acpi",
    "no-fd-bootchk",
    "no-hpet",
    "numa",
    "only-migratable",
    "option-rom",
    "overcommit",
    "perfmap",
    "pflash",
    "pidfile",
    "plugin",
    "preconfig",
    "prom-env",
    "qmp",
    "qmp-pretty",
    "qtest",
    "qtest-log",
    "readconfig",
    "rotate",
    "run-with",
    "runas",
    "s",
    "sandbox",
    "sd",
    "seed",
    "semihosting",
    "semihosting-config",
    "set",
    "shim",
    "singlestep",
    "smbios",
    "spice",
    "tb-size",
    "tpmdev",
    "trace",
    "usb",
    "usbdevice",
    "uuid",
    "virtioa",
    "vnc",
    "watchdog",
    "watchdog-action",
    "win2k-hack",
    "xen-attach",
    "xen-domid",
    "xen-domid-restrict",
    "xtal",
];

/// The option called `name`.
pub fn find(name: &str) -> Option<&'static Row> {
    OPTIONS.iter().find(|row| row.names.contains(&name))
}

/// Why `arg` is refused, when there is no option `name`.
pub fn refusal(arg: &str, name: &str) -> String {
    if NOT_THERE.contains(&name) {
        format!("{arg}: this option is not there yet in Tinamou")
    } else {
        format!("{arg}: invalid option")
    }
}

/// The text of `-help`.
pub fn help() -> String {
    let mut text = format!("{}usage: {} [options]\n", super::version(), super::PROGRAM);
    for row in OPTIONS {
        if row.names.is_empty() {
            text += &format!("\n{}\n", row.help);
            continue;
        }
        let names: Vec<_> = row.names.iter().map(|name| format!("-{name}")).collect();
        let head = format!("{} {}", names.join(" or "), row.arg);
        text += &format!("  {}\n        {}\n", head.trim_end(), row.help);
    }
    let keys = "\nIn the terminal, Ctrl-A h shows the keys of the emulator itself.\n";
    text + keys
}

/// A sentence that begins with its option.
fn bare(sentence: String) -> String {
    match sentence.split_once(": ") {
        Some((option, rest)) if option.starts_with('-') => rest.into(),
        _ => sentence,
    }
}

fn not_empty(value: &str) -> Result<&str, Stop> {
    if value.is_empty() {
        Err(Stop::Refuse("an empty name names no file".into()))
    } else {
        Ok(value)
    }
}

fn only_none(value: &str, what: &str) -> Result<(), Stop> {
    if value == "none" {
        return Ok(());
    }
    Err(Stop::Refuse(format!(
        "there is no {what} yet in Tinamou, so it can only be 'none'"
    )))
}

fn cpu(value: &str) -> Result<super::Named, Stop> {
    if value == "help" || value == "?" {
        return Err(Stop::Help(Topic::Cpus));
    }
    // The short forms +name and -name become switches.
    let mut cpu = parse_named(value, "CPU model")?;
    for (name, value) in &mut cpu.properties {
        if let Some(on) = name.strip_prefix('+') {
            (*value, *name) = ("on".to_string(), on.to_string());
        } else if let Some(off) = name.strip_prefix('-') {
            (*value, *name) = ("off".to_string(), off.to_string());
        }
    }
    Ok(cpu)
}

fn device(value: &str) -> Result<super::Named, Stop> {
    match value {
        "help" | "?" => Err(Stop::Help(Topic::Devices)),
        value => {
            let device = parse_named(value, "device")?;
            let mut words = device.properties.iter().filter(|(_, value)| value == "on");
            match words.any(|(name, _)| matches!(name.as_str(), "help" | "?")) {
                true => Err(match driver_help(&device.name) {
                    Some(list) => Stop::Print(list),
                    None => "there is no such device; '-device help' lists them"
                        .to_string()
                        .into(),
                }),
                false => Ok(device),
            }
        }
    }
}

fn global(options: &mut Options, value: &str) -> Result<(), Stop> {
    let (driver, property, value) = values::global(value)?;
    let mut known = drivers();
    match (driver.as_str(), property.as_str()) {
        ("virtio-mmio", "force-legacy") => {
            options.virtio_mmio.force_legacy = parse_switch(&property, &value)?;
        }
        _ if known.any(|name| name == driver) => options.globals.push((driver, property, value)),
        _ => return Err(format!("there is no property {property} of '{driver}' yet").into()),
    }
    Ok(())
}

fn action(options: &mut Options, value: &str) -> Result<(), Stop> {
    let mut keyval = KeyVal::parse(value, None)?;
    let actions = &mut options.actions;
    while let Some((event, what)) = keyval.take_first() {
        match (event.as_str(), what.as_str()) {
            ("reboot", "reset") => actions.reset_is_shutdown = false,
            ("reboot", "shutdown") => actions.reset_is_shutdown = true,
            ("shutdown", "poweroff") => actions.shutdown_is_pause = false,
            ("shutdown", "pause") => actions.shutdown_is_pause = true,
            ("panic", "shutdown") => actions.panic = OnPanic::Shutdown,
            ("panic", "pause") => actions.panic = OnPanic::Pause,
            ("panic", "exit-failure") => actions.panic = OnPanic::ExitFailure,
            ("panic", "none") => actions.panic = OnPanic::None,
            ("watchdog", _) => return Err("there is no watchdog yet in Tinamou".to_string())?,
            ("reboot" | "shutdown" | "panic", what) => {
                Err(format!("'{event}' has no action '{what}'"))?;
            }
            _ => return Err(format!("there is no event '{event}'"))?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let there = OPTIONS.iter().flat_map(|row| row.names);
        let mut names: Vec<_> = there.chain(NOT_THERE).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn help_has_every_option() {
        let help = help();
        for name in OPTIONS.iter().flat_map(|row| row.names) {
            assert!(help.contains(&format!("-{name}")), "{name}");
        }
    }
}
