// Zifencei: code that is written, then run; by a store of any size, near and far, and in a loop.
#include "test.h"

#define RET 0x00008067

    // put "li a0, n" at buffer, run it
    .macro patch n
    li a0, \n
    slli a0, a0, 20
    li a1, 0x00000513
    or a0, a0, a1
    la a1, buffer
    sw a0, 0(a1)
    fence.i
    jalr a1
    .endm

START
    .rept 3
    patch 5
    IS(a0, 5)
    patch 6
    IS(a0, 6)
    .endr
    // byte store: only the immediate's upper byte
    CASE
    la a1, buffer
    li a0, 0x07
    sb a0, 3(a1)
    fence.i
    jalr a1
    IS(a0, 0x76)                        // the lower bits of the last patch stay
    // an AMO and a misaligned store write code too
    li a0, 0x00300513
    la a1, buffer
    amoswap.w x0, a0, (a1)
    fence.i
    jalr a1
    IS(a0, 3)
    li a0, (RET << 32 | 0x00900513) << 8 & 0xffffffffffffffff | 0x13
    la a1, buffer - 1
    sd a0, 0(a1)
    fence.i
    la a1, buffer
    jalr a1
    IS(a0, 9)
    // a thousand patches of a block in the same page as this loop
    li s0, 1000
    li s1, 0
1:  andi a2, s0, 0x7ff
    slli a2, a2, 20
    li a1, 0x00000513
    or a2, a2, a1
    la a1, buffer
    sw a2, 0(a1)
    fence.i
    jalr a1
    add s1, s1, a0
    addi s0, s0, -1
    bnez s0, 1b
    IS(s1, 500500)
    // a block that overwrites an instruction of itself that is still to come
    la a1, 2f
    li a0, 0x02a00513                   // li a0, 42
    li a2, 0
    CASE
    sw a0, 0(a1)
    fence.i
2:  li a0, 1
    IS(a0, 42)
    // code across a page border, changed on its second page
    la a1, border
    jalr a1
    IS(a0, 11)
    la a1, border
    li a0, 0x00c00513                   // li a0, 12
    sw a0, 4(a1)
    fence.i
    jalr a1
    IS(a0, 12)
    PASS

    .balign 8
    .byte 0, 0, 0, 0, 0, 0, 0
    .byte 0x13
buffer:
    li a0, 0
    ret
    .balign 4096
    .skip 4092
border:
    li a1, 1
    li a0, 11
    ret
