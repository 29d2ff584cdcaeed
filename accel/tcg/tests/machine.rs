//! The accelerator under a toy guest: TLB flushes and address spaces, interrupts, threads, time.

mod toy;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use accel_tcg::{IcountClock, IcountConfig, IcountHooks, TcgConfig, Threads};
use include::IrqSink;
use parking_lot::Mutex;
use toy::board::{Board, DEVICE};
use toy::{DONE, Mapping, Op, PAGE_FAULT, insn};

const CODE: u64 = 0x1000;
/// A virtual page that tests map.
const PAGE: u64 = 0x40_0000;

fn map(board: &Board, asid: u16, vaddr: u64, paddr: u64, global: bool, size: u64) {
    let mapping = Mapping {
        paddr,
        write: true,
        global,
        size,
    };
    board.with(0, move |cpu| {
        cpu.maps.insert((asid, vaddr >> 12), Some(mapping));
    });
}

/// Runs code that loads r1 from `PAGE` after one flush or switch; returns r1 and the number of
/// walks that it took.
fn load_after(board: &Board, first: u32) -> (u64, u64) {
    board.memory.put(
        CODE,
        &[first, insn(Op::Ld, 1, 5, 0), insn(Op::Done, 0, 0, 0)],
    );
    board.with(0, |cpu| {
        cpu.set_x(5, PAGE);
        cpu.walks = 0;
    });
    board.run(CODE);
    (board.x(1), board.with(0, |cpu| cpu.walks))
}

const NOP: u32 = insn(Op::Addi, 0, 0, 0);

fn two_spaces() -> Board {
    let board = Board::single();
    board.memory.put(0x5000, &[11]);
    board.memory.put(0x6000, &[22]);
    board.memory.put(0x7000, &[33]);
    map(&board, 0, PAGE, 0x5000, false, 4096);
    map(&board, 1, PAGE, 0x6000, false, 4096);
    board.with(0, |cpu| cpu.set_x(7, 1));
    board
}

#[test]
fn flushes_forget_what_they_say() {
    let board = two_spaces();
    // The first run walks for the code page and the data page.
    assert_eq!(load_after(&board, NOP), (11, 2));
    assert_eq!(load_after(&board, NOP), (11, 0));
    map(&board, 0, PAGE, 0x7000, false, 4096);
    assert_eq!(load_after(&board, NOP), (11, 0), "no flush yet");
    // Another page: nothing forgotten. (r6 is 0: page 0.)
    assert_eq!(load_after(&board, insn(Op::Flush, 6, 0, 1)), (11, 0));
    assert_eq!(load_after(&board, insn(Op::Flush, 5, 0, 1)), (33, 1));
    map(&board, 0, PAGE, 0x5000, false, 4096);
    assert_eq!(
        load_after(&board, insn(Op::Flush, 5, 7, 3)),
        (33, 0),
        "another ASID"
    );
    assert_eq!(load_after(&board, insn(Op::Flush, 5, 6, 3)), (11, 1));
    map(&board, 0, PAGE, 0x7000, false, 4096);
    assert_eq!(
        load_after(&board, insn(Op::Flush, 5, 7, 2)),
        (11, 0),
        "another ASID"
    );
    // The code page is global: it stays.
    assert_eq!(load_after(&board, insn(Op::Flush, 5, 6, 2)), (33, 1));
    assert_eq!(load_after(&board, insn(Op::Flush, 5, 6, 0)), (33, 2));
}

#[test]
fn address_spaces_keep_their_translations() {
    let board = two_spaces();
    let go = |asid: u64| {
        board.with(0, move |cpu| cpu.set_x(8, asid));
        load_after(&board, insn(Op::SetAsid, 8, 0, 0))
    };
    assert_eq!(go(0).0, 11);
    assert_eq!(go(1), (22, 1));
    assert_eq!(go(0), (11, 0));
    assert_eq!(go(1), (22, 0));
    // Flushing the other space leaves this one alone, and the other way round.
    assert_eq!(load_after(&board, insn(Op::Flush, 5, 6, 2)), (22, 0));
    assert_eq!(go(0), (11, 1));
    assert_eq!(go(1), (22, 0));
}

#[test]
fn a_superpage_goes_as_a_whole() {
    let board = Board::single();
    board.memory.put(0x5000, &[11]);
    board.memory.put(0x7000, &[33]);
    map(&board, 0, PAGE, 0x5000, false, 2 << 20);
    assert_eq!(load_after(&board, NOP), (11, 2));
    map(&board, 0, PAGE, 0x7000, false, 2 << 20);
    board.with(0, |cpu| cpu.set_x(6, PAGE + 0x10_0000));
    assert_eq!(load_after(&board, insn(Op::Flush, 6, 0, 1)).0, 33);
}

/// Less than a page: asked each time, for data and for code.
#[test]
fn small_regions_are_asked_each_time() {
    let board = Board::single();
    board.memory.put(0x5000, &[11]);
    map(&board, 0, PAGE, 0x5000, false, 64);
    assert_eq!(load_after(&board, NOP), (11, 2));
    assert_eq!(load_after(&board, NOP), (11, 1));
    map(&board, 0, CODE, CODE, true, 64);
    board.with(0, |cpu| cpu.common.tlb_flush());
    let code = [
        insn(Op::Addi, 2, 2, 1),
        insn(Op::Addi, 2, 2, 1),
        insn(Op::Done, 0, 0, 0),
    ];
    board.memory.put(CODE, &code);
    board.run(CODE);
    board.with(0, |cpu| {
        cpu.walks = 0;
        cpu.set_x(2, 0);
    });
    board.run(CODE);
    assert_eq!(board.x(2), 2);
    assert_eq!(board.with(0, |cpu| cpu.walks), 3);
}

/// Code that moves under its virtual address, with and without a flush of that page.
#[test]
fn remapped_code() {
    let board = Board::single();
    for (paddr, value) in [(0x5000, 1), (0x6000, 2)] {
        board
            .memory
            .put(paddr, &[insn(Op::Addi, 2, 0, value), insn(Op::Jr, 0, 4, 0)]);
    }
    let code = |flush| [flush, insn(Op::Jr, 0, 5, 0), insn(Op::Done, 0, 0, 0)];
    board.with(0, |cpu| {
        cpu.set_x(4, CODE + 8);
        cpu.set_x(5, PAGE);
    });
    for (paddr, expected) in [(0x5000, 1), (0x6000, 2), (0x5000, 1)] {
        map(&board, 0, PAGE, paddr, false, 4096);
        board.memory.put(CODE, &code(insn(Op::Flush, 5, 0, 1)));
        board.run(CODE);
        assert_eq!(board.x(2), expected);
    }
    // The blocks of both pages are still there: nothing new is translated for them.
    let made = board.accel.stats().blocks_made;
    map(&board, 0, PAGE, 0x6000, false, 4096);
    board.run(CODE);
    assert_eq!(board.x(2), 2);
    assert_eq!(board.accel.stats().blocks_made, made);
}

/// A store through one address reaches code that runs at another.
#[test]
fn aliases_of_code() {
    let board = Board::single();
    board
        .memory
        .put(0x5000, &[insn(Op::Addi, 2, 0, 1), insn(Op::Jr, 0, 4, 0)]);
    board.memory.put(
        CODE,
        &[
            insn(Op::Jr, 0, 6, 0),
            insn(Op::Add, 3, 2, 0),
            insn(Op::St4, 1, 5, 0),
            insn(Op::Addi, 4, 0, CODE as i16 + 24),
            insn(Op::Jr, 0, 6, 0),
            NOP,
            insn(Op::Done, 0, 0, 0),
        ],
    );
    map(&board, 0, PAGE, 0x5000, false, 4096);
    board.with(0, |cpu| {
        cpu.set_x(1, insn(Op::Addi, 2, 0, 9).into());
        cpu.set_x(4, CODE + 4);
        cpu.set_x(5, PAGE);
        cpu.set_x(6, 0x5000);
    });
    board.run(CODE);
    assert_eq!((board.x(3), board.x(2)), (1, 9));
}

#[test]
fn page_faults_are_handled_and_retried() {
    let board = Board::single();
    board
        .memory
        .put(CODE, &[insn(Op::Ld, 1, 5, 0), insn(Op::Done, 0, 0, 0)]);
    // The handler reads somewhere else instead.
    board.memory.put(
        0x8000,
        &[insn(Op::Addi, 5, 0, 0x5000), insn(Op::Eret, 0, 0, 0)],
    );
    board.memory.put(0x5000, &[44]);
    board.with(0, |cpu| {
        cpu.maps.insert((0, PAGE >> 12), None);
        cpu.set_x(5, PAGE);
        cpu.handler = 0x8000;
    });
    board.run(CODE);
    assert_eq!(board.x(1), 44);
    assert_eq!(
        board.log(),
        [(PAGE_FAULT, CODE, PAGE), (DONE, CODE + 4, PAGE)]
    );
}

/// Waits for `n` interrupts, sleeping; the handler counts in r2.
fn interrupt_code(board: &Board, n: u64) {
    board.memory.put(
        CODE,
        &[
            insn(Op::Halt, 0, 0, 0),
            insn(Op::Bne, 2, 3, -4),
            insn(Op::Done, 0, 0, 0),
        ],
    );
    board.memory.put(
        0x8000,
        &[
            insn(Op::Addi, 2, 2, 1),
            insn(Op::Ack, 0, 0, 3),
            insn(Op::Eret, 0, 0, 0),
        ],
    );
    board.with(0, move |cpu| {
        cpu.set_x(3, n);
        cpu.irq_vector = 0x8000;
        cpu.irq_enabled = true;
    });
}

#[test]
fn a_halted_cpu_wakes_for_interrupts() {
    let board = Board::single();
    interrupt_code(&board, 20);
    board.accel.start();
    board.accel.pause();
    board.accel.request_reset(CODE);
    board.accel.resume();
    for n in 1..=20 {
        board.wait(|cpu| cpu.common.is_halted());
        board.accel.vcpus()[0].set_irq(3, true);
        board.wait(move |cpu| cpu.x(2) == n);
    }
    board.wait(|cpu| cpu.done);
    assert_eq!(board.accel.stats().cpus.interrupts, 20);
}

#[test]
fn a_busy_cpu_takes_interrupts() {
    let board = Board::single();
    board
        .memory
        .put(CODE, &[insn(Op::Bne, 2, 3, 0), insn(Op::Done, 0, 0, 0)]);
    board.memory.put(
        0x8000,
        &[
            insn(Op::Addi, 2, 2, 1),
            insn(Op::Ack, 0, 0, 3),
            insn(Op::Eret, 0, 0, 0),
        ],
    );
    board.with(0, |cpu| {
        cpu.set_x(3, 1);
        cpu.irq_vector = 0x8000;
        cpu.irq_enabled = true;
    });
    board.accel.start();
    board.accel.request_reset(CODE);
    board.accel.resume();
    board.accel.vcpus()[0].set_irq(3, true);
    board.wait(|cpu| cpu.done);
}

#[test]
fn pause_stands_still() {
    let board = Board::single();
    board
        .memory
        .put(CODE, &[insn(Op::Addi, 1, 1, 1), insn(Op::Jmp, 0, 0, -4)]);
    board.accel.start();
    board.accel.request_reset(CODE);
    for _ in 0..20 {
        let before = board.x(1);
        board.accel.resume();
        board.wait(move |cpu| cpu.x(1) > before);
        board.accel.pause();
        let paused = board.x(1);
        std::thread::sleep(std::time::Duration::from_millis(1));
        assert_eq!(board.x(1), paused);
    }
}

/// Four CPUs add to one word, and to 16 bytes.
fn atomic_adds(config: TcgConfig, rounds: i16) {
    let board = Board::new(4, config);
    board.memory.put(
        CODE,
        &[
            insn(Op::Addi, 1, 0, rounds),
            insn(Op::Addi, 3, 0, 1),
            insn(Op::AmoAdd, 2, 5, 3),
            insn(Op::Cas16, 0, 6, 0),
            insn(Op::Addi, 1, 1, -1),
            insn(Op::Bne, 1, 0, -12),
            insn(Op::Done, 0, 0, 0),
        ],
    );
    board.accel.for_each_cpu(|cpu| {
        cpu.set_x(5, 0x5000);
        cpu.set_x(6, 0x6000);
    });
    board.run(CODE);
    let total = 4 * rounds as u64;
    assert_eq!(board.memory.word(0x5000), total);
    assert_eq!(
        (board.memory.word(0x6000), board.memory.word(0x6008)),
        (total, total)
    );
}

#[test]
fn four_threads_add_atomically() {
    atomic_adds(TcgConfig::default(), 2000);
}

#[test]
fn four_cpus_take_turns() {
    atomic_adds(
        TcgConfig {
            threads: Threads::Single,
            ..Default::default()
        },
        2000,
    );
}

/// CPU 1 changes code that CPU 0 runs; CPU 0 sees it without a flush of its own.
#[test]
fn code_changed_by_another_cpu() {
    let board = Board::new(2, TcgConfig::default());
    // CPU 0 calls 0x8000, which returns through r4, until r2 is what r3 says.
    board.memory.put(
        CODE,
        &[
            insn(Op::Jr, 0, 5, 0),
            insn(Op::Bne, 2, 3, -4),
            insn(Op::Done, 0, 0, 0),
        ],
    );
    board
        .memory
        .put(0x8000, &[insn(Op::Addi, 2, 0, 1), insn(Op::Jr, 0, 4, 0)]);
    // CPU 1 first uses the page as data, then waits, then changes the code.
    board.memory.put(
        0x2000,
        &[
            insn(Op::St, 1, 5, 0x100),
            insn(Op::Addi, 1, 1, -1),
            insn(Op::Bne, 1, 0, -8),
            insn(Op::St4, 6, 5, 0),
            insn(Op::Done, 0, 0, 0),
        ],
    );
    for round in 0..20 {
        board.memory.put(0x8000, &[insn(Op::Addi, 2, 0, 1)]);
        board.accel.start();
        board.accel.pause();
        board.accel.for_each_cpu(|cpu| {
            let first = cpu.common.shared.index == 0;
            cpu.reset(if first { CODE } else { 0x2000 });
            cpu.common.shared.halted.store(false, Ordering::SeqCst);
            cpu.set_x(1, 1000);
            cpu.set_x(3, 9);
            cpu.set_x(4, CODE + 4);
            cpu.set_x(5, 0x8000);
            cpu.set_x(6, insn(Op::Addi, 2, 0, 9).into());
        });
        board.accel.resume();
        board.wait(|cpu| cpu.done);
        assert_eq!(board.x(2), 9, "round {round}");
    }
}

use accel_tcg::GuestCpu;

/// A timer that raises interrupt 3 every 1000 ns of virtual time.
struct Ticker {
    clock: Arc<IcountClock>,
    next: AtomicI64,
    seen: Mutex<Vec<i64>>,
    vcpu: Mutex<Option<Arc<accel_tcg::VcpuShared>>>,
    left: AtomicU64,
}

impl IcountHooks for Ticker {
    fn next_deadline_ns(&self) -> Option<i64> {
        (self.left.load(Ordering::SeqCst) > 0).then(|| self.next.load(Ordering::SeqCst))
    }
    fn run_due_timers(&self) {
        let now = self.clock.now_ns();
        if self.left.load(Ordering::SeqCst) > 0 && now >= self.next.load(Ordering::SeqCst) {
            self.left.fetch_sub(1, Ordering::SeqCst);
            self.next.fetch_add(1000, Ordering::SeqCst);
            self.seen.lock().push(now);
            if let Some(vcpu) = &*self.vcpu.lock() {
                vcpu.set_irq(3, true);
            }
        }
    }
}

fn ticks(n: u64, sleep: bool, busy: bool) -> (Vec<i64>, Vec<u64>) {
    let clock = IcountClock::new(2);
    let ticker = Arc::new(Ticker {
        clock: clock.clone(),
        next: AtomicI64::new(1000),
        seen: Mutex::default(),
        vcpu: Mutex::default(),
        left: AtomicU64::new(n),
    });
    let icount = IcountConfig {
        clock,
        sleep,
        hooks: ticker.clone(),
    };
    let board = Board::new(
        1,
        TcgConfig {
            icount: Some(icount),
            ..Default::default()
        },
    );
    *ticker.vcpu.lock() = Some(board.accel.vcpus()[0].clone());
    interrupt_code(&board, n);
    if busy {
        board.memory.put(
            CODE,
            &[
                insn(Op::Addi, 7, 7, 1),
                insn(Op::Ld, 9, 8, 0),
                insn(Op::Bne, 2, 3, -8),
                insn(Op::Icount, 10, 0, 0),
                insn(Op::Done, 0, 0, 0),
            ],
        );
    }
    board.with(0, |cpu| cpu.set_x(8, DEVICE));
    board.run(CODE);
    let registers = board.with(0, |cpu| (0..16).map(|n| cpu.x(n)).collect());
    (ticker.seen.lock().clone(), registers)
}

#[test]
fn instructions_make_time() {
    let (seen, registers) = ticks(50, false, true);
    // Deadlines are met to the instruction, and each run is the same.
    let expected: Vec<i64> = (1..=50).map(|n| n * 1000).collect();
    assert_eq!(seen, expected);
    assert_eq!(ticks(50, false, true), (seen, registers.clone()));
    // 50 ticks of 250 instructions, then the last handler (3), the loop's rest and `Icount`.
    let icount = registers[10];
    assert!((12_500..12_510).contains(&icount), "{icount}");
    assert_eq!(
        registers[9] - 100 + 1,
        registers[7],
        "one device read each round"
    );
}

#[test]
fn idle_time_is_skipped_or_slept() {
    let started = std::time::Instant::now();
    let (seen, _) = ticks(50, false, false);
    assert_eq!(seen, (1..=50).map(|n| n * 1000).collect::<Vec<i64>>());
    assert!(started.elapsed().as_secs() < 20);
    let (slept, _) = ticks(5, true, false);
    assert_eq!(slept, (1..=5).map(|n| n * 1000).collect::<Vec<i64>>());
}
