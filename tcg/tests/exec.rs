//! The interpreter among its neighbours: TLB hits and misses, faults, chaining, exit requests,
//! `-icount`, the jump cache, atomics, the limits of the compiler.
#![allow(unsafe_code, reason = "runs generated code")]

mod common;

use std::sync::atomic::Ordering;

use common::*;
use tcg::builder::{Builder, global};
use tcg::cpu_state::JumpCacheEntry;
use tcg::ir::*;
use tcg::{
    BlockInfo, CodeBuffer, CodeBufferFull, CompileError, CompileOptions, CompiledBlock, Compiler,
    CpuState, Exit, TbHeader, compile, tci,
};

const I64: Type = Type::I64;

struct Machine {
    env: Env,
    buffer: CodeBuffer,
}

fn machine() -> Machine {
    Machine {
        env: Env::new(),
        buffer: CodeBuffer::new(1 << 20).expect("memory"),
    }
}

fn build(make: impl FnOnce(&mut Builder)) -> CompiledBlock {
    build_with(OPTIONS, make)
}

fn build_with(options: CompileOptions, make: impl FnOnce(&mut Builder)) -> CompiledBlock {
    let mut b = Builder::new(&globals());
    make(&mut b);
    Compiler::default()
        .compile(&mut b.function, &helpers(), &options)
        .expect("it is small")
}

impl Machine {
    fn push(&mut self, block: &CompiledBlock) -> &'static TbHeader {
        let header = self.buffer.push(
            block,
            &BlockInfo {
                pc: 0x1000,
                ..BlockInfo::default()
            },
        );
        // SAFETY: tests look at it only while the buffer is there.
        unsafe { header.expect("room").as_ref() }
    }

    fn run(&mut self, tb: &TbHeader) -> Exit {
        // SAFETY: the block was made for this environment.
        unsafe { tci::exec(&mut self.env, tb) }
    }
}

fn addi(b: &mut Builder, d: u16, a: u16, imm: u64) {
    let imm = b.constant(I64, imm);
    b.add(I64, global(d), global(a), imm);
}

fn load(b: &mut Builder, d: u16, base: u16, displacement: u64, mem: MemOp) {
    let (t, displacement) = (b.new_temp(I64), b.constant(I64, displacement));
    b.add(I64, t, global(base), displacement);
    b.qemu_ld(I64, global(d), t, oi(mem));
}

fn store(b: &mut Builder, v: u16, base: u16, displacement: u64, mem: MemOp) {
    let (t, displacement) = (b.new_temp(I64), b.constant(I64, displacement));
    b.add(I64, t, global(base), displacement);
    b.qemu_st(I64, global(v), t, oi(mem));
}

fn set_pc(b: &mut Builder, value: u64) {
    let value = b.constant(I64, value);
    b.mov(I64, global(PC), value);
}

fn leave(b: &mut Builder) {
    b.exit_tb(I64, TbExit::Main);
}

#[test]
fn hits_make_no_calls() {
    let mut m = machine();
    let block = build(|b| {
        for i in 0..8 {
            store(b, 1, 0, 8 * i, MemOp::UQ);
            load(b, 2, 0, 8 * i + 4, MemOp::SL);
        }
        leave(b);
    });
    let tb = m.push(&block);
    m.env.state.slots[..2].copy_from_slice(&[BASE + 16, 0x8765_4321_0000_0001]);
    assert_eq!(m.run(tb), Exit::Main);
    assert_eq!(
        m.env.slow_calls, 1,
        "the first access fills the TLB for both kinds"
    );
    assert_eq!(m.env.state.slots[2], 0xffff_ffff_8765_4321);
    assert_eq!(m.run(tb), Exit::Main);
    assert_eq!(m.env.slow_calls, 1);
}

#[test]
fn unaligned_and_crossing() {
    let mut m = machine();
    let block = build(|b| {
        load(b, 1, 0, 1, MemOp::UQ);
        load(b, 2, 0, PAGE - 4, MemOp::UQ);
        store(b, 1, 0, PAGE - 2, MemOp::UL);
        leave(b);
    });
    let tb = m.push(&block);
    for (i, byte) in m.env.bytes().iter_mut().enumerate() {
        *byte = i as u8 ^ (i >> 8) as u8;
    }
    m.env.state.slots[0] = BASE;
    for round in 0..2 {
        let before = m.env.slow_calls;
        assert_eq!(m.run(tb), Exit::Main);
        let calls = m.env.slow_calls - before;
        assert!(
            round == 0 || calls == 2,
            "crossings are slow, the rest hits: {calls}"
        );
    }
    assert_eq!(m.env.state.slots[1], 0x0807_0605_0403_0201);
    // The store of the first round is in it.
    assert_eq!(m.env.state.slots[2], 0x1312_0403_0201_f2f3);
    assert_eq!(m.env.bytes()[PAGE as usize - 2..][..4], [1, 2, 3, 4]);
}

#[test]
fn faults_say_where() {
    let accesses: [fn(&mut Builder); 5] = [
        |b| load(b, 5, 0, 0, MemOp::UB),
        |b| store(b, 5, 0, 0, MemOp::UQ),
        |b| load(b, 5, 0, 0, MemOp::UL.with(MemOp::BE)),
        |b| {
            b.atomic_rmw(
                I64,
                global(5),
                global(0),
                global(1),
                RmwOp::Add,
                oi(MemOp::UL),
            )
        },
        |b| {
            b.atomic_cmpxchg2(
                I64,
                global(5),
                global(6),
                global(0),
                global(1),
                global(1),
                global(2),
                global(3),
                oi(MemOp::UO),
            )
        },
    ];
    for access in accesses {
        for at in 0..6 {
            let block = build(|b| {
                for insn in 0..6 {
                    b.insn_start(I64, 0x8000_0000 + 4 * insn, 7 * insn);
                    addi(b, 4, 4, 1);
                    if insn == at {
                        access(b);
                    }
                    addi(b, 4, 4, 1);
                }
                leave(b);
            });
            let mut m = machine();
            let tb = m.push(&block);
            m.env.state.slots[5] = 42;
            let Exit::Exception { tb: of, position } = m.run(tb) else {
                panic!("no fault")
            };
            assert!(std::ptr::eq(of, tb));
            let found = compile::find_insn(&block.insns, position);
            assert_eq!(found, Some((0x8000_0000 + 4 * at, 7 * at)));
            assert_eq!(
                m.env.state.slots[4],
                2 * at + 1,
                "globals are those of the faulting op"
            );
            assert_eq!(m.env.state.slots[5], 42, "a faulting load writes nothing");
            assert_eq!(m.env.state.exception, FAULT_EXCEPTION);
        }
    }
}

/// Counts x0 down to zero in a block that is chained to itself.
fn count_down(b: &mut Builder) {
    b.insn_start(I64, 0x1000, 0);
    addi(b, 0, 0, !0);
    let (zero, taken) = (b.constant(I64, 0), b.new_label());
    b.brcond(I64, global(0), zero, Cond::Ne, taken);
    b.goto_tb(I64, 0);
    set_pc(b, 0x2000);
    b.exit_tb(I64, TbExit::Slot(0));
    b.set_label(I64, taken);
    b.goto_tb(I64, 1);
    set_pc(b, 0x1000);
    b.exit_tb(I64, TbExit::Slot(1));
}

#[test]
fn chains() {
    let mut m = machine();
    let tb = m.push(&build(count_down));
    m.env.state.slots[0] = 3;
    assert_eq!(m.run(tb), Exit::Slot { tb, slot: 1 });
    assert_eq!((m.env.state.slots[0], m.env.state.slots[10]), (2, 0x1000));
    tb.link(1, tb);
    assert_eq!(m.run(tb), Exit::Slot { tb, slot: 0 });
    assert_eq!((m.env.state.slots[0], m.env.state.slots[10]), (0, 0x2000));
    let end = m.push(&build(leave));
    tb.link(0, end);
    m.env.state.slots[0] = 1000;
    assert_eq!(m.run(tb), Exit::Main);
    tb.unlink(0);
    m.env.state.slots[0] = 2;
    assert_eq!(m.run(tb), Exit::Slot { tb, slot: 0 });
}

#[test]
fn exit_requests_stop_a_loop() {
    let mut m = machine();
    let tb = m.push(&build(count_down));
    tb.link(1, tb);
    m.env.exit_request.store(1, Ordering::SeqCst);
    m.env.state.slots[0] = 5;
    assert_eq!(m.run(tb), Exit::Request { tb });
    assert_eq!(m.env.state.slots[0], 5, "nothing ran");
    // Asked for by a helper, as if by another thread: the loop stops at its next turn.
    extern "C" fn ask(cpu: &mut CpuState) -> u64 {
        // SAFETY: the test's flag.
        unsafe { (*cpu.exit_request).store(1, Ordering::SeqCst) };
        0
    }
    let info = HelperInfo {
        name: "ask",
        function: ask as *const () as usize,
        nargs: 0,
        flags: HelperFlags::NO_GLOBALS,
        float: None,
    };
    let mut b = Builder::new(&globals());
    let none = tcg::builder::NO_TEMP;
    b.call(I64, none, none, none, none, none, HelperId(0));
    count_down(&mut b);
    let block = Compiler::default()
        .compile(&mut b.function, &[info], &OPTIONS)
        .expect("small");
    let tb = m.push(&block);
    tb.link(1, tb);
    m.env.exit_request.store(0, Ordering::SeqCst);
    assert_eq!(m.run(tb), Exit::Request { tb });
    assert_eq!(m.env.state.slots[0], 4);
}

#[test]
fn budgets() {
    let options = CompileOptions {
        icount: Some(2),
        ..OPTIONS
    };
    let mut m = machine();
    let tb = m.push(&build_with(options, count_down));
    tb.link(1, tb);
    m.env.state.slots[0] = 100;
    m.env.state.icount_left = 9;
    assert_eq!(m.run(tb), Exit::Request { tb });
    assert_eq!(m.env.state.slots[0], 96, "four rounds of two instructions");
    assert_eq!(m.env.state.icount_left, 1);
    m.env.state.icount_left = 1000;
    assert_eq!(m.run(tb), Exit::Slot { tb, slot: 0 });
    assert_eq!(m.env.state.icount_left, 1000 - 2 * 96);
}

#[test]
fn jump_cache() {
    let mut m = machine();
    let jump = m.push(&build(|b| {
        b.mov(I64, global(PC), global(3));
        b.goto_ptr(I64);
    }));
    let end = m.push(&build(leave));
    let pc = 0xffff_ffff_8012_3456;
    m.env.state.slots[3] = pc;
    assert_eq!(m.run(jump), Exit::Lookup);
    assert_eq!((m.env.lookups, m.env.state.slots[10]), (1, pc));
    m.env.lookup = end;
    assert_eq!(m.run(jump), Exit::Main);
    assert_eq!(m.env.lookups, 2);
    let flags_gen = m.env.state.flags_gen;
    m.env.state.jump_cache[CpuState::jump_cache_index(pc)] = JumpCacheEntry {
        pc,
        flags_gen,
        tb: std::ptr::from_ref(end).addr(),
    };
    assert_eq!(m.run(jump), Exit::Main);
    assert_eq!(m.env.lookups, 2, "found without help");
    m.env.state.set_tb_flags(1);
    assert_eq!(m.run(jump), Exit::Main);
    assert_eq!(m.env.lookups, 3, "other flags, other block");
    m.env.state.set_tb_flags(0);
    m.env.state.flush_jump_cache();
    assert_eq!(m.run(jump), Exit::Main);
    assert_eq!(m.env.lookups, 4, "flushed");
    let masked = m.push(&build(|b| {
        let mask = b.constant(I64, !1);
        b.and(I64, global(PC), global(3), mask);
        b.goto_ptr(I64);
    }));
    let constant = m.push(&build(|b| {
        set_pc(b, 0xffff_ffff_8000_0002);
        b.goto_ptr(I64);
    }));
    m.env.lookup = std::ptr::null();
    m.env.state.slots[3] = 0x8000_0005;
    assert_eq!(m.run(masked), Exit::Lookup);
    assert_eq!(m.env.state.slots[10], 0x8000_0004);
    assert_eq!(m.run(constant), Exit::Lookup);
    assert_eq!(m.env.state.slots[10], 0xffff_ffff_8000_0002);
}

#[test]
fn atomics_on_hits() {
    let mut m = machine();
    let tb = m.push(&build(|b| {
        b.atomic_rmw(
            I64,
            global(2),
            global(0),
            global(1),
            RmwOp::Smax,
            oi(MemOp::SL),
        );
        b.atomic_cmpxchg(
            I64,
            global(4),
            global(0),
            global(1),
            global(3),
            oi(MemOp::UL),
        );
        leave(b);
    }));
    m.env.state.slots[..4].copy_from_slice(&[BASE + 4, 5, 0, 0x1_2222_2222]);
    m.env.memory[0] = 0xffff_fff0_dddd_dddd;
    assert_eq!(m.run(tb), Exit::Main);
    assert_eq!(m.env.state.slots[2], 0xffff_ffff_ffff_fff0);
    assert_eq!(m.env.state.slots[4], 5);
    assert_eq!(m.env.memory[0], 0x2222_2222_dddd_dddd);
    assert_eq!(m.env.slow_calls, 1);
    m.env.state.slots[0] = BASE + 6;
    assert!(matches!(m.run(tb), Exit::Exception { .. }), "misaligned");
}

#[test]
fn too_many_temps_is_an_error() {
    let mut b = Builder::new(&globals());
    let temps: Vec<Temp> = (0..300)
        .map(|_| {
            let t = b.new_temp(I64);
            b.qemu_ld(I64, t, global(0), oi(MemOp::UQ));
            t
        })
        .collect();
    for t in temps {
        b.qemu_st(I64, t, global(1), oi(MemOp::UQ));
    }
    leave(&mut b);
    let result = Compiler::default().compile(&mut b.function, &[], &OPTIONS);
    assert_eq!(result, Err(CompileError::TooManyTemps));
}

#[test]
fn a_full_buffer_says_so() {
    let mut buffer = CodeBuffer::new(0).expect("memory");
    let block = CompiledBlock {
        code: vec![0; 1000],
        insns: vec![],
    };
    let mut pushed = 0;
    while buffer.push(&block, &BlockInfo::default()).is_ok() {
        pushed += 1;
    }
    assert_eq!(
        buffer.push(&block, &BlockInfo::default()),
        Err(CodeBufferFull)
    );
    assert_eq!(pushed, buffer.size() / (8000 + size_of::<TbHeader>()));
    assert!(buffer.used() <= buffer.size());
    // SAFETY: no block is in use.
    unsafe { buffer.reset() };
    assert!(buffer.push(&block, &BlockInfo::default()).is_ok());
}

/// The instructions that common guest code becomes: each word less is speed.
#[test]
fn fusion() {
    let check = |make: fn(&mut Builder), expected: &str| {
        let block = build(|b| {
            make(b);
            leave(b);
        });
        let text = tci::disas::disassemble(&block.code);
        let lines: Vec<&str> = text
            .lines()
            .filter_map(|l| l.split_once(":  "))
            .map(|(_, insn)| insn.split(' ').next().unwrap_or(""))
            .collect();
        assert_eq!(lines.join(" "), format!("{expected} exitmain"), "\n{text}");
    };
    check(|b| load(b, 1, 0, 8, MemOp::UQ), "qld64");
    check(|b| store(b, 1, 0, 8, MemOp::UQ), "qst64");
    let addw = |b: &mut Builder| {
        let t = b.new_temp(I64);
        b.add(I64, t, global(1), global(2));
        b.sextract(I64, global(0), t, 0, 32);
    };
    check(addw, "addw");
    let sllw = |b: &mut Builder| {
        let [x, y, z] = [(); 3].map(|()| b.new_temp(Type::I32));
        b.extrl(Type::I32, x, global(1));
        b.extrl(Type::I32, y, global(2));
        b.shl(Type::I32, z, x, y);
        b.exts(I64, global(0), z);
    };
    check(sllw, "shlw");
    let zext = |b: &mut Builder| {
        let by = b.constant(I64, 32);
        b.shl(I64, global(1), global(1), by);
        b.shr(I64, global(1), global(1), by);
    };
    check(zext, "extract");
    let auipc_load = |b: &mut Builder| {
        let pc = b.constant(I64, 0x1234_5678_9000);
        b.mov(I64, global(1), pc);
        load(b, 2, 1, 24, MemOp::UQ);
    };
    check(auipc_load, "movi64 qld64");
    let ret = |b: &mut Builder| {
        let (t, mask) = (b.new_temp(I64), b.constant(I64, !1));
        b.and(I64, t, global(1), mask);
        b.mov(I64, global(PC), t);
        b.goto_ptr(I64);
    };
    let text = tci::disas::disassemble(&build(ret).code);
    assert_eq!(text.lines().count(), 1, "{text}");
    let through_a_temp = |b: &mut Builder| {
        let t = b.new_temp(I64);
        b.qemu_ld(I64, t, global(1), oi(MemOp::SL));
        b.mov(I64, global(2), t);
    };
    check(through_a_temp, "qlds32");
    let li = |b: &mut Builder| {
        let high = b.constant(I64, 0x1_2000);
        b.mov(I64, global(1), high);
        let t = b.new_temp(I64);
        let low = b.constant(I64, 0x345);
        b.add(I64, t, global(1), low);
        b.sextract(I64, global(1), t, 0, 32);
    };
    check(li, "movi");
}
