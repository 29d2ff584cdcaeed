// Svadu: with menvcfg.ADUE the hart sets A and D itself, precisely, and only when the access works.
#define LEVELS 3
#include "paging.h"

#define ADUE 0x2000000000000000

START
    paging_tables
    li a0, ADUE
    csrw menvcfg, a0
    csrr a1, menvcfg
    and a1, a1, a0
    SAME(a0, a1)
    .irp n, 0, 1, 2, 3
    MAP(\n, data_pages, PTE_V | PTE_R | PTE_W)
    .endr
    MAP(4, data_pages, PTE_V | PTE_R)
    MAP(5, data_pages, PTE_V | PTE_R | PTE_W | PTE_U)
    MAP(6, code_page, PTE_V | PTE_X)
    ENTRY(mid_table, 3, 0x20000400 | PTE_V | PTE_R | PTE_W)       // misaligned
    paging_on
    to_s
    // a load sets A; a store then sets D
    li s2, WINDOW
    CASE
    ld a0, 0(s2)
    GET(a0, 0)
    andi a0, a0, 0xff
    IS(a0, PTE_V | PTE_R | PTE_W | PTE_A)
    sd a0, 0(s2)
    GET(a0, 0)
    andi a0, a0, 0xff
    IS(a0, RW)
    // a store sets both, an AMO too, SC, LR
    li s2, WINDOW + PAGE
    sd a0, 0(s2)
    GET(a0, 1)
    andi a0, a0, 0xff
    IS(a0, RW)
    li s2, WINDOW + 2 * PAGE
    amoadd.w a0, a0, (s2)
    GET(a0, 2)
    andi a0, a0, 0xff
    IS(a0, RW)
    li s2, WINDOW + 3 * PAGE
    lr.w a0, (s2)
    GET(a0, 3)
    andi a0, a0, 0xff
    IS(a0, PTE_V | PTE_R | PTE_W | PTE_A)
    // refused accesses leave the entry alone
    li s2, WINDOW + 4 * PAGE
    TRAPS_AT(CAUSE_STORE_PAGE, s2, sd a0, 0(s2))
    to_s
    GET(a0, 4)
    andi a0, a0, 0xff
    IS(a0, PTE_V | PTE_R)
    li s2, WINDOW + 5 * PAGE
    TRAPS_AT(CAUSE_LOAD_PAGE, s2, ld a0, 0(s2))
    to_s
    GET(a0, 5)
    andi a0, a0, 0xff
    IS(a0, PTE_V | PTE_R | PTE_W | PTE_U)
    li s2, WINDOW + 0x600000
    TRAPS_AT(CAUSE_LOAD_PAGE, s2, ld a0, 0(s2))
    la a1, mid_table
    ld a0, 24(a1)
    andi a0, a0, 0xff
    IS(a0, PTE_V | PTE_R | PTE_W)
    to_s
    // a fetch sets A
    li s2, WINDOW + 6 * PAGE
    CASE
    jalr s2
    IS(a0, 4321)
    GET(a0, 6)
    andi a0, a0, 0xff
    IS(a0, PTE_V | PTE_X | PTE_A)
    to_m
    // a store over two pages sets D in both
    MAP(0, data_pages, PTE_V | PTE_R | PTE_W)
    MAP(1, data_pages + PAGE, PTE_V | PTE_R | PTE_W)
    sfence.vma
    to_s
    li s2, WINDOW + PAGE - 3
    sd a0, 0(s2)
    GET(a0, 0)
    andi a0, a0, 0xff
    IS(a0, RW)
    GET(a0, 1)
    andi a0, a0, 0xff
    IS(a0, RW)
    to_m
    // without ADUE: faults (Svade)
    MAP(0, data_pages, PTE_V | PTE_R | PTE_W)
    csrw menvcfg, x0
    sfence.vma
    to_s
    li s2, WINDOW
    TRAPS_AT(CAUSE_LOAD_PAGE, s2, ld a0, 0(s2))
    to_m
    PASS

    .balign 4096
code_page:
    li a0, 4321
    ret
    paging_data
