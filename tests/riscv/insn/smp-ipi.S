// Four harts: software interrupts there and back, by WFI and by trap.
//: smp 4
#include "smp.h"

#define ROUNDS 50

hart:
    li a0, 8
    csrw mie, a0
    barrier
    bnez tp, answer
    li s0, ROUNDS
1:  li s1, 1
2:  CASE
    send_ipi s1
    wait_ipi
    // the answer was written before the interrupt was sent
    la a0, answers
    slli a1, s1, 3
    add a0, a0, a1
    ld a1, 0(a0)
    li a2, ROUNDS + 1
    sub a2, a2, s0
    SAME(a1, a2)
    addi s1, s1, 1
    li a0, HARTS
    bne s1, a0, 2b
    addi s0, s0, -1
    bnez s0, 1b
    barrier
    // all at once, each once more; then as traps
    CASE
    barrier
    li s1, 1
3:  send_ipi s1
    addi s1, s1, 1
    li a0, HARTS
    bne s1, a0, 3b
    barrier
    jr s11

answer:
    li s0, 0
4:  wait_ipi
    addi s0, s0, 1
    la a0, answers
    slli a1, tp, 3
    add a0, a0, a1
    sd s0, 0(a0)
    send_ipi x0
    li a0, ROUNDS
    // hart 0 waits for each answer before it goes on, so its msip is never set twice
    bne s0, a0, 4b
    barrier
    barrier
    CASE
    mv s0, s11
    la s7, 5f
    csrsi mstatus, MSTATUS_MIE
    j .
    .balign 4
5:  is s8, INTERRUPT | 3
    clear_ipi tp
    barrier
    jr s0

    .balign 64
answers:
    .dword 0, 0, 0, 0
