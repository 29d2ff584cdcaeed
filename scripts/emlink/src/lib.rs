//! How programs are linked by emscripten: for the build scripts of the emulator and of tests. The
//! compiler's own flags for emscripten are in `.cargo/config.toml`.

use std::path::Path;

/// Settings of every link, each with its reason.
const COMMON: &[&str] = &[
    // `main` runs on a thread, so that it may block; the first one keeps JavaScript's event loop.
    "-pthread",
    "-sPROXY_TO_PTHREAD",
    // The main loop's and the first vCPU's worker: Node takes 100 ms to start one, so let them
    // start together, and while the module is compiled.
    "-sPTHREAD_POOL_SIZE=2",
    // It is exported by its attribute in main.c.
    "-Wno-unused-main",
    "-sEXIT_RUNTIME",
    // PROGRAM.js.symbols has the names of functions, for tests and traces.
    "--emit-symbol-map",
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

/// For programs with coroutines (`util/src/coroutine`). Asyncify instruments what can be on the
/// stack when a fiber is switched. It is told to follow direct calls only, and which functions
/// make indirect ones: the first of a coroutine, and those through which JavaScript calls the
/// first function of a thread (`void *(void *)`) and of a fiber (`void (void *)`).
/// `tests/linked.rs` looks at what came of it.
const COROUTINES: &[&str] = &[
    "-sASYNCIFY",
    "-sASYNCIFY_IGNORE_INDIRECT",
    "-sASYNCIFY_ADD=tinamou_coroutine_run,dynCall_ii,dynCall_vi",
];

/// For Node, where the host's files are the program's files.
const NODE: &[&str] = &["-sENVIRONMENT=node,worker", "-sNODERAWFS"];
/// For a page, which puts files into a file system in memory.
const PAGE: &[&str] = &["-sENVIRONMENT=web,worker", "-sEXPORTED_RUNTIME_METHODS=FS"];

/// Where a program runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Host {
    Node,
    Page,
}

/// What a program needs besides.
#[derive(Clone, Copy)]
pub struct Program<'a> {
    pub host: Host,
    pub coroutines: bool,
    /// C files with JavaScript, relative to the tree's root, that no library of the program has.
    pub shims: &'a [&'a str],
}

/// Tells cargo how to link the package's programs; does nothing unless the target is emscripten.
pub fn link(program: Program) {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("emscripten") {
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let root = root.canonicalize().expect("the tree is there");
    let mut shims = cc::Build::new();
    for file in ["system/main.c"].iter().chain(program.shims) {
        let file = root.join(file);
        println!("cargo::rerun-if-changed={}", file.display());
        shims.file(file);
    }
    shims.flag("-pthread").compile("tinamou_entry");
    let host = match program.host {
        Host::Node => NODE,
        Host::Page => PAGE,
    };
    let coroutines = if program.coroutines { COROUTINES } else { &[] };
    for setting in COMMON.iter().chain(host).chain(coroutines) {
        println!("cargo::rustc-link-arg-bins={setting}");
    }
    let mut starts = vec!["system/os-wasm.js"];
    if program.host == Host::Page {
        starts.push("util/src/host_fs/opfs.js");
    }
    for start in starts {
        let start = root.join(start);
        println!("cargo::rerun-if-changed={}", start.display());
        println!("cargo::rustc-link-arg-bins=--pre-js={}", start.display());
    }
}
