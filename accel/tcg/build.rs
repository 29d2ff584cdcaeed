//! Compiles the JavaScript through which emscripten programs make WebAssembly at run time.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("emscripten") {
        println!("cargo::rerun-if-changed=src/jit/host/wasm.c");
        cc::Build::new()
            .file("src/jit/host/wasm.c")
            .flag("-pthread")
            .compile("tinamou_jit_host");
    }
}
