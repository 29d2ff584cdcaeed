//! Compiles the JavaScript that console and files need under emscripten.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("emscripten") {
        let mut shims = cc::Build::new();
        for file in ["src/host_console/wasm.c", "src/host_fs/wasm.c"] {
            println!("cargo::rerun-if-changed={file}");
            shims.file(file);
        }
        shims.flag("-pthread").compile("tinamou_util");
    }
}
