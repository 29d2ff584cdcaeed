//! The accelerator under a toy guest: blocks, chaining, faults, code that changes.

mod toy;

use toy::board::{Board, DEVICE, ROM};
use toy::{BUS_ERROR, DONE, ILLEGAL, MISALIGNED, Mapping, Op, PAGE_FAULT, insn};

const CODE: u64 = 0x1000;

/// A count-down loop from `n` in r1; r2 counts up.
fn count_loop(n: i16) -> Vec<u32> {
    vec![
        insn(Op::Addi, 1, 0, n),
        insn(Op::Addi, 2, 2, 1),
        insn(Op::Addi, 1, 1, -1),
        insn(Op::Bne, 1, 0, -8),
        insn(Op::Done, 0, 0, 0),
    ]
}

#[test]
fn a_loop_is_translated_once_and_chained() {
    let board = Board::single();
    board.memory.put(CODE, &count_loop(10_000));
    board.run(CODE);
    assert_eq!(board.x(2), 10_000);
    assert_eq!(board.log(), [(DONE, CODE + 16, 0)]);
    let stats = board.accel.stats();
    assert!(stats.blocks_made <= 4, "{stats}");
    assert!(stats.links >= 1 && stats.cpus.exits < 50, "{stats}");
}

#[test]
fn indirect_jumps_and_other_pages() {
    let board = Board::single();
    // A call to the next page and back, 100 times.
    board.memory.put(
        CODE,
        &[
            insn(Op::Addi, 1, 0, 100),
            insn(Op::Jmp, 0, 0, 0x1000 - 4),
            insn(Op::Addi, 1, 1, -1),
            insn(Op::Bne, 1, 0, -8),
            insn(Op::Done, 0, 0, 0),
        ],
    );
    board.memory.put(
        CODE + 0x1000,
        &[insn(Op::Addi, 2, 2, 3), insn(Op::Jr, 0, 3, 8)],
    );
    board.with(0, |cpu| cpu.set_x(3, CODE));
    board.run(CODE);
    assert_eq!(board.x(2), 300);
    let stats = board.accel.stats();
    assert!(stats.cpus.exits < 50, "{stats}");
}

#[test]
fn an_instruction_may_cross_pages() {
    let board = Board::single();
    let at = CODE + 0xffe;
    board
        .memory
        .put(at - 4, &[insn(Op::Addi, 1, 0, 5), insn(Op::Addi, 2, 1, 7)]);
    board
        .memory
        .put(at + 4, &[insn(Op::Add, 3, 1, 2), insn(Op::Done, 0, 0, 0)]);
    board.run(at - 4);
    assert_eq!(board.x(3), 17);
    // The second half changes: in the other page.
    board.memory.put(at, &[insn(Op::Addi, 2, 1, 107)]);
    board.run(at - 4);
    assert_eq!(board.x(3), 117);
    // The second page is another one: same first page, same pc.
    board.memory.put(0x9000 - 2, &[insn(Op::Addi, 2, 1, 207)]);
    board
        .memory
        .put(0x9002, &[insn(Op::Add, 3, 1, 2), insn(Op::Done, 0, 0, 0)]);
    board.with(0, |cpu| {
        let map = Mapping {
            paddr: 0x9000,
            write: true,
            global: true,
            size: 4096,
        };
        cpu.maps.insert((0, 2), Some(map));
        cpu.common.tlb_flush();
    });
    board.run(at - 4);
    assert_eq!(board.x(3), 217);
    // And it is not there at all: the fault is at the instruction, its address in the second page.
    board.with(0, |cpu| {
        cpu.maps.insert((0, 2), None);
        cpu.common.tlb_flush();
    });
    board.run(at - 4);
    assert_eq!(board.log(), [(PAGE_FAULT, at, CODE + 0x1000)]);
    assert_eq!(board.x(1), 5);
}

#[test]
fn faults_are_precise() {
    let board = Board::single();
    board.memory.put(
        CODE,
        &[
            insn(Op::Addi, 1, 0, 1),
            insn(Op::Addi, 2, 0, 2),
            insn(Op::Ld, 1, 5, 8),
            insn(Op::Addi, 2, 0, 3),
            insn(Op::Done, 0, 0, 0),
        ],
    );
    let check = |addr: u64, fault: i64| {
        board.with(0, move |cpu| {
            cpu.set_x(5, addr);
            cpu.maps.insert((0, 0x77), None);
        });
        board.run(CODE);
        assert_eq!(board.log(), [(fault, CODE + 8, addr + 8)]);
        assert_eq!((board.x(1), board.x(2)), (1, 2));
    };
    check(0x77000, PAGE_FAULT);
    check(0x3000_0000, BUS_ERROR);
    board.memory.put(CODE + 8, &[insn(Op::St, 1, 5, 8)]);
    check(0x77ff0, PAGE_FAULT);
    board.memory.put(CODE + 8, &[insn(Op::Ld, 1, 5, 8)]);
    // An access that crosses into the missing page.
    board.with(0, |cpu| cpu.set_x(5, 0x76ff4));
    board.run(CODE);
    assert_eq!(board.log(), [(PAGE_FAULT, CODE + 8, 0x77000)]);
    // Code that cannot be fetched, or is not there.
    board.run(0x77010);
    assert_eq!(board.log(), [(PAGE_FAULT, 0x77010, 0x77010)]);
    board.run(0x3000_0000);
    assert_eq!(board.log(), [(BUS_ERROR, 0x3000_0000, 0x3000_0000)]);
    board.run(0x8000);
    assert_eq!(board.log()[0].0, ILLEGAL);
}

#[test]
fn a_crossing_store_stores_nothing_when_the_second_page_faults() {
    let board = Board::single();
    board
        .memory
        .put(CODE, &[insn(Op::St, 1, 5, 0), insn(Op::Done, 0, 0, 0)]);
    board.with(0, |cpu| {
        cpu.set_x(1, u64::MAX);
        cpu.set_x(5, 0x4fffc);
        cpu.maps.insert((0, 0x50), None);
    });
    board.run(CODE);
    assert_eq!(board.log(), [(PAGE_FAULT, CODE, 0x50000)]);
    assert_eq!(board.memory.word(0x4fff8), 0);
    board.with(0, |cpu| {
        cpu.maps.clear();
        cpu.common.tlb_flush();
    });
    board.run(CODE);
    assert_eq!(board.memory.word(0x4fff8), 0xffff_ffff_0000_0000);
    assert_eq!(board.memory.word(0x50000), 0x0000_0000_ffff_ffff);
}

#[test]
fn devices_and_rom() {
    let board = Board::single();
    board.memory.put(
        CODE,
        &[
            insn(Op::Ld, 1, 5, 0),
            insn(Op::St, 1, 5, 8),
            insn(Op::Ld, 2, 6, 0),
            insn(Op::St, 1, 6, 0),
            insn(Op::Ld, 3, 6, 0),
            insn(Op::AmoAdd, 4, 6, 1),
            insn(Op::Done, 0, 0, 0),
        ],
    );
    board.with(0, |cpu| {
        cpu.set_x(5, DEVICE);
        cpu.set_x(6, ROM);
    });
    board.run(CODE);
    assert_eq!((board.x(1), board.x(2), board.x(3)), (100, 0, 0));
    assert_eq!(
        board
            .memory
            .written
            .load(std::sync::atomic::Ordering::SeqCst),
        100
    );
    assert_eq!(board.log(), [(BUS_ERROR, CODE + 20, ROM)]);
    board.with(0, |cpu| cpu.set_x(6, 0x5001));
    board.run(CODE + 20);
    assert_eq!(board.log(), [(MISALIGNED, CODE + 20, 0x5001)]);
}

/// Code that changes the instruction right behind the store, in the same block.
#[test]
fn self_modifying_code_is_precise() {
    let board = Board::single();
    let new = insn(Op::Addi, 2, 0, 77);
    board.memory.put(
        CODE,
        &[
            insn(Op::Addi, 2, 0, 1),
            insn(Op::St4, 1, 5, 8),
            insn(Op::Addi, 2, 0, 2),
            insn(Op::Done, 0, 0, 0),
        ],
    );
    board.with(0, move |cpu| {
        cpu.set_x(1, new.into());
        cpu.set_x(5, CODE);
    });
    board.run(CODE);
    assert_eq!(board.x(2), 77);
    assert_eq!(board.log(), [(DONE, CODE + 12, 0)]);
    assert!(board.accel.stats().blocks_invalidated >= 1);
}

/// Code that a loop changes each time round, in another page of which it is chained to nothing.
#[test]
fn generated_code_runs_anew() {
    let board = Board::single();
    // r1: next instruction word, r6: its step; the subroutine at 0x8000 adds its immediate to r2.
    board.memory.put(
        CODE,
        &[
            insn(Op::St4, 1, 5, 0),
            insn(Op::Jr, 0, 5, 0),
            insn(Op::Add, 1, 1, 6),
            insn(Op::Addi, 7, 7, -1),
            insn(Op::Bne, 7, 0, -16),
            insn(Op::Done, 0, 0, 0),
        ],
    );
    board.memory.put(0x8004, &[insn(Op::Jr, 0, 4, 0)]);
    board.with(0, |cpu| {
        cpu.set_x(1, insn(Op::Addi, 2, 2, 1).into());
        cpu.set_x(4, CODE + 8);
        cpu.set_x(5, 0x8000);
        cpu.set_x(6, 1 << 16);
        cpu.set_x(7, 50);
    });
    board.run(CODE);
    assert_eq!(board.x(2), 50 * 51 / 2);
}

/// Data beside code: stores are seen, but do not throw the code away (but for a try now and then).
#[test]
fn data_in_a_code_page() {
    let board = Board::single();
    board.memory.put(
        CODE,
        &[
            insn(Op::Addi, 1, 0, 20_000),
            insn(Op::St, 1, 5, 0x800),
            insn(Op::Addi, 1, 1, -1),
            insn(Op::Bne, 1, 0, -8),
            insn(Op::Zero64, 0, 5, 0x840),
            insn(Op::Done, 0, 0, 0),
        ],
    );
    board.with(0, |cpu| cpu.set_x(5, CODE));
    board.run(CODE);
    assert_eq!(board.memory.word(CODE + 0x800), 1);
    let stats = board.accel.stats();
    assert!(stats.blocks_made <= 8, "{stats}");
}

/// A helper's stores to code: the instruction starts over, alone, and ends.
#[test]
fn a_helper_stores_to_code() {
    let board = Board::single();
    board
        .memory
        .put(CODE, &[insn(Op::Zero64, 0, 5, 0), insn(Op::Done, 0, 0, 0)]);
    board.memory.put(CODE + 0x40, &count_loop(3));
    board.with(0, |cpu| cpu.set_x(5, CODE + 0x40));
    board.run(CODE + 0x40);
    board.run(CODE);
    assert_eq!(board.log(), [(DONE, CODE + 4, 0)]);
    board.run(CODE + 0x40);
    assert_eq!(board.log()[0].0, ILLEGAL);
}

#[test]
fn a_device_writes_code() {
    let board = Board::single();
    board.memory.put(CODE, &count_loop(5));
    board.run(CODE);
    board.memory.put(CODE + 4, &[insn(Op::Addi, 2, 2, 10)]);
    board.run(CODE);
    assert_eq!(board.x(2), 55);
    // While the code runs: a loop without end is told to stop.
    board
        .memory
        .put(CODE, &[insn(Op::Addi, 3, 3, 1), insn(Op::Jmp, 0, 0, -4)]);
    board.accel.pause();
    board.accel.request_reset(CODE);
    board.accel.resume();
    board.wait(|cpu| cpu.x(3) > 0);
    board.memory.put(CODE + 4, &[insn(Op::Done, 0, 0, 0)]);
    board.wait(|cpu| cpu.done);
}

/// More code than the smallest buffer holds, twice.
#[test]
fn the_code_buffer_overflows() {
    let config = accel_tcg::TcgConfig {
        tb_size: 1,
        ..Default::default()
    };
    let board = Board::new(1, config);
    let (first, blocks) = (0x2000, 8000);
    for at in (first..first + blocks * 8).step_by(8) {
        board
            .memory
            .put(at, &[insn(Op::Addi, 2, 2, 1), insn(Op::Jmp, 0, 0, 4)]);
    }
    board
        .memory
        .put(first + blocks * 8, &[insn(Op::Done, 0, 0, 0)]);
    for round in 1..=2 {
        board.run(first);
        assert_eq!(board.x(2), blocks * round);
    }
    assert!(board.accel.stats().code_flushes >= 2);
}

/// A page that had code once: stores there get fast again.
#[test]
fn dead_code_does_not_slow_data() {
    let board = Board::single();
    board.memory.put(0x8000, &count_loop(3));
    board.run(0x8000);
    let code = [
        insn(Op::Addi, 1, 0, 10_000),
        insn(Op::St, 1, 5, 0x800),
        insn(Op::Addi, 1, 1, -1),
        insn(Op::Bne, 1, 0, -8),
        insn(Op::Done, 0, 0, 0),
    ];
    board.memory.put(CODE, &code);
    board.with(0, |cpu| cpu.set_x(5, 0x8000));
    board.run(CODE);
    let stats = board.accel.stats();
    assert!(stats.cpus.slow_stores < 200, "{stats}");
    board.with(0, |cpu| cpu.set_x(2, 0));
    board.run(0x8000);
    assert_eq!(board.x(2), 3);
}
