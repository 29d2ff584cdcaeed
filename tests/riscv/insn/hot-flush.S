// What a hostile guest does to translated code: flushes in tight loops, and thousands of functions
// written, run hot, and overwritten. It must end, right, in bounded time.
#include "hot.h"

#define AREA      0x80400000
#define FUNCTIONS 200
#define HOT       25000               /* so often is hot with the default threshold */
#define SPACING   256

START
    // fence.i, sfence.vma, and both, in tight loops, with work around
    li s0, 0
    li s1, 0
1:  fence.i
    addi s1, s1, 3
    addi s0, s0, 1
    li a0, 60000
    bne s0, a0, 1b
    IS(s1, 180000)
    li s0, 0
    li s1, 0
1:  sfence.vma
    addi s1, s1, 3
    addi s0, s0, 1
    li a0, 60000
    bne s0, a0, 1b
    IS(s1, 180000)
    li s0, 0
    li s1, 0
    la s2, word
1:  sfence.vma s2, x0
    sd s1, 0(s2)
    fence.i
    ld s1, 0(s2)
    sfence.vma x0, s0
    addi s1, s1, 3
    addi s0, s0, 1
    li a0, 30000
    bne s0, a0, 1b
    IS(s1, 90000)
    // PMP and satp written in tight loops (each flushes)
    li s0, 0
    li s1, 0
1:  csrr a0, pmpcfg0
    csrw pmpcfg0, a0
    csrw satp, x0
    ld a1, 0(s2)
    addi s1, s1, 3
    addi s0, s0, 1
    li a0, 20000
    bne s0, a0, 1b
    IS(s1, 60000)

    // functions, each of a loop that is hot by itself; then all are overwritten, three times over
    li s5, 0
5:  li s2, AREA
    li s0, 0
1:  jal t0, emit
    addi s0, s0, 1
    li a0, SPACING
    add s2, s2, a0
    li a0, FUNCTIONS
    bne s0, a0, 1b
    fence.i
    li s2, AREA
    li s0, 0
    li s1, 0
2:  li a1, HOT
    li a0, 0
    jalr s2
    add s1, s1, a0
    addi s0, s0, 1
    li a0, SPACING
    add s2, s2, a0
    li a0, FUNCTIONS
    bne s0, a0, 2b
    li a1, HOT * (FUNCTIONS * (FUNCTIONS - 1) / 2)
    li a2, HOT * FUNCTIONS
    mul a2, a2, s5
    add a1, a1, a2
    CASE
    SAME(s1, a1)
    addi s5, s5, 1
    li a0, 3
    bne s5, a0, 5b

    // one function, overwritten in place, hot each time
    li s2, AREA
    li s0, 0
    li s1, 0
    li s5, 0
1:  jal t0, emit
    fence.i
    li a1, HOT
    li a0, 0
    jalr s2
    add s1, s1, a0
    addi s0, s0, 1
    li a0, 100
    bne s0, a0, 1b
    li a1, HOT * 4950
    SAME(s1, a1)

    // straight code of 400 KiB, once, and a few times
    li s2, AREA
    li a0, 100000
    li a1, 0x00150513                   // addi a0, a0, 1
    mv a2, s2
1:  sw a1, 0(a2)
    addi a2, a2, 4
    addi a0, a0, -1
    bnez a0, 1b
    li a1, 0x00008067                   // ret
    sw a1, 0(a2)
    fence.i
    li a0, 0
    .rept 5
    jalr s2
    .endr
    IS(a0, 500000)

    // jumps to themselves over and over: each word of 1 KiB a jump to the next
    li s2, AREA
    li a0, 255
    li a1, 0x0040006f                   // j .+4
    mv a2, s2
1:  sw a1, 0(a2)
    addi a2, a2, 4
    addi a0, a0, -1
    bnez a0, 1b
    li a1, 0x00008067
    sw a1, 0(a2)
    fence.i
    li s0, 0
1:  jalr s2
    addi s0, s0, 1
    li a0, HOT
    bne s0, a0, 1b
    IS(s0, HOT)
    // and in at each of them
    li s0, 0
1:  slli a0, s0, 2
    li a1, 1020
    and a0, a0, a1
    add a0, a0, s2
    jalr a0
    addi s0, s0, 1
    li a0, 8192
    bne s0, a0, 1b
    IS(s0, 8192)
    PASS

    // at s2: a0 += (s0 + s5) for a1 times; s0's low bits change the shape. t0 returns.
emit:
    add a3, s0, s5
    andi a3, a3, 0x7ff
    slli a3, a3, 20
    li a2, 0x00050513                   // addi a0, a0, n
    or a3, a3, a2
    sw a3, 0(s2)
    andi a4, s0, 3
    addi a5, s2, 4
1:  beqz a4, 2f
    li a3, 0x00168693                   // addi a3, a3, 1
    sw a3, 0(a5)
    addi a5, a5, 4
    addi a4, a4, -1
    j 1b
2:  li a3, 0xfff58593                   // addi a1, a1, -1
    sw a3, 0(a5)
    // bnez a1, back to s2: the offset is -(a5 + 4 - s2)
    addi a5, a5, 4
    sub a3, s2, a5                      // -8 to -20
    andi a4, a3, 0x1e
    slli a4, a4, 7                      // bits 4:1 to 11:8
    li a2, 0xfe0590e3                   // bnez a1, with all the upper bits set: but 4:1
    or a2, a2, a4
    sw a2, 0(a5)
    li a3, 0x00008067
    sw a3, 4(a5)
    jr t0

    .balign 4096
word:
    .dword 0
    .balign 4096
