// Four harts: AMOs on shared words lose nothing; a lock by amoswap keeps out all but one.
//: smp 4
#include "smp.h"

#define ROUNDS 2000

hart:
    barrier
    li s0, ROUNDS
    la s1, words
    li s2, 1
    sll s3, s2, tp
    slli s4, tp, 16                     // this hart's numbers for the maximum
1:  amoadd.d x0, s2, 0(s1)
    addi a1, s1, 8
    amoadd.w.aqrl x0, s2, (a1)
    addi a1, s1, 12                     // the other half of the same double word
    amoadd.w x0, s2, (a1)
    addi a1, s1, 16
    amoxor.d x0, s3, (a1)
    addi a1, s1, 24
    add a2, s4, s0
    amomaxu.d x0, a2, (a1)
    addi a1, s1, 32
    add a1, a1, tp
    amoadd.b x0, s2, (a1)               // bytes of one word
    // the lock
    addi a1, s1, 40
2:  amoswap.w.aq a2, s2, (a1)
    bnez a2, 2b
    ld a3, 48(s1)
    addi a3, a3, 1
    sd a3, 48(s1)
    amoswap.w.rl x0, x0, (a1)
    addi s0, s0, -1
    bnez s0, 1b
    barrier
    bnez tp, 3f
    ld a0, 0(s1)
    IS(a0, HARTS * ROUNDS)
    ld a0, 8(s1)
    IS(a0, (HARTS * ROUNDS) << 32 | HARTS * ROUNDS)
    ld a0, 16(s1)
    IS(a0, 0)
    ld a0, 24(s1)
    IS(a0, 3 << 16 | ROUNDS)
    lwu a0, 32(s1)
    IS(a0, (ROUNDS & 255) * 0x1010101)
    ld a0, 48(s1)
    IS(a0, HARTS * ROUNDS)
3:  jr s11

    .balign 64
words:
    .dword 0, 0, 0, 0, 0, 0, 0, 0
