//! Measures the interpreter: ns per guest instruction of small loops, with TLB hits and a chained
//! exit. `cargo run --release -p tcg --example tci_bench`
#![allow(unsafe_code, reason = "runs generated code")]

use std::sync::atomic::AtomicU32;
use std::time::Instant;

use tcg::builder::{Builder, GlobalInfo, global};
use tcg::cpu_state::{NO_EXCEPTION, TlbEntry};
use tcg::ir::*;
use tcg::{
    BlockInfo, CodeBuffer, CompileOptions, Compiler, CpuState, ExecEnv, Exit, Fault, TbHeader, tci,
};

const PC: u8 = 32;
const ITERATIONS: u64 = 5_000_000;

/// CPU time of this thread where Linux tells it, so that other load matters less; else wall time.
fn now_ns(start: Instant) -> f64 {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let cpu = stat.split(' ').next().and_then(|n| n.parse().ok());
    cpu.unwrap_or_else(|| start.elapsed().as_secs_f64() * 1e9)
}

struct Env {
    state: Box<CpuState>,
}

impl ExecEnv for Env {
    fn state(&mut self) -> *mut CpuState {
        &raw mut *self.state
    }
    fn load_slow(&mut self, _: u64, _: MemOpIdx) -> Result<u64, Fault> {
        Err(Fault)
    }
    fn store_slow(&mut self, _: u64, _: u64, _: MemOpIdx) -> Result<(), Fault> {
        Err(Fault)
    }
    fn load2_slow(&mut self, _: u64, _: MemOpIdx) -> Result<(u64, u64), Fault> {
        Err(Fault)
    }
    fn store2_slow(&mut self, _: u64, _: u64, _: u64, _: MemOpIdx) -> Result<(), Fault> {
        Err(Fault)
    }
    fn cmpxchg_slow(&mut self, _: u64, _: u64, _: u64, _: MemOpIdx) -> Result<u64, Fault> {
        Err(Fault)
    }
    fn cmpxchg2(
        &mut self,
        _: u64,
        _: (u64, u64),
        _: (u64, u64),
        _: MemOpIdx,
    ) -> Result<(u64, u64), Fault> {
        Err(Fault)
    }
    fn rmw_slow(&mut self, _: u64, _: u64, _: RmwOp, _: MemOpIdx) -> Result<u64, Fault> {
        Err(Fault)
    }
    fn lookup_tb(&mut self) -> *const TbHeader {
        std::ptr::null()
    }

    const COUNTS: bool = false;

    fn enter_hot(&mut self, _: *const TbHeader) -> Result<*const TbHeader, tcg::Exit> {
        unreachable!("nothing counts")
    }
}

/// What a front end would emit: a register is a global, x0 is the constant 0.
struct Guest {
    b: Builder,
}

impl Guest {
    fn addi(&mut self, d: u16, a: u16, imm: i64) {
        let imm = self.b.constant(Type::I64, imm as u64);
        self.b.add(Type::I64, global(d), global(a), imm);
    }
    fn add(&mut self, d: u16, a: u16, b: u16) {
        self.b.add(Type::I64, global(d), global(a), global(b));
    }
    fn addw(&mut self, d: u16, a: u16, b: u16) {
        let t = self.b.new_temp(Type::I64);
        self.b.add(Type::I64, t, global(a), global(b));
        self.b.sextract(Type::I64, global(d), t, 0, 32);
    }
    fn xor(&mut self, d: u16, a: u16, b: u16) {
        self.b.xor(Type::I64, global(d), global(a), global(b));
    }
    fn slli(&mut self, d: u16, a: u16, by: u64) {
        let by = self.b.constant(Type::I64, by);
        self.b.shl(Type::I64, global(d), global(a), by);
    }
    fn address(&mut self, a: u16, imm: u64) -> Temp {
        let t = self.b.new_temp(Type::I64);
        let imm = self.b.constant(Type::I64, imm);
        self.b.add(Type::I64, t, global(a), imm);
        t
    }
    fn ld(&mut self, d: u16, a: u16, imm: u64) {
        let t = self.address(a, imm);
        self.b
            .qemu_ld(Type::I64, global(d), t, MemOpIdx::new(MemOp::UQ, 1));
    }
    fn sd(&mut self, v: u16, a: u16, imm: u64) {
        let t = self.address(a, imm);
        self.b
            .qemu_st(Type::I64, global(v), t, MemOpIdx::new(MemOp::UQ, 1));
    }
    fn exit(&mut self, slot: u8) {
        self.b.goto_tb(Type::I64, slot);
        let pc = self.b.constant(Type::I64, 0x8000_0000 + u64::from(slot));
        self.b.mov(Type::I64, global(u16::from(PC)), pc);
        self.b.exit_tb(Type::I64, TbExit::Slot(slot));
    }
    fn bne(&mut self, a: u16, b: u16) {
        let taken = self.b.new_label();
        self.b
            .brcond(Type::I64, global(a), global(b), Cond::Ne, taken);
        self.exit(1);
        self.b.set_label(Type::I64, taken);
        self.exit(0);
    }
}

/// x5 counts down, x10 points to memory.
fn six(g: &mut Guest) {
    g.ld(6, 10, 8);
    g.add(7, 7, 6);
    g.sd(7, 10, 16);
    g.xor(8, 7, 6);
    g.addi(5, 5, -1);
    g.bne(5, 0);
}

fn alu(g: &mut Guest) {
    for _ in 0..4 {
        g.add(6, 6, 5);
        g.slli(7, 6, 3);
        g.xor(8, 8, 7);
        g.addw(9, 8, 6);
    }
    g.addi(5, 5, -1);
    g.bne(5, 0);
}

fn memory(g: &mut Guest) {
    for i in 0..4 {
        g.ld(6, 10, 8 * i);
        g.addi(6, 6, 1);
        g.sd(6, 10, 8 * i);
    }
    g.addi(5, 5, -1);
    g.bne(5, 0);
}

/// A block that is chained to itself at exit 0, and how long it took to compile.
fn block(body: fn(&mut Guest), buffer: &mut CodeBuffer, epoch: Instant) -> (*mut TbHeader, f64) {
    let names: [&'static str; 33] = std::array::from_fn(|_| "r");
    let globals: Vec<GlobalInfo> = (0..)
        .zip(names)
        .map(|(slot, name)| GlobalInfo {
            name,
            slot,
            ty: Type::I64,
        })
        .collect();
    let mut guest = Guest {
        b: Builder::new(&globals),
    };
    body(&mut guest);
    let options = CompileOptions {
        pc_slot: PC,
        icount: None,
    };
    let mut compiler = Compiler::default();
    let mut function = guest.b.function;
    let start = now_ns(epoch);
    for _ in 0..10_000 {
        let _ = compiler.compile(&mut function.clone(), &[], &options);
    }
    let compile_ns = (now_ns(epoch) - start) / 1e4;
    let block = compiler
        .compile(&mut function, &[], &options)
        .expect("it is small");
    print!("{}", tci::disas::disassemble(&block.code));
    let tb = buffer.push(&block, &BlockInfo::default()).expect("room");
    // SAFETY: the block lives in the buffer; it jumps to itself.
    unsafe { tb.as_ref().link(0, tb.as_ptr()) };
    (tb.as_ptr(), compile_ns)
}

fn run(name: &str, instructions: u64, body: fn(&mut Guest)) {
    let epoch = Instant::now();
    let mut buffer = CodeBuffer::new(1 << 20).expect("memory");
    let (tb, compile_ns) = block(body, &mut buffer, epoch);
    let mut page = vec![0u64; 1024];
    let exit_request = AtomicU32::new(0);
    // SAFETY: all zeroes are a valid state.
    let mut state: Box<CpuState> = unsafe { Box::new_zeroed().assume_init() };
    state.exit_request = &raw const exit_request;
    state.exception = NO_EXCEPTION;
    let guest_page = 0x1234_5000u64;
    let host = page.as_mut_ptr() as u64;
    state.tlb[1][CpuState::tlb_index(guest_page)] = TlbEntry {
        read: guest_page,
        write: guest_page,
        code: guest_page,
        addend: host.wrapping_sub(guest_page),
    };
    state.slots[10] = guest_page;
    let mut env = Env { state };
    let mut best = f64::MAX;
    for _ in 0..8 {
        env.state.slots[5] = ITERATIONS;
        let start = now_ns(epoch);
        // SAFETY: the block and the state are valid.
        let exit = unsafe { tci::exec(&mut env, tb) };
        assert_eq!(exit, Exit::Slot { tb, slot: 1 });
        let per = (now_ns(epoch) - start) / (ITERATIONS * instructions) as f64;
        best = best.min(per);
    }
    println!(
        "{name}: {best:.2} ns/instruction, {:.0} MIPS; compile {compile_ns:.0} ns",
        1e3 / best
    );
}

fn main() {
    run("six-instruction loop", 6, six);
    run("ALU", 18, alu);
    run("memory", 14, memory);
}
