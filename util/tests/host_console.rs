//! The console against real pipes and pseudo-terminals. Each case runs this test program again as a
//! child, whose standard input is the pipe or terminal, and which does what [`CHILD`] says.
#![cfg(not(target_os = "emscripten"))]
#![expect(unsafe_code, reason = "makes pseudo-terminals and sends signals")]

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use util::host_console::{Console, Input};

/// The environment variable that makes the test program a child.
const CHILD: &str = "TINAMOU_CONSOLE_CHILD";

/// What ends a program that does not handle it, asked for from outside and by a crash.
const SIGNALS: [libc::c_int; 7] = [
    libc::SIGINT,
    libc::SIGTERM,
    libc::SIGQUIT,
    libc::SIGHUP,
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGABRT,
];

/// What a child does; as a test of its own it does nothing.
#[test]
fn child() {
    let Ok(role) = std::env::var(CHILD) else {
        return;
    };
    let console = Console::stdio();
    let say = |text: &str| {
        console
            .write_all(format!("\n>{text}\n").as_bytes())
            .unwrap()
    };
    if role == "read" {
        let mut buffer = [0; 3];
        for _ in 0..5 {
            let input = console.read(&mut buffer, Some(Duration::from_millis(300)));
            let count = if let Input::Bytes(count) = input {
                count
            } else {
                0
            };
            say(&format!(
                "{input:?} {}",
                String::from_utf8_lossy(&buffer[..count])
            ));
        }
        return;
    }
    console.set_raw(true).unwrap();
    say("raw");
    // Goes on when the parent has looked at the terminal.
    assert_eq!(console.read(&mut [0], None), Input::Bytes(1));
    match role.as_str() {
        "exit" => std::process::exit(7),
        "panic" => panic!("wanted by the test"),
        "abort" => std::process::abort(),
        "fault" => {
            // SAFETY: not at all; the fault is what is tested.
            unsafe { std::ptr::without_provenance_mut::<u8>(8).write_volatile(1) }
        }
        "unset" => console.set_raw(false).unwrap(),
        _ => std::thread::sleep(Duration::from_secs(30)),
    }
}

fn start(role: &str, stdin: impl Into<Stdio>) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(CHILD, role)
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    // SAFETY: `signal` is async-signal-safe, and the closure touches nothing else.
    unsafe { command.pre_exec(heed_every_signal) };
    command.spawn().unwrap()
}

/// A test may run under `nohup` or in the background of a script, where some signals are ignored,
/// and a child would inherit that.
fn heed_every_signal() -> std::io::Result<()> {
    for signal in SIGNALS {
        // SAFETY: takes no pointer.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    Ok(())
}

/// The next line that the child itself said.
fn next_line(output: &mut impl BufRead) -> String {
    loop {
        let mut line = String::new();
        assert_ne!(
            output.read_line(&mut line).unwrap(),
            0,
            "the child says no more"
        );
        if let Some(said) = line.strip_prefix('>') {
            return said.trim_end().to_string();
        }
    }
}

fn check_read(stdin: impl Into<Stdio>, input: &[u8], close: bool, expected: [&str; 5]) {
    let mut child = start("read", stdin);
    let mut pipe = child.stdin.take();
    if let Some(pipe) = &mut pipe {
        pipe.write_all(input).unwrap();
    }
    if close {
        drop(pipe.take());
    }
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let lines = expected.map(|_| next_line(&mut output));
    assert_eq!(lines, expected);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_pipe_is_read_to_its_end() {
    let expected = ["Bytes(3) abc", "Bytes(2) de", "Eof", "TimedOut", "TimedOut"];
    check_read(Stdio::piped(), b"abcde", true, expected);
}

#[test]
fn a_pipe_without_input_times_out() {
    let expected = ["Bytes(1) x", "TimedOut", "TimedOut", "TimedOut", "TimedOut"];
    check_read(Stdio::piped(), b"x", false, expected);
}

#[test]
fn no_input_is_an_end() {
    check_read(
        Stdio::null(),
        b"",
        false,
        ["Eof", "TimedOut", "TimedOut", "TimedOut", "TimedOut"],
    );
}

#[test]
fn a_directory_is_an_end() {
    let directory = File::open(".").unwrap();
    check_read(
        directory,
        b"",
        false,
        ["Eof", "TimedOut", "TimedOut", "TimedOut", "TimedOut"],
    );
}

/// A pseudo-terminal: the side of the user and the side of the program.
fn pseudo_terminal() -> (File, OwnedFd) {
    let (mut user, mut program) = (-1, -1);
    let none = std::ptr::null_mut();
    // SAFETY: fills in the two descriptors.
    let made = unsafe {
        libc::openpty(
            &raw mut user,
            &raw mut program,
            none,
            none.cast(),
            none.cast(),
        )
    };
    assert_eq!(made, 0);
    // SAFETY: both have just been opened, and nobody else owns them.
    unsafe { (File::from_raw_fd(user), OwnedFd::from_raw_fd(program)) }
}

fn modes(terminal: &OwnedFd) -> [libc::tcflag_t; 4] {
    // SAFETY: all zeroes is a valid `termios`, which `tcgetattr` fills in.
    unsafe {
        let mut mode: libc::termios = std::mem::zeroed();
        assert_eq!(libc::tcgetattr(terminal.as_raw_fd(), &raw mut mode), 0);
        [mode.c_iflag, mode.c_oflag, mode.c_cflag, mode.c_lflag]
    }
}

/// Makes the terminal raw, ends the child, and looks whether the terminal is as before.
fn check_restored(role: &str, signal: Option<libc::c_int>, ended: impl Fn(ExitStatus) -> bool) {
    let (mut user, program) = pseudo_terminal();
    let before = modes(&program);
    let mut child = start(role, program.try_clone().unwrap());
    let mut output = BufReader::new(child.stdout.take().unwrap());
    assert_eq!(next_line(&mut output), "raw");
    let raw = modes(&program);
    assert_eq!(raw[3] & (libc::ECHO | libc::ICANON | libc::ISIG), 0);
    match signal {
        // SAFETY: the child is ours and has not been waited for.
        Some(signal) => assert_eq!(unsafe { libc::kill(child.id() as i32, signal) }, 0),
        None => user.write_all(b"\r").unwrap(),
    }
    let status = child.wait().unwrap();
    assert!(ended(status), "{role}: {status}");
    assert_eq!(modes(&program), before, "{role}: {status}");
}

#[test]
fn the_terminal_is_restored_at_exit() {
    check_restored("exit", None, |status| status.code() == Some(7));
    check_restored("unset", None, |status| status.success());
}

#[test]
fn the_terminal_is_restored_after_a_crash() {
    check_restored("panic", None, |status| !status.success());
    check_restored("abort", None, |status| {
        status.signal() == Some(libc::SIGABRT)
    });
    check_restored("fault", None, |status| {
        status.signal() == Some(libc::SIGSEGV)
    });
}

#[test]
fn the_terminal_is_restored_at_a_signal() {
    for signal in SIGNALS {
        check_restored("sleep", Some(signal), |status| {
            status.signal() == Some(signal)
        });
    }
}
