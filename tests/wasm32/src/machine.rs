//! Runs a function as WebAssembly: makes the module, puts it in the thread's table, calls it.

use std::cell::Cell;
use std::ptr;

use tcg::builder::{Builder, Function};
use tcg::cpu_state::{NO_EXCEPTION, SLOT_DISCARD};
use tcg::eval::EvalExit;
use tcg::ir::*;
use tcg::tci::CodeGenerator;
use tcg::wasm32::{
    CMPXCHG2_SLOT, LEAVE_MASK, Leave, ModuleBuilder, Options, Region, RegionBlock, SlowPaths,
    TailCalls,
};
use tcg::{BlockInfo, CodeBuffer, CpuState, ExecEnv, TbHeader};

use crate::common::outcome::{Outcome, Start, outcome};
use crate::common::{self, Env, GLOBALS, PC};

unsafe extern "C" {
    fn tinamou_wasm_grow_table(count: u32) -> i32;
    fn tinamou_wasm_instantiate(
        bytes: *const u8,
        length: usize,
        functions: *const usize,
        function_count: usize,
        slots: *const u32,
        slot_count: usize,
    ) -> i32;
}

// The operands in slots are not in the way of globals.
const _: () = assert!(GLOBALS < CMPXCHG2_SLOT as usize);

thread_local! {
    /// Where slow paths find their environment: they are given the CPU alone.
    static ENV: Cell<*mut Env> = const { Cell::new(ptr::null_mut()) };
}

fn with<T: Default>(f: impl FnOnce(&mut Env) -> Result<T, tcg::Fault>) -> T {
    // SAFETY: `Machine::run` set it, and is still running.
    f(unsafe { &mut *ENV.get() }).unwrap_or_default()
}

fn halves((low, high): (u64, u64)) -> u64 {
    with(|env| {
        env.state.slots[usize::from(SLOT_DISCARD)] = high;
        Ok(low)
    })
}

fn index(oi: u64) -> MemOpIdx {
    MemOpIdx(oi as u16)
}

extern "C" fn load(_: *mut CpuState, addr: u64, oi: u64) -> u64 {
    with(|env| env.load_slow(addr, index(oi)))
}

extern "C" fn store(_: *mut CpuState, addr: u64, value: u64, oi: u64) -> u64 {
    with(|env| env.store_slow(addr, value, index(oi)));
    0
}

extern "C" fn load2(_: *mut CpuState, addr: u64, oi: u64) -> u64 {
    halves(with(|env| env.load2_slow(addr, index(oi))))
}

extern "C" fn store2(_: *mut CpuState, addr: u64, low: u64, high: u64, oi: u64) -> u64 {
    with(|env| env.store2_slow(addr, low, high, index(oi)));
    0
}

extern "C" fn cmpxchg(_: *mut CpuState, addr: u64, expected: u64, new: u64, oi: u64) -> u64 {
    with(|env| env.cmpxchg_slow(addr, expected, new, index(oi)))
}

extern "C" fn cmpxchg2(_: *mut CpuState, addr: u64, oi: u64) -> u64 {
    halves(with(|env| {
        let operand = |i: usize| env.state.slots[usize::from(CMPXCHG2_SLOT) + i];
        let (expected, new) = ((operand(0), operand(1)), (operand(2), operand(3)));
        env.cmpxchg2(addr, expected, new, index(oi))
    }))
}

extern "C" fn rmw(_: *mut CpuState, addr: u64, value: u64, op: u64, oi: u64) -> u64 {
    let op = common::maker::RMW[op as usize];
    with(|env| env.rmw_slow(addr, value, op, index(oi)))
}

fn slow_paths() -> SlowPaths {
    SlowPaths {
        load: load as *const () as usize,
        store: store as *const () as usize,
        load2: load2 as *const () as usize,
        store2: store2 as *const () as usize,
        cmpxchg: cmpxchg as *const () as usize,
        cmpxchg2: cmpxchg2 as *const () as usize,
        rmw: rmw as *const () as usize,
    }
}

pub fn options(helpers: &[HelperInfo]) -> Options<'_> {
    Options {
        helpers,
        slow_paths: slow_paths(),
        pc_slot: PC as u8,
        tail_calls: TailCalls::Table,
    }
}

/// A new place in the table.
pub fn new_slot() -> u32 {
    // SAFETY: takes a number.
    let slot = unsafe { tinamou_wasm_grow_table(1) };
    u32::try_from(slot).expect("the table grows")
}

/// Puts a module's only function in the table.
pub fn install(bytes: &[u8], functions: &[usize], slot: u32) {
    // SAFETY: the function reads what the slices have, and keeps nothing.
    let made = unsafe {
        tinamou_wasm_instantiate(
            bytes.as_ptr(),
            bytes.len(),
            functions.as_ptr(),
            functions.len(),
            &slot,
            1,
        )
    };
    assert!(made == 1, "the engine refuses the module");
}

/// Calls the function in that place of the table.
pub fn call(env: &mut Env, slot: u32, tb: *const TbHeader) -> u32 {
    let state = env.state();
    ENV.set(env);
    type Generated = extern "C" fn(*mut CpuState, *const TbHeader) -> u32;
    // SAFETY: here a function pointer is an index of the table, where `install` put a function for
    // this kind of CPU.
    unsafe {
        let generated = std::mem::transmute::<usize, Generated>(slot as usize);
        generated(state, tb)
    }
}

/// The block under test, and those that its exits lead to.
pub struct Machine {
    _buffer: CodeBuffer,
    tb: *const TbHeader,
    ends: [*const TbHeader; 2],
    helpers: Vec<HelperInfo>,
    slot: u32,
}

impl Machine {
    pub fn new() -> Self {
        let mut buffer = CodeBuffer::new(1 << 20).expect("memory");
        let mut b = Builder::new(&common::globals());
        b.exit_tb(Type::I64, TbExit::Slot(0));
        let block = CodeGenerator::default()
            .generate(&b.function, &[], &common::OPTIONS)
            .expect("small");
        let [tb, left, right] = [(); 3].map(|()| {
            let header = buffer.push(&block, &BlockInfo::default()).expect("room");
            header.as_ptr().cast_const()
        });
        Self {
            _buffer: buffer,
            tb,
            ends: [left, right],
            helpers: common::helpers(),
            slot: new_slot(),
        }
    }

    /// Makes the function what `run` runs, through the driver that knows no regions.
    pub fn compile_plain(&mut self, function: &Function) -> bool {
        let tb = self.tb.addr() as u32;
        let (bytes, functions) = common::plain::compile(function, tb, &options(&self.helpers));
        install(&bytes, &functions, self.slot);
        true
    }

    /// The same as a region of one block. False if the back end has no code for it.
    pub fn compile_region(&mut self, function: &Function) -> bool {
        let block = RegionBlock {
            tb: self.tb.addr() as u32,
            pc: 0x1000,
            function,
            icount: None,
            direct: [None; 2],
            indirect: Vec::new(),
        };
        let region = Region {
            blocks: vec![block],
            entries: vec![0],
        };
        let mut module = ModuleBuilder::new(options(&self.helpers));
        if module.add(&region).is_err() {
            return false;
        }
        let module = module.finish();
        install(&module.bytes, &module.functions, self.slot);
        true
    }

    /// Runs what was compiled of `function`.
    pub fn run(&mut self, env: &mut Env, start: &Start, function: &Function) -> Outcome {
        start.prepare(env);
        for (slot, end) in self.ends.into_iter().enumerate() {
            // SAFETY: the headers live as long as the buffer.
            let header = unsafe { &*self.tb };
            match start.linked[slot] {
                true => header.link(slot, end),
                false => header.unlink(slot),
            }
        }
        env.state.tb_instance_offset = tcg::tb::instance_offset(0);
        // No entry of the jump cache is of this generation.
        env.state.flags_gen = 1 << 32;
        let result = call(env, self.slot, self.tb);
        let exit = self.exit(env, result, function);
        outcome(env, exit)
    }

    fn exit(&self, env: &Env, result: u32, function: &Function) -> EvalExit {
        let at = (result & !LEAVE_MASK) as usize;
        let is_tb = at == self.tb.addr();
        match Leave::of(result) {
            Leave::Next | Leave::Loop => {
                let slot = self.ends.iter().position(|end| end.addr() == at);
                EvalExit::GotoTb(slot.unwrap_or_else(|| panic!("no exit leads to {at:#x}")) as u8)
            }
            Leave::Slot0 if is_tb => EvalExit::Exit(TbExit::Slot(0)),
            Leave::Slot1 if is_tb => EvalExit::Exit(TbExit::Slot(1)),
            Leave::Main => EvalExit::Exit(TbExit::Main),
            Leave::Lookup => EvalExit::GotoPtr,
            Leave::Exception if env.state.exception == NO_EXCEPTION => {
                EvalExit::Exit(TbExit::Exception)
            }
            Leave::Exception if is_tb => {
                let mut insns = function.ops.iter().filter_map(|op| match op.kind {
                    OpKind::InsnStart { pc, extra } => Some(EvalExit::Exception { pc, extra }),
                    _ => None,
                });
                let insn = insns.nth(env.state.fault_insn as usize);
                insn.expect("the block has that instruction")
            }
            leave => panic!("left with {leave:?} at {at:#x}"),
        }
    }
}
