//! Hot code under Node: what `info jit` says, and an engine that does not play along.

use std::process::Command;

use crate::{Setup, Test};
use harness::{Failure, Outcome, Session, check};

pub const TESTS: &[Test] = &[
    ("jit_info", info),
    ("jit_icount", share_of_instructions),
    ("jit_refused", refused),
    ("jit_no_tail_calls", no_tail_calls),
];

/// Some hundred thousand rounds of a loop, and many short processes.
const WORK: &str = "i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done; echo $i";
const WARNING: &str = "the WebAssembly engine refused a module";

/// Natively there is no engine.
fn has_engine(setup: &Setup) -> bool {
    setup.emulator[0].ends_with("node")
}

fn work(setup: &Setup, session: &mut Session) -> Outcome<()> {
    let got = session.shell(WORK, setup.seconds(60))?;
    check(got.trim() == "30000", || {
        format!("the loop printed {got:?}")
    })
}

/// What `info jit` has behind a name.
fn counters(setup: &Setup, session: &mut Session) -> Outcome<impl Fn(&str) -> Outcome<String>> {
    session.send("\x01c");
    session.expect("type 'help'", setup.seconds(10))?;
    session.send("info jit\n");
    let text = session.expect("instantiation", setup.seconds(10))?;
    Ok(move |name: &str| {
        let line = text.lines().find_map(|l| l.trim().strip_prefix(name));
        let found = line.map(|rest| rest.trim().to_owned());
        found.ok_or_else(|| Failure::Check(format!("`info jit` has no {name:?}")))
    })
}

/// The number that a counter starts with.
fn number(text: &str) -> f64 {
    let digits: String = text
        .chars()
        .take_while(|c| c.is_ascii_digit() || *c == '.')
        .collect();
    digits.parse().unwrap_or(-1.0)
}

fn info(setup: &Setup) -> Outcome<()> {
    if !has_engine(setup) {
        return Ok(());
    }
    let mut session = setup.boot(&[])?;
    work(setup, &mut session)?;
    let counter = counters(setup, &mut session)?;
    for name in [
        "wasm regions",
        "wasm instances",
        "regions entered",
        "long loops",
    ] {
        counter(name)?;
    }
    check(number(&counter("wasm regions")?) > 50.0, || {
        "hardly any regions".into()
    })?;
    check(number(&counter("refused")?) == 0.0, || {
        "modules were refused".into()
    })?;
    check(number(&counter("share run in wasm")?) > 1.0, || {
        "nothing ran in wasm".into()
    })
}

fn share_of_instructions(setup: &Setup) -> Outcome<()> {
    if !has_engine(setup) {
        return Ok(());
    }
    let mut session = setup.boot(&["-icount", "shift=0"])?;
    work(setup, &mut session)?;
    let counter = counters(setup, &mut session)?;
    let text = counter("run in wasm")?;
    let percent = number(&text);
    check((20.0..100.0).contains(&percent), || {
        format!("run in wasm: {text}")
    })
}

/// The emulator's command with an option for Node.
fn with_option(setup: &Setup, option: &[&str]) -> Vec<String> {
    let mut command = setup.emulator.clone();
    command.splice(1..1, option.iter().map(|part| (*part).to_owned()));
    command
}

/// Node 20 can be told to have no tail calls; it refuses modules with them then.
fn no_tail_calls(setup: &Setup) -> Outcome<()> {
    const OPTION: &str = "--no-experimental-wasm-return-call";
    let node = || {
        Command::new(&setup.emulator[0])
            .args([OPTION, "-e", "0"])
            .output()
    };
    if !has_engine(setup) || !node().is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    let command = with_option(setup, &[OPTION]);
    let mut session = setup.boot_on(&command, &["-smp", "2"])?;
    work(setup, &mut session)?;
    let counter = counters(setup, &mut session)?;
    check(number(&counter("refused")?) == 0.0, || {
        "modules were refused".into()
    })?;
    check(number(&counter("wasm regions")?) > 50.0, || {
        "hardly any regions".into()
    })
}

fn refused(setup: &Setup) -> Outcome<()> {
    if !has_engine(setup) {
        return Ok(());
    }
    let hook = concat!(env!("CARGO_MANIFEST_DIR"), "/src/refuse-modules.cjs");
    let command = with_option(setup, &["--require", hook]);
    let mut session = setup.boot_on(&command, &["-smp", "2"])?;
    work(setup, &mut session)?;
    let warnings = session.text.matches(WARNING).count();
    check(warnings == 1, || format!("{warnings} warnings"))?;
    let counter = counters(setup, &mut session)?;
    check(number(&counter("refused")?) > 5.0, || {
        "nothing was refused".into()
    })
}
