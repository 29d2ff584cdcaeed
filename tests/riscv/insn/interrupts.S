// Interrupts: software and timer (ACLINT), priorities, delegation, vectors, WFI.
#include "test.h"

#define MSI 3
#define MTI 7
#define SSI 1
#define STI 5
#define SEI 9

    .macro msip value
    li t0, CLINT
    li t1, \value
    sw t1, 0(t0)
    .endm
    .macro timer at                     // register, or -1: never
    li t0, MTIMECMP
    sd \at, 0(t0)
    .endm
    .macro taken cause, mode
    .balign 4
    is s8, INTERRUPT | \cause
    is s11, \mode
    is s9, 0
    .endm

START
    la a0, trap_s
    csrw stvec, a0
    li s5, -1
    timer s5
    // a pending interrupt waits for mie and mstatus.MIE; the one after csrsi is the trap's epc
    msip 1
    CASE
1:  csrr a0, mip
    andi a0, a0, 8
    beqz a0, 1b
    li a0, 8
    csrw mie, a0
    nop
    la s7, 3f
    csrsi mstatus, MSTATUS_MIE
2:  j fail
3:  CASE
    taken MSI, 3
    la t6, 2b
    SAME(s10, t6)
    csrr a0, mstatus
    li a1, MSTATUS_MIE | MSTATUS_MPIE | MSTATUS_MPP
    and a0, a0, a1
    IS(a0, MSTATUS_MPIE | MSTATUS_MPP)
    msip 0
    // WFI ends on a pending interrupt though MIE is 0
    csrw mie, x0
    li a0, 1 << MTI
    csrw mie, a0
    li a1, MTIME
    ld a0, 0(a1)
    li a2, 20000                        // 2 ms
    add a2, a0, a2
    timer a2
    CASE
4:  wfi
    ld a0, 0(a1)
    csrr a3, mip
    andi a3, a3, 1 << MTI
    beqz a3, 4b
    bltu a0, a2, fail
    // the timer's interrupt: taken from S mode though MIE is 0, in the middle of a loop
    CASE
    la s7, 5f
    to_s
    j .
    .balign 4
5:  taken MTI, 3
    // writing mtimecmp takes it back
    timer s5
6:  csrr a0, mip
    andi a0, a0, 1 << MTI
    bnez a0, 6b
    // an interrupt ends a loop that touches no memory
    li a1, MTIME
    ld a0, 0(a1)
    li a2, 10000
    add a2, a0, a2
    timer a2
    CASE
    la s7, 7f
    csrsi mstatus, MSTATUS_MIE
    j .
    .balign 4
7:  taken MTI, 3
    // priority: MSI before MTI, both before the supervisor's
    msip 1
    li a0, 1 << SSI | 1 << STI | 1 << SEI
    csrw mip, a0
    li a0, 1 << SSI | 1 << STI | 1 << SEI | 1 << MSI | 1 << MTI
    csrw mie, a0
8:  csrr a0, mip
    andi a0, a0, 8
    beqz a0, 8b
    CASE
    la s7, 9f
    csrsi mstatus, MSTATUS_MIE
    j fail
    .balign 4
9:  taken MSI, 3
    msip 0
1:  csrr a0, mip
    andi a0, a0, 8
    bnez a0, 1b
    CASE
    la s7, 2f
    csrsi mstatus, MSTATUS_MIE
    j fail
    .balign 4
2:  taken MTI, 3
    timer s5
3:  csrr a0, mip
    andi a0, a0, 1 << MTI
    bnez a0, 3b
    // the supervisor's, in order, not delegated: SEI, SSI, STI
    .irp cause, 9, 1, 5
    CASE
    la s7, 4f
    csrsi mstatus, MSTATUS_MIE
    j fail
    .balign 4
4:  taken \cause, 3
    li a0, 1 << \cause
    csrc mip, a0
    .endr
    // delegated: not taken in M mode; in S mode by SIE; in U mode always
    li a0, 1 << SSI | 1 << STI | 1 << SEI
    csrw mideleg, a0
    csrw mip, a0
    csrsi mstatus, MSTATUS_MIE
    nop
    nop
    csrci mstatus, MSTATUS_MIE
    csrci mstatus, MSTATUS_SIE
    CASE
    to_s
    nop
    csrr a0, sip
    andi a0, a0, 0x222
    IS(a0, 0x222)
    la s7, 6f
    csrsi sstatus, MSTATUS_SIE
5:  j fail
    .balign 4
6:  taken SEI, 1
    la t6, 5b
    SAME(s10, t6)
    // sip: only SSIP can be cleared from S mode
    li a0, 1 << SSI | 1 << STI | 1 << SEI
    csrc sip, a0
    csrr a0, sip
    andi a0, a0, 0x222
    IS(a0, 1 << STI | 1 << SEI)
    csrsi sip, 2
    to_m
    li a0, 1 << SEI
    csrc mip, a0
    li a0, MSTATUS_SIE
    csrc mstatus, a0
    CASE
    la s7, 9f
    to_u                                // SIE is 0: U mode is interrupted all the same
    j fail
    .balign 4
9:  taken SSI, 1
    to_m
    // vectored: the base plus 4 times the cause, exceptions at the base
    la a0, vectors + 1
    csrw stvec, a0
    li s4, 0
    CASE
    la s7, 1f
    to_u
    j fail
    .balign 4
1:  taken SSI, 1
    IS(s4, 1)
    csrci sip, 2
    la s7, 2f
    csrsi sstatus, MSTATUS_SIE
    j fail
    .balign 4
2:  taken STI, 1
    IS(s4, 5)
    to_m
    li a0, 1 << STI
    csrc mip, a0
    li a0, 4
    csrw medeleg, a0
    to_u
    ILLEGAL(.word 0xffffffff)
    TAKEN_IN(1)
    IS(s4, 100)
    to_m
    // the same in M mode
    la a0, vectors_m + 1
    csrw mtvec, a0
    li a0, 8
    csrw mie, a0
    msip 1
    CASE
    la s7, 3f
    csrsi mstatus, MSTATUS_MIE
    j .
    .balign 4
3:  taken MSI, 3
    IS(s4, 3)
    msip 0
    // sret to U with an interrupt pending: taken before U mode's first instruction
    la a0, trap_m
    csrw mtvec, a0
    la a0, trap_s
    csrw stvec, a0
    li a0, 2
    csrw mie, a0
    csrw mip, a0
    CASE
    to_s
    li a0, MSTATUS_SPP
    csrc sstatus, a0
    la a0, fail
    csrw sepc, a0
    la s7, 4f
    sret
    .balign 4
4:  taken SSI, 1
    la a0, fail
    SAME(s10, a0)
    to_m
    PASS

    .balign 64
vectors:
    j 1f
    .org vectors + 4
    j 2f
    .org vectors + 20
    j 3f
    .org vectors + 64
1:  li s4, 100
    j trap_s
2:  li s4, 1
    j trap_s
3:  li s4, 5
    j trap_s
    .balign 64
vectors_m:
    j trap_m
    .org vectors_m + 12
    li s4, 3
    j trap_m
