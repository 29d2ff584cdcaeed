//! Modules of random regions are valid, with and without tail calls, and what tiny regions become.
//! What they do is tested under Node (`tests/wasm32`).

mod common;

use common::regions::Made;
use common::*;
use tcg::builder::{Builder, global};
use tcg::ir::*;
use tcg::wasm32::{Module, ModuleBuilder, Options, Region, RegionBlock, RegionError, SlowPaths};
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
        tail_calls: true,
    }
}

fn tbs(count: usize) -> Vec<u32> {
    (0..count as u32).map(|n| 0x10_0000 + 0x100 * n).collect()
}

#[test]
fn modules_are_valid() {
    let helpers = helpers();
    for seed in 1..400u64 {
        let mut r = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut options = options(&helpers);
        options.tail_calls = !r.one_in(4);
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
