// Four harts: hart 0 changes code, tells the others by IPI, and they run the new code.
//: smp 4
#include "smp.h"

#define ROUNDS 50

hart:
    li a0, 8
    csrw mie, a0
    mv s10, s11
    li s0, 0
    barrier
1:  bnez tp, 2f
    // li a0, round
    slli a0, s0, 20
    li a1, 0x00000513
    or a0, a0, a1
    la a1, code
    sw a0, 0(a1)
    li s1, 1
3:  send_ipi s1
    addi s1, s1, 1
    li a0, HARTS
    bne s1, a0, 3b
    fence.i
    j 4f
2:  wait_ipi
    fence.i
4:  CASE
    la a1, code
    jalr a1
    SAME(a0, s0)
    barrier
    addi s0, s0, 1
    li a0, ROUNDS
    bne s0, a0, 1b
    jr s10

    .balign 64
code:
    li a0, 0
    ret
    .balign 64
