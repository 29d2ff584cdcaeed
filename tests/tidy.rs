//! Checks what the style guide states in numbers, on every Rust file of the tree.

use std::fs;
use std::path::{Path, PathBuf};

const FUNCTION_LINES_MAX: usize = 70;
const FILE_LINES_MAX: usize = 800;
const COLUMNS_MAX: usize = 100;
/// Made by tools, not by hand.
const GENERATED: &[&str] = &["tcg/src/wasm32_h.rs"];

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).expect("the tree can be listed");
    for entry in entries.map(|entry| entry.expect("the tree can be listed").path()) {
        let name = entry
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if entry.is_dir() {
            let skip = ["target", "build", "node_modules"].contains(&&*name);
            if !skip && !name.starts_with('.') {
                rust_files(&entry, found);
            }
        } else if name.ends_with(".rs") {
            found.push(entry);
        }
    }
}

/// Lines of each function that is too long: (first line, length). A function ends at the line
/// whose closing brace has the indentation of its first, which rustfmt guarantees.
fn long_functions(lines: &[&str]) -> Vec<(usize, usize)> {
    let mut long = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let trimmed = line.trim_start();
        let words: Vec<&str> = trimmed.split_whitespace().take(5).collect();
        let qualifiers = [
            "pub",
            "pub(crate)",
            "pub(super)",
            "const",
            "unsafe",
            "extern",
            "\"C\"",
        ];
        let function = words.iter().find(|word| !qualifiers.contains(word)) == Some(&"fn");
        if !function || trimmed.ends_with(';') || trimmed.ends_with('}') {
            continue;
        }
        let indent = line.len() - trimmed.len();
        let end = format!("{}}}", " ".repeat(indent));
        // A declaration in a trait.
        let outer = |l: &str| l.len() - l.trim_start().len() <= indent;
        let semicolon = |l: &&str| l.trim_end().ends_with(';') && outer(l);
        let length = lines[start..]
            .iter()
            .position(|l| *l == end || semicolon(l))
            .unwrap_or(0)
            + 1;
        if length > FUNCTION_LINES_MAX {
            long.push((start + 1, length));
        }
    }
    long
}

fn faults(path: &str, text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut faults = Vec::new();
    if !text.starts_with("//!") {
        faults.push(format!("{path}: does not open with //! and what it is for"));
    }
    if lines.len() > FILE_LINES_MAX {
        faults.push(format!("{path}: {} lines", lines.len()));
    }
    for (number, line) in lines.iter().enumerate() {
        if line.chars().count() > COLUMNS_MAX {
            faults.push(format!(
                "{path}:{}: {} columns",
                number + 1,
                line.chars().count()
            ));
        }
    }
    for (number, length) in long_functions(&lines) {
        faults.push(format!("{path}:{number}: function of {length} lines"));
    }
    faults
}

#[test]
fn tree_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    rust_files(root, &mut files);
    assert!(files.len() > 50, "found only {} files", files.len());
    let mut all = Vec::new();
    for file in files {
        let path = file
            .strip_prefix(root)
            .expect("below the root")
            .to_string_lossy()
            .into_owned();
        if !GENERATED.contains(&&*path) {
            all.extend(faults(
                &path,
                &fs::read_to_string(&file).expect("a text file"),
            ));
        }
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn faults_are_seen() {
    let body = "    x();\n".repeat(FUNCTION_LINES_MAX);
    let long = format!("//! Text.\npub fn f() {{\n{body}}}\n");
    assert_eq!(faults("a.rs", &long), ["a.rs:2: function of 72 lines"]);
    assert_eq!(
        faults("a.rs", "//! Text.\nfn f() {}\n"),
        Vec::<String>::new()
    );
    assert_eq!(faults("a.rs", "fn f() {}\n").len(), 1);
    let wide = format!("//! {}\n", "x".repeat(COLUMNS_MAX));
    assert_eq!(faults("a.rs", &wide).len(), 1);
}
