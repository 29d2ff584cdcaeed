//! What must hold for the IR of any instruction, and how instructions are refused.

use accel_tcg::TranslateEnd;
use accel_tcg::guest::HelperFn;
use tcg::builder::{Function, NO_TEMP};
use tcg::ir::{HelperFlags, Op, OpFlags, OpKind, TbExit, TempKind};

use super::{FLAGS, PC, encode, ir, max};
use crate::cpu::{slot, tb_flags};
use crate::decode::{INSN16_PATTERNS, INSN32_PATTERNS, Pattern, decode};
use crate::helpers::{self, Helper};
use crate::isa::{Ext, Isa};

/// xorshift64*
struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as u32
    }
}

/// Calls `f` with random encodings of every row: row, instruction, length.
fn for_all(mut f: impl FnMut(&Pattern, u32, usize)) {
    let mut random = Random(1);
    for (patterns, length) in [(INSN32_PATTERNS, 4), (INSN16_PATTERNS, 2)] {
        for pattern in patterns {
            for _ in 0..40 {
                let fill = random.next() >> (32 - 8 * length);
                f(pattern, fill & !pattern.mask | pattern.bits, length);
            }
        }
    }
}

/// The op may leave the block with a trap of the instruction itself.
fn may_trap(op: &Op) -> bool {
    let raises = |helper: tcg::ir::HelperId| {
        helpers::table()[usize::from(helper.0)]
            .flags
            .has(HelperFlags::MAY_RAISE)
    };
    match op.kind {
        OpKind::Call { helper, .. } => raises(helper),
        kind => kind.flags().has(OpFlags::MAY_FAULT),
    }
}

/// Guest registers that `op` writes.
fn registers_written(mut op: Op) -> Vec<usize> {
    let mut written = Vec::new();
    op.kind.outputs(|d| {
        if usize::from(d.0) < slot::PC {
            written.push(d.0.into());
        }
    });
    written
}

#[test]
fn traps_come_before_writes() {
    for_all(|pattern, insn, length| {
        let (function, _) = ir(&max(), FLAGS, insn, length);
        let last_trap = function.ops.iter().rposition(may_trap).unwrap_or(0);
        for op in &function.ops[..last_trap] {
            let written = registers_written(*op);
            assert!(
                written.is_empty(),
                "{} {insn:#x}: {function:?}",
                pattern.name
            );
        }
        for op in &function.ops {
            assert!(
                !registers_written(*op).contains(&slot::X0),
                "{} {insn:#x}",
                pattern.name
            );
        }
    });
}

#[test]
fn blocks_end_as_they_say() {
    for_all(|pattern, insn, length| {
        let (function, end) = ir(&max(), FLAGS, insn, length);
        let last = function.ops.last().expect("insn_start at least");
        let ends = last.kind.flags().has(OpFlags::BB_END);
        assert_eq!(
            ends,
            end == TranslateEnd::NoReturn,
            "{} {insn:#x}",
            pattern.name
        );
        match function.ops[0].kind {
            OpKind::InsnStart { pc, extra } => assert_eq!((pc, extra), (PC, insn.into())),
            other => panic!("{other:?}"),
        }
        check_labels(&function);
        check_definitions(&function);
    });
}

fn check_labels(function: &Function) {
    for label in (0..function.labels).map(tcg::ir::Label) {
        let set = |op: &&Op| op.kind == OpKind::SetLabel { label };
        assert_eq!(function.ops.iter().filter(set).count(), 1, "{function:?}");
    }
}

/// Locals are written somewhere before they are read, and calls have their arguments.
fn check_definitions(function: &Function) {
    let mut defined = vec![false; function.temps.len()];
    for op in &function.ops {
        let mut kind = op.kind;
        let mut inputs = 0;
        kind.inputs(|temp| {
            let index = usize::from(temp.0);
            let local = function.temps[index].kind == TempKind::Local;
            assert!(!local || defined[index], "{temp:?} in {op:?}");
            inputs += 1;
        });
        kind.outputs(|temp| defined[usize::from(temp.0)] = true);
        if let OpKind::Call { helper, .. } = op.kind {
            let row = &helpers::table()[usize::from(helper.0)];
            let nargs = match row.function {
                HelperFn::F0(_) => 0,
                HelperFn::F1(_) => 1,
                HelperFn::F2(_) => 2,
                HelperFn::F3(_) => 3,
                HelperFn::F4(_) => 4,
            };
            assert_eq!(inputs, nargs, "{}", row.name);
        }
    }
}

/// Records which method took an instruction.
#[derive(Default)]
struct Recorder(&'static str);

macro_rules! implement_decode {
    ($($name:ident $method:ident $set:ident;)*) => {
        impl crate::decode::Decode for Recorder {
            $(fn $method(&mut self, _: &crate::decode::$set) -> bool {
                self.0 = stringify!($name);
                true
            })*
        }
    };
}
crate::decode::for_each_insn!(implement_decode);

#[test]
fn decoder_takes_the_first_row_that_fits() {
    let mut random = Random(2);
    for _ in 0..200_000 {
        let insn = random.next();
        for (patterns, length) in [(INSN32_PATTERNS, 4), (INSN16_PATTERNS, 2)] {
            let insn = insn >> (32 - 8 * length);
            let mut recorder = Recorder::default();
            decode(insn, length, &mut recorder);
            let first = patterns.iter().find(|p| insn & p.mask == p.bits);
            assert_eq!(recorder.0, first.map_or("", |p| p.name), "{insn:#x}");
        }
    }
    for_all(|pattern, insn, length| {
        let mut recorder = Recorder::default();
        assert!(
            decode(insn, length, &mut recorder),
            "{} {insn:#x}",
            pattern.name
        );
    });
}

/// The IR is nothing but an illegal-instruction trap.
fn is_illegal(isa: &Isa, flags: u32, insn: u32, length: usize) -> bool {
    let (function, end) = ir(isa, flags, insn, length);
    let raise = |op: &Op| match op.kind {
        OpKind::Call {
            helper, a0, a1, d, ..
        } => {
            let value = |temp: tcg::ir::Temp| function.temps[usize::from(temp.0)].kind;
            helper == Helper::raise_exception.id()
                && d == NO_TEMP
                && value(a0) == TempKind::Const(2)
                && value(a1) == TempKind::Const(insn.into())
        }
        _ => false,
    };
    let exit = OpKind::ExitTb {
        exit: TbExit::Exception,
    };
    let illegal = function.ops.get(1).is_some_and(raise);
    if illegal {
        assert_eq!((function.ops.len(), end), (3, TranslateEnd::NoReturn));
        assert_eq!(function.ops[2].kind, exit);
    }
    illegal
}

#[test]
fn extensions_switch_instructions() {
    let check = |name: &str, ext: Ext| {
        let (insn, mut isa) = (encode(name, 0), max());
        let length = if insn & 3 == 3 { 4 } else { 2 };
        assert!(!is_illegal(&isa, FLAGS, insn, length), "{name}");
        isa.extensions.set(ext, false);
        assert!(
            is_illegal(&isa, FLAGS, insn, length),
            "{name} without {ext:?}"
        );
    };
    check("mul", Ext::M);
    check("amoadd_w", Ext::Zaamo);
    check("lr_d", Ext::Zalrsc);
    check("amoadd_b", Ext::Zabha);
    check("amocas_d", Ext::Zacas);
    check("amocas_q", Ext::Zacas);
    check("amocas_h", Ext::Zabha);
    check("fadd_s", Ext::F);
    check("fadd_d", Ext::D);
    check("fcvt_d_h", Ext::D);
    check("flh", Ext::Zfhmin);
    check("fadd_h", Ext::Zfh);
    check("fli_s", Ext::Zfa);
    check("csrrw", Ext::Zicsr);
    check("fence_i", Ext::Zifencei);
    check("sh1add", Ext::Zba);
    check("clz", Ext::Zbb);
    check("clmul", Ext::Zbc);
    check("bset", Ext::Zbs);
    check("brev8", Ext::Zbkb);
    check("czero_eqz", Ext::Zicond);
    check("cbo_clean", Ext::Zicbom);
    check("cbo_zero", Ext::Zicboz);
    check("wrs_nto", Ext::Zawrs);
    check("sinval_vma", Ext::Svinval);
    check("mop_r", Ext::Zimop);
    check("c_mul", Ext::Zcb);
    check("c_mul", Ext::M);
    check("c_not", Ext::Zca);
    check("c_mop", Ext::Zcmop);
}

#[test]
fn refusals() {
    let check = |insn: u32, length: usize, flags: u32, expected: bool| {
        assert_eq!(
            is_illegal(&max(), flags, insn, length),
            expected,
            "{insn:#x}"
        );
    };
    // c.unimp, reserved c.addiw x0, c.lwsp x0, c.jr x0, c.addi16sp 0
    for insn in [0x0000, 0x2001, 0x4002, 0x8002, 0x6101] {
        check(insn, 2, FLAGS, true);
    }
    // all ones, an unused opcode, slli with a count of 64 or more
    for insn in [0xffff_ffff, 0x0000_005b, 0x0405_1513 | 1 << 26] {
        check(insn, 4, FLAGS, true);
    }
    // fadd.s with static rounding modes 4, 5; dynamic with frm 4, 5
    check(0x00b5_4553, 4, FLAGS, false);
    check(0x00b5_5553, 4, FLAGS, true);
    check(0x00b5_7553, 4, FLAGS | 4 << tb_flags::FRM_SHIFT, false);
    check(0x00b5_7553, 4, FLAGS | 5 << tb_flags::FRM_SHIFT, true);
    // amocas.q with odd rd
    check(encode("amocas_q", 10) | 1 << 7, 4, FLAGS, true);
}

/// Floating point off: every instruction that touches an f register is illegal.
#[test]
fn floating_point_off() {
    for_all(|pattern, insn, length| {
        let float = pattern.name.starts_with('f') && !pattern.name.starts_with("fence");
        let on = is_illegal(&max(), FLAGS, insn, length);
        let off = is_illegal(&max(), 0, insn, length);
        assert_eq!(off, on || float, "{} {insn:#x}", pattern.name);
    });
}

/// A write of floating-point state with FS clean marks it dirty; with FS dirty, nothing does.
#[test]
fn floating_point_dirties() {
    let check = |name: &str, marks: bool| {
        let is_mark = |op: &Op| match op.kind {
            OpKind::Call { helper, .. } => helper == Helper::mark_fs_dirty.id(),
            _ => false,
        };
        let count = |flags: u32| {
            let (function, _) = ir(&max(), flags, encode(name, 11), 4);
            function.ops.iter().filter(|op| is_mark(op)).count()
        };
        assert_eq!(count(tb_flags::FS_ON), usize::from(marks), "{name}");
        assert_eq!(count(FLAGS), 0, "{name}");
    };
    check("flw", true);
    check("fadd_d", true);
    check("fmv_d_x", true);
    check("fsgnj_s", true);
    check("fli_d", true);
    check("fsw", false);
    check("fmv_x_w", false);
    check("fclass_d", false);
    check("feq_s", false); // flags mark it when they change
    check("add", false);
}

/// Without C, jumps to addresses that are not multiples of 4 trap.
#[test]
fn misaligned_jumps() {
    let mut isa = max();
    isa.extensions.set(Ext::Zca, false);
    let raises = |isa: &Isa, insn: u32| {
        let (function, _) = ir(isa, FLAGS, insn, 4);
        let raise = |op: &&Op| match op.kind {
            OpKind::Call { helper, .. } => helper == Helper::raise_exception.id(),
            _ => false,
        };
        function.ops.iter().filter(raise).count()
    };
    let (jal_6, jal_8, jalr, beq_6) = (0x0060_006f, 0x0080_006f, 0x0005_0067, 0x0000_0363);
    assert_eq!(
        [jal_6, jal_8, jalr, beq_6].map(|i| raises(&isa, i)),
        [1, 0, 1, 1]
    );
    assert_eq!(
        [jal_6, jal_8, jalr, beq_6].map(|i| raises(&max(), i)),
        [0, 0, 0, 0]
    );
}
