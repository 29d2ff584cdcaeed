//! What the accelerator asks of a guest architecture.

use include::{PhysAddr, VirtAddr};
use tcg::builder::{Builder, GlobalInfo};
use tcg::float::FloatHelper;
use tcg::ir::{HelperFlags, HelperInfo};

use crate::cpu::CpuCommon;

/// A helper's function, by its number of arguments; a helper without a result returns 0.
pub enum HelperFn<C> {
    F0(extern "C" fn(&mut C) -> u64),
    F1(extern "C" fn(&mut C, u64) -> u64),
    F2(extern "C" fn(&mut C, u64, u64) -> u64),
    F3(extern "C" fn(&mut C, u64, u64, u64) -> u64),
    F4(extern "C" fn(&mut C, u64, u64, u64, u64) -> u64),
}

/// One row of the helper table of the guest CPU `C`. The function's type says how many arguments
/// it takes and which CPU, so that no row can be wrong; rows can stand in a `static`.
pub struct Helper<C> {
    pub name: &'static str,
    pub function: HelperFn<C>,
    pub flags: HelperFlags,
    pub float: Option<FloatHelper>,
}

macro_rules! helper_constructors {
    ($($name:ident $variant:ident ($($arg:ty),*);)*) => {
        impl<C> Helper<C> {
            $(
                /// The row of a helper with so many arguments.
                pub const fn $name(
                    name: &'static str,
                    function: extern "C" fn(&mut C $(, $arg)*) -> u64,
                    flags: HelperFlags,
                ) -> Self {
                    Self { name, function: HelperFn::$variant(function), flags, float: None }
                }
            )*
        }
    };
}
helper_constructors! {
    of0 F0 ();
    of1 F1 (u64);
    of2 F2 (u64, u64);
    of3 F3 (u64, u64, u64);
    of4 F4 (u64, u64, u64, u64);
}

impl<C> Helper<C> {
    /// The row with a description of what it computes, for back ends to do it inline.
    pub const fn with_float(mut self, float: FloatHelper) -> Self {
        self.float = Some(float);
        self
    }

    /// The row as back ends see it.
    pub fn info(&self) -> HelperInfo {
        let (function, nargs) = match self.function {
            HelperFn::F0(f) => (f as usize, 0),
            HelperFn::F1(f) => (f as usize, 1),
            HelperFn::F2(f) => (f as usize, 2),
            HelperFn::F3(f) => (f as usize, 3),
            HelperFn::F4(f) => (f as usize, 4),
        };
        HelperInfo {
            name: self.name,
            function,
            nargs,
            flags: self.flags,
            float: self.float,
        }
    }
}

/// Why memory is touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Load,
    Store,
    Fetch,
}

/// A successful translation, for the page that contains the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlbFill {
    /// Physical address of the byte asked for.
    pub paddr: PhysAddr,
    pub read: bool,
    pub write: bool,
    pub execute: bool,
    /// Bytes of the page or superpage (a power of two). Below 4096 the permission holds for so many
    /// bytes from the address on (a PMP border inside the page), and is asked again each time.
    pub size: u64,
    /// The mapping is the same in every address space (RISC-V's G bit).
    pub global: bool,
    /// Address space that the mapping belongs to (RISC-V's ASID).
    pub asid: u16,
}

/// How a block ends, said by the guest's translator after each instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TranslateEnd {
    /// Go on with the next instruction.
    Next,
    /// Stop; fall through to the next instruction's address (a linked exit will be made).
    TooMany,
    /// The instruction already emitted the block's end.
    NoReturn,
}

/// A block under translation.
pub struct TranslateContext<'a> {
    pub builder: &'a mut Builder,
    /// Address of the block's first instruction.
    pub pc_first: u64,
    /// Address of the instruction being translated.
    pub pc: u64,
    /// `CpuState::tb_flags` that the block is made for.
    pub tb_flags: u32,
    /// True while a direct jump to `dest` may be a linked exit: same page as the block's first
    /// instruction (else `goto_ptr`).
    pub may_chain: fn(pc_first: u64, dest: u64) -> bool,
    /// `-icount`: an I/O instruction (CSR time reads, WFI) must end its block.
    pub icount: bool,
}

/// A guest CPU: `#[repr(C)]`, its first field a [`CpuCommon`]. (Generated code reaches helpers with
/// the address of the `CpuState` in it; when a vCPU is made the accelerator checks that the
/// addresses of the CPU and of its [`CpuCommon`] are the same, so that this trait is safe.)
pub trait GuestCpu: Sized + Send + 'static {
    /// QEMU's name of the architecture: `riscv64`.
    const NAME: &'static str;
    /// Shortest instruction in bytes.
    const INSN_ALIGN: u64;

    fn common(&self) -> &CpuCommon;
    fn common_mut(&mut self) -> &mut CpuCommon;

    /// The guest registers known to the IR: temp `i` is row `i`. The program counter's row is named
    /// `pc` and is the one that [`Self::pc`] reads.
    fn globals() -> &'static [GlobalInfo];
    /// The helpers: `HelperId(i)` is row `i`.
    fn helpers() -> &'static [Helper<Self>];

    /// The program counter.
    fn pc(&self) -> u64;
    fn set_pc(&mut self, pc: u64);

    /// Reads the instruction at `pc` out of `bytes` (at least 2, what lies in the page) and returns
    /// its length, or `None` when more bytes are needed than `bytes` has.
    fn insn_length(bytes: &[u8]) -> Option<usize>;
    /// Translates one instruction whose bytes are `insn` (little-endian in the low bits).
    /// `insn_start` was emitted by the loop; the guest may set its `extra`.
    fn translate_insn(
        &self,
        context: &mut TranslateContext<'_>,
        insn: u64,
        length: usize,
    ) -> TranslateEnd;
    /// Text of an instruction for `-d in_asm`.
    fn disassemble(pc: u64, insn: u64, length: usize) -> String;

    /// Translates an address: page tables, protection, A and D bits. On a fault it leaves the
    /// exception pending in the CPU (`CpuState::exception` and the guest's own fields) and
    /// returns `Err`; with `probe` it leaves no trace.
    #[allow(
        clippy::result_unit_err,
        reason = "what went wrong is pending in the CPU"
    )]
    fn tlb_fill(
        &mut self,
        addr: VirtAddr,
        access: Access,
        mmu_idx: usize,
        probe: bool,
    ) -> Result<TlbFill, ()>;
    /// MMU mode of instruction fetches now.
    fn fetch_mmu_idx(&self) -> usize;
    /// A bus error (nothing there) at a translated address: leave the exception pending.
    fn raise_bus_error(&mut self, addr: VirtAddr, access: Access);
    /// A misaligned access that its op forbids: leave the exception pending. `atomic` tells an
    /// atomic op's from a plain load's or store's.
    fn raise_misaligned(&mut self, addr: VirtAddr, access: Access, atomic: bool);

    /// The two words of the `insn_start` in front of the op that faulted: makes `pc` (and what
    /// else translation keeps implicit) right.
    fn restore_state(&mut self, pc: u64, extra: u64);
    /// Takes the pending exception: enters its handler, clears it.
    fn do_exception(&mut self);
    /// Takes an interrupt if one is pending and enabled; true if it did.
    fn do_interrupt(&mut self) -> bool;
    /// Something to wake a halted CPU for (ignores global enables, as WFI does).
    fn has_work(&self) -> bool;
    /// Power-on state; `pc` is the machine's reset vector. Flushes the TLB if translation changes.
    fn reset(&mut self, pc: u64);
    /// Registers for `info registers` and `-d cpu`.
    fn dump(&self) -> String;
}
