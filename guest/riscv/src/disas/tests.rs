//! Compares with objdump's text, which `guest/riscv/tests/make-disas.py` made.

use super::disassemble;

/// Runs of blanks become one.
fn squeeze(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn objdump_says_the_same() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in include_str!("../../tests/disas.txt").lines() {
        let mut words = line.splitn(3, ' ');
        let mut word = || words.next().expect("address, encoding, text");
        let (address, encoding, expected) = (word(), word(), word());
        let pc = u64::from_str_radix(address, 16).expect("hexadecimal");
        let insn = u64::from_str_radix(encoding, 16).expect("hexadecimal");
        let found = squeeze(&disassemble(pc, insn, encoding.len() / 2));
        if found != expected {
            wrong.push(format!("{line}\n  not: {found}"));
        }
        count += 1;
    }
    assert!(
        wrong.is_empty(),
        "{} of {count}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(count > 3000);
}

#[test]
fn columns_and_garbage() {
    let check = |insn, length, expected| assert_eq!(disassemble(0x1000, insn, length), expected);
    check(0x00c5_8533, 4, "add             a0,a1,a2");
    check(0x0000_0073, 4, "ecall");
    check(0xfe20_9ee3, 4, "bne             ra,sp,0xffc");
    check(0x1810_0073, 4, "sfence.inval.ir");
    check(0x3050_10f3, 4, "csrrw           ra,mtvec,zero");
    check(0x3b61_1073, 4, "csrw            pmpaddr6,sp");
    check(0xb050_2573, 4, "csrr            a0,mhpmcounter5");
    check(0x0000, 2, "unimp");
    check(0x8002, 2, ".insn           2, 0x8002");
    check(0xffff_ffff, 4, ".insn           4, 0xffffffff");
    check(0xfff7_ffff_ffff, 4, ".insn           4, 0xffffffff");
}
