//! Runs a function from a seeded state, in the evaluator or the interpreter; says what came out.

use super::*;
use tcg::builder::{Builder, Function};
use tcg::eval::{EvalExit, Evaluator};
use tcg::tci::{self, CodeGenerator};
use tcg::{BlockInfo, CodeBuffer, CompiledBlock, Exit, compile};

/// Everything that must come out alike.
#[derive(Debug, PartialEq)]
pub struct Outcome {
    pub exit: EvalExit,
    pub exception: i64,
    pub slots: Vec<u64>,
    pub scratch: [u64; 4],
    pub memory: Vec<u64>,
}

/// What a function starts with.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// Decides about everything that is not given.
    pub seed: u64,
    /// The I64 globals.
    pub globals: Option<[u64; I64_GLOBALS as usize]>,
    /// See [`Env::fill`].
    pub fill: Option<bool>,
    /// Exits that are linked.
    pub linked: [bool; 2],
}

impl Start {
    pub fn seeded(seed: u64) -> Self {
        Self {
            seed,
            globals: None,
            fill: None,
            linked: [seed & 1 != 0, seed & 2 != 0],
        }
    }

    pub fn prepare(&self, env: &mut Env) {
        let mut r = Random(self.seed | 1);
        for (slot, value) in env.state.slots[..GLOBALS].iter_mut().enumerate() {
            *value = r.number();
            if (8..10).contains(&slot) {
                *value &= 0xffff_ffff;
            }
        }
        if let Some(globals) = self.globals {
            env.state.slots[..globals.len()].copy_from_slice(&globals);
        }
        for word in &mut env.memory {
            *word = r.next() >> (r.0 % 64);
        }
        *env.scratch() = std::array::from_fn(|_| r.next());
        env.state.exception = NO_EXCEPTION;
        let fill = r.one_in(2);
        env.fill = self.fill.unwrap_or(fill);
        env.flush();
    }
}

pub fn outcome(env: &mut Env, exit: EvalExit) -> Outcome {
    Outcome {
        exit,
        exception: env.state.exception,
        slots: env.state.slots[..GLOBALS].to_vec(),
        scratch: *env.scratch(),
        memory: env.memory.clone(),
    }
}

pub fn evaluate(env: &mut Env, start: &Start, function: &Function) -> Outcome {
    start.prepare(env);
    let helpers = helpers();
    let mut evaluator = Evaluator {
        env,
        helpers: &helpers,
        linked: start.linked,
        budget: 10_000,
    };
    // SAFETY: the function was made for this environment.
    let exit = unsafe { evaluator.run(function) };
    outcome(env, exit)
}

/// Exits that are linked lead to blocks that leave at once, by which they are known.
pub fn interpret(env: &mut Env, start: &Start, block: &CompiledBlock) -> Outcome {
    start.prepare(env);
    let mut buffer = CodeBuffer::new(1 << 20).expect("memory");
    let mut b = Builder::new(&globals());
    b.exit_tb(Type::I64, TbExit::Slot(0));
    let leave = CodeGenerator::default()
        .generate(&b.function, &[], &OPTIONS)
        .expect("small");
    let mut push = |block: &CompiledBlock| -> *const TbHeader {
        buffer
            .push(block, &BlockInfo::default())
            .expect("room")
            .as_ptr()
    };
    let ends = [push(&leave), push(&leave)];
    let tb = push(block);
    for (slot, end) in ends.into_iter().enumerate() {
        if start.linked[slot] {
            // SAFETY: the header lives in the buffer.
            unsafe { (*tb).link(slot, end) };
        }
    }
    // SAFETY: the block was made for this environment.
    let exit = match unsafe { tci::exec(env, tb) } {
        Exit::Slot { tb: at, slot } if at == tb => EvalExit::Exit(TbExit::Slot(slot)),
        Exit::Slot { tb: at, .. } => EvalExit::GotoTb(u8::from(at == ends[1])),
        Exit::Main => EvalExit::Exit(TbExit::Main),
        Exit::Lookup => EvalExit::GotoPtr,
        Exit::Request { .. } | Exit::Hot { .. } => panic!("nothing was requested"),
        Exit::ExceptionAt { .. } => panic!("the interpreter knows the position"),
        Exit::Exception { position, .. } => {
            if env.state.exception == NO_EXCEPTION {
                EvalExit::Exit(TbExit::Exception)
            } else {
                let (pc, extra) = compile::find_insn(&block.insns, position).expect("in range");
                EvalExit::Exception { pc, extra }
            }
        }
    };
    outcome(env, exit)
}

pub fn differ(text: &str, got: &Outcome, expected: &Outcome) -> String {
    let memory: Vec<_> = (0..)
        .zip(got.memory.iter().zip(&expected.memory))
        .filter(|(_, (g, e))| g != e)
        .map(|(i, (g, e))| format!("{:#x}: {g:#x} not {e:#x}", BASE + 8 * i as u64))
        .collect();
    format!(
        "{text}\nexit {:?} not {:?}, exception {} not {}\nslots {:x?}\n  not {:x?}\n{memory:?}",
        got.exit, expected.exit, got.exception, expected.exception, got.slots, expected.slots
    )
}
