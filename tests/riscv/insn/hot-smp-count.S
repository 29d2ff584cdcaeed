// Four harts in the same hot loops: counters by AMO, LR/SC and compare-and-swap, a lock, messages.
//: smp 4
#include "smp.h"

#define ROUNDS 12000

hart:
    mv s10, s11
    barrier
    // each kind of counting
    la s2, counters
    li s0, ROUNDS
    li a1, 1
1:  amoadd.d x0, a1, (s2)
    addi s3, s2, 8
    amoadd.w x0, a1, (s3)
    addi s3, s2, 16
2:  lr.d a0, (s3)
    addi a0, a0, 3
    sc.d a2, a0, (s3)
    bnez a2, 2b
    addi s3, s2, 24
    ld a0, 0(s3)
3:  mv a2, a0
    addi a3, a0, 5
    amocas.d a0, a3, (s3)
    bne a0, a2, 3b
    addi s3, s2, 32
4:  lr.w a0, (s3)
    addi a0, a0, 7
    sc.w a2, a0, (s3)
    bnez a2, 4b
    addi s0, s0, -1
    bnez s0, 1b
    barrier
    .macro total offset, want
    CASE
    ld a0, \offset(s2)
    is a0, \want
    .endm
    total 0, 4 * ROUNDS
    total 8, 4 * ROUNDS
    total 16, 3 * 4 * ROUNDS
    total 24, 5 * 4 * ROUNDS
    total 32, 7 * 4 * ROUNDS

    // a lock by swap; what it guards is changed by plain accesses, in a function
    barrier
    la s2, lock
    la s3, guarded
    li s0, ROUNDS / 8
1:  li a1, 1
2:  amoswap.w.aq a0, a1, (s2)
    bnez a0, 2b
    jal t0, change
    amoswap.w.rl x0, x0, (s2)
    addi s0, s0, -1
    bnez s0, 1b
    barrier
    ld a0, 0(s3)
    IS(a0, ROUNDS / 2)
    ld a0, 8(s3)
    IS(a0, ROUNDS / 4 * (ROUNDS / 2 + 1))

    // a token goes round: each hart waits for its number in a loop of loads
    barrier
    la s2, token
    li s0, 0
    slli s3, tp, 0
1:  ld a0, 0(s2)
    bne a0, s3, 1b
    fence rw, rw
    ld a1, 64(s2)
    mul a2, a1, a1
    add a1, a1, a2
    addi a1, a1, 1
    add a1, a1, tp
    sd a1, 64(s2)
    fence rw, rw
    addi a0, a0, 1
    sd a0, 0(s2)
    addi s3, s3, HARTS
    addi s0, s0, 1
    li a0, 30
    bne s0, a0, 1b
    barrier
    bnez tp, 9f
    // the same alone
    li a0, 0
    li a1, 0
    li a3, 30 * HARTS
1:  andi a4, a0, HARTS - 1
    mul a2, a1, a1
    add a1, a1, a2
    addi a1, a1, 1
    add a1, a1, a4
    addi a0, a0, 1
    bne a0, a3, 1b
    ld a0, 64(s2)
    SAME(a0, a1)
9:  barrier

    // store buffering: with fences, one of a pair of harts at least sees the other's store
    andi a0, tp, 2
    slli a0, a0, 7
    la s2, buffering
    add s2, s2, a0                      // the pair's words: x at 0, y at 64; results at 128, 136
    andi a0, tp, 1
    slli s3, a0, 6
    add s4, s2, s3                      // mine
    xori s3, s3, 64
    add s5, s2, s3                      // the other's
    slli a0, a0, 3
    add s6, s2, a0                      // my result
    li s0, 0
1:  addi s0, s0, 1
    sd s0, 0(s4)
    fence rw, rw
    ld a0, 0(s5)
    sd a0, 128(s6)
    barrier
    CASE
    ld a0, 128(s2)
    ld a1, 136(s2)
    beq a0, s0, 2f
    beq a1, s0, 2f
    j fail
2:  barrier
    li a0, 100
    bne s0, a0, 1b
    li s6, 0
    jr s10

change:
    ld a2, 0(s3)
    addi a2, a2, 1
    sd a2, 0(s3)
    ld a3, 8(s3)
    add a3, a3, a2
    sd a3, 8(s3)
    jr t0

    .balign 64
counters:
    .skip 64
lock:
    .skip 64
guarded:
    .skip 64
token:
    .skip 128
buffering:
    .skip 1024
