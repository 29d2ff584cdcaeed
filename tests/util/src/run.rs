//! The program, whatever host it runs on.

use std::ffi::OsString;
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::time::Instant;

use util::coroutine::{self, AioContext};
use util::{host_fs, http, mmap_alloc, thread_pool};

/// Checks with their names.
type Cases = &'static [(&'static str, fn())];
/// The checks of each module.
const MODULES: &[(&str, Cases)] = &[
    ("coroutine", coroutine::cases::CASES),
    ("host_fs", host_fs::cases::CASES),
    ("http", http::cases::CASES),
    ("mmap_alloc", mmap_alloc::cases::CASES),
];

/// Runs what the command line asks for; the exit status.
pub fn run(args: Vec<OsString>) -> i32 {
    let args: Vec<String> = args
        .into_iter()
        .skip(1)
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    match args.first().map(String::as_str) {
        Some("--measure") => measure(),
        Some("--overflow") => overflow(),
        _ => check(&args),
    }
    0
}

/// Takes `--http=URL` out of the arguments: where the server of the checks of HTTP is.
fn take_server(args: &[String]) -> Vec<&str> {
    let mut names = Vec::new();
    for arg in args {
        match arg.strip_prefix("--http=") {
            Some(url) => http::cases::SERVER.set(url.into()).unwrap_or_default(),
            None => names.push(arg.as_str()),
        }
    }
    names
}

fn check(args: &[String]) {
    let names = take_server(args);
    let wanted = |name: &str| names.is_empty() || names.iter().any(|part| name.contains(*part));
    let mut passed = 0;
    for (module, cases) in MODULES {
        for (name, case) in cases.iter() {
            let name = format!("{module}: {name}");
            if wanted(&name) {
                case();
                println!("ok   {name}");
                passed += 1;
            }
        }
    }
    println!("{passed} passed, 0 failed");
}

/// Nanoseconds for each of `rounds` of `work`.
fn time(what: &str, rounds: u32, work: impl FnOnce()) {
    let start = Instant::now();
    work();
    let each = start.elapsed() / rounds;
    println!("{what:40} {:8.2} us", each.as_secs_f64() * 1e6);
}

const ROUNDS: u32 = 100_000;

fn enter_and_yield() {
    for _ in 0..ROUNDS {
        coroutine::current().expect("a coroutine runs").enter();
        coroutine::yield_now();
    }
}

fn ask_workers() {
    for round in 0..ROUNDS / 10 {
        assert_eq!(thread_pool::run(move || round), round);
    }
}

fn measure() {
    let context = AioContext::start("measure").expect("a thread can be had");
    for _ in 0..3 {
        time("enter and yield", ROUNDS, || {
            context.block_on(enter_and_yield);
        });
        time("a worker's answer", ROUNDS / 10, || {
            context.block_on(ask_workers);
        });
        read_files();
    }
}

/// Files through std, whose calls emscripten makes on the first thread, and through `host_fs`.
fn read_files() {
    let folder = host_fs::cases::Folder::create();
    folder.write(b"disk", &vec![1; 1 << 20]);
    let path = format!("{}/disk", folder.path);
    let offset = |round: u32| u64::from(round % 256) * 4096;
    let mut buffer = [0; 4096];
    let file = std::fs::File::open(&path).expect("it was made");
    let rounds = ROUNDS / 10;
    time("a read of 4 KiB through std", rounds, || {
        for round in 0..rounds {
            assert_eq!(file.read_at(&mut buffer, offset(round)).ok(), Some(4096));
        }
    });
    let read = host_fs::OpenFlags::READ;
    let file = folder.dir.open_file(b"disk", read).expect("it was made");
    time("a read of 4 KiB through host_fs", rounds, || {
        for round in 0..rounds {
            assert_eq!(file.read_at(&mut buffer, offset(round)), Ok(4096));
        }
    });
    time("lstat through std", rounds, || {
        for _ in 0..rounds {
            assert!(std::fs::symlink_metadata(&path).is_ok());
        }
    });
    time("lstat through host_fs", rounds, || {
        for _ in 0..rounds {
            assert!(folder.dir.stat(b"disk").is_ok());
        }
    });
    time("a name that is not there", rounds, || {
        for _ in 0..rounds {
            assert!(folder.dir.open_file(b"none", read).is_err());
        }
    });
    time("open and close", rounds, || {
        for _ in 0..rounds {
            assert!(folder.dir.open_file(b"disk", read).is_ok());
        }
    });
}

/// Uses more and more stack, and yields at each level.
fn dig(depth: u32) -> u32 {
    let space = black_box([depth; 256]);
    coroutine::current().expect("a coroutine runs").enter();
    coroutine::yield_now();
    let below = if depth == 0 { 0 } else { dig(depth - 1) };
    below + black_box(space)[0]
}

fn overflow() {
    let context = AioContext::start("overflow").expect("a thread can be had");
    println!("{}", context.block_on(|| dig(100_000)));
}
