// Four harts, one page table: hart 0 remaps a page, the others flush on its IPI; A and D bits.
//: smp 4
#define LEVELS 3
#include "smp.h"
#include "paging.h"

#define ROUNDS 50

hart:
    mv s10, s11
    li s4, 0
    li a0, 8
    csrw mie, a0
    bnez tp, 1f
    paging_tables
    la a0, data_pages
    sd x0, 0(a0)
    li a1, 1
    li a2, PAGE
    add a0, a0, a2
    sd a1, 0(a0)
    MAP(0, data_pages, RW)
1:  barrier
    paging_on
    li s2, WINDOW
    li a0, 0x800                        // M mode, with S mode's loads and stores
    csrs mstatus, a0
    li s3, MSTATUS_MPRV
    li s0, 0
2:  csrs mstatus, s3
    ld a0, 0(s2)
    csrc mstatus, s3
    SAME(a0, s0)
    barrier
    xori s0, s0, 1
    bnez tp, 4f
    beqz s0, 3f
    MAP(0, data_pages + PAGE, RW)
    j 5f
3:  MAP(0, data_pages, RW)
5:  li s1, 1
6:  send_ipi s1
    addi s1, s1, 1
    li a0, HARTS
    bne s1, a0, 6b
    sfence.vma
    j 7f
4:  wait_ipi
    sfence.vma s2, x0
7:  barrier
    addi s4, s4, 1
    li a0, ROUNDS
    bltu s4, a0, 2b
    // all harts set A and D of one entry by hardware, and lose nothing
    barrier
    bnez tp, 8f
    MAP(1, data_pages, PTE_V | PTE_R | PTE_W)
    la a0, data_pages
    sd x0, 8(a0)
8:  li a0, 0x2000000000000000
    csrw menvcfg, a0
    sfence.vma
    barrier
    li s2, WINDOW + PAGE + 8
    li a1, 1
    csrs mstatus, s3
    amoadd.d x0, a1, (s2)
    csrc mstatus, s3
    barrier
    bnez tp, 9f
    GET(a0, 1)
    andi a0, a0, 0xff
    IS(a0, RW)
    la a1, data_pages
    ld a0, 8(a1)
    IS(a0, HARTS)
9:  jr s10
    paging_data
