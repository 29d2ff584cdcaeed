// Three harts run a function hot; hart 0 changes it again and again, tells them by IPI, and after
// their fence.i they run the new one.
//: smp 4
#include "smp.h"

#define ROUNDS 10
#define CALLS  24000

hart:
    li a0, 8
    csrw mie, a0
    mv s10, s11
    li s0, 0
    la s5, code
    la s6, version
    barrier
1:  bnez tp, 2f
    // the new code: li a0, round; in every fourth round at the end of a jump, too
    slli a0, s0, 20
    li a1, 0x00000513
    or a0, a0, a1
    sw a0, 0(s5)
    sd s0, 0(s6)
    fence rw, rw
    li s1, 1
3:  send_ipi s1
    addi s1, s1, 1
    li a0, HARTS
    bne s1, a0, 3b
    fence.i
    j 4f
    // the others run the old one until they are told: old or new, nothing else
2:  addi s4, s0, -1
5:  jalr s5
    beq s0, x0, 6f
    beq a0, s4, 6f
    CASE
    bne a0, s0, fail
6:  csrr t0, mip
    andi t0, t0, 8
    beqz t0, 5b
    clear_ipi tp
    fence.i
4:  li s2, CALLS
    li s3, 0
7:  jalr s5
    add s3, s3, a0
    addi s2, s2, -1
    bnez s2, 7b
    CASE
    li a0, CALLS
    mul a0, a0, s0
    SAME(s3, a0)
    barrier
    addi s0, s0, 1
    li a0, ROUNDS
    bne s0, a0, 1b

    // all harts change their own function in one page, and run it, at the same time
    barrier
    la s5, own
    slli a0, tp, 4
    add s5, s5, a0
    li s0, 0
    li s3, 0
1:  andi a2, s0, 0x3ff
    slli a0, a2, 20
    li a1, 0x00000513
    or a0, a0, a1
    sw a0, 0(s5)
    fence.i
    li s2, 50
2:  jalr s5
    bne a0, a2, 3f
    add s3, s3, a0
    addi s2, s2, -1
    bnez s2, 2b
    addi s0, s0, 1
    li a0, 400
    bne s0, a0, 1b
    IS(s3, 50 * 79800)
    barrier
    li s6, 0
    jr s10
3:  CASE
    SAME(a0, a2)

    .balign 4096
code:
    li a0, 0
    ret
    .balign 64
own:
    .rept HARTS
    .option push
    .option norvc
    li a0, 0
    ret
    nop
    nop
    .option pop
    .endr
    .balign 4096
version:
    .dword 0
