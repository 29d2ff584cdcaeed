//! Zicsr, traps and their returns, fences of address translation (Privileged manual), Svinval,
//! Zawrs, Zicbom, Zicboz.

use accel_tcg::TranslateEnd;

use super::Translator;
use crate::decode::*;
use crate::helpers::Helper;

/// CSRs whose writing changes nothing that translation or interrupts depend on: fflags, stvec,
/// sscratch, sepc, scause, stval, mtvec, mscratch, mepc, mcause, mtval.
const PLAIN_CSRS: [i32; 11] = [
    0x001, 0x105, 0x140, 0x141, 0x142, 0x143, 0x305, 0x340, 0x341, 0x342, 0x343,
];

/// CSRs whose writing changes `tb_flags` or the interrupts enabled, and no more: sstatus, sie, sip,
/// mstatus, mie, mip, frm, fcsr. Their helpers request an exit if an interrupt is due.
const STATUS_CSRS: [i32; 8] = [0x100, 0x104, 0x144, 0x300, 0x304, 0x344, 0x002, 0x003];

/// CSRs that count: cycle, time, instret, mcycle, minstret.
const COUNTERS: [i32; 5] = [0xc00, 0xc01, 0xc02, 0xb00, 0xb02];

insns! {
    mret(Empty) = trap_return(Helper::mret);
    sret(Empty) = trap_return(Helper::sret);
    wfi(Empty) = stop(Helper::wfi);
    [Zawrs] wrs_nto(Empty) = stop(Helper::wrs_nto);
    [Zawrs] wrs_sto(Empty) = stop(Helper::wrs_sto);
    sfence_vma(Sfence) = fence_translation();
    [Svinval] sinval_vma(Sfence) = fence_translation();
    [Svinval] sfence_w_inval(Empty) = supervisor_nothing();
    [Svinval] sfence_inval_ir(Empty) = supervisor_nothing();
    [Zicbom] cbo_inval(Cbo) = cache_block(Helper::cbo_inval);
    [Zicbom] cbo_clean(Cbo) = cache_block(Helper::cbo_clean);
    [Zicbom] cbo_flush(Cbo) = cache_block(Helper::cbo_flush);
    [Zicboz] cbo_zero(Cbo) = cache_block(Helper::cbo_zero);
    [Zicsr] csrrw(Csr) = write_csr();
    [Zicsr] csrrs(Csr) = set_csr();
    [Zicsr] csrrc(Csr) = clear_csr();
    [Zicsr] csrrwi(Csri) = write_csr_imm();
    [Zicsr] csrrsi(Csri) = set_csr_imm();
    [Zicsr] csrrci(Csri) = clear_csr_imm();
}

/// What a CSR instruction does with the bits of its operand.
enum Change {
    Write,
    Set,
    Clear,
}

impl Translator<'_, '_> {
    /// The helper sets the pc, and requests an exit if an interrupt is due in the new mode.
    fn trap_return(&mut self, _: &Empty, helper: Helper) -> bool {
        self.call_void(helper, &[]);
        self.goto_pc();
        true
    }

    fn stop(&mut self, _: &Empty, helper: Helper) -> bool {
        self.call_void(helper, &[]);
        self.exit_to_next();
        true
    }

    fn fence_translation(&mut self, a: &Sfence) -> bool {
        let which = u64::from(!a.rs1.is_zero()) | u64::from(!a.rs2.is_zero()) << 1;
        let (addr, asid, which) = (self.x(a.rs1), self.x(a.rs2), self.constant(which));
        self.call_void(Helper::sfence_vma, &[addr, asid, which]);
        self.exit_to_next();
        true
    }

    /// `sinval.vma` does all at once, so the fences around it have nothing left to do.
    fn supervisor_nothing(&mut self, _: &Empty) -> bool {
        self.privilege() != 0
    }

    fn cache_block(&mut self, a: &Cbo, helper: Helper) -> bool {
        let addr = self.x(a.rs1);
        self.call_void(helper, &[addr]);
        true
    }

    fn read_csr(&mut self, rd: Reg, csr: i32) -> bool {
        let (number, value) = (self.constant(csr as u64), self.temp());
        self.call(Helper::csr_read, value, &[number]);
        let d = self.x_dest(rd);
        self.mov(d, value);
        if self.context.icount && COUNTERS.contains(&csr) {
            self.end = TranslateEnd::TooMany;
        }
        true
    }

    fn after_write(&mut self, csr: i32) -> bool {
        if STATUS_CSRS.contains(&csr) {
            self.goto_next_anew();
        } else if !PLAIN_CSRS.contains(&csr) {
            self.exit_to_next();
        }
        true
    }

    /// An instruction that writes; without a destination a write does not read.
    fn change_csr(&mut self, rd: Reg, csr: i32, bits: tcg::ir::Temp, change: Change) -> bool {
        let number = self.constant(csr as u64);
        let (value, mask) = match change {
            Change::Write if rd.is_zero() => {
                self.call_void(Helper::csr_write, &[number, bits]);
                return self.after_write(csr);
            }
            Change::Write => (bits, self.constant(!0)),
            Change::Set => (bits, bits),
            Change::Clear => (self.constant(0), bits),
        };
        let old = self.temp();
        self.call(Helper::csr_read_write, old, &[number, value, mask]);
        let d = self.x_dest(rd);
        self.mov(d, old);
        self.after_write(csr)
    }

    fn write_csr(&mut self, a: &Csr) -> bool {
        let bits = self.x(a.rs1);
        self.change_csr(a.rd, a.csr, bits, Change::Write)
    }

    fn set_csr(&mut self, a: &Csr) -> bool {
        if a.rs1.is_zero() {
            return self.read_csr(a.rd, a.csr);
        }
        let bits = self.x(a.rs1);
        self.change_csr(a.rd, a.csr, bits, Change::Set)
    }

    fn clear_csr(&mut self, a: &Csr) -> bool {
        if a.rs1.is_zero() {
            return self.read_csr(a.rd, a.csr);
        }
        let bits = self.x(a.rs1);
        self.change_csr(a.rd, a.csr, bits, Change::Clear)
    }

    fn write_csr_imm(&mut self, a: &Csri) -> bool {
        let bits = self.constant(a.uimm as u64);
        self.change_csr(a.rd, a.csr, bits, Change::Write)
    }

    fn set_csr_imm(&mut self, a: &Csri) -> bool {
        if a.uimm == 0 {
            return self.read_csr(a.rd, a.csr);
        }
        let bits = self.constant(a.uimm as u64);
        self.change_csr(a.rd, a.csr, bits, Change::Set)
    }

    fn clear_csr_imm(&mut self, a: &Csri) -> bool {
        if a.uimm == 0 {
            return self.read_csr(a.rd, a.csr);
        }
        let bits = self.constant(a.uimm as u64);
        self.change_csr(a.rd, a.csr, bits, Change::Clear)
    }
}
