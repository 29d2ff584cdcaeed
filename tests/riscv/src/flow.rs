//! Random programs: control-flow graphs with loops, calls, recursion, jump tables and tail jumps
//! around random operations; with traps, remapping, self-modification as the group says.
//!
//! Programs end by construction: every way back but two is guarded by a register of fuel that
//! nothing refills, and those two (a tight loop, a recursion) count a register of their own down to
//! nothing. Random operations write none of the registers in [`RESERVED`], and access memory off
//! registers that point into memory of ours.

use crate::asm::{Asm, Label};
use crate::random::Random;
use crate::sequence::Generator;

/// What a group of programs has besides control flow.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Features {
    /// Operations that trap now and then; the handler records and skips them.
    pub faults: bool,
    /// Runs in S or U mode under Sv39, and asks for other mappings.
    pub mapped: bool,
    /// Overwrites instructions of its own.
    pub smc: bool,
    /// The timer interrupts all the time, at points that do not repeat.
    pub interrupts: bool,
}

const NONE: Features = Features {
    faults: false,
    mapped: false,
    smc: false,
    interrupts: false,
};

/// All groups of programs.
#[rustfmt::skip]
pub const GROUPS: [(&str, Features); 5] = [
    ("flow", NONE),
    ("fault", Features { faults: true, ..NONE }),
    ("remap", Features { faults: true, mapped: true, ..NONE }),
    ("smc", Features { smc: true, ..NONE }),
    ("interrupt", Features { interrupts: true, ..NONE }),
];

const LINK: u32 = 1;
const OTHER_LINK: u32 = 5;
const BASES: [u32; 3] = [2, 8, 9];
/// Counts a tight loop down; compressed branches reach it.
const TIGHT: u32 = 14;
/// Points to bad memory at times; holds what is patched in.
const AWRY: u32 = 16;
const COUNTERS: [u32; 4] = [18, 19, 20, 21];
const TEMP: u32 = 24;
const DEPTH: u32 = 25;
const FUEL: u32 = 26;
pub const STACK: u32 = 27;
/// What random operations never write.
const RESERVED: u32 = 1 << LINK
    | 1 << OTHER_LINK
    | 1 << BASES[0]
    | 1 << BASES[1]
    | 1 << BASES[2]
    | 1 << TIGHT
    | 1 << AWRY
    | 0xf << COUNTERS[0]
    | 1 << TEMP
    | 1 << DEPTH
    | 1 << FUEL
    | 1 << STACK;

/// The end of 64 MiB of RAM.
const BAD_ADDRESS: u32 = 0x8400_0000;
/// Virtual addresses of the mapped data pages and of the pages with [`code_page`]'s functions.
pub const DATA_WINDOW: u32 = 0x4000_0000;
pub const DATA_PAGES: u32 = 8;
pub const CODE_WINDOW: u32 = DATA_WINDOW + 4096 * DATA_PAGES;
/// Where functions of a code page start.
const CODE_STEP: i32 = 256;

/// A program executes at most about this many instructions.
pub const BOUND: u64 = 300_000;
/// What a trap and what a change of code count as.
const TRAP_COST: u64 = 250;

/// A generated program: it runs from its first byte and leaves by falling out of its end.
pub struct Flow {
    pub code: Vec<u8>,
    /// An upper bound of the instructions it executes (traps counted as [`TRAP_COST`]).
    #[cfg_attr(not(test), expect(dead_code, reason = "the tests check it"))]
    pub bound: u64,
    /// How many operations there are to mute.
    pub operations: usize,
}

/// What a function is called by, and what a call costs.
#[derive(Clone, Copy)]
struct Function {
    entry: Label,
    cost: u64,
}

struct Builder<'a> {
    asm: Asm,
    random: &'a mut Random,
    operations: &'a Generator,
    features: Features,
    /// Operations that become no-operations of the same size, to find out which matter.
    muted: &'a [bool],
    index: usize,
    /// Cost of one way through all that was emitted, each instruction once or `weight` times.
    cost: u64,
    weight: u64,
    functions: Vec<Function>,
    blocks: Vec<Label>,
    slots: Vec<Label>,
    placed: usize,
    templates: Label,
}

/// A program of about `length` blocks' worth of operations.
pub fn program(
    operations: &Generator,
    features: Features,
    random: &mut Random,
    length: usize,
    muted: &[bool],
) -> Flow {
    let mut asm = Asm::default();
    let templates = asm.label();
    let slots = (0..4).map(|_| asm.label()).collect();
    let mut builder = Builder {
        asm,
        random,
        operations,
        features,
        muted,
        index: 0,
        cost: 0,
        weight: 1,
        functions: Vec::new(),
        blocks: Vec::new(),
        slots,
        placed: 0,
        templates,
    };
    builder.whole(length)
}

/// A page of functions that [`CODE_WINDOW`] shows; all instructions have four bytes.
pub fn code_page(operations: &Generator, random: &mut Random) -> Vec<u8> {
    let mut code = Vec::new();
    while code.len() < 4096 {
        let start = code.len();
        for _ in 0..1 + random.below(8) {
            let (insn, half) = operation(operations, random);
            let insn = if half { 0x0015_0513 } else { insn };
            code.extend_from_slice(&insn.to_le_bytes());
        }
        code.extend_from_slice(&0x0000_8067_u32.to_le_bytes()); // ret
        code.resize(start + CODE_STEP as usize, 0);
    }
    code
}

/// A random operation that keeps the rules, and whether it is compressed.
fn operation(operations: &Generator, random: &mut Random) -> (u32, bool) {
    loop {
        let (insn, half) = operations.draw(random);
        let insn = if half {
            shape_half(insn, random)
        } else {
            shape_word(insn, random)
        };
        if insn.is_some_and(|insn| written(insn, half) & RESERVED == 0) {
            return (insn.unwrap_or_default(), half);
        }
    }
}

/// Memory off a base, near by half of the time; no control flow.
fn shape_word(insn: u32, random: &mut Random) -> Option<u32> {
    let (opcode, near) = (insn & 0x7f, random.one_in(2));
    let based = insn & !(31 << 15) | random.pick(&BASES) << 15;
    let insn = valid_rounding(insn);
    match opcode {
        // Atomic operations are aligned: off sp, which does not move.
        0x2f => Some(insn & !(31 << 15) | BASES[0] << 15),
        0x63 | 0x67 | 0x6f => None,
        // cbo: where it faults, QEMU's mtval is the block's address instead of rs1.
        0x0f if insn >> 12 & 7 == 2 => None,
        // Loads and stores within 32 bytes of the base.
        0x03 | 0x07 if near => Some((based & 0x000f_ffff) | (based >> 20 & 0x1f) << 20),
        0x23 | 0x27 if near => Some(based & 0x01ff_ffff),
        0x03 | 0x07 | 0x23 | 0x27 | 0x0f => Some(based),
        // auipc of its own address is the same on both, and so allowed.
        _ => Some(insn),
    }
}

/// Reserved rounding modes become the dynamic one (but fltq has 5 for another reason).
fn valid_rounding(insn: u32) -> u32 {
    let compares = insn >> 27 == 0x14;
    match (insn & 0x7f, insn >> 12 & 7) {
        (0x43 | 0x47 | 0x4b | 0x4f, 5 | 6) => insn | 7 << 12,
        (0x53, 5 | 6) if !compares => insn | 7 << 12,
        _ => insn,
    }
}

fn shape_half(insn: u32, random: &mut Random) -> Option<u32> {
    match (insn & 3, insn >> 13) {
        (0, 0) => Some(insn),
        (0, _) => Some(insn & !(7 << 7) | (random.below(2) as u32) << 7),
        (1, 5..=7) => None,
        (2, 2 | 3) if insn >> 7 & 31 == 0 => None, // reserved
        (2, 4) if insn & 0x7c == 0 => None,        // jr, jalr, ebreak
        _ => Some(insn),
    }
}

/// The integer registers that it may write, as a mask.
fn written(insn: u32, half: bool) -> u32 {
    let (rd, low, middle) = (insn >> 7 & 31, 8 + (insn >> 2 & 7), 8 + (insn >> 7 & 7));
    if !half {
        return match insn & 0x7f {
            0x23 | 0x27 | 0x07 | 0x43 | 0x47 | 0x4b | 0x4f => 0,
            0x2f => 3 << (rd & 30), // amocas.q has a pair
            _ => 1 << rd,
        };
    }
    match (insn & 3, insn >> 13) {
        (0, 0 | 2 | 3 | 4) => 1 << low,
        (0, _) => 0,
        (1, 4) => 1 << middle,
        (2, 1 | 5 | 6 | 7) => 0,
        _ => 1 << rd,
    }
}

impl Builder<'_> {
    /// Functions, blocks, and last the entry, which knows what fuel is affordable.
    fn whole(&mut self, length: usize) -> Flow {
        let (entry, end) = (self.asm.label(), self.asm.label());
        self.asm.jal(0, entry);
        for _ in 0..self.random.below(4) {
            self.function();
        }
        self.cost = 0;
        let count = 2 + self.random.below(1 + length as u64 / 3) as usize;
        self.blocks = (0..=count).map(|_| self.asm.label()).collect();
        for block in 0..count {
            self.asm.place(self.blocks[block]);
            self.body(6);
            self.terminator(block, count);
        }
        self.asm.place(self.blocks[count]);
        while self.placed < self.slots.len() {
            self.slot();
        }
        // All over again until the fuel is used up.
        self.guard(end);
        self.asm.jal(0, self.blocks[0]);
        self.templates();
        self.asm.place(entry);
        let fuel = self.entry();
        self.asm.place(end);
        let asm = std::mem::take(&mut self.asm);
        Flow {
            code: asm.finish(),
            bound: (fuel + 1) * self.cost,
            operations: self.index,
        }
    }

    /// Sets the registers up; returns the fuel.
    fn entry(&mut self) -> u64 {
        let most = self.random.pick(&[60, 400, 3000, 8000]);
        let fuel = most.min(BOUND / self.cost.max(1)).max(1);
        let fuel = if self.features.smc {
            fuel.min(200)
        } else {
            fuel
        };
        self.asm.li(FUEL, fuel as i32);
        for counter in COUNTERS {
            let count = 1 + self.random.below(12) as i32;
            self.asm.addi(counter, 0, count);
        }
        self.asm.addi(TIGHT, 0, 0);
        for base in [8, 9] {
            if self.features.mapped && !self.random.one_in(4) {
                let page = 1 + self.random.below(u64::from(DATA_PAGES) - 1) as u32;
                self.asm.lui(base, (DATA_WINDOW >> 12) + page);
                self.asm.addi(base, base, -8);
            }
            let off = self.random.below(16) as i32;
            let off = if self.random.one_in(2) { off } else { 0 };
            self.asm.addi(base, base, off);
        }
        self.asm.jal(0, self.blocks[0]);
        fuel
    }

    /// One way through costs as much more.
    fn pay(&mut self, cost: u64) {
        self.cost += cost * self.weight;
    }

    fn body(&mut self, most: u64) {
        for _ in 0..self.random.below(most + 1) {
            self.step();
        }
    }

    fn step(&mut self) {
        match self.random.below(24) {
            0 | 1 => self.skip(),
            2 => self.tight_loop(),
            3 => self.call(),
            4 | 5 if self.features.faults => self.fault(),
            6 if self.features.mapped => self.seldom(Self::ecall),
            7 if self.features.mapped => self.call_window(),
            8 | 9 if self.features.smc => self.slot(),
            10 if self.features.smc => self.seldom(Self::patch),
            11 => self.walk(),
            _ => self.plain(),
        }
    }

    /// One random operation, or its place if it is muted.
    fn plain(&mut self) {
        let (insn, half) = operation(self.operations, self.random);
        let muted = self.muted.get(self.index).copied().unwrap_or(false);
        match (half, muted) {
            (true, _) => self.asm.half(if muted { 1 } else { insn as u16 }),
            (false, _) => self.asm.word(if muted { 0x13 } else { insn }),
        }
        self.index += 1;
        // It may be an encoding that is reserved.
        self.pay(2);
    }

    /// TEMP = something of the fuel, which differs from turn to turn.
    fn vary(&mut self) {
        let mask = self.random.pick(&[1, 2, 3, 4, 7, 8, 15]);
        self.asm.andi(TEMP, FUEL, mask);
        self.pay(1);
    }

    /// A conditional branch of any kind to `to`.
    fn branch(&mut self, to: Label) {
        self.pay(1);
        if self.random.one_in(2) {
            self.vary();
            let not = self.random.below(2) as u32;
            return self.asm.branch(not, TEMP, 0, to);
        }
        let kind = self.random.pick(&[0, 1, 4, 5, 6, 7]);
        let (a, b) = (self.random.below(32) as u32, self.random.below(32) as u32);
        self.asm.branch(kind, a, b, to);
    }

    /// A few operations that are skipped at times.
    fn skip(&mut self) {
        let over = self.asm.label();
        if self.random.one_in(2) {
            let (not, reg) = (self.random.one_in(2), self.random.below(8) as u32);
            self.asm.c_branch(not, reg, over);
            self.pay(1);
        } else {
            self.branch(over);
        }
        for _ in 0..1 + self.random.below(4) {
            self.plain();
        }
        if self.random.one_in(4) {
            let out = self.asm.label();
            self.asm.c_j(out);
            self.asm.place(over);
            for _ in 0..1 + self.random.below(4) {
                self.plain();
            }
            self.asm.place(out);
        } else {
            self.asm.place(over);
        }
    }

    /// A loop of a few operations, at times with a way out in the middle.
    fn tight_loop(&mut self) {
        let (again, out) = (self.asm.label(), self.asm.label());
        let turns = 1 + self.random.below(24);
        self.asm.addi(TIGHT, 0, turns as i32);
        self.asm.place(again);
        self.weight *= turns;
        for _ in 0..1 + self.random.below(5) {
            if self.random.one_in(6) {
                self.skip();
            } else {
                self.plain();
            }
        }
        if self.random.one_in(4) {
            self.branch(out);
        }
        self.pay(2);
        self.weight /= turns;
        self.asm.addi(TIGHT, TIGHT, -1);
        if self.random.one_in(2) {
            self.asm.c_branch(true, TIGHT - 8, again);
        } else {
            let kind = self.random.pick(&[1, 6]); // bne x14, x0 or bltu x0, x14
            let (a, b) = if kind == 1 { (TIGHT, 0) } else { (0, TIGHT) };
            self.asm.branch(kind, a, b, again);
        }
        self.asm.place(out);
    }

    /// A base moves and comes back: accesses of one instruction over a page border.
    fn walk(&mut self) {
        let base = self.random.pick(&[8, 9]);
        let (step, turns) = (self.random.pick(&[1, 4, 8, -8, 12]), 8);
        let again = self.asm.label();
        self.asm.addi(TIGHT, 0, turns);
        self.asm.place(again);
        self.weight *= turns as u64;
        for _ in 0..1 + self.random.below(3) {
            self.plain();
        }
        self.pay(3);
        self.weight /= turns as u64;
        self.asm.addi(base, base, step);
        self.asm.addi(TIGHT, TIGHT, -1);
        self.asm.branch(1, TIGHT, 0, again);
        self.asm.addi(base, base, -step * turns);
    }

    /// Goes on after this when the fuel is used up; what follows may go back.
    fn guard(&mut self, out: Label) {
        self.asm.addi(FUEL, FUEL, -1);
        self.asm.branch(5, 0, FUEL, out);
        self.pay(2);
    }

    fn any_block(&mut self) -> Label {
        self.random.pick(&self.blocks)
    }

    fn later_block(&mut self, block: usize, count: usize) -> Label {
        let ahead = 1 + self.random.below((count - block) as u64) as usize;
        self.blocks[block + ahead]
    }

    /// How block `block` of `count` ends.
    fn terminator(&mut self, block: usize, count: usize) {
        let out = self.asm.label();
        let next = self.later_block(block, count);
        match self.random.below(11) {
            0 => {}
            1..=3 => self.branch(next),
            4 | 5 => self.counted(block, out),
            6 | 7 => {
                self.guard(out);
                let to = self.any_block();
                self.branch(to);
            }
            8 => {
                self.guard(out);
                self.table();
            }
            9 => {
                self.guard(out);
                let to = self.any_block();
                self.asm.la(TEMP, to);
                self.asm.jalr(0, TEMP);
                self.pay(3);
            }
            _ => {
                self.asm.jal(0, next);
                self.pay(1);
            }
        }
        self.asm.place(out);
    }

    /// A loop over all blocks from an earlier one, with a counter that starts anew afterwards.
    fn counted(&mut self, block: usize, out: Label) {
        let counter = self.random.pick(&COUNTERS);
        let head = self.blocks[block - self.random.below(block as u64 + 1).min(4) as usize];
        self.guard(out);
        self.asm.addi(counter, counter, -1);
        self.asm.branch(4, 0, counter, head);
        let turns = 1 + self.random.below(12) as i32;
        self.asm.addi(counter, 0, turns);
        self.pay(3);
    }

    /// A computed jump into a table of jumps.
    fn table(&mut self) {
        let table = self.asm.label();
        self.asm.andi(TEMP, FUEL, 3);
        self.asm.slli(TEMP, TEMP, 2);
        self.asm.la(AWRY, table);
        self.asm.add(TEMP, TEMP, AWRY);
        self.asm.jalr(0, TEMP);
        self.asm.place(table);
        for _ in 0..4 {
            let to = self.any_block();
            self.asm.jal(0, to);
        }
        self.pay(7);
    }
}

/// Functions and calls. A function calls only those that were made before it.
impl Builder<'_> {
    fn function(&mut self) {
        let entry = self.asm.label();
        self.cost = 0;
        self.asm.place(entry);
        let turns = match self.random.below(3) {
            0 => {
                self.body_of_function(4);
                1
            }
            1 => {
                self.recursion(entry);
                6
            }
            _ => {
                self.plain();
                self.tail();
                1
            }
        };
        let cost = turns * self.cost + 1;
        self.functions.push(Function { entry, cost });
    }

    /// Operations and calls, with the link register on the stack.
    fn body_of_function(&mut self, most: u64) {
        self.asm.sd(LINK, STACK, 0);
        self.asm.addi(STACK, STACK, 8);
        self.body(most);
        self.asm.addi(STACK, STACK, -8);
        self.asm.ld(LINK, STACK, 0);
        self.pay(5);
        self.leave();
    }

    fn leave(&mut self) {
        if self.random.one_in(2) {
            self.asm.half(0x8082); // c.jr x1
        } else {
            self.asm.jalr(0, LINK);
        }
    }

    /// Calls itself until DEPTH is used up.
    fn recursion(&mut self, entry: Label) {
        let base = self.asm.label();
        self.asm.addi(DEPTH, DEPTH, -1);
        self.asm.branch(5, 0, DEPTH, base);
        self.asm.sd(LINK, STACK, 0);
        self.asm.addi(STACK, STACK, 8);
        for _ in 0..self.random.below(4) {
            self.plain();
        }
        self.asm.jal(LINK, entry);
        for _ in 0..self.random.below(4) {
            self.plain();
        }
        self.asm.addi(STACK, STACK, -8);
        self.asm.ld(LINK, STACK, 0);
        self.asm.place(base);
        self.pay(8);
        self.leave();
    }

    /// Jumps to another function, which returns for this one.
    fn tail(&mut self) {
        self.pay(4);
        if self.functions.is_empty() {
            return self.leave();
        }
        let function = self.random.pick(&self.functions);
        self.pay(function.cost);
        self.asm.addi(DEPTH, 0, 3);
        if self.random.one_in(2) {
            self.asm.jal(0, function.entry);
        } else {
            self.asm.la(TEMP, function.entry);
            self.asm.jalr(0, TEMP);
        }
    }

    /// A call: direct, computed, or through the other link register.
    fn call(&mut self) {
        if self.functions.is_empty() {
            return self.plain();
        }
        let function = self.random.pick(&self.functions);
        let depth = 1 + self.random.below(5) as i32;
        self.asm.addi(DEPTH, 0, depth);
        match self.random.below(4) {
            0 => {
                self.asm.la(TEMP, function.entry);
                self.asm.half(0x9c02); // c.jalr x24
            }
            1 => {
                self.asm.la(OTHER_LINK, function.entry);
                self.asm.jalr(LINK, OTHER_LINK);
            }
            _ => self.asm.jal(LINK, function.entry),
        }
        self.pay(4 + function.cost);
    }
}

/// What the groups have besides.
impl Builder<'_> {
    /// `what`, on some turns only.
    fn seldom(&mut self, what: fn(&mut Self)) {
        let over = self.asm.label();
        let mask = self.random.pick(&[0, 3, 7, 15, 31, 63]);
        self.asm.andi(TEMP, FUEL, mask);
        self.asm.branch(1, TEMP, 0, over);
        what(self);
        self.asm.place(over);
        self.pay(2);
    }

    fn ecall(&mut self) {
        self.asm.word(0x0000_0073);
        self.pay(TRAP_COST / 4);
    }

    fn fault(&mut self) {
        if self.random.one_in(3) {
            return self.seldom(Self::always_traps);
        }
        // An access whose base is bad on some turns.
        let good = self.asm.label();
        let base = self.random.pick(&BASES);
        let (insn, _) = loop {
            let (insn, half) = operation(self.operations, self.random);
            if !half && matches!(insn & 0x7f, 0x03 | 0x07 | 0x23 | 0x27 | 0x2f) {
                break (insn, half);
            }
        };
        self.asm.addi(AWRY, base, 0);
        let mask = self.random.pick(&[3, 7, 15, 31]);
        self.asm.andi(TEMP, FUEL, mask);
        self.asm.branch(1, TEMP, 0, good);
        if self.random.one_in(3) {
            self.asm.addi(AWRY, AWRY, 1);
        } else {
            self.asm.li_u32(AWRY, BAD_ADDRESS + 4096);
        }
        self.asm.place(good);
        self.asm.word(insn & !(31 << 15) | AWRY << 15);
        self.pay(8 + TRAP_COST / 4);
    }

    fn always_traps(&mut self) {
        self.pay(TRAP_COST / 4);
        match self.random.below(6) {
            0 => self.asm.half(0), // illegal
            1 => self.asm.word(0x0000_000b),
            2 => self.asm.word(0x0000_0073), // ecall
            3 => self.asm.word(0x0010_0073), // ebreak
            4 => self.asm.half(0x9002),      // c.ebreak
            _ => {
                self.asm.li_u32(TEMP, BAD_ADDRESS + 8192);
                self.asm.jalr(LINK, TEMP);
            }
        }
    }

    /// A function of whichever page is mapped there now.
    fn call_window(&mut self) {
        let page = self.random.below(2) as u32;
        let function = self.random.below(16) as i32;
        self.asm.lui(TEMP, (CODE_WINDOW >> 12) + page);
        self.asm.addi(TEMP, TEMP, (function % 8) * CODE_STEP);
        self.asm.jalr(LINK, TEMP);
        self.pay(20);
    }

    /// An instruction that may be overwritten, and one that it may skip.
    fn slot(&mut self) {
        if self.placed == self.slots.len() {
            return self.plain();
        }
        self.asm.place(self.slots[self.placed]);
        self.placed += 1;
        self.asm.word(0x13);
        self.asm.word(0x0015_0513); // addi x10, x10, 1
        self.pay(4);
    }

    fn patch(&mut self) {
        let slot = self.random.pick(&self.slots);
        let shift = self.random.below(4) as i32;
        self.asm.srli(TEMP, FUEL, shift);
        self.asm.andi(TEMP, TEMP, 28);
        self.asm.la(AWRY, self.templates);
        self.asm.add(AWRY, AWRY, TEMP);
        self.asm.lw(AWRY, AWRY, 0);
        self.asm.la(TEMP, slot);
        self.asm.sw(AWRY, TEMP, 0);
        self.asm.fence_i();
        self.pay(12);
    }

    /// Eight instructions to patch in.
    fn templates(&mut self) {
        self.asm.align(4);
        self.asm.place(self.templates);
        self.asm.word(0x0080_006f); // j over the next
        self.asm.word(0x0015_7613); // andi x12, x10, 1
        for _ in 2..8 {
            let insn = loop {
                let (insn, half) = operation(self.operations, self.random);
                if !half {
                    break insn;
                }
            };
            self.asm.word(insn);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make(features: Features, seed: u64) -> Flow {
        let operations = Generator::new("all");
        program(&operations, features, &mut Random::new(seed), 30, &[])
    }

    #[test]
    fn programs_are_bounded_and_repeat() {
        for (name, features) in GROUPS {
            for seed in 0..300 {
                let flow = make(features, seed);
                assert!(flow.bound <= BOUND * 4, "{name} {seed}: {}", flow.bound);
                assert!(flow.code.len() < 8192, "{name} {seed}");
                assert_eq!(flow.code, make(features, seed).code);
            }
        }
    }

    #[test]
    fn operations_keep_reserved_registers() {
        let operations = Generator::new("all");
        let mut random = Random::new(5);
        for _ in 0..20_000 {
            let (insn, half) = operation(&operations, &mut random);
            assert_eq!(written(insn, half) & RESERVED, 0, "{insn:#x}");
            let jumps = !half && matches!(insn & 0x7f, 0x63 | 0x67 | 0x6f);
            assert!(!jumps, "{insn:#x}");
        }
    }

    #[test]
    fn what_is_written() {
        assert_eq!(written(0x0015_0513, false), 1 << 10); // addi a0, a0, 1
        assert_eq!(written(0x00a4_3023, false), 0); // sd a0, 0(s0)
        assert_eq!(written(0x852e, true), 1 << 10); // c.mv a0, a1
        assert_eq!(written(0xe40c, true), 0); // c.sd a1, 8(s0)
        assert_eq!(written(0x640c, true), 1 << 11); // c.ld a1, 8(s0)
    }

    #[test]
    fn muting_keeps_the_layout() {
        let operations = Generator::new("all");
        let muted = vec![true; 4096];
        let flow = make(NONE, 9);
        let quiet = program(&operations, NONE, &mut Random::new(9), 30, &muted);
        assert_eq!(flow.code.len(), quiet.code.len());
        assert_eq!(flow.operations, quiet.operations);
        assert_ne!(flow.code, quiet.code);
    }
}
