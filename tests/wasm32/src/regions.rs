//! Random regions of several blocks, against their blocks run one by one by the evaluator.

use std::sync::atomic::Ordering;

use tcg::builder::Builder;
use tcg::cpu_state::NO_EXCEPTION;
use tcg::eval::EvalExit;
use tcg::ir::*;
use tcg::tb::instance_offset;
use tcg::tci::CodeGenerator;
use tcg::wasm32::{LEAVE_MASK, Leave, ModuleBuilder, Options, TailCalls};
use tcg::{BlockInfo, CodeBuffer, TbHeader, liveness, optimize, printer};

use crate::common::outcome::{Outcome, Start, differ, outcome};
use crate::common::regions::{BLOCKS_MAX, Left, Link, Made};
use crate::common::{self, Env, Random};
use crate::machine;
use crate::program::Tests;

/// Ops to run at most: too few for loops to use up their budget...
const OPS_MAX: u32 = 1800;
/// ... and enough for that. Then all blocks must be entries, for nothing to be seen of it.
const OPS_MANY: u32 = 100_000;

/// What a run leaves behind.
#[derive(Debug, PartialEq)]
struct Run {
    left: Left,
    icount_left: i64,
    outcome: Outcome,
}

/// Headers for the blocks, and the place in the table for the function.
struct Place {
    _buffer: CodeBuffer,
    tbs: Vec<*const TbHeader>,
    helpers: Vec<HelperInfo>,
    slot: u32,
}

impl Place {
    fn new() -> Self {
        let mut buffer = CodeBuffer::new(1 << 20).expect("memory");
        let mut b = Builder::new(&common::globals());
        b.exit_tb(Type::I64, TbExit::Main);
        let block = CodeGenerator::default()
            .generate(&b.function, &[], &common::OPTIONS)
            .expect("small");
        let push = |_| -> *const TbHeader {
            buffer
                .push(&block, &BlockInfo::default())
                .expect("room")
                .as_ptr()
        };
        Self {
            tbs: (0..=BLOCKS_MAX).map(push).collect(),
            _buffer: buffer,
            helpers: common::helpers(),
            slot: machine::new_slot(),
        }
    }

    /// The addresses of the headers of so many blocks.
    fn addresses(&self, count: usize) -> Vec<u32> {
        self.tbs[..count]
            .iter()
            .map(|tb| tb.addr() as u32)
            .collect()
    }

    fn header(&self, number: usize) -> &TbHeader {
        // SAFETY: the headers live as long as the buffer.
        unsafe { &*self.tbs[number] }
    }

    /// Links the blocks' exits and gives the entries their instance.
    fn link(&self, made: &Made) {
        let outside = made.blocks.len();
        for (number, block) in made.blocks.iter().enumerate() {
            let header = self.header(number);
            let is_entry = made.entries.contains(&number);
            let instance = if is_entry { self.slot } else { 0 };
            header.wasm_instance[0].store(instance, Ordering::Relaxed);
            for (slot, link) in block.links.into_iter().enumerate() {
                match link {
                    Link::None => header.unlink(slot),
                    Link::Inside(to) | Link::Linked(to) => header.link(slot, self.tbs[to]),
                    Link::Outside => header.link(slot, self.tbs[outside]),
                }
            }
        }
        self.header(outside).wasm_instance[0].store(0, Ordering::Relaxed);
    }

    /// Runs the region's function; without tail calls also where it wants to go on at an entry.
    fn run(&self, env: &mut Env, made: &Made, options: &Options<'_>) -> Left {
        let mut at = made.start;
        loop {
            let result = machine::call(env, self.slot, self.tbs[at]);
            let left = self.left(env, made, result);
            match left {
                Left::Next(to)
                    if options.tail_calls == TailCalls::None && made.entries.contains(&to) =>
                {
                    at = to
                }
                _ => return left,
            }
        }
    }

    fn left(&self, env: &Env, made: &Made, result: u32) -> Left {
        let address = (result & !LEAVE_MASK) as usize;
        let number = self.tbs.iter().position(|tb| tb.addr() == address);
        let block = || number.expect("a header");
        match Leave::of(result) {
            Leave::Next | Leave::Loop => Left::Next(block()),
            Leave::Slot0 => Left::Slot(block(), 0),
            Leave::Slot1 => Left::Slot(block(), 1),
            Leave::Main => Left::Main,
            Leave::Lookup => Left::Lookup,
            Leave::Request => Left::Request(block()),
            Leave::Exception if env.state.exception == NO_EXCEPTION => Left::Exception(block()),
            Leave::Exception => {
                let ops = &made.blocks[block()].function.ops;
                let mut insns = ops.iter().filter_map(|op| match op.kind {
                    OpKind::InsnStart { pc, extra } => Some((pc, extra)),
                    _ => None,
                });
                let insn = insns.nth(env.state.fault_insn as usize);
                let (pc, extra) = insn.expect("the block has that instruction");
                Left::Raised(block(), pc, extra)
            }
        }
    }
}

/// What a run starts with, beside the state of all tests.
struct Conditions {
    start: Start,
    icount_left: i64,
    request: bool,
    budget: u32,
}

impl Conditions {
    fn prepare(&self, env: &mut Env, made: &Made, tbs: &[u32]) {
        self.start.prepare(env);
        made.fill_jump_cache(&mut env.state, tbs);
        env.state.icount_left = self.icount_left;
        env.state.tb_instance_offset = instance_offset(0);
        env.exit_request
            .store(self.request.into(), Ordering::Relaxed);
    }

    fn finish(env: &mut Env, left: Left) -> Run {
        env.exit_request.store(0, Ordering::Relaxed);
        Run {
            left,
            icount_left: env.state.icount_left,
            outcome: outcome(env, EvalExit::Exit(TbExit::Main)),
        }
    }

    fn evaluate(&self, env: &mut Env, made: &Made, place: &Place) -> Run {
        self.prepare(env, made, &place.addresses(made.blocks.len()));
        let left = match self.request {
            true => Left::Request(made.start),
            false => made.evaluate(env, &place.helpers, self.budget),
        };
        Self::finish(env, left)
    }
}

fn describe(made: &Made, got: &Run, expected: &Run) -> String {
    let mut text = format!("entries {:?}, start {}\n", made.entries, made.start);
    for (number, block) in made.blocks.iter().enumerate() {
        let (links, indirect) = (block.links, &block.indirect);
        text += &format!(
            "block {number} at {:#x}, cached {}\n",
            block.pc, block.cached
        );
        text += &format!(
            "links {links:?}, indirect {indirect:?}, {:?}\n",
            block.icount
        );
        text += &printer::print(&block.function, &common::globals(), &common::helpers());
    }
    let (left, icount) = (got.left, got.icount_left);
    text += &format!("{left:?} not {:?}, ", expected.left);
    text += &format!("icount {icount} not {}", expected.icount_left);
    differ(&text, &got.outcome, &expected.outcome)
}

/// So many random regions.
pub fn random(tests: &mut Tests, count: u64, first: u64) {
    let place = Place::new();
    let mut run = 0;
    for seed in first..first + count {
        let mut r = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut made = Made::new(&mut r);
        let all = r.one_in(4);
        if all {
            made.entries = (0..made.blocks.len()).collect();
        }
        let conditions = Conditions {
            start: Start::seeded(seed),
            icount_left: r.below(100) as i64,
            request: r.one_in(64),
            budget: if all { OPS_MANY } else { OPS_MAX },
        };
        let expected = conditions.evaluate(&mut tests.env, &made, &place);
        if expected.left == Left::OutOfBudget {
            continue;
        }
        run += 1;
        if r.one_in(2) {
            for block in &mut made.blocks {
                optimize::Optimizer::default().run(&mut block.function, &place.helpers);
                liveness::Liveness::default().run(&mut block.function, &place.helpers);
            }
        }
        let options = Options {
            tail_calls: tail_calls(&mut r),
            ..machine::options(&place.helpers)
        };
        let addresses = place.addresses(made.blocks.len());
        let mut module = ModuleBuilder::new(options);
        module.add(&made.region(&addresses)).expect("it is small");
        let module = module.finish();
        machine::install(&module.bytes, &module.functions, place.slot);
        place.link(&made);
        conditions.prepare(&mut tests.env, &made, &addresses);
        let left = place.run(&mut tests.env, &made, &options);
        let got = Conditions::finish(&mut tests.env, left);
        tests.count(
            (got != expected)
                .then(|| format!("region {seed}: {}", describe(&made, &got, &expected))),
        );
    }
    println!("regions: {run} of {count} end");
    tests.count((run < count / 2).then(|| "most regions do not end".into()));
}

/// Each way of going on in other regions, at random.
fn tail_calls(r: &mut Random) -> TailCalls {
    match r.below(3) {
        0 => TailCalls::None,
        1 => TailCalls::Table,
        _ => TailCalls::Chain,
    }
}
