//! Integer instructions, evaluated op by op; and what must hold for the IR of every instruction.

mod eval;
mod invariants;

use accel_tcg::{GuestCpu, TranslateContext, TranslateEnd};
use tcg::builder::{Builder, Function};
use tcg::ir::{OpVisitor, Type};

use crate::RiscvCpu;
use crate::cpu::tb_flags;
use crate::decode::{INSN16_PATTERNS, INSN32_PATTERNS, Pattern};
use crate::isa::Isa;
use eval::Machine;

/// Address of the instructions under test.
const PC: u64 = 0x8000_1000;
/// U-mode, floating point on and dirty, rounding to nearest even.
const FLAGS: u32 = tb_flags::FS_ON | tb_flags::FS_DIRTY;

fn max() -> Isa {
    Isa::model("max").expect("a model")
}

/// IR of one instruction, with the block's end as the accelerator would make it.
fn ir(isa: &Isa, tb_flags: u32, insn: u32, length: usize) -> (Function, TranslateEnd) {
    let mut builder = Builder::new(<RiscvCpu as GuestCpu>::globals());
    builder.insn_start(Type::I64, PC, 0);
    let mut context = TranslateContext {
        builder: &mut builder,
        pc_first: PC,
        pc: PC,
        tb_flags,
        may_chain: |first, dest| first >> 12 == dest >> 12,
        icount: false,
    };
    let end = super::translate(isa, &mut context, insn.into(), length);
    (builder.function, end)
}

fn pattern(name: &str) -> &'static Pattern {
    let all = INSN32_PATTERNS.iter().chain(INSN16_PATTERNS);
    let mut found = all.filter(|p| p.name == name);
    found.next().unwrap_or_else(|| panic!("no row {name}"))
}

/// `name` with rd = x12, rs1 = x10, and `rs2` where it is not fixed.
fn encode(name: &str, rs2: u32) -> u32 {
    let p = pattern(name);
    let insn = (12 << 7 | 10 << 15 | rs2 << 20) & !p.mask | p.bits;
    if insn & 3 == 3 { insn } else { insn & 0xffff }
}

/// Runs an instruction with x10 = a, x11 = b, x12 = c; the machine afterwards.
fn run(insn: u32, length: usize, [a, b, c]: [u64; 3]) -> Machine {
    let (function, end) = ir(&max(), FLAGS, insn, length);
    let mut machine = Machine::new(&function);
    machine.set_x(10, a);
    machine.set_x(11, b);
    machine.set_x(12, c);
    machine.run(&function);
    assert_eq!(machine.left, end == TranslateEnd::NoReturn, "{insn:#x}");
    machine
}

/// Values at the borders of words and doublewords, and some without any pattern.
const VALUES: [u64; 15] = [
    0,
    1,
    2,
    31,
    63,
    0x7f,
    0x80,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    0xffff_ffff_8000_0000,
    0xffff_ffff_ffff_ffff,
    0x0123_4567_89ab_cdef,
];

/// `name rd, rs1, rs2` computes `expected(rs1, rs2)`.
fn check2(name: &str, expected: impl Fn(u64, u64) -> u64) {
    for a in VALUES {
        for b in VALUES {
            let found = run(encode(name, 11), 4, [a, b, 0x55]).x(12);
            assert_eq!(found, expected(a, b), "{name} {a:#x} {b:#x}");
        }
    }
}

/// `name rd, rs1, imm` for the immediates given, as fields of 12, 6 or 5 bits.
fn check_imm(name: &str, imms: &[i32], expected: impl Fn(u64, i64) -> u64) {
    for a in VALUES {
        for &imm in imms {
            let insn = encode(name, 0) | (imm as u32 & 0xfff) << 20;
            let found = run(insn, 4, [a, 0, 0]).x(12);
            assert_eq!(found, expected(a, imm.into()), "{name} {a:#x} {imm}");
        }
    }
}

/// `name rd, rs1`
fn check1(name: &str, expected: impl Fn(u64) -> u64) {
    for a in VALUES {
        assert_eq!(
            run(encode(name, 0), 4, [a, 0, 0]).x(12),
            expected(a),
            "{name} {a:#x}"
        );
    }
}

/// Sign-extends a word.
fn w(value: u64) -> u64 {
    value as i32 as u64
}

#[test]
fn base() {
    check2("add", |a, b| a.wrapping_add(b));
    check2("sub", |a, b| a.wrapping_sub(b));
    check2("sll", |a, b| a << (b & 63));
    check2("slt", |a, b| u64::from((a as i64) < b as i64));
    check2("sltu", |a, b| u64::from(a < b));
    check2("xor", |a, b| a ^ b);
    check2("srl", |a, b| a >> (b & 63));
    check2("sra", |a, b| (a as i64 >> (b & 63)) as u64);
    check2("or", |a, b| a | b);
    check2("and", |a, b| a & b);
    check2("addw", |a, b| w(a.wrapping_add(b)));
    check2("subw", |a, b| w(a.wrapping_sub(b)));
    check2("sllw", |a, b| w(u64::from((a as u32) << (b & 31))));
    check2("srlw", |a, b| w(u64::from(a as u32 >> (b & 31))));
    check2("sraw", |a, b| (a as i32 >> (b & 31)) as u64);
}

#[test]
fn base_immediates() {
    let imms = [0, 1, -1, 255, 2047, -2048];
    check_imm("addi", &imms, |a, i| a.wrapping_add(i as u64));
    check_imm("slti", &imms, |a, i| u64::from((a as i64) < i));
    check_imm("sltiu", &imms, |a, i| u64::from(a < i as u64));
    check_imm("xori", &imms, |a, i| a ^ i as u64);
    check_imm("ori", &imms, |a, i| a | i as u64);
    check_imm("andi", &imms, |a, i| a & i as u64);
    check_imm("addiw", &imms, |a, i| w(a.wrapping_add(i as u64)));
    let counts = [0, 1, 31, 32, 63];
    check_imm("slli", &counts, |a, i| a << i);
    check_imm("srli", &counts, |a, i| a >> i);
    check_imm("srai", &counts, |a, i| (a as i64 >> i) as u64);
    let counts = [0, 1, 16, 31];
    check_imm("slliw", &counts, |a, i| w(a << i));
    check_imm("srliw", &counts, |a, i| w(u64::from(a as u32 >> i)));
    check_imm("sraiw", &counts, |a, i| (a as i32 >> i) as u64);
}

#[test]
fn multiplication_and_division() {
    let wide = |a: i128, b: i128| (a.wrapping_mul(b) >> 64) as u64;
    check2("mul", |a, b| a.wrapping_mul(b));
    check2("mulh", |a, b| wide((a as i64).into(), (b as i64).into()));
    check2("mulhsu", |a, b| wide((a as i64).into(), b.into()));
    check2("mulhu", |a, b| {
        ((u128::from(a) * u128::from(b)) >> 64) as u64
    });
    check2("div", |a, b| match b {
        0 => !0,
        _ => (a as i64).wrapping_div(b as i64) as u64,
    });
    check2("divu", |a, b| a.checked_div(b).unwrap_or(!0));
    check2("rem", |a, b| match b {
        0 => a,
        _ => (a as i64).wrapping_rem(b as i64) as u64,
    });
    check2("remu", |a, b| a.checked_rem(b).unwrap_or(a));
    check2("mulw", |a, b| w(a.wrapping_mul(b)));
    check2("divw", |a, b| match b as i32 {
        0 => !0,
        b => (a as i32).wrapping_div(b) as u64,
    });
    check2("divuw", |a, b| {
        w((a as u32).checked_div(b as u32).unwrap_or(!0).into())
    });
    check2("remw", |a, b| match b as i32 {
        0 => w(a),
        b => (a as i32).wrapping_rem(b) as u64,
    });
    check2("remuw", |a, b| {
        w((a as u32).checked_rem(b as u32).unwrap_or(a as u32).into())
    });
}

#[test]
fn addresses_and_conditions() {
    for n in 1..4 {
        check2(&format!("sh{n}add"), |a, b| (a << n).wrapping_add(b));
        check2(&format!("sh{n}add_uw"), |a, b| {
            (u64::from(a as u32) << n).wrapping_add(b)
        });
    }
    check2("add_uw", |a, b| u64::from(a as u32).wrapping_add(b));
    check_imm("slli_uw", &[0, 1, 32, 63], |a, i| u64::from(a as u32) << i);
    check2("czero_eqz", |a, b| if b == 0 { 0 } else { a });
    check2("czero_nez", |a, b| if b != 0 { 0 } else { a });
    check2("mop_rr", |_, _| 0);
    check1("mop_r", |_| 0);
}

#[test]
fn bits_of_zbb() {
    check2("andn", |a, b| a & !b);
    check2("orn", |a, b| a | !b);
    check2("xnor", |a, b| !(a ^ b));
    check2("max", |a, b| (a as i64).max(b as i64) as u64);
    check2("maxu", |a, b| a.max(b));
    check2("min", |a, b| (a as i64).min(b as i64) as u64);
    check2("minu", |a, b| a.min(b));
    check2("rol", |a, b| a.rotate_left(b as u32 & 63));
    check2("ror", |a, b| a.rotate_right(b as u32 & 63));
    check2("rolw", |a, b| {
        w((a as u32).rotate_left(b as u32 & 31).into())
    });
    check2("rorw", |a, b| {
        w((a as u32).rotate_right(b as u32 & 31).into())
    });
    check_imm("rori", &[0, 1, 32, 63], |a, i| a.rotate_right(i as u32));
    check_imm("roriw", &[0, 1, 31], |a, i| {
        w((a as u32).rotate_right(i as u32).into())
    });
    check1("clz", |a| a.leading_zeros().into());
    check1("ctz", |a| a.trailing_zeros().into());
    check1("cpop", |a| a.count_ones().into());
    check1("clzw", |a| (a as u32).leading_zeros().into());
    check1("ctzw", |a| (a as u32).trailing_zeros().into());
    check1("cpopw", |a| (a as u32).count_ones().into());
    check1("sext_b", |a| a as i8 as u64);
    check1("sext_h", |a| a as i16 as u64);
    check1("zext_h", |a| a & 0xffff);
    check1("rev8", u64::swap_bytes);
    let spread = |byte: u8| if byte == 0 { 0 } else { 0xff };
    check1("orc_b", |a| u64::from_le_bytes(a.to_le_bytes().map(spread)));
}

#[test]
fn bits_of_zbs_and_zbkb() {
    check2("bclr", |a, b| a & !(1 << (b & 63)));
    check2("bext", |a, b| a >> (b & 63) & 1);
    check2("binv", |a, b| a ^ 1 << (b & 63));
    check2("bset", |a, b| a | 1 << (b & 63));
    let places = [0, 5, 31, 32, 63];
    check_imm("bclri", &places, |a, i| a & !(1 << i));
    check_imm("bexti", &places, |a, i| a >> i & 1);
    check_imm("binvi", &places, |a, i| a ^ 1 << i);
    check_imm("bseti", &places, |a, i| a | 1 << i);
    check2("pack", |a, b| a & 0xffff_ffff | b << 32);
    check2("packh", |a, b| a & 0xff | (b & 0xff) << 8);
    check2("packw", |a, b| w(a & 0xffff | (b & 0xffff) << 16));
}

/// Whether the block went to `PC + 8` instead of `PC + 4`.
fn check_branch(name: &str, expected: impl Fn(u64, u64) -> bool) {
    for a in VALUES {
        for b in VALUES {
            // Bit 10 is imm[3].
            let insn = pattern(name).bits | 1 << 10 | 10 << 15 | 11 << 20;
            let pc = run(insn, 4, [a, b, 0]).pc();
            let dest = if expected(a, b) { PC + 8 } else { PC + 4 };
            assert_eq!(pc, dest, "{name} {a:#x} {b:#x}");
        }
    }
}

#[test]
fn branches() {
    check_branch("beq", |a, b| a == b);
    check_branch("bne", |a, b| a != b);
    check_branch("blt", |a, b| (a as i64) < b as i64);
    check_branch("bge", |a, b| a as i64 >= b as i64);
    check_branch("bltu", |a, b| a < b);
    check_branch("bgeu", |a, b| a >= b);
}

#[test]
fn jumps() {
    // jal x12, -4
    let machine = run(0xffdf_f66f, 4, [0, 0, 0]);
    assert_eq!((machine.pc(), machine.x(12)), (PC - 4, PC + 4));
    // jalr x10, 3(x10): bit 0 is cleared, and the link written after the base is read
    let machine = run(0x0035_0567, 4, [0x1000, 0, 0]);
    assert_eq!((machine.pc(), machine.x(10)), (0x1002, PC + 4));
    // c.jalr x10
    let machine = run(0x9502, 2, [0x2001, 0, 0]);
    assert_eq!((machine.pc(), machine.x(1)), (0x2000, PC + 2));
    // auipc x12, 0xfffff; lui x12, 0x80000
    assert_eq!(run(0xffff_f617, 4, [0, 0, 0]).x(12), PC - 0x1000);
    assert_eq!(run(0x8000_0637, 4, [0, 0, 0]).x(12), 0xffff_ffff_8000_0000);
}

#[test]
fn lengths() {
    let check = |bytes: &[u8], expected| assert_eq!(super::insn_length(bytes), expected);
    check(&[], None);
    check(&[0x01], None);
    check(&[0x01, 0x00], Some(2));
    check(&[0x13, 0x00], None);
    check(&[0x13, 0x00, 0x00], None);
    check(&[0x13, 0x00, 0x00, 0x00, 0xff], Some(4));
    check(&[0xff; 8], Some(4));
}
