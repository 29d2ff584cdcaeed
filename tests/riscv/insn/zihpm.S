// Zihpm and Sscofpmf: counters with their events, who may read them, scountovf.
#include "test.h"

START
    .irp n, 3, 4, 5, 16, 17, 18
    CASE
    csrr a0, mhpmcounter\n
    csrr a0, mhpmevent\n
    csrr a0, hpmcounter\n
    csrw mhpmevent\n, x0
    csrw mhpmcounter\n, x0
    csrr a0, mhpmcounter\n
    bnez a0, fail
    .endr
    csrw mcounteren, x0
    to_s
    ILLEGAL(csrr a0, hpmcounter3)
    li a0, 8
    csrw mcounteren, a0
    csrw scounteren, x0
    to_s
    CASE
    csrr a0, hpmcounter3
    ILLEGAL(csrr a0, hpmcounter4)
    to_u
    ILLEGAL(csrr a0, hpmcounter3)
    li a0, 8
    csrw scounteren, a0
    to_u
    csrr a0, hpmcounter3
    to_m
    // Sscofpmf: OF, MINH, SINH, UINH of an event; scountovf shows what mcounteren lets it
    li a0, 0xf000000000000000
    csrw mhpmevent3, a0
    csrr a1, mhpmevent3
    SAME(a0, a1)
    li a0, 8
    csrw mcounteren, a0
    to_s
    csrr a0, scountovf
    IS(a0, 8)
    ILLEGAL(csrw scountovf, x0)
    csrw mcounteren, x0
    to_s
    csrr a0, scountovf
    IS(a0, 0)
    to_m
    PASS
