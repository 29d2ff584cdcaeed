// -icount: each instruction of hot code counts, once: in loops, over calls, faults and interrupts;
// time follows.
//: args -icount shift=0
#include "hot.h"

#define ROUNDS 24000

START
    // a loop of n instructions between two readings
    .macro counts line, insns, body, more=0
    li gp, \line
    li s0, 0
    li s1, 0
    la s4, data
    rdinstret s2
    mv a5, s2
1:  rdinstret s3                        // n + 6 from here to there
    sub a0, s3, s2
    add s1, s1, a0
    mv s2, s3
    \body
    addi s0, s0, 1
    bne s0, s5, 1b
    sub a0, s3, a5
    SAME(a0, s1)
    // the first reading is two instructions in front of the loop
    li a1, (\insns + 6) * (ROUNDS - 1) + 2 + \more
    SAME(s1, a1)
    .endm
    li s5, ROUNDS
    counts __LINE__, 0, ""
    counts __LINE__, 3, "addi a1, a1, 1; xor a2, a2, a1; mul a3, a2, a1"
    counts __LINE__, 4, "ld a1, 0(s4); addi a1, a1, 1; sd a1, 0(s4); amoadd.d a2, a1, (s4)"
    counts __LINE__, 3, "jal ra, 7f; nop; 7: nop; nop"
    counts __LINE__, 5, "la t1, 7f; jr t1; nop; 7: nop; nop"
    counts __LINE__, 2, "fadd.d fa0, fa0, fa0; fmul.d fa0, fa0, fa0"
    counts __LINE__, 2, "csrw mscratch, a0; csrr a0, mstatus"
    // a loop inside: 1 + 3 * 10
    counts __LINE__, 31, "li a1, 10; 7: addi a1, a1, -1; addi a2, a2, 1; bnez a1, 7b"
    // either branch by turns: 2 + (2 or 4); on the average 5
    counts __LINE__, 5, "andi a1, s0, 1; bnez a1, 7f; nop; nop; j 8f; nop; 7: nop; 8: nop", 1

    // faults: an instruction that traps does not count; its handler's do
    hot_off
    li s0, 0
    li s1, 0
    la t0, trap
    csrw mtvec, t0
    CASE
1:  rdinstret s2
    addi a1, a1, 1
    .word 0xffffffff
    rdinstret s3
    sub a0, s3, s2
    add s1, s1, a0
    addi s0, s0, 1
    bne s0, s5, 1b
    la t0, trap_m
    csrw mtvec, t0
    IS(s1, 6 * ROUNDS)                  // both readings' distance: 1, 4 of the handler, 1

    // a load that faults in the middle of a long block
    li s0, 0
    li s1, 0
    li s4, 0x0f000000
    la t0, trap
    csrw mtvec, t0
    CASE
1:  rdinstret s2
    addi a1, a1, 1
    addi a1, a1, 1
    addi a1, a1, 1
    .option push
    .option norvc
    ld a3, 0(s4)
    .option pop
    addi a1, a1, 1
    addi a1, a1, 1
    rdinstret s3
    sub a0, s3, s2
    add s1, s1, a0
    addi s0, s0, 1
    bne s0, s5, 1b
    la t0, trap_m
    csrw mtvec, t0
    IS(s1, 10 * ROUNDS)

    // time: 100 instructions of 1 ns each are a tick
    li s0, 0
    rdtime s1
    rdinstret s2
1:  addi a1, a1, 1
    addi s0, s0, 1
    li a0, 100000
    bne s0, a0, 1b
    rdinstret s3
    rdtime s4
    sub a0, s3, s2
    IS(a0, 1 + 100000 * 5)
    sub a0, s4, s1
    li a1, 5000
    sub a0, a0, a1
    sltiu a0, a0, 3
    IS(a0, 1)

    // a timer interrupt ends a tight loop at its time
    li s0, 0
1:  hot_on tick
    li t0, 0x80
    csrw mie, t0
    random a0
    andi a0, a0, 0x3f
    addi a0, a0, 20
    li t3, MTIME
    ld s1, 0(t3)
    add s1, s1, a0
    li t3, MTIMECMP
    sd s1, 0(t3)
    csrsi mstatus, MSTATUS_MIE
    .option push
    .option norvc
2:  j 2b
    .option pop
    csrci mstatus, MSTATUS_MIE
    hot_off
    rdtime a0
    sub a0, a0, s1
    sltiu a0, a0, 3
    CASE
    li a1, 1
    bne a0, a1, fail
    addi s0, s0, 1
    li a0, 1000
    bne s0, a0, 1b
    PASS

    .option push
    .option norvc
    .balign 4
trap:                                   // 4 instructions; all that trap here have 4 bytes
    csrr t0, mepc
    addi t0, t0, 4
    csrw mepc, t0
    mret
    .option pop

tick:
    li t2, -1
    li t3, MTIMECMP
    sd t2, 0(t3)
    ld t0, FRAME_EPC(s0)
    addi t0, t0, 4
    sd t0, FRAME_EPC(s0)
    j hot_resume

    .balign 8
data:
    .skip 16
