//! Compiles the C and the JavaScript that emscripten needs.

/// Shims and the libraries that they become.
const SHIMS: &[(&str, &str)] = &[
    ("src/coroutine/coroutine-wasm.c", "tinamou_coroutine"),
    ("src/host_console/wasm.c", "tinamou_host_console"),
    ("src/host_fs/wasm.c", "tinamou_host_fs"),
    ("src/http/wasm.c", "tinamou_http"),
    ("src/js_host/wasm.c", "tinamou_js_host"),
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("emscripten") {
        return;
    }
    for (file, library) in SHIMS {
        println!("cargo::rerun-if-changed={file}");
        let mut build = cc::Build::new();
        build.file(file).flag("-pthread").compile(library);
    }
}
