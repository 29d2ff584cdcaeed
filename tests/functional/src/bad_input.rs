//! Bad input: one sentence on stderr that names the option, exit status 1, no trace, no delay.

use crate::{Setup, Test};
use harness::{Outcome, Session, check};

pub const TESTS: &[Test] = &[("bad_input", bad_input)];

/// Command line, and what the sentence must contain. `@empty`, `@short`, `@foreign`, `@broken` and
/// `@big` stand for files made by the test.
const CASES: &[(&[&str], &str)] = &[
    (&["-M", "nosuch"], "nosuch"),
    (&["-M", "virt", "-cpu", "nosuch"], "nosuch"),
    (&["-M", "virt", "-cpu", "rv64,nosuch=on"], "nosuch"),
    (&["-M", "virt,nosuch=on"], "nosuch"),
    (&["-M", "virt", "-nosuch"], "nosuch"),
    (
        &["-M", "virt", "-bios", "none", "-kernel", "/nonexistent"],
        "/nonexistent",
    ),
    (
        &["-M", "virt", "-bios", "none", "-kernel", "@empty"],
        "-kernel",
    ),
    (
        &["-M", "virt", "-bios", "none", "-kernel", "@foreign"],
        "-kernel",
    ),
    (
        &["-M", "virt", "-bios", "none", "-kernel", "@broken"],
        "-kernel",
    ),
    (
        &[
            "-M", "virt", "-bios", "none", "-m", "64M", "-kernel", "@big",
        ],
        "-kernel",
    ),
    (&["-M", "virt", "-bios", "/nonexistent"], "/nonexistent"),
    (&["-M", "virt", "-bios", "none", "-dtb", "@short"], "-dtb"),
    (
        &["-M", "virt", "-bios", "none", "-initrd", "/nonexistent"],
        "-initrd",
    ),
    (&["-M", "virt", "-m", "0x"], "-m"),
    (&["-M", "virt", "-m", "999999G"], "-m"),
    (&["-M", "virt", "-smp", "0"], "-smp"),
    (&["-M", "virt", "-smp", "9"], "-smp"),
    (
        &["-M", "virt", "-drive", "file=/nonexistent"],
        "/nonexistent",
    ),
    (
        &["-M", "virt", "-drive", "file=@short,format=nosuch"],
        "nosuch",
    ),
    (&["-M", "virt", "-drive", "file=@short,nosuch=on"], "nosuch"),
    (&["-M", "virt", "-blockdev", "driver=file"], "node-name"),
    (&["-M", "virt", "-device", "virtio-blk-device"], "drive"),
    (
        &["-M", "virt", "-device", "virtio-blk-device,drive=nosuch"],
        "nosuch",
    ),
    (
        &[
            "-M",
            "virt",
            "-virtfs",
            "local,path=/nonexistent,mount_tag=x,security_model=none",
        ],
        "/nonexistent",
    ),
    (
        &["-M", "virt", "-virtfs", "local,path=/,mount_tag=x"],
        "security_model",
    ),
    (
        &[
            "-M",
            "virt",
            "-device",
            "virtio-9p-device,fsdev=nosuch,mount_tag=x",
        ],
        "nosuch",
    ),
    (&["-M", "virt", "-accel", "nosuch"], "nosuch"),
    (&["-M", "virt", "-d", "nosuch"], "nosuch"),
    (&["-M", "virt", "-serial", "nosuch"], "nosuch"),
    (&["-M", "virt", "-device", "nosuch"], "nosuch"),
    (&["-M", "virt", "-icount", "nosuch"], "-icount"),
    (&["-M", "virt", "-append"], "-append"),
];

/// Files with something wrong in them: (name, contents).
fn files() -> Vec<(&'static str, Vec<u8>)> {
    let mut foreign = vec![0u8; 64];
    foreign[..6].copy_from_slice(b"\x7fELF\x02\x01");
    foreign[6] = 1;
    foreign[16] = 2; // ET_EXEC
    foreign[18] = 62; // EM_X86_64
    foreign[20] = 1;
    let mut broken = foreign.clone();
    broken[18] = 243; // EM_RISCV
    broken[32..40].copy_from_slice(&0x1000u64.to_le_bytes()); // program headers past the end
    broken[54] = 56;
    broken[56] = 3;
    vec![
        ("@empty", Vec::new()),
        ("@short", vec![0xd0, 0x0d, 0xfe, 0xed, 0, 0, 1, 0]),
        ("@foreign", foreign),
        ("@broken", broken),
        ("@big", vec![1; 80 << 20]),
    ]
}

fn bad_input(setup: &Setup) -> Outcome<()> {
    let folder = std::env::temp_dir().join(format!("tinamou-bad-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a temporary folder can be made");
    for (name, contents) in files() {
        std::fs::write(folder.join(name), contents).expect("a temporary file can be written");
    }
    let outcome = CASES.iter().try_for_each(|(args, sentence)| {
        let path = |arg: &&str| match arg.strip_prefix('@') {
            Some(_) => folder.join(arg).to_string_lossy().into_owned(),
            None => arg.to_string(),
        };
        let mut args: Vec<String> = args.iter().map(path).collect();
        args.insert(0, "-nographic".into());
        if !args.iter().any(|arg| arg == "-bios") {
            args.splice(0..0, ["-bios".into(), "none".into()]);
        }
        refused(setup, &args, sentence)
    });
    let _ = std::fs::remove_dir_all(&folder);
    outcome
}

fn refused(setup: &Setup, args: &[String], sentence: &str) -> Outcome<()> {
    let mut session = Session::start(&setup.emulator, args)?;
    let status = session.finish(setup.seconds(5))?;
    let text = session.text.trim();
    let command = args.join(" ");
    check(status == 1, || {
        format!("`{command}`: exit status {status}, printed {text:?}")
    })?;
    check(text.lines().count() == 1, || {
        format!("`{command}`: not one line: {text:?}")
    })?;
    check(text.contains(sentence), || {
        format!("`{command}`: no {sentence:?} in {text:?}")
    })
}
