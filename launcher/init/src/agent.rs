//! The agent: runs programs for the host over the control port (`docs/agent.md`).

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::process::{ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use agent::{ENTRYPOINT, Frame, Kind, PORT_NAME, Parser};

use crate::program::Program;
use crate::sys;

/// How long the end of a program's output is waited for: others may hold its pipes.
const LAST_OUTPUT: Duration = Duration::from_secs(2);
/// How often somebody is looked for on the other side.
const HOST_POLL: Duration = Duration::from_millis(300);

enum Input {
    Pipe(ChildStdin),
    Terminal(File),
}

struct Job {
    id: u32,
    input: Option<Input>,
    /// Says when an output is at its end.
    outputs: Receiver<()>,
    output_count: usize,
}

/// The port and the programs that run, by process.
#[derive(Clone)]
pub struct Agent {
    port: Arc<Option<File>>,
    sending: Arc<Mutex<()>>,
    jobs: Arc<Mutex<HashMap<u32, Job>>>,
    env: Arc<Vec<(String, String)>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The device of the control port, if the machine has one.
fn find_port() -> Option<File> {
    for entry in fs::read_dir("/sys/class/virtio-ports").ok()?.flatten() {
        let name = fs::read_to_string(entry.path().join("name")).unwrap_or_default();
        if name.trim() == PORT_NAME {
            let device = format!("/dev/{}", entry.file_name().to_string_lossy());
            return File::options().read(true).write(true).open(device).ok();
        }
    }
    None
}

impl Agent {
    /// Starts to listen, if there is a port. Programs have `env` and what is said for each.
    pub fn start(hostname: &str, env: Vec<(String, String)>) -> Self {
        let agent = Self {
            port: Arc::new(find_port()),
            sending: Arc::default(),
            jobs: Arc::default(),
            env: Arc::new(env),
        };
        if agent.port.is_some() {
            let (listener, hostname) = (agent.clone(), hostname.to_string());
            thread::spawn(move || listener.listen(&hostname));
        }
        agent
    }

    pub fn send(&self, kind: Kind, id: u32, payload: &[u8]) {
        if let Some(mut port) = self.port.as_ref().as_ref() {
            let _one = lock(&self.sending);
            let _ = port.write_all(&Frame::new(kind, id, payload).to_bytes());
        }
    }

    fn error(&self, id: u32, reason: &str) {
        self.send(Kind::Error, id, reason.as_bytes());
    }

    fn listen(&self, hostname: &str) {
        let version = env!("CARGO_PKG_VERSION");
        let ready = serde_json::json!({ "version": version, "hostname": hostname });
        self.send(Kind::Ready, ENTRYPOINT, ready.to_string().as_bytes());
        let Some(mut port) = self.port.as_ref().as_ref() else {
            return;
        };
        let (mut parser, mut buf) = (Parser::default(), vec![0; 4096]);
        loop {
            match port.read(&mut buf) {
                Ok(0) | Err(_) => thread::sleep(HOST_POLL),
                Ok(count) => parser.push(&buf[..count]),
            }
            loop {
                match parser.next_frame() {
                    Ok(Some(frame)) => self.handle(frame),
                    Ok(None) => break,
                    Err(reason) => {
                        self.error(ENTRYPOINT, &reason);
                        parser = Parser::default();
                    }
                }
            }
        }
    }

    fn handle(&self, frame: Frame) {
        let id = frame.id;
        let done = match frame.kind {
            Kind::Run => self.run(&frame),
            Kind::Stdin => self.stdin(id, Some(frame.payload)),
            Kind::StdinEnd => self.stdin(id, None),
            Kind::Resize => self.resize(&frame),
            Kind::Signal => self.signal(&frame),
            Kind::Ping => {
                self.send(Kind::Pong, id, &frame.payload);
                Ok(())
            }
            Kind::PowerOff => {
                sys::power_off();
                Ok(())
            }
            _ => Err("that is for the host to hear".into()),
        };
        if let Err(reason) = done {
            self.error(id, &reason);
        }
    }

    fn run(&self, frame: &Frame) -> Result<(), String> {
        let document = serde_json::from_slice(&frame.payload);
        let document = document.map_err(|error| error.to_string())?;
        let program = Program::parse(&document)?;
        let mut command = program.command(&self.env, program.tty)?;
        // Locked until the job is known, or its end could come before it.
        let mut jobs = lock(&self.jobs);
        if frame.id == ENTRYPOINT || jobs.values().any(|job| job.id == frame.id) {
            return Err(format!("the id {} is in use", frame.id));
        }
        let (ended, outputs) = channel();
        let failed = |error: std::io::Error| format!("'{}': {error}", program.argv[0]);
        if program.tty {
            let (master, slave) = sys::open_terminal(program.rows, program.cols).map_err(failed)?;
            let (input, output) = (slave.try_clone(), slave.try_clone());
            command.stdin(input.map_err(failed)?);
            command.stdout(output.map_err(failed)?).stderr(slave);
            let child = command.spawn();
            drop(command);
            let pid = self.started(frame.id, child, &program)?;
            let output = master.try_clone().map_err(failed)?;
            self.copy(Kind::Stdout, frame.id, output, ended);
            let input = Some(Input::Terminal(master));
            let job = Job {
                id: frame.id,
                input,
                outputs,
                output_count: 1,
            };
            jobs.insert(pid, job);
            return Ok(());
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn();
        let streams = child
            .as_mut()
            .ok()
            .map(|child| (child.stdin.take(), child.stdout.take(), child.stderr.take()));
        let pid = self.started(frame.id, child, &program)?;
        let (input, stdout, stderr) = streams.unwrap_or_default();
        if let (Some(stdout), Some(stderr)) = (stdout, stderr) {
            self.copy(Kind::Stdout, frame.id, stdout, ended.clone());
            self.copy(Kind::Stderr, frame.id, stderr, ended);
        }
        let input = input.map(Input::Pipe);
        let job = Job {
            id: frame.id,
            input,
            outputs,
            output_count: 2,
        };
        jobs.insert(pid, job);
        Ok(())
    }

    /// Tells the host of a new program, or of none.
    fn started(
        &self,
        id: u32,
        child: std::io::Result<std::process::Child>,
        program: &Program,
    ) -> Result<u32, String> {
        match child {
            Ok(child) => {
                self.send(Kind::Started, id, &child.id().to_le_bytes());
                Ok(child.id())
            }
            Err(error) => {
                let reason = format!("'{}': {error}", program.argv[0]);
                self.error(id, &reason);
                self.send(Kind::Exit, id, &program.code_of(&error).to_le_bytes());
                Err(reason)
            }
        }
    }

    fn copy(
        &self,
        kind: Kind,
        id: u32,
        mut from: impl Read + Send + 'static,
        ended: std::sync::mpsc::Sender<()>,
    ) {
        let agent = self.clone();
        thread::spawn(move || {
            let mut buf = vec![0; 16384];
            // A terminal's last program gone is an error.
            while let Ok(count @ 1..) = from.read(&mut buf) {
                agent.send(kind, id, &buf[..count]);
            }
            let _ = ended.send(());
        });
    }

    fn stdin(&self, id: u32, bytes: Option<Vec<u8>>) -> Result<(), String> {
        let mut jobs = lock(&self.jobs);
        let job = jobs.values_mut().find(|job| job.id == id);
        let job = job.ok_or_else(|| format!("there is no program {id}"))?;
        let Some(bytes) = bytes else {
            match &mut job.input {
                // As somebody at the terminal would end it.
                Some(Input::Terminal(terminal)) => drop(terminal.write_all(&[4])),
                _ => job.input = None,
            }
            return Ok(());
        };
        let written = match &mut job.input {
            Some(Input::Pipe(pipe)) => pipe.write_all(&bytes),
            Some(Input::Terminal(terminal)) => terminal.write_all(&bytes),
            None => return Err("its input was ended".into()),
        };
        written.map_err(|error| error.to_string())
    }

    fn resize(&self, frame: &Frame) -> Result<(), String> {
        let [a, b, c, d] = frame.payload[..] else {
            return Err("a size is two numbers of two bytes".into());
        };
        let (rows, cols) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
        let resized = if frame.id == ENTRYPOINT {
            crate::console().and_then(|console| sys::resize(&console, rows, cols))
        } else {
            let jobs = lock(&self.jobs);
            let job = jobs.values().find(|job| job.id == frame.id);
            match job.and_then(|job| job.input.as_ref()) {
                Some(Input::Terminal(terminal)) => sys::resize(terminal, rows, cols),
                _ => return Err(format!("there is no terminal {}", frame.id)),
            }
        };
        resized.map_err(|error| error.to_string())
    }

    fn signal(&self, frame: &Frame) -> Result<(), String> {
        let [number] = frame.payload[..] else {
            return Err("a signal is one byte".into());
        };
        let jobs = lock(&self.jobs);
        let job = jobs.iter().find(|(_, job)| job.id == frame.id);
        let (pid, _) = job.ok_or_else(|| format!("there is no program {}", frame.id))?;
        sys::signal(*pid, number).map_err(|error| error.to_string())
    }

    /// The entrypoint is a program like others for signals.
    pub fn adopt(&self, pid: u32) {
        let (_, outputs) = channel();
        let job = Job {
            id: ENTRYPOINT,
            input: None,
            outputs,
            output_count: 0,
        };
        lock(&self.jobs).insert(pid, job);
        self.send(Kind::Started, ENTRYPOINT, &pid.to_le_bytes());
    }

    /// A process ended; if it was a program of the host's, the host hears of it behind its output.
    pub fn ended(&self, pid: u32, code: i32) {
        let Some(job) = lock(&self.jobs).remove(&pid) else {
            return;
        };
        let agent = self.clone();
        let tell = move || {
            for _ in 0..job.output_count {
                let _ = job.outputs.recv_timeout(LAST_OUTPUT);
            }
            agent.send(Kind::Exit, job.id, &code.to_le_bytes());
        };
        match job.output_count {
            0 => tell(),
            _ => drop(thread::spawn(tell)),
        }
    }
}
