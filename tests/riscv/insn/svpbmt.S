// Svpbmt: memory types NC and IO are accepted with menvcfg.PBMTE, and reserved without.
#define LEVELS 3
#include "paging.h"

#define PBMTE 0x4000000000000000
#define NC    (1 << 61)
#define IO    (2 << 61)

START
    paging_tables
    la a0, data_pages
    li a1, 77
    sd a1, 0(a0)
    MAP(0, data_pages, NC | RW)
    MAP(1, data_pages, IO | RW)
    MAP(2, data_pages, 3 << 61 | RW)
    map mid_table, 1, leaf_table, NC | PTE_V      // on a pointer: reserved
    ENTRY(mid_table, 2, NC | 0x20000000 | RWX)
    li a0, PBMTE
    csrw menvcfg, a0
    csrr a1, menvcfg
    and a1, a1, a0
    SAME(a0, a1)
    paging_on
    to_s
    li s2, WINDOW
    CASE
    ld a0, 0(s2)
    IS(a0, 77)
    li s2, WINDOW + PAGE
    ld a0, 0(s2)
    IS(a0, 77)
    li s2, WINDOW + 0x400000
    lw a0, 0(s2)
    li a1, 0x80000000
    lw a1, 0(a1)
    SAME(a0, a1)
    li s2, WINDOW + 2 * PAGE
    TRAPS_AT(CAUSE_LOAD_PAGE, s2, ld a0, 0(s2))
    to_s
    li s2, WINDOW + 0x200000
    TRAPS_AT(CAUSE_LOAD_PAGE, s2, ld a0, 0(s2))
    csrw menvcfg, x0
    sfence.vma
    to_s
    li s2, WINDOW
    TRAPS_AT(CAUSE_LOAD_PAGE, s2, ld a0, 0(s2))
    to_s
    li s2, WINDOW + PAGE
    TRAPS_AT(CAUSE_STORE_PAGE, s2, sd a0, 0(s2))
    PASS
    paging_data
