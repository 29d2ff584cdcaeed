// Four harts: LR/SC and AMOCAS under contention; an SC fails when another hart stored in between.
//: smp 4
#include "smp.h"

#define ROUNDS 1000

hart:
    barrier
    li s0, ROUNDS
    la s1, words
1:  lr.d.aq a0, (s1)
    addi a0, a0, 1
    sc.d.rl a1, a0, (s1)
    bnez a1, 1b
    addi a2, s1, 8
2:  lr.w a0, (a2)
    addi a0, a0, 3
    sc.w a1, a0, (a2)
    bnez a1, 2b
    // compare and swap of one and of two double words
    addi a2, s1, 16
    ld a0, 0(a2)
3:  mv a1, a0
    addi a3, a0, 5
    amocas.d a0, a3, (a2)
    bne a0, a1, 3b
    addi a2, s1, 32
    ld a0, 0(a2)
    ld a1, 8(a2)
4:  mv t3, a0
    mv t4, a1
    addi a4, a0, 1
    addi a5, a1, 2
    amocas.q.aqrl a0, a4, (a2)
    bne a0, t3, 4b
    bne a1, t4, 4b
    addi s0, s0, -1
    bnez s0, 1b
    barrier
    bnez tp, 5f
    ld a0, 0(s1)
    IS(a0, HARTS * ROUNDS)
    ld a0, 8(s1)
    IS(a0, 3 * HARTS * ROUNDS)
    ld a0, 16(s1)
    IS(a0, 5 * HARTS * ROUNDS)
    ld a0, 32(s1)
    IS(a0, HARTS * ROUNDS)
    ld a0, 40(s1)
    IS(a0, 2 * HARTS * ROUNDS)
5:  // hart 0 reserves, hart 1 stores, hart 0's SC fails
    bnez tp, 6f
    lr.d a0, (s1)
    j 7f
6:  li a0, 1
    bne tp, a0, 7f
    li a0, 77
8:  ld a1, 56(s1)
    beqz a1, 8b
    sd a0, 0(s1)
    fence rw, rw
    sd x0, 56(s1)
    jr s11
7:  bnez tp, 9f
    li a1, 1
    fence rw, rw
    sd a1, 56(s1)
1:  ld a1, 56(s1)
    bnez a1, 1b
    fence rw, rw
    CASE
    sc.d a1, x0, (s1)
    beqz a1, fail
    ld a0, 0(s1)
    IS(a0, 77)
9:  jr s11

    .balign 64
words:
    .dword 0, 0, 0, 0, 0, 0, 0, 0
