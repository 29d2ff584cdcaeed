//! The RISC-V hart: registers outside generated code's view, and what joins them to it.

use std::sync::Arc;

use accel_tcg::CpuCommon;
use include::{IrqLine, TickCounter, TimerService};

use crate::isa::{Ext, Isa};
use crate::mstatus as ms;
use crate::pmp::Pmp;
use crate::stimer::Stimer;
use crate::trap::irq;

/// Slots of `CpuState::slots` and numbers of IR globals (equal up to `LOAD_VAL`).
pub mod slot {
    /// x0 is never written; reads of it are a constant.
    pub const X0: usize = 0;
    pub const F0: usize = 32;
    pub const PC: usize = 64;
    /// Address of the LR reservation; [`NO_RESERVATION`](super::NO_RESERVATION) for none.
    pub const LOAD_RES: usize = 65;
    pub const LOAD_VAL: usize = 66;
    /// The five accrued exception flags, for helpers; generated code never touches them.
    pub const FFLAGS: usize = 67;
}

/// `LOAD_RES` when there is no reservation.
pub const NO_RESERVATION: u64 = u64::MAX;

/// Fields of `tb_flags`: all that translation depends on.
pub mod tb_flags {
    /// MMU mode of loads and stores.
    pub const MMU_IDX: u32 = 3;
    pub const PRIVILEGE_SHIFT: u32 = 2;
    /// mstatus.FS is not Off.
    pub const FS_ON: u32 = 1 << 4;
    pub const FS_DIRTY: u32 = 1 << 5;
    /// Dynamic rounding mode.
    pub const FRM_SHIFT: u32 = 6;
}

/// MMU modes.
pub mod mmu_idx {
    pub const USER: usize = 0;
    pub const SUPERVISOR: usize = 1;
    /// Supervisor that may access user pages (mstatus.SUM).
    pub const SUPERVISOR_SUM: usize = 2;
    pub const MACHINE: usize = 3;
}

/// Privilege modes, by their encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Privilege {
    User = 0,
    Supervisor = 1,
    Machine = 3,
}

impl Privilege {
    /// The mode of a 2-bit field; the reserved encoding 2 reads as User, and is never stored.
    pub fn from_bits(bits: u64) -> Self {
        match bits & 3 {
            3 => Self::Machine,
            1 => Self::Supervisor,
            _ => Self::User,
        }
    }
}

/// Time as the hart sees it; connected once the board exists.
pub struct TimeSource {
    pub counter: Arc<dyn TickCounter>,
    pub(crate) stimer: Arc<Stimer>,
}

/// Number of programmable performance counters (3 and up), as QEMU's `pmu-mask` default.
pub const HPM_COUNTERS: usize = 16;

/// One hart.
#[repr(C)]
pub struct RiscvCpu {
    /// Must stay first: see `accel_tcg::GuestCpu`.
    pub common: CpuCommon,
    pub isa: Isa,
    pub time: Option<TimeSource>,
    pub privilege: Privilege,
    pub mstatus: u64,
    pub medeleg: u64,
    pub mideleg: u64,
    pub mie: u64,
    /// Bits of `mip` that software set; wires are in `VcpuShared::irq_levels`.
    pub mip_soft: u64,
    pub mtvec: u64,
    pub mscratch: u64,
    pub mepc: u64,
    pub mcause: u64,
    pub mtval: u64,
    pub mcounteren: u64,
    pub mcountinhibit: u64,
    pub menvcfg: u64,
    pub mstateen: [u64; 4],
    pub stvec: u64,
    pub sscratch: u64,
    pub sepc: u64,
    pub scause: u64,
    pub stval: u64,
    pub scounteren: u64,
    pub senvcfg: u64,
    pub sstateen: [u64; 4],
    pub satp: u64,
    pub stimecmp: u64,
    /// Dynamic rounding mode (fcsr bits 7:5).
    pub frm: u64,
    /// `mcycle` and `minstret` less the cycles (wrapping); the value itself while inhibited.
    pub mcycle_offset: u64,
    pub minstret_offset: u64,
    pub mhpmcounter: [u64; HPM_COUNTERS],
    pub mhpmevent: [u64; HPM_COUNTERS],
    pub pmp: Pmp,
    /// Bits of the instruction at the pc, from `restore_state`.
    pub instruction: u64,
    pub(crate) exception_tval: u64,
    pub(crate) tval_is_instruction: bool,
}

impl RiscvCpu {
    /// A hart after power-on, its pc at 0 until the machine resets it.
    pub fn new(isa: Isa, common: CpuCommon) -> Self {
        let mut cpu = Self {
            common,
            isa,
            time: None,
            privilege: Privilege::Machine,
            mstatus: 0,
            medeleg: 0,
            mideleg: 0,
            mie: 0,
            mip_soft: 0,
            mtvec: 0,
            mscratch: 0,
            mepc: 0,
            mcause: 0,
            mtval: 0,
            mcounteren: 0,
            mcountinhibit: 0,
            menvcfg: 0,
            mstateen: [0; 4],
            stvec: 0,
            sscratch: 0,
            sepc: 0,
            scause: 0,
            stval: 0,
            scounteren: 0,
            senvcfg: 0,
            sstateen: [0; 4],
            satp: 0,
            stimecmp: u64::MAX,
            frm: 0,
            mcycle_offset: 0,
            minstret_offset: 0,
            mhpmcounter: [0; HPM_COUNTERS],
            mhpmevent: [0; HPM_COUNTERS],
            pmp: Pmp::default(),
            instruction: 0,
            exception_tval: 0,
            tval_is_instruction: false,
        };
        cpu.power_on(0);
        cpu
    }

    /// Connects the time base (and Sstc's timer).
    pub fn connect_time(&mut self, counter: Arc<dyn TickCounter>, timers: &dyn TimerService) {
        let stip = IrqLine::new(self.common.shared.clone(), irq::STI);
        let stimer = Stimer::new(counter.clone(), timers, stip);
        self.time = Some(TimeSource { counter, stimer });
    }

    /// Registers as after power-on (Privileged manual, section 3.4; the rest as QEMU has it).
    pub(crate) fn power_on(&mut self, pc: u64) {
        self.privilege = Privilege::Machine;
        self.mstatus = ms::XLEN64;
        (self.medeleg, self.mideleg, self.mie, self.mip_soft) = (0, 0, 0, 0);
        (
            self.mtvec,
            self.mscratch,
            self.mepc,
            self.mcause,
            self.mtval,
        ) = (0, 0, 0, 0, 0);
        (self.mcounteren, self.mcountinhibit, self.senvcfg) = (0, 0, 0);
        self.menvcfg = self.menvcfg_at_reset();
        (self.mstateen, self.sstateen) = ([0; 4], [0; 4]);
        (
            self.stvec,
            self.sscratch,
            self.sepc,
            self.scause,
            self.stval,
        ) = (0, 0, 0, 0, 0);
        (self.scounteren, self.satp, self.stimecmp, self.frm) = (0, 0, u64::MAX, 0);
        (self.mcycle_offset, self.minstret_offset) = (0, 0);
        (self.mhpmcounter, self.mhpmevent) = ([0; HPM_COUNTERS], [0; HPM_COUNTERS]);
        self.update_stimer();
        self.pmp = Pmp::default();
        self.common.state.slots[..=slot::FFLAGS].fill(0);
        self.set_reservation_none();
        self.set_pc_slot(pc);
        self.common.clear_exception();
        self.common.set_asid(0);
        self.common.tlb_flush();
        self.update_tb_flags();
    }

    fn menvcfg_at_reset(&self) -> u64 {
        let mut value = 0;
        if self.isa.has(Ext::Svpbmt) {
            value |= crate::csr::envcfg::PBMTE;
        }
        if self.isa.has(Ext::Svadu) && !self.isa.has(Ext::Svade) {
            value |= crate::csr::envcfg::ADUE;
        }
        value
    }

    /// Number of this hart.
    pub fn hart(&self) -> u64 {
        self.common.shared.index as u64
    }

    /// General register `n`.
    pub fn x(&self, n: usize) -> u64 {
        self.common.state.slots[slot::X0 + (n & 31)]
    }

    pub(crate) fn pc_slot(&self) -> u64 {
        self.common.state.slots[slot::PC]
    }

    pub(crate) fn set_pc_slot(&mut self, pc: u64) {
        self.common.state.slots[slot::PC] = pc;
    }

    pub(crate) fn set_reservation_none(&mut self) {
        self.common.state.slots[slot::LOAD_RES] = NO_RESERVATION;
    }

    /// `mip`: software-set bits and wires.
    pub fn mip(&self) -> u64 {
        use std::sync::atomic::Ordering::SeqCst;
        self.mip_soft | self.common.shared.irq_levels.load(SeqCst)
    }

    /// Writes `mstatus` and the privilege together, and all that is derived from them.
    pub(crate) fn set_status_and_privilege(&mut self, status: u64, privilege: Privilege) {
        if (status ^ self.mstatus) & ms::MXR != 0 {
            self.common.tlb_flush();
        }
        self.mstatus = status;
        self.privilege = privilege;
        self.update_tb_flags();
        self.recheck_interrupts();
    }

    /// Makes the execution loop look at interrupts when one may have become due.
    pub(crate) fn recheck_interrupts(&mut self) {
        if self.mip() & self.mie != 0 {
            self.common.request_exit();
        }
    }

    /// The mode whose rules loads and stores obey: MPRV lends M-mode that of MPP.
    pub(crate) fn data_privilege(&self) -> Privilege {
        if self.privilege == Privilege::Machine && self.mstatus & ms::MPRV != 0 {
            Privilege::from_bits(self.mstatus >> ms::MPP_SHIFT)
        } else {
            self.privilege
        }
    }

    fn data_mmu_idx(&self) -> usize {
        match self.data_privilege() {
            Privilege::User => mmu_idx::USER,
            Privilege::Supervisor if self.mstatus & ms::SUM != 0 => mmu_idx::SUPERVISOR_SUM,
            Privilege::Supervisor => mmu_idx::SUPERVISOR,
            Privilege::Machine => mmu_idx::MACHINE,
        }
    }

    /// Recomputes `tb_flags`; called whenever one of its inputs changed.
    pub(crate) fn update_tb_flags(&mut self) {
        let mut flags = self.data_mmu_idx() as u32;
        flags |= (self.privilege as u32) << tb_flags::PRIVILEGE_SHIFT;
        if self.mstatus & ms::FS != 0 {
            flags |= tb_flags::FS_ON;
        }
        if self.mstatus & ms::FS == ms::FS_DIRTY {
            flags |= tb_flags::FS_DIRTY;
        }
        flags |= (self.frm as u32 & 7) << tb_flags::FRM_SHIFT;
        self.common.state.set_tb_flags(flags);
    }

    /// mstatus.FS becomes Dirty.
    pub(crate) fn set_fs_dirty(&mut self) {
        self.mstatus |= ms::FS_DIRTY;
        self.update_tb_flags();
    }

    /// Registers as text, for `info registers` and `-d cpu`.
    pub(crate) fn registers(&self) -> String {
        use std::fmt::Write;
        let mut text = format!(" V      =   0\n pc       {:016x}\n", self.pc_slot());
        let csrs: &[(&str, u64)] = &[
            ("mhartid", self.hart()),
            ("mstatus", self.read_mstatus()),
            ("mip", self.mip()),
            ("mie", self.mie),
            ("mideleg", self.mideleg),
            ("medeleg", self.medeleg),
            ("mtvec", self.mtvec),
            ("stvec", self.stvec),
            ("mepc", self.mepc),
            ("sepc", self.sepc),
            ("mcause", self.mcause),
            ("scause", self.scause),
            ("mtval", self.mtval),
            ("stval", self.stval),
            ("mscratch", self.mscratch),
            ("sscratch", self.sscratch),
            ("satp", self.satp),
        ];
        for (name, value) in csrs {
            let _ = writeln!(text, " {name:8} {value:016x}");
        }
        for (index, name) in X_NAMES.iter().enumerate() {
            let end = if index % 4 == 3 { '\n' } else { ' ' };
            let _ = write!(
                text,
                " {:8} {:016x}{end}",
                format!("x{index}/{name}"),
                self.x(index)
            );
        }
        text
    }
}

/// ABI names of x0 to x31.
pub const X_NAMES: [&str; 32] = [
    "zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2", "a3", "a4",
    "a5", "a6", "a7", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4",
    "t5", "t6",
];
