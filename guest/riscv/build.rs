//! Turns the instruction tables into `$OUT_DIR/decode.rs`; `src/decode.rs` includes it.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use decodetree::Table;

fn main() {
    if let Err(error) = run() {
        eprintln!("{error}");
        std::process::exit(1);
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=insn32.decode");
    println!("cargo::rerun-if-changed=insn16.decode");
    let insn32 = fs::read_to_string("insn32.decode")?;
    let insn16 = fs::read_to_string("insn16.decode")?;
    let tables = [
        Table {
            path: "guest/riscv/insn32.decode",
            text: &insn32,
            name: "insn32",
            width: 32,
        },
        Table {
            path: "guest/riscv/insn16.decode",
            text: &insn16,
            name: "insn16",
            width: 16,
        },
    ];
    let source = decodetree::generate("Decode", &tables)?;
    let folder = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(folder.join("decode.rs"), source)?;
    Ok(())
}
