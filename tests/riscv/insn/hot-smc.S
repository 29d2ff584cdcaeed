// Code that changes while it is hot: by all kinds of stores, near and far, with and without fence.i;
// and jumps into the middle of an instruction.
#include "hot.h"

#define LI_A0  0x00000513               /* li a0, 0 */
#define RET    0x00008067
#define FAR    0x80400000

    // a1 = the instruction li a0, reg
    .macro make_li reg
    slli a1, \reg, 20
    li a2, LI_A0
    or a1, a1, a2
    .endm

START
    // each round changes an instruction of the loop itself: in another block, ...
    li s0, 0
    li s1, 0
    la s2, 2f
    CASE
1:  andi a3, s0, 0x7ff
    make_li a3
    sw a1, 0(s2)
    fence.i
    j 2f
    .balign 4
2:  li a0, 0
    bne a0, a3, fail
    add s1, s1, a0
    addi s0, s0, 1
    li a4, 20000
    bne s0, a4, 1b
    IS(s1, 9 * 2047 * 1024 + 1567 * 784)

    // ... and behind the store in what would be the same block
    li s0, 0
    li s1, 0
    la s2, 2f
    CASE
1:  andi a3, s0, 0x7ff
    make_li a3
    sw a1, 0(s2)
    fence.i
    .balign 4
2:  li a0, 0
    bne a0, a3, fail
    add s1, s1, a0
    addi s0, s0, 1
    li a4, 20000
    bne s0, a4, 1b
    IS(s1, 9 * 2047 * 1024 + 1567 * 784)

    // without fence.i it is the old or the new one; with it, the new one
    li s0, 0
    la s2, 2f
    CASE
1:  andi s3, s0, 0x7ff
    make_li s3
    lw s4, 0(s2)
    srli s4, s4, 20
    sw a1, 0(s2)
    .balign 4
2:  li a0, 0
    beq a0, s3, 3f
    bne a0, s4, fail
3:  addi s0, s0, 1
    andi a4, s0, 0x3f
    bnez a4, 1b
    fence.i
    li a4, 32000
    bne s0, a4, 1b

    // a loop that is hot, then changed: the step of its sum, in this page
    li s0, 1
    li s1, 0
    la s2, 3f
1:  slli a1, s0, 20
    lw a2, 0(s2)
    slliw a2, a2, 12
    srliw a2, a2, 12
    or a1, a1, a2
    sw a1, 0(s2)
    fence.i
    li a3, 25000
    .balign 4
2:  addi a3, a3, -1
    .balign 4
3:  addi s1, s1, 1
    bnez a3, 2b
    addi s0, s0, 1
    li a4, 31
    bne s0, a4, 1b
    IS(s1, 25000 * 465)

    // in another page, a function: each store of another kind
    .macro far_case line, store
    li gp, \line
    li s0, 0
    li s1, 0
    li s2, FAR
    li a1, LI_A0
    sw a1, 0(s2)
    li a1, RET
    sw a1, 4(s2)
    fence.i
1:  make_li s0
    \store
    fence.i
    li a3, 25000
2:  jalr s2
    bne a0, s0, fail
    add s1, s1, a0
    addi a3, a3, -1
    bnez a3, 2b
    addi s0, s0, 1
    li a4, 8
    bne s0, a4, 1b
    is s1, 25000 * 28
    .endm
    far_case __LINE__, "sw a1, 0(s2)"
    far_case __LINE__, "srli a1, a1, 16; sh a1, 2(s2)"
    far_case __LINE__, "srli a1, a1, 16; sb a1, 2(s2); srli a1, a1, 8; sb a1, 3(s2)"
    far_case __LINE__, "amoswap.w a2, a1, (s2)"
    far_case __LINE__, "lr.w a2, (s2); sc.w a2, a1, (s2)"
    far_case __LINE__, "lw a2, 0(s2); amocas.w a2, a1, (s2)"
    far_case __LINE__, "fmv.w.x fa0, a1; fsw fa0, 0(s2)"
    far_case __LINE__, "fmv.w.x fa0, a1; flw fa1, 4(s2); fmv.x.w a2, fa1; slli a2, a2, 32; slli a1, a1, 32; srli a1, a1, 32; or a1, a1, a2; fmv.d.x fa2, a1; fsd fa2, 0(s2)"
    far_case __LINE__, "slli a1, a1, 32; srli a1, a1, 24; sd a1, -1(s2); li a1, 0x80; sw a1, 5(s2); li a1, 0x8067; sw a1, 4(s2)"
    far_case __LINE__, "li a3, 0x80400000; cbo.zero 0(a3); sw a1, 0(s2); li a1, 0x8067; sw a1, 4(s2)"

    // two versions of a function, alternately, many times: it is not worth compiling each time
    li s0, 0
    li s1, 0
    li s2, FAR
    CASE
1:  andi s3, s0, 1
    make_li s3
    sw a1, 0(s2)
    fence.i
    jalr s2
    bne a0, s3, fail
    jalr s2
    add s1, s1, a0
    addi s0, s0, 1
    li a4, 20000
    bne s0, a4, 1b
    IS(s1, 10000)

    // data in the page of the loop, stored by the loop, and next to its code
    li s0, 0
    la s2, 2f
    la s3, 3f
    sd x0, 0(s2)
    sd x0, 0(s3)
    j 1f
    .balign 8
2:  .dword 0
1:  ld a0, 0(s2)
    addi a0, a0, 1
    sd a0, 0(s2)
    ld a1, 0(s3)
    add a1, a1, a0
    sd a1, 0(s3)
    addi s0, s0, 1
    li a4, 100000
    bne s0, a4, 1b
    j 4f
    .balign 8
3:  .dword 0
4:  ld a0, 0(s2)
    IS(a0, 100000)
    ld a1, 0(s3)
    IS(a1, 50000 * 100001)

    // into the middle of an instruction: lui t0, 0x05050 is 0x050502b7, its upper half
    // c.addi a0, 1
    li s0, 0
    li a0, 0
    li s1, 0
    la s2, 2f
    CASE
1:  li t0, 0
    jr s2
    .balign 4
2:  lui t0, 0x05050
    add s1, s1, t0
    addi s0, s0, 1
    li a4, 20000
    bne s0, a4, 1b
    IS(a0, 0)
    li a1, 20000 * 0x05050000
    SAME(s1, a1)
    addi s2, s2, 2                      // it is hot: now its middle
    li s0, 0
    li s1, 0
    li s3, 2
    la s4, 3f
    CASE
1:  li t0, 0
    jr s4
    .balign 4
3:  lui t0, 0x05050
    add s1, s1, t0
    xor s4, s4, s3                      // and both by turns
    addi s0, s0, 1
    li a4, 40000
    bne s0, a4, 1b
    IS(a0, 20000)
    li a1, 20000 * 0x05050000
    SAME(s1, a1)
    li s0, 0                            // the first one, whose middle was never entered
    li s1, 0
    li a0, 0
    CASE
    la s4, 4f
1:  li t0, 0
    jr s4
    .balign 4
4:  lui t0, 0x05050
    add s1, s1, t0
    addi s0, s0, 1
    li a4, 20000
    beq s0, a4, 6f
    li a4, 40000
    bne s0, a4, 1b
    j 7f
6:  addi s4, s4, 2
    j 1b
7:  IS(a0, 20000)
    li a1, 20000 * 0x05050000
    SAME(s1, a1)

    // a 4-byte instruction becomes two of 2 bytes, and back
    li s0, 0
    li a0, 0
    li s1, 0
    la s2, 3f
    li s3, 0x050502b7                   // lui t0, 0x05050
    li s4, 0x04890505                   // c.addi a0, 1; c.addi s1, 2
    CASE
1:  li a3, 25000
2:  li t0, 0
    .balign 4
3:  lui t0, 0x05050
    addi a3, a3, -1
    bnez a3, 2b
    add s0, s0, t0
    sw s4, 0(s2)
    mv a4, s3
    mv s3, s4
    mv s4, a4
    fence.i
    addi s5, s5, 1
    andi a4, s5, 7
    bnez a4, 1b
    IS(a0, 4 * 25000)
    IS(s1, 2 * 4 * 25000)
    li a1, 4 * 0x05050000
    SAME(s0, a1)

    // a jump table of the program's own making: the target of a hot jump changes
    li s0, 0
    li s1, 0
    la s2, 2f
    li s3, 0x0080006f                   // j .+8
    li s4, 0x00c0006f                   // j .+12
    CASE
1:  li a3, 0x7fff
    and a3, a3, s0
    bnez a3, 2f
    mv a4, s3
    mv s3, s4
    mv s4, a4
    sw s3, 0(s2)
    fence.i
    .balign 4
2:  .word 0x0080006f
    .word 0                             // never run
    .option push
    .option norvc
    addi s1, s1, 1
    addi s1, s1, 2
    .option pop
    addi s0, s0, 1
    li a4, 0x28000
    bne s0, a4, 1b
    IS(s1, 0x8000 * (2 + 3 + 2 + 3 + 2))
    PASS
