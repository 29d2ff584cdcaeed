//! Random functions: the evaluator on the IR as made, against the interpreter, with and without the
//! optimizer. A failure prints the seed; `TCG_SEED=n TCG_COUNT=1 cargo test -p tcg --test random`
//! runs that one, `TCG_COUNT` alone runs more.
#![allow(unsafe_code, reason = "runs generated code")]

mod common;

use common::maker::make;
use common::outcome::{Start, differ, evaluate, interpret};
use common::*;
use tcg::builder::Function;
use tcg::eval::EvalExit;
use tcg::tci::{self, CodeGenerator};
use tcg::{Compiler, liveness, optimize, printer};

fn check(env: &mut Env, compiler: &mut Compiler, seed: u64) -> bool {
    let mut r = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let function = make(&mut r);
    let start = &Start::seeded(seed);
    let expected = evaluate(env, start, &function);
    if expected.exit == EvalExit::OutOfBudget {
        return false;
    }
    let text = |f: &Function| printer::print(f, &globals(), &helpers());
    let plain = CodeGenerator::default()
        .generate(&function, &helpers(), &OPTIONS)
        .expect("there are slots enough");
    let show = |what: &str, f: &Function, code: &[u64]| {
        format!(
            "seed {seed}, {what}:\n{}\nbecame\n{}\n{}",
            text(&function),
            text(f),
            tci::disas::disassemble(code)
        )
    };
    let got = interpret(env, start, &plain);
    assert!(
        got == expected,
        "{}",
        differ(
            &show("unoptimized", &function, &plain.code),
            &got,
            &expected
        )
    );

    let mut optimized = function.clone();
    optimize::Optimizer::default().run(&mut optimized, &helpers());
    let got = evaluate(env, start, &optimized);
    assert!(
        got == expected,
        "{}",
        differ(&show("optimizer", &optimized, &[]), &got, &expected)
    );
    liveness::Liveness::default().run(&mut optimized, &helpers());
    let got = evaluate(env, start, &optimized);
    assert!(
        got == expected,
        "{}",
        differ(&show("liveness", &optimized, &[]), &got, &expected)
    );

    let mut optimized = function.clone();
    let block = compiler
        .compile(&mut optimized, &helpers(), &OPTIONS)
        .expect("slots enough");
    let got = interpret(env, start, &block);
    assert!(
        got == expected,
        "{}",
        differ(&show("optimized", &optimized, &block.code), &got, &expected)
    );
    true
}

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|v| v.parse().ok())
        .unwrap_or(default)
}

#[test]
fn random_functions_agree() {
    let first = from_environment("TCG_SEED", 1);
    let count = from_environment("TCG_COUNT", 3000);
    let mut env = Env::new();
    let mut compiler = Compiler::default();
    let ran = (first..first + count)
        .filter(|&seed| check(&mut env, &mut compiler, seed))
        .count();
    assert!(
        ran as u64 * 10 >= count * 9,
        "too many functions run out of budget: {ran}"
    );
}
