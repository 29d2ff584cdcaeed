//! Joins the hart to the accelerator: the `GuestCpu` of RISC-V.

use accel_tcg::{Access, CpuCommon, GuestCpu, Helper, TlbFill, TranslateContext, TranslateEnd};
use include::VirtAddr;
use tcg::builder::GlobalInfo;
use tcg::ir::Type;

use crate::cpu::{Privilege, RiscvCpu, X_NAMES, mmu_idx, slot};
use crate::trap::{Cause, Trap};
use crate::{disas, helpers, translate};

/// Names of f0 to f31 in the ABI.
const F_NAMES: [&str; 32] = [
    "ft0", "ft1", "ft2", "ft3", "ft4", "ft5", "ft6", "ft7", "fs0", "fs1", "fa0", "fa1", "fa2",
    "fa3", "fa4", "fa5", "fa6", "fa7", "fs2", "fs3", "fs4", "fs5", "fs6", "fs7", "fs8", "fs9",
    "fs10", "fs11", "ft8", "ft9", "ft10", "ft11",
];

static GLOBALS: [GlobalInfo; slot::FFLAGS + 1] = globals();

/// Every global stands in the slot of its own number.
const fn globals() -> [GlobalInfo; slot::FFLAGS + 1] {
    let mut rows = [GlobalInfo {
        name: "",
        slot: 0,
        ty: Type::I64,
    }; slot::FFLAGS + 1];
    let mut i = 0;
    while i < rows.len() {
        rows[i].slot = i as u8;
        rows[i].name = match i {
            slot::PC => "pc",
            slot::LOAD_RES => "load_res",
            slot::LOAD_VAL => "load_val",
            // No op names it, but its slot must not be taken for a temp.
            slot::FFLAGS => "fflags",
            _ if i < slot::F0 => X_NAMES[i],
            _ => F_NAMES[i - slot::F0],
        };
        i += 1;
    }
    rows
}

impl GuestCpu for RiscvCpu {
    const NAME: &'static str = "riscv64";
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
        helpers::table()
    }

    fn pc(&self) -> u64 {
        self.pc_slot()
    }

    fn set_pc(&mut self, pc: u64) {
        self.set_pc_slot(pc);
    }

    fn insn_length(bytes: &[u8]) -> Option<usize> {
        translate::insn_length(bytes)
    }

    fn translate_insn(
        &self,
        context: &mut TranslateContext<'_>,
        insn: u64,
        length: usize,
    ) -> TranslateEnd {
        translate::translate_insn(self, context, insn, length)
    }

    fn disassemble(pc: u64, insn: u64, length: usize) -> String {
        disas::disassemble(pc, insn, length)
    }

    fn tlb_fill(
        &mut self,
        addr: VirtAddr,
        access: Access,
        mmu_idx: usize,
        probe: bool,
    ) -> Result<TlbFill, ()> {
        let found = self.translate_address(addr.0, access, mmu_idx, probe);
        if util::log::enabled(util::log::Item::Mmu) && util::log::in_filter(addr.0) {
            let hart = self.hart();
            util::log::write(format_args!(
                "hart {hart}: {access:?} at {addr} in mode {mmu_idx}: {found:x?}\n"
            ));
        }
        found
    }

    fn fetch_mmu_idx(&self) -> usize {
        match self.privilege {
            Privilege::User => mmu_idx::USER,
            Privilege::Supervisor => mmu_idx::SUPERVISOR,
            Privilege::Machine => mmu_idx::MACHINE,
        }
    }

    fn raise_bus_error(&mut self, addr: VirtAddr, access: Access) {
        let cause = match access {
            Access::Load => Cause::LoadAccess,
            Access::Store => Cause::StoreAccess,
            Access::Fetch => Cause::InstructionAccess,
        };
        self.raise(Trap {
            cause,
            tval: addr.0,
        });
    }

    fn raise_misaligned(&mut self, addr: VirtAddr, access: Access, atomic: bool) {
        let cause = match access {
            Access::Fetch => Cause::InstructionMisaligned,
            Access::Load if !atomic => Cause::LoadMisaligned,
            _ => Cause::StoreMisaligned,
        };
        self.raise(Trap {
            cause,
            tval: addr.0,
        });
    }

    fn restore_state(&mut self, pc: u64, extra: u64) {
        self.set_pc_slot(pc);
        self.instruction = extra;
    }

    fn do_exception(&mut self) {
        self.take_exception();
    }

    fn do_interrupt(&mut self) -> bool {
        self.take_interrupt()
    }

    fn has_work(&self) -> bool {
        self.mip() & self.mie != 0
    }

    fn reset(&mut self, pc: u64) {
        self.power_on(pc);
    }

    fn dump(&self) -> String {
        self.registers()
    }
}
