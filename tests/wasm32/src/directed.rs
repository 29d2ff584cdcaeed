//! Tests with a system: each arithmetic op on all pairs of corner values, each kind of memory
//! access at each kind of address.

use tcg::builder::{Builder, Function, global};
use tcg::ir::*;

use crate::common::maker::{CONDS, RMW};
use crate::common::outcome::{Start, evaluate};
use crate::common::{BASE, CORNERS, DEVICE, I64_GLOBALS, PAGE, READ_ONLY, globals, oi};
use crate::program::Tests;

const A: Temp = global(0);
const B: Temp = global(1);
const C: Temp = global(2);
const RESULT: Temp = global(3);
const RESULT_HIGH: Temp = global(4);
/// Address of an access that fills the TLB in front of the one under test.
const PRIME: Temp = global(5);
/// What that access loads.
const PRIMED: Temp = global(6);
const I64: Type = Type::I64;
const I32: Type = Type::I32;

/// Puts `result` of type `ty` in a global.
fn keep(b: &mut Builder, ty: Type, d: Temp, result: Temp) {
    match ty {
        Type::I32 => b.extu(I64, d, result),
        Type::I64 => b.mov(I64, d, result),
    }
}

/// Ops of two results are given both; `make` gets type, results, and three operands.
fn operation(ty: Type, make: impl Fn(&mut Builder, Type, [Temp; 2], [Temp; 3])) -> Function {
    let mut b = Builder::new(&globals());
    b.insn_start(I64, 0x1000, 0);
    let inputs = [A, B, C].map(|global| match ty {
        Type::I64 => global,
        Type::I32 => {
            let narrow = b.new_temp(I32);
            b.extrl(I32, narrow, global);
            narrow
        }
    });
    let results = [b.new_temp(ty), b.new_temp(ty)];
    let zero = b.constant(ty, 0);
    b.mov(ty, results[1], zero);
    make(&mut b, ty, results, inputs);
    keep(&mut b, ty, RESULT, results[0]);
    keep(&mut b, ty, RESULT_HIGH, results[1]);
    b.exit_tb(I64, TbExit::Main);
    b.function
}

type Make = Box<dyn Fn(&mut Builder, Type, [Temp; 2], [Temp; 3])>;

/// All pure ops of two or three operands.
fn operations() -> Vec<(String, Make)> {
    let mut all: Vec<(String, Make)> = Vec::new();
    macro_rules! two {
        ($($name:ident)*) => {
            $(all.push((stringify!($name).into(), Box::new(|b, ty, [d, _], [x, y, _]| {
                b.$name(ty, d, x, y)
            })));)*
        };
    }
    macro_rules! one {
        ($($name:ident)*) => {
            $(all.push((stringify!($name).into(), Box::new(|b, ty, [d, _], [x, _, _]| {
                b.$name(ty, d, x)
            })));)*
        };
    }
    two! {
        add sub mul muluh mulsh mulsuh divs divu rems remu and or xor andc orc eqv shl shr sar
        rotl rotr clz ctz
    }
    one! { mov neg not ctpop bswap16 bswap32 bswap64 }
    let mut pair = |name: &str, make: Make| all.push((name.into(), make));
    pair(
        "add2",
        Box::new(|b, ty, [d, e], [x, y, z]| b.add2(ty, d, e, x, y, z, x)),
    );
    pair(
        "sub2",
        Box::new(|b, ty, [d, e], [x, y, z]| b.sub2(ty, d, e, x, y, z, x)),
    );
    pair(
        "mulu2",
        Box::new(|b, ty, [d, e], [x, y, _]| b.mulu2(ty, d, e, x, y)),
    );
    pair(
        "muls2",
        Box::new(|b, ty, [d, e], [x, y, _]| b.muls2(ty, d, e, x, y)),
    );
    pair(
        "addc",
        Box::new(|b, ty, [d, e], [x, y, z]| b.addc(ty, d, e, x, y, z)),
    );
    pair(
        "subb",
        Box::new(|b, ty, [d, e], [x, y, z]| b.subb(ty, d, e, x, y, z)),
    );
    for cond in CONDS.into_iter().chain([Cond::Always, Cond::Never]) {
        all.push((
            format!("compare {cond:?}"),
            Box::new(move |b, ty, [d, e], [x, y, z]| {
                let (t, u) = (b.new_temp(ty), b.new_temp(ty));
                b.setcond(ty, t, x, y, cond);
                b.negsetcond(ty, u, x, y, cond);
                b.movcond(ty, e, x, y, z, x, cond);
                b.xor(ty, d, t, u);
            }),
        ));
    }
    all.extend(fields());
    all.extend(constants());
    all
}

/// Bit fields at every border.
fn fields() -> Vec<(String, Make)> {
    let mut all: Vec<(String, Make)> = Vec::new();
    for (pos, len) in [
        (0, 1),
        (0, 7),
        (0, 8),
        (0, 16),
        (0, 31),
        (0, 32),
        (8, 8),
        (16, 16),
        (24, 8),
        (31, 1),
        (3, 17),
        (0, 63),
        (0, 64),
        (32, 32),
        (16, 32),
        (63, 1),
        (5, 40),
    ] {
        all.push((
            format!("fields {pos} {len}"),
            Box::new(move |b, ty, [d, e], [x, y, _]| {
                if u32::from(pos + len) > ty.bits() {
                    return b.mov(ty, d, x);
                }
                let t = b.new_temp(ty);
                b.extract(ty, t, x, pos, len);
                b.sextract(ty, d, x, pos, len);
                b.xor(ty, d, d, t);
                b.deposit(ty, e, x, y, pos, len);
            }),
        ));
    }
    all
}

/// Ops whose code depends on an operand that is a constant.
fn constants() -> Vec<(String, Make)> {
    type Method = fn(&mut Builder, Type, Temp, Temp, Temp);
    const METHODS: [Method; 12] = [
        Builder::divs,
        Builder::divu,
        Builder::rems,
        Builder::remu,
        Builder::andc,
        Builder::orc,
        Builder::eqv,
        Builder::clz,
        Builder::ctz,
        Builder::mulsh,
        Builder::shl,
        Builder::rotr,
    ];
    let mut all: Vec<(String, Make)> = Vec::new();
    for value in [0, 1, 3, 32, 64, 0xffff_ffff, !0] {
        all.push((
            format!("constant {value:#x}"),
            Box::new(move |b, ty, [d, e], [x, ..]| {
                let value = b.constant(ty, value);
                b.mov(ty, d, x);
                for method in METHODS {
                    let t = b.new_temp(ty);
                    method(b, ty, t, x, value);
                    b.xor(ty, d, d, t);
                    b.rotl(ty, d, d, value);
                    b.add(ty, d, d, t);
                }
                b.setcond(ty, e, x, value, Cond::Eq);
                b.addc(ty, d, e, d, x, value);
            }),
        ));
    }
    all
}

/// A start with these operands.
fn with(a: u64, b: u64, c: u64, prime: u64) -> Start {
    let mut globals = [0x5555_5555_5555_5555; I64_GLOBALS as usize];
    globals[0] = a;
    globals[1] = b;
    globals[2] = c;
    globals[5] = prime;
    Start {
        globals: Some(globals),
        fill: Some(true),
        linked: [false; 2],
        ..Start::seeded(1)
    }
}

/// Each op, in both widths, on all pairs of corner values.
pub fn arithmetic(tests: &mut Tests) {
    for (name, make) in operations() {
        for ty in [I32, I64] {
            let function = operation(ty, &make);
            tests.machine.compile_plain(&function);
            let pairs = CORNERS.iter().flat_map(|a| CORNERS.map(|b| (*a, b)));
            let failure = pairs.enumerate().find_map(|(i, (a, b))| {
                let start = with(a, b, CORNERS[i % CORNERS.len()], 0);
                let expected = evaluate(&mut tests.env, &start, &function);
                tests.differs(&start, &function, &expected)
            });
            tests.count(failure.map(|text| format!("{name} {ty:?}: {text}")));
        }
    }
}

/// Addresses of every kind: whole and odd ones in each page, across each border, nowhere.
fn addresses() -> Vec<u64> {
    let mut all = vec![0, !0, !7, 1 << 63, BASE - 4096, BASE | 1 << 32];
    for page in 0..=4 {
        let page = BASE + page * PAGE;
        all.extend([0, 1, 2, 3, 4, 6, 8, 12, 0x7f8].map(|offset| page + offset));
        all.extend([1, 2, 3, 4, 7, 8, 15, 16].map(|before| page - before));
    }
    all
}

/// One access at A, after one that fills the TLB.
fn access(make: &dyn Fn(&mut Builder)) -> Function {
    let mut b = Builder::new(&globals());
    b.insn_start(I64, 0x1000, 0);
    b.qemu_ld(I64, PRIMED, PRIME, oi(MemOp::UB));
    b.insn_start(I64, 0x1002, 1);
    make(&mut b);
    b.insn_start(I64, 0x1004, 2);
    b.exit_tb(I64, TbExit::Main);
    b.function
}

/// Runs an access at all addresses, with the page in the TLB and not.
fn check_access(tests: &mut Tests, name: &str, mem: MemOp, make: &dyn Fn(&mut Builder)) {
    let bytes = mem.bytes() as u32;
    let function = access(make);
    tests.machine.compile_plain(&function);
    let failure = addresses().into_iter().find_map(|address| {
        let page = address & !(PAGE - 1);
        let known = [BASE, BASE + PAGE, READ_ONLY, DEVICE].contains(&page);
        let primes = [BASE, if known { page } else { READ_ONLY }];
        primes.into_iter().enumerate().find_map(|(i, prime)| {
            let value = CORNERS[address as usize % CORNERS.len()] ^ 0x8182_8384_8586_8788;
            let mut start = with(address, value, !value, prime);
            start.seed = 2 * i as u64 + 1;
            let expected = evaluate(&mut tests.env, &start, &function);
            // A comparison that succeeds, for compare-and-exchange.
            let mut equal = with(address, expected.slots[3], value, prime);
            equal.seed = start.seed;
            // It compares only as many bits as it exchanges.
            let mut dirty = equal;
            let above = u64::MAX.checked_shl(8 * bytes).unwrap_or(0);
            dirty.globals.as_mut().expect("given above")[1] ^= above;
            [start, equal, dirty].iter().find_map(|start| {
                let expected = evaluate(&mut tests.env, start, &function);
                tests.differs(start, &function, &expected)
            })
        })
    });
    tests.count(failure.map(|text| format!("{name}: {text}")));
}

/// Gives `make` the operands as temps of its type.
fn typed(ty: Type, make: impl Fn(&mut Builder, Temp, Temp, Temp)) -> impl Fn(&mut Builder) {
    move |b| {
        let [value, new] = [B, C].map(|global| match ty {
            Type::I64 => global,
            Type::I32 => {
                let narrow = b.new_temp(I32);
                b.extrl(I32, narrow, global);
                narrow
            }
        });
        let d = b.new_temp(ty);
        let zero = b.constant(ty, 0);
        b.mov(ty, d, zero);
        make(b, d, value, new);
        keep(b, ty, RESULT, d);
    }
}

/// Each access, of each size, sign, byte order and alignment, in both widths.
pub fn accesses(tests: &mut Tests) {
    for ty in [I32, I64] {
        for mem in (0..64)
            .map(MemOp)
            .filter(|mem| mem.bytes() * 8 <= ty.bits().into())
        {
            let oi = oi(mem);
            let what = |name: &str| format!("{name} {mem:?} {ty:?}");
            let load = typed(ty, |b, d, _, _| b.qemu_ld(ty, d, A, oi));
            check_access(tests, &what("load"), mem, &load);
            let store = typed(ty, |b, _, v, _| b.qemu_st(ty, v, A, oi));
            check_access(tests, &what("store"), mem, &store);
            if mem.is_big_endian() || mem.must_align() {
                continue;
            }
            let cmpxchg = typed(ty, |b, d, v, new| b.atomic_cmpxchg(ty, d, A, v, new, oi));
            check_access(tests, &what("cmpxchg"), mem, &cmpxchg);
            for rmw in RMW {
                let op = typed(ty, |b, d, v, _| b.atomic_rmw(ty, d, A, v, rmw, oi));
                check_access(tests, &what(&format!("{rmw:?}")), mem, &op);
            }
        }
    }
    wide(tests);
}

/// A load (or store) of `mem` at `base` plus `distance`; what is loaded is summed up.
fn at_distance(b: &mut Builder, base: Temp, distance: i64, mem: MemOp, is_store: bool) {
    let distance = b.constant(I64, distance as u64);
    let (addr, value) = (b.new_temp(I64), b.new_temp(I64));
    b.add(I64, addr, base, distance);
    if is_store {
        b.qemu_st(I64, B, addr, oi(mem));
        b.add(I64, B, B, C);
    } else {
        b.qemu_ld(I64, value, addr, oi(mem));
        let seven = b.constant(I64, 7);
        b.rotl(I64, RESULT, RESULT, seven);
        b.add(I64, RESULT, RESULT, value);
    }
    b.insn_start(I64, 0x2000 + b.function.ops.len() as u64, 7);
}

/// Accesses that share a look-up: at growing and falling distances, with the base changed or a
/// helper called between, across page borders.
pub fn groups(tests: &mut Tests) {
    let swapped = MemOp::SL.with(MemOp::BE);
    for is_store in [false, true] {
        let access = move |b: &mut Builder, distance, mem| {
            at_distance(b, A, distance, mem, is_store);
        };
        let name = |text: &str| format!("group, {text}, store {is_store}");
        check_access(tests, &name("up"), MemOp::UQ, &|b| {
            for i in 0..5 {
                access(b, 8 * i, MemOp::UQ);
            }
        });
        check_access(tests, &name("down"), MemOp::UQ, &|b| {
            for (i, mem) in (0..).zip([MemOp::UB, MemOp::SW, swapped, MemOp::UQ, MemOp::SB]) {
                access(b, 16 - 9 * i, mem);
            }
        });
        check_access(tests, &name("wide"), MemOp::UQ, &|b| {
            for i in [0, 500, -12, 505, -400, 3, 1000] {
                access(b, i, MemOp::UL);
            }
        });
        check_access(tests, &name("moving base"), MemOp::UQ, &|b| {
            access(b, 0, MemOp::UQ);
            let step = b.constant(I64, 24u64.wrapping_neg());
            b.add(I64, A, A, step);
            access(b, 8, MemOp::UQ);
            b.mov(I64, PRIMED, A);
            at_distance(b, PRIMED, 40, MemOp::UL, is_store);
            b.xor(I64, A, A, PRIMED);
            b.add(I64, A, A, PRIME);
            access(b, 0, MemOp::UQ);
            access(b, 8, MemOp::UQ);
        });
        check_access(tests, &name("helper between"), MemOp::UQ, &|b| {
            access(b, 0, MemOp::UQ);
            // It may write any global, A as well.
            let zero = b.constant(I64, 0);
            b.call(I64, PRIMED, zero, PRIME, B, C, HelperId(2));
            access(b, 8, MemOp::UQ);
            access(b, 16, MemOp::UQ);
        });
        check_access(tests, &name("label between"), MemOp::UQ, &|b| {
            let label = b.new_label();
            b.brcond(I64, B, C, Cond::Lt, label);
            access(b, 8, MemOp::UQ);
            access(b, 16, MemOp::UQ);
            b.set_label(I64, label);
            access(b, 8, MemOp::UQ);
            access(b, 24, MemOp::UQ);
        });
    }
}

/// 16 bytes.
fn wide(tests: &mut Tests) {
    let mem = MemOp::UO;
    let oi = oi(mem);
    check_access(tests, "load2", mem, &|b| {
        b.qemu_ld2(I64, RESULT, RESULT_HIGH, A, oi)
    });
    check_access(tests, "store2", mem, &|b| b.qemu_st2(I64, B, C, A, oi));
    check_access(tests, "cmpxchg2", mem, &|b| {
        b.atomic_cmpxchg2(I64, RESULT, RESULT_HIGH, A, RESULT, PRIMED, B, C, oi);
    });
}
