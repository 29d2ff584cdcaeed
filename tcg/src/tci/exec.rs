//! The dispatch loop: one dense `match` (inside wasm that beats tail calls), slow paths aside.
//!
//! What must stay in host registers: the CPU's address, the instruction pointer, the current block,
//! the address of the exit request. So [`Machine`] is a local whose address is never taken by a
//! call that is not inlined.

#![expect(unsafe_code, reason = "runs generated code over raw CPU state")]

use std::mem::transmute;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering, fence};

use super::bytecode::{Opcode, for_each_bytecode};
use super::insn::{Insn, low, pair, sext};
use super::memory;
use crate::cpu_state::{CpuState, JumpCacheEntry, NO_EXCEPTION, PAGE_MASK, SLOT_ZERO};
use crate::exec::{ExecEnv, Exit, Fault};
use crate::ir::{MemOp, MemOpIdx, RmwOp};
use crate::tb::{COUNT_BEHIND_INSTANCE, TbHeader};

/// The interpreter's registers.
struct Machine<'e, E: ExecEnv> {
    env: &'e mut E,
    state: *mut CpuState,
    ip: *const u64,
    tb: *const TbHeader,
    exit_request: *const AtomicU32,
    /// Offset in a header of this thread's `exec_count`.
    counter: usize,
}

macro_rules! exit_if {
    ($exit:expr) => {
        if let Some(exit) = $exit {
            return exit;
        }
    };
}

/// A method for an instruction that never leaves.
macro_rules! plain {
    ($name:ident, $m:ident, $w:ident, $body:expr) => {
        #[inline(always)]
        unsafe fn $name(&mut self, $w: Insn) -> Option<Exit> {
            let $m = self;
            // SAFETY: the promise of `exec`, passed on.
            unsafe { $body }
            None
        }
    };
}

/// A method for an instruction that may.
macro_rules! may_leave {
    ($name:ident, $m:ident, $w:ident, $body:expr) => {
        #[inline(always)]
        unsafe fn $name(&mut self, $w: Insn) -> Option<Exit> {
            let $m = self;
            // SAFETY: the promise of `exec`, passed on.
            unsafe { $body }
        }
    };
}

macro_rules! define_exec {
    (
        binary { $($bin:ident ($ba:ident, $bb:ident) $be:expr;)* }
        immediate { $($imm:ident ($ia:ident, $ib:ident) $ie:expr;)* }
        unary { $($una:ident ($ua:ident) $ue:expr;)* }
        compare { $($set:ident $set_w:ident $br:ident $br_w:ident $chain:ident $mov:ident
            $mov_w:ident ($ca:ident, $cb:ident) $ce:expr;)* }
        load { $($ld:ident $lt:ty;)* }
        store { $($st:ident $stt:ty;)* }
        state_load { $($sld:ident $slt:ty;)* }
        state_store { $($sst:ident $sstt:ty;)* }
        step { $($step:ident $step_fn:ident;)* }
        leave { $($leave:ident $leave_fn:ident;)* }
        fused { $($fused:ident $first:ident $second:ident;)* }
    ) => {
        /// Runs `tb` and the blocks that it leads to, until one of the reasons in [`Exit`].
        ///
        /// # Safety
        /// `tb` is a valid block of a [`crate::CodeBuffer`] compiled for the guest of `env`, and so
        /// is all that blocks are linked to; helpers in them take the CPU that starts at
        /// `env.state()`. TLB entries of that CPU lead to memory that stays mapped.
        pub unsafe fn exec<E: ExecEnv>(env: &mut E, tb: *const TbHeader) -> Exit {
            // SAFETY: the caller's promise is what `Machine` asks for: slots are bytes, so within
            // the state; the code generator makes branches to instructions of the same block only.
            unsafe {
                let mut m = Machine::new(env, tb);
                exit_if!(m.enter(tb));
                loop {
                    let w = m.fetch();
                    match transmute::<u8, Opcode>(w.op()) {
                        $(Opcode::$bin => m.binary(w, |$ba, $bb| $be),)*
                        $(Opcode::$imm => m.immediate(w, |$ia, $ib| $ie),)*
                        $(Opcode::$una => m.unary(w, |$ua| $ue),)*
                        $(Opcode::$set => m.binary(w, |$ca, $cb| u64::from($ce)),)*
                        $(Opcode::$set_w => m.binary_w(w, |$ca, $cb| u64::from($ce)),)*
                        $(Opcode::$br => m.branch_if(w, |$ca, $cb| $ce),)*
                        $(Opcode::$br_w => m.branch_if_w(w, |$ca, $cb| $ce),)*
                        $(Opcode::$mov => m.mov_if(w, |$ca, $cb| $ce),)*
                        $(Opcode::$mov_w => m.mov_if_w(w, |$ca, $cb| $ce),)*
                        $(Opcode::$sld => m.state_load::<$slt>(w, |v| v as u64),)*
                        $(Opcode::$sst => m.state_store::<$sstt>(w, |v| v as $sstt),)*
                        $(Opcode::$step => m.$step_fn(w),)*
                        $(Opcode::$ld => exit_if!(m.$ld(w)),)*
                        $(Opcode::$st => exit_if!(m.$st(w)),)*
                        $(Opcode::$chain => exit_if!(m.$chain(w)),)*
                        $(Opcode::$leave => exit_if!(m.$leave_fn(w)),)*
                        $(Opcode::$fused => {
                            exit_if!(m.$first(w));
                            let next = m.fetch();
                            exit_if!(m.$second(next));
                        })*
                    }
                }
            }
        }

        /// Instructions by their names, as far as others are made of them.
        #[allow(non_snake_case, reason = "opcodes")]
        #[allow(dead_code, reason = "not all are part of a pair")]
        #[allow(clippy::missing_safety_doc, reason = "the promise of `exec`")]
        impl<E: ExecEnv> Machine<'_, E> {
            $(plain!($bin, m, w, m.binary(w, |$ba, $bb| $be));)*
            $(plain!($imm, m, w, m.immediate(w, |$ia, $ib| $ie));)*
            $(plain!($una, m, w, m.unary(w, |$ua| $ue));)*
            $(plain!($set, m, w, m.binary(w, |$ca, $cb| u64::from($ce)));)*
            $(plain!($step, m, w, m.$step_fn(w));)*
            $(may_leave!($ld, m, w, m.load::<$lt>(w, |v| v as u64));)*
            $(may_leave!($st, m, w, m.store::<$stt>(w, |v| v as $stt));)*
            $(may_leave!($chain, m, w, m.chain(w, |$ca, $cb| $ce));)*
            $(may_leave!($leave, m, w, m.$leave_fn(w));)*
        }
    };
}

for_each_bytecode!(define_exec);

/// All methods have the promise of [`exec`].
#[allow(clippy::missing_safety_doc, reason = "see above")]
impl<'e, E: ExecEnv> Machine<'e, E> {
    #[inline(always)]
    unsafe fn new(env: &'e mut E, tb: *const TbHeader) -> Self {
        let state = env.state();
        // SAFETY: the state is valid; the bytecode follows the header.
        unsafe {
            (*state).slots[SLOT_ZERO as usize] = 0;
            Self {
                env,
                state,
                ip: tb.add(1).cast(),
                tb,
                exit_request: (*state).exit_request,
                counter: ((*state).tb_instance_offset + COUNT_BEHIND_INSTANCE) as usize,
            }
        }
    }

    #[inline(always)]
    unsafe fn fetch(&mut self) -> Insn {
        // SAFETY: blocks end with an instruction that leaves, so `ip` is inside the block.
        let insn = unsafe { Insn::at(self.ip) };
        // SAFETY: as above.
        self.ip = unsafe { self.ip.add(1) };
        insn
    }

    /// The second word of an instruction.
    #[inline(always)]
    unsafe fn fetch_second(&mut self) -> u64 {
        // SAFETY: the caller knows that there is one.
        unsafe { self.fetch().word() }
    }

    #[inline(always)]
    unsafe fn get(&self, slot: u8) -> u64 {
        // SAFETY: there are 256 slots.
        unsafe { *self.state.cast::<u64>().add(slot as usize) }
    }

    #[inline(always)]
    unsafe fn set(&mut self, slot: u8, value: u64) {
        // SAFETY: there are 256 slots.
        unsafe { *self.state.cast::<u64>().add(slot as usize) = value }
    }

    #[inline(always)]
    unsafe fn field<T>(&self, w: Insn) -> *mut T {
        // SAFETY: offsets come from the guest's front end, which takes them from the CPU's layout.
        unsafe { self.state.cast::<u8>().offset(w.imm() as isize).cast() }
    }

    /// A flag that another thread sets. A plain load: wasm engines check atomic ones in software.
    #[inline(always)]
    unsafe fn exit_requested(&self) -> bool {
        // SAFETY: the accelerator keeps the flag as long as the CPU.
        unsafe { ptr::read_volatile(self.exit_request.cast::<u32>()) != 0 }
    }

    #[inline(always)]
    unsafe fn jump(&mut self, words: i64) {
        // SAFETY: the code generator knows the block's length.
        self.ip = unsafe { self.ip.offset(words as isize) };
    }

    /// The exception was raised by the instruction whose end is `words` back from here.
    #[cold]
    #[inline(never)]
    fn exception_at(tb: *const TbHeader, ip: *const u64, words: usize) -> Exit {
        let start = tb.wrapping_add(1).addr();
        let position = (ip.addr() - start) / size_of::<u64>() - words;
        Exit::Exception {
            tb,
            position: position as u32,
        }
    }

    #[inline(always)]
    fn exception(&self, words: usize) -> Exit {
        Self::exception_at(self.tb, self.ip, words)
    }

    #[inline(always)]
    unsafe fn binary(&mut self, w: Insn, f: impl Fn(u64, u64) -> u64) {
        // SAFETY: slots.
        unsafe { self.set(w.d(), f(self.get(w.a()), self.get(w.b()))) }
    }

    #[inline(always)]
    unsafe fn immediate(&mut self, w: Insn, f: impl Fn(u64, u64) -> u64) {
        // SAFETY: slots.
        unsafe { self.set(w.d(), f(self.get(w.a()), w.imm() as u64)) }
    }

    #[inline(always)]
    unsafe fn unary(&mut self, w: Insn, f: impl Fn(u64) -> u64) {
        // SAFETY: slots.
        unsafe { self.set(w.d(), f(self.get(w.a()))) }
    }

    #[inline(always)]
    unsafe fn binary_w(&mut self, w: Insn, f: impl Fn(u64, u64) -> u64) {
        // SAFETY: slots.
        unsafe { self.binary(w, |a, b| f(sext(a), sext(b))) }
    }

    #[inline(always)]
    unsafe fn branch_if_w(&mut self, w: Insn, f: impl Fn(u64, u64) -> bool) {
        // SAFETY: slots; a branch inside the block.
        unsafe { self.branch_if(w, |a, b| f(sext(a), sext(b))) }
    }

    #[inline(always)]
    unsafe fn mov_if_w(&mut self, w: Insn, f: impl Fn(u64, u64) -> bool) {
        // SAFETY: slots.
        unsafe { self.mov_if(w, |a, b| f(sext(a), sext(b))) }
    }

    #[inline(always)]
    unsafe fn state_load<T>(&mut self, w: Insn, convert: impl Fn(T) -> u64) {
        // SAFETY: a field of the state, a slot.
        unsafe { self.set(w.d(), convert(self.field::<T>(w).read_unaligned())) }
    }

    #[inline(always)]
    unsafe fn state_store<T>(&mut self, w: Insn, convert: impl Fn(u64) -> T) {
        // SAFETY: a field of the state, a slot.
        unsafe { self.field::<T>(w).write_unaligned(convert(self.get(w.b()))) }
    }

    #[inline(always)]
    unsafe fn branch_if(&mut self, w: Insn, f: impl Fn(u64, u64) -> bool) {
        // SAFETY: slots; a branch inside the block.
        unsafe {
            if f(self.get(w.a()), self.get(w.b())) {
                self.jump(w.imm());
            }
        }
    }

    #[inline(always)]
    unsafe fn mov_if(&mut self, w: Insn, f: impl Fn(u64, u64) -> bool) {
        // SAFETY: slots.
        unsafe {
            let (t, e) = (self.get(w.c0()), self.get(w.c1()));
            self.set(
                w.d(),
                if f(self.get(w.a()), self.get(w.b())) {
                    t
                } else {
                    e
                },
            );
        }
    }

    /// Goes to the block linked at exit `slot`: `None` if there is none, else what `enter` says.
    #[inline(always)]
    unsafe fn follow(&mut self, slot: usize) -> Option<Option<Exit>> {
        // SAFETY: the current block is valid, and what it is linked to. Plain load: see above; the
        // target's bytecode was written before the link, and is reached through it.
        unsafe {
            let target = ptr::read_volatile(
                (&raw const (*self.tb).jmp_target)
                    .cast::<*const TbHeader>()
                    .add(slot),
            );
            if target.is_null() {
                return None;
            }
            Some(self.enter(target))
        }
    }

    /// Starts a block, unless somebody wants the vCPU or the block is hot.
    #[inline(always)]
    unsafe fn enter(&mut self, tb: *const TbHeader) -> Option<Exit> {
        self.tb = tb;
        self.ip = tb.wrapping_add(1).cast();
        // SAFETY: `tb` is a valid block, in whose header the counter lies; it is this thread's own.
        unsafe {
            if self.exit_requested() {
                return Some(Exit::Request { tb });
            }
            if E::COUNTS {
                let count = tb.cast::<u8>().add(self.counter).cast::<u32>().cast_mut();
                let left = ptr::read_volatile(count);
                if left == 0 {
                    return self.enter_hot(tb);
                }
                ptr::write_volatile(count, left - 1);
            }
        }
        None
    }

    /// A hot block: runs what it has been compiled to, and goes on with the block after that.
    #[inline(always)]
    unsafe fn enter_hot(&mut self, tb: *const TbHeader) -> Option<Exit> {
        match hot(self.env, tb) {
            Ok(tb) => {
                self.tb = tb;
                self.ip = tb.wrapping_add(1).cast();
                None
            }
            Err(exit) => Some(exit),
        }
    }

    #[inline(always)]
    unsafe fn chain(&mut self, w: Insn, f: impl Fn(u64, u64) -> bool) -> Option<Exit> {
        // SAFETY: slots, exits.
        unsafe {
            if f(self.get(w.a()), self.get(w.b())) {
                let followed = self.follow((w.d() & 1) as usize);
                if followed.is_none() {
                    self.jump(w.imm());
                }
                followed.flatten()
            } else {
                self.follow((!w.d() & 1) as usize).flatten()
            }
        }
    }

    #[inline(always)]
    unsafe fn load<T: Copy>(&mut self, w: Insn, convert: impl Fn(T) -> u64) -> Option<Exit> {
        // SAFETY: slots; a hit leads to RAM up to the access's last byte.
        unsafe {
            let addr = self.get(w.a()).wrapping_add(w.imm_low() as u64);
            let entry = memory::tlb_entry(self.state, w.imm_high(), addr);
            let last = addr.wrapping_add(size_of::<T>() as u64 - 1);
            if (*entry).read == last & PAGE_MASK {
                let host = memory::host::<T>(entry, addr);
                self.set(w.d(), convert(host.read_unaligned()));
                return None;
            }
            let value = load_slow(self.env, addr, w.b(), w.imm_high());
            self.finish(w.d(), value, 1)
        }
    }

    #[inline(always)]
    unsafe fn store<T: Copy>(&mut self, w: Insn, convert: impl Fn(u64) -> T) -> Option<Exit> {
        // SAFETY: slots; a hit leads to RAM up to the access's last byte.
        unsafe {
            let addr = self.get(w.a()).wrapping_add(w.imm_low() as u64);
            let value = self.get(w.b());
            let entry = memory::tlb_entry(self.state, w.imm_high(), addr);
            let last = addr.wrapping_add(size_of::<T>() as u64 - 1);
            if (*entry).write == last & PAGE_MASK {
                memory::host::<T>(entry, addr).write_unaligned(convert(value));
                return None;
            }
            let stored = store_slow(self.env, addr, value, w.d(), w.imm_high());
            (!stored).then(|| self.exception(1))
        }
    }
}

#[cold]
#[inline(never)]
fn load_slow<E: ExecEnv>(env: &mut E, addr: u64, mem: u8, tlb: u16) -> Result<u64, Fault> {
    env.load_slow(addr, MemOpIdx::new(MemOp(mem), memory::mmu_idx_of(tlb)))
}

#[cold]
#[inline(never)]
fn store_slow<E: ExecEnv>(env: &mut E, addr: u64, value: u64, mem: u8, tlb: u16) -> bool {
    let oi = MemOpIdx::new(MemOp(mem), memory::mmu_idx_of(tlb));
    env.store_slow(addr, value, oi).is_ok()
}

/// The rows `step`: moves, pairs, calls.
#[allow(clippy::missing_safety_doc, reason = "the promise of `exec`")]
impl<E: ExecEnv> Machine<'_, E> {
    #[inline(always)]
    unsafe fn mov_imm(&mut self, w: Insn) {
        // SAFETY: a slot.
        unsafe { self.set(w.d(), w.imm() as u64) }
    }

    #[inline(always)]
    unsafe fn mov_imm64(&mut self, w: Insn) {
        // SAFETY: a slot; this instruction has a second word.
        unsafe {
            let value = self.fetch_second();
            self.set(w.d(), value);
        }
    }

    #[inline(always)]
    unsafe fn deposit(&mut self, w: Insn) {
        let mask = (!0u64 >> (64 - w.c1() as u32 % 65).min(63)) << (w.c0() & 63);
        // SAFETY: slots.
        unsafe {
            let field = self.get(w.b()) << (w.c0() & 63);
            self.set(w.d(), self.get(w.a()) & !mask | field & mask);
        }
    }

    /// `d, c0 <- f((a, c1), (b, c2))`.
    #[inline(always)]
    unsafe fn pairs(&mut self, w: Insn, f: impl Fn(u128, u128) -> u128) {
        // SAFETY: slots.
        unsafe {
            let a = pair(self.get(w.a()), self.get(w.c1()));
            let d = f(a, pair(self.get(w.b()), self.get(w.c2())));
            self.set(w.d(), d as u64);
            self.set(w.c0(), (d >> 64) as u64);
        }
    }

    /// The same on halves.
    #[inline(always)]
    unsafe fn pairs_w(&mut self, w: Insn, f: impl Fn(u64, u64) -> u64) {
        // SAFETY: slots.
        unsafe {
            let a = low(self.get(w.a())) | self.get(w.c1()) << 32;
            let d = f(a, low(self.get(w.b())) | self.get(w.c2()) << 32);
            self.set(w.d(), sext(d));
            self.set(w.c0(), sext(d >> 32));
        }
    }

    /// `d, c0 <- f(a, b, c1)`.
    #[inline(always)]
    unsafe fn carry(&mut self, w: Insn, f: impl Fn(u64, u64, u64) -> (u64, u64)) {
        // SAFETY: slots.
        unsafe {
            let (d, co) = f(self.get(w.a()), self.get(w.b()), self.get(w.c1()));
            self.set(w.d(), d);
            self.set(w.c0(), co);
        }
    }

    /// Calls the helper of the second word.
    #[inline(always)]
    unsafe fn invoke(&mut self, w: Insn, nargs: u32) -> u64 {
        type Cpu = *mut CpuState;
        type Fn0 = extern "C" fn(Cpu) -> u64;
        type Fn1 = extern "C" fn(Cpu, u64) -> u64;
        type Fn2 = extern "C" fn(Cpu, u64, u64) -> u64;
        type Fn3 = extern "C" fn(Cpu, u64, u64, u64) -> u64;
        type Fn4 = extern "C" fn(Cpu, u64, u64, u64, u64) -> u64;
        // SAFETY: the second word is the address of a helper of this guest with that many
        // arguments, whose first is the CPU; slots.
        unsafe {
            let function = self.fetch_second() as usize as *const ();
            let (a, b) = (self.get(w.a()), self.get(w.b()));
            let (c, d) = (self.get(w.c0()), self.get(w.c1()));
            match nargs {
                0 => transmute::<*const (), Fn0>(function)(self.state),
                1 => transmute::<*const (), Fn1>(function)(self.state, a),
                2 => transmute::<*const (), Fn2>(function)(self.state, a, b),
                3 => transmute::<*const (), Fn3>(function)(self.state, a, b, c),
                _ => transmute::<*const (), Fn4>(function)(self.state, a, b, c, d),
            }
        }
    }

    #[inline(always)]
    unsafe fn call(&mut self, w: Insn, nargs: u32) {
        // SAFETY: as for `invoke`.
        unsafe {
            let result = self.invoke(w, nargs);
            self.set(w.d(), result);
        }
    }

    /// A call that may raise: the result is kept only if it did not.
    #[inline(always)]
    unsafe fn call_raise(&mut self, w: Insn, nargs: u32) -> Option<Exit> {
        // SAFETY: as for `invoke`.
        unsafe {
            let result = self.invoke(w, nargs);
            if (*self.state).exception != NO_EXCEPTION {
                return Some(self.exception(2));
            }
            self.set(w.d(), result);
        }
        None
    }

    #[inline(always)]
    unsafe fn branch(&mut self, w: Insn) {
        // SAFETY: a branch inside the block.
        unsafe { self.jump(w.imm()) }
    }

    #[inline(always)]
    unsafe fn fence(&mut self, _w: Insn) {
        fence(Ordering::SeqCst);
    }
}

/// Methods that differ in one expression.
macro_rules! rows {
    ($($name:ident($w:ident, $self:ident) -> $ret:ty = $body:expr;)*) => {
        #[allow(clippy::missing_safety_doc, reason = "the promise of `exec`")]
        impl<E: ExecEnv> Machine<'_, E> {
            $(#[inline(always)]
            unsafe fn $name(&mut $self, $w: Insn) -> $ret {
                // SAFETY: the promise of `exec`, passed on.
                unsafe { $body }
            }
            )*
        }
    };
}

rows! {
    add2(w, self) -> () = self.pairs(w, u128::wrapping_add);
    sub2(w, self) -> () = self.pairs(w, u128::wrapping_sub);
    add2_w(w, self) -> () = self.pairs_w(w, u64::wrapping_add);
    sub2_w(w, self) -> () = self.pairs_w(w, u64::wrapping_sub);
    mulu2(w, self) -> () = self.pairs(w, |a, b| u128::from(a as u64) * u128::from(b as u64));
    muls2(w, self) -> () =
        self.pairs(w, |a, b| (i128::from(a as i64) * i128::from(b as i64)) as u128);
    mulu2_w(w, self) -> () = self.pairs_w(w, |a, b| low(a) * low(b));
    muls2_w(w, self) -> () = self.pairs_w(w, |a, b| sext(a).wrapping_mul(sext(b)));
    addc(w, self) -> () = self.carry(w, |a, b, c| {
        let sum = u128::from(a) + u128::from(b) + u128::from(c);
        (sum as u64, (sum >> 64) as u64)
    });
    subb(w, self) -> () = self.carry(w, |a, b, c| {
        let difference = u128::from(a).wrapping_sub(u128::from(b)).wrapping_sub(u128::from(c));
        (difference as u64, u64::from((difference >> 64) as u64 != 0))
    });
    addc_w(w, self) -> () = self.carry(w, |a, b, c| {
        let sum = low(a) + low(b) + low(c);
        (sext(sum), sum >> 32)
    });
    subb_w(w, self) -> () = self.carry(w, |a, b, c| {
        let difference = low(a).wrapping_sub(low(b)).wrapping_sub(low(c));
        (sext(difference), u64::from(difference >> 32 != 0))
    });
    call0(w, self) -> () = self.call(w, 0);
    call1(w, self) -> () = self.call(w, 1);
    call2(w, self) -> () = self.call(w, 2);
    call3(w, self) -> () = self.call(w, 3);
    call4(w, self) -> () = self.call(w, 4);
    call_raise0(w, self) -> Option<Exit> = self.call_raise(w, 0);
    call_raise1(w, self) -> Option<Exit> = self.call_raise(w, 1);
    call_raise2(w, self) -> Option<Exit> = self.call_raise(w, 2);
    call_raise3(w, self) -> Option<Exit> = self.call_raise(w, 3);
    call_raise4(w, self) -> Option<Exit> = self.call_raise(w, 4);
}

/// The rows `leave`.
#[allow(clippy::missing_safety_doc, reason = "the promise of `exec`")]
impl<E: ExecEnv> Machine<'_, E> {
    /// Puts a result in its slot, or leaves with the exception.
    #[inline(always)]
    unsafe fn finish(&mut self, d: u8, result: Result<u64, Fault>, words: usize) -> Option<Exit> {
        match result {
            // SAFETY: a slot.
            Ok(value) => unsafe { self.set(d, value) },
            Err(Fault) => return Some(self.exception(words)),
        }
        None
    }

    #[inline(always)]
    unsafe fn finish2(
        &mut self,
        w: Insn,
        result: Result<(u64, u64), Fault>,
        words: usize,
    ) -> Option<Exit> {
        let Ok((low, high)) = result else {
            return Some(self.exception(words));
        };
        // SAFETY: slots.
        unsafe {
            self.set(w.d(), low);
            self.set(w.c0(), high);
        }
        None
    }

    #[inline(always)]
    unsafe fn load_any(&mut self, w: Insn) -> Option<Exit> {
        let oi = MemOpIdx(w.imm() as u16);
        // SAFETY: slots, the state.
        unsafe {
            let value = memory::load(self.env, self.state, self.get(w.a()), oi);
            self.finish(w.d(), value, 1)
        }
    }

    #[inline(always)]
    unsafe fn store_any(&mut self, w: Insn) -> Option<Exit> {
        let oi = MemOpIdx(w.imm() as u16);
        // SAFETY: slots, the state.
        let result =
            unsafe { memory::store(self.env, self.state, self.get(w.a()), self.get(w.b()), oi) };
        result.is_err().then(|| self.exception(1))
    }

    #[inline(always)]
    unsafe fn load2(&mut self, w: Insn) -> Option<Exit> {
        // SAFETY: slots.
        unsafe {
            let values = self.env.load2_slow(self.get(w.a()), MemOpIdx(w.imm_high()));
            self.finish2(w, values, 1)
        }
    }

    #[inline(always)]
    unsafe fn store2(&mut self, w: Insn) -> Option<Exit> {
        let oi = MemOpIdx(w.imm_high());
        // SAFETY: slots.
        let (addr, low, high) = unsafe { (self.get(w.a()), self.get(w.b()), self.get(w.c0())) };
        self.env
            .store2_slow(addr, low, high, oi)
            .is_err()
            .then(|| self.exception(1))
    }

    #[inline(always)]
    unsafe fn cmpxchg(&mut self, w: Insn) -> Option<Exit> {
        let oi = MemOpIdx(w.imm_high());
        // SAFETY: slots, the state.
        unsafe {
            let values = (self.get(w.b()), self.get(w.c0()));
            let old = memory::cmpxchg(self.env, self.state, self.get(w.a()), values, oi);
            self.finish(w.d(), old, 1)
        }
    }

    #[inline(always)]
    unsafe fn cmpxchg2(&mut self, w: Insn) -> Option<Exit> {
        // SAFETY: slots; this instruction has a second word.
        unsafe {
            let [el, eh, nl, nh, ..] = self.fetch_second().to_le_bytes();
            let expected = (self.get(el), self.get(eh));
            let new = (self.get(nl), self.get(nh));
            let oi = MemOpIdx(w.imm_high());
            let old = self.env.cmpxchg2(self.get(w.a()), expected, new, oi);
            self.finish2(w, old, 2)
        }
    }

    #[inline(always)]
    unsafe fn rmw(&mut self, w: Insn) -> Option<Exit> {
        let oi = MemOpIdx(w.imm_high());
        // SAFETY: the code generator stored a discriminant; slots, the state.
        unsafe {
            let rmw = transmute::<u8, RmwOp>(w.c0());
            let (addr, value) = (self.get(w.a()), self.get(w.b()));
            let old = memory::rmw(self.env, self.state, addr, value, rmw, oi);
            self.finish(w.d(), old, 1)
        }
    }

    #[inline(always)]
    unsafe fn budget(&mut self, w: Insn) -> Option<Exit> {
        // SAFETY: the state.
        let left = unsafe { &mut (*self.state).icount_left };
        match left.checked_sub(w.imm()) {
            Some(rest) if rest >= 0 => *left = rest,
            _ => return Some(Exit::Request { tb: self.tb }),
        }
        None
    }
}

/// Ends of blocks.
#[allow(clippy::missing_safety_doc, reason = "the promise of `exec`")]
impl<E: ExecEnv> Machine<'_, E> {
    #[inline(always)]
    unsafe fn goto_tb(&mut self, w: Insn) -> Option<Exit> {
        // SAFETY: exits.
        unsafe { self.follow((w.d() & 1) as usize).flatten() }
    }

    /// To the block for `pc`, which is in the pc global too.
    #[inline(always)]
    unsafe fn go_to(&mut self, pc: u64) -> Option<Exit> {
        // SAFETY: the state; what the jump cache holds for its current generation is valid.
        unsafe {
            let cache = (&raw const (*self.state).jump_cache).cast::<JumpCacheEntry>();
            let entry = &*cache.add(CpuState::jump_cache_index(pc));
            let target = if entry.pc == pc && entry.flags_gen == (*self.state).flags_gen {
                entry.tb as *const TbHeader
            } else {
                lookup_slow(self.env)
            };
            if target.is_null() {
                return Some(Exit::Lookup);
            }
            self.enter(target)
        }
    }

    #[inline(always)]
    unsafe fn goto_ptr(&mut self, w: Insn) -> Option<Exit> {
        // SAFETY: a slot.
        unsafe { self.go_to(self.get(w.a())) }
    }

    #[inline(always)]
    unsafe fn goto_ptr_and(&mut self, w: Insn) -> Option<Exit> {
        // SAFETY: slots.
        unsafe {
            let pc = self.get(w.a()) & w.imm() as u64;
            self.set(w.d(), pc);
            self.go_to(pc)
        }
    }

    #[inline(always)]
    unsafe fn goto_ptr_imm(&mut self, w: Insn) -> Option<Exit> {
        // SAFETY: a slot.
        unsafe {
            let pc = w.imm() as u64;
            self.set(w.d(), pc);
            self.go_to(pc)
        }
    }

    #[inline(always)]
    unsafe fn exit_slot(&mut self, w: Insn) -> Option<Exit> {
        Some(Exit::Slot {
            tb: self.tb,
            slot: w.d(),
        })
    }

    #[inline(always)]
    unsafe fn exit_main(&mut self, _w: Insn) -> Option<Exit> {
        Some(Exit::Main)
    }

    #[inline(always)]
    unsafe fn exit_exception(&mut self, _w: Insn) -> Option<Exit> {
        Some(self.exception(1))
    }
}

#[cold]
#[inline(never)]
fn lookup_slow<E: ExecEnv>(env: &mut E) -> *const TbHeader {
    env.lookup_tb()
}

#[cold]
#[inline(never)]
fn hot<E: ExecEnv>(env: &mut E, tb: *const TbHeader) -> Result<*const TbHeader, Exit> {
    env.enter_hot(tb)
}
