//! An emulator under test: its console as a stream that is searched and typed into. What is
//! printed is stamped with the host's time as it arrives, so that work in the guest can be timed.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// What went wrong in a test.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{0}")]
    Check(String),
    #[error("cannot start {0}: {1}")]
    Start(String, std::io::Error),
    #[error("no {what:?} within {seconds} s; the console ends with:\n{tail}")]
    Missing {
        what: String,
        seconds: u64,
        tail: String,
    },
    #[error("the emulator ended without {what:?}; the console ends with:\n{tail}")]
    Ended { what: String, tail: String },
    #[error("the emulator did not end within {seconds} s; the console ends with:\n{tail}")]
    Running { seconds: u64, tail: String },
}

/// Result of a test or a step of it.
pub type Outcome<T> = Result<T, Failure>;

/// A running emulator; killed when dropped.
pub struct Session {
    child: Child,
    stdin: Option<ChildStdin>,
    output: Receiver<(Instant, Vec<u8>)>,
    /// All that was printed so far.
    pub text: String,
    /// Where `expect` goes on searching.
    seen: usize,
    /// How long `text` was after each arrival.
    arrivals: Vec<(usize, Instant)>,
    started: Instant,
}

impl Session {
    /// Starts `command` with `args`; stderr is part of the console.
    pub fn start(command: &[String], args: &[String]) -> Outcome<Self> {
        let started = Instant::now();
        let mut child = Command::new(&command[0])
            .args(&command[1..])
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| Failure::Start(command[0].clone(), e))?;
        let (sender, output) = channel();
        let out: Box<dyn Read + Send> = Box::new(child.stdout.take().expect("piped"));
        let err: Box<dyn Read + Send> = Box::new(child.stderr.take().expect("piped"));
        for mut stream in [out, err] {
            let sender = sender.clone();
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(count @ 1..) = stream.read(&mut buffer) {
                    if sender
                        .send((Instant::now(), buffer[..count].to_vec()))
                        .is_err()
                    {
                        break;
                    }
                }
            });
        }
        let stdin = child.stdin.take();
        Ok(Self {
            child,
            stdin,
            output,
            text: String::new(),
            seen: 0,
            arrivals: Vec::new(),
            started,
        })
    }

    fn arrived(&mut self, (at, bytes): (Instant, Vec<u8>)) {
        let printed = String::from_utf8_lossy(&bytes).replace('\r', "");
        self.text.push_str(&printed);
        self.arrivals.push((self.text.len(), at));
    }

    /// The process that was started.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// When the process was started.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// When the last byte of what `expect` found last arrived.
    pub fn found_at(&self) -> Instant {
        let index = self.arrivals.partition_point(|(end, _)| *end < self.seen);
        self.arrivals.get(index).map_or(self.started, |(_, at)| *at)
    }

    fn tail(&self) -> String {
        let lines: Vec<&str> = self.text.lines().collect();
        lines[lines.len().saturating_sub(25)..].join("\n")
    }

    /// Waits until `what` is printed after what was found last; returns the text up to it.
    pub fn expect(&mut self, what: &str, limit: Duration) -> Outcome<String> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(at) = self.text[self.seen..].find(what) {
                let found = self.text[self.seen..self.seen + at].to_owned();
                self.seen += at + what.len();
                return Ok(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(output) => self.arrived(output),
                Err(why) => return Err(self.missing(what, limit, why)),
            }
        }
    }

    fn missing(&self, what: &str, limit: Duration, why: RecvTimeoutError) -> Failure {
        let (what, tail, seconds) = (what.to_string(), self.tail(), limit.as_secs());
        match why {
            RecvTimeoutError::Timeout => Failure::Missing {
                what,
                seconds,
                tail,
            },
            RecvTimeoutError::Disconnected => Failure::Ended { what, tail },
        }
    }

    /// Types.
    pub fn send(&mut self, text: &str) {
        if let Some(stdin) = &mut self.stdin {
            // A closed pipe shows in what the test expects next.
            let _ = stdin
                .write_all(text.as_bytes())
                .and_then(|()| stdin.flush());
        }
    }

    /// Runs a shell command in the guest and returns what it printed.
    pub fn shell(&mut self, command: &str, limit: Duration) -> Outcome<String> {
        // The line is echoed, maybe twice (terminal and shell); the echo holds "E""ND", so that
        // only the output matches.
        self.send(&format!("{command}; echo E\"\"ND-$?\n"));
        let text = self.expect("END-", limit)?;
        let after_echo = text.rsplit_once("ND-$?\n").map_or(&*text, |(_, rest)| rest);
        // The kernel may print in between.
        let of_guest = |line: &&str| !line.starts_with('[');
        Ok(after_echo
            .lines()
            .filter(of_guest)
            .collect::<Vec<_>>()
            .join("\n"))
    }

    /// Kills the emulator as a lost process is; all that it printed.
    pub fn kill(mut self) -> String {
        // If it has ended already, that is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
        while let Ok(output) = self.output.recv_timeout(Duration::from_secs(1)) {
            self.arrived(output);
        }
        std::mem::take(&mut self.text)
    }

    /// Waits for the end; returns the exit status.
    pub fn finish(&mut self, limit: Duration) -> Outcome<i32> {
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            while let Ok(output) = self.output.try_recv() {
                self.arrived(output);
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                while let Ok(output) = self.output.recv_timeout(Duration::from_millis(50)) {
                    self.arrived(output);
                }
                return Ok(status.code().unwrap_or(-1));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(Failure::Running {
            seconds: limit.as_secs(),
            tail: self.tail(),
        })
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `Err` with the message unless `holds`.
pub fn check(holds: bool, message: impl FnOnce() -> String) -> Outcome<()> {
    if holds {
        Ok(())
    } else {
        Err(Failure::Check(message()))
    }
}
