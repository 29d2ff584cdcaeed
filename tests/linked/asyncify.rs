//! Which functions of a module Asyncify has instrumented, and whether these are the right ones.

use std::collections::{BTreeMap, BTreeSet};

use wasmparser::{ElementItems, Operator, Parser, Payload, TypeRef};

/// Where instrumented functions may come from: parts of their names.
const COROUTINES: &[&str] = &[
    "tinamou_coroutine_",
    "util::coroutine::",
    "util::thread_pool::",
    "block::",
    "hw::ninep::",
    // The first functions of threads and fibers, and through what JavaScript calls them.
    "thread_main",
    "fiber_main",
    "dynCall_ii",
    "dynCall_vi",
];
/// Instrumented functions that may be called through a pointer, because their callers are listed in
/// `scripts/emlink`: what a coroutine begins with is a boxed closure.
const POINTED_AT: &[&str] = &["vtable", "thread_main", "fiber_main"];
/// The test of util also takes coroutines' locks in plain threads, where waiting blocks: so what
/// leads there is instrumented for nothing. In the emulator it would be a mistake.
const IN_TEST: &[&str] = &[
    "util_test::",
    "tinamou_main",
    "_main_thread",
    "util::coroutine::cases::",
];
const SWITCH: &str = "emscripten_fiber_swap";

/// What was found.
pub struct Report {
    /// How many functions are instrumented.
    pub instrumented: usize,
    /// A sentence for each function that is not as it must be.
    pub wrong: Vec<String>,
}

#[derive(Default)]
struct Function {
    calls: BTreeSet<u32>,
    globals: BTreeSet<u32>,
    /// Globals that it sets to 1.
    set_to_one: BTreeSet<u32>,
}

#[derive(Default)]
struct Module {
    functions: BTreeMap<u32, Function>,
    in_table: BTreeSet<u32>,
}

fn parse(bytes: &[u8]) -> Module {
    let (mut module, mut index) = (Module::default(), 0);
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.expect("a module") {
            Payload::ImportSection(imports) => {
                let imports = imports.into_imports().flatten();
                index += imports
                    .filter(|import| matches!(import.ty, TypeRef::Func(_)))
                    .count() as u32;
            }
            Payload::ElementSection(elements) => {
                for element in elements.into_iter().flatten() {
                    if let ElementItems::Functions(functions) = element.items {
                        module.in_table.extend(functions.into_iter().flatten());
                    }
                }
            }
            Payload::CodeSectionEntry(body) => {
                let operators = body.get_operators_reader().expect("a body");
                module
                    .functions
                    .insert(index, function(operators.into_iter().flatten()));
                index += 1;
            }
            _ => (),
        }
    }
    module
}

fn function<'a>(operators: impl Iterator<Item = Operator<'a>>) -> Function {
    let mut function = Function::default();
    let mut was_one = false;
    for operator in operators {
        match operator {
            Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                function.calls.insert(function_index);
            }
            Operator::GlobalGet { global_index } => {
                function.globals.insert(global_index);
            }
            Operator::GlobalSet { global_index } if was_one => {
                function.set_to_one.insert(global_index);
            }
            _ => (),
        }
        was_one = matches!(operator, Operator::I32Const { value: 1 });
    }
    function
}

/// Names by index: lines `INDEX:NAME`.
fn names(symbols: &str) -> BTreeMap<u32, &str> {
    let pairs = symbols.lines().filter_map(|line| line.split_once(':'));
    pairs
        .filter_map(|(index, name)| Some((index.parse().ok()?, name)))
        .collect()
}

fn has_any(name: &str, parts: &[&str]) -> bool {
    parts.iter().any(|part| name.contains(part))
}

/// The global that is Asyncify's state. Its own functions come last and have no names; the one that
/// starts to unwind sets the state to 1.
fn state(module: &Module, names: &BTreeMap<u32, &str>) -> Option<u32> {
    let own = module
        .functions
        .iter()
        .filter(|(index, _)| !names.contains_key(index));
    let states: BTreeSet<u32> = own
        .flat_map(|(_, f)| f.set_to_one.iter().copied())
        .collect();
    states.first().copied().filter(|_| states.len() == 1)
}

/// Looks at a module and its symbol map.
pub fn inspect(bytes: &[u8], symbols: &str) -> Report {
    let (module, names) = (parse(bytes), names(symbols));
    let is_test = names.values().any(|name| name.contains("util_test::"));
    let in_test = |name: &str| is_test && has_any(name, IN_TEST);
    let name_of = |index: u32| names.get(&index).copied().unwrap_or("?");
    let mut wrong = Vec::new();
    let Some(state) = state(&module, &names) else {
        wrong.push("Asyncify's state is not found".into());
        return Report {
            instrumented: 0,
            wrong,
        };
    };
    let instrumented: BTreeSet<u32> = module
        .functions
        .iter()
        .filter(|(index, f)| names.contains_key(index) && f.globals.contains(&state))
        .map(|(index, _)| *index)
        .collect();
    for &index in &instrumented {
        let name = name_of(index);
        if in_test(name) {
            continue;
        }
        if !has_any(name, COROUTINES) {
            let callees = module.functions[&index].calls.intersection(&instrumented);
            let callees: Vec<&str> = callees.map(|callee| name_of(*callee)).collect();
            wrong.push(format!(
                "{name} is instrumented, since it calls {callees:?}"
            ));
        }
        if module.in_table.contains(&index) && !has_any(name, POINTED_AT) {
            wrong.push(format!("{name} may wait, and is called through a pointer"));
        }
    }
    for (index, function) in &module.functions {
        let waits = |callee: &u32| instrumented.contains(callee) || name_of(*callee) == SWITCH;
        if !instrumented.contains(index) && function.calls.iter().any(waits) {
            wrong.push(format!(
                "{} may wait, and is not instrumented",
                name_of(*index)
            ));
        }
    }
    Report {
        instrumented: instrumented.len(),
        wrong,
    }
}
