/* The walk: what sv39.S, sv48.S and sv57.S have in common, with LEVELS set. */

#include "paging.h"

START
    paging_tables
    la a0, data_pages
    li a1, 0x1111
    sd a1, 0(a0)
    li a2, PAGE
    add a0, a0, a2
    li a1, 0x2222
    sd a1, 0(a0)
    sd a1, 8(a0)
    csrw menvcfg, x0                    // no hardware update of A and D
    MAP(0, data_pages, RW)
    MAP(1, data_pages + PAGE, PTE_V | PTE_R | PTE_A)
    MAP(2, data_pages, PTE_V | PTE_X | PTE_A)
    MAP(3, data_pages, RW | PTE_U)
    MAP(4, data_pages, RWX | PTE_U)
    MAP(5, data_pages, RW & ~PTE_V)
    MAP(6, data_pages, PTE_V | PTE_W | PTE_A | PTE_D)
    MAP(7, data_pages, PTE_V | PTE_W | PTE_X | PTE_A | PTE_D)
    MAP(8, data_pages, PTE_V)           // a pointer at the last level
    MAP(9, data_pages, RW & ~PTE_A)
    MAP(10, data_pages, RW & ~PTE_D)
    MAP(11, code_page, PTE_V | PTE_R | PTE_X | PTE_A)
    MAP(12, code_page, PTE_V | PTE_R | PTE_X | PTE_A | PTE_U)
    MAP(13, code_page, RWX & ~PTE_A)
    ENTRY(leaf_table, 14, 1 << 54 | 0x20000000 | RW)      // reserved bits
    ENTRY(leaf_table, 15, 1 << 58 | 0x20000000 | RW)
    ENTRY(leaf_table, 16, 3 << 61 | 0x20000000 | RW)
    MAP(17, code_page, PTE_V | PTE_X | PTE_A)
    la a0, trap_s
    csrw stvec, a0
    paging_on
    csrr a0, satp
    srli a0, a0, 60
    IS(a0, SATP_MODE)
    li a0, 1 << CAUSE_FETCH_PAGE | 1 << CAUSE_LOAD_PAGE | 1 << CAUSE_STORE_PAGE
    csrw medeleg, a0
    to_s
    // plain pages
    li s0, WINDOW
    li s1, PAGE
    CASE
    ld a0, 0(s0)
    IS(a0, 0x1111)
    add s2, s0, s1
    ld a0, 0(s2)
    IS(a0, 0x2222)
    li a0, 0x3333
    sd a0, 0(s0)
    ld a0, 0(s0)
    IS(a0, 0x3333)
    addi a3, s2, 8
    TRAPS_AT(CAUSE_STORE_PAGE, a3, sd a0, 0(a3))
    TAKEN_IN(1)
    TRAPS_AT(CAUSE_STORE_PAGE, a3, amoadd.d a0, a0, (a3))
    TRAPS_AT(CAUSE_STORE_PAGE, a3, sb a0, 0(a3))
    FETCH_FAULTS(CAUSE_FETCH_PAGE, s0, s0)
    // execute only: no loads, until MXR
    add s2, s2, s1
    TRAPS_AT(CAUSE_LOAD_PAGE, s2, ld a0, 0(s2))
    TRAPS_AT(CAUSE_LOAD_PAGE, s2, lr.d a0, (s2))
    TRAPS_AT(CAUSE_STORE_PAGE, s2, sd a0, 0(s2))
    li a1, MSTATUS_MXR
    csrs sstatus, a1
    CASE
    ld a0, 0(s2)
    IS(a0, 0x3333)
    TRAPS_AT(CAUSE_STORE_PAGE, s2, sd a0, 0(s2))
    csrc sstatus, a1
    TRAPS_AT(CAUSE_LOAD_PAGE, s2, ld a0, 0(s2))
    // a user page: only with SUM, never to run
    add s2, s2, s1
    TRAPS_AT(CAUSE_LOAD_PAGE, s2, ld a0, 0(s2))
    TRAPS_AT(CAUSE_STORE_PAGE, s2, sd a0, 0(s2))
    li a1, MSTATUS_SUM
    csrs sstatus, a1
    CASE
    ld a0, 0(s2)
    IS(a0, 0x3333)
    sd a0, 8(s2)
    add s3, s2, s1
    FETCH_FAULTS(CAUSE_FETCH_PAGE, s3, s3)
    csrc sstatus, a1
    TRAPS_AT(CAUSE_LOAD_PAGE, s2, ld a0, 0(s2))
    // entries that do not count: 5 to 10 and 14 to 16
    .irp n, 5, 6, 7, 8, 9, 14, 15, 16
    li s2, WINDOW + \n * PAGE + 16
    TRAPS_AT(CAUSE_LOAD_PAGE, s2, ld a0, 0(s2))
    TRAPS_AT(CAUSE_STORE_PAGE, s2, sd a0, 0(s2))
    .endr
    li s2, WINDOW + 7 * PAGE
    FETCH_FAULTS(CAUSE_FETCH_PAGE, s2, s2)
    li s2, WINDOW + 10 * PAGE
    CASE
    ld a0, 0(s2)
    IS(a0, 0x3333)
    TRAPS_AT(CAUSE_STORE_PAGE, s2, sd a0, 0(s2))
    GET(a0, 9)
    andi a0, a0, PTE_A | PTE_D
    IS(a0, PTE_D)
    // fetches
    li s2, WINDOW + 11 * PAGE
    CASE
    jalr s2
    IS(a0, 4321)
    li s2, WINDOW + 17 * PAGE
    CASE
    jalr s2
    IS(a0, 4321)
    .irp n, 12, 13, 100
    li s2, WINDOW + \n * PAGE
    FETCH_FAULTS(CAUSE_FETCH_PAGE, s2, s2)
    .endr
    // no table at the levels above
    li s2, WINDOW + 0x200000
    TRAPS_AT(CAUSE_LOAD_PAGE, s2, lb a0, 0(s2))
    li s2, WINDOW + 0x40000000
    TRAPS_AT(CAUSE_LOAD_PAGE, s2, lb a0, 0(s2))
    FETCH_FAULTS(CAUSE_FETCH_PAGE, s2, s2)
    // addresses must be sign extended from their highest bit
    li s2, 1 << (12 + 9 * LEVELS)
    TRAPS_AT(CAUSE_LOAD_PAGE, s2, lb a0, 0(s2))
    TRAPS_AT(CAUSE_STORE_PAGE, s2, sb a0, 0(s2))
    FETCH_FAULTS(CAUSE_FETCH_PAGE, s2, s2)
    li s2, (1 << (12 + 9 * LEVELS)) + 0x80000000
    TRAPS_AT(CAUSE_LOAD_PAGE, s2, lb a0, 0(s2))
    li s2, 1 << 63 | 0x80000000
    TRAPS_AT(CAUSE_LOAD_PAGE, s2, lb a0, 0(s2))
    to_m
    // U mode: user pages only; its code runs from a user page
    .irp n, 0, 1, 2
    la a1, u_load
    li s2, WINDOW + \n * PAGE
    jal u_call
    is s8, CAUSE_LOAD_PAGE
    SAME(s9, s2)
    TAKEN_IN(1)
    to_m
    .endr
    CASE
    la a1, u_load
    li s2, WINDOW + 3 * PAGE
    jal u_call
    is s8, CAUSE_ECALL_U
    IS(a0, 0x3333)
    CASE
    la a1, u_load
    li s2, 0x80000000
    jal u_call
    is s8, CAUSE_LOAD_PAGE
    to_m
    // MPRV: M mode's loads and stores by S or U mode's rules, its fetches not
    li a0, 0x800
    csrs mstatus, a0
    li a0, MSTATUS_MPRV
    csrs mstatus, a0
    li s2, WINDOW
    CASE
    ld a0, 0(s2)
    li a1, MSTATUS_MPRV
    csrc mstatus, a1
    IS(a0, 0x3333)
    li s2, WINDOW + 3 * PAGE
    csrs mstatus, a1
    TRAPS_AT(CAUSE_LOAD_PAGE, s2, ld a0, 0(s2))
    TAKEN_IN(3)
    csrc mstatus, a1
    li a0, MSTATUS_MPP
    csrc mstatus, a0
    csrs mstatus, a1
    CASE
    ld a0, 0(s2)
    csrc mstatus, a1
    IS(a0, 0x3333)
    // satp does not bind M mode otherwise
    li s2, WINDOW + 0x10000000000
    TRAPS_AT(CAUSE_LOAD_ACCESS, s2, lb a0, 0(s2))
    // superpages: 2 MiB and larger map everything below; misaligned ones fault
    ENTRY(mid_table, 1, 0x20000000 | RWX)
    ENTRY(mid_table, 2, 0x20000400 | RWX)
    ENTRY(mid_table, 3, 0x20000000 | (RW & ~PTE_A & ~PTE_D))
    ENTRY(giga_table, 5, 0x20000000 | RWX)
    ENTRY(giga_table, 6, 0x20080000 | RWX)
#if LEVELS > 3
    ENTRY(root_table, 1, RWX)
    ENTRY(root_table, 2, 0x20000000 | RWX)
#endif
    sfence.vma
    to_s
    la s2, data_pages
    li a1, 0x7fffffff
    and s3, s2, a1
    li a1, WINDOW + 0x200000
    add a1, a1, s3
    CASE
    ld a0, 0(a1)
    IS(a0, 0x3333)
    li a1, WINDOW + 0x40000000
    add a1, a1, s3
    ld a0, 0(a1)
    IS(a0, 0x3333)
    li a1, WINDOW + 0x400000
    TRAPS_AT(CAUSE_LOAD_PAGE, a1, ld a0, 0(a1))
    li a1, WINDOW + 0x80000000
    TRAPS_AT(CAUSE_STORE_PAGE, a1, sd a0, 0(a1))
    FETCH_FAULTS(CAUSE_FETCH_PAGE, a1, a1)
    li a1, WINDOW + 0x600000
    TRAPS_AT(CAUSE_LOAD_PAGE, a1, ld a0, 0(a1))
#if LEVELS > 3
    li a1, 1 << (12 + 9 * LEVELS - 9)
    add a1, a1, s2
    CASE
    ld a0, 0(a1)
    IS(a0, 0x3333)
    li a1, 2 << (12 + 9 * LEVELS - 9)
    TRAPS_AT(CAUSE_LOAD_PAGE, a1, ld a0, 0(a1))
#endif
    to_m
    // a pointer with A, D or U set is reserved
    .irp bit, PTE_A, PTE_D, PTE_U
    map mid_table, 0, leaf_table, PTE_V | \bit
    sfence.vma
    to_s
    li s2, WINDOW
    TRAPS_AT(CAUSE_LOAD_PAGE, s2, ld a0, 0(s2))
    to_m
    .endr
    // a table where nothing is: an access fault of the kind of the access
    ENTRY(mid_table, 0, 0x4000000000 | PTE_V)
    sfence.vma
    to_s
    li s2, WINDOW
    TRAPS_AT(CAUSE_LOAD_ACCESS, s2, ld a0, 0(s2))
    TRAPS_AT(CAUSE_STORE_ACCESS, s2, sd a0, 0(s2))
    FETCH_FAULTS(CAUSE_FETCH_ACCESS, s2, s2)
    to_m
    PASS

    // from M mode, in U mode: the routine at a1, which ends in a trap that comes back here
u_call:
    mv s1, ra
    la t0, code_page
    sub a1, a1, t0
    li t0, WINDOW + 12 * PAGE
    add a1, a1, t0
    csrw mepc, a1
    li t0, MSTATUS_MPP
    csrc mstatus, t0
    la s7, 1f
    mret
    .balign 4
1:  jr s1

    .balign 4096
code_page:
    li a0, 4321
    ret
u_load:
    ld a0, 0(s2)
    ecall
    paging_data
