//! What is timed: a table of the guest's kernels (`guest/*.c`) and one of Debian's programs. The
//! rounds are such that native QEMU 11.1 needs one to three seconds for each row on a 2.5 GHz Xeon.

/// Where a workload runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Guest {
    /// A small initial RAM disk: busybox and the kernels. Its boot is a workload too.
    Base,
    /// The same with two harts.
    Smp,
    /// The small one with a disk and a share.
    Files,
    /// One with programs of Debian's packages and their libraries.
    Debian,
}

impl Guest {
    pub const ALL: [Guest; 4] = [Guest::Base, Guest::Smp, Guest::Files, Guest::Debian];

    pub fn initrd(self) -> &'static str {
        match self {
            Guest::Base | Guest::Smp => "base.cpio",
            Guest::Files => "files.cpio",
            Guest::Debian => "debian.cpio",
        }
    }

    pub fn harts(self) -> &'static str {
        if self == Guest::Smp { "2" } else { "1" }
    }
}

/// A shell command that is timed. `{n}` stands for the rounds.
#[derive(Debug)]
pub struct Workload {
    pub group: &'static str,
    pub name: &'static str,
    pub guest: Guest,
    /// Not timed, in front.
    pub prepare: String,
    pub command: String,
    /// Not timed, behind; prints the checksum when `command` does not.
    pub check: String,
    pub rounds: u64,
}

/// The name of the workload that is the boot itself.
pub const BOOT: &str = "boot";
/// The group that `--icount` counts.
pub const INTEGER: &str = "integer";
/// The group that runs on two harts.
const HARTS: &str = "two harts";
/// Those that need a disk and a share.
const DISK: &str = "disk";
const SHARE: &str = "share";
/// The same work for one of two harts, and for both.
pub const ONE_BUSY: &str = "hart1";
pub const BOTH_BUSY: &str = "hart2";
/// `--quick` divides the rounds by this.
pub const QUICK_DIVISOR: u64 = 10;
/// Size of the file that Debian's programs work on.
const DATA_BYTES: u64 = 8_000_000;

const KERNELS: &[(&str, &str, u64)] = &[
    (INTEGER, "list", 6_000),
    (INTEGER, "matrix", 10_000),
    (INTEGER, "state", 50_000),
    (INTEGER, "crc", 500_000),
    (INTEGER, "sieve", 15_000),
    (INTEGER, "quicksort", 10_000),
    (INTEGER, "divide", 2_500_000),
    (INTEGER, "dispatch", 40_000),
    ("floating point", "nbody", 200_000),
    ("floating point", "linpack", 200),
    ("floating point", "mandelbrot", 6_000),
    ("floating point", "spectral", 5_000),
    ("floating point", "single", 5_000),
    ("memory", "chase", 2_000),
    ("memory", "stream", 100),
    ("memory", "memcpy", 200),
    ("system", "syscall", 500_000),
    ("system", "fork", 500),
    ("system", "exec", 150),
    ("system", "fault", 200),
    ("system", "mprotect", 5_000),
    ("system", "pipe", 5_000),
    ("system", "futex", 5_000),
    (HARTS, ONE_BUSY, 10_000),
    (HARTS, BOTH_BUSY, 10_000),
    (HARTS, "counter2", 5_000_000),
    (DISK, "disk-write", 500),
    (DISK, "disk-read", 1_000),
    (DISK, "disk-write4k", 10_000),
    (DISK, "disk-read4k", 10_000),
    (DISK, "disk-read4k8", 3_000),
    (SHARE, "share-write", 200),
    (SHARE, "share-read", 200),
    (SHARE, "share-untar", 20),
    (SHARE, "share-walk", 30),
];

/// Name, preparation, command, check, rounds.
type Program = (&'static str, &'static str, &'static str, &'static str, u64);

const PROGRAMS: &[Program] = &[
    (
        "openssl sha256",
        "bench data {n} > /tmp/data",
        "openssl dgst -sha256 /tmp/data",
        "",
        DATA_BYTES,
    ),
    (
        "openssl aes-128-cbc",
        "bench data {n} > /tmp/data",
        "openssl enc -aes-128-cbc -K 0123456789abcdef0123456789abcdef \
         -iv fedcba9876543210fedcba9876543210 -in /tmp/data -out /tmp/out",
        "tail -c 64 /tmp/out | md5sum",
        DATA_BYTES,
    ),
    (
        "7zr a",
        "rm -f /tmp/out.7z; bench data {n} > /tmp/data",
        "7zr a -t7z -mx=1 -mmt=1 -mtm=off -bd /tmp/out.7z /tmp/data > /dev/null",
        "md5sum < /tmp/out.7z",
        1_000_000,
    ),
    ("python3", "", "python3 -S /lib/work.py {n}", "", 20),
    (
        "gzip",
        "bench data {n} > /tmp/data",
        "gzip -6 -n -c /tmp/data > /tmp/out",
        "md5sum < /tmp/out",
        DATA_BYTES,
    ),
    (
        "sha256sum",
        "bench data {n} > /tmp/data",
        "sha256sum /tmp/data",
        "",
        DATA_BYTES,
    ),
    (
        "sort",
        "bench lines {n} > /tmp/lines",
        "LC_ALL=C sort -o /tmp/out /tmp/lines",
        "md5sum < /tmp/out",
        40_000,
    ),
];

fn boot() -> Workload {
    Workload {
        group: BOOT,
        name: BOOT,
        guest: Guest::Base,
        prepare: String::new(),
        command: String::new(),
        check: String::new(),
        rounds: 1,
    }
}

fn kernel(&(group, name, rounds): &(&'static str, &'static str, u64)) -> Workload {
    let command = format!("bench {name} {{n}}");
    Workload {
        group,
        name,
        guest: match group {
            HARTS => Guest::Smp,
            DISK | SHARE => Guest::Files,
            _ => Guest::Base,
        },
        command,
        rounds,
        ..boot()
    }
}

fn program(&(name, prepare, command, check, rounds): &Program) -> Workload {
    Workload {
        group: "Debian's programs",
        name,
        guest: Guest::Debian,
        prepare: prepare.into(),
        command: command.into(),
        check: check.into(),
        rounds,
    }
}

impl Workload {
    fn scaled(mut self, divisor: u64) -> Self {
        self.rounds = (self.rounds / divisor).max(1);
        let rounds = self.rounds.to_string();
        for text in [&mut self.prepare, &mut self.command] {
            *text = text.replace("{n}", &rounds);
        }
        self
    }
}

/// The workloads whose name or group is in `only` (all if that is empty), the boot first.
pub fn chosen(only: &[String], quick: bool) -> Vec<Workload> {
    let divisor = if quick { QUICK_DIVISOR } else { 1 };
    let wanted = |workload: &Workload| {
        let is = |name: &String| name == workload.name || name == workload.group;
        only.is_empty() || only.iter().any(is)
    };
    let kernels = KERNELS.iter().map(kernel);
    let programs = PROGRAMS.iter().map(program);
    let all = std::iter::once(boot()).chain(kernels).chain(programs);
    all.filter(wanted)
        .map(|workload| workload.scaled(divisor))
        .collect()
}
