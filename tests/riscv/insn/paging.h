/*
 * Page tables for the paging tests, for LEVELS levels (3: Sv39, 4: Sv48, 5: Sv57).
 *
 * The lowest gigabytes are mapped onto themselves for S mode, at the level of 1 GiB pages: devices
 * at 0, RAM at 0x80000000. WINDOW is 4 KiB pages of one table, leaf_table, that a test fills; its
 * upper half (WINDOW + 1 MiB on) is there too. mid_table holds the 2 MiB pages from WINDOW's
 * table on: entry 1 and up are free. All is set up by `paging_tables` (M mode, clobbers t0 to t3).
 */

#ifndef PAGING_H
#define PAGING_H

#include "test.h"

#define SATP_MODE (LEVELS + 5)
#define PAGE      4096
#define WINDOW    0x100000000           /* entry 4 of the 1 GiB level */
#define RWX       (PTE_V | PTE_R | PTE_W | PTE_X | PTE_A | PTE_D)
#define RW        (PTE_V | PTE_R | PTE_W | PTE_A | PTE_D)

/* leaf_table[index] = PTE of the page at label + offset with these flags; flushed by the test */
#define MAP(index, label, flags) map leaf_table, index, label, flags
/* 1 GiB level */
#define MAP_GIGA(index, label, flags) map giga_table, index, label, flags
#define MAP_MEGA(index, label, flags) map mid_table, index, label, flags
    .macro map table, index, label, flags
    la t0, \label
    srli t0, t0, 2
    li t1, \flags
    or t0, t0, t1
    la t1, \table
    li t2, (\index) * 8
    add t1, t1, t2
    sd t0, 0(t1)
    .endm
/* a raw entry */
#define ENTRY(table, index, value) entry table, index, value
    .macro entry table, index, value
    li t0, \value
    la t1, \table
    sd t0, (\index) * 8(t1)
    .endm
/* reg = leaf_table[index] */
#define GET(reg, index) la t1, leaf_table; ld reg, (index) * 8(t1)

    .macro paging_on asid=0
    la t0, root_table
    srli t0, t0, 12
    li t1, SATP_MODE << 60 | (\asid) << 44
    or t0, t0, t1
    csrw satp, t0
    sfence.vma
    .endm

    .macro paging_tables
    /* the levels above 1 GiB pages, if any */
    la t0, root_table
    la t2, giga_table
    srli t2, t2, 2
    ori t2, t2, PTE_V
#if LEVELS == 5
    la t1, upper_table
    sd t2, 0(t1)
    srli t2, t1, 2
    ori t2, t2, PTE_V
    sd t2, 0(t0)
#elif LEVELS == 4
    sd t2, 0(t0)
#endif
    ENTRY(giga_table, 0, RWX)
    ENTRY(giga_table, 2, 0x20000000 | RWX)
    map giga_table, 4, mid_table, PTE_V
    map mid_table, 0, leaf_table, PTE_V
    .endm

    .macro paging_data
    .balign 4096
giga_table:
#if LEVELS == 3
root_table:
#endif
    .skip 4096
mid_table:
    .skip 4096
leaf_table:
    .skip 4096
#if LEVELS > 3
root_table:
    .skip 4096
#endif
#if LEVELS > 4
upper_table:
    .skip 4096
#endif
data_pages:
    .skip 4 * 4096
    .endm

#endif
