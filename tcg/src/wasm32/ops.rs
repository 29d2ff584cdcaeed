//! Ops that do not branch, as WebAssembly.

mod arith;
pub(super) mod bits;
mod compare;

use std::mem::offset_of;

use wasm_encoder::{BlockType, Instruction as I, MemArg, MemArgTarget, Ordering, ValType};

pub use compare::condition;

use super::Options;
use super::body::{Body, CPU, Frame, Local};
use super::groups::Member;
use super::imports::Imports;
use super::{float, memory};
use crate::arith::cut;
use crate::builder::Function;
use crate::cpu_state::{CpuState, NO_EXCEPTION};
use crate::ir::*;

/// Where the locals of a block's temps are.
pub trait Locals {
    /// The local of a temp that is no constant.
    fn local(&mut self, body: &mut Body, temp: Temp) -> Local;
    /// A local for a moment, of type i32 or i64: number `index` of those of its type.
    fn scratch32(&mut self, body: &mut Body, index: usize) -> Local;
    fn scratch64(&mut self, body: &mut Body, index: usize) -> Local;
}

/// What an op that raises an exception does: it sets two locals and branches.
#[derive(Clone, Copy, Debug)]
pub struct FaultExit {
    /// The code there writes the guest registers back and leaves with the value of `leave`.
    pub frame: Frame,
    pub leave: Local,
    pub insn: Local,
    /// What to leave with: the block's header and `Leave::Exception`.
    pub leave_value: u32,
    /// Number of the guest instruction in its block, from 0.
    pub insn_index: u32,
}

/// What the code of an op needs.
pub struct Context<'a> {
    pub body: &'a mut Body,
    pub locals: &'a mut dyn Locals,
    pub imports: &'a mut Imports,
    pub options: &'a Options<'a>,
    pub function: &'a Function,
    pub fault: FaultExit,
    /// What [`Groups`](super::groups::Groups) has for the op.
    pub member: Option<Member>,
}

/// Emits an op that is none of `set_label`, `br`, `brcond`, `insn_start`, `goto_tb`, `goto_ptr`,
/// `exit_tb`. The caller has written back, and reloads, what a call or an access to the state's
/// slots needs.
pub fn emit(cx: &mut Context<'_>, op: &Op) {
    op.visit(cx);
}

/// The type of WebAssembly that holds a value of the IR's.
pub const fn value_type(ty: Type) -> ValType {
    match ty {
        Type::I32 => ValType::I32,
        Type::I64 => ValType::I64,
    }
}

/// `narrow` or `wide`, as `ty` says.
const fn either<T: Copy>(ty: Type, narrow: T, wide: T) -> T {
    match ty {
        Type::I32 => narrow,
        Type::I64 => wide,
    }
}

/// `offset` bytes from an address, with no claim about its alignment.
pub(super) const fn at(offset: u64) -> MemArg {
    MemArg {
        offset,
        align: 0,
        target: MemArgTarget::Memory(0),
        ordering: None,
    }
}

/// What all ops are made of.
impl Context<'_> {
    /// Pushes the value of a temp as a number of type `ty`.
    pub fn push(&mut self, ty: Type, temp: Temp) {
        let Some(&info) = self.function.temps.get(usize::from(temp.0)) else {
            return self.push_const(ty, 0);
        };
        if let TempKind::Const(value) = info.kind {
            return self.push_const(ty, cut(info.ty, value));
        }
        let local = self.locals.local(self.body, temp);
        self.body.get(local);
        self.convert(info.ty, ty);
    }

    /// Pushes a number.
    pub fn push_const(&mut self, ty: Type, value: u64) {
        match ty {
            Type::I32 => self.body.i32_const(value as u32),
            Type::I64 => self.body.i64_const(value),
        }
    }

    /// Takes the value of a temp from the stack, where it has type `ty`.
    pub fn pop(&mut self, ty: Type, temp: Temp) {
        let Some(&info) = self.function.temps.get(usize::from(temp.0)) else {
            return self.put(I::Drop);
        };
        self.convert(ty, info.ty);
        let local = self.locals.local(self.body, temp);
        self.body.set(local);
    }

    /// Zero-extends or cuts the number on the stack.
    pub(super) fn convert(&mut self, from: Type, to: Type) {
        match (from, to) {
            (Type::I32, Type::I64) => self.put(I::I64ExtendI32U),
            (Type::I64, Type::I32) => self.put(I::I32WrapI64),
            _ => {}
        }
    }

    /// The value of a temp that is a constant.
    pub(super) fn const_value(&self, temp: Temp) -> Option<u64> {
        self.function.const_value(temp)
    }

    pub(super) fn put(&mut self, instruction: I<'_>) {
        self.body.put(instruction);
    }

    pub(super) fn put_either(&mut self, ty: Type, narrow: I<'static>, wide: I<'static>) {
        self.body.put(match ty {
            Type::I32 => narrow,
            Type::I64 => wide,
        });
    }

    /// A local for a moment.
    pub(super) fn scratch(&mut self, ty: Type, index: usize) -> Local {
        match ty {
            Type::I32 => self.locals.scratch32(self.body, index),
            Type::I64 => self.locals.scratch64(self.body, index),
        }
    }

    /// `d = instruction(a)`
    fn unary(&mut self, ty: Type, [d, a]: [Temp; 2], narrow: I<'static>, wide: I<'static>) {
        self.push(ty, a);
        self.put_either(ty, narrow, wide);
        self.pop(ty, d);
    }

    /// `d = instruction(a, b)`
    fn binary(&mut self, ty: Type, [d, a, b]: [Temp; 3], narrow: I<'static>, wide: I<'static>) {
        self.push(ty, a);
        self.push(ty, b);
        self.put_either(ty, narrow, wide);
        self.pop(ty, d);
    }

    /// Inverts the number on the stack.
    fn invert(&mut self, ty: Type) {
        self.push_const(ty, !0);
        self.put_either(ty, I::I32Xor, I::I64Xor);
    }

    /// Pushes `!a`.
    fn push_inverted(&mut self, ty: Type, a: Temp) {
        match self.const_value(a) {
            Some(value) => self.push_const(ty, !value),
            None => {
                self.push(ty, a);
                self.invert(ty);
            }
        }
    }

    /// Calls an imported function: the CPU and arguments are on the stack, the result will be.
    pub(super) fn call_import(&mut self, pointer: usize, nargs: u8) {
        let index = self.imports.index(pointer, nargs);
        self.body.sink().call(index);
    }

    /// Leaves if an exception is pending.
    pub(super) fn leave_if_raised(&mut self) {
        let exception = at(offset_of!(CpuState, exception) as u64);
        self.body.get(CPU);
        self.put(I::I64Load(exception));
        self.push_const(Type::I64, NO_EXCEPTION as u64);
        self.put(I::I64Ne);
        self.body.open_hinted_if(BlockType::Empty, false);
        let fault = self.fault;
        self.body.i32_const(fault.leave_value);
        self.body.set(fault.leave);
        self.body.i32_const(fault.insn_index);
        self.body.set(fault.insn);
        self.body.br(fault.frame);
        self.body.close();
    }

    /// Pushes the address that the `offset` of the result is to be added to by an access.
    fn push_state(&mut self, offset: i32) -> MemArg {
        self.body.get(CPU);
        if let Ok(offset) = u64::try_from(offset) {
            return at(offset);
        }
        self.body.i32_const(offset as u32);
        self.put(I::I32Add);
        at(0)
    }
}

/// Control flow is `region.rs`'s.
macro_rules! elsewhere {
    ($($name:ident($($ty:ty),*);)*) => {
        $(fn $name(&mut self, _: Type $(, _: $ty)*) {
            unreachable!(concat!(stringify!($name), " is emitted with the region"))
        })*
    };
}

/// Ops whose code is one instruction.
macro_rules! plain {
    ($($name:ident = $narrow:ident, $wide:ident;)*) => {
        $(fn $name(&mut self, ty: Type, d: Temp, a: Temp, b: Temp) {
            self.binary(ty, [d, a, b], I::$narrow, I::$wide);
        })*
    };
}

impl OpVisitor for Context<'_> {
    type Output = ();

    elsewhere! {
        set_label(Label);
        br(Label);
        brcond(Temp, Temp, Cond, Label);
        insn_start(u64, u64);
        goto_tb(u8);
        goto_ptr();
        exit_tb(TbExit);
    }

    // Counts of shifts are taken modulo the width by the instructions too.
    plain! {
        add = I32Add, I64Add;
        sub = I32Sub, I64Sub;
        mul = I32Mul, I64Mul;
        and = I32And, I64And;
        or = I32Or, I64Or;
        xor = I32Xor, I64Xor;
        shl = I32Shl, I64Shl;
        shr = I32ShrU, I64ShrU;
        sar = I32ShrS, I64ShrS;
        rotl = I32Rotl, I64Rotl;
        rotr = I32Rotr, I64Rotr;
    }

    fn mov(&mut self, ty: Type, d: Temp, a: Temp) {
        self.push(ty, a);
        self.pop(ty, d);
    }

    fn muluh(&mut self, ty: Type, d: Temp, a: Temp, b: Temp) {
        arith::high_product(self, ty, [a, b], [false, false]);
        self.pop(ty, d);
    }

    fn mulsh(&mut self, ty: Type, d: Temp, a: Temp, b: Temp) {
        arith::high_product(self, ty, [a, b], [true, true]);
        self.pop(ty, d);
    }

    fn mulsuh(&mut self, ty: Type, d: Temp, a: Temp, b: Temp) {
        arith::high_product(self, ty, [a, b], [true, false]);
        self.pop(ty, d);
    }

    fn divs(&mut self, ty: Type, d: Temp, a: Temp, b: Temp) {
        arith::divs(self, ty, a, b);
        self.pop(ty, d);
    }

    fn divu(&mut self, ty: Type, d: Temp, a: Temp, b: Temp) {
        arith::divu(self, ty, a, b);
        self.pop(ty, d);
    }

    fn rems(&mut self, ty: Type, d: Temp, a: Temp, b: Temp) {
        arith::remainder(self, ty, [a, b], either(ty, &I::I32RemS, &I::I64RemS));
        self.pop(ty, d);
    }

    fn remu(&mut self, ty: Type, d: Temp, a: Temp, b: Temp) {
        arith::remainder(self, ty, [a, b], either(ty, &I::I32RemU, &I::I64RemU));
        self.pop(ty, d);
    }

    fn neg(&mut self, ty: Type, d: Temp, a: Temp) {
        self.push_const(ty, 0);
        self.push(ty, a);
        self.put_either(ty, I::I32Sub, I::I64Sub);
        self.pop(ty, d);
    }

    fn add2(&mut self, ty: Type, dl: Temp, dh: Temp, al: Temp, ah: Temp, bl: Temp, bh: Temp) {
        arith::add2(self, ty, [al, ah], [bl, bh]);
        self.pop(ty, dl);
        self.pop(ty, dh);
    }

    fn sub2(&mut self, ty: Type, dl: Temp, dh: Temp, al: Temp, ah: Temp, bl: Temp, bh: Temp) {
        arith::sub2(self, ty, [al, ah], [bl, bh]);
        self.pop(ty, dl);
        self.pop(ty, dh);
    }

    fn mulu2(&mut self, ty: Type, dl: Temp, dh: Temp, a: Temp, b: Temp) {
        arith::high_product(self, ty, [a, b], [false, false]);
        arith::low_product(self, ty, a, b);
        self.pop(ty, dl);
        self.pop(ty, dh);
    }

    fn muls2(&mut self, ty: Type, dl: Temp, dh: Temp, a: Temp, b: Temp) {
        arith::high_product(self, ty, [a, b], [true, true]);
        arith::low_product(self, ty, a, b);
        self.pop(ty, dl);
        self.pop(ty, dh);
    }

    fn addc(&mut self, ty: Type, d: Temp, co: Temp, a: Temp, b: Temp, ci: Temp) {
        arith::addc(self, ty, [a, b, ci]);
        self.pop(ty, d);
        self.pop(ty, co);
    }

    fn subb(&mut self, ty: Type, d: Temp, bo: Temp, a: Temp, b: Temp, bi: Temp) {
        arith::subb(self, ty, [a, b, bi]);
        self.pop(ty, d);
        self.pop(ty, bo);
    }

    fn not(&mut self, ty: Type, d: Temp, a: Temp) {
        self.push_inverted(ty, a);
        self.pop(ty, d);
    }

    fn andc(&mut self, ty: Type, d: Temp, a: Temp, b: Temp) {
        self.push(ty, a);
        self.push_inverted(ty, b);
        self.put_either(ty, I::I32And, I::I64And);
        self.pop(ty, d);
    }

    fn orc(&mut self, ty: Type, d: Temp, a: Temp, b: Temp) {
        self.push(ty, a);
        self.push_inverted(ty, b);
        self.put_either(ty, I::I32Or, I::I64Or);
        self.pop(ty, d);
    }

    fn eqv(&mut self, ty: Type, d: Temp, a: Temp, b: Temp) {
        self.push(ty, a);
        self.push_inverted(ty, b);
        self.put_either(ty, I::I32Xor, I::I64Xor);
        self.pop(ty, d);
    }

    fn clz(&mut self, ty: Type, d: Temp, a: Temp, b: Temp) {
        bits::count_zeros(self, ty, [a, b], either(ty, &I::I32Clz, &I::I64Clz));
        self.pop(ty, d);
    }

    fn ctz(&mut self, ty: Type, d: Temp, a: Temp, b: Temp) {
        bits::count_zeros(self, ty, [a, b], either(ty, &I::I32Ctz, &I::I64Ctz));
        self.pop(ty, d);
    }

    fn ctpop(&mut self, ty: Type, d: Temp, a: Temp) {
        self.unary(ty, [d, a], I::I32Popcnt, I::I64Popcnt);
    }

    fn bswap16(&mut self, _: Type, d: Temp, a: Temp) {
        self.push(Type::I32, a);
        bits::swap16(self);
        self.pop(Type::I32, d);
    }

    fn bswap32(&mut self, _: Type, d: Temp, a: Temp) {
        self.push(Type::I32, a);
        bits::swap32(self);
        self.pop(Type::I32, d);
    }

    fn bswap64(&mut self, ty: Type, d: Temp, a: Temp) {
        match ty {
            // The value's bytes go to the half that an I32 does not have.
            Type::I32 => self.push_const(ty, 0),
            Type::I64 => {
                self.push(ty, a);
                bits::swap64(self);
            }
        }
        self.pop(ty, d);
    }

    fn extract(&mut self, ty: Type, d: Temp, a: Temp, pos: u8, len: u8) {
        self.push(ty, a);
        bits::extract(self, ty, pos, len);
        self.pop(ty, d);
    }

    fn sextract(&mut self, ty: Type, d: Temp, a: Temp, pos: u8, len: u8) {
        self.push(ty, a);
        bits::sextract(self, ty, pos, len);
        self.pop(ty, d);
    }

    fn deposit(&mut self, ty: Type, d: Temp, a: Temp, b: Temp, pos: u8, len: u8) {
        bits::deposit(self, ty, [a, b], pos, len);
        self.pop(ty, d);
    }

    fn extrl(&mut self, ty: Type, d: Temp, a: Temp) {
        self.push(Type::I32, a);
        self.pop(ty, d);
    }

    fn extrh(&mut self, ty: Type, d: Temp, a: Temp) {
        self.push(Type::I64, a);
        self.push_const(Type::I64, 32);
        self.put(I::I64ShrU);
        self.put(I::I32WrapI64);
        self.pop(ty, d);
    }

    fn exts(&mut self, ty: Type, d: Temp, a: Temp) {
        self.push(Type::I32, a);
        self.put(I::I64ExtendI32S);
        self.pop(ty, d);
    }

    fn extu(&mut self, ty: Type, d: Temp, a: Temp) {
        self.push(Type::I32, a);
        self.put(I::I64ExtendI32U);
        self.pop(ty, d);
    }

    fn setcond(&mut self, ty: Type, d: Temp, a: Temp, b: Temp, cond: Cond) {
        condition(self, ty, cond, a, b);
        self.pop(Type::I32, d);
    }

    fn negsetcond(&mut self, ty: Type, d: Temp, a: Temp, b: Temp, cond: Cond) {
        self.push_const(ty, 0);
        condition(self, ty, cond, a, b);
        self.convert(Type::I32, ty);
        self.put_either(ty, I::I32Sub, I::I64Sub);
        self.pop(ty, d);
    }

    fn movcond(&mut self, ty: Type, d: Temp, a: Temp, b: Temp, t: Temp, f: Temp, cond: Cond) {
        self.push(ty, t);
        self.push(ty, f);
        condition(self, ty, cond, a, b);
        self.put(I::Select);
        self.pop(ty, d);
    }

    fn ld(&mut self, ty: Type, d: Temp, offset: i32, mem: MemOp) {
        let ty = memory::access_type(ty, mem);
        let at = self.push_state(offset);
        self.put(memory::load_instruction(ty, mem, at));
        self.pop(ty, d);
    }

    fn st(&mut self, ty: Type, a: Temp, offset: i32, mem: MemOp) {
        let ty = memory::access_type(ty, mem);
        let at = self.push_state(offset);
        self.push(ty, a);
        self.put(memory::store_instruction(ty, mem, at));
    }

    fn qemu_ld(&mut self, ty: Type, d: Temp, addr: Temp, oi: MemOpIdx) {
        memory::load(self, ty, d, addr, oi);
    }

    fn qemu_st(&mut self, ty: Type, v: Temp, addr: Temp, oi: MemOpIdx) {
        memory::store(self, ty, v, addr, oi);
    }

    fn qemu_ld2(&mut self, ty: Type, dl: Temp, dh: Temp, addr: Temp, oi: MemOpIdx) {
        memory::load2(self, ty, [dl, dh], addr, oi);
    }

    fn qemu_st2(&mut self, _: Type, vl: Temp, vh: Temp, addr: Temp, oi: MemOpIdx) {
        memory::store2(self, [vl, vh], addr, oi);
    }

    fn atomic_cmpxchg(
        &mut self,
        ty: Type,
        d: Temp,
        addr: Temp,
        expected: Temp,
        new: Temp,
        oi: MemOpIdx,
    ) {
        memory::cmpxchg(self, ty, d, addr, [expected, new], oi);
    }

    fn atomic_cmpxchg2(
        &mut self,
        ty: Type,
        dl: Temp,
        dh: Temp,
        addr: Temp,
        el: Temp,
        eh: Temp,
        nl: Temp,
        nh: Temp,
        oi: MemOpIdx,
    ) {
        memory::cmpxchg2(self, ty, [dl, dh], addr, [el, eh, nl, nh], oi);
    }

    fn atomic_rmw(&mut self, ty: Type, d: Temp, addr: Temp, v: Temp, rmw: RmwOp, oi: MemOpIdx) {
        memory::rmw(self, ty, d, addr, v, rmw, oi);
    }

    fn mb(&mut self, _: Type, barrier: Barrier) {
        match barrier {
            Barrier::Full => self.put(I::AtomicFence(Ordering::SeqCst)),
            Barrier::Compiler => {}
        }
    }

    fn call(&mut self, _: Type, d: Temp, a0: Temp, a1: Temp, a2: Temp, a3: Temp, helper: HelperId) {
        if float::emit(self, d, [a0, a1, a2, a3], helper) {
            return;
        }
        let info = self.options.helpers[usize::from(helper.0)];
        self.body.get(CPU);
        for a in [a0, a1, a2, a3].into_iter().take(usize::from(info.nargs)) {
            self.push(Type::I64, a);
        }
        self.call_import(info.function, info.nargs);
        if info.flags.has(HelperFlags::MAY_RAISE) {
            self.leave_if_raised();
        }
        self.pop(Type::I64, d);
    }
}
