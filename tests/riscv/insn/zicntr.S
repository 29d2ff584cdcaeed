// Zicntr: cycle, time and instret, who may read them, mcountinhibit.
#include "test.h"

START
    csrr a0, cycle
    csrr a1, instret
    csrr a2, time
    li a4, 10000
1:  addi a4, a4, -1
    bnez a4, 1b
    csrr a5, instret
    csrr a6, cycle
    CASE
    bgeu a1, a5, fail
    CASE
    bgeu a0, a6, fail
    // time is mtime: it goes on, and CSR and register agree
    CASE
    li a3, MTIME
2:  csrr a4, time
    bleu a4, a2, 2b
    ld a0, 0(a3)
    csrr a1, time
    ld a2, 0(a3)
    bltu a1, a0, fail
    bltu a2, a1, fail
    // mcountinhibit stops cycle and instret; they can be written
    li a0, 5
    csrw mcountinhibit, a0
    csrr a0, mcountinhibit
    andi a0, a0, 7
    IS(a0, 5)
    csrr a0, minstret
    csrr a1, mcycle
    nop
    nop
    csrr a2, minstret
    csrr a3, mcycle
    SAME(a0, a2)
    SAME(a1, a3)
    li a0, 0x1234567800
    csrw minstret, a0
    csrr a1, instret
    SAME(a0, a1)
    csrw mcycle, a0
    csrr a1, cycle
    SAME(a0, a1)
    csrw mcountinhibit, x0
    nop
    csrr a1, instret
    CASE
    bleu a1, a0, fail
    // mcounteren is S mode's leave, and with scounteren U mode's
    csrw mcounteren, x0
    csrw scounteren, x0
    to_s
    ILLEGAL(csrr a0, cycle)
    to_s
    ILLEGAL(csrr a0, time)
    to_s
    ILLEGAL(csrr a0, instret)
    li a0, 2
    csrw mcounteren, a0
    CASE
    to_s
    csrr a0, time
    ILLEGAL(csrr a0, cycle)
    to_u
    ILLEGAL(csrr a0, time)
    li a0, 7
    csrw mcounteren, a0
    li a0, 4
    csrw scounteren, a0
    to_s
    CASE
    csrr a0, cycle
    csrr a0, time
    csrr a0, instret
    to_m
    to_u
    csrr a0, instret
    ILLEGAL(csrr a0, time)
    li a0, 7
    csrw scounteren, a0
    to_u
    CASE
    csrr a0, time
    csrr a0, cycle
    to_m
    csrw mcounteren, x0
    to_u
    ILLEGAL(csrr a0, cycle)
    PASS
