//! What the linked programs do with their stacks. Nothing unwinds by exceptions: there are none in
//! wasm, and no `invoke_` trampolines (emscripten's way of catching). Asyncify, which lets
//! coroutines wait (`util/src/coroutine`), is in the functions of coroutines and nowhere else: not
//! in the interpreter, slow paths or helpers. Generated code has none by construction.
//!
//! `scripts/test.d/22-linked` runs this on what `scripts/build-wasm` has made. Names in the module
//! are minified, so names come from its symbol map.

use std::path::Path;

use wasmparser::{Operator, Parser, Payload};

#[path = "linked/asyncify.rs"]
mod asyncify;

/// What no JavaScript of the bundle may mention.
const JAVASCRIPT: [&str; 3] = ["invoke_", "__cxa_throw", "_Unwind_"];

fn is_unwinding(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::Throw { .. }
            | Operator::ThrowRef
            | Operator::Rethrow { .. }
            | Operator::Try { .. }
            | Operator::TryTable { .. }
            | Operator::Catch { .. }
            | Operator::CatchAll
            | Operator::Delegate { .. }
    )
}

/// What is wrong with a module, and how many functions it has.
fn inspect(module: &[u8]) -> (Vec<String>, usize) {
    let (mut found, mut functions) = (Vec::new(), 0);
    for payload in Parser::new(0).parse_all(module) {
        match payload.expect("a module") {
            Payload::TagSection(tags) => found.push(format!("{} exception tags", tags.count())),
            Payload::CodeSectionEntry(body) => {
                let operators = body.get_operators_reader().expect("a body");
                let unwinds = operators.into_iter().flatten().any(|op| is_unwinding(&op));
                if unwinds {
                    found.push(format!("function {functions} of the module unwinds"));
                }
                functions += 1;
            }
            _ => (),
        }
    }
    (found, functions)
}

fn inspect_javascript(text: &str) -> Vec<String> {
    let mentioned = JAVASCRIPT.iter().filter(|name| text.contains(**name));
    mentioned
        .map(|name| format!("JavaScript has {name}"))
        .collect()
}

#[test]
#[ignore = "needs the bundle: scripts/test.d/22-linked"]
fn the_bundle_does_not_unwind() {
    let folder = std::env::var("TINAMOU_BUNDLE").expect("TINAMOU_BUNDLE is the bundle's folder");
    let read = |name: &str| {
        let path = Path::new(&folder).join(name);
        std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    };
    let (mut found, functions) = inspect(&read("tinamou_system_riscv64.wasm"));
    let javascript = read("tinamou-system-riscv64.js");
    found.extend(inspect_javascript(&String::from_utf8_lossy(&javascript)));
    assert!(functions > 500, "only {functions} functions");
    assert_eq!(found, Vec::<String>::new());
}

#[test]
#[ignore = "needs the bundle: scripts/test.d/22-linked"]
fn only_coroutines_are_instrumented() {
    let files = std::env::var("TINAMOU_LINKED").expect("TINAMOU_LINKED has MODULE:SYMBOLS pairs");
    for pair in files.split_whitespace() {
        let (module, symbols) = pair.split_once(':').expect("MODULE:SYMBOLS");
        let module = std::fs::read(module).unwrap_or_else(|e| panic!("{module}: {e}"));
        let symbols = std::fs::read_to_string(symbols).unwrap_or_else(|e| panic!("{symbols}: {e}"));
        let report = asyncify::inspect(&module, &symbols);
        println!("{pair}: {} functions are instrumented", report.instrumented);
        assert_eq!(report.wrong, Vec::<String>::new(), "{pair}");
    }
}

#[test]
fn a_throw_is_found() {
    // One function, `throw 0`, with its tag; the second module has `nop` instead.
    let module = |body: &[u8]| {
        let mut bytes = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0".to_vec();
        bytes.extend([13, 3, 1, 0, 0]);
        bytes.extend([10, body.len() as u8 + 4, 1, body.len() as u8 + 2, 0]);
        bytes.extend(body);
        bytes.push(0x0b);
        bytes
    };
    let (found, functions) = inspect(&module(&[8, 0]));
    assert_eq!(functions, 1);
    let wanted = ["1 exception tags", "function 0 of the module unwinds"];
    assert_eq!(found, wanted);
    assert_eq!(inspect(&module(&[1, 1])).0, ["1 exception tags"]);
}

#[test]
fn trampolines_are_found() {
    assert_eq!(
        inspect_javascript("function invoke_vi(index, a) {"),
        ["JavaScript has invoke_"]
    );
    assert!(inspect_javascript("function call(index) {").is_empty());
}
