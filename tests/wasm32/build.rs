//! Links the test under emscripten: the entry and the JavaScript are the emulator's own.

/// Settings of the emscripten link: those of the emulator (see the root's build.rs) that code made
/// at run time depends on.
const EMSCRIPTEN_LINK: &[&str] = &[
    "-pthread",
    "-sPROXY_TO_PTHREAD",
    "-Wno-unused-main",
    "-sEXIT_RUNTIME",
    "--minify=0",
    "-sENVIRONMENT=node,worker",
    "-sNODERAWFS",
    "-sALLOW_TABLE_GROWTH",
    "-sINITIAL_MEMORY=64MB",
    "-sALLOW_MEMORY_GROWTH",
    "-sMAXIMUM_MEMORY=4GB",
    "-Wno-pthreads-mem-growth",
    "-sSTACK_SIZE=1MB",
    "-sDEFAULT_PTHREAD_STACK_SIZE=2MB",
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("emscripten") {
        return;
    }
    let mut shims = cc::Build::new();
    for file in ["../../system/main.c", "../../accel/tcg/src/jit/host/wasm.c"] {
        println!("cargo::rerun-if-changed={file}");
        shims.file(file);
    }
    shims.flag("-pthread").compile("wasm32_test_shims");
    let root = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    println!("cargo::rerun-if-changed=../../system/os-wasm.js");
    println!("cargo::rustc-link-arg-bins=--pre-js={root}/../../system/os-wasm.js");
    for setting in EMSCRIPTEN_LINK {
        println!("cargo::rustc-link-arg-bins={setting}");
    }
}
