//! All character devices of a machine.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::Arc;

use include::{CharBackend, RunStateControl, ShutdownCause};
use util::main_loop::Poster;

use crate::endpoint::Endpoint;
use crate::gate::Gate;
use crate::js::JsEnd;
use crate::mux::Mux;
use crate::output::Output;
use crate::spec::{Kind, Short, Spec};
use crate::stdio::{Terminal, start_reader};

/// Byte that a terminal sends for Ctrl-C.
const CTRL_C: u8 = 3;

/// Makes devices, and hands them to front ends.
pub struct Chardevs {
    poster: Poster,
    control: Arc<dyn RunStateControl>,
    terminal: Arc<dyn Terminal>,
    escape: u8,
    devices: Vec<Device>,
    outputs: Vec<Arc<Output>>,
    /// Who has standard input and output.
    stdio_owner: Option<String>,
}

struct Device {
    id: String,
    /// What `info chardev` shows.
    filename: String,
    port: Port,
}

enum Port {
    Shared(Arc<Mux>),
    Single {
        end: Arc<dyn CharBackend>,
        taken: bool,
    },
}

/// Ends of what `-serial` or `-monitor` names.
pub struct Connected {
    pub device: Arc<dyn CharBackend>,
    /// For the monitor that `mon:` asks for.
    pub monitor: Option<Arc<dyn CharBackend>>,
}

/// What takes a device's input.
type Deliver = Box<dyn Fn(&[u8]) + Send + Sync>;

impl Chardevs {
    /// No devices yet. `escape` is the byte of Ctrl-A.
    pub fn new(
        poster: Poster,
        control: Arc<dyn RunStateControl>,
        terminal: Arc<dyn Terminal>,
        escape: u8,
    ) -> Self {
        let (devices, outputs) = (Vec::new(), Vec::new());
        Self {
            poster,
            control,
            terminal,
            escape,
            devices,
            outputs,
            stdio_owner: None,
        }
    }

    /// Makes a device; the error is a sentence.
    pub fn add(&mut self, spec: Spec) -> Result<(), String> {
        if self.devices.iter().any(|device| device.id == spec.id) {
            return Err(format!("there are two character devices '{}'", spec.id));
        }
        if spec.kind == Kind::Js {
            return self.add_js(spec);
        }
        let output = self.open_output(&spec)?;
        let is_terminal = matches!(spec.kind, Kind::Stdio { .. }) && self.terminal.is_terminal();
        let gate = Arc::new(Gate::new(!is_terminal));
        let (port, deliver) = self.make_port(&spec, output, gate.clone());
        if let Kind::Stdio { signal } = spec.kind {
            let deliver = self.with_signal(deliver, signal && is_terminal);
            self.terminal.set_raw(true);
            start_reader(self.terminal.clone(), self.poster.clone(), gate, deliver)?;
        }
        let filename = filename(&spec);
        self.devices.push(Device {
            id: spec.id,
            filename,
            port,
        });
        Ok(())
    }

    fn add_js(&mut self, spec: Spec) -> Result<(), String> {
        let end = JsEnd::open(&spec.id, self.poster.clone())?;
        self.outputs.push(end.output());
        let filename = filename(&spec);
        self.devices.push(Device {
            id: spec.id,
            filename,
            port: Port::Single { end, taken: false },
        });
        Ok(())
    }

    /// A front end's end of a device that was added.
    pub fn connect(&mut self, id: &str) -> Result<Arc<dyn CharBackend>, String> {
        let device = self.devices.iter_mut().find(|device| device.id == id);
        let device = device.ok_or_else(|| format!("there is no character device '{id}'"))?;
        match &mut device.port {
            Port::Shared(mux) => Ok(mux.attach()),
            Port::Single { taken: true, .. } => Err(format!(
                "the character device '{id}' is in use (share it with mux=on)"
            )),
            Port::Single { end, taken } => {
                *taken = true;
                Ok(end.clone())
            }
        }
    }

    /// What `-serial` or `-monitor` names, made under `label` if it is new.
    pub fn connect_short(&mut self, label: &str, short: Short) -> Result<Connected, String> {
        let (kind, monitor) = match short {
            Short::Chardev(id) => {
                return Ok(Connected {
                    device: self.connect(&id)?,
                    monitor: None,
                });
            }
            Short::None => (Kind::Null, false),
            Short::New { kind, monitor } => (kind, monitor),
        };
        self.add(Spec {
            id: label.to_string(),
            kind,
            mux: monitor,
        })?;
        let device = self.connect(label)?;
        let monitor = if monitor {
            Some(self.connect(label)?)
        } else {
            None
        };
        Ok(Connected { device, monitor })
    }

    /// The list that `info chardev` prints.
    pub fn info(&self) -> String {
        let line = |device: &Device| format!("{}: filename={}\n", device.id, device.filename);
        self.devices.iter().map(line).collect()
    }

    /// Everything that writes; whoever ends the process flushes it.
    pub fn outputs(&self) -> Vec<Arc<Output>> {
        self.outputs.clone()
    }

    fn open_output(&mut self, spec: &Spec) -> Result<Arc<Output>, String> {
        let sink: crate::output::Sink = match &spec.kind {
            Kind::Null | Kind::Js => Box::new(|_| ()),
            Kind::File { path, append } => {
                let mut file = open_file(path, *append)?;
                // A full disk does not stop the guest.
                Box::new(move |bytes| drop(file.write_all(bytes)))
            }
            Kind::Stdio { .. } => {
                if let Some(owner) = &self.stdio_owner {
                    let (id, why) = (&spec.id, "which has standard input and output already");
                    return Err(format!("'{id}' cannot be stdio beside '{owner}', {why}"));
                }
                self.stdio_owner = Some(spec.id.clone());
                let terminal = self.terminal.clone();
                Box::new(move |bytes| terminal.write(bytes))
            }
        };
        let output = Output::new(self.poster.clone(), sink);
        self.outputs.push(output.clone());
        Ok(output)
    }

    fn make_port(&self, spec: &Spec, output: Arc<Output>, gate: Arc<Gate>) -> (Port, Deliver) {
        let poster = self.poster.clone();
        if spec.mux {
            let mux = Mux::new(poster, output, gate, self.control.clone(), self.escape);
            let input = mux.clone();
            return (Port::Shared(mux), Box::new(move |bytes| input.input(bytes)));
        }
        let end = Endpoint::new(poster, gate, Box::new(move |bytes| output.write(bytes)));
        let input = end.clone();
        (
            Port::Single { end, taken: false },
            Box::new(move |bytes| input.push(bytes)),
        )
    }

    /// A raw terminal makes no signals, so Ctrl-C is found here.
    fn with_signal(&self, deliver: Deliver, signal: bool) -> Deliver {
        let control = self.control.clone();
        Box::new(move |bytes| {
            if signal && bytes.contains(&CTRL_C) {
                control.shutdown_request(ShutdownCause::HostRequest);
            }
            deliver(bytes);
        })
    }
}

fn open_file(path: &str, append: bool) -> Result<File, String> {
    let mut options = OpenOptions::new();
    options.create(true).write(true);
    if append {
        options.append(true)
    } else {
        options.truncate(true)
    };
    options
        .open(path)
        .map_err(|error| format!("cannot write to the file '{path}': {error}"))
}

fn filename(spec: &Spec) -> String {
    let name = match &spec.kind {
        Kind::Null => "null".to_string(),
        Kind::Stdio { .. } => "stdio".to_string(),
        Kind::Js => "js".to_string(),
        Kind::File { path, .. } => format!("file:{path}"),
    };
    if spec.mux {
        format!("mux ({name})")
    } else {
        name
    }
}
