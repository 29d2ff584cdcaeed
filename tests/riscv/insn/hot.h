/*
 * What the tests of hot code share: a trap handler that keeps all registers in a frame, so that a
 * test can look at them, change them and resume; and loops that change all registers.
 *
 * `hot_on HANDLER` sends traps to HANDLER, with s0 the frame, s8 to s10 as in test.h, and trap_m in
 * mtvec again, so that checks work. It ends with `j hot_resume`, which goes on at FRAME_EPC, in the
 * mode of mstatus.MPP, or just goes on in M mode.
 */

#ifndef HOT_H
#define HOT_H

#include "test.h"

#define FRAME_CAUSE   256
#define FRAME_EPC     264
#define FRAME_TVAL    272
#define FRAME_HANDLER 280
#define FRAME_SEED    288
#define FRAME_COUNT   296
#define FRAME_START   304
#define FRAME_SUM     312

    .macro hot_on handler
    la t0, hot_frame
    csrw mscratch, t0
    la t1, \handler
    sd t1, FRAME_HANDLER(t0)
    sd x0, FRAME_COUNT(t0)
    la t0, hot_trap
    csrw mtvec, t0
    .endm
    .macro hot_off
    la t0, trap_m
    csrw mtvec, t0
    .endm

/* frame's register = constant */
#define FRAME_SET(number, value) la t0, hot_frame; li t1, value; sd t1, (number) * 8(t0)
#define FRAME_SET_AT(number, label) la t0, hot_frame; la t1, label; sd t1, (number) * 8(t0)

/* reg = the next pseudo-random number, 31 bits; t0 and t1 are lost */
    .macro random reg
    la t0, hot_frame
    ld \reg, FRAME_SEED(t0)
    li t1, 6364136223846793005
    mul \reg, \reg, t1
    li t1, 1442695040888963407
    add \reg, \reg, t1
    sd \reg, FRAME_SEED(t0)
    srli \reg, \reg, 33
    .endm

/* ---- a loop's registers: xN is COUNTED_BASE(N) at first, each round adds COUNTED_STEP(N) ---- */

#define COUNTED_BASE(n) (((n) << 40) - 3 * (n))
#define COUNTED_STEP(n) (2 * (n) + 1)

    /* xN += its step: x1 to x13, x14 to x26 */
    .macro count_front
    .irp n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13
    addi x\n, x\n, COUNTED_STEP(\n)
    .endr
    .endm
    .macro count_back
    .irp n, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26
    addi x\n, x\n, COUNTED_STEP(\n)
    .endr
    .endm

    /* the frame's registers are those of before the first round */
    .macro counted_start last
    la t0, hot_frame
    li t1, 1
7:  slli t2, t1, 40
    slli t3, t1, 1
    add t4, t3, t1
    sub t2, t2, t4
    slli t3, t1, 3
    add t3, t3, t0
    sd t2, 0(t3)
    addi t1, t1, 1
    li t2, \last
    bgeu t2, t1, 7b
    .endm

    /* in a handler: frame's xN is that of after `rounds` (a register) rounds, N first to last */
    .macro counted_check rounds, first, last
    li a3, \first
7:  slli t2, a3, 40
    slli t3, a3, 1
    add t4, t3, a3
    sub t2, t2, t4
    addi t3, t3, 1
    mul t3, t3, \rounds
    add t6, t2, t3
    slli t3, a3, 3
    add t3, t3, s0
    ld t5, 0(t3)
    jal ra, check
    addi a3, a3, 1
    li t2, \last
    bgeu t2, a3, 7b
    .endm

    .section .text.hot, "ax"
    .balign 4
hot_trap:
    csrrw x31, mscratch, x31
    .irp n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    sd x\n, \n * 8(x31)
    .endr
    .irp n, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30
    sd x\n, \n * 8(x31)
    .endr
    csrr t0, mscratch
    sd t0, 31 * 8(x31)
    csrw mscratch, x31
    mv s0, x31
    la t0, trap_m
    csrw mtvec, t0
    csrr s8, mcause
    csrr s9, mtval
    csrr s10, mepc
    sd s8, FRAME_CAUSE(s0)
    sd s9, FRAME_TVAL(s0)
    sd s10, FRAME_EPC(s0)
    li s7, 0
    ld t0, FRAME_HANDLER(s0)
    jr t0

hot_resume:
    la x31, hot_frame
    ld t0, FRAME_EPC(x31)
    csrw mepc, t0
    la t0, hot_trap
    csrw mtvec, t0
    .irp n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    ld x\n, \n * 8(x31)
    .endr
    .irp n, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30
    ld x\n, \n * 8(x31)
    .endr
    ld x31, 31 * 8(x31)
    mret

    .balign 64
hot_frame:
    .skip FRAME_SUM + 8
    .balign 64
    .text

#endif
