// Misaligned accesses, and accesses and instructions over the border of two pages, precisely.
#define LEVELS 3
#include "paging.h"

START
    // without paging, every offset of every size
    la s2, data_pages
    li a1, 0x8877665544332211
    li a2, 0xffeeddccbbaa9988
    sd a1, 0(s2)
    sd a2, 8(s2)
    .irp n, 1, 3, 7
    CASE
    ld a0, \n(s2)
    li a3, \n * 8
    srl a4, a1, a3
    li a5, 64 - \n * 8
    sll a3, a2, a5
    or a4, a4, a3
    SAME(a0, a4)
    .endr
    lhu a0, 7(s2)
    IS(a0, 0x8888)
    lw a0, 5(s2)
    IS(a0, 0xffffffff88887766)
    flw fa0, 6(s2)
    fmv.x.w a0, fa0
    IS(a0, 0xffffffff99888877)
    fld fa0, 4(s2)
    fmv.x.d a0, fa0
    IS(a0, 0xbbaa998888776655)
    // two pages, next to each other only in virtual memory
    paging_tables
    MAP(0, data_pages + 2 * PAGE, RWX)
    MAP(1, data_pages, RWX)
    MAP(3, data_pages + PAGE, RWX)      // 2 and 4 are not mapped
    MAP(5, data_pages, PTE_V | PTE_R | PTE_A)
    MAP(6, data_pages + PAGE, RW)
    MAP(7, data_pages, PTE_V | PTE_R | PTE_A)
    paging_on
    to_s
    li s2, WINDOW + PAGE - 3
    li a1, 0x1122334455667788
    CASE
    sd a1, 0(s2)
    ld a0, 0(s2)
    SAME(a0, a1)
    lbu a0, data_pages + 3 * PAGE - 1
    IS(a0, 0x66)
    lbu a0, data_pages
    IS(a0, 0x55)
    li s2, WINDOW + PAGE - 1
    sh a1, 0(s2)
    lhu a0, 0(s2)
    IS(a0, 0x7788)
    li s2, WINDOW + PAGE - 2
    sw a1, 0(s2)
    lw a0, 0(s2)
    IS(a0, 0x55667788)
    fld fa0, -4(s2)
    fsd fa0, -5(s2)
    to_m
    // the second page is not mapped: its address is reported, nothing is written
    li s2, WINDOW + 2 * PAGE - 3
    li s3, WINDOW + 2 * PAGE
    la s4, data_pages + PAGE - 8
    li a1, -1
    .macro second_faults cause, insn:vararg
    sd x0, 0(s4)
    to_s
    CASE
    traps_at \cause, s3, \insn
    CASE
    ld a0, 0(s4)
    is a0, 0
    .endm
    second_faults CAUSE_LOAD_PAGE, ld a0, 0(s2)
    second_faults CAUSE_LOAD_PAGE, lw a0, 0(s2)
    second_faults CAUSE_STORE_PAGE, sd a1, 0(s2)
    second_faults CAUSE_STORE_PAGE, sw a1, 0(s2)
    second_faults CAUSE_STORE_PAGE, sh a1, 2(s2)
    second_faults CAUSE_STORE_PAGE, fsd fa0, 0(s2)
    second_faults CAUSE_LOAD_PAGE, fld fa0, 0(s2)
    // the destination is not written either
    to_s
    li a0, 1234
    TRAPS_AT(CAUSE_LOAD_PAGE, s3, ld a0, 0(s2))
    IS(a0, 1234)
    // the first page is not mapped
    li s2, WINDOW + 3 * PAGE - 3
    la s4, data_pages + PAGE
    sd x0, 0(s4)
    to_s
    TRAPS_AT(CAUSE_STORE_PAGE, s2, sd a1, 0(s2))
    to_s
    TRAPS_AT(CAUSE_LOAD_PAGE, s2, ld a0, 0(s2))
    ld a0, 0(s4)
    IS(a0, 0)
    // the first page is read-only, the second is writable; and the other way round
    li s2, WINDOW + 6 * PAGE - 4
    to_s
    CASE
    ld a0, 0(s2)
    TRAPS_AT(CAUSE_STORE_PAGE, s2, sd a1, 0(s2))
    ld a0, 0(s4)
    IS(a0, 0)
    li s2, WINDOW + 7 * PAGE - 4
    li s3, WINDOW + 7 * PAGE
    la s4, data_pages + 2 * PAGE - 8
    sd x0, 0(s4)
    to_s
    TRAPS_AT(CAUSE_STORE_PAGE, s3, sd a1, 0(s2))
    ld a0, 0(s4)
    IS(a0, 0)
    // an instruction over two pages that are not neighbours in memory
    la s4, data_pages + 3 * PAGE - 2
    li a1, 0x0513                       // li a0, 99: low half, high half
    sh a1, 0(s4)
    la s4, data_pages
    li a1, 0x0630
    sh a1, 0(s4)
    li a1, 0x8082                       // ret
    sh a1, 2(s4)
    fence.i
    to_s
    li s2, WINDOW + PAGE - 2
    CASE
    jalr s2
    IS(a0, 99)
    // its second half changes
    li s3, WINDOW + PAGE
    li a1, 0x0640
    sh a1, 0(s3)
    fence.i
    CASE
    jalr s2
    IS(a0, 100)
    // its second page goes: the fault's epc is the instruction, its tval the second page
    to_m
    MAP(1, data_pages, 0)
    sfence.vma
    to_s
    CASE
    la s7, 1f
    jr s2
    j fail
    .balign 4
1:  is s8, CAUSE_FETCH_PAGE
    SAME(s9, s3)
    SAME(s10, s2)
    // a compressed instruction at the end of the page needs no second page
    la s4, data_pages + 3 * PAGE - 2
    li a1, 0x8082
    sh a1, 0(s4)
    fence.i
    to_s
    CASE
    jalr s2
    // straight-line code that runs into the missing page
    to_m
    la s4, data_pages + 3 * PAGE - 2
    li a1, 0x0505                       // addi a0, a0, 1
    sh a1, 0(s4)
    fence.i
    li a0, 5
    to_s
    CASE
    la s7, 2f
    jr s2
    j fail
    .balign 4
2:  is s8, CAUSE_FETCH_PAGE
    SAME(s9, s3)
    SAME(s10, s3)
    IS(a0, 6)
    // cbo.zero, AMOs of a page's last bytes
    to_s
    li s2, WINDOW + PAGE - 8
    amoswap.d a0, a1, (s2)
    cbo_zero:
    to_m
    PASS
    paging_data
