//! Traps: causes, and how a hart enters a handler (Privileged manual, sections 3.1.6 to 3.1.16 and
//! 12.1). A trap is a value, never a Rust error or a panic.

use crate::cpu::{Privilege, RiscvCpu};
use crate::mstatus as ms;

/// A synchronous exception: cause number and what `mtval`/`stval` gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trap {
    pub cause: Cause,
    pub tval: u64,
}

impl Trap {
    /// Illegal instruction; `tval` becomes the instruction's bits.
    pub const ILLEGAL: Self = Self {
        cause: Cause::IllegalInstruction,
        tval: 0,
    };
}

/// Exception codes (Privileged manual, table "mcause register values").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Cause {
    InstructionMisaligned = 0,
    InstructionAccess = 1,
    IllegalInstruction = 2,
    Breakpoint = 3,
    LoadMisaligned = 4,
    LoadAccess = 5,
    StoreMisaligned = 6,
    StoreAccess = 7,
    EcallFromU = 8,
    EcallFromS = 9,
    EcallFromM = 11,
    InstructionPage = 12,
    LoadPage = 13,
    StorePage = 15,
}

/// Interrupt numbers: bits of `mip` and `mie`.
pub mod irq {
    pub const SSI: u32 = 1;
    pub const MSI: u32 = 3;
    pub const STI: u32 = 5;
    pub const MTI: u32 = 7;
    pub const SEI: u32 = 9;
    pub const MEI: u32 = 11;
    pub const LCOFI: u32 = 13;
    /// Highest priority first (Privileged manual, section 3.1.9).
    pub const PRIORITY: [u32; 7] = [MEI, MSI, MTI, SEI, SSI, STI, LCOFI];
}

/// Bit of `mcause` and `scause` that tells an interrupt from an exception.
pub const INTERRUPT: u64 = 1 << 63;

impl RiscvCpu {
    /// Leaves `trap` pending; generated code returns to the execution loop.
    pub fn raise(&mut self, trap: Trap) {
        self.exception_tval = trap.tval;
        self.tval_is_instruction = trap == Trap::ILLEGAL;
        self.common.raise(trap.cause as i64);
    }

    /// Enters the handler of the pending exception.
    pub(crate) fn take_exception(&mut self) {
        let cause = self.common.state.exception as u64;
        self.common.clear_exception();
        let tval = if self.tval_is_instruction {
            self.instruction
        } else {
            self.exception_tval
        };
        self.tval_is_instruction = false;
        self.enter_handler(cause, tval);
    }

    /// The interrupt to take now, if any: the highest-priority one that is pending, enabled and
    /// not masked at this privilege (Privileged manual, section 3.1.9).
    fn interrupt_to_take(&self) -> Option<u32> {
        let pending = self.mip() & self.mie;
        if pending == 0 {
            return None;
        }
        let m_enabled = self.privilege < Privilege::Machine || self.mstatus & ms::MIE != 0;
        let s_enabled = self.privilege < Privilege::Supervisor
            || (self.privilege == Privilege::Supervisor && self.mstatus & ms::SIE != 0);
        let for_machine = if m_enabled {
            pending & !self.mideleg
        } else {
            0
        };
        let for_supervisor = if s_enabled { pending & self.mideleg } else { 0 };
        let candidates = if for_machine != 0 {
            for_machine
        } else {
            for_supervisor
        };
        irq::PRIORITY
            .into_iter()
            .find(|bit| candidates >> bit & 1 != 0)
    }

    /// Takes an interrupt if one is due.
    pub(crate) fn take_interrupt(&mut self) -> bool {
        let Some(number) = self.interrupt_to_take() else {
            return false;
        };
        self.enter_handler(INTERRUPT | u64::from(number), 0);
        true
    }

    fn enter_handler(&mut self, cause: u64, tval: u64) {
        let interrupt = cause & INTERRUPT != 0;
        let number = cause & 63;
        let delegated = if interrupt {
            self.mideleg
        } else {
            self.medeleg
        };
        log::trace!(
            target: "int",
            "riscv: hart {} {} {number} epc {:#x} tval {tval:#x}",
            self.hart(),
            if interrupt { "interrupt" } else { "exception" },
            self.pc_slot(),
        );
        self.set_reservation_none();
        if self.privilege <= Privilege::Supervisor && delegated >> number & 1 != 0 {
            self.enter_supervisor(cause, tval);
        } else {
            self.enter_machine(cause, tval);
        }
    }

    fn enter_supervisor(&mut self, cause: u64, tval: u64) {
        let mut status = self.mstatus & !(ms::SPIE | ms::SPP | ms::SIE);
        if self.mstatus & ms::SIE != 0 {
            status |= ms::SPIE;
        }
        if self.privilege == Privilege::Supervisor {
            status |= ms::SPP;
        }
        self.sepc = self.pc_slot();
        self.scause = cause;
        self.stval = tval;
        self.set_pc_slot(vector(self.stvec, cause));
        self.set_status_and_privilege(status, Privilege::Supervisor);
    }

    fn enter_machine(&mut self, cause: u64, tval: u64) {
        let mut status = self.mstatus & !(ms::MPIE | ms::MPP | ms::MIE);
        if self.mstatus & ms::MIE != 0 {
            status |= ms::MPIE;
        }
        status |= (self.privilege as u64) << ms::MPP_SHIFT;
        self.mepc = self.pc_slot();
        self.mcause = cause;
        self.mtval = tval;
        self.set_pc_slot(vector(self.mtvec, cause));
        self.set_status_and_privilege(status, Privilege::Machine);
    }
}

/// Where `cause` goes by a trap-vector register: mode 1 spreads interrupts (section 3.1.7).
fn vector(tvec: u64, cause: u64) -> u64 {
    let base = tvec & !3;
    if tvec & 3 == 1 && cause & INTERRUPT != 0 {
        base.wrapping_add(4 * (cause & 63))
    } else {
        base
    }
}
