//! `launcher run`: a folder in the terminal, by the native emulator or under Node. The guest tells
//! its exit code over the control port, which writes into a file here.

use std::env::current_exe;
use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use agent::{ENTRYPOINT, Frame, Kind, PORT_NAME, Parser};
use serde_json::Value;

use crate::guests::{self, Guest};
use crate::machine;

#[derive(clap::Args, Debug)]
pub struct Options {
    /// The folder that convert made
    pub folder: PathBuf,
    /// The emulator: a program, or a .js file for Node
    #[arg(long, env = "TINAMOU_EMULATOR")]
    pub emulator: Option<PathBuf>,
    /// Look for the emulator of Node first
    #[arg(long)]
    pub node: bool,
    /// Keeps what the guest writes in this file (qcow2), which is made if it is not there
    #[arg(long)]
    pub overlay: Option<PathBuf>,
    /// More options for the emulator
    #[arg(last = true)]
    pub args: Vec<String>,
}

const READY_POLL: Duration = Duration::from_millis(20);

/// Runs it; the result is the guest's exit code.
pub fn run(options: &Options) -> Result<u8, String> {
    let machine = machine::read(&options.folder)?;
    let arch = machine
        .get("arch")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let guest = guests::find(arch)?;
    let emulator = find_emulator(options, guest)?;
    let port = PortFile::new()?;
    let mut command = match emulator.extension().is_some_and(|ext| ext == "js") {
        true => {
            let node = std::env::var_os("NODE").unwrap_or_else(|| "node".into());
            let mut command = Command::new(node);
            command.arg(&emulator);
            command
        }
        false => Command::new(&emulator),
    };
    let mut args = machine::args(&machine);
    if let Some(file) = &options.overlay {
        let file = std::path::absolute(file);
        let file = file.map_err(|error| format!("--overlay: {error}"))?;
        machine::keep_writes(&mut args, &file.to_string_lossy())?;
    }
    command.current_dir(&options.folder).args(args);
    command.args(["-display", "none", "-serial", "stdio", "-monitor", "none"]);
    let path = port.0.to_string_lossy().replace(',', ",,");
    command.args(["-chardev", &format!("file,id=agent,path={path}")]);
    command.args(["-device", "virtio-serial-device", "-device"]);
    command.arg(format!("virtserialport,chardev=agent,name={PORT_NAME}"));
    command.args(&options.args);
    let status = run_to_end(&mut command, &port.0);
    let status = status.map_err(|error| format!("'{}': {error}", emulator.display()))?;
    let bytes = fs::read(&port.0).unwrap_or_default();
    exit_code(&bytes, status)
}

/// Input that is not typed waits until the guest's agent is there: what comes while a guest starts
/// is lost when its kernel sets up the serial line.
fn run_to_end(command: &mut Command, port: &Path) -> io::Result<ExitStatus> {
    if io::stdin().is_terminal() {
        return command.status();
    }
    let mut child = command.stdin(Stdio::piped()).spawn()?;
    let ended = Arc::new(AtomicBool::new(false));
    if let Some(mut input) = child.stdin.take() {
        let (port, ended) = (port.to_path_buf(), ended.clone());
        std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                if fs::metadata(&port).is_ok_and(|meta| meta.len() > 0) {
                    // An emulator that is gone takes no more, which is no error.
                    let _ = io::copy(&mut io::stdin(), &mut input);
                    return;
                }
                std::thread::sleep(READY_POLL);
            }
        });
    }
    let status = child.wait();
    ended.store(true, Ordering::Relaxed);
    status
}

/// What the frames say that the guest wrote.
fn exit_code(bytes: &[u8], status: ExitStatus) -> Result<u8, String> {
    let mut parser = Parser::default();
    parser.push(bytes);
    let mut code = None;
    while let Some(frame) = parser.next_frame()? {
        if let Frame {
            kind: Kind::Exit,
            id: ENTRYPOINT,
            payload,
        } = &frame
        {
            code = payload
                .first_chunk()
                .map(|bytes| i32::from_le_bytes(*bytes));
        }
    }
    match code {
        Some(code) => Ok(code as u8),
        None if status.success() => Err("the guest ended without saying how".into()),
        None => Err(format!("the emulator ended early: {status}")),
    }
}

/// A name for a file that is gone at the end.
struct PortFile(PathBuf);

impl PortFile {
    fn new() -> Result<Self, String> {
        let name = format!("tinamou-run-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let made = fs::create_dir(&folder);
        made.map_err(|error| format!("'{}': {error}", folder.display()))?;
        Ok(Self(folder.join("port")))
    }
}

impl Drop for PortFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
        let _ = self.0.parent().map(fs::remove_dir);
    }
}

/// The one that is named, or one beside the folder's page, the launcher, or in a `build` above it.
fn find_emulator(options: &Options, guest: &Guest) -> Result<PathBuf, String> {
    let absolute = |path: &Path| fs::canonicalize(path);
    if let Some(path) = &options.emulator {
        return absolute(path).map_err(|error| format!("'{}': {error}", path.display()));
    }
    let program = current_exe().unwrap_or_default();
    let (name, script) = (guest.emulator, format!("{}.js", guest.emulator));
    let beside = program.with_file_name(name);
    let mut scripts = vec![
        program.with_file_name(&script),
        options.folder.join(&script),
    ];
    let builds = ["build/wasm", "web/dist/emulator/node"];
    let builds = builds.map(|folder| Path::new(folder).join(&script));
    scripts.extend(
        program
            .ancestors()
            .flat_map(|dir| builds.each_ref().map(|b| dir.join(b))),
    );
    let mut all = vec![beside];
    match options.node {
        true => all = scripts,
        false => all.extend(scripts),
    }
    let found = all.iter().find(|path| path.is_file());
    let found = found.and_then(|path| absolute(path).ok());
    found.ok_or_else(|| format!("the emulator '{name}' is not there: --emulator names it"))
}
