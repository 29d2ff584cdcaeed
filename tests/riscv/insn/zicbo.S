// Zicbom, Zicboz, Zicbop: cache blocks of 64 bytes; the enables in menvcfg and senvcfg.
#include "test.h"

#define ENVCFG_CBIE  0x30
#define ENVCFG_CBCFE 0x40
#define ENVCFG_CBZE  0x80

START
    // cbo.zero clears its block, wherever the address is in it, and nothing else
    la a1, room
    li a2, -1
    mv a3, a1
    li a4, 24
1:  sd a2, 0(a3)
    addi a3, a3, 8
    addi a4, a4, -1
    bnez a4, 1b
    addi a3, a1, 64 + 37
    CASE
    cbo.zero 0(a3)
    ld a0, 56(a1)
    IS(a0, -1)
    ld a0, 64(a1)
    IS(a0, 0)
    ld a0, 96(a1)
    IS(a0, 0)
    ld a0, 120(a1)
    IS(a0, 0)
    ld a0, 128(a1)
    IS(a0, -1)
    CASE
    cbo.inval 0(a1)
    cbo.clean 0(a1)
    cbo.flush 0(a1)
    ld a0, 56(a1)
    IS(a0, -1)
    prefetch.i 0(a1)
    prefetch.r 32(a1)
    prefetch.w -32(a1)
    prefetch.r 0(x0)                    // never faults
    // M mode needs no enables; S mode needs menvcfg's
    csrw menvcfg, x0
    CASE
    to_s
    ILLEGAL(cbo.zero 0(a1))
    to_s
    ILLEGAL(cbo.inval 0(a1))
    to_s
    ILLEGAL(cbo.clean 0(a1))
    to_s
    ILLEGAL(cbo.flush 0(a1))
    li a0, ENVCFG_CBIE | ENVCFG_CBCFE | ENVCFG_CBZE
    csrw menvcfg, a0
    CASE
    to_s
    cbo.zero 0(a1)
    cbo.inval 0(a1)
    cbo.clean 0(a1)
    cbo.flush 0(a1)
    to_m
    ld a0, 0(a1)
    IS(a0, 0)
    // U mode needs both
    csrw senvcfg, x0
    to_u
    ILLEGAL(cbo.zero 0(a1))
    to_u
    ILLEGAL(cbo.inval 0(a1))
    to_u
    ILLEGAL(cbo.clean 0(a1))
    li a0, ENVCFG_CBIE | ENVCFG_CBCFE | ENVCFG_CBZE
    csrw senvcfg, a0
    CASE
    to_u
    cbo.zero 0(a1)
    cbo.inval 0(a1)
    cbo.clean 0(a1)
    cbo.flush 0(a1)
    to_m
    csrw menvcfg, x0
    to_u
    ILLEGAL(cbo.zero 0(a1))
    // no memory there: store faults
    li a1, 0x1000000000000
    TRAPS_AT(CAUSE_STORE_ACCESS, a1, cbo.zero 0(a1))
    PASS

    .balign 64
room:
    .fill 32, 8, 0
