// Modes, translation and its switches, changed in hot loops.
#define LEVELS 3
#include "hot.h"
#include "paging.h"

#define ROUNDS 24000

    // for the loops that follow: traps come back to s2, in M mode, with mcause in a6
    .macro back_on
    la t0, back
    csrw mtvec, t0
    .endm
    .macro back_off
    la t0, trap_m
    csrw mtvec, t0
    .endm

START
    paging_tables
    // user pages: leaf 0 code, leaf 1 data (user), leaf 2 data (supervisor), leaf 3 execute-only
    MAP(0, user_code, PTE_V | PTE_R | PTE_X | PTE_U | PTE_A | PTE_D)
    MAP(1, data_pages, RW | PTE_U)
    MAP(2, data_pages + PAGE, RW)
    MAP(3, data_pages + 2 * PAGE, PTE_V | PTE_X | PTE_A | PTE_D)
    la a0, data_pages
    li a1, PAGE
    li a2, 1
    sd a2, 0(a0)
    add a0, a0, a1
    li a2, 2
    sd a2, 0(a0)
    add a0, a0, a1
    li a2, 3
    sd a2, 0(a0)
    paging_on

    // M to S and back by ecall; each side counts
    back_on
    li s0, 0
    li s1, 0
    li s3, 0
    la s4, supervisor_code
    li s5, MSTATUS_MPP
    li s6, 0x800
    CASE
1:  csrc mstatus, s5
    csrs mstatus, s6
    csrw mepc, s4
    la s2, 2f
    mret
2:  li a0, CAUSE_ECALL_S
    bne a6, a0, hot_fail
    addi s3, s3, 1
    addi s0, s0, 1
    li a0, ROUNDS
    bne s0, a0, 1b
    back_off
    IS(s1, 7 * ROUNDS)
    IS(s3, ROUNDS)

    // M to U: its code is in user pages; what it may do differs by turns (it reads the user's page,
    // or the supervisor's, which faults)
    back_on
    li s0, 0
    li s1, 0
    li s3, 0
    li s4, WINDOW
    li s7, WINDOW + PAGE
    CASE
1:  csrc mstatus, s5
    csrw mepc, s4
    andi a0, s0, 3
    li s8, WINDOW + PAGE
    bnez a0, 3f
    li s8, WINDOW + 2 * PAGE
3:  la s2, 2f
    mret
2:  li a0, CAUSE_ECALL_U
    beq a6, a0, 4f
    li a0, CAUSE_LOAD_PAGE
    bne a6, a0, hot_fail
    bne a7, s8, hot_fail
    addi s3, s3, 1
    j 5f
4:  addi s1, s1, 10
5:  addi s0, s0, 1
    li a0, ROUNDS
    bne s0, a0, 1b
    back_off
    li s7, 0
    IS(s1, (10 + 1) * ROUNDS / 4 * 3)
    IS(s3, ROUNDS / 4)

    // S to U and back, by delegation
    li a0, 1 << CAUSE_ECALL_U
    csrw medeleg, a0
    la a0, back_s
    csrw stvec, a0
    li s0, 0
    li s1, 0
    li s3, 0
    li s8, WINDOW + PAGE
    to_s
    li s5, MSTATUS_SPP
    CASE
1:  csrc sstatus, s5
    csrw sepc, s4
    la s2, 2f
    sret
2:  li a0, CAUSE_ECALL_U
    bne a6, a0, hot_fail
    addi s3, s3, 1
    addi s0, s0, 1
    li a0, ROUNDS
    bne s0, a0, 1b
    to_m
    csrw medeleg, x0
    IS(s1, ROUNDS)
    IS(s3, ROUNDS)

    // MPRV, by turns: the same address is RAM, or what the page table says
    li s0, 0
    li s1, 0
    li s5, MSTATUS_MPP
    li s6, 0x800
    csrc mstatus, s5
    csrs mstatus, s6
    li s3, MSTATUS_MPRV
    li s4, WINDOW + 2 * PAGE            // in M mode, nothing is there
    la s8, data_pages
    li s9, WINDOW + PAGE
    CASE
1:  csrs mstatus, s3
    ld a0, 0(s4)                        // 2, the supervisor's
    csrc mstatus, s3
    ld a1, 0(s8)                        // 1
    add s1, s1, a0
    add s1, s1, a1
    addi s0, s0, 1
    li a0, ROUNDS
    bne s0, a0, 1b
    IS(s1, 3 * ROUNDS)
    // and the user's page without SUM: a fault, all the time
    back_on
    li s0, 0
    li s1, 0
    CASE
1:  csrc mstatus, s5
    csrs mstatus, s6
    li a0, MSTATUS_SUM
    andi a1, s0, 1
    beqz a1, 2f
    csrs mstatus, a0
    j 3f
2:  csrc mstatus, a0
3:  la s2, 4f
    csrs mstatus, s3
    ld a0, 0(s9)
    csrc mstatus, s3
    addi s1, s1, 1
    beqz a1, hot_fail
    j 5f
    .balign 4
4:  csrc mstatus, s3
    bnez a1, hot_fail
    li a0, CAUSE_LOAD_PAGE
    bne a6, a0, hot_fail
    bne a7, s9, hot_fail
    addi s1, s1, 0x100
5:  addi s0, s0, 1
    li a0, ROUNDS
    bne s0, a0, 1b
    IS(s1, ROUNDS / 2 * 0x101)
    // MXR: an execute-only page may be read
    li s9, WINDOW + 3 * PAGE
    li s0, 0
    li s1, 0
    CASE
1:  csrc mstatus, s5
    csrs mstatus, s6
    li a0, MSTATUS_MXR
    andi a1, s0, 1
    beqz a1, 2f
    csrs mstatus, a0
    j 3f
2:  csrc mstatus, a0
3:  la s2, 4f
    csrs mstatus, s3
    ld a0, 0(s9)
    csrc mstatus, s3
    add s1, s1, a0
    beqz a1, hot_fail
    j 5f
    .balign 4
4:  csrc mstatus, s3
    bnez a1, hot_fail
    addi s1, s1, 0x100
5:  addi s0, s0, 1
    li a0, ROUNDS
    bne s0, a0, 1b
    back_off
    IS(s1, ROUNDS / 2 * 0x103)
    li a0, MSTATUS_MXR | MSTATUS_SUM
    csrc mstatus, a0

    // two address spaces by turns, told apart by ASIDs, without a flush: data ...
    la a0, root_table
    la a1, other_root
    li a2, 512
1:  ld a3, 0(a0)
    sd a3, 0(a1)
    addi a0, a0, 8
    addi a1, a1, 8
    addi a2, a2, -1
    bnez a2, 1b
    map other_root, 4, other_mid, PTE_V
    map other_mid, 0, other_leaf, PTE_V
    map other_leaf, 0, space_b, RWX
    map other_leaf, 1, data_pages + PAGE, RW
    MAP(0, space_a, RWX)
    MAP(1, data_pages, RW)
    la s2, root_table
    srli s2, s2, 12
    li a0, SATP_MODE << 60 | 1 << 44
    or s2, s2, a0
    la s3, other_root
    srli s3, s3, 12
    li a0, SATP_MODE << 60 | 2 << 44
    or s3, s3, a0
    csrw satp, s2
    sfence.vma
    to_s
    li s0, 0
    li s1, 0
    li s4, WINDOW + PAGE
    CASE
1:  csrw satp, s2
    ld a0, 0(s4)
    csrw satp, s3
    ld a1, 0(s4)
    slli a1, a1, 8
    add s1, s1, a0
    add s1, s1, a1
    addi s0, s0, 1
    li a0, ROUNDS
    bne s0, a0, 1b
    IS(s1, 0x201 * ROUNDS)
    // ... stores ...
    sd x0, 8(s4)
    csrw satp, s2
    sd x0, 8(s4)
    li s0, 0
1:  csrw satp, s2
    ld a0, 8(s4)
    addi a0, a0, 1
    sd a0, 8(s4)
    csrw satp, s3
    ld a1, 8(s4)
    addi a1, a1, 5
    sd a1, 8(s4)
    addi s0, s0, 1
    li a0, ROUNDS
    bne s0, a0, 1b
    ld a0, 8(s4)
    IS(a0, 5 * ROUNDS)
    csrw satp, s2
    ld a0, 8(s4)
    IS(a0, ROUNDS)
    // ... and code at the same address, which switches itself, too
    li s0, 0
    li s1, 0
    li s5, WINDOW
    CASE
1:  csrw satp, s2
    jalr s5
    add s1, s1, a0
    csrw satp, s3
    jalr s5
    slli a0, a0, 16
    add s1, s1, a0
    addi s0, s0, 1
    li a0, ROUNDS
    bne s0, a0, 1b
    li a1, 0x50001 * ROUNDS
    SAME(s1, a1)
    li s0, 0
    li s1, 0
    csrw satp, s2
    li s5, WINDOW + 64
1:  jalr s5
    mv a0, s2
    mv s2, s3
    mv s3, a0
    addi s0, s0, 1
    li a0, ROUNDS
    bne s0, a0, 1b
    IS(s1, ROUNDS / 2 * (100 + 2 + 200 + 1))
    to_m
    csrw satp, x0

    // counters go on, and instret by what is run, in a hot loop
    li s0, 0
    rdtime s1
    rdinstret s2
    CASE
1:  rdtime a0
    bltu a0, s1, hot_fail
    mv s1, a0
    rdinstret a0
    bleu a0, s2, hot_fail
    mv s2, a0
    csrw mscratch, s0
    csrrw a0, mscratch, a0
    bne a0, s0, hot_fail
    addi s0, s0, 1
    li a0, ROUNDS
    bne s0, a0, 1b
    PASS

hot_fail:
    la t0, trap_m
    csrw mtvec, t0
    j fail

    .balign 4
back:
    csrr a6, mcause
    csrr a7, mtval
    jr s2
    .balign 4
back_s:
    csrr a6, scause
    csrr a7, stval
    jr s2

    .balign 4
supervisor_code:
    addi s1, s1, 7
    ecall

    .balign 4096
user_code:
    ld a0, 0(s8)
    add s1, s1, a0
    ecall
    .balign 4096
    .macro space n, get, before, after
9:  li a0, \get
    ret
    .org 9b + 64
    .option push
    .option norvc
    addi s1, s1, \before
    csrw satp, s3
    addi s1, s1, \after
    ret
    .option pop
    .endm
space_a:
    space 1, 1, 100, 1
    .balign 4096
space_b:
    space 2, 5, 200, 2
    .balign 4096
other_root:
    .skip 4096
other_mid:
    .skip 4096
other_leaf:
    .skip 4096
    paging_data
