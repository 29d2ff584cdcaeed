// The finisher's reset: the program starts anew, with the registers' reset values; RAM stays.
#include "test.h"

#define MARK 0x87000000

START
    li s0, MARK
    ld s1, 0(s0)
    li s2, 0x5ca1ab1e
    beq s1, s2, again
    sd s2, 0(s0)
    // all that a reset must undo
    li a0, MSTATUS_MPRV | MSTATUS_SUM | MSTATUS_MXR | MSTATUS_TVM
    csrs mstatus, a0
    li a0, -1
    csrw medeleg, a0
    csrw mideleg, a0
    csrw mie, a0
    csrw mcause, a0
    csrw mcounteren, a0
    li a0, 8 << 60
    csrw satp, a0
    li a0, 0x9f << 8                    // a locked region
    csrw pmpcfg0, a0
    li a0, CLINT
    li a1, 1
    sw a1, 0(a0)
    li a0, 1 << 63                      // Sstc, and its interrupt
    csrw menvcfg, a0
    csrw stimecmp, x0
1:  csrr a0, mip
    andi a0, a0, 0x20
    beqz a0, 1b
    li a0, FINISHER
    li a1, 0x7777
    sw a1, 0(a0)
1:  j 1b

again:
    sd x0, 0(s0)
    csrr a0, mstatus
    li a1, MSTATUS_MPRV | MSTATUS_MIE
    and a0, a0, a1
    IS(a0, 0)
    csrr a0, satp
    IS(a0, 0)
    csrr a0, mie
    IS(a0, 0)
    csrr a0, medeleg
    IS(a0, 0)
    csrr a0, mcause
    IS(a0, 0)
    csrr a0, pmpcfg0
    IS(a0, 0x1f)                        // what START set, no lock
    li a0, CLINT
    lw a0, 0(a0)
    IS(a0, 0)
    csrr a0, mip
    andi a0, a0, 0x20
    IS(a0, 0)
    PASS
