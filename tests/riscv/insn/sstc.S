// Sstc: stimecmp raises STIP; menvcfg.STCE, mcounteren.TM; STIP is read-only then.
#include "test.h"

#define STCE 0x8000000000000000

START
    la a0, trap_s
    csrw stvec, a0
    li a0, -1
    csrw stimecmp, a0                   // M mode may, always
    csrw menvcfg, x0
    li a0, 2
    csrw mcounteren, a0
    to_s
    ILLEGAL(csrr a0, stimecmp)
    li a0, STCE
    csrw menvcfg, a0
    csrr a1, menvcfg
    and a1, a1, a0
    SAME(a0, a1)
    csrw mcounteren, x0
    to_s
    ILLEGAL(csrr a0, stimecmp)
    li a0, 2
    csrw mcounteren, a0
    li a0, 0x20
    csrw mideleg, a0
    csrw mie, a0
    li a0, MSTATUS_SIE
    csrc mstatus, a0
    to_s
    csrr a0, stimecmp
    IS(a0, -1)
    csrr a0, sip
    IS(a0, 0)
    // in the past: pending at once; in the future: not pending
    csrw stimecmp, x0
    CASE
1:  csrr a0, sip
    beqz a0, 1b
    IS(a0, 0x20)
    csrc sip, a0
    csrr a0, sip
    IS(a0, 0x20)
    li a0, -1
    csrw stimecmp, a0
    CASE
2:  csrr a0, sip
    bnez a0, 2b
    // WFI until then, with SIE off
    csrr a1, time
    li a0, 20000
    add a1, a1, a0
    csrw stimecmp, a1
    CASE
3:  wfi
    csrr a0, sip
    beqz a0, 3b
    csrr a0, time
    bltu a0, a1, fail
    // the trap, out of a loop
    csrr a1, time
    li a0, 20000
    add a1, a1, a0
    csrw stimecmp, a1
    CASE
    la s7, 4f
    csrsi sstatus, MSTATUS_SIE
    j .
    .balign 4
4:  is s8, INTERRUPT | 5
    TAKEN_IN(1)
    csrr a0, time
    CASE
    bltu a0, a1, fail
    li a0, -1
    csrw stimecmp, a0
    to_m
    // with STCE, mip.STIP cannot be written
    li a0, 0x20
    csrs mip, a0
    csrr a0, mip
    andi a0, a0, 0x20
    IS(a0, 0)
    // writing mtime moves the deadline: first to the past, then away again
    li s2, MTIME
    csrr a1, time
    li a0, 1 << 40
    add a1, a1, a0
    csrw stimecmp, a1
    csrr a0, mip
    andi a0, a0, 0x20
    IS(a0, 0)
    ld s3, 0(s2)
    sd a1, 0(s2)
    CASE
5:  csrr a0, mip
    andi a0, a0, 0x20
    beqz a0, 5b
    sd s3, 0(s2)
    CASE
6:  csrr a0, mip
    andi a0, a0, 0x20
    bnez a0, 6b
    // a deadline that mtime brings near, for a hart that sleeps
    li a0, -20000
    add a0, a0, a1
    sd a0, 0(s2)
    CASE
7:  wfi
    csrr a0, mip
    andi a0, a0, 0x20
    beqz a0, 7b
    csrr a0, time
    bltu a0, a1, fail
    PASS
