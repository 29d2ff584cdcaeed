//! The test program: raw M-mode code for `-bios`, loaded and started at 0x8000_0000.
//!
//! It runs each sequence from prepared registers and memory, then prints one line: the digest of
//! all registers, `fcsr`, the trap taken if any, and the scratch memory (or, in a dump, all of
//! those, a line each). After the last it powers off through the test finisher.

mod traps;

use crate::asm::{Asm, Label};
use crate::flow::{self, Features, Flow};
use crate::random::Random;
use crate::sequence::{BASES, Generator, SCRATCH_BYTES};

const UART: u32 = 0x1000_0000;
const FINISHER: u32 = 0x10_0000;
const FINISHER_PASS: i32 = 0x5555;

const MSTATUS: u32 = 0x300;
const MTVEC: u32 = 0x305;
const MSCRATCH: u32 = 0x340;
const MEPC: u32 = 0x341;
const MCAUSE: u32 = 0x342;
const MTVAL: u32 = 0x343;
const FCSR: u32 = 0x003;

/// Layout of a register block, in bytes: x0..x31, f0..f31, fcsr, mcause, mtval, mepc.
const F0: i32 = 256;
const FCSR_AT: i32 = 512;
const MCAUSE_AT: i32 = 520;
const MTVAL_AT: i32 = 528;
const MEPC_AT: i32 = 536;
const BLOCK_BYTES: i32 = 544;
/// Words of a block that are compared (x31 and all others survive through mscratch).
const BLOCK_WORDS: i32 = BLOCK_BYTES / 8;

/// What a batch is made of.
#[derive(Clone)]
pub struct Batch<'a> {
    pub generator: &'a Generator,
    pub seed: u64,
    /// Sequences `first..first + count` of the seed.
    pub first: u64,
    pub count: u64,
    /// Instructions a sequence.
    pub length: usize,
    /// Print everything instead of digests.
    pub dump: bool,
    /// Programs with these instead of straight sequences.
    pub features: Option<Features>,
    /// Operations of programs that do nothing.
    pub muted: Vec<bool>,
}

struct Program {
    asm: Asm,
    save: Label,
    scratch: Label,
    template: Label,
    finish_sequence: Label,
    trap: Label,
    print_word: Label,
    extra: traps::Extra,
}

/// What belongs to one sequence.
struct Parts {
    registers: Vec<u64>,
    code: Vec<u8>,
    operations: usize,
    /// Runs in U mode, where modes are used.
    user: bool,
}

fn parts(batch: &Batch<'_>, index: u64) -> Parts {
    let seed = batch.seed.wrapping_mul(0x1_0000_0001).wrapping_add(index);
    let mut random = Random::new(seed);
    let mut registers: Vec<u64> = (0..32).map(|_| random.integer()).collect();
    registers.extend((0..32).map(|_| random.float()));
    registers.push(random.below(5) << 5 | random.below(32));
    let (code, operations) = match batch.features {
        Some(features) => {
            let flow = flow_of(batch, features, &mut random);
            (flow.code, flow.operations)
        }
        None => (batch.generator.sequence(&mut random, batch.length), 0),
    };
    Parts {
        registers,
        code,
        operations,
        user: index.is_multiple_of(2),
    }
}

fn flow_of(batch: &Batch<'_>, features: Features, random: &mut Random) -> Flow {
    flow::program(
        batch.generator,
        features,
        random,
        batch.length,
        &batch.muted,
    )
}

/// How many operations of a program can be muted; 0 for straight sequences.
pub fn operations(batch: &Batch<'_>, index: u64) -> usize {
    parts(batch, index).operations
}

/// The machine code of one sequence, as bytes (for reports).
pub fn sequence_code(batch: &Batch<'_>, index: u64) -> Vec<u8> {
    parts(batch, index).code
}

/// The whole program.
pub fn build(batch: &Batch<'_>) -> Vec<u8> {
    let mut asm = Asm::default();
    let mut labels = || asm.label();
    let (save, scratch, template) = (labels(), labels(), labels());
    let (finish_sequence, trap, print_word) = (labels(), labels(), labels());
    let extra = traps::Extra::new(&mut asm);
    let mut p = Program {
        asm,
        save,
        scratch,
        template,
        finish_sequence,
        trap,
        print_word,
        extra,
    };
    let end = p.asm.label();
    p.start();
    if let Some(features) = batch.features {
        p.start_programs(features, batch.seed.is_multiple_of(2));
    }
    for index in batch.first..batch.first + batch.count {
        p.sequence(&parts(batch, index), batch.features);
    }
    p.asm.jal(0, end);
    match batch.features {
        Some(features) => p.resuming_handler(features),
        None => p.trap_handler(),
    }
    p.finish_sequence(batch);
    p.print_word();
    p.asm.place(end);
    p.power_off();
    if batch.features.is_some() {
        p.program_data(batch.generator, batch.seed);
    }
    p.data();
    p.asm.finish()
}

impl Program {
    fn start(&mut self) {
        let a = &mut self.asm;
        a.la(5, self.trap);
        a.csrrw(0, MTVEC, 5);
        a.li(5, 0x6000); // mstatus.FS
        a.csrrs(0, MSTATUS, 5);
    }

    /// Prepares memory and registers from the block that follows the code, runs, reports.
    fn sequence(&mut self, parts: &Parts, features: Option<Features>) {
        let block = self.asm.label();
        let next = self.asm.label();
        let (code, end) = (self.asm.label(), self.asm.label());
        self.fill_scratch();
        let a = &mut self.asm;
        a.la(31, self.save);
        a.csrrw(0, MSCRATCH, 31);
        if let Some(features) = features {
            self.prepare_program(features, parts.user, code, end);
        }
        let a = &mut self.asm;
        a.la(30, next);
        a.sd(30, 31, BLOCK_BYTES); // where to go on
        a.la(31, block);
        a.ld(30, 31, FCSR_AT);
        a.csrrw(0, FCSR, 30);
        for f in 0..32 {
            a.fld(f, 31, F0 + 8 * f as i32);
        }
        for x in 1..32 {
            a.ld(x, 31, 8 * x as i32);
        }
        for base in BASES {
            a.la(base, self.scratch);
            a.addi(base, base, 2040);
        }
        a.fence_i();
        if let Some(features) = features {
            self.enter_program(features);
        }
        let a = &mut self.asm;
        a.place(code);
        a.code.extend_from_slice(&parts.code);
        if !a.here().is_multiple_of(4) {
            a.half(1); // c.nop
        }
        a.place(end);
        if let Some(features) = features {
            self.leave_program(features);
        }
        let a = &mut self.asm;
        a.csrrw(31, MSCRATCH, 31);
        if features.is_none() {
            for csr_word in [MCAUSE_AT, MTVAL_AT, MEPC_AT] {
                a.sd(0, 31, csr_word);
            }
        }
        a.jal(0, self.finish_sequence);
        a.align(8);
        a.place(block);
        for value in &parts.registers {
            a.code.extend_from_slice(&value.to_le_bytes());
        }
        a.place(next);
    }

    /// Copies the template over the scratch memory.
    fn fill_scratch(&mut self) {
        let a = &mut self.asm;
        let again = a.label();
        a.la(5, self.template);
        a.la(6, self.scratch);
        a.addi(7, 0, (SCRATCH_BYTES / 8) as i32);
        a.place(again);
        a.ld(28, 5, 0);
        a.sd(28, 6, 0);
        a.addi(5, 5, 8);
        a.addi(6, 6, 8);
        a.addi(7, 7, -1);
        a.branch(1, 7, 0, again);
    }

    /// Saves what the trap says. x31 and mscratch are swapped afterwards, as in a normal end.
    fn trap_handler(&mut self) {
        let a = &mut self.asm;
        a.align(4);
        a.place(self.trap);
        a.csrrw(31, MSCRATCH, 31);
        a.sd(30, 31, BLOCK_BYTES + 8);
        for (csr, at) in [(MCAUSE, MCAUSE_AT), (MTVAL, MTVAL_AT), (MEPC, MEPC_AT)] {
            a.csrrs(30, csr, 0);
            a.sd(30, 31, at);
        }
        a.ld(30, 31, BLOCK_BYTES + 8);
        a.jal(0, self.finish_sequence);
    }

    /// With x31 = the save block and the guest's x31 in mscratch.
    fn finish_sequence(&mut self, batch: &Batch<'_>) {
        let a = &mut self.asm;
        a.place(self.finish_sequence);
        for x in 1..31 {
            a.sd(x, 31, 8 * x as i32);
        }
        a.csrrs(30, MSCRATCH, 0);
        a.sd(30, 31, 8 * 31);
        for f in 0..32 {
            a.fsd(f, 31, F0 + 8 * f as i32);
        }
        a.csrrs(30, FCSR, 0);
        a.sd(30, 31, FCSR_AT);
        a.addi(10, 0, 0);
        // Chosen at run time, so that a dump has the addresses of the run that it explains.
        a.addi(25, 0, i32::from(batch.dump));
        self.visit(self.save, BLOCK_WORDS);
        self.visit(self.scratch, (SCRATCH_BYTES / 8) as i32);
        if batch.features.is_some_and(|features| features.mapped) {
            self.visit(self.extra.pool, traps::POOL_WORDS);
        }
        if batch.features.is_some() {
            self.visit_log();
        }
        let a = &mut self.asm;
        let dumped = a.label();
        a.branch(1, 25, 0, dumped);
        a.jal(1, self.print_word);
        a.place(dumped);
        let a = &mut self.asm;
        a.la(31, self.save);
        a.ld(30, 31, BLOCK_BYTES);
        a.jalr(0, 30);
    }

    /// The log of traps, in dumps only.
    fn visit_log(&mut self) {
        let over = self.asm.label();
        self.asm.branch(0, 25, 0, over);
        self.visit(self.extra.log, traps::LOG_WORDS);
        self.asm.place(over);
    }

    /// Digests `words` double words into x10, or prints each if x25 says so.
    fn visit(&mut self, from: Label, words: i32) {
        let a = &mut self.asm;
        let (again, print, next) = (a.label(), a.label(), a.label());
        a.la(20, from);
        a.li(21, words);
        a.li(22, 0x0100_01b3);
        a.place(again);
        a.ld(23, 20, 0);
        a.branch(1, 25, 0, print);
        a.xor(10, 10, 23);
        a.mul(10, 10, 22);
        a.srli(24, 10, 29);
        a.xor(10, 10, 24);
        a.jal(0, next);
        a.place(print);
        a.addi(10, 23, 0);
        a.jal(1, self.print_word);
        a.place(next);
        a.addi(20, 20, 8);
        a.addi(21, 21, -1);
        a.branch(1, 21, 0, again);
    }

    /// Prints x10 as 16 hexadecimal digits and a newline; uses x11 to x14.
    fn print_word(&mut self) {
        let a = &mut self.asm;
        let (again, digit) = (a.label(), a.label());
        a.place(self.print_word);
        a.li_u32(11, UART);
        a.addi(12, 0, 64);
        a.place(again);
        a.addi(12, 12, -4);
        a.word(0x00c5_56b3); // srl x13, x10, x12
        a.andi(13, 13, 15);
        a.addi(13, 13, 48);
        a.addi(14, 0, 58);
        a.branch(6, 13, 14, digit);
        a.addi(13, 13, 39);
        a.place(digit);
        a.sb(13, 11, 0);
        a.branch(1, 12, 0, again);
        a.addi(13, 0, 10);
        a.sb(13, 11, 0);
        a.jalr(0, 1);
    }

    fn power_off(&mut self) {
        let a = &mut self.asm;
        let stay = a.label();
        a.li(5, FINISHER as i32);
        a.li(6, FINISHER_PASS);
        a.sw(6, 5, 0);
        a.place(stay);
        a.jal(0, stay);
    }

    fn data(&mut self) {
        let a = &mut self.asm;
        a.align(64);
        a.place(self.save);
        a.code.resize(a.code.len() + traps::FRAME_END as usize, 0);
        a.align(4096);
        a.place(self.template);
        let mut random = Random::new(1);
        for _ in 0..SCRATCH_BYTES / 8 {
            let word = random.float();
            a.code.extend_from_slice(&word.to_le_bytes());
        }
        // Bases point to a page border.
        a.code.resize(a.code.len() + 2048, 0);
        a.place(self.scratch);
        a.code.resize(a.code.len() + SCRATCH_BYTES + 2048, 0);
    }
}

/// Words of the pool of a batch's programs.
fn pool_words(batch: &Batch<'_>) -> usize {
    let mapped = batch.features.is_some_and(|features| features.mapped);
    if mapped {
        traps::POOL_WORDS as usize
    } else {
        0
    }
}

/// Lines of a full dump.
pub fn dump_lines(batch: &Batch<'_>) -> usize {
    let log = batch.features.map_or(0, |_| traps::LOG_WORDS as usize);
    BLOCK_WORDS as usize + SCRATCH_BYTES / 8 + pool_words(batch) + log
}

/// Name of line `index` of a dump.
pub fn dump_line_name(batch: &Batch<'_>, index: usize) -> String {
    let memory = BLOCK_WORDS as usize;
    let log = memory + SCRATCH_BYTES / 8 + pool_words(batch);
    let csrs = if batch.features.is_some() {
        ["digest of traps", "traps", "last mepc"]
    } else {
        ["mcause", "mtval", "mepc"]
    };
    match index {
        0..=31 => format!("x{index}"),
        32..=63 => format!("f{}", index - 32),
        64 => "fcsr".into(),
        65..=67 => csrs[index - 65].into(),
        _ if index >= log => {
            let what = ["cause", "mepc", "mtval", "digest"][(index - log) % 4];
            format!("trap {}, {what}", (index - log) / 4)
        }
        _ => format!("memory {:#x}", (index - memory) * 8),
    }
}
