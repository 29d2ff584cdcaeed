//! The guest's view of the machine, compared with native QEMU's.

use std::collections::BTreeSet;

use crate::{Setup, Test};
use harness::{Outcome, check};

pub const TESTS: &[Test] = &[("compare", compare)];

/// What of an answer must be the same.
type View = fn(&str) -> BTreeSet<String>;

/// What the guest is asked.
const VIEWS: &[(&str, View)] = &[
    ("cat /proc/iomem", iomem),
    ("cat /proc/interrupts", interrupt_names),
    ("cat /proc/cpuinfo", cpuinfo),
    ("cd /proc/device-tree; find . -type d | sort; cd /", lines),
];

fn lines(text: &str) -> BTreeSet<String> {
    text.lines()
        .map(|line| line.trim().to_string())
        .filter(|line| !line.is_empty())
        .collect()
}

/// Devices that Tinamou does not have yet (docs/machines-virt.md lists them).
const ABSENT: &[&str] = &["pci", "flash", "platform"];

/// Address ranges and their names. The kernel's own sections and what it reserves lie where the
/// size of the device tree puts them.
fn iomem(text: &str) -> BTreeSet<String> {
    lines(text)
        .into_iter()
        .filter(|line| !line.contains("Kernel") && !line.contains("Reserved"))
        .collect()
}

fn interrupt_names(text: &str) -> BTreeSet<String> {
    // "  12:   345   SiFive PLIC  10 Edge   ttyS0": what follows the counts
    let name = |line: &str| {
        let words = line.split_whitespace().skip(1);
        words
            .skip_while(|w| w.chars().all(|c| c.is_ascii_digit()))
            .collect::<Vec<_>>()
            .join(" ")
    };
    text.lines()
        .skip(1)
        .map(name)
        .filter(|name| !name.is_empty())
        .collect()
}

/// All but the ISA string's extensions that only QEMU has, and the identity registers.
fn cpuinfo(text: &str) -> BTreeSet<String> {
    let keep = |line: &&str| {
        ["processor", "hart\t", "mmu"]
            .iter()
            .any(|k| line.starts_with(k))
    };
    text.lines().filter(keep).map(str::to_string).collect()
}

fn compare(setup: &Setup) -> Outcome<()> {
    let Some(oracle) = &setup.oracle else {
        println!("     (no --oracle: nothing to compare with)");
        return Ok(());
    };
    let mut ours = setup.boot(&[])?;
    let mut theirs = setup.boot_on(oracle, &[])?;
    VIEWS.iter().try_for_each(|(command, view)| {
        let got = view(&ours.shell(command, setup.seconds(20))?);
        let want = view(&theirs.shell(command, setup.seconds(20))?);
        check(!got.is_empty(), || format!("`{command}` printed nothing"))?;
        same(command, &got, &want)
    })
}

fn same(command: &str, got: &BTreeSet<String>, want: &BTreeSet<String>) -> Outcome<()> {
    let absent = |line: &&String| ABSENT.iter().any(|part| line.to_lowercase().contains(part));
    let missing: Vec<_> = want.difference(got).filter(|line| !absent(line)).collect();
    let extra: Vec<_> = got.difference(want).collect();
    check(missing.is_empty() && extra.is_empty(), || {
        format!("`{command}`: missing {missing:?}, extra {extra:?}")
    })
}
