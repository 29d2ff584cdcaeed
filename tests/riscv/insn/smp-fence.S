// Fences between harts: store buffering and message passing, whose wrong outcomes are forbidden.
//: smp 2
#define HARTS 2
#include "smp.h"

#define ROUNDS 200

hart:
    li s0, ROUNDS
    la s1, words
    slli a0, tp, 6
    add s2, s1, a0                      // my word
    xori a0, tp, 1
    slli a0, a0, 6
    add s3, s1, a0                      // the other's
1:  barrier
    // both store 1, then look: at least one sees the other
    li a0, 1
    sd a0, 0(s2)
    fence rw, rw
    ld a1, 0(s3)
    la a2, seen
    slli a3, tp, 3
    add a2, a2, a3
    sd a1, 0(a2)
    barrier
    bnez tp, 2f
    CASE
    la a2, seen
    ld a0, 0(a2)
    ld a1, 8(a2)
    or a0, a0, a1
    beqz a0, fail
2:  barrier
    sd x0, 0(s2)
    // hart 0 writes data, then a flag; hart 1 sees the flag, then the data
    la a2, message
    bnez tp, 3f
    sd s0, 0(a2)
    fence w, w
    sd s0, 64(a2)
    j 4f
3:  ld a1, 64(a2)
    bne a1, s0, 3b
    fence r, r
    ld a1, 0(a2)
    SAME(a1, s0)
4:  addi s0, s0, -1
    bnez s0, 1b
    barrier
    jr s11

    .balign 64
words:
    .skip 128
message:
    .skip 128
seen:
    .dword 0, 0
