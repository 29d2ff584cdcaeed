// Zacas: compare and swap of words, double words and pairs.
#include "test.h"

START
    la a4, room
    li a0, 0x8000000080000001
    sd a0, 0(a4)
    // word: compared in 32 bits, loaded sign extended
    CASE
    li a1, 0x80000001
    li a2, 77
    amocas.w a1, a2, (a4)
    IS(a1, 0xffffffff80000001)
    ld a0, 0(a4)
    IS(a0, 0x800000000000004d)
    li a1, 5
    amocas.w.aq a1, a2, (a4)
    IS(a1, 77)
    ld a0, 0(a4)
    IS(a0, 0x800000000000004d)
    // double word
    li a2, 0x123456789abcdef0
    li a1, 0x4d
    amocas.d a1, a2, (a4)
    IS(a1, 0x800000000000004d)
    ld a0, 0(a4)
    IS(a0, 0x800000000000004d)
    amocas.d.aqrl a1, a2, (a4)
    IS(a1, 0x800000000000004d)
    ld a0, 0(a4)
    IS(a0, 0x123456789abcdef0)
    // the same register for both
    amocas.d a2, a2, (a4)
    IS(a2, 0x123456789abcdef0)
    // pair: even registers, 16 bytes
    li a0, 0xfedcba9876543210
    sd a0, 8(a4)
    li a0, 0x123456789abcdef0
    li a1, 0xfedcba9876543211           // the upper half differs
    li a2, 1
    li a3, 2
    CASE
    amocas.q a0, a2, (a4)
    IS(a0, 0x123456789abcdef0)
    IS(a1, 0xfedcba9876543210)
    ld a5, 0(a4)
    IS(a5, 0x123456789abcdef0)
    CASE
    amocas.q.rl a0, a2, (a4)
    IS(a0, 0x123456789abcdef0)
    IS(a1, 0xfedcba9876543210)
    ld a5, 0(a4)
    IS(a5, 1)
    ld a5, 8(a4)
    IS(a5, 2)
    // x0 as a pair is zero, and is not written
    sd x0, 0(a4)
    sd x0, 8(a4)
    CASE
    amocas.q x0, a2, (a4)
    ld a5, 8(a4)
    IS(a5, 2)
    IS(x0, 0)
    li a0, 1
    li a1, 2
    amocas.q a0, x0, (a4)
    ld a5, 0(a4)
    IS(a5, 0)
    ld a5, 8(a4)
    IS(a5, 0)
    // odd registers of a pair are illegal
    ILLEGAL(.insn r 0x2f, 4, 0x14, a1, a4, a2)
    ILLEGAL(.insn r 0x2f, 4, 0x14, a0, a4, a3)
    // misaligned
    la a5, room + 2
    TRAPS_AT(CAUSE_STORE_MISALIGNED, a5, amocas.w a0, a2, (a5))
    la a5, room + 4
    TRAPS_AT(CAUSE_STORE_MISALIGNED, a5, amocas.d a0, a2, (a5))
    la a5, room + 8
    TRAPS_AT(CAUSE_STORE_MISALIGNED, a5, amocas.q a0, a2, (a5))
    PASS

    .balign 4096
room:
    .dword 0, 0, 0, 0, 0, 0, 0, 0
    .dword 0, 0, 0, 0, 0, 0, 0, 0
