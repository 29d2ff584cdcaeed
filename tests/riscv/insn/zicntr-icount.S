// Zicntr with -icount: instret and cycle are exact, at every privilege and across traps.
//: args -icount shift=0
#include "test.h"

START
    csrr a0, instret
    csrr a1, instret
    sub a1, a1, a0
    IS(a1, 1)
    csrr a0, instret
    nop
    beq x0, x0, 1f
    nop
1:  csrr a1, instret
    sub a1, a1, a0
    IS(a1, 3)
    li a4, 10000
    csrr a0, instret
2:  addi a4, a4, -1
    bnez a4, 2b
    csrr a1, instret
    sub a1, a1, a0
    IS(a1, 20001)
    li a0, 7
    csrw mcounteren, a0
    csrw scounteren, a0
    to_u
    csrr a0, instret
    nop
    nop
    nop
    csrr a1, instret
    sub a1, a1, a0
    IS(a1, 4)
    to_m
    // virtual time is 1 ns an instruction, so time ticks once in 100
    csrr a0, time
    li a4, 100000
3:  addi a4, a4, -1
    bnez a4, 3b
    csrr a1, time
    sub a1, a1, a0
    CASE
    li a2, 1995
    bltu a1, a2, fail
    li a2, 2010
    bltu a2, a1, fail
    PASS
