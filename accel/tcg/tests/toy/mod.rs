//! A toy guest: 16 registers, 4-byte instructions at even addresses, translation by a table that
//! the test fills in. Just enough to drive every part of the accelerator.

pub mod board;

use std::collections::HashMap;

use accel_tcg::{
    Access, CpuCommon, GuestCpu, Helper, TlbFill, TranslateContext, TranslateEnd, atomic, ldst,
};
use include::{IrqSink, PhysAddr, VirtAddr};
use tcg::builder::{Builder, GlobalInfo, global};
use tcg::ir::{Cond, HelperFlags, HelperId, MemOp, MemOpIdx, OpVisitor, RmwOp, TbExit, Temp, Type};

pub const I64: Type = Type::I64;
const PC: u16 = 16;

/// What instructions do; see `translate_insn`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Op {
    Illegal,
    Addi,
    Add,
    Ld,
    St,
    Bne,
    Jr,
    Halt,
    Raise,
    AmoAdd,
    Jmp,
    St4,
    Flush,
    SetAsid,
    Cas16,
    Eret,
    Icount,
    Ack,
    Done,
    Zero64,
}
const OPS: [Op; 20] = {
    use Op::*;
    [
        Illegal, Addi, Add, Ld, St, Bne, Jr, Halt, Raise, AmoAdd, Jmp, St4, Flush, SetAsid, Cas16,
        Eret, Icount, Ack, Done, Zero64,
    ]
};

/// One instruction's bytes.
pub const fn insn(op: Op, a: u8, b: u8, imm: i16) -> u32 {
    op as u32 | (a as u32) << 8 | (b as u32) << 12 | (imm as u16 as u32) << 16
}

/// Exceptions.
pub const ILLEGAL: i64 = 2;
pub const PAGE_FAULT: i64 = 13;
pub const BUS_ERROR: i64 = 5;
pub const MISALIGNED: i64 = 6;
pub const DONE: i64 = 99;

/// A mapping of a virtual page in an address space.
#[derive(Clone, Copy, Debug)]
pub struct Mapping {
    pub paddr: u64,
    pub write: bool,
    pub global: bool,
    pub size: u64,
}

#[repr(C)]
pub struct ToyCpu {
    pub common: CpuCommon,
    pub asid: u16,
    /// By ASID and virtual page; an address without an entry is its own physical address.
    pub maps: HashMap<(u16, u64), Option<Mapping>>,
    pub walks: u64,
    pub irq_enabled: bool,
    pub irq_vector: u64,
    pub handler: u64,
    pub epc: u64,
    /// Exceptions taken: number, pc, address.
    pub log: Vec<(i64, u64, u64)>,
    pub fault_addr: u64,
    pub done: bool,
}

impl ToyCpu {
    pub fn new(common: CpuCommon) -> Self {
        Self {
            common,
            asid: 0,
            maps: HashMap::new(),
            walks: 0,
            irq_enabled: false,
            irq_vector: 0,
            handler: 0,
            epc: 0,
            log: Vec::new(),
            fault_addr: 0,
            done: false,
        }
    }

    pub fn x(&self, n: usize) -> u64 {
        self.common.state.slots[n]
    }

    pub fn set_x(&mut self, n: usize, value: u64) {
        self.common.state.slots[n] = value;
    }

    fn fault(&mut self, exception: i64, addr: u64) {
        self.fault_addr = addr;
        self.common.raise(exception);
    }
}

extern "C" fn halt(cpu: &mut ToyCpu) -> u64 {
    cpu.common.halt();
    0
}

extern "C" fn raise(cpu: &mut ToyCpu, number: u64) -> u64 {
    cpu.common.raise(number as i64);
    0
}

extern "C" fn flush(cpu: &mut ToyCpu, addr: u64, asid: u64, which: u64) -> u64 {
    match which {
        0 => cpu.common.tlb_flush(),
        1 => cpu.common.tlb_flush_page(addr),
        2 => cpu.common.tlb_flush_asid(asid as u16),
        _ => cpu.common.tlb_flush_page_asid(addr, asid as u16),
    }
    0
}

extern "C" fn set_asid(cpu: &mut ToyCpu, asid: u64) -> u64 {
    cpu.asid = asid as u16;
    cpu.common.set_asid(asid as u16);
    0
}

/// Adds 1 to both halves of the 16 bytes at `addr`, atomically.
extern "C" fn cas16(cpu: &mut ToyCpu, addr: u64) -> u64 {
    let oi = MemOpIdx::new(MemOp::UO, 0);
    let mut seen = (0, 0);
    loop {
        let new = (seen.0 + 1, seen.1 + 1);
        match atomic::cmpxchg2(cpu, addr, seen, new, oi) {
            Ok(old) if old == seen => return 0,
            Ok(old) => seen = old,
            Err(_) => return 0,
        }
    }
}

extern "C" fn icount(cpu: &mut ToyCpu) -> u64 {
    cpu.common.icount_executed().unwrap_or(u64::MAX)
}

extern "C" fn ack(cpu: &mut ToyCpu, irq: u64) -> u64 {
    cpu.common.shared.set_irq(irq as u32, false);
    0
}

extern "C" fn eret(cpu: &mut ToyCpu) -> u64 {
    cpu.irq_enabled = true;
    cpu.common.state.slots[PC as usize] = cpu.epc;
    0
}

extern "C" fn zero64(cpu: &mut ToyCpu, addr: u64) -> u64 {
    let _ = ldst::zero(cpu, addr, 64, 0);
    0
}

static HELPERS: [Helper<ToyCpu>; 9] = [
    Helper::of0("halt", halt, HelperFlags::NONE),
    Helper::of1("raise", raise, HelperFlags::MAY_RAISE),
    Helper::of3("flush", flush, HelperFlags::NONE),
    Helper::of1("set_asid", set_asid, HelperFlags::NONE),
    Helper::of1("cas16", cas16, HelperFlags::MAY_RAISE),
    Helper::of0("icount", icount, HelperFlags::NONE),
    Helper::of1("ack", ack, HelperFlags::NONE),
    Helper::of0("eret", eret, HelperFlags::NONE),
    Helper::of1("zero64", zero64, HelperFlags::MAY_RAISE),
];

static GLOBALS: [GlobalInfo; 17] = {
    const NAMES: [&str; 17] = [
        "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "r13",
        "r14", "r15", "pc",
    ];
    let mut rows = [GlobalInfo {
        name: "",
        slot: 0,
        ty: I64,
    }; 17];
    let mut i = 0;
    while i < 17 {
        rows[i] = GlobalInfo {
            name: NAMES[i],
            slot: i as u8,
            ty: I64,
        };
        i += 1;
    }
    rows
};

const NONE: Temp = tcg::builder::NO_TEMP;

/// Calls a helper by its name, with as many arguments as given.
fn call(b: &mut Builder, name: &str, d: Temp, args: &[Temp]) {
    let id = HELPERS
        .iter()
        .position(|h| h.name == name)
        .expect("a helper's name");
    let arg = |i: usize| args.get(i).copied().unwrap_or(NONE);
    b.call(I64, d, arg(0), arg(1), arg(2), arg(3), HelperId(id as u16));
}

fn set_pc(b: &mut Builder, pc: u64) {
    let value = b.constant(I64, pc);
    b.mov(I64, global(PC), value);
}

fn jump(context: &mut TranslateContext<'_>, slot: u8, dest: u64) {
    let chain = (context.may_chain)(context.pc_first, dest);
    let b = &mut *context.builder;
    if chain {
        b.goto_tb(I64, slot);
    }
    set_pc(b, dest);
    match chain {
        true => b.exit_tb(I64, TbExit::Slot(slot)),
        false => b.goto_ptr(I64),
    }
}

/// Goes on at `pc` by way of the execution loop.
fn leave(b: &mut Builder, pc: Option<u64>) -> TranslateEnd {
    if let Some(pc) = pc {
        set_pc(b, pc);
    }
    b.exit_tb(I64, TbExit::Main);
    TranslateEnd::NoReturn
}

/// Instructions that end their block. `temps`: register a, register b, b + immediate.
fn translate_end(
    context: &mut TranslateContext<'_>,
    op: Op,
    temps: [Temp; 3],
    imm: u64,
    next: u64,
) -> TranslateEnd {
    let [ra, rb, addr] = temps;
    let dest = context.pc.wrapping_add(imm);
    let b = &mut *context.builder;
    let imm_temp = b.constant(I64, imm);
    match op {
        Op::Bne => {
            let label = b.new_label();
            b.brcond(I64, ra, rb, Cond::Ne, label);
            jump(context, 0, next);
            context.builder.set_label(I64, label);
            jump(context, 1, dest);
            TranslateEnd::NoReturn
        }
        Op::Jmp => {
            jump(context, 0, dest);
            TranslateEnd::NoReturn
        }
        Op::Jr => {
            b.mov(I64, global(PC), addr);
            b.goto_ptr(I64);
            TranslateEnd::NoReturn
        }
        Op::Halt => {
            call(b, "halt", NONE, &[]);
            leave(b, Some(next))
        }
        Op::Flush => {
            call(b, "flush", NONE, &[ra, rb, imm_temp]);
            leave(b, Some(next))
        }
        Op::SetAsid => {
            call(b, "set_asid", NONE, &[ra]);
            leave(b, Some(next))
        }
        Op::Icount => {
            call(b, "icount", ra, &[]);
            leave(b, Some(next))
        }
        Op::Ack => {
            call(b, "ack", NONE, &[imm_temp]);
            leave(b, Some(next))
        }
        Op::Eret => {
            call(b, "eret", NONE, &[]);
            leave(b, None)
        }
        _ => {
            let number = match op {
                Op::Raise => imm,
                Op::Done => DONE as u64,
                _ => ILLEGAL as u64,
            };
            let number = b.constant(I64, number);
            call(b, "raise", NONE, &[number]);
            b.exit_tb(I64, TbExit::Exception);
            TranslateEnd::NoReturn
        }
    }
}

impl GuestCpu for ToyCpu {
    const NAME: &'static str = "toy";
    const INSN_ALIGN: u64 = 2;

    fn common(&self) -> &CpuCommon {
        &self.common
    }
    fn common_mut(&mut self) -> &mut CpuCommon {
        &mut self.common
    }
    fn globals() -> &'static [GlobalInfo] {
        &GLOBALS
    }
    fn helpers() -> &'static [Helper<Self>] {
        &HELPERS
    }
    fn pc(&self) -> u64 {
        self.x(PC.into())
    }
    fn set_pc(&mut self, pc: u64) {
        self.set_x(PC.into(), pc);
    }
    fn insn_length(bytes: &[u8]) -> Option<usize> {
        (bytes.len() >= 4).then_some(4)
    }

    fn translate_insn(
        &self,
        context: &mut TranslateContext<'_>,
        insn: u64,
        length: usize,
    ) -> TranslateEnd {
        let (ra, rb) = (
            global((insn >> 8 & 15) as u16),
            global((insn >> 12 & 15) as u16),
        );
        let imm = (insn >> 16) as i16 as u64;
        let rc = global((imm & 15) as u16);
        let next = context.pc.wrapping_add(length as u64);
        let oi = MemOpIdx::new(MemOp::UQ, 0);
        let b = &mut *context.builder;
        let imm_temp = b.constant(I64, imm);
        let addr = b.new_temp(I64);
        b.add(I64, addr, rb, imm_temp);
        match OPS
            .get(insn as usize & 0xff)
            .copied()
            .unwrap_or(Op::Illegal)
        {
            Op::Addi => b.mov(I64, ra, addr),
            Op::Add => b.add(I64, ra, rb, rc),
            Op::Ld => b.qemu_ld(I64, ra, addr, oi),
            Op::St => b.qemu_st(I64, ra, addr, oi),
            Op::St4 => b.qemu_st(I64, ra, addr, MemOpIdx::new(MemOp::UL, 0)),
            Op::AmoAdd => b.atomic_rmw(I64, ra, rb, rc, RmwOp::Add, oi),
            Op::Zero64 => call(b, "zero64", NONE, &[addr]),
            Op::Cas16 => call(b, "cas16", NONE, &[addr]),
            op => return translate_end(context, op, [ra, rb, addr], imm, next),
        }
        TranslateEnd::Next
    }

    fn disassemble(_pc: u64, insn: u64, _length: usize) -> String {
        format!("{:?}", OPS.get(insn as usize & 0xff))
    }

    fn tlb_fill(
        &mut self,
        addr: VirtAddr,
        _access: Access,
        _mmu_idx: usize,
        _probe: bool,
    ) -> Result<TlbFill, ()> {
        self.walks += 1;
        let identity = Mapping {
            paddr: addr.0 & !0xfff,
            write: true,
            global: true,
            size: 4096,
        };
        let entry = self
            .maps
            .get(&(self.asid, addr.0 >> 12))
            .copied()
            .unwrap_or(Some(identity));
        let Some(map) = entry else {
            self.fault(PAGE_FAULT, addr.0);
            return Err(());
        };
        if _access == Access::Store && !map.write {
            self.fault(PAGE_FAULT, addr.0);
            return Err(());
        }
        Ok(TlbFill {
            paddr: PhysAddr(map.paddr | addr.0 & 0xfff),
            read: true,
            write: map.write,
            execute: true,
            size: map.size,
            global: map.global,
            asid: self.asid,
        })
    }
    fn fetch_mmu_idx(&self) -> usize {
        0
    }
    fn raise_bus_error(&mut self, addr: VirtAddr, _access: Access) {
        self.fault(BUS_ERROR, addr.0);
    }
    fn raise_misaligned(&mut self, addr: VirtAddr, _access: Access, _atomic: bool) {
        self.fault(MISALIGNED, addr.0);
    }
    fn restore_state(&mut self, pc: u64, _extra: u64) {
        self.set_pc(pc);
    }
    fn do_exception(&mut self) {
        let exception = self.common.state.exception;
        self.log.push((exception, self.pc(), self.fault_addr));
        self.common.clear_exception();
        self.epc = self.pc();
        if exception == DONE || self.handler == 0 {
            self.done = true;
            self.irq_enabled = false;
            self.common.halt();
        } else {
            self.set_pc(self.handler);
        }
    }
    fn do_interrupt(&mut self) -> bool {
        let pending = self
            .common
            .shared
            .irq_levels
            .load(std::sync::atomic::Ordering::SeqCst);
        if !self.irq_enabled || pending == 0 {
            return false;
        }
        self.irq_enabled = false;
        self.epc = self.pc();
        self.set_pc(self.irq_vector);
        true
    }
    fn has_work(&self) -> bool {
        !self.done
            && self
                .common
                .shared
                .irq_levels
                .load(std::sync::atomic::Ordering::SeqCst)
                != 0
    }
    fn reset(&mut self, pc: u64) {
        self.done = false;
        self.log.clear();
        self.set_pc(pc);
    }
    fn dump(&self) -> String {
        format!(
            "pc {:#x} regs {:x?}\n",
            self.pc(),
            &self.common.state.slots[..16]
        )
    }
}
