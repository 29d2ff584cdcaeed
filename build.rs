//! Links the program. A native build needs nothing; the emscripten build gets its C entry point and
//! emscripten's settings. The compiler's own flags for emscripten are in `.cargo/config.toml`.

/// Settings of the emscripten link, each with its reason.
const EMSCRIPTEN_LINK: &[&str] = &[
    // `main` runs on a thread, so that it may block; the first one keeps JavaScript's event loop.
    "-pthread",
    "-sPROXY_TO_PTHREAD",
    // The main loop's and the first vCPU's worker: Node takes 100 ms to start one, so let them
    // start together, and while the module is compiled.
    "-sPTHREAD_POOL_SIZE=2",
    // It is exported by its attribute in main.c.
    "-Wno-unused-main",
    "-sEXIT_RUNTIME",
    // Node shows the line of an uncaught error: let it not be the whole program.
    "--minify=0",
    // Generated functions go into the table.
    "-sALLOW_TABLE_GROWTH",
    // Small until guest RAM is allocated. Growing costs compiled code nothing: engines reserve the
    // address space of the maximum and never move the memory. Only JavaScript's views change, and
    // what JavaScript there is does not care, hence no warning.
    "-sINITIAL_MEMORY=32MB",
    "-sALLOW_MEMORY_GROWTH",
    "-sMAXIMUM_MEMORY=4GB",
    "-sMEMORY_GROWTH_GEOMETRIC_STEP=0.05",
    "-Wno-pthreads-mem-growth",
    // A guest RAM that cannot be had is an error message of ours.
    "-sABORTING_MALLOC=0",
    "-sSTACK_SIZE=1MB",
    "-sDEFAULT_PTHREAD_STACK_SIZE=2MB",
];

/// For Node, where the host's files are the program's files.
const NODE_LINK: &[&str] = &["-sENVIRONMENT=node,worker", "-sNODERAWFS"];
/// For a page (feature `page`), which puts files into a file system in memory.
const PAGE_LINK: &[&str] = &["-sENVIRONMENT=web,worker", "-sEXPORTED_RUNTIME_METHODS=FS"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("emscripten") {
        println!("cargo::rerun-if-changed=system/main.c");
        cc::Build::new()
            .file("system/main.c")
            .flag("-pthread")
            .compile("tinamou_entry");
        let environment = match std::env::var("CARGO_FEATURE_PAGE") {
            Ok(_) => PAGE_LINK,
            Err(_) => NODE_LINK,
        };
        for setting in EMSCRIPTEN_LINK.iter().chain(environment) {
            println!("cargo::rustc-link-arg-bins={setting}");
        }
        println!("cargo::rerun-if-changed=system/os-wasm.js");
        let root = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
        println!("cargo::rustc-link-arg-bins=--pre-js={root}/system/os-wasm.js");
    }
}
