// Zicsr: the six instructions, read-only and absent registers, privilege, WARL fields.
#include "test.h"

START
    // each form returns the old value, and writes, sets or clears
    li a1, 0x123456789abcdef0
    csrw mscratch, a1
    li a2, 0xff00ff00ff00ff00
    csrrw a0, mscratch, a2
    SAME(a0, a1)
    csrrs a0, mscratch, a1
    SAME(a0, a2)
    csrr a0, mscratch
    IS(a0, 0xff34ff78ffbcfff0)
    csrrc a0, mscratch, a2
    IS(a0, 0xff34ff78ffbcfff0)
    csrrwi a0, mscratch, 21
    IS(a0, 0x0034007800bc00f0)
    csrrsi a0, mscratch, 10
    IS(a0, 21)
    csrrci a0, mscratch, 24
    IS(a0, 31)
    csrr a0, mscratch
    IS(a0, 7)
    csrrw a1, mscratch, a1              // the same register: the old value goes out first
    IS(a1, 7)
    csrr a0, mscratch
    IS(a0, 0x123456789abcdef0)
    // set and clear of x0 or 0 do not write: read-only registers may be read so
    CASE
    csrrs a0, mhartid, x0
    IS(a0, 0)
    csrrc a0, mhartid, x0
    csrrsi a0, mvendorid, 0
    csrrci a0, marchid, 0
    ILLEGAL(csrrw a0, mhartid, x0)
    ILLEGAL(csrrwi a0, mhartid, 0)
    ILLEGAL(csrrs a0, mhartid, a1)
    ILLEGAL(csrrsi a0, mhartid, 1)
    ILLEGAL(csrrc a0, mimpid, a1)
    ILLEGAL(csrw cycle, x0)
    ILLEGAL(csrw time, x0)
    // the destination keeps its value when the access traps
    li a0, 1234
    ILLEGAL(csrrw a0, mhartid, a1)
    IS(a0, 1234)
    // no such registers
    ILLEGAL(csrr a0, 0x5c0)
    ILLEGAL(csrr a0, 0x8ff)
    ILLEGAL(csrr a0, 0xbc0)
    ILLEGAL(csrr a0, 0x3ff)
    ILLEGAL(csrr a0, 0xc81)             // timeh is RV32's
    ILLEGAL(csrr a0, 0x310)             // mstatush as well
    ILLEGAL(csrr a0, 0x7b0)             // dcsr outside debug mode
    // privilege
    to_s
    csrw sscratch, a1
    ILLEGAL(csrr a0, mscratch)
    to_s
    ILLEGAL(csrr a0, mstatus)
    to_s
    ILLEGAL(csrw pmpaddr0, x0)
    to_u
    ILLEGAL(csrr a0, sscratch)
    to_u
    ILLEGAL(csrr a0, satp)
    to_u
    ILLEGAL(csrr a0, mscratch)
    to_u
    fscsr a0
    to_m
    // misa: RV64, and the letters that this is about
    csrr a0, misa
    li a1, 0xc00000000014112d
    and a0, a0, a1
    IS(a0, 0x800000000014112d)
    // WARL: mtvec's reserved modes and base, mepc's low bit, satp's modes, medeleg
    la a1, trap_m
    addi a2, a1, 1
    csrw mtvec, a2
    csrr a0, mtvec
    SAME(a0, a2)
    csrw mtvec, a1
    li a0, -1
    csrw mepc, a0
    csrr a0, mepc
    andi a0, a0, 1
    IS(a0, 0)
    csrw sepc, a1
    csrr a0, sepc
    SAME(a0, a1)
    li a0, 8 << 60 | 0x1234
    csrw satp, a0
    li a1, 5 << 60 | 0x4321             // no such mode: the write as a whole is ignored
    csrw satp, a1
    csrr a1, satp
    SAME(a0, a1)
    csrw satp, x0
    li a0, -1
    csrw medeleg, a0
    csrr a0, medeleg
    li a1, 0xb7ff
    and a2, a0, a1
    li a1, 0xb3ff
    li a3, 0x800
    and a0, a0, a3
    IS(a0, 0)
    and a2, a2, a1
    li a1, 0xb109                       // at least these can be delegated
    and a2, a2, a1
    SAME(a2, a1)
    csrw medeleg, x0
    // mstatus.MPP holds 0, 1 and 3 only; sstatus shows its part of mstatus
    li a0, MSTATUS_MPP
    csrs mstatus, a0
    li a1, 0x800
    csrc mstatus, a1
    csrr a0, mstatus
    li a1, MSTATUS_MPP
    and a0, a0, a1
    li a1, 0x1000
    CASE
    beq a0, a1, fail
    li a0, MSTATUS_SUM | MSTATUS_MXR | MSTATUS_SPP
    csrs mstatus, a0
    csrr a0, sstatus
    li a1, MSTATUS_SUM | MSTATUS_MXR | MSTATUS_SPP | MSTATUS_MPP | MSTATUS_MIE
    and a0, a0, a1
    IS(a0, MSTATUS_SUM | MSTATUS_MXR | MSTATUS_SPP)
    csrw sstatus, x0
    csrr a0, mstatus
    li a1, MSTATUS_SUM | MSTATUS_MXR | MSTATUS_SPP | MSTATUS_FS
    and a0, a0, a1
    IS(a0, 0)
    li a0, MSTATUS_FS
    csrs sstatus, a0
    csrr a0, sstatus                    // UXL is 64 bits, FS dirty shows in SD
    li a1, 0x8000000300006000
    and a0, a0, a1
    IS(a0, 0x8000000200006000)
    // sie and sip show what is delegated only
    csrw mideleg, x0
    li a0, 0x222
    csrw mie, a0
    csrr a0, sie
    IS(a0, 0)
    li a0, 0x2
    csrw mideleg, a0
    csrr a0, sie
    IS(a0, 2)
    csrw sie, x0
    csrr a0, mie
    li a1, 0x222
    and a0, a0, a1
    IS(a0, 0x220)
    PASS
