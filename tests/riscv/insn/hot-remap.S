// Sv39: hot code and its data in virtual pages that become other physical pages, or read-only.
#define LEVELS 3
#include "hot.h"
#include "paging.h"

#define CODE  WINDOW                    /* leaf 0: code_a or code_b */
#define CODE2 (WINDOW + PAGE)           /* leaf 1: second pages of code */
#define DATA  (WINDOW + 2 * PAGE)       /* leaf 2: data_pages or the page behind it */
#define ALIAS (WINDOW + 4 * PAGE)       /* leaf 4: code_a, writable */

    // reg = the PTE of the page at label
    .macro pte reg, label, flags
    la \reg, \label
    srli \reg, \reg, 2
    ori \reg, \reg, \flags
    .endm
    .macro swap a, b
    mv t0, \a
    mv \a, \b
    mv \b, t0
    .endm

START
    paging_tables
    MAP(0, code_a, RWX)
    MAP(1, next_a, RWX)
    MAP(2, data_pages, RW)
    MAP(4, code_a, RWX)
    la a0, data_pages
    li a1, PAGE
    add a1, a0, a1
    li a2, 100
    li a3, 200
    sd a2, 0(a0)
    sd a3, 0(a1)
    paging_on
    to_s
    pte s2, code_a, RWX
    pte s3, code_b, RWX
    la s4, leaf_table
    li s5, CODE

    // a function, remapped after each 2500 calls, by different fences
    .macro rounds line, fence:vararg
    li gp, \line
    li s0, 0
    li s1, 0
    li a1, 1
1:  li a3, 2500
2:  jalr s5
    bne a0, a1, fail
    add s1, s1, a0
    addi a3, a3, -1
    bnez a3, 2b
    swap s2, s3
    sd s2, 0(s4)
    \fence
    xori a1, a1, 3
    addi s0, s0, 1
    li a4, 20
    bne s0, a4, 1b
    is s1, 75000
    .endm
    rounds __LINE__, sfence.vma
    rounds __LINE__, sfence.vma s5, x0
    rounds __LINE__, sfence.vma x0, x0
    li s6, 0
    rounds __LINE__, sfence.vma s5, s6

    // remapped in each round
    li s0, 0
    li s1, 0
    CASE
    li a1, 1
1:  jalr s5
    bne a0, a1, fail
    add s1, s1, a0
    swap s2, s3
    sd s2, 0(s4)
    sfence.vma s5, x0
    xori a1, a1, 3
    addi s0, s0, 1
    li a4, 20000
    bne s0, a4, 1b
    IS(s1, 30000)

    // a loop inside the page
    li s0, 0
    li s1, 0
1:  li a3, 2500
    li a5, CODE + 64
    jalr a5
    swap s2, s3
    sd s2, 0(s4)
    sfence.vma
    addi s0, s0, 1
    li a4, 20
    bne s0, a4, 1b
    IS(s1, 10 * 2500 * 3 + 10 * 2500 * 5)

    // code that remaps the page that it is in, and goes on in the other one
    li s0, 0
    li s1, 0
    li a5, CODE + 128
1:  jalr a5
    swap s2, s3
    addi s0, s0, 1
    li a4, 20000
    bne s0, a4, 1b
    IS(s1, 10000 * 0x207)

    // straight code over two pages, the second one remapped: at first in long runs, then in each
    // round; the last instruction of the first page lies on both
    pte s2, next_a, RWX
    pte s3, next_b, RWX
    .macro second_page line, entry, runs, rounds, want
    li gp, \line
    li s0, 0
    li s1, 0
    li s6, \entry
    li s7, 0
1:  li a3, \runs
2:  li a0, 0
    jalr s6
    add s1, s1, a0
    addi a3, a3, -1
    bnez a3, 2b
    swap s2, s3
    sd s2, 8(s4)
    sfence.vma
    addi s0, s0, 1
    li a4, \rounds
    bne s0, a4, 1b
    is s1, \want
    .endm
    // code_a's end: a0 += 1, then 16 (next_a) or 32 (next_b) by the shared instruction, 256 or 512
    second_page __LINE__, CODE2 - 6, 2500, 20, 25000 * (1 + 16 + 256) + 25000 * (1 + 32 + 512)
    second_page __LINE__, CODE2 - 2, 2500, 20, 25000 * (16 + 256) + 25000 * (32 + 512)
    second_page __LINE__, CODE2 - 2, 1, 20000, 10000 * (16 + 256) + 10000 * (32 + 512)
    // few runs on one page, so that a block waits to be compiled, then many on the other
    .rept 8
    second_page __LINE__, CODE2 - 2, 12000, 2, 12000 * (16 + 256) + 12000 * (32 + 512)
    second_page __LINE__, CODE2 - 2, 10001, 2, 10001 * (16 + 256) + 10001 * (32 + 512)
    .endr
    li s7, 0

    // data remapped while a hot loop reads it: from outside, and by the loop
    pte s2, data_pages, RW
    pte s3, data_pages + PAGE, RW
    li s0, 0
    li s1, 0
    li s5, DATA
    CASE
1:  li a3, 1000
2:  ld a0, 0(s5)
    add s1, s1, a0
    addi a3, a3, -1
    bnez a3, 2b
    swap s2, s3
    sd s2, 16(s4)
    sfence.vma s5, x0
    addi s0, s0, 1
    li a4, 30
    bne s0, a4, 1b
    IS(s1, 15 * 1000 * 300)
    li s0, 0
    li s1, 0
1:  ld a0, 0(s5)
    swap s2, s3
    sd s2, 16(s4)
    sfence.vma
    ld a1, 0(s5)
    slli a1, a1, 1
    add s1, s1, a0
    add s1, s1, a1
    addi s0, s0, 1
    li a4, 20000
    bne s0, a4, 1b
    IS(s1, 10000 * (100 + 400) + 10000 * (200 + 200))
    // stores: each page gets its own
    li s0, 0
    sd x0, 8(s5)
    la a2, data_pages
    li a3, PAGE
    add a3, a2, a3
    sd x0, 8(a2)
    sd x0, 8(a3)
1:  ld a0, 8(s5)
    addi a0, a0, 1
    sd a0, 8(s5)
    andi a1, s0, 0x7f
    bnez a1, 2f
    swap s2, s3
    sd s2, 16(s4)
    sfence.vma
2:  addi s0, s0, 1
    li a4, 32 * 1024 + 1
    bne s0, a4, 1b
    ld a0, 8(a2)
    ld a1, 8(a3)
    add a2, a0, a1
    IS(a2, 32 * 1024 + 1)
    sub a0, a0, a1
    srai a2, a0, 63
    xor a0, a0, a2
    sub a0, a0, a2
    IS(a0, 1)

    // a page that is read-only now and then: the handler makes it writable again
    li s0, 0
    la s6, 3f
    la s10, store_faults
    sd x0, 0(s10)
    to_m
    hot_on ro_trap
    li s6, 0
    pte s2, data_pages, RW
    la s4, leaf_table
    sd s2, 16(s4)
    sfence.vma
    la t0, hot_frame
    la t1, 1f
    sd t1, FRAME_EPC(t0)
    li t1, 0x800
    csrs mstatus, t1
    // all registers as they are
    .irp n, 8, 9, 18, 19, 20, 21
    sd x\n, \n * 8(t0)
    .endr
    FRAME_SET(11, 0)
    FRAME_SET(12, 999)
    FRAME_SET(13, 0)
    j hot_resume
1:  addi a1, a1, 3
    bne a1, a2, 2f
    andi t0, s2, ~4 & 0xff
    andi t1, s2, 0x3ff
    xor t1, t1, s2
    or t0, t0, t1
    sd t0, 16(s4)                       // read-only from now on
    sfence.vma s5, x0
2:  add a3, a3, a1
3:  sd a3, 24(s5)
    ld a4, 24(s5)
    bne a4, a3, 4f
    addi s0, s0, 1
    li a5, 30000
    bne s0, a5, 1b
4:  ecall
    .balign 4
ro_trap:
    li a0, CAUSE_ECALL_S
    beq s8, a0, ro_end
    IS(s8, CAUSE_STORE_PAGE)
    li a0, DATA + 24
    SAME(s9, a0)
    la a0, 3b
    SAME(s10, a0)
    ld a0, 11 * 8(s0)                   // a1 == a2: the very store behind
    ld a1, 12 * 8(s0)
    SAME(a0, a1)
    ld a2, 13 * 8(s0)                   // a3 = 3 + 6 + ... + a1
    li a4, 3
    divu a5, a0, a4
    addi a6, a5, 1
    mul a5, a5, a6
    mul a5, a5, a4
    srli a5, a5, 1
    SAME(a2, a5)
    random a2
    andi a2, a2, 0x1ff
    addi a2, a2, 1
    mul a2, a2, a4
    add a1, a1, a2
    sd a1, 12 * 8(s0)
    ld s2, 18 * 8(s0)
    la s4, leaf_table
    sd s2, 16(s4)
    sfence.vma
    ld a0, FRAME_COUNT(s0)
    addi a0, a0, 1
    sd a0, FRAME_COUNT(s0)
    j hot_resume
ro_end:
    ld a0, 8 * 8(s0)
    IS(a0, 30000)
    ld a0, 11 * 8(s0)
    IS(a0, 90000)
    ld a0, FRAME_COUNT(s0)
    sltiu a0, a0, 60
    IS(a0, 0)
    hot_off

    // hot code is changed through another virtual address
    li s11, 0
    to_s
    la s4, leaf_table
    pte s2, code_a, RWX
    sd s2, 0(s4)
    sfence.vma
    li s5, CODE
    li s6, ALIAS
    li s0, 0
    li s1, 0
1:  li a3, 1000
    slli a1, s0, 20
    li a2, 0x00000513
    or a1, a1, a2
    sw a1, 0(s6)
    fence.i
2:  jalr s5
    bne a0, s0, fail
    add s1, s1, a0
    addi a3, a3, -1
    bnez a3, 2b
    addi s0, s0, 1
    li a4, 30
    bne s0, a4, 1b
    IS(s1, 1000 * 435)
    to_m
    PASS

store_faults:
    .dword 0

    // the two pages of code differ in what they do, not in its layout
    .macro code_page n
    .option push
    .option norvc
9:  li a0, \n
    ret
    .org 9b + 64
1:  addi s1, s1, 2 * \n + 1
    addi a3, a3, -1
    bnez a3, 1b
    ret
    .org 9b + 128
    addi s1, s1, \n
    sd s3, 0(s4)
    sfence.vma
    .if \n - 1
    addi s1, s1, 0x100                  // arrived from 1
    .else
    addi s1, s1, 0x104                  // arrived from 2
    .endif
    ret
    .option pop
    .org 9b + 4090
    .option push
    .option norvc
    addi a0, a0, 1
    .option pop
    .half 0x0513                        // addi a0, a0, ...: its second half is in the next page
    .endm
    .balign 4096
code_a:
    code_page 1
    .balign 4096
code_b:
    code_page 2
    // a0 += half, by the instruction that starts in the page before; then full
    .macro next_page half, full
    .half \half << 4 | 5
    .option push
    .option norvc
    addi a0, a0, \full
    .option pop
    ret
    .endm
    .balign 4096
next_a:
    next_page 16, 256
    .balign 4096
next_b:
    next_page 32, 512
    .balign 4096
    paging_data
