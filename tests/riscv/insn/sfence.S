// sfence.vma and Svinval: remapped pages, by address, by ASID, all; ASIDs kept apart; global pages.
#define LEVELS 3
#include "paging.h"

    // leaf entry 0 maps data page n
    .macro remap n
    MAP(0, data_pages + (\n) * PAGE, RW)
    .endm
    .macro seen want
    ld a0, 0(s2)
    is a0, \want
    .endm
    .macro space asid
    la t0, root_table
    srli t0, t0, 12
    li t1, SATP_MODE << 60 | (\asid) << 44
    or t0, t0, t1
    csrw satp, t0
    .endm

START
    paging_tables
    la a0, data_pages
    li a2, PAGE
    .irp n, 10, 11, 12, 13
    li a1, \n
    sd a1, 0(a0)
    add a0, a0, a2
    .endr
    remap 0
    paging_on 1
    to_s
    li s2, WINDOW
    CASE
    seen 10
    remap 1
    sfence.vma
    CASE
    seen 11
    remap 2
    sfence.vma s2, x0
    CASE
    seen 12
    remap 3
    li a1, 1
    sfence.vma x0, a1
    CASE
    seen 13
    remap 0
    sfence.vma s2, a1
    CASE
    seen 10
    // the address need not be that of the page's start
    remap 1
    li a2, WINDOW + 2049
    sfence.vma a2, x0
    CASE
    seen 11
    // Svinval
    remap 2
    sfence.w.inval
    sinval.vma s2, x0
    sfence.inval.ir
    CASE
    seen 12
    remap 3
    sfence.w.inval
    sinval.vma s2, a1
    sfence.inval.ir
    CASE
    seen 13
    // another ASID has its own translation, and the first one's comes back
    space 2
    remap 0
    li a1, 2
    sfence.vma x0, a1
    CASE
    seen 10
    remap 1
    sfence.vma s2, a1
    CASE
    seen 11
    space 1
    li a1, 1
    sfence.vma x0, a1
    CASE
    seen 11
    // a global page goes by sfence.vma of its address or of everything
    MAP(0, data_pages + 2 * PAGE, RW | PTE_G)
    sfence.vma
    CASE
    seen 12
    space 3
    seen 12
    MAP(0, data_pages + 3 * PAGE, RW | PTE_G)
    sfence.vma s2, x0
    CASE
    seen 13
    MAP(0, data_pages, RW | PTE_G)
    sfence.vma x0, x0
    CASE
    seen 10
    space 1
    CASE
    seen 10
    // from invalid to valid, from read-only to writable, from valid to invalid
    MAP(0, data_pages, 0)
    sfence.vma
    TRAPS_AT(CAUSE_LOAD_PAGE, s2, ld a0, 0(s2))
    MAP(0, data_pages, PTE_V | PTE_R | PTE_A)
    to_s
    sfence.vma s2, x0
    CASE
    seen 10
    TRAPS_AT(CAUSE_STORE_PAGE, s2, sd a0, 0(s2))
    remap 0
    to_s
    sfence.vma s2, x0
    li a0, 20
    CASE
    sd a0, 0(s2)
    seen 20
    to_m
    // a 2 MiB page: by any address in it
    ENTRY(mid_table, 1, 0x20000000 | RWX)
    sfence.vma
    to_s
    li s2, WINDOW + 0x200000
    lw a0, 0(s2)
    li s3, WINDOW + 0x3ff000
    lw a0, 0(s3)
    la a1, mid_table
    sd x0, 8(a1)
    sfence.vma s3, x0
    TRAPS_AT(CAUSE_LOAD_PAGE, s3, lw a0, 0(s3))
    to_s
    TRAPS_AT(CAUSE_LOAD_PAGE, s2, lw a0, 0(s2))
    // code: the same virtual page shows other code
    MAP(1, code1, RWX)
    sfence.vma
    to_s
    li s2, WINDOW + PAGE
    jalr s2
    IS(a0, 1)
    MAP(1, code2, RWX)
    sfence.vma
    jalr s2
    IS(a0, 2)
    MAP(1, code1, RWX)
    sfence.vma s2, x0
    fence.i
    jalr s2
    IS(a0, 1)
    // two names of one page: a store by one, then by the other, seen by both and by fetches
    MAP(2, code1, RWX)
    sfence.vma
    li s3, WINDOW + 2 * PAGE
    li a1, 0x00700513                   // li a0, 7
    sw a1, 0(s3)
    fence.i
    jalr s2
    IS(a0, 7)
    jalr s3
    IS(a0, 7)
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
    paging_data
