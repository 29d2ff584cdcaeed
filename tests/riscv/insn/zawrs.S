// Zawrs: waiting on a reservation set ends, with or without a reservation; mstatus.TW.
#include "test.h"

START
    la a1, room
    CASE
    wrs.sto                             // no reservation: both may end at once
    lr.d a0, (a1)
    wrs.sto
    CASE
    // wrs.nto ends on a pending interrupt, though interrupts are off
    li a0, CLINT
    li a2, 1
    sw a2, 0(a0)                        // msip
    li a2, 8
    csrw mie, a2
    lr.d a0, (a1)
    wrs.nto
    li a0, CLINT
    sw x0, 0(a0)
    // the same in S mode, on a software interrupt of its own
    li a2, 2
    csrw mideleg, a2
    csrw mie, a2
    csrw mip, a2
    CASE
    to_s
    lr.w a0, (a1)
    wrs.sto
    lr.w a0, (a1)
    wrs.nto
    to_m
    // with TW, a wrs.nto below M mode that would go on waiting traps; wrs.sto never does
    csrw mie, x0
    li a0, MSTATUS_TW
    csrs mstatus, a0
    CASE
    lr.w a0, (a1)
    wrs.nto
    to_s
    CASE
    lr.w a0, (a1)
    wrs.sto
    lr.w a0, (a1)
    la s7, 1f
    wrs.nto
    j fail
    .balign 4
1:  is s8, CAUSE_ILLEGAL                // QEMU reports no bits of it in mtval
    PASS

    .balign 64
room:
    .dword 0
