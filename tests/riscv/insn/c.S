// C and Zcb: every compressed instruction, at both alignments of what follows.
#include "test.h"

START
    .option push
    .option arch, +c, +zcb
    la x2, stack
    // c.addi4spn, c.addi16sp
    CASE
    c.addi4spn a0, sp, 1020
    sub a0, a0, sp
    IS(a0, 1020)
    c.addi16sp sp, -512
    la a0, stack
    sub a0, a0, sp
    IS(a0, 512)
    c.addi16sp sp, 496
    c.addi16sp sp, 16
    // loads and stores
    la a1, room
    li a2, 0x8123456789abcdef
    c.sd a2, 8(a1)
    c.sd a2, 248(a1)
    c.ld a0, 248(a1)
    IS(a0, 0x8123456789abcdef)
    c.lw a0, 8(a1)
    IS(a0, 0xffffffff89abcdef)
    c.sw a1, 124(a1)
    lwu a0, 124(a1)
    SAME(a0, a1)
    c.fld fa0, 8(a1)
    c.fsd fa0, 16(a1)
    c.ld a0, 16(a1)
    IS(a0, 0x8123456789abcdef)
    c.sdsp a2, 504(sp)
    c.ldsp a0, 504(sp)
    IS(a0, 0x8123456789abcdef)
    c.swsp a2, 252(sp)
    c.lwsp a0, 252(sp)
    IS(a0, 0xffffffff89abcdef)
    c.fldsp fs2, 504(sp)
    c.fsdsp fs2, 0(sp)
    c.ldsp t4, 0(sp)
    IS(t4, 0x8123456789abcdef)
    // constants and arithmetic
    c.li a0, -32
    IS(a0, -32)
    c.lui a0, 0xfffe0
    IS(a0, 0xfffffffffffe0000)
    c.lui a0, 31
    IS(a0, 0x1f000)
    c.nop
    li a0, 0x7fffffff
    c.addi a0, 31
    IS(a0, 0x8000001e)
    c.addiw a0, -32
    IS(a0, 0x7ffffffe)
    c.addiw a0, 2
    IS(a0, 0xffffffff80000000)
    c.addiw a0, 0
    c.srli a0, 32
    IS(a0, 0xffffffff)
    c.slli a0, 33
    IS(a0, 0xfffffffe00000000)
    c.srai a0, 63
    IS(a0, -1)
    c.andi a0, -32
    IS(a0, -32)
    c.andi a0, 31
    IS(a0, 0)
    li s0, 0xff00ff00
    li s1, 0x0ff00ff0
    mv a0, s0
    c.and a0, s1
    IS(a0, 0x0f000f00)
    mv a0, s0
    c.or a0, s1
    IS(a0, 0xfff0fff0)
    mv a0, s0
    c.xor a0, s1
    IS(a0, 0xf0f0f0f0)
    mv a0, s1
    c.sub a0, s0
    IS(a0, 0xffffffff10ef10f0)
    c.mv a0, s0
    c.addw a0, s0
    IS(a0, 0xfffffffffe01fe00)
    c.subw a0, s1
    IS(a0, 0xffffffffee11ee10)
    c.mv t4, s0
    c.add t4, s1
    IS(t4, 0x10ef10ef0)
    // jumps and branches
    CASE
    c.j 1f
    j fail
1:  la a0, 2f
    c.jr a0
    c.nop
    j fail
2:  la a0, 4f
    c.jalr a0
3:  c.nop
    j fail
4:  la a0, 3b
    SAME(ra, a0)
    li a0, 0
    c.beqz a0, 5f
    j fail
5:  c.bnez a0, 6f
    c.li a0, 1
6:  IS(a0, 1)
    c.bnez a0, 7f
    j fail
7:  li a0, 0
    li a2, 10
8:  c.addi a0, 3
    c.addi a2, -1
    c.bnez a2, 8b
    IS(a0, 30)
    // Zcb
    la a1, room
    li a2, 0x8123456789abcdef
    c.sd a2, 0(a1)
    c.lbu a0, 3(a1)
    IS(a0, 0x89)
    c.lhu a0, 2(a1)
    IS(a0, 0x89ab)
    c.lh a0, 2(a1)
    IS(a0, 0xffffffffffff89ab)
    c.lh a0, 0(a1)
    IS(a0, 0xffffffffffffcdef)
    li a0, 0x1155
    c.sb a0, 1(a1)
    c.sh a0, 2(a1)
    c.ld a0, 0(a1)
    IS(a0, 0x81234567115555ef)
    li a0, 0xfffffffffffff8f7
    c.zext.b a0
    IS(a0, 0xf7)
    c.sext.b a0
    IS(a0, -9)
    c.zext.h a0
    IS(a0, 0xfff7)
    c.sext.h a0
    IS(a0, -9)
    c.zext.w a0
    IS(a0, 0xfffffff7)
    c.not a0
    IS(a0, 0xffffffff00000008)
    li a0, 7
    li a2, -6
    c.mul a0, a2
    IS(a0, -42)
    .option pop
    // traps: epc at an address of 2 mod 4, tval holds 16 bits
    .macro illegal16 half
    la s7, 8f
    .option push
    .option arch, +c
    .balign 4
    c.nop
7:  .half \half
    .option pop
    j fail
    .balign 4
8:  is s8, CAUSE_ILLEGAL
    is s9, \half
    mv t5, s10
    la t6, 7b
    jal ra, check
    .endm
    CASE
    illegal16 0                         // all zero
    CASE
    illegal16 0x2001                    // c.addiw to x0
    CASE
    illegal16 0x6101 + 0                // c.addi16sp by 0
    CASE
    illegal16 0x6001 + 0x500            // c.lui by 0
    CASE
    illegal16 0x4002                    // c.lwsp to x0
    CASE
    illegal16 0x8002                    // c.jr to x0
    CASE
    illegal16 0x8000 + 0x1c00           // reserved row of Zcb
    la a1, 1f
    .option push
    .option arch, +c
    TRAPS_AT(CAUSE_BREAKPOINT, a1, 1: c.ebreak)
    .option pop
    PASS

    .balign 16
room:
    .fill 64, 8, 0
    .fill 128, 8, 0
stack:
    .fill 128, 8, 0
