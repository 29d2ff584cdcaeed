// PMP: OFF, TOR, NA4, NAPOT, priority, borders inside a page, locks, page tables, MPRV.
#include "test.h"

#define R 1
#define W 2
#define X 4
#define TOR 0x08
#define NA4 0x10
#define NAPOT 0x18
#define L 0x80
// pmpaddr of a range of 2^n bytes
#define RANGE(reg, label, size) la reg, label; srli reg, reg, 2; ori reg, reg, ((size) / 8 - 1)

START
    csrw pmpcfg0, x0
    // registers: 54 bits of address, even configuration registers only
    li a0, -1
    csrw pmpaddr1, a0
    csrr a0, pmpaddr1
    IS(a0, 0x3fffffffffffff)
    ILLEGAL(csrr a0, pmpcfg1)
    // 1: NAPOT of 64 bytes inside a page, nothing allowed; 2: everything
    RANGE(a0, page + 64, 64)
    csrw pmpaddr1, a0
    li a0, -1
    csrw pmpaddr2, a0
    li a0, (NAPOT) << 8 | (NAPOT | R | W | X) << 16
    csrw pmpcfg0, a0
    la s2, page
    CASE
    ld a0, 64(s2)                       // M mode may
    to_s
    CASE
    ld a0, 56(s2)
    sd a0, 56(s2)
    ld a0, 128(s2)
    addi a1, s2, 64
    TRAPS_AT(CAUSE_LOAD_ACCESS, a1, ld a0, 64(s2))
    to_s
    TRAPS_AT(CAUSE_STORE_ACCESS, a1, sd a0, 64(s2))
    to_s
    addi a2, s2, 127
    TRAPS_AT(CAUSE_LOAD_ACCESS, a2, lb a0, 127(s2))
    to_s
    TRAPS_AT(CAUSE_STORE_ACCESS, a1, amoadd.d a0, a0, (a1))
    to_s
    FETCH_FAULTS(CAUSE_FETCH_ACCESS, a1, a1)
    // again after the neighbours were in use, in U mode too
    to_u
    ld a0, 56(s2)
    TRAPS_AT(CAUSE_LOAD_ACCESS, a1, ld a0, 64(s2))
    // read-only, execute-only
    li a0, (NAPOT | R) << 8 | (NAPOT | R | W | X) << 16
    csrw pmpcfg0, a0
    to_s
    CASE
    ld a0, 64(s2)
    TRAPS_AT(CAUSE_STORE_ACCESS, a1, sb a0, 64(s2))
    to_s
    FETCH_FAULTS(CAUSE_FETCH_ACCESS, a1, a1)
    li a0, (NAPOT | X) << 8 | (NAPOT | R | W | X) << 16
    csrw pmpcfg0, a0
    to_s
    CASE
    jalr a1
    IS(a0, 55)
    TRAPS_AT(CAUSE_LOAD_ACCESS, a1, lw a0, 64(s2))
    // NA4
    la a0, page + 68
    srli a0, a0, 2
    csrw pmpaddr1, a0
    li a0, (NA4) << 8 | (NAPOT | R | W | X) << 16
    csrw pmpcfg0, a0
    to_s
    CASE
    lw a0, 64(s2)
    lw a0, 72(s2)
    sw a0, 72(s2)
    addi a1, s2, 68
    TRAPS_AT(CAUSE_LOAD_ACCESS, a1, lw a0, 68(s2))
    to_s
    TRAPS_AT(CAUSE_STORE_ACCESS, a1, sh a0, 68(s2))
    // an access that only partly lies in the region fails as a whole
    to_s
    la s7, 1f
    CASE
    ld a0, 64(s2)
    j fail
    .balign 4
1:  is s8, CAUSE_LOAD_ACCESS
    sw x0, 64(s2)
    sw x0, 68(s2)
    addi a1, s2, 64
    TRAPS_AT(CAUSE_LOAD_ACCESS, a1, ld a0, 64(s2))  // M mode as well
    to_s
    la s7, 2f
    li a0, -1
    CASE
    sd a0, 64(s2)
    j fail
    .balign 4
2:  is s8, CAUSE_STORE_ACCESS
    lw a0, 64(s2)
    IS(a0, 0)
    // TOR: page + 256 to page + 1024 not writable; the lower bound is the entry before
    la a0, page + 256
    srli a0, a0, 2
    csrw pmpaddr0, a0
    la a0, page + 1024
    srli a0, a0, 2
    csrw pmpaddr1, a0
    li a0, (TOR | R) << 8 | (NAPOT | R | W | X) << 16
    csrw pmpcfg0, a0
    to_s
    CASE
    sd a0, 248(s2)
    sd a0, 1024(s2)
    ld a0, 256(s2)
    addi a1, s2, 256
    TRAPS_AT(CAUSE_STORE_ACCESS, a1, sd a0, 256(s2))
    to_s
    addi a1, s2, 1020
    TRAPS_AT(CAUSE_STORE_ACCESS, a1, sw a0, 1020(s2))
    // an empty TOR matches nothing
    csrw pmpaddr1, x0
    to_s
    CASE
    sd a0, 256(s2)
    to_m
    // the lower number wins
    RANGE(a0, page, 4096)
    csrw pmpaddr0, a0
    csrw pmpaddr1, a0
    li a0, (NAPOT | R | W) | (NAPOT | R) << 8 | (NAPOT | R | W | X) << 16
    csrw pmpcfg0, a0
    to_s
    CASE
    sd a0, 0(s2)
    to_m
    li a0, (NAPOT | R) | (NAPOT | R | W) << 8 | (NAPOT | R | W | X) << 16
    csrw pmpcfg0, a0
    to_s
    TRAPS_AT(CAUSE_STORE_ACCESS, s2, sd a0, 0(s2))
    // MPRV: M mode by S mode's rules
    li a0, 0x800
    csrs mstatus, a0
    li a1, MSTATUS_MPRV
    csrs mstatus, a1
    TRAPS_AT(CAUSE_STORE_ACCESS, s2, sd a0, 0(s2))
    csrc mstatus, a1
    CASE
    sd a0, 0(s2)
    // no region matches: S and U may not, M may
    RANGE(a0, page, 4096)
    csrw pmpaddr0, a0
    li a0, (NAPOT | R)
    csrw pmpcfg0, a0
    CASE
    la a1, other
    ld a0, 0(a1)
    to_fetch:
    la s7, 3f
    li t5, MSTATUS_MPP
    csrc mstatus, t5
    csrw mepc, a1
    mret
    .balign 4
3:  is s8, CAUSE_FETCH_ACCESS
    SAME(s10, a1)
    // locks bind M mode, and stay
    RANGE(a0, other, 4096)
    csrw pmpaddr3, a0
    li a0, (NAPOT | R | W | X) << 16 | (NAPOT | L | R) << 24
    csrw pmpcfg0, a0
    li a2, -1
    CASE
    csrw pmpaddr2, a2
    csrr a0, pmpaddr2
    srli a0, a0, 40
    IS(a0, 0x3fff)
    csrw pmpaddr2, x0
    ld a0, 0(a1)
    TRAPS_AT(CAUSE_STORE_ACCESS, a1, sd a0, 0(a1))
    FETCH_FAULTS(CAUSE_FETCH_ACCESS, a1, a1)
    csrr a2, pmpaddr3
    csrw pmpaddr3, x0
    csrr a0, pmpaddr3
    SAME(a0, a2)
    csrw pmpcfg0, x0
    csrr a0, pmpcfg0
    IS(a0, (NAPOT | L | R) << 24)
    TRAPS_AT(CAUSE_STORE_ACCESS, a1, sd a0, 0(a1))
    PASS

    .balign 4096
page:
    .skip 64
    li a0, 55
    ret
    .balign 4096
other:
    .skip 4096
