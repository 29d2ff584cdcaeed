// Svnapot: 64 KiB pages of 16 entries; other sizes are reserved.
#define LEVELS 3
#include "paging.h"

#define N 0x8000000000000000

START
    paging_tables
    la a0, area
    li a1, 0
    li a2, PAGE
1:  sd a1, 0(a0)
    add a0, a0, a2
    addi a1, a1, 1
    li a3, 16
    bne a1, a3, 1b
    // all 16 entries are the same: the base with bit 3 of the page number set
    la a0, area
    srli a0, a0, 2
    li a1, N | 8 << 10 | RW
    or a0, a0, a1
    la a1, leaf_table
    li a2, 16
2:  sd a0, 16 * 8(a1)
    addi a1, a1, 8
    addi a2, a2, -1
    bnez a2, 2b
    MAP(32, area, N | 4 << 10 | RW)     // 32 KiB: reserved
    MAP(33, area, N | RW)
    ENTRY(mid_table, 2, N | 0x20000000 | RW)
    paging_on
    to_s
    li s2, WINDOW + 16 * PAGE
    li a1, 0
    li a2, PAGE
3:  ld a0, 0(s2)
    SAME(a0, a1)
    add s2, s2, a2
    addi a1, a1, 1
    li a3, 16
    bne a1, a3, 3b
    li s2, WINDOW + 21 * PAGE
    li a0, 99
    sd a0, 8(s2)
    la a1, area
    li a2, 5 * PAGE
    add a1, a1, a2
    ld a0, 8(a1)
    IS(a0, 99)
    li s2, WINDOW + 32 * PAGE
    TRAPS_AT(CAUSE_LOAD_PAGE, s2, ld a0, 0(s2))
    to_s
    li s2, WINDOW + 33 * PAGE
    TRAPS_AT(CAUSE_STORE_PAGE, s2, sd a0, 0(s2))
    to_s
    li s2, WINDOW + 0x400000
    TRAPS_AT(CAUSE_LOAD_PAGE, s2, ld a0, 0(s2))
    // sfence.vma of one address of a changed 64 KiB page
    la a1, leaf_table
    li a2, 16
4:  sd x0, 16 * 8(a1)
    addi a1, a1, 8
    addi a2, a2, -1
    bnez a2, 4b
    li s2, WINDOW + 20 * PAGE
    sfence.vma s2, x0
    to_s
    TRAPS_AT(CAUSE_LOAD_PAGE, s2, ld a0, 0(s2))
    PASS
    paging_data
    .balign 65536
area:
    .skip 65536
