// PMP binds the page-table walk: tables that may not be read, A and D bits that may not be written.
#define LEVELS 3
#include "paging.h"

#define R 1
#define W 2
#define X 4
#define NAPOT 0x18
#define ADUE 0x2000000000000000
#define ALL (NAPOT | R | W | X)

    .macro leaf_rights rights
    la t0, leaf_table
    srli t0, t0, 2
    ori t0, t0, PAGE / 8 - 1
    csrw pmpaddr0, t0
    li t0, -1
    csrw pmpaddr1, t0
    li t0, (\rights) | ALL << 8
    csrw pmpcfg0, t0
    sfence.vma
    .endm

START
    paging_tables
    li a0, ADUE
    csrw menvcfg, a0
    MAP(0, data_pages, RWX)
    MAP(1, data_pages, PTE_V | PTE_R | PTE_W)
    paging_on
    li s2, WINDOW
    li s3, WINDOW + PAGE
    leaf_rights NAPOT | R | W
    to_s
    CASE
    ld a0, 0(s2)
    to_m
    // not readable: access faults of the kind of the access, tval is the virtual address
    leaf_rights NAPOT
    to_s
    TRAPS_AT(CAUSE_LOAD_ACCESS, s2, ld a0, 0(s2))
    to_s
    TRAPS_AT(CAUSE_STORE_ACCESS, s2, sd a0, 0(s2))
    to_s
    TRAPS_AT(CAUSE_STORE_ACCESS, s2, amoadd.w a0, a0, (s2))
    to_s
    FETCH_FAULTS(CAUSE_FETCH_ACCESS, s2, s2)
    // M mode with MPRV walks as S mode does
    li a0, 0x800
    csrs mstatus, a0
    li a1, MSTATUS_MPRV
    csrs mstatus, a1
    TRAPS_AT(CAUSE_LOAD_ACCESS, s2, ld a0, 0(s2))
    csrc mstatus, a1
    // readable only: a walk works until it has A or D to write
    leaf_rights NAPOT | R
    to_s
    CASE
    ld a0, 0(s2)
    sd a0, 0(s2)
    TRAPS_AT(CAUSE_LOAD_ACCESS, s3, ld a0, 0(s3))
    to_s
    TRAPS_AT(CAUSE_STORE_ACCESS, s3, sd a0, 0(s3))
    GET(a0, 1)
    andi a0, a0, 0xff
    IS(a0, PTE_V | PTE_R | PTE_W)
    // the page itself: PMP after the walk; A is set nevertheless or not, the access faults
    leaf_rights NAPOT | R | W
    la t0, data_pages
    srli t0, t0, 2
    ori t0, t0, PAGE / 8 - 1
    csrw pmpaddr0, t0
    li t0, NAPOT | R | ALL << 8
    csrw pmpcfg0, t0
    sfence.vma
    to_s
    CASE
    ld a0, 0(s2)
    TRAPS_AT(CAUSE_STORE_ACCESS, s2, sd a0, 0(s2))
    // sret takes MPRV away
    li a0, MSTATUS_MPRV | MSTATUS_SPP
    csrs mstatus, a0
    la a0, 1f
    csrw sepc, a0
    sret
1:  to_m
    csrr a0, mstatus
    li a1, MSTATUS_MPRV
    and a0, a0, a1
    IS(a0, 0)
    PASS
    paging_data
