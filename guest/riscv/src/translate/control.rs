//! Ends of blocks: jumps, exceptions, and returns to the execution loop.

use accel_tcg::TranslateEnd;
use tcg::builder::global;
use tcg::ir::{OpVisitor, TbExit, Temp, Type};

use super::Translator;
use crate::cpu::{slot, tb_flags};
use crate::helpers::Helper;
use crate::isa::Ext;
use crate::trap::Cause;

impl Translator<'_, '_> {
    /// Address of the next instruction.
    pub(super) fn next_pc(&self) -> u64 {
        self.context.pc.wrapping_add(self.length)
    }

    pub(super) fn set_pc(&mut self, pc: Temp) {
        self.mov(global(slot::PC as u16), pc);
    }

    fn set_pc_const(&mut self, pc: u64) {
        let pc = self.constant(pc);
        self.set_pc(pc);
    }

    /// Goes to a known address, by a link if that may be.
    pub(super) fn goto(&mut self, dest: u64, slot: u8) {
        self.end = TranslateEnd::NoReturn;
        if (self.context.may_chain)(self.context.pc_first, dest) {
            self.b().goto_tb(Type::I64, slot);
            self.set_pc_const(dest);
            self.b().exit_tb(Type::I64, TbExit::Slot(slot));
        } else {
            self.set_pc_const(dest);
            self.b().goto_ptr(Type::I64);
        }
    }

    /// Goes to a computed address.
    pub(super) fn goto_computed(&mut self, dest: Temp) {
        self.set_pc(dest);
        self.goto_pc();
    }

    /// Goes to where the pc points, in the state (mode, flags) that now is. Requests to leave are
    /// seen there, so this will do after changes that may unmask an interrupt and request it.
    pub(super) fn goto_pc(&mut self) {
        self.b().goto_ptr(Type::I64);
        self.end = TranslateEnd::NoReturn;
    }

    /// On with the next instruction, translated for the state that now is.
    pub(super) fn goto_next_anew(&mut self) {
        let next = self.next_pc();
        self.set_pc_const(next);
        self.goto_pc();
    }

    /// Back to the execution loop, which goes on at whatever the pc is.
    pub(super) fn exit_to_loop(&mut self) {
        self.b().exit_tb(Type::I64, TbExit::Main);
        self.end = TranslateEnd::NoReturn;
    }

    /// Back to the execution loop, then on with the next instruction.
    pub(super) fn exit_to_next(&mut self) {
        let next = self.next_pc();
        self.set_pc_const(next);
        self.exit_to_loop();
    }

    pub(super) fn raise(&mut self, cause: Cause, tval: Temp) {
        let cause = self.constant(cause as u64);
        self.call_void(Helper::raise_exception, &[cause, tval]);
        self.b().exit_tb(Type::I64, TbExit::Exception);
        self.end = TranslateEnd::NoReturn;
    }

    pub(super) fn raise_illegal(&mut self) {
        let bits = self.constant(self.insn.into());
        self.raise(Cause::IllegalInstruction, bits);
    }

    /// A jump to `dest` faults: instructions are 4 bytes, and it is not a multiple of that.
    pub(super) fn misaligns(&self, dest: u64) -> bool {
        dest & 2 != 0 && !self.has(Ext::Zca)
    }

    /// Faults at run time if `dest` (whose bit 0 is clear) is misaligned.
    pub(super) fn check_alignment(&mut self, dest: Temp) {
        if self.has(Ext::Zca) {
            return;
        }
        let end = self.end;
        let two = self.constant(2);
        let fine = self.b().new_label();
        self.b()
            .brcond(Type::I64, dest, two, tcg::ir::Cond::TstEq, fine);
        self.raise(Cause::InstructionMisaligned, dest);
        self.b().set_label(Type::I64, fine);
        self.end = end;
    }

    /// The privilege mode, by its encoding.
    pub(super) fn privilege(&self) -> u32 {
        self.context.tb_flags >> tb_flags::PRIVILEGE_SHIFT & 3
    }
}
