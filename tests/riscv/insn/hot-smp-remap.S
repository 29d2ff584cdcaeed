// Four harts in one address space run and read hot; hart 0 remaps code and data, and all flush on
// its IPI.
//: smp 4
#define LEVELS 3
#include "smp.h"
#include "paging.h"

#define ROUNDS 40
#define CALLS  2500

hart:
    mv s10, s11
    li a0, 8
    csrw mie, a0
    bnez tp, 1f
    paging_tables
    MAP(0, code_a, RWX)
    MAP(1, data_pages, RW)
    la a0, data_pages
    li a1, PAGE
    add a1, a0, a1
    li a2, 10
    sd a2, 0(a0)
    li a2, 20
    sd a2, 0(a1)
1:  barrier
    paging_on
    la a0, trap_smp
    csrw mtvec, a0
    li s0, 0
    li s5, WINDOW
    li s6, WINDOW + PAGE
2:  // in S mode: CALLS times a function and a load; a0 + data is 11 or 22
    la s9, 3f
    li s2, CALLS
    li s3, 0
    li t0, MSTATUS_MPP
    csrc mstatus, t0
    li t0, 0x800
    csrs mstatus, t0
    la t0, run
    csrw mepc, t0
    mret
3:  andi a1, s0, 1
    addi a1, a1, 1
    li a2, 11 * CALLS
    mul a1, a1, a2
    la a0, trap_m
    csrw mtvec, a0
    SAME(s3, a1)
    la a0, trap_smp
    csrw mtvec, a0
    barrier
    addi s0, s0, 1
    bnez tp, 5f
    andi a0, s0, 1
    beqz a0, 4f
    MAP(0, code_b, RWX)
    MAP(1, data_pages + PAGE, RW)
    j 6f
4:  MAP(0, code_a, RWX)
    MAP(1, data_pages, RW)
6:  li s1, 1
7:  send_ipi s1
    addi s1, s1, 1
    li a0, HARTS
    bne s1, a0, 7b
    sfence.vma
    j 8f
    // until then old or new, each by itself
5:  la s9, 9f
    la t0, wait
    csrw mepc, t0
    li t0, 0x800
    csrs mstatus, t0
    mret
9:  clear_ipi tp
    andi a0, s0, 1
    beqz a0, 7f
    sfence.vma
    j 8f
7:  sfence.vma s5, x0
    sfence.vma s6, x0
8:  barrier
    li a0, ROUNDS
    bltu s0, a0, 2b
    la a0, trap_m
    csrw mtvec, a0
    li s6, 0
    li s7, 0
    jr s10

run:
    jalr s5
    add s3, s3, a0
    ld a0, 0(s6)
    add s3, s3, a0
    addi s2, s2, -1
    bnez s2, run
    ecall

wait:                                   // for the IPI: an interrupt to M mode
    jalr s5
    addi a0, a0, -1
    li a1, 2
    bgeu a0, a1, bad
    ld a0, 0(s6)
    addi a0, a0, -10
    andi a1, a0, ~10 & 0xff
    beqz a1, wait
bad:
    li s9, 0
    ecall

    .balign 4
trap_smp:
    csrr s8, mcause
    la a0, trap_m
    csrw mtvec, a0
    beqz s9, 1f
    la a0, trap_smp
    csrw mtvec, a0
    jr s9
1:  CASE
    li s9, 1
    SAME(s9, x0)

    .balign 4096
code_a:
    li a0, 1
    ret
    .balign 4096
code_b:
    li a0, 2
    ret
    paging_data
