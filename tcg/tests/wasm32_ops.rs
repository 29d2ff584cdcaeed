//! Every op's WebAssembly is valid, for operands of all kinds. What it computes is tested under
//! Node (`tests/wasm32`).

mod common;

use std::collections::HashMap;

use common::maker::make;
use common::plain::{Plain, assemble};
use common::*;
use tcg::builder::Function;
use tcg::cpu_state::MMU_MODES;
use tcg::ir::*;
use tcg::wasm32::body::Body;
use tcg::wasm32::imports::Imports;
use tcg::wasm32::ops::{self, Context, FaultExit};
use tcg::wasm32::{Options, SlowPaths, TailCalls};
use wasm_encoder::{BlockType, ValType};

const OPTIONS: fn(&[HelperInfo]) -> Options<'_> = |helpers| Options {
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
    tail_calls: TailCalls::None,
};

fn is_emitted(op: &Op) -> bool {
    !matches!(
        op.kind,
        OpKind::SetLabel { .. }
            | OpKind::Br { .. }
            | OpKind::Brcond { .. }
            | OpKind::InsnStart { .. }
            | OpKind::GotoTb { .. }
            | OpKind::GotoPtr {}
            | OpKind::ExitTb { .. }
    )
}

/// A module with the code of one op.
fn module(function: &Function, op: &Op) -> Vec<u8> {
    let helpers = helpers();
    let options = OPTIONS(&helpers);
    let mut body = Body::default();
    let mut imports = Imports::default();
    let mut locals = Plain::new(function);
    let (leave, insn) = (body.new_local(ValType::I32), body.new_local(ValType::I32));
    let frame = body.open_block(BlockType::Empty);
    let mut cx = Context {
        body: &mut body,
        locals: &mut locals,
        imports: &mut imports,
        options: &options,
        function,
        fault: FaultExit {
            frame,
            leave,
            insn,
            leave_value: 0x1234_5606,
            insn_index: 3,
        },
        member: None,
    };
    ops::emit(&mut cx, op);
    body.close();
    body.get(leave);
    assemble(&imports, body.finish_with_hints())
}

fn check(function: &Function, op: &Op) {
    let wasm = module(function, op);
    if let Err(error) = wasmparser::validate(&wasm) {
        panic!("{op:?}: {error}\n{wasm:02x?}");
    }
}

/// The ops of random functions, which have operands of all kinds, each by itself.
#[test]
fn ops_are_valid() {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for seed in 1..1500u64 {
        let mut r = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let function = make(&mut r);
        for op in function.ops.iter().filter(|op| is_emitted(op)) {
            *seen.entry(op.kind.name()).or_default() += 1;
            check(&function, op);
        }
    }
    // All but the seven that the region emits.
    macro_rules! names {
        ($($name:ident = $variant:ident { $($rest:tt)* } [$($flag:ident),*];)*) => {
            [$(stringify!($name)),*]
        };
    }
    let missing: Vec<_> = tcg::for_each_op!(names)
        .into_iter()
        .filter(|name| seen.get(name).is_none_or(|count| *count < 10))
        .collect();
    assert_eq!(
        missing,
        [
            "set_label",
            "br",
            "brcond",
            "insn_start",
            "goto_tb",
            "goto_ptr",
            "exit_tb"
        ]
    );
}

/// Modes that have no TLB, and accesses wider than the op's type.
#[test]
fn odd_accesses_are_valid() {
    for mem in (0..128).map(MemOp).filter(|mem| mem.bytes() <= 16) {
        for mode in [0, MMU_MODES as u8 - 1, MMU_MODES as u8] {
            for ty in [Type::I32, Type::I64] {
                let oi = MemOpIdx::new(mem, mode);
                let mut b = tcg::builder::Builder::new(&globals());
                let (addr, v) = (b.new_temp(Type::I64), b.new_temp(ty));
                b.qemu_ld(ty, v, addr, oi);
                b.qemu_st(ty, v, addr, oi);
                b.atomic_cmpxchg(ty, v, addr, v, v, oi);
                b.atomic_rmw(ty, v, addr, v, RmwOp::Add, oi);
                b.atomic_rmw(ty, v, addr, v, RmwOp::Smin, oi);
                b.ld(ty, v, -8, mem);
                b.st(ty, v, SCRATCH, mem);
                for op in &b.function.ops {
                    check(&b.function, op);
                }
            }
        }
    }
}

/// Whole functions, as the test under Node has them.
#[test]
fn functions_are_valid() {
    let helpers = helpers();
    for seed in 1..300u64 {
        let function = make(&mut Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1));
        let (wasm, _) = common::plain::compile(&function, 0x1000, &OPTIONS(&helpers));
        wasmparser::validate(&wasm).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
}
