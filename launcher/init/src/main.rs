//! The first process of a guest that `launcher convert` made: mounts what programs expect and the
//! root file system, runs the entrypoint on the console, serves the control port, and powers off
//! with the entrypoint's end. `/config.json` in the initial RAM disk says what to do
//! (`docs/converting.md`).

#[cfg(target_os = "linux")]
mod agent;
#[cfg(target_os = "linux")]
mod program;
#[cfg(target_os = "linux")]
mod sys;

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use ::agent::ENTRYPOINT;
use serde_json::Value;

use crate::agent::Agent;
use crate::program::Program;

/// How long the disk may take to appear.
const DISK_TRIES: u32 = 2000;
const DISK_WAIT: Duration = Duration::from_millis(5);
const ROOT: &str = "/sysroot";

fn main() {
    if std::process::id() != 1 {
        eprintln!("init is for the first process of a guest");
        std::process::exit(1);
    }
    let code = run().unwrap_or_else(|reason| {
        eprintln!("tinamou: {reason}");
        255
    });
    if code == 255 {
        eprintln!("tinamou: the guest ends");
    }
    sys::power_off();
}

fn run() -> Result<i32, String> {
    for (kind, target) in [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev")] {
        mount(kind, target, kind, 0, "")?;
    }
    let config = fs::read("/config.json").map_err(|error| format!("config.json: {error}"))?;
    let config: Value =
        serde_json::from_slice(&config).map_err(|error| format!("config.json: {error}"))?;
    let text = |key: &str| config.get(key).and_then(Value::as_str).unwrap_or_default();
    let hostname = text("hostname");
    load_modules();
    enter_root(text("disk"), text("filesystem"))?;
    let _ = sys::set_hostname(hostname);
    let _ = sys::loopback_up();
    write_hosts(hostname);
    mount_shares();
    let mut program = Program::parse(&config)?;
    program.env.push(("HOSTNAME".into(), hostname.into()));
    let agent = Agent::start(hostname, program.env.clone());
    let code = run_entrypoint(&program, &agent);
    agent.send(::agent::Kind::Exit, ENTRYPOINT, &code.to_le_bytes());
    Ok(code)
}

fn mount(source: &str, target: &str, kind: &str, flags: u64, data: &str) -> Result<(), String> {
    let _ = fs::create_dir_all(target);
    let mounted = sys::mount(source, target, kind, flags, data);
    mounted.map_err(|error| format!("'{source}' cannot be mounted at {target}: {error}"))
}

/// In the order of their names. One that the kernel does not take is told of and passed over.
fn load_modules() {
    let mut files: Vec<_> = fs::read_dir("/modules")
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    files.sort();
    for path in files {
        let loaded = File::open(&path).and_then(|file| sys::load_module(&file));
        if let Err(error) = loaded {
            eprintln!("tinamou: {}: {error}", path.display());
        }
        let _ = fs::remove_file(&path);
    }
}

/// Makes the disk the root.
fn enter_root(disk: &str, filesystem: &str) -> Result<(), String> {
    for _ in 0..DISK_TRIES {
        if Path::new(disk).exists() {
            break;
        }
        thread::sleep(DISK_WAIT);
    }
    mount(disk, ROOT, filesystem, 0, "")?;
    for name in ["dev", "proc", "sys"] {
        mount(
            &format!("/{name}"),
            &format!("{ROOT}/{name}"),
            "",
            sys::MOVE,
            "",
        )?;
    }
    // What the RAM disk has is memory.
    for file in ["/init", "/config.json"] {
        let _ = fs::remove_file(file);
    }
    let enter = || {
        std::env::set_current_dir(ROOT)?;
        sys::mount(".", "/", "", sys::MOVE, "")?;
        sys::chroot_here()?;
        std::env::set_current_dir("/")
    };
    enter().map_err(|error| format!("the root cannot be entered: {error}"))?;
    mount(
        "devpts",
        "/dev/pts",
        "devpts",
        0,
        "mode=620,gid=5,ptmxmode=666",
    )?;
    mount("tmpfs", "/dev/shm", "tmpfs", 0, "mode=1777")?;
    for (link, target) in [
        ("/dev/fd", "/proc/self/fd"),
        ("/dev/stdin", "/proc/self/fd/0"),
        ("/dev/stdout", "/proc/self/fd/1"),
        ("/dev/stderr", "/proc/self/fd/2"),
    ] {
        let _ = std::os::unix::fs::symlink(target, link);
    }
    Ok(())
}

/// The machine's shares, by their mount tags: `/mnt/TAG`. One that does not come is told of.
fn mount_shares() {
    let devices = fs::read_dir("/sys/bus/virtio/drivers/9pnet_virtio");
    for device in devices.into_iter().flatten().flatten() {
        let Ok(tag) = fs::read_to_string(device.path().join("mount_tag")) else {
            continue;
        };
        let tag = tag.trim_end_matches(['\0', '\n']);
        if tag.is_empty() || tag.starts_with('.') || tag.contains('/') {
            continue;
        }
        let options = "trans=virtio,version=9p2000.L,msize=262144";
        if let Err(reason) = mount(tag, &format!("/mnt/{tag}"), "9p", 0, options) {
            eprintln!("tinamou: {reason}");
        }
    }
}

/// What container engines write, too.
fn write_hosts(hostname: &str) {
    let hosts = Path::new("/etc/hosts");
    if fs::read(hosts).is_ok_and(|text| !text.is_empty()) {
        return;
    }
    let _ = fs::create_dir_all("/etc");
    let _ = fs::write(
        hosts,
        format!("127.0.0.1 localhost {hostname}\n::1 localhost\n"),
    );
}

/// The terminal that the kernel's messages go to: `/dev/console` itself controls no session.
fn console() -> io::Result<File> {
    let active = fs::read_to_string("/sys/class/tty/console/active").unwrap_or_default();
    let name = active.split_whitespace().last().unwrap_or("console");
    File::options()
        .read(true)
        .write(true)
        .open(format!("/dev/{name}"))
}

fn run_entrypoint(program: &Program, agent: &Agent) -> i32 {
    let start = || {
        let streams = console().and_then(|a| Ok((a.try_clone()?, a.try_clone()?, a)));
        let (input, output, errors) = streams.map_err(|error| (1, format!("console: {error}")))?;
        let command = program.command(&[], true);
        let mut command = command.map_err(|reason| (126, reason))?;
        command.stdin(input).stdout(output).stderr(errors);
        let child = command.spawn();
        child.map_err(|error| {
            let reason = format!("'{}': {error}", program.argv[0]);
            (program.code_of(&error), reason)
        })
    };
    let child = match start() {
        Ok(child) => child.id(),
        Err((code, reason)) => {
            eprintln!("tinamou: {reason}");
            return code;
        }
    };
    agent.adopt(child);
    while let Some((pid, code)) = sys::wait() {
        if pid == child {
            return code;
        }
        agent.ended(pid, code);
    }
    1
}
