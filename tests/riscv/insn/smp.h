/*
 * What the tests with several harts share. Each hart runs `hart` with its number in tp; hart 0 comes
 * back from it to decide. `barrier` waits for all HARTS.
 */

#ifndef SMP_H
#define SMP_H

#define OTHER_HARTS j others
#include "test.h"

#ifndef HARTS
#define HARTS 4                         /* a power of two */
#endif

    .macro barrier
    jal ra, barrier_wait
    .endm

    .macro send_ipi to                  // clobbers t0, t1
    li t0, CLINT
    slli t1, \to, 2
    add t0, t0, t1
    li t1, 1
    fence rw, rw
    sw t1, 0(t0)
    .endm
    .macro clear_ipi of
    li t0, CLINT
    slli t1, \of, 2
    add t0, t0, t1
    sw x0, 0(t0)
    fence rw, rw
    .endm
    .macro wait_ipi                     // sleeps until this hart's msip
6:  csrr t0, mip
    andi t0, t0, 8
    bnez t0, 7f
    wfi
    j 6b
7:  clear_ipi tp
    .endm

START
    li tp, 0
    jal s11, hart
    PASS

others:
    csrr tp, mhartid
    jal s11, hart
1:  wfi
    j 1b

barrier_wait:
    la t0, barrier_count
    li t1, 1
    amoadd.d.aqrl t1, t1, (t0)
    ori t1, t1, HARTS - 1
    addi t1, t1, 1                      // what the count is once all are here
1:  lr.d t2, (t0)
    bgeu t2, t1, 2f
    wrs.sto                             /* lets other harts run if the host has fewer */
    j 1b
2:  fence rw, rw
    ret

    .balign 64
barrier_count:
    .dword 0
    .balign 64

#endif
