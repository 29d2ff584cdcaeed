//! Every pure op, both types, all pairs of corner values, with operands in registers and as
//! constants: the compiled block against the evaluator; and what the op table promises about odd
//! cases, spelled out.
#![allow(unsafe_code, reason = "runs generated code")]

mod common;

use common::*;
use tcg::arith::{binary_inputs, evaluate};
use tcg::builder::{Builder, Function, GlobalInfo};
use tcg::ir::*;
use tcg::tci::CodeGenerator;
use tcg::{BlockInfo, CodeBuffer, CompiledBlock, Compiler, Exit, tci};

const CONDS: [Cond; 14] = [
    Cond::Eq,
    Cond::Ne,
    Cond::Lt,
    Cond::Ge,
    Cond::Le,
    Cond::Gt,
    Cond::Ltu,
    Cond::Geu,
    Cond::Leu,
    Cond::Gtu,
    Cond::TstEq,
    Cond::TstNe,
    Cond::Always,
    Cond::Never,
];

/// Outputs of the op under test go to temps 4 and 5, inputs are temps 0 to 3.
const D: Temp = Temp(4);
const E: Temp = Temp(5);

/// Pure ops with two inputs a, b (temps 0, 1) and perhaps t, f (temps 2, 3).
fn kinds() -> Vec<OpKind> {
    let (d, a, b) = (D, Temp(0), Temp(1));
    let mut all = vec![
        OpKind::Add { d, a, b },
        OpKind::Sub { d, a, b },
        OpKind::Mul { d, a, b },
        OpKind::Muluh { d, a, b },
        OpKind::Mulsh { d, a, b },
        OpKind::Mulsuh { d, a, b },
        OpKind::Divs { d, a, b },
        OpKind::Divu { d, a, b },
        OpKind::Rems { d, a, b },
        OpKind::Remu { d, a, b },
        OpKind::And { d, a, b },
        OpKind::Or { d, a, b },
        OpKind::Xor { d, a, b },
        OpKind::Andc { d, a, b },
        OpKind::Orc { d, a, b },
        OpKind::Eqv { d, a, b },
        OpKind::Shl { d, a, b },
        OpKind::Shr { d, a, b },
        OpKind::Sar { d, a, b },
        OpKind::Rotl { d, a, b },
        OpKind::Rotr { d, a, b },
        OpKind::Clz { d, a, b },
        OpKind::Ctz { d, a, b },
    ];
    assert!(all.iter().all(|k| binary_inputs(*k) == Some((a, b))));
    all.extend(other_kinds());
    all
}

fn other_kinds() -> Vec<OpKind> {
    let (d, a, b) = (D, Temp(0), Temp(1));
    let mut all = Vec::new();
    for cond in CONDS {
        all.push(OpKind::Setcond { d, a, b, cond });
        all.push(OpKind::Negsetcond { d, a, b, cond });
        all.push(OpKind::Movcond {
            d,
            a,
            b,
            t: Temp(2),
            f: Temp(3),
            cond,
        });
    }
    all.extend(unary_and_pairs());
    all
}

fn unary_and_pairs() -> Vec<OpKind> {
    let (d, a, b) = (D, Temp(0), Temp(1));
    vec![
        OpKind::Mov { d, a },
        OpKind::Neg { d, a },
        OpKind::Not { d, a },
        OpKind::Ctpop { d, a },
        OpKind::Bswap16 { d, a },
        OpKind::Bswap32 { d, a },
        OpKind::Bswap64 { d, a },
        OpKind::Add2 {
            dl: D,
            dh: E,
            al: a,
            ah: b,
            bl: Temp(2),
            bh: Temp(3),
        },
        OpKind::Sub2 {
            dl: D,
            dh: E,
            al: a,
            ah: b,
            bl: Temp(2),
            bh: Temp(3),
        },
        OpKind::Mulu2 { dl: D, dh: E, a, b },
        OpKind::Muls2 { dl: D, dh: E, a, b },
        // Temp 2 is 1, temp 3 is 0.
        OpKind::Addc {
            d: D,
            co: E,
            a,
            b,
            ci: Temp(2),
        },
        OpKind::Addc {
            d: D,
            co: E,
            a,
            b,
            ci: Temp(3),
        },
        OpKind::Subb {
            d: D,
            bo: E,
            a,
            b,
            bi: Temp(2),
        },
        OpKind::Subb {
            d: D,
            bo: E,
            a,
            b,
            bi: Temp(3),
        },
    ]
}

fn fields(ty: Type) -> Vec<OpKind> {
    let (d, a, b) = (D, Temp(0), Temp(1));
    let width = ty.bits() as u8;
    let pairs = (0..width).flat_map(|pos| (1..=width - pos).map(move |len| (pos, len)));
    pairs
        .filter(|(pos, len)| {
            let corner = |n: u8| n < 3 || n % 8 < 2 || width - n < 3;
            corner(*pos) && corner(*len)
        })
        .flat_map(|(pos, len)| {
            [
                OpKind::Extract { d, a, pos, len },
                OpKind::Sextract { d, a, pos, len },
                OpKind::Deposit { d, a, b, pos, len },
            ]
        })
        .collect()
}

fn table(ty: Type) -> Vec<GlobalInfo> {
    (0..6)
        .map(|slot| GlobalInfo {
            name: "g",
            slot,
            ty,
        })
        .collect()
}

/// The function `op; exit`, with some inputs replaced by constants.
fn function(kind: OpKind, ty: Type, constants: [Option<u64>; 2]) -> Function {
    let mut b = Builder::new(&table(ty));
    let replace = constants.map(|c| c.map(|value| b.constant(ty, value)));
    let mut op = Op { kind, ty };
    op.kind.inputs(|t| {
        if let Some(Some(constant)) = replace.get(usize::from(t.0)) {
            *t = *constant;
        }
    });
    b.function.ops.push(op);
    b.exit_tb(Type::I64, TbExit::Main);
    b.function
}

struct Machine {
    env: Env,
    buffer: CodeBuffer,
    compiler: Compiler,
}

impl Machine {
    fn run(&mut self, block: &CompiledBlock, values: [u64; 4]) -> [u64; 2] {
        self.env.state.slots[..4].copy_from_slice(&values);
        // SAFETY: nothing runs, no address is kept.
        unsafe { self.buffer.reset() };
        let tb = self
            .buffer
            .push(block, &BlockInfo::default())
            .expect("room");
        // SAFETY: the block was made for this environment.
        let exit = unsafe { tci::exec(&mut self.env, tb.as_ptr()) };
        assert_eq!(exit, Exit::Main);
        [self.env.state.slots[4], self.env.state.slots[5]]
    }

    fn check(&mut self, kind: OpKind, ty: Type, constants: [Option<u64>; 2]) {
        let function = function(kind, ty, constants);
        let plain = CodeGenerator::default()
            .generate(&function, &[], &OPTIONS)
            .expect("it is small");
        let mut optimized = function.clone();
        let block = self
            .compiler
            .compile(&mut optimized, &[], &OPTIONS)
            .expect("it is small");
        let mut outputs = 0;
        let mut op = kind;
        op.outputs(|_| outputs += 1);
        let values = |fixed: Option<u64>| match fixed {
            Some(value) => vec![value],
            None => CORNERS.to_vec(),
        };
        for a in values(constants[0]) {
            for b in values(constants[1]) {
                let mask = if ty == Type::I32 { 0xffff_ffff } else { !0 };
                let inputs = [a & mask, b & mask, 1, 0];
                let (first, second) =
                    evaluate(kind, ty, |t| inputs[usize::from(t.0)]).expect("it is pure");
                for (name, block) in [("plain", &plain), ("optimized", &block)] {
                    let got = self.run(block, inputs);
                    let what = || {
                        let text = tci::disas::disassemble(&block.code);
                        format!("{kind:?} {ty:?} of {inputs:x?} {constants:x?}, {name}\n{text}")
                    };
                    assert_eq!(got[0], first, "{}", what());
                    assert!(outputs == 1 || got[1] == second, "{}", what());
                }
            }
        }
    }
}

fn machine() -> Machine {
    let buffer = CodeBuffer::new(1 << 20).expect("memory");
    Machine {
        env: Env::new(),
        buffer,
        compiler: Compiler::default(),
    }
}

#[test]
fn registers() {
    let mut machine = machine();
    for ty in [Type::I64, Type::I32] {
        for kind in kinds().into_iter().chain(fields(ty)) {
            machine.check(kind, ty, [None, None]);
        }
    }
}

#[test]
fn constants() {
    let mut machine = machine();
    for ty in [Type::I64, Type::I32] {
        for kind in kinds() {
            for value in CORNERS {
                machine.check(kind, ty, [Some(value), None]);
                machine.check(kind, ty, [None, Some(value)]);
            }
            machine.check(kind, ty, [Some(!0), Some(3)]);
        }
    }
}

#[test]
fn changes_of_width() {
    let mut machine = machine();
    type Method = fn(&mut Builder, Type, Temp, Temp);
    type Row = (Method, Type, fn(u64) -> u64);
    let cases: [Row; 4] = [
        (Builder::extrl, Type::I32, |a| a & 0xffff_ffff),
        (Builder::extrh, Type::I32, |a| a >> 32),
        (Builder::exts, Type::I64, |a| a as i32 as u64),
        (Builder::extu, Type::I64, |a| a as u32 as u64),
    ];
    for (method, to, expected) in cases {
        let from = if to == Type::I32 {
            Type::I64
        } else {
            Type::I32
        };
        let mut table = table(from);
        table[4].ty = to;
        let mut b = Builder::new(&table);
        method(&mut b, to, D, Temp(0));
        b.exit_tb(Type::I64, TbExit::Main);
        let block = machine
            .compiler
            .compile(&mut b.function, &[], &OPTIONS)
            .expect("small");
        for a in CORNERS {
            let a = if from == Type::I32 {
                a & 0xffff_ffff
            } else {
                a
            };
            assert_eq!(machine.run(&block, [a, 0, 0, 0])[0], expected(a));
        }
    }
}

/// What the op table says about cases that hosts disagree on.
#[test]
fn odd_cases() {
    fn check(kind: fn(Temp, Temp, Temp) -> OpKind, ty: Type, a: u64, b: u64, expected: u64) {
        let kind = kind(D, Temp(0), Temp(1));
        let got = evaluate(kind, ty, |t| [a, b][usize::from(t.0)]).map(|r| r.0);
        assert_eq!(got, Some(expected), "{kind:?} {ty:?} {a:#x} {b:#x}");
    }
    macro_rules! kind {
        ($variant:ident) => {
            |d, a, b| OpKind::$variant { d, a, b }
        };
    }
    let (min, min32) = (1 << 63, 1 << 31);
    check(kind!(Divs), Type::I64, 7, 0, !0);
    check(kind!(Divu), Type::I64, 7, 0, !0);
    check(kind!(Rems), Type::I64, 7, 0, 7);
    check(kind!(Remu), Type::I64, 7, 0, 7);
    check(kind!(Divs), Type::I64, min, !0, min);
    check(kind!(Rems), Type::I64, min, !0, 0);
    check(kind!(Divs), Type::I32, min32, 0xffff_ffff, min32);
    check(kind!(Rems), Type::I32, min32, 0xffff_ffff, 0);
    check(kind!(Divu), Type::I32, 7, 0, 0xffff_ffff);
    check(kind!(Divs), Type::I32, 0xffff_fff9, 2, 0xffff_fffd);
    check(kind!(Shl), Type::I64, 1, 65, 2);
    check(kind!(Shr), Type::I32, min32, 33, 1 << 30);
    check(kind!(Sar), Type::I32, min32, 31, 0xffff_ffff);
    check(kind!(Rotr), Type::I32, 1, 1, min32);
    check(kind!(Clz), Type::I32, 1, 99, 31);
    check(kind!(Clz), Type::I64, 0, 99, 99);
    check(kind!(Ctz), Type::I32, 0, 32, 32);
    check(kind!(Mulsh), Type::I64, min, min, 1 << 62);
    check(kind!(Mulsuh), Type::I64, !0, !0, !0);
    check(
        kind!(Mulsuh),
        Type::I32,
        0xffff_ffff,
        0xffff_ffff,
        0xffff_ffff,
    );
    check(kind!(Muluh), Type::I64, !0, !0, !0 - 1);
}
