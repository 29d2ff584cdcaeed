//! `launcher run` with a script in the emulator's place. What a real guest does with a folder is
//! tested where there is a kit and an emulator.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, script: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("run-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("out")).expect("a folder");
        let machine = r#"{ "version": 1, "arch": "riscv64", "args": ["-M", "virt",
            "-drive", "file=disk,format=chunked,snapshot=on,if=virtio"] }"#;
        fs::write(folder.join("out/machine.json"), machine).expect("a file");
        let emulator = folder.join("emulator");
        fs::write(&emulator, format!("#!/bin/sh\n{script}\n")).expect("a file");
        fs::set_permissions(&emulator, fs::Permissions::from_mode(0o755)).expect("a program");
        Self(folder)
    }

    fn run(&self) -> Output {
        Command::new(env!("CARGO_BIN_EXE_launcher"))
            .current_dir(&self.0)
            .args(["run", "--emulator", "emulator", "--overlay", "kept,a"])
            .args(["out", "--", "-s"])
            .output()
            .expect("launcher")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Finds the port's file in the options.
const PORT: &str = r#"for a; do case $a in *,path=*) port=${a#*,path=} ;; esac; done"#;

#[test]
fn the_exit_code_is_the_guests() {
    // Another program's end, and then the entrypoint's.
    let script = format!(
        r#"{PORT}
        printf '\004\000\000\000\104\007\000\000\000\001\000\000\000' >"$port"
        printf '\004\000\000\000\104\000\000\000\000\052\000\000\000' >>"$port"
        pwd; echo "$@""#
    );
    let folder = Folder::new("code", &script);
    let output = folder.run();
    assert_eq!(output.status.code(), Some(42), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("/out\n-M virt -drive file=disk,"), "{text}");
    assert!(text.contains("/kept,,a,if=virtio -display"), "{text}");
    assert!(text.contains("format=chunked,overlay=/"), "{text}");
    assert!(text.contains("name=org.tinamou.agent.0 -s"), "{text}");
}

#[test]
fn an_end_without_a_word_is_an_error() {
    for (name, script, expected) in [
        ("silent", "exit 0", "without saying how"),
        ("failed", "exit 3", "ended early"),
        (
            "hostile",
            "printf '\\377\\377\\377\\377\\104\\0\\0\\0\\0' >\"$port\"",
            "too large",
        ),
    ] {
        let output = Folder::new(name, &format!("{PORT}\n{script}")).run();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(expected), "{text}");
    }
}
