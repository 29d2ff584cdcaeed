// Hot loops of floating point: each result's bits and the flags of each operation go into a hash,
// whose value is QEMU's; rounding modes change, NaN boxes break, fs goes off in the middle.
#include "hot.h"

    // s1 = a hash of s1 and reg; t0 is lost
    .macro hash reg
    slli t0, s1, 5
    add s1, s1, t0
    srli t0, s1, 27
    xor s1, s1, t0
    xor s1, s1, \reg
    .endm
    .macro hash_d reg
    fmv.x.d t1, \reg
    hash t1
    .endm
    .macro hash_s reg
    fmv.x.w t1, \reg
    hash t1
    .endm
    .macro hash_flags
    csrr t1, fflags
    hash t1
    .endm
    // a2 = pseudo-random bits, in s2 too
    .macro bits
    mul s2, s2, s3
    add s2, s2, s4
    srli a2, s2, 29
    xor a2, a2, s2
    .endm
    .macro begin
    li s0, 0
    li s1, 0
    li s2, 42
    li s3, 6364136223846793005
    li s4, 1442695040888963407
    csrw fcsr, zero
    .endm
#define HASH_IS(value) CASE; li a1, value; SAME(s1, a1)

START
    // ordinary numbers, flags left to accumulate: the way of hot code
    begin
    la a0, numbers
    fld fa0, 0(a0)
    fld fa1, 8(a0)
    fld fa2, 16(a0)
    fcvt.s.d fa5, fa1
    fcvt.s.d fa6, fa2
    fcvt.s.d fa7, fa0
1:  fmul.d fa0, fa0, fa1
    fadd.d fa0, fa0, fa2
    fdiv.d fa3, fa0, fa1
    fsqrt.d fa4, fa3
    fmadd.d fa0, fa4, fa2, fa1
    fnmsub.d fa3, fa4, fa1, fa0
    fsub.d fa4, fa3, fa2
    hash_d fa3
    hash_d fa4
    fmul.s fa7, fa7, fa5
    fadd.s fa7, fa7, fa6
    fdiv.s fa3, fa7, fa5
    fsqrt.s fa4, fa3
    fmsub.s fa7, fa4, fa6, fa5
    hash_s fa7
    fcvt.l.d t1, fa0
    hash t1
    fcvt.w.s t1, fa4, rtz
    hash t1
    flt.d t1, fa0, fa3
    hash t1
    fle.s t1, fa4, fa7
    hash t1
    fcvt.d.s ft0, fa7
    fcvt.s.d ft1, fa0
    fadd.d ft0, ft0, fa0
    fadd.s ft1, ft1, fa7
    hash_d ft0
    hash_s ft1
    addi s0, s0, 1
    li a1, 20000
    bne s0, a1, 1b
    hash_flags
    HASH_IS(0xbd6e5383ff28e90f)

    // any bits, flags cleared in front of each operation and read behind it, any rounding mode
    begin
1:  andi a3, s0, 7
    li a4, 5
    bltu a3, a4, 2f
    li a3, 0
2:  csrw frm, a3
    bits
    fmv.d.x fa0, a2
    bits
    fmv.d.x fa1, a2
    bits
    fmv.d.x fa2, a2
    .irp op, fadd.d, fsub.d, fmul.d, fdiv.d, fmin.d, fmax.d, fsgnjx.d
    csrw fflags, zero
    \op fa3, fa0, fa1
    hash_d fa3
    hash_flags
    .endr
    csrw fflags, zero
    fsqrt.d fa3, fa0
    hash_d fa3
    hash_flags
    csrw fflags, zero
    fmadd.d fa3, fa0, fa1, fa2
    hash_d fa3
    hash_flags
    csrw fflags, zero
    fcvt.s.d fa3, fa0
    hash_s fa3
    hash_flags
    csrw fflags, zero
    fcvt.w.d t1, fa0
    hash t1
    hash_flags
    csrw fflags, zero
    feq.d t1, fa0, fa1
    hash t1
    flt.d t1, fa0, fa1
    hash t1
    fclass.d t1, fa0
    hash t1
    hash_flags
    addi s0, s0, 1
    li a1, 12000
    bne s0, a1, 1b
    HASH_IS(0xf21ab81f304950a0)

    // the same for singles, of which every other operand is not boxed (and so a NaN)
    begin
1:  andi a3, s0, 7
    li a4, 5
    bltu a3, a4, 2f
    li a3, 1
2:  csrw frm, a3
    bits
    fmv.w.x fa0, a2
    bits
    fmv.w.x fa1, a2
    andi a3, s0, 9
    bnez a3, 3f
    fmv.d.x fa1, a2
3:  bits
    fmv.w.x fa2, a2
    .irp op, fadd.s, fsub.s, fmul.s, fdiv.s, fmin.s, fmax.s, fsgnjn.s
    csrw fflags, zero
    \op fa3, fa0, fa1
    hash_d fa3
    hash_flags
    .endr
    csrw fflags, zero
    fsqrt.s fa3, fa1
    hash_d fa3
    hash_flags
    csrw fflags, zero
    fnmadd.s fa3, fa0, fa1, fa2
    hash_d fa3
    hash_flags
    csrw fflags, zero
    fcvt.d.s fa3, fa1
    hash_d fa3
    fcvt.lu.s t1, fa1
    hash t1
    hash_flags
    flt.s t1, fa0, fa1
    hash t1
    fclass.s t1, fa1
    hash t1
    fmv.x.w t1, fa1
    hash t1
    hash_flags
    addi s0, s0, 1
    li a1, 12000
    bne s0, a1, 1b
    HASH_IS(0x4bc6b7a10b0dcfee)

    // numbers near each other, zeros, infinities, the edges: operands from a table
    begin
    la s5, numbers
1:  bits
    csrw frm, zero
    andi a3, s0, 15
    li a4, 3
    bne a3, a4, 2f
    csrwi frm, 3
2:  andi a3, a2, 15 << 3
    add a3, a3, s5
    fld fa0, 0(a3)
    srli a2, a2, 9
    andi a3, a2, 15 << 3
    add a3, a3, s5
    fld fa1, 0(a3)
    csrw fflags, zero
    fadd.d fa2, fa0, fa1
    hash_d fa2
    hash_flags
    fmul.d fa2, fa0, fa1
    hash_d fa2
    hash_flags
    csrw fflags, zero
    fdiv.d fa2, fa0, fa1
    hash_d fa2
    hash_flags
    fcvt.s.d fa3, fa0
    fcvt.s.d fa4, fa1
    csrw fflags, zero
    fsub.s fa2, fa3, fa4
    hash_s fa2
    hash_flags
    fmul.s fa2, fa3, fa4
    hash_s fa2
    fmadd.s fa2, fa3, fa4, fa2
    hash_s fa2
    hash_flags
    addi s0, s0, 1
    li a1, 30000
    bne s0, a1, 1b
    HASH_IS(0x678bfabb9698c7d6)

    // integers there and back in all rounding modes
    begin
1:  bits
    fcvt.d.l fa0, a2, rup
    hash_d fa0
    fcvt.d.lu fa1, a2, rdn
    hash_d fa1
    fcvt.s.l fa2, a2, rmm
    hash_s fa2
    fcvt.d.w fa3, a2
    fcvt.s.wu fa4, a2, rtz
    hash_d fa3
    hash_s fa4
    srai a3, a2, 20
    fcvt.d.l fa0, a3
    fmv.d.x fa5, a2
    fcvt.l.d t1, fa0, rne
    hash t1
    fcvt.wu.d t1, fa0, rup
    hash t1
    fcvt.lu.d t1, fa0, rdn
    hash t1
    fcvt.w.d t1, fa3, rtz
    hash t1
    andi a4, s0, 3
    bnez a4, 2f
    hash_flags
    csrw fflags, zero
2:  addi s0, s0, 1
    li a1, 25000
    bne s0, a1, 1b
    HASH_IS(0xb1a37183ea6d032b)

    // a reserved rounding mode: illegal, in the middle of the loop, for what rounds dynamically
    begin
    la a0, numbers
    fld fa0, 0(a0)
    fld fa1, 8(a0)
    fmv.d.x fa2, zero
    hot_on illegal_trap
    li s0, 0
    CASE
1:  andi a3, s0, 0xff
    li a4, 0x80
    bne a3, a4, 2f
    csrwi frm, 5
2:  fadd.d fa2, fa2, fa0
    fmax.d fa3, fa0, fa1                // rounds nothing
    addi s0, s0, 1
    li a4, 25600
    bne s0, a4, 1b
    la t0, hot_frame
    ld a0, FRAME_COUNT(t0)
    hot_off
    IS(a0, 100)
    fmv.x.d a0, fa2
    mv s1, a0
    HASH_IS(0x40df400000000000)

    // fs is off in the middle of the loop: illegal, for loads, moves and arithmetic
    .macro fs_off line, reg, insn:vararg
    li gp, \line
    hot_on illegal_trap
    li s0, 0
    li s5, MSTATUS_FS
    la s6, numbers
    li s1, 0
1:  andi a3, s0, 0x7f
    li a4, 0x40
    bne a3, a4, 2f
    csrc mstatus, s5
2:  \insn
    addi s1, s1, 3
    addi s0, s0, 1
    li a4, 12800
    bne s0, a4, 1b
    la t0, hot_frame
    ld a0, FRAME_COUNT(t0)
    hot_off
    is a0, 100
    is s1, 3 * 12800
    li s6, 0
    .endm
    fs_off __LINE__, fa0, fadd.d fa3, fa0, fa1
    fs_off __LINE__, fa0, fld fa3, 8(s6)
    fs_off __LINE__, fa0, fmv.x.d a0, fa0
    fs_off __LINE__, fa0, fsd fa0, 0(s6)
    fs_off __LINE__, fa0, csrr a0, fflags
    fs_off __LINE__, fa0, fcvt.d.w fa4, s0

    // fs becomes dirty by each kind of write, in a hot loop
    li s0, 0
    li s1, 0
    li s5, MSTATUS_FS
    li s6, 0x2000                       // initial
    la s2, numbers
    .macro dirties insn:vararg
    csrc mstatus, s5
    csrs mstatus, s6
    \insn
    csrr a0, mstatus
    and a0, a0, s5
    srli a0, a0, 13
    hash a0
    .endm
    CASE
1:  dirties nop
    dirties fadd.d fa0, fa1, fa1
    dirties fld fa0, 0(s2)
    dirties fsd fa0, 0(s2)
    dirties fmv.x.d a0, fa0
    dirties csrw fflags, a0
    dirties fsgnj.s fa0, fa0, fa0
    addi s0, s0, 1
    li a1, 8000
    bne s0, a1, 1b
    HASH_IS(0xd4c1b1402059a3ac)
    li s6, 0
    PASS

illegal_trap:
    IS(s8, CAUSE_ILLEGAL)
    lwu t0, 0(s10)
    andi t1, t0, 3
    addi t1, t1, -3
    beqz t1, 1f
    slli t0, t0, 48
    srli t0, t0, 48
1:  SAME(s9, t0)
    li t0, MSTATUS_FS                   // either of them was the cause
    csrs mstatus, t0
    csrw frm, zero
    ld t0, FRAME_COUNT(s0)
    addi t0, t0, 1
    sd t0, FRAME_COUNT(s0)
    j hot_resume

    .balign 8
numbers:
    .double 1.25, 0.7853981633974483, 3.000000000000001, 0.1
    .double 1.0, -1.0, 0.0, -0.0
    .dword 0x7ff0000000000000, 0xfff0000000000000, 0x7ff8000000000000, 0x7ff0000000000001
    .double 4.9e-324, 1.7976931348623157e308, 2.2250738585072014e-308, 1.401298464324817e-45
