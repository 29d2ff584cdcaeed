//! Runs IR as it stands, op by op: the oracle that tests hold the optimizer and the back ends to.
//! Nothing else uses it, and it shares no code with a back end.

#![expect(
    unsafe_code,
    reason = "reads the CPU state and calls helpers by address"
)]

use std::mem::transmute;

use crate::arith::{cut, evaluate};
use crate::builder::{Function, NO_TEMP};
use crate::cpu_state::{CpuState, NO_EXCEPTION};
use crate::exec::{ExecEnv, Fault};
use crate::ir::{HelperInfo, MemOp, Op, OpKind, TbExit, Temp, TempKind, Type};

/// How a function ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvalExit {
    /// `exit_tb`.
    Exit(TbExit),
    /// `goto_ptr`.
    GotoPtr,
    /// `goto_tb` of a slot that is linked.
    GotoTb(u8),
    /// An op or helper raised; the words of the last `insn_start` in front of it in the text.
    Exception { pc: u64, extra: u64 },
    /// More ops than `budget` were run.
    OutOfBudget,
}

/// A function on its way.
pub struct Evaluator<'a, E: ExecEnv> {
    pub env: &'a mut E,
    pub helpers: &'a [HelperInfo],
    /// Exits that are linked: `goto_tb` leaves.
    pub linked: [bool; 2],
    /// Ops to run at most.
    pub budget: u32,
}

/// An exception of the last of these ops.
fn exception(ops: &[Op]) -> EvalExit {
    let start = ops.iter().rev().find_map(|op| match op.kind {
        OpKind::InsnStart { pc, extra } => Some((pc, extra)),
        _ => None,
    });
    let (pc, extra) = start.unwrap_or((0, 0));
    EvalExit::Exception { pc, extra }
}

/// Where to go after an op.
enum Next {
    Op,
    Label(u16),
    Leave(EvalExit),
}

impl<E: ExecEnv> Evaluator<'_, E> {
    /// Runs the function. Locals start with garbage, so that a use before a definition shows.
    ///
    /// # Safety
    /// The function is one for the guest of `env`; its helpers take that guest's CPU.
    pub unsafe fn run(&mut self, function: &Function) -> EvalExit {
        let mut locals = vec![0xdead_beef_0bad_f00d; function.temps.len()];
        let mut at = 0;
        while let Some(op) = function.ops.get(at) {
            if self.budget == 0 {
                return EvalExit::OutOfBudget;
            }
            self.budget -= 1;
            at += 1;
            // SAFETY: the caller's promise.
            match unsafe { self.step(function, op, &mut locals) } {
                Ok(Next::Op) => {}
                Ok(Next::Leave(exit)) => return exit,
                Ok(Next::Label(label)) => {
                    let here =
                        |op: &Op| matches!(op.kind, OpKind::SetLabel { label: l } if l.0 == label);
                    at = function
                        .ops
                        .iter()
                        .position(here)
                        .expect("the label is placed");
                }
                Err(Fault) => return exception(&function.ops[..at]),
            }
        }
        panic!("the function has no end");
    }

    fn slot(&mut self, slot: u8) -> &mut u64 {
        // SAFETY: the environment's promise: the state is valid.
        unsafe { &mut (*self.env.state()).slots[usize::from(slot)] }
    }

    fn get(&mut self, function: &Function, locals: &[u64], temp: Temp) -> u64 {
        let Some(info) = function.temps.get(usize::from(temp.0)) else {
            return 0;
        };
        let value = match info.kind {
            TempKind::Global { slot } => *self.slot(slot),
            TempKind::Const(value) => value,
            TempKind::Local => locals[usize::from(temp.0)],
        };
        cut(info.ty, value)
    }

    fn set(&mut self, function: &Function, locals: &mut [u64], temp: Temp, value: u64) {
        if temp == NO_TEMP {
            return;
        }
        let info = function.temps[usize::from(temp.0)];
        match info.kind {
            TempKind::Global { slot } => *self.slot(slot) = cut(info.ty, value),
            TempKind::Local => locals[usize::from(temp.0)] = cut(info.ty, value),
            TempKind::Const(_) => panic!("a constant is assigned"),
        }
    }

    unsafe fn step(
        &mut self,
        function: &Function,
        op: &Op,
        locals: &mut [u64],
    ) -> Result<Next, Fault> {
        let mut kind = op.kind;
        let mut inputs = Vec::new();
        kind.inputs(|t| inputs.push((*t, self.get(function, locals, *t))));
        let get = |t: Temp| inputs.iter().find(|i| i.0 == t).map_or(0, |i| i.1);
        let mut outputs = Vec::new();
        kind.outputs(|t| outputs.push(*t));
        let results = match evaluate(kind, op.ty, get) {
            Some((first, second)) => [first, second],
            None => {
                // SAFETY: the caller's promise.
                match unsafe { self.effect(kind, op.ty, &get)? } {
                    Ok(results) => results,
                    Err(next) => return Ok(next),
                }
            }
        };
        for (temp, value) in outputs.into_iter().zip(results) {
            self.set(function, locals, temp, value);
        }
        Ok(Next::Op)
    }

    /// Ops that touch more than temps: their results, or where they lead.
    unsafe fn effect(
        &mut self,
        kind: OpKind,
        ty: Type,
        get: &impl Fn(Temp) -> u64,
    ) -> Result<Result<[u64; 2], Next>, Fault> {
        if let Some(next) = self.control(kind, ty, get) {
            return Ok(Err(next));
        }
        let one = |value| Ok(Ok([value, 0]));
        let two = |(low, high)| Ok(Ok([low, high]));
        match kind {
            OpKind::Ld { offset, mem, .. } => one(self.state_load(offset, mem)),
            OpKind::St { a, offset, mem } => {
                self.state_store(offset, mem, get(a));
                one(0)
            }
            OpKind::QemuLd { addr, oi, .. } => one(self.env.load_slow(get(addr), oi)?),
            OpKind::QemuSt { v, addr, oi } => {
                let bits = 8 * oi.mem().bytes() as u8;
                let value = get(v) & crate::arith::low_mask(bits);
                self.env.store_slow(get(addr), value, oi)?;
                one(0)
            }
            OpKind::QemuLd2 { addr, oi, .. } => two(self.env.load2_slow(get(addr), oi)?),
            OpKind::QemuSt2 { vl, vh, addr, oi } => {
                self.env.store2_slow(get(addr), get(vl), get(vh), oi)?;
                one(0)
            }
            OpKind::AtomicCmpxchg {
                addr,
                expected,
                new,
                oi,
                ..
            } => one(self
                .env
                .cmpxchg_slow(get(addr), get(expected), get(new), oi)?),
            OpKind::AtomicCmpxchg2 {
                addr,
                el,
                eh,
                nl,
                nh,
                oi,
                ..
            } => {
                let (expected, new) = ((get(el), get(eh)), (get(nl), get(nh)));
                two(self.env.cmpxchg2(get(addr), expected, new, oi)?)
            }
            OpKind::AtomicRmw {
                addr, v, rmw, oi, ..
            } => one(self.env.rmw_slow(get(addr), get(v), rmw, oi)?),
            OpKind::Call {
                a0,
                a1,
                a2,
                a3,
                helper,
                ..
            } => {
                let info = self.helpers[usize::from(helper.0)];
                // SAFETY: the caller's promise.
                one(unsafe { self.call(&info, [a0, a1, a2, a3].map(get))? })
            }
            _ => one(0),
        }
    }

    fn control(&self, kind: OpKind, ty: Type, get: &impl Fn(Temp) -> u64) -> Option<Next> {
        Some(match kind {
            OpKind::Br { label } => Next::Label(label.0),
            OpKind::Brcond { a, b, cond, label } => {
                let holds = crate::arith::compare(ty, cond, get(a), get(b));
                if holds {
                    Next::Label(label.0)
                } else {
                    Next::Op
                }
            }
            OpKind::GotoTb { slot } if self.linked[usize::from(slot & 1)] => {
                Next::Leave(EvalExit::GotoTb(slot))
            }
            OpKind::GotoPtr {} => Next::Leave(EvalExit::GotoPtr),
            OpKind::ExitTb { exit } => Next::Leave(EvalExit::Exit(exit)),
            _ => return None,
        })
    }

    fn field(&mut self, offset: i32) -> *mut u8 {
        self.env
            .state()
            .cast::<u8>()
            .wrapping_offset(offset as isize)
    }

    fn state_load(&mut self, offset: i32, mem: MemOp) -> u64 {
        let mut bytes = [0; 8];
        let len = mem.bytes() as usize;
        // SAFETY: the front end's promise: a field of the CPU.
        unsafe {
            bytes
                .as_mut_ptr()
                .copy_from_nonoverlapping(self.field(offset), len.min(8))
        };
        let value = u64::from_le_bytes(bytes);
        let bits = 8 * len as u8;
        if mem.is_signed() {
            crate::arith::sextract(value, 0, bits)
        } else {
            value
        }
    }

    fn state_store(&mut self, offset: i32, mem: MemOp, value: u64) {
        let bytes = value.to_le_bytes();
        let len = (mem.bytes() as usize).min(8);
        // SAFETY: the front end's promise: a field of the CPU.
        unsafe {
            self.field(offset)
                .copy_from_nonoverlapping(bytes.as_ptr(), len)
        };
    }

    unsafe fn call(&mut self, info: &HelperInfo, [a, b, c, d]: [u64; 4]) -> Result<u64, Fault> {
        type Cpu = *mut CpuState;
        let cpu = self.env.state();
        let f = info.function;
        // SAFETY: the table promises that signature.
        let result = unsafe {
            match info.nargs {
                0 => transmute::<usize, extern "C" fn(Cpu) -> u64>(f)(cpu),
                1 => transmute::<usize, extern "C" fn(Cpu, u64) -> u64>(f)(cpu, a),
                2 => transmute::<usize, extern "C" fn(Cpu, u64, u64) -> u64>(f)(cpu, a, b),
                3 => transmute::<usize, extern "C" fn(Cpu, u64, u64, u64) -> u64>(f)(cpu, a, b, c),
                _ => transmute::<usize, extern "C" fn(Cpu, u64, u64, u64, u64) -> u64>(f)(
                    cpu, a, b, c, d,
                ),
            }
        };
        // SAFETY: the environment's promise.
        let raised = unsafe { (*cpu).exception != NO_EXCEPTION };
        let may_raise = info.flags.has(crate::ir::HelperFlags::MAY_RAISE);
        if raised && may_raise {
            Err(Fault)
        } else {
            Ok(result)
        }
    }
}
