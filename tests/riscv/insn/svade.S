// Svade: a hart without Svadu faults when A is clear, and on a store when D is.
//: cpu max,svadu=off,svade=on
#define LEVELS 3
#include "paging.h"

START
    paging_tables
    li a0, 0x2000000000000000
    csrw menvcfg, a0
    csrr a1, menvcfg
    and a1, a1, a0
    IS(a1, 0)
    MAP(0, data_pages, RW & ~PTE_A & ~PTE_D)
    MAP(1, data_pages, RW & ~PTE_D)
    MAP(2, data_pages, RWX & ~PTE_A)
    paging_on
    to_s
    li s2, WINDOW
    TRAPS_AT(CAUSE_LOAD_PAGE, s2, ld a0, 0(s2))
    to_s
    TRAPS_AT(CAUSE_STORE_PAGE, s2, sd a0, 0(s2))
    to_s
    li s2, WINDOW + PAGE
    CASE
    ld a0, 0(s2)
    TRAPS_AT(CAUSE_STORE_PAGE, s2, sd a0, 0(s2))
    to_s
    TRAPS_AT(CAUSE_STORE_PAGE, s2, amoor.d a0, x0, (s2))
    to_s
    li s2, WINDOW + 2 * PAGE
    FETCH_FAULTS(CAUSE_FETCH_PAGE, s2, s2)
    GET(a0, 0)
    andi a0, a0, 0xff
    IS(a0, RW & ~PTE_A & ~PTE_D)
    // the usual handler: it sets the bits, and goes on
    MAP(0, data_pages, RW)
    sfence.vma
    to_s
    li s2, WINDOW
    CASE
    sd a0, 0(s2)
    to_m
    PASS
    paging_data
