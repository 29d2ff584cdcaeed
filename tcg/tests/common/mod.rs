//! A guest CPU for tests: registers, four pages of memory, and helpers of every kind.
#![allow(unsafe_code, reason = "runs generated code")]
#![allow(dead_code, reason = "not every test uses everything")]

pub mod maker;
pub mod outcome;
pub mod plain;
pub mod regions;

use std::sync::atomic::AtomicU32;

use tcg::builder::GlobalInfo;
use tcg::cpu_state::{NO_EXCEPTION, PAGE_MASK, TLB_ENTRIES, TlbEntry};
use tcg::ir::*;
use tcg::{CompileOptions, CpuState, ExecEnv, Fault, TbHeader};

/// Guest address of the memory. Pages: RAM, RAM, read-only RAM, a device; nothing around.
pub const BASE: u64 = 0x7fff_e000;
pub const PAGE: u64 = 4096;
pub const READ_ONLY: u64 = BASE + 2 * PAGE;
pub const DEVICE: u64 = BASE + 3 * PAGE;
pub const MEMORY: usize = 4 * PAGE as usize;
pub const MMU_IDX: u8 = 2;
pub const FAULT_EXCEPTION: i64 = 7;

/// Globals: eight I64 (slots 0 to 7), two I32 (8, 9), the pc (10).
pub const I64_GLOBALS: u16 = 8;
pub const I32_GLOBALS: u16 = 2;
pub const PC: u16 = 10;
pub const GLOBALS: usize = 11;

/// Bytes of CPU state outside the slots that tests may load and store.
pub const SCRATCH: i32 =
    (std::mem::offset_of!(CpuState, jump_cache) + size_of::<[u64; 4]>() * 4000) as i32;

pub fn globals() -> Vec<GlobalInfo> {
    let ty = |slot| {
        if (8..10).contains(&slot) {
            Type::I32
        } else {
            Type::I64
        }
    };
    const NAMES: [&str; GLOBALS] = [
        "g0", "g1", "g2", "g3", "g4", "g5", "g6", "g7", "h8", "h9", "pc",
    ];
    (0..)
        .zip(NAMES)
        .map(|(slot, name)| GlobalInfo {
            name,
            slot,
            ty: ty(slot),
        })
        .collect()
}

pub const OPTIONS: CompileOptions = CompileOptions {
    pc_slot: PC as u8,
    icount: None,
};

pub fn oi(mem: MemOp) -> MemOpIdx {
    MemOpIdx::new(mem, MMU_IDX)
}

extern "C" fn pure_mix(_: &mut CpuState, a: u64, b: u64) -> u64 {
    a.rotate_left(7) ^ b.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Sums all I64 globals.
extern "C" fn read_globals(cpu: &mut CpuState) -> u64 {
    cpu.slots[..8]
        .iter()
        .fold(0, |sum, g| sum.rotate_left(3).wrapping_add(*g))
}

extern "C" fn write_globals(cpu: &mut CpuState, a: u64, b: u64, c: u64, d: u64) -> u64 {
    cpu.slots[(a % 8) as usize] = b;
    cpu.slots[8] = c & 0xffff_ffff;
    d.wrapping_add(1)
}

extern "C" fn may_raise(cpu: &mut CpuState, a: u64) -> u64 {
    cpu.slots[(a >> 3 & 7) as usize] ^= a;
    if a & 7 == 3 {
        cpu.exception = 11;
    }
    a >> 1
}

extern "C" fn no_globals(_: &mut CpuState, a: u64, b: u64, c: u64) -> u64 {
    a ^ b.wrapping_sub(c)
}

pub fn helpers() -> Vec<HelperInfo> {
    let row = |name, function, nargs, flags| HelperInfo {
        name,
        function,
        nargs,
        flags,
        float: None,
    };
    vec![
        row(
            "pure_mix",
            pure_mix as *const () as usize,
            2,
            HelperFlags::PURE,
        ),
        row(
            "read_globals",
            read_globals as *const () as usize,
            0,
            HelperFlags::NO_WRITE_GLOBALS,
        ),
        row(
            "write_globals",
            write_globals as *const () as usize,
            4,
            HelperFlags::NONE,
        ),
        row(
            "may_raise",
            may_raise as *const () as usize,
            1,
            HelperFlags::MAY_RAISE,
        ),
        row(
            "no_globals",
            no_globals as *const () as usize,
            3,
            HelperFlags::NO_GLOBALS,
        ),
    ]
}

/// See the module's text.
pub struct Env {
    pub state: Box<CpuState>,
    pub exit_request: Box<AtomicU32>,
    pub memory: Vec<u64>,
    /// Slow paths fill the TLB.
    pub fill: bool,
    pub slow_calls: u32,
    pub lookup: *const TbHeader,
    pub lookups: u32,
}

impl Env {
    pub fn new() -> Self {
        let exit_request = Box::new(AtomicU32::new(0));
        // SAFETY: all zeroes are a valid state.
        let mut state: Box<CpuState> = unsafe { Box::new_zeroed().assume_init() };
        state.exit_request = &raw const *exit_request;
        let memory = vec![0; MEMORY / 8];
        let lookup = std::ptr::null();
        let mut env = Self {
            state,
            exit_request,
            memory,
            fill: true,
            slow_calls: 0,
            lookup,
            lookups: 0,
        };
        env.flush();
        env.state.exception = NO_EXCEPTION;
        env
    }

    pub fn flush(&mut self) {
        self.state.tlb[usize::from(MMU_IDX)] = [TlbEntry::EMPTY; TLB_ENTRIES];
    }

    pub fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: words are bytes.
        unsafe { std::slice::from_raw_parts_mut(self.memory.as_mut_ptr().cast(), MEMORY) }
    }

    /// 32 bytes of state outside the slots.
    pub fn scratch(&mut self) -> &mut [u64; 4] {
        let state = (&raw mut *self.state).cast::<u8>();
        // SAFETY: inside the state, aligned.
        unsafe { &mut *state.add(SCRATCH as usize).cast() }
    }

    fn fault<T>(&mut self) -> Result<T, Fault> {
        self.state.exception = FAULT_EXCEPTION;
        Err(Fault)
    }

    /// Offset in memory of an access, which must lie in it altogether.
    fn locate(
        &mut self,
        addr: u64,
        oi: MemOpIdx,
        write: bool,
        aligned: bool,
    ) -> Result<usize, Fault> {
        self.slow_calls += 1;
        assert_eq!(oi.mmu_idx(), usize::from(MMU_IDX));
        let size = oi.mem().bytes();
        let last = addr.wrapping_add(size - 1);
        let inside = |a: u64| (BASE..BASE + MEMORY as u64).contains(&a);
        let read_only = |a: u64| a & PAGE_MASK == READ_ONLY;
        let misaligned = (aligned || oi.mem().must_align()) && !addr.is_multiple_of(size);
        let refused = write && (read_only(addr) || read_only(last));
        if misaligned || refused || !inside(addr) || !inside(last) {
            return self.fault();
        }
        if self.fill {
            self.fill(addr);
        }
        Ok((addr - BASE) as usize)
    }

    fn fill(&mut self, addr: u64) {
        let page = addr & PAGE_MASK;
        if page == DEVICE {
            return;
        }
        let host = self.memory.as_mut_ptr() as u64;
        let write = if page == READ_ONLY {
            page | tcg::cpu_state::TLB_NOTDIRTY
        } else {
            page
        };
        self.state.tlb[usize::from(MMU_IDX)][CpuState::tlb_index(addr)] = TlbEntry {
            read: page,
            write,
            code: page,
            addend: host.wrapping_sub(BASE),
        };
    }

    fn get(&mut self, at: usize, size: usize) -> u64 {
        let mut bytes = [0; 8];
        bytes[..size].copy_from_slice(&self.bytes()[at..at + size]);
        u64::from_le_bytes(bytes)
    }

    fn put(&mut self, at: usize, size: usize, value: u64) {
        self.bytes()[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
    }
}

fn extend(value: u64, mem: MemOp) -> u64 {
    match (mem.bytes(), mem.is_signed()) {
        (1, true) => value as i8 as u64,
        (2, true) => value as i16 as u64,
        (4, true) => value as i32 as u64,
        (1, false) => value as u8 as u64,
        (2, false) => value as u16 as u64,
        (4, false) => value as u32 as u64,
        _ => value,
    }
}

fn reverse(value: u64, mem: MemOp) -> u64 {
    if mem.is_big_endian() {
        value.swap_bytes() >> (64 - 8 * mem.bytes())
    } else {
        value
    }
}

impl ExecEnv for Env {
    fn state(&mut self) -> *mut CpuState {
        &raw mut *self.state
    }

    fn load_slow(&mut self, addr: u64, oi: MemOpIdx) -> Result<u64, Fault> {
        let at = self.locate(addr, oi, false, false)?;
        let value = self.get(at, oi.mem().bytes() as usize);
        Ok(extend(reverse(value, oi.mem()), oi.mem()))
    }

    fn store_slow(&mut self, addr: u64, value: u64, oi: MemOpIdx) -> Result<(), Fault> {
        let at = self.locate(addr, oi, true, false)?;
        self.put(at, oi.mem().bytes() as usize, reverse(value, oi.mem()));
        Ok(())
    }

    fn load2_slow(&mut self, addr: u64, oi: MemOpIdx) -> Result<(u64, u64), Fault> {
        let at = self.locate(addr, oi, false, false)?;
        Ok((self.get(at, 8), self.get(at + 8, 8)))
    }

    fn store2_slow(&mut self, addr: u64, low: u64, high: u64, oi: MemOpIdx) -> Result<(), Fault> {
        let at = self.locate(addr, oi, true, false)?;
        self.put(at, 8, low);
        self.put(at + 8, 8, high);
        Ok(())
    }

    fn cmpxchg_slow(
        &mut self,
        addr: u64,
        expected: u64,
        new: u64,
        oi: MemOpIdx,
    ) -> Result<u64, Fault> {
        let at = self.locate(addr, oi, true, true)?;
        let size = oi.mem().bytes() as usize;
        let old = self.get(at, size);
        let plain = MemOp(oi.mem().0 & 7);
        if old == extend(expected, plain) {
            self.put(at, size, new);
        }
        Ok(extend(old, oi.mem()))
    }

    fn cmpxchg2(
        &mut self,
        addr: u64,
        expected: (u64, u64),
        new: (u64, u64),
        oi: MemOpIdx,
    ) -> Result<(u64, u64), Fault> {
        let at = self.locate(addr, oi, true, true)?;
        let old = (self.get(at, 8), self.get(at + 8, 8));
        if old == expected {
            self.put(at, 8, new.0);
            self.put(at + 8, 8, new.1);
        }
        Ok(old)
    }

    fn rmw_slow(&mut self, addr: u64, value: u64, rmw: RmwOp, oi: MemOpIdx) -> Result<u64, Fault> {
        let at = self.locate(addr, oi, true, true)?;
        let size = oi.mem().bytes() as usize;
        let old = self.get(at, size);
        let unsigned = MemOp(oi.mem().0 & 7);
        let signed = |v| extend(v, unsigned.with(MemOp::SB)) as i64;
        let v = extend(value, unsigned);
        let new = match rmw {
            RmwOp::Xchg => v,
            RmwOp::Add => old.wrapping_add(v),
            RmwOp::And => old & v,
            RmwOp::Or => old | v,
            RmwOp::Xor => old ^ v,
            RmwOp::Smin => signed(old).min(signed(v)) as u64,
            RmwOp::Smax => signed(old).max(signed(v)) as u64,
            RmwOp::Umin => old.min(v),
            RmwOp::Umax => old.max(v),
        };
        self.put(at, size, new);
        Ok(extend(old, oi.mem()))
    }

    fn lookup_tb(&mut self) -> *const TbHeader {
        self.lookups += 1;
        self.lookup
    }

    const COUNTS: bool = false;

    fn enter_hot(&mut self, _: *const TbHeader) -> Result<*const TbHeader, tcg::Exit> {
        unreachable!("nothing counts")
    }
}

/// xorshift64*: small, seeded, good enough.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 33) as usize % limit
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// Numbers where mistakes live.
    pub fn number(&mut self) -> u64 {
        match self.below(4) {
            0 => self.pick(&CORNERS),
            1 => self.next() >> self.below(64),
            2 => (1u64 << self.below(64)).wrapping_sub(self.below(3) as u64),
            _ => (self.next() as i64 >> self.below(64)) as u64,
        }
    }
}

pub const CORNERS: [u64; 18] = [
    0,
    1,
    2,
    5,
    31,
    32,
    63,
    64,
    0x7fff,
    0x8000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    i64::MAX as u64,
    i64::MIN as u64,
    !0,
    0xffff_ffff_8000_0000,
];
