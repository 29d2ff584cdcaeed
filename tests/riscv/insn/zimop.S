// Zimop and Zcmop: may-be operations write 0, their compressed forms nothing. Hints do nothing.
#include "test.h"

// mop.r.n and mop.rr.n, by the bits of n
#define MOP_R(n)  (0x81c04073 | ((n) & 3) << 20 | ((n) >> 2 & 3) << 26 | ((n) >> 4) << 30 | 10 << 7 | 11 << 15)
#define MOP_RR(n) (0x82004073 | ((n) & 3) << 26 | ((n) >> 2) << 30 | 10 << 7 | 11 << 15 | 12 << 20)

START
    li a1, 5
    li a2, 6
    .irp n, 0, 1, 6, 17, 31
    li a0, 99
    .word MOP_R(\n)
    IS(a0, 0)
    .endr
    .irp n, 0, 3, 5, 7
    li a0, 99
    .word MOP_RR(\n)
    IS(a0, 0)
    .endr
    IS(a1, 5)
    IS(a2, 6)
    li t0, 7
    li ra, 8
    .half 0x6081, 0x6281                // c.mop.1, c.mop.5
    .half 0x6181, 0x0001
    IS(t0, 7)
    // hints: ntl.p1 to ntl.all, pause, and the like
    add x0, x0, x2
    add x0, x0, x3
    add x0, x0, x4
    add x0, x0, x5
    .half 0x900a, 0x9016                // c.ntl.p1, c.ntl.all
    slti x0, x0, 5
    lui x0, 1
    sll x0, x1, x2
    IS(x0, 0)
    PASS
