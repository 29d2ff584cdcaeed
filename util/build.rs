//! Compiles the JavaScript that the console needs under emscripten.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("emscripten") {
        println!("cargo::rerun-if-changed=src/host_console/wasm.c");
        cc::Build::new()
            .file("src/host_console/wasm.c")
            .flag("-pthread")
            .compile("tinamou_host_console");
    }
}
