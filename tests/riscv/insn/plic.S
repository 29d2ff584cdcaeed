// External interrupts: the UART's, by the PLIC, to M mode and to S mode; claim and completion.
#include "test.h"

#define PLIC      0x0c000000
#define ENABLE    0x2000                // 0x80 a context
#define THRESHOLD 0x200000              // 0x1000 a context, claim 4 on
#define UART_IRQ  10
#define BIT       (1 << UART_IRQ)

    .macro plic at, value
    li t0, PLIC + \at
    li t1, \value
    sw t1, 0(t0)
    .endm
    .macro claim reg, context
    li t0, PLIC + THRESHOLD + 4 + 0x1000 * \context
    lwu \reg, 0(t0)
    .endm
    .macro complete reg, context
    li t0, PLIC + THRESHOLD + 4 + 0x1000 * \context
    sw \reg, 0(t0)
    .endm
    .macro uart_interrupts value        // the transmitter is empty at once
    li t0, UART
    li t1, \value
    sb t1, 1(t0)
    .endm
    .macro until_mip mask, want
8:  csrr a0, mip
    li a1, \mask
    and a0, a0, a1
    li a1, \want
    bne a0, a1, 8b
    .endm

START
    plic 4*UART_IRQ, 1
    plic ENABLE, BIT
    plic THRESHOLD, 0
    li a0, 0x800
    csrw mie, a0
    CASE
    uart_interrupts 2
    until_mip 0x800, 0x800
    la s7, 1f
    csrsi mstatus, MSTATUS_MIE
    j fail
    .balign 4
1:  is s8, INTERRUPT | 11
    claim a2, 0
    IS(a2, UART_IRQ)
    // claimed: no longer pending, no second claim
    CASE
    until_mip 0x800, 0
    claim a0, 0
    IS(a0, 0)
    uart_interrupts 0
    complete a2, 0
    csrr a0, mip
    li a1, 0x800
    and a0, a0, a1
    IS(a0, 0)
    // a threshold as high as the priority keeps it back
    plic THRESHOLD, 1
    CASE
    uart_interrupts 2
    li a0, 1000
2:  addi a0, a0, -1
    bnez a0, 2b
    until_mip 0x800, 0
    plic THRESHOLD, 0
    until_mip 0x800, 0x800
    // the S context of this hart
    plic ENABLE, 0
    plic THRESHOLD, 0                   // QEMU looks at the enables at the next such event only
    until_mip 0x800, 0
    plic ENABLE + 0x80, BIT
    plic THRESHOLD + 0x1000, 0
    CASE
    until_mip 0x200, 0x200
    // the wire shows in mip whatever software writes there
    li a0, 0x200
    csrc mip, a0
    csrr a1, mip
    and a1, a1, a0
    SAME(a1, a0)
    csrw mie, a0
    csrw mideleg, a0
    la a0, trap_s
    csrw stvec, a0
    CASE
    la s7, 3f
    to_s
    csrsi sstatus, MSTATUS_SIE
    j fail
    .balign 4
3:  is s8, INTERRUPT | 9
    TAKEN_IN(1)
    claim a2, 1
    IS(a2, UART_IRQ)
    CASE
4:  csrr a0, sip
    bnez a0, 4b
    // completed with the line down, and up again
    uart_interrupts 0
    complete a2, 1
    uart_interrupts 2
5:  csrr a0, sip
    beqz a0, 5b
    IS(a0, 0x200)
    uart_interrupts 0
    claim a2, 1
    complete a2, 1
    CASE
6:  csrr a0, sip
    bnez a0, 6b
    to_m
    PASS
