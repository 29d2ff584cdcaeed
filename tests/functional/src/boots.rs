//! Boots to a shell, and every way out.

use crate::{Setup, Test};
use harness::{Outcome, Session, check};

pub const TESTS: &[Test] = &[
    ("boot", boot),
    ("boot_smp4", boot_smp4),
    ("boot_single_thread", boot_single_thread),
    ("boot_128m", |setup| memory(setup, "128M", 128)),
    ("boot_2g", |setup| memory(setup, "2G", 2048)),
    ("reboot", reboot),
    ("reboot_no_reboot", reboot_no_reboot),
    ("panic_no_reboot", panic_no_reboot),
    ("ctrl_a_x", ctrl_a_x),
    ("ctrl_a_c", ctrl_a_c),
    ("finisher_status", finisher_status),
    ("icount_repeats", icount_repeats),
];

fn power_off(setup: &Setup, mut session: Session) -> Outcome<()> {
    session.send("poweroff -f\n");
    let status = session.finish(setup.seconds(30))?;
    check(status == 0, || {
        format!("exit status {status} after poweroff")
    })
}

fn expect_output(setup: &Setup, session: &mut Session, command: &str, want: &str) -> Outcome<()> {
    let got = session.shell(command, setup.seconds(20))?;
    check(got.trim() == want, || {
        format!("`{command}` printed {got:?} instead of {want:?}")
    })
}

fn boot(setup: &Setup) -> Outcome<()> {
    let mut session = setup.boot(&[])?;
    expect_output(setup, &mut session, "echo $((6 * 7))", "42")?;
    expect_output(setup, &mut session, "uname -m", "riscv64")?;
    expect_output(setup, &mut session, "grep -c ^processor /proc/cpuinfo", "1")?;
    power_off(setup, session)
}

fn boot_smp4(setup: &Setup) -> Outcome<()> {
    let mut session = setup.boot(&["-smp", "4"])?;
    expect_output(setup, &mut session, "grep -c ^processor /proc/cpuinfo", "4")?;
    // Each hart runs something at the same time.
    let work = "for i in 1 2 3 4 5 6 7 8; do (echo $i | sha256sum) & done | sort -u | wc -l; wait";
    expect_output(setup, &mut session, work, "8")?;
    power_off(setup, session)
}

fn boot_single_thread(setup: &Setup) -> Outcome<()> {
    let mut session = setup.boot(&["-smp", "2", "-accel", "tcg,thread=single"])?;
    expect_output(setup, &mut session, "grep -c ^processor /proc/cpuinfo", "2")?;
    power_off(setup, session)
}

fn memory(setup: &Setup, size: &str, mib: u64) -> Outcome<()> {
    let mut session = setup.boot(&["-m", size])?;
    let text = session.shell("grep MemTotal /proc/meminfo", setup.seconds(20))?;
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let total_kib: u64 = digits.parse().unwrap_or(0);
    // The kernel keeps some for itself.
    let plausible = total_kib < mib * 1024 && total_kib > mib * 1024 * 4 / 10;
    check(plausible, || {
        format!("-m {size}: the guest sees {total_kib} KiB")
    })?;
    power_off(setup, session)
}

fn reboot(setup: &Setup) -> Outcome<()> {
    let mut session = setup.boot(&[])?;
    session.send("reboot -f\n");
    session.expect("Tinamou guest ready", setup.seconds(120))?;
    session.expect("# ", setup.seconds(20))?;
    expect_output(setup, &mut session, "echo again", "again")?;
    power_off(setup, session)
}

fn reboot_no_reboot(setup: &Setup) -> Outcome<()> {
    let mut session = setup.boot(&["-no-reboot"])?;
    session.send("reboot -f\n");
    let status = session.finish(setup.seconds(30))?;
    check(status == 0, || format!("exit status {status}"))
}

fn panic_no_reboot(setup: &Setup) -> Outcome<()> {
    let mut session = setup.boot(&["-no-reboot", "-append", "console=ttyS0 panic=-1"])?;
    session.send("echo c > /proc/sysrq-trigger\n");
    let status = session.finish(setup.seconds(60))?;
    check(status == 0, || format!("exit status {status}"))?;
    check(session.text.contains("Kernel panic"), || {
        "no panic was printed".into()
    })
}

fn ctrl_a_x(setup: &Setup) -> Outcome<()> {
    let mut session = setup.boot(&[])?;
    session.send("\x01x");
    let status = session.finish(setup.seconds(10))?;
    check(status == 0, || format!("exit status {status}"))
}

fn ctrl_a_c(setup: &Setup) -> Outcome<()> {
    let mut session = setup.boot(&[])?;
    session.send("\x01c");
    session.expect("type 'help'", setup.seconds(10))?;
    session.send("info status\n");
    session.expect("VM status: running", setup.seconds(10))?;
    session.send("info registers\n");
    session.expect("mstatus", setup.seconds(10))?;
    session.send("quit\n");
    let status = session.finish(setup.seconds(10))?;
    check(status == 0, || format!("exit status {status}"))
}

/// M-mode code that writes `word` to the test finisher.
fn finisher_program(word: u32) -> Vec<u8> {
    // lui t0, 0x100; lui t1, word[31:12]; addiw t1, t1, word[11:0]; sw t1, 0(t0); j .
    let high = word.wrapping_add(0x800) & 0xffff_f000;
    let code = [
        0x0010_02b7,
        high | 0x337,
        (word & 0xfff) << 20 | 0x0003_031b,
        0x0062_a023,
        0x0000_006f,
    ];
    code.iter()
        .flat_map(|insn: &u32| insn.to_le_bytes())
        .collect()
}

fn finisher_status(setup: &Setup) -> Outcome<()> {
    for (word, want) in [(0x5555, 0), (0x0003_3333, 3), (0x00ff_3333, 255)] {
        let file = std::env::temp_dir().join(format!("finisher-{}-{want}", std::process::id()));
        std::fs::write(&file, finisher_program(word)).expect("a temporary file can be written");
        let args =
            ["-M", "virt", "-nographic", "-bios", &file.to_string_lossy()].map(str::to_string);
        let mut session = Session::start(&setup.emulator, &args)?;
        let status = session.finish(setup.seconds(10));
        let _ = std::fs::remove_file(&file);
        let status = status?;
        check(status == want, || {
            format!("{word:#x}: exit status {status}, not {want}")
        })?;
    }
    Ok(())
}

/// Two deterministic runs print the same, time stamps included.
fn icount_repeats(setup: &Setup) -> Outcome<()> {
    let run = || {
        let options = [
            "-icount",
            "shift=0,sleep=off",
            "-append",
            "console=ttyS0 panic=-1 rdinit=/none",
        ];
        let mut session = Session::start(&setup.emulator, &setup.boot_args(&options))?;
        session.expect("Freeing unused kernel image", setup.seconds(120))
    };
    let (first, second) = (run()?, run()?);
    let differing = first.lines().zip(second.lines()).find(|(a, b)| a != b);
    check(differing.is_none(), || {
        format!("runs differ: {differing:?}")
    })?;
    check(first.contains("Linux version"), || {
        "nothing was booted".into()
    })
}
