//! Costs of the engine's own parts, in ns each, under the toy guest of the tests:
//! `cargo run --release -p accel-tcg --example engine_bench`.

#[path = "../tests/toy/mod.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod toy;

use std::time::Instant;

use toy::board::Board;
use toy::{Mapping, Op, insn};

const CODE: u64 = 0x1000;
const PAGE: u64 = 0x40_0000;

/// Runs a loop of `body` `rounds` times (r1 counts down), and prints the time of a round.
fn bench(name: &str, board: &Board, body: &[u32], rounds: u64) {
    let mut code = body.to_vec();
    code.push(insn(Op::Addi, 1, 1, -1));
    code.push(insn(Op::Bne, 1, 0, -4 * (code.len() as i16)));
    code.push(insn(Op::Done, 0, 0, 0));
    board.memory.put(CODE, &code);
    board.with(0, move |cpu| cpu.set_x(1, rounds));
    let started = Instant::now();
    board.run(CODE);
    let ns = started.elapsed().as_nanos() as f64 / rounds as f64;
    println!("{name:<44} {ns:9.1} ns");
}

fn exceptions() {
    let board = Board::single();
    board.memory.put(0x8000, &[insn(Op::Eret, 0, 0, 0)]);
    board.with(0, |cpu| {
        cpu.handler = 0x8000;
        cpu.log.reserve(1 << 21);
    });
    // The handler returns to the same instruction: it skips it by changing r2 first.
    board
        .memory
        .put(0x8000, &[insn(Op::Addi, 2, 0, 1), insn(Op::Jr, 0, 4, 0)]);
    board.with(0, |cpu| cpu.set_x(4, CODE + 4));
    bench(
        "exception and return",
        &board,
        &[insn(Op::Raise, 0, 0, 7)],
        1_000_000,
    );
}

fn blocks() {
    let board = Board::single();
    let (first, count) = (0x10000, 20_000);
    for at in (first..first + count * 20).step_by(20) {
        let add = insn(Op::Addi, 2, 2, 1);
        board.memory.put(
            at,
            &[add, add, insn(Op::Ld, 3, 5, 0), add, insn(Op::Jmp, 0, 0, 4)],
        );
    }
    board
        .memory
        .put(first + count * 20, &[insn(Op::Done, 0, 0, 0)]);
    for name in ["translate a block of 5 instructions", "run it, chained"] {
        let started = Instant::now();
        board.run(first);
        let ns = started.elapsed().as_nanos() as f64 / count as f64;
        println!("{name:<44} {ns:9.1} ns");
    }
}

fn main() {
    // Only translation, for a profiler.
    if std::env::args().any(|arg| arg == "--translate") {
        return (0..20).for_each(|_| blocks());
    }
    let board = Board::single();
    let map = |asid: u16, page: u64, paddr: u64| {
        let mapping = Mapping {
            paddr,
            write: true,
            global: false,
            size: 4096,
        };
        board.with(0, move |cpu| {
            cpu.maps.insert((asid, page >> 12), Some(mapping));
        });
    };
    map(0, PAGE, 0x5000);
    map(0, PAGE + 0x20_0000, 0x6000);
    board.with(0, |cpu| {
        cpu.set_x(5, PAGE);
        cpu.set_x(6, PAGE + 0x20_0000);
        cpu.set_x(8, 1);
    });
    let load = insn(Op::Ld, 3, 5, 0);
    bench("load that hits", &board, &[load], 10_000_000);
    bench(
        "2 loads, same first-level entry (refills)",
        &board,
        &[load, insn(Op::Ld, 3, 6, 0)],
        2_000_000,
    );
    bench(
        "flush of a page",
        &board,
        &[insn(Op::Flush, 7, 0, 1)],
        1_000_000,
    );
    bench(
        "flush of a page, load there",
        &board,
        &[insn(Op::Flush, 5, 0, 1), load],
        1_000_000,
    );
    bench(
        "flush of all, load",
        &board,
        &[insn(Op::Flush, 5, 0, 0), load],
        1_000_000,
    );
    bench(
        "switch to another ASID and back",
        &board,
        &[insn(Op::SetAsid, 8, 0, 0), insn(Op::SetAsid, 0, 0, 0)],
        1_000_000,
    );
    exceptions();
    blocks();
    println!("{}", board.accel.stats());
}
