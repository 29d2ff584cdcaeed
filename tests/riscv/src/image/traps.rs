//! What programs need around them: a handler that records traps and goes on, interrupts that
//! clobber and restore everything, and page tables whose entries the handler changes.
//!
//! The save block has the digest of all traps, their number and the last mepc where a sequence has
//! mcause, mtval and mepc; behind it is the handler's frame.

use super::{
    BLOCK_BYTES, F0, FCSR, FCSR_AT, MCAUSE, MCAUSE_AT, MEPC, MEPC_AT, MSCRATCH, MSTATUS, MTVAL,
    MTVAL_AT, Program,
};
use crate::asm::{Asm, Label};
use crate::flow::{self, CODE_WINDOW, DATA_PAGES, DATA_WINDOW, Features};
use crate::random::Random;
use crate::sequence::{Generator, SCRATCH_BYTES};

const SATP: u32 = 0x180;
const SENVCFG: u32 = 0x10a;
const MIE: u32 = 0x304;
const MENVCFG: u32 = 0x30a;
const PMPCFG0: u32 = 0x3a0;
const PMPADDR0: u32 = 0x3b0;

const MTIMECMP: u32 = 0x0200_4000;
/// The address of the last instruction of a program that is mapped: an ecall.
const END_AT: i32 = BLOCK_BYTES + 16;
const FRAME: i32 = BLOCK_BYTES + 64;
const FRAME_F: i32 = FRAME + 256;
const FRAME_FCSR: i32 = FRAME_F + 256;
pub const FRAME_END: i32 = FRAME_FCSR + 8;

const PTE_U: i32 = 0x10;
/// V R W A D and V R X A D.
const DATA_FLAGS: i32 = 0xc7;
const CODE_FLAGS: i32 = 0xcb;
/// What a data page and a code page may become: with all, read only, without A, without D, invalid.
const NEW_FLAGS: [u64; 16] = [
    0xc7, 0xc7, 0xc7, 0x43, 0x87, 0x47, 0, 0xcf, 0xcb, 0xcb, 0xcb, 0xcb, 0x8b, 0, 0xcf, 0xc7,
];
/// Physical pages of each kind.
const POOL: i32 = 4;
const CODE_PAGES: i32 = 2;

/// Places of what programs have besides.
#[derive(Clone, Copy)]
pub struct Extra {
    root: Label,
    middle: Label,
    leaves: Label,
    pub pool: Label,
    code_pages: Label,
    flags: Label,
    stack: Label,
    pub log: Label,
    map: [Label; 2],
}

/// Words of the pool, which are compared.
pub const POOL_WORDS: i32 = 512 * POOL;

/// Traps that a dump shows, and the words of that.
const LOG: i32 = 1024;
pub const LOG_WORDS: i32 = 4 * LOG;

impl Extra {
    pub fn new(asm: &mut Asm) -> Self {
        let mut label = || asm.label();
        Self {
            root: label(),
            middle: label(),
            leaves: label(),
            pool: label(),
            code_pages: label(),
            flags: label(),
            stack: label(),
            log: label(),
            map: [label(), label()],
        }
    }
}

impl Program {
    /// Machine state for all programs of a batch.
    pub fn start_programs(&mut self, features: Features, adue: bool) {
        let extra = self.extra;
        let a = &mut self.asm;
        if features.interrupts {
            a.li_u32(5, MTIMECMP);
            a.sd(0, 5, 0);
            a.addi(5, 0, 1 << 7);
            a.csrrw(0, MIE, 5);
        }
        if !features.mapped {
            return;
        }
        a.addi(5, 0, -1);
        a.csrrw(0, PMPADDR0, 5);
        a.addi(5, 0, 0x1f);
        a.csrrw(0, PMPCFG0, 5);
        a.addi(5, 0, 0xf0); // cbo
        a.csrrw(0, SENVCFG, 5);
        a.addi(6, 0, i32::from(adue));
        a.slli(6, 6, 61);
        a.add(5, 5, 6);
        a.csrrw(0, MENVCFG, 5);
        for (table, entry, to) in [
            (extra.root, 8, extra.middle),
            (extra.middle, 0, extra.leaves),
        ] {
            a.la(5, to);
            a.srli(5, 5, 2);
            a.addi(5, 5, 1);
            a.la(6, table);
            a.sd(5, 6, entry);
        }
        a.la(5, extra.root);
        a.srli(5, 5, 12);
        a.addi(6, 0, 8);
        a.slli(6, 6, 60);
        a.add(5, 5, 6);
        a.csrrw(0, SATP, 5);
    }

    /// Before the registers of a program are loaded; x31 = the save block.
    pub fn prepare_program(&mut self, features: Features, user: bool, code: Label, end: Label) {
        let map = self.extra.map;
        let a = &mut self.asm;
        for word in [MCAUSE_AT, MTVAL_AT, MEPC_AT, END_AT] {
            a.sd(0, 31, word);
        }
        if !features.mapped {
            return;
        }
        a.jal(1, map[usize::from(user)]);
        a.la(30, end);
        a.sd(30, 31, END_AT);
        a.la(30, code);
        a.csrrw(0, MEPC, 30);
        a.li(30, 0x1800);
        a.csrrc(0, MSTATUS, 30);
        if !user {
            a.li(30, 0x800);
            a.csrrs(0, MSTATUS, 30);
        }
    }

    /// After the registers are loaded.
    pub fn enter_program(&mut self, features: Features) {
        let stack = self.extra.stack;
        let a = &mut self.asm;
        a.la(flow::STACK, stack);
        if features.mapped {
            a.word(0x3020_0073); // mret
        }
        if features.interrupts {
            a.word(0x3004_6073); // csrsi mstatus, MIE
        }
    }

    pub fn leave_program(&mut self, features: Features) {
        if features.mapped {
            self.asm.word(0x0000_0073); // ecall
        }
        if features.interrupts {
            self.asm.word(0x3004_7073); // csrci mstatus, MIE
        }
    }

    /// Saves all integer registers to the frame, then serves an interrupt or a trap.
    pub fn resuming_handler(&mut self, features: Features) {
        let a = &mut self.asm;
        let (interrupt, back) = (a.label(), a.label());
        a.align(4);
        a.place(self.trap);
        a.csrrw(31, MSCRATCH, 31);
        for x in 1..31 {
            a.sd(x, 31, FRAME + 8 * x as i32);
        }
        a.csrrw(30, MSCRATCH, 31);
        a.sd(30, 31, FRAME + 8 * 31);
        a.csrrs(5, MCAUSE, 0);
        a.branch(4, 5, 0, interrupt);
        self.digest_trap();
        if features.mapped {
            self.end_or_remap();
        }
        self.skip_instruction();
        let a = &mut self.asm;
        a.place(back);
        for x in 1..32 {
            a.ld(x, 31, FRAME + 8 * x as i32);
        }
        a.word(0x3020_0073); // mret
        a.place(interrupt);
        self.interrupt();
        self.asm.jal(0, back);
        if features.mapped {
            self.map_routine(false);
            self.map_routine(true);
        }
    }

    /// x6 = x6 mixed with `value`; uses x28 and wants the factor in x29.
    fn mix(&mut self, value: u32) {
        let a = &mut self.asm;
        a.xor(6, 6, value);
        a.mul(6, 6, 29);
        a.srli(28, 6, 29);
        a.xor(6, 6, 28);
    }

    /// Mixes the cause (x5), mepc (kept in x7), mtval and all registers into the digest (x6).
    fn digest_trap(&mut self) {
        let again = self.asm.label();
        self.asm.li(29, 0x0100_01b3);
        self.asm.ld(6, 31, MCAUSE_AT);
        self.mix(5);
        self.asm.csrrs(8, MTVAL, 0);
        self.mix(8);
        self.asm.csrrs(7, MEPC, 0);
        self.mix(7);
        self.asm.sd(7, 31, MEPC_AT);
        self.asm.addi(8, 31, FRAME + 8);
        self.asm.addi(9, 0, 31);
        self.asm.place(again);
        self.asm.ld(10, 8, 0);
        self.mix(10);
        let a = &mut self.asm;
        a.addi(8, 8, 8);
        a.addi(9, 9, -1);
        a.branch(1, 9, 0, again);
        a.sd(6, 31, MCAUSE_AT);
        a.ld(8, 31, MTVAL_AT);
        a.addi(9, 8, 1);
        a.sd(9, 31, MTVAL_AT);
        self.log_trap();
    }

    /// Entry x8 of the log that a dump has: cause, mepc, mtval, digest.
    fn log_trap(&mut self) {
        let log = self.extra.log;
        let a = &mut self.asm;
        let full = a.label();
        a.addi(9, 0, LOG);
        a.branch(7, 8, 9, full);
        a.slli(8, 8, 5);
        a.la(9, log);
        a.add(8, 8, 9);
        a.csrrs(9, MTVAL, 0);
        for (i, register) in [5, 7, 9, 6].into_iter().enumerate() {
            a.sd(register, 8, 8 * i as i32);
        }
        a.place(full);
    }

    /// x7 += the length of the instruction there; after a jump to nowhere, x7 = the link register.
    fn skip_instruction(&mut self) {
        let a = &mut self.asm;
        let (link, done, four) = (a.label(), a.label(), a.label());
        for fetch in [0, 1, 12] {
            a.addi(8, 0, fetch);
            a.branch(0, 5, 8, link);
        }
        // Pages of the code window have only instructions of four bytes.
        a.li_u32(8, 0x8000_0000);
        a.branch(6, 7, 8, four);
        a.lhu(8, 7, 0);
        a.andi(8, 8, 3);
        a.addi(9, 0, 3);
        a.branch(0, 8, 9, four);
        a.addi(7, 7, 2);
        a.jal(0, done);
        a.place(four);
        a.addi(7, 7, 4);
        a.jal(0, done);
        a.place(link);
        a.ld(7, 31, FRAME + 8);
        a.place(done);
        a.csrrw(0, MEPC, 7);
    }

    /// At the last ecall, goes on in M mode as any sequence does. After others and page faults,
    /// changes an entry as the digest says.
    fn end_or_remap(&mut self) {
        let a = &mut self.asm;
        let (go_on, remap) = (a.label(), a.label());
        a.ld(8, 31, END_AT);
        a.branch(1, 7, 8, remap);
        a.ld(30, 31, FRAME + 8 * 31);
        a.csrrw(0, MSCRATCH, 30);
        for x in 1..31 {
            a.ld(x, 31, FRAME + 8 * x as i32);
        }
        a.jal(0, self.finish_sequence);
        a.place(remap);
        a.addi(8, 0, 8);
        a.branch(6, 5, 8, go_on);
        self.remap();
        self.asm.place(go_on);
    }

    /// x11 = the page, x13 = which physical one; x12 = an entry.
    fn remap(&mut self) {
        let extra = self.extra;
        let a = &mut self.asm;
        let (chosen, data) = (a.label(), a.label());
        let pages = DATA_PAGES as i32 + CODE_PAGES;
        a.andi(11, 6, 15);
        a.addi(12, 0, pages);
        a.branch(6, 11, 12, chosen);
        a.andi(11, 11, 7);
        a.place(chosen);
        a.srli(13, 6, 4);
        a.andi(13, 13, POOL - 1);
        a.slli(13, 13, 10);
        a.srli(14, 6, 6);
        a.andi(14, 14, 7);
        a.slli(14, 14, 3);
        a.la(12, extra.pool);
        a.addi(15, 0, DATA_PAGES as i32);
        a.branch(6, 11, 15, data);
        a.la(12, extra.code_pages);
        a.addi(14, 14, 64);
        a.place(data);
        a.srli(12, 12, 2);
        a.add(12, 12, 13);
        a.la(15, extra.flags);
        a.add(15, 15, 14);
        a.ld(15, 15, 0);
        a.add(12, 12, 15);
        // U like the rest.
        a.la(15, extra.root);
        a.ld(15, 15, 16);
        a.andi(15, 15, PTE_U);
        a.add(12, 12, 15);
        a.la(14, extra.leaves);
        a.slli(15, 11, 3);
        a.add(14, 14, 15);
        a.sd(12, 14, 0);
        self.fence_page();
    }

    /// sfence.vma of page x11 in one of four ways.
    fn fence_page(&mut self) {
        let a = &mut self.asm;
        let done = a.label();
        a.slli(11, 11, 12);
        a.li(12, DATA_WINDOW as i32);
        a.add(11, 11, 12);
        a.srli(13, 6, 9);
        a.andi(13, 13, 3);
        a.addi(12, 0, 0); // the address space
        for (page, space) in [(0, 0), (11, 0), (11, 12), (0, 12)] {
            let other = a.label();
            a.branch(1, 13, 0, other);
            a.word(0x1200_0073 | page << 15 | space << 20);
            a.jal(0, done);
            a.place(other);
            a.addi(13, 13, -1);
        }
        a.place(done);
    }

    /// Sets the next interrupt, and clobbers and restores all floating-point registers (all others
    /// are restored anyhow).
    fn interrupt(&mut self) {
        let a = &mut self.asm;
        for f in 0..32 {
            a.fsd(f, 31, FRAME_F + 8 * f as i32);
        }
        a.csrrs(5, FCSR, 0);
        a.sd(5, 31, FRAME_FCSR);
        a.li_u32(5, MTIMECMP);
        a.li_u32(6, 0x0200_bff8);
        a.ld(6, 6, 0);
        a.andi(7, 6, 255);
        a.add(6, 6, 7);
        a.addi(6, 6, 100);
        a.sd(6, 5, 0);
        for x in 1..31 {
            a.addi(x, 6, x as i32);
        }
        a.csrrw(0, FCSR, 6);
        for f in 0..32 {
            a.word(0xf200_0053 | 30 << 15 | f << 7); // fmv.d.x
        }
        for f in 0..32 {
            a.fld(f, 31, FRAME_F + 8 * f as i32);
        }
        a.ld(5, 31, FRAME_FCSR);
        a.csrrw(0, FCSR, 5);
    }

    /// Resets the tables, for U mode or not, and the pool. Uses x5 to x7 and x28 to x30.
    fn map_routine(&mut self, user: bool) {
        let extra = self.extra;
        let u = if user { PTE_U } else { 0 };
        let a = &mut self.asm;
        let (page, word) = (a.label(), a.label());
        a.place(extra.map[usize::from(user)]);
        a.la(6, extra.root);
        a.li_u32(5, 0x2000_00cf | u as u32);
        a.sd(5, 6, 16);
        a.la(6, extra.leaves);
        let data = (0..DATA_PAGES as i32).map(|i| (extra.pool, i % POOL, DATA_FLAGS));
        let code = (0..CODE_PAGES).map(|i| (extra.code_pages, i, CODE_FLAGS));
        for (i, (base, frame, flags)) in data.chain(code).enumerate() {
            a.la(7, base);
            a.srli(7, 7, 2);
            a.li(28, frame << 10 | flags | u);
            a.add(7, 7, 28);
            a.sd(7, 6, 8 * i as i32);
        }
        a.la(6, extra.pool);
        a.addi(28, 0, POOL);
        a.place(page);
        a.la(5, self.template);
        a.addi(7, 0, (SCRATCH_BYTES / 8) as i32);
        a.place(word);
        a.ld(29, 5, 0);
        a.sd(29, 6, 0);
        a.addi(5, 5, 8);
        a.addi(6, 6, 8);
        a.addi(7, 7, -1);
        a.branch(1, 7, 0, word);
        a.addi(28, 28, -1);
        a.branch(1, 28, 0, page);
        a.word(0x1200_0073);
        a.jalr(0, 1);
    }

    pub fn program_data(&mut self, operations: &Generator, seed: u64) {
        let extra = self.extra;
        let a = &mut self.asm;
        a.align(64);
        a.place(extra.flags);
        for flags in NEW_FLAGS {
            a.code.extend_from_slice(&flags.to_le_bytes());
        }
        a.place(extra.stack);
        a.code.resize(a.code.len() + 1024, 0);
        a.place(extra.log);
        a.code.resize(a.code.len() + 8 * LOG_WORDS as usize, 0);
        a.align(4096);
        for table in [extra.root, extra.middle, extra.leaves] {
            a.place(table);
            a.code.resize(a.code.len() + 4096, 0);
        }
        a.place(extra.code_pages);
        let mut random = Random::new(!seed);
        for _ in 0..POOL {
            let page = flow::code_page(operations, &mut random);
            a.code.extend_from_slice(&page);
        }
        a.place(extra.pool);
        a.code.resize(a.code.len() + 4096 * POOL as usize, 0);
    }
}

const _: () = assert!(CODE_WINDOW == DATA_WINDOW + 4096 * DATA_PAGES);
const _: () = assert!(FRAME_END < 2048 && FCSR_AT > F0);
