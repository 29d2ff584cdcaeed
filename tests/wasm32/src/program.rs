//! The entry, and the count of what passed.

use std::ffi::{CStr, c_char, c_int};

use tcg::builder::Function;
use tcg::eval::EvalExit;
use tcg::{Compiler, liveness, optimize, printer};

use crate::common::maker::make;
use crate::common::outcome::{Outcome, Start, differ, evaluate, interpret};
use crate::common::{self, Env, OPTIONS, Random, globals, helpers};
use crate::directed;
use crate::machine::Machine;
use crate::regions;

/// Failures that are shown.
const SHOWN_MAX: u32 = 5;

/// Ways to make a module of a function.
type Driver = (&'static str, fn(&mut Machine, &Function) -> bool);
const DRIVERS: [Driver; 2] = [
    ("plain", Machine::compile_plain),
    ("region", Machine::compile_region),
];

/// What the tests share.
pub struct Tests {
    pub env: Env,
    pub machine: Machine,
    passed: u32,
    failed: u32,
    /// Functions that the back end has no code for.
    left_out: u32,
    slow_interpreted: u32,
    slow_generated: u32,
}

impl Tests {
    fn new() -> Self {
        Self {
            env: Env::new(),
            machine: Machine::new(),
            passed: 0,
            failed: 0,
            left_out: 0,
            slow_interpreted: 0,
            slow_generated: 0,
        }
    }

    /// Counts a test that passed, or failed for the reason given.
    pub fn count(&mut self, failure: Option<String>) {
        match failure {
            None => self.passed += 1,
            Some(text) => {
                self.failed += 1;
                if self.failed <= SHOWN_MAX {
                    println!("FAILED: {text}\n");
                }
            }
        }
    }

    /// Runs what the machine has compiled of `function`; says how it differs.
    pub fn differs(
        &mut self,
        start: &Start,
        function: &Function,
        expected: &Outcome,
    ) -> Option<String> {
        let before = self.env.slow_calls;
        let got = self.machine.run(&mut self.env, start, function);
        self.slow_generated += self.env.slow_calls - before;
        (got != *expected).then(|| {
            let text = printer::print(function, &globals(), &helpers());
            differ(&format!("{start:x?}\n{text}"), &got, expected)
        })
    }

    /// A random function as it is made, and as the optimizer leaves it.
    fn random(&mut self, compiler: &mut Compiler, seed: u64) {
        let mut r = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let function = make(&mut r);
        let start = Start::seeded(seed);
        let expected = evaluate(&mut self.env, &start, &function);
        if expected.exit == EvalExit::OutOfBudget {
            return;
        }
        let before = self.env.slow_calls;
        let block = compiler
            .compile(&mut function.clone(), &helpers(), &OPTIONS)
            .expect("slots enough");
        let got = interpret(&mut self.env, &start, &block);
        let interpreted = self.env.slow_calls - before;
        self.count((got != expected).then(|| format!("seed {seed}: the interpreter differs")));

        let mut optimized = function.clone();
        optimize::Optimizer::default().run(&mut optimized, &helpers());
        liveness::Liveness::default().run(&mut optimized, &helpers());
        for (what, function) in [("as made", &function), ("optimized", &optimized)] {
            for (driver, compile) in DRIVERS {
                if !compile(&mut self.machine, function) {
                    self.left_out += 1;
                    continue;
                }
                self.slow_interpreted += interpreted;
                let failure = self.differs(&start, function, &expected);
                self.count(failure.map(|text| format!("seed {seed}, {what}, {driver}: {text}")));
            }
        }
    }

    /// Inline accesses must be as good as the interpreter's: not all goes to slow paths.
    fn slow_paths_are_rare(&mut self) {
        let (interpreted, generated) = (self.slow_interpreted, self.slow_generated);
        println!("slow paths of random functions: interpreter {interpreted}, wasm {generated}");
        let failed = generated > interpreted + interpreted / 8;
        self.count(failed.then(|| "the slow paths are called too often".into()));
    }

    fn all(&mut self, count: u64, first: u64) {
        let mut compiler = Compiler::default();
        for seed in first..first + count {
            self.random(&mut compiler, seed);
        }
        self.slow_paths_are_rare();
        let left_out = self.left_out;
        let failure = || format!("{left_out} functions are not compiled");
        self.count((u64::from(left_out) > count / 10).then(failure));
        regions::random(self, count, first);
        directed::arithmetic(self);
        directed::accesses(self);
        directed::groups(self);
    }
}

#[unsafe(no_mangle)]
extern "C" fn tinamou_main(argc: c_int, argv: *const *const c_char) -> c_int {
    let number = |index: usize, default: u64| {
        if index >= usize::try_from(argc).unwrap_or(0) {
            return default;
        }
        // SAFETY: C's `main` was given `argc` strings.
        let text = unsafe { CStr::from_ptr(*argv.add(index)) };
        text.to_str()
            .ok()
            .and_then(|t| t.parse().ok())
            .unwrap_or(default)
    };
    std::panic::set_hook(Box::new(|panic| {
        println!("{panic}");
        std::process::exit(101);
    }));
    let mut tests = Tests::new();
    tests.all(number(1, 3000), number(2, 1));
    println!("{} passed, {} failed", tests.passed, tests.failed);
    c_int::from(tests.failed != 0)
}

const _: () = assert!(common::MMU_IDX < 4);
