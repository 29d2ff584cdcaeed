// Shapes of hot control flow: nested and irreducible loops, jump tables, long blocks, exits in the
// middle, many short branches.
#include "hot.h"

START
    // three loops in each other
    li s0, 0
    li s1, 0
1:  li s2, 0
2:  li s3, 0
3:  add s1, s1, s3
    addi s3, s3, 1
    li a0, 50
    bne s3, a0, 3b
    add s1, s1, s2
    addi s2, s2, 1
    li a0, 40
    bne s2, a0, 2b
    add s1, s1, s0
    addi s0, s0, 1
    li a0, 60
    bne s0, a0, 1b
    IS(s1, 60 * 40 * 1225 + 60 * 780 + 1770)

    // breaks and continues to each of them
    li s0, 0
    li s1, 0
1:  addi s0, s0, 1
    li a0, 301
    beq s0, a0, 9f
    li s2, 0
2:  addi s2, s2, 1
    li s3, 0
3:  addi s3, s3, 1
    add s1, s1, s3
    and a0, s3, s0
    andi a0, a0, 7
    li a1, 5
    beq a0, a1, 2b                      // continue the middle one
    xor a0, s3, s2
    andi a0, a0, 63
    li a1, 40
    beq a0, a1, 1b                      // the outer one
    li a0, 60
    bne s3, a0, 3b
    li a0, 30
    bltu s2, a0, 2b
    j 1b
9:  IS(s1, 239060)

    // a loop with two entries, by turns, each several times over
    li s0, 0
    li s1, 0
    li s2, 0
1:  andi a1, s0, 7
    addi a1, a1, 2
    andi a0, s0, 1
    bnez a0, 3f
2:  addi s1, s1, 3
    addi a1, a1, -1
    beqz a1, 4f
3:  addi s2, s2, 5
    addi a1, a1, -1
    bnez a1, 2b
4:  addi s0, s0, 1
    li a0, 20000
    bne s0, a0, 1b
    IS(s1, 150000)
    IS(s2, 300000)

    // three blocks that all lead to each other, by a pseudo-random number
    li s0, 60000
    li s1, 0
    li s2, 1
    li s4, 1103515245
    .macro step                         // a0 = 0 to 3
    mulw s2, s2, s4
    li a0, 12345
    addw s2, s2, a0
    srliw a0, s2, 20
    andi a0, a0, 3
    addi s0, s0, -1
    beqz s0, 5f
    .endm
1:  addi s1, s1, 1
    step
    beqz a0, 2f
    addi a0, a0, -1
    beqz a0, 3f
    j 1b
2:  slli a1, s1, 1
    srli a2, s1, 63
    or s1, a1, a2
    step
    beqz a0, 3f
    addi a0, a0, -1
    beqz a0, 1b
    j 2b
3:  xori s1, s1, 0x155
    step
    beqz a0, 1b
    addi a0, a0, -1
    beqz a0, 2b
    j 3b
5:  li a0, 0
    li a1, 0x3d30bfecadbd60d5
    CASE
    SAME(s1, a1)

    // a jump table in a loop, whose arms fall into each other
    li s0, 0
    li s1, 0
    li s2, 7
    la s3, arms
1:  mulw s2, s2, s4
    li a0, 12345
    addw s2, s2, a0
    srliw a0, s2, 17
    andi a0, a0, 15
    slli a0, a0, 3
    add a0, a0, s3
    ld a0, 0(a0)
    jr a0
arm0:
    addi s1, s1, 1
arm1:
    addi s1, s1, 2
    j 2f
arm2:
    slli a0, s1, 3
    xor s1, s1, a0
arm3:
    addi s1, s1, 4
    beqz s1, 2f
arm4:
    addi s1, s1, 8
    andi a0, s1, 16
    bnez a0, arm6
arm5:
    addi s1, s1, 16
    j 2f
arm6:
    xori s1, s1, -1
arm7:
    srli a0, s1, 7
    xor s1, s1, a0
2:  addi s0, s0, 1
    li a0, 60000
    bne s0, a0, 1b
    li a1, 0x4f654c66cf789bef
    SAME(s1, a1)

    // a long straight block
    li s0, 0
    .irp n, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25
    li x\n, \n
    .endr
1:
    .rept 40
    add x10, x10, x11
    xor x11, x11, x12
    slli x12, x12, 1
    sub x13, x13, x14
    srli x14, x10, 3
    or x15, x15, x16
    addi x16, x16, 77
    mul x17, x17, x10
    add x18, x18, x17
    sltu x19, x18, x17
    add x12, x12, x19
    addw x20, x20, x12
    sraiw x21, x20, 5
    xor x22, x22, x21
    mulhu x23, x22, x18
    add x24, x24, x23
    .endr
    addi s0, s0, 1
    li x25, 24000
    bne s0, x25, 1b
    li s1, 0
    .irp n, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24
    slli t0, s1, 5
    add s1, s1, t0
    xor s1, s1, x\n
    .endr
    li a1, 0x310ac54f0a9e8a5d
    SAME(s1, a1)

    // many short branches: 3 n + 1 until 1, for n up to 700
    li s0, 1
    li s1, 0
1:  mv a0, s0
2:  li a1, 1
    beq a0, a1, 4f
    addi s1, s1, 1
    andi a1, a0, 1
    bnez a1, 3f
    srli a0, a0, 1
    j 2b
3:  slli a1, a0, 1
    add a0, a0, a1
    addi a0, a0, 1
    j 2b
4:  addi s0, s0, 1
    li a1, 3001
    bne s0, a1, 1b
    IS(s1, 215063)

    // a sieve: the primes up to 30000, five times
    li s4, 5
5:  li s2, 0x80400000
    li a0, 30000
    mv a1, s2
1:  sb x0, 0(a1)
    addi a1, a1, 1
    addi a0, a0, -1
    bnez a0, 1b
    li s0, 2
    li s1, 0
    li s3, 30000
2:  add a0, s2, s0
    lbu a1, 0(a0)
    bnez a1, 4f
    addi s1, s1, 1
    slli a2, s0, 1
    li a3, 1
3:  bgeu a2, s3, 4f
    add a0, s2, a2
    sb a3, 0(a0)
    add a2, a2, s0
    j 3b
4:  addi s0, s0, 1
    bne s0, s3, 2b
    CASE
    li a0, 3245
    bne s1, a0, fail
    addi s4, s4, -1
    bnez s4, 5b

    // a bubble sort of 300 numbers, and a sum that depends on their order
    li s2, 0x80400000
    li s3, 300
    li a0, 0
    li a1, 99
    li s4, 1103515245
1:  mulw a1, a1, s4
    addiw a1, a1, 1234
    slli a2, a0, 2
    add a2, a2, s2
    sw a1, 0(a2)
    addi a0, a0, 1
    bne a0, s3, 1b
2:  li a0, 1
    li a5, 0
    addi a2, s2, 0
3:  lw a3, 0(a2)
    lw a4, 4(a2)
    ble a3, a4, 4f
    sw a4, 0(a2)
    sw a3, 4(a2)
    li a5, 1
4:  addi a2, a2, 4
    addi a0, a0, 1
    bne a0, s3, 3b
    bnez a5, 2b
    li a0, 1
    li s1, 0
    addi a2, s2, 0
    CASE
5:  lw a3, 0(a2)
    lw a4, 4(a2)
    bgt a3, a4, fail
    mul a4, a4, a0
    add s1, s1, a4
    addi a2, a2, 4
    addi a0, a0, 1
    bne a0, s3, 5b
    li a1, 0x1e352e0634f8
    SAME(s1, a1)
    PASS

    .balign 8
arms:
    .dword arm0, arm1, arm2, arm3, arm4, arm5, arm6, arm7
    .dword arm7, arm2, arm5, arm3, arm0, arm6, arm1, arm4
