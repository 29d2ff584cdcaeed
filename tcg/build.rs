//! Compiles the C view of the TB header and derives `tb-header.js` from what the compiler made of
//! it: the offsets stand as text in the object file (see `tb_header.c`), so this works for hosts
//! whose programs cannot run here.

use std::fmt::Write;
use std::path::PathBuf;
use std::{env, fs};

const TAG: &[u8] = b"@TB:";
const NAME_LEN: usize = 16;

fn main() {
    println!("cargo::rerun-if-changed=src/tb_header.c");
    println!("cargo::rerun-if-changed=../include/tcg/wasm32.h");
    let mut build = cc::Build::new();
    build
        .file("src/tb_header.c")
        .include("../include")
        // The texts are meant to have no terminating zero.
        .flag_if_supported("-Wno-unterminated-string-initialization")
        .warnings_into_errors(true);
    let objects = build.clone().compile_intermediates();
    let object = fs::read(&objects[0]).expect("the compiler left an object file");
    let out_dir = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::write(out_dir.join("tb-header.js"), javascript(&object)).expect("OUT_DIR is writable");
    build.compile("tb_header");
}

/// A module that exports one constant per field.
fn javascript(object: &[u8]) -> String {
    let mut text = String::from("// Made from include/tcg/wasm32.h by tcg/build.rs.\n");
    text.push_str("export const TB_HEADER = Object.freeze({\n");
    let mut rest = object;
    while let Some(at) = rest.windows(TAG.len()).position(|w| w == TAG) {
        rest = &rest[at + TAG.len()..];
        let name = String::from_utf8_lossy(&rest[..NAME_LEN]);
        let value = String::from_utf8_lossy(&rest[NAME_LEN + 1..NAME_LEN + 5]);
        let offset: u32 = value.parse().expect("four digits");
        writeln!(text, "    {}: {offset},", name.trim_end_matches('\0')).expect("to a string");
    }
    assert!(text.contains("SIZE"), "no offsets found in the object file");
    text.push_str("});\n");
    text
}
