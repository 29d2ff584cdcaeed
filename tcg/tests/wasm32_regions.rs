//! Modules of random regions are valid, with and without tail calls, and what tiny regions become.
//! What they do is tested under Node (`tests/wasm32`).

mod common;

use common::regions::Made;
use common::*;
use tcg::builder::{Builder, global};
use tcg::ir::*;
use tcg::wasm32::{
    Module, ModuleBuilder, Options, Region, RegionBlock, RegionError, SlowPaths, TailCalls,
};
use tcg::{liveness, optimize};

fn options(helpers: &[HelperInfo]) -> Options<'_> {
    Options {
        helpers,
        slow_paths: SlowPaths {
            load: 1001,
            store: 1002,
            load2: 1003,
            store2: 1004,
            cmpxchg: 1005,
            cmpxchg2: 1006,
            rmw: 1007,
        },
        pc_slot: PC as u8,
        tail_calls: TailCalls::Table,
    }
}

fn tbs(count: usize) -> Vec<u32> {
    (0..count as u32).map(|n| 0x10_0000 + 0x100 * n).collect()
}

/// Each way of going on in other regions, at random.
fn tail_calls(r: &mut Random) -> TailCalls {
    match r.below(3) {
        0 => TailCalls::None,
        1 => TailCalls::Table,
        _ => TailCalls::Chain,
    }
}

#[test]
fn modules_are_valid() {
    let helpers = helpers();
    for seed in 1..400u64 {
        let mut r = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut options = options(&helpers);
        options.tail_calls = tail_calls(&mut r);
        let mut builder = ModuleBuilder::new(options);
        let count = 1 + r.below(3);
        for number in 0..count {
            let mut made = Made::new(&mut r);
            if r.one_in(2) {
                for block in &mut made.blocks {
                    optimize::Optimizer::default().run(&mut block.function, &helpers);
                    liveness::Liveness::default().run(&mut block.function, &helpers);
                }
            }
            let region = made.region(&tbs(made.blocks.len()));
            assert_eq!(builder.add(&region), Ok(number));
        }
        let module = builder.finish();
        assert_eq!(module.count, count);
        wasmparser::validate(&module.bytes).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
}

/// A chain of blocks, each of which ends in a loop over itself: deep nesting, many loops.
fn chain(count: usize) -> Result<Module, RegionError> {
    let mut b = Builder::new(&globals());
    let label = b.new_label();
    b.brcond(Type::I64, global(0), global(1), Cond::Eq, label);
    b.goto_tb(Type::I64, 0);
    b.exit_tb(Type::I64, TbExit::Slot(0));
    b.set_label(Type::I64, label);
    b.goto_tb(Type::I64, 1);
    b.exit_tb(Type::I64, TbExit::Slot(1));
    let block = |number: usize| RegionBlock {
        tb: 0x10_0000 + 0x100 * number as u32,
        pc: 0x1000,
        function: &b.function,
        icount: None,
        direct: [Some((number + 1) % count), Some(number)],
        indirect: Vec::new(),
    };
    let helpers = helpers();
    let mut builder = ModuleBuilder::new(options(&helpers));
    let region = Region {
        blocks: (0..count).map(block).collect(),
        entries: vec![0, count / 2],
    };
    builder.add(&region)?;
    Ok(builder.finish())
}

#[test]
fn large_regions() {
    let module = chain(600).expect("600 blocks fit");
    wasmparser::validate(&module.bytes).expect("the module is valid");
    assert_eq!(chain(5000).err(), Some(RegionError::TooLarge));
}

/// The instructions of a module's only function, one a line; offsets in memory are left out.
fn text(wasm: &[u8]) -> String {
    use wasmparser::{Operator as O, Parser, Payload};
    let mut text = String::new();
    let mut depth = 0;
    let bodies = Parser::new(0)
        .parse_all(wasm)
        .filter_map(|payload| match payload {
            Ok(Payload::CodeSectionEntry(body)) => Some(body),
            _ => None,
        });
    for body in bodies {
        let mut operators = body.get_operators_reader().expect("a body");
        while !operators.eof() {
            let operator = operators.read().expect("an instruction");
            depth -= usize::from(matches!(operator, O::End | O::Else) && depth > 0);
            let mut line = format!("{operator:?}");
            if let Some(at) = line.find(" { memarg").or(line.find(" { blockty")) {
                line.truncate(at);
            }
            text += &format!("{}{line}\n", "  ".repeat(depth));
            let opens = matches!(operator, O::Block { .. } | O::Loop { .. } | O::If { .. });
            depth += usize::from(opens || matches!(operator, O::Else));
        }
    }
    text
}

/// Compares the code of a region of one block with a file. `BLESS=1` writes the file.
fn check(name: &str, b: &Builder, direct: [Option<usize>; 2], indirect: Vec<usize>) {
    let helpers = helpers();
    let mut builder = ModuleBuilder::new(options(&helpers));
    let block = RegionBlock {
        tb: 0x1000,
        pc: 0x8000_0000,
        function: &b.function,
        icount: None,
        direct,
        indirect,
    };
    let region = Region {
        blocks: vec![block],
        entries: vec![0],
    };
    assert_eq!(builder.add(&region), Ok(0));
    let got = text(&builder.finish().bytes);
    let path = format!("{}/tests/golden/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &got).expect("the folder can be written to");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(got, expected, "{path} is otherwise; the code is\n{got}");
}

/// Counts g0 down and starts again until it is 0.
#[test]
fn a_loop() {
    let mut b = Builder::new(&globals());
    let (one, zero) = (b.constant(Type::I64, 1), b.constant(Type::I64, 0));
    let label = b.new_label();
    b.insn_start(Type::I64, 0x8000_0000, 0);
    b.sub(Type::I64, global(0), global(0), one);
    b.brcond(Type::I64, global(0), zero, Cond::Ne, label);
    b.exit_tb(Type::I64, TbExit::Main);
    b.set_label(Type::I64, label);
    b.goto_tb(Type::I64, 0);
    b.exit_tb(Type::I64, TbExit::Slot(0));
    check("region-loop", &b, [Some(0), None], Vec::new());
}

/// A load that may fault, an exit that may be linked, a jump that may lead to the block itself.
#[test]
fn ways_out() {
    let mut b = Builder::new(&globals());
    let label = b.new_label();
    let pc = b.constant(Type::I64, 0x8000_0010);
    let oi = MemOpIdx::new(MemOp::UQ, MMU_IDX);
    b.insn_start(Type::I64, 0x8000_0000, 0);
    b.mov(Type::I64, global(1), global(2));
    b.insn_start(Type::I64, 0x8000_0004, 0);
    b.qemu_ld(Type::I64, global(0), global(1), oi);
    b.brcond(Type::I64, global(0), global(1), Cond::Ne, label);
    b.goto_tb(Type::I64, 1);
    b.mov(Type::I64, global(PC), pc);
    b.exit_tb(Type::I64, TbExit::Slot(1));
    b.set_label(Type::I64, label);
    b.mov(Type::I64, global(PC), global(3));
    b.goto_ptr(Type::I64);
    check("region-exits", &b, [None; 2], vec![0]);
}
