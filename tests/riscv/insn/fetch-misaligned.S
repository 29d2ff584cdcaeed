// Without C, jumps to 2 mod 4 trap at the jump, before anything is linked.
//: cpu max,c=off,zca=off,zcb=off,zcd=off,zcmop=off
#include "test.h"

    .macro jump_traps reg, insn:vararg
    la s7, 8f
7:  \insn
    j fail
8:  is s8, CAUSE_FETCH_MISALIGNED
    mv t5, s9
    mv t6, \reg
    jal ra, check
    mv t5, s10
    la t6, 7b
    jal ra, check
    .endm

START
    csrr a0, misa
    andi a0, a0, 4
    IS(a0, 0)
    la a1, 1f + 2
    li a0, 77
    CASE
    jump_traps a1, jalr a0, 0(a1)
    IS(a0, 77)
    CASE
    jump_traps a1, jalr a0, 1(a1)
    IS(a0, 77)
    CASE
    jump_traps a1, jal a0, 1f + 2
    IS(a0, 77)
    CASE
    jump_traps a1, beq x0, x0, 1f + 2
    // a branch that is not taken does not trap
    CASE
    bne x0, x0, 1f + 2
    // compressed code is illegal, epc has two low zero bits
    CASE
    la s7, 2f
1:  .half 0x0001, 0x0001
    j fail
2:  is s8, CAUSE_ILLEGAL
    li a0, -1
    csrw mepc, a0
    csrr a0, mepc
    andi a0, a0, 3
    IS(a0, 0)
    la a0, 3f + 2
    csrw mepc, a0
    csrr a0, mepc
    la a1, 3f
    SAME(a0, a1)
3:  PASS
