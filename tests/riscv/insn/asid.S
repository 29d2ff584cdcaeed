// Two address spaces with ASIDs of their own, switched without any fence: data, code, calls.
#define LEVELS 3
#include "paging.h"

    .macro switch_to root, asid
    la t0, \root
    srli t0, t0, 12
    li t1, SATP_MODE << 60 | (\asid) << 44
    or t0, t0, t1
    csrw satp, t0
    .endm

START
    paging_tables
    // the second space: its own tables from the root down
    ENTRY(root2, 0, RWX)
    ENTRY(root2, 2, 0x20000000 | RWX)
    map root2, 4, mid2, PTE_V
    map mid2, 0, leaf2, PTE_V
    MAP(0, data_pages, RW)
    MAP(1, code1, RWX)
    MAP(2, common, RWX | PTE_G)
    map leaf2, 0, data_pages + PAGE, RW
    map leaf2, 1, code2, RWX
    map leaf2, 2, common, RWX | PTE_G
    map leaf2, 3, code1, RWX            // only there
    sfence.vma
    li a0, 0xffff << 44                 // as many bits as ASIDs have
    csrw satp, a0
    csrw satp, x0
    to_s
    li s0, 500
    li s2, WINDOW
    li s3, WINDOW + PAGE
    li s4, WINDOW + 2 * PAGE
    li s5, WINDOW + 3 * PAGE
1:  switch_to root_table, 1
    sd s0, 0(s2)
    jalr s3
    IS(a0, 1)
    jalr s4
    IS(a0, 11)
    switch_to root2, 2
    slli a1, s0, 1
    sd a1, 0(s2)
    jalr s3
    IS(a0, 2)
    jalr s4
    IS(a0, 12)
    jalr s5
    IS(a0, 1)
    switch_to root_table, 1
    ld a0, 0(s2)
    SAME(a0, s0)
    switch_to root2, 2
    ld a0, 0(s2)
    slli a1, s0, 1
    SAME(a0, a1)
    addi s0, s0, -1
    bnez s0, 1b
    // what the second space has is not in the first
    switch_to root_table, 1
    FETCH_FAULTS(CAUSE_FETCH_PAGE, s5, s5)
    to_s
    TRAPS_AT(CAUSE_LOAD_PAGE, s5, ld a0, 0(s5))
    // code changed in one space is seen in the other
    switch_to root2, 2
    to_s
    li a1, 0x00300513                   // li a0, 3
    sw a1, 0(s5)
    fence.i
    jalr s5
    IS(a0, 3)
    switch_to root_table, 1
    jalr s3
    IS(a0, 3)
    to_m
    PASS

    .balign 4096
code1:
    li a0, 1
    ret
    .balign 4096
code2:
    li a0, 2
    ret
    .balign 4096
common:                                 // a page of both: it goes on in the space's own page
    mv t3, ra
    jalr s3
    addi a0, a0, 10
    jr t3
    .balign 4096
root2:
    .skip 4096
mid2:
    .skip 4096
leaf2:
    .skip 4096
    paging_data
