// mstatus.FS becomes Dirty when an f register is written, by writes of fcsr, and when an instruction
// that writes an x register changes the accrued flags. Clean stays Clean otherwise.
//: cpu max
#include "test.h"

#define CLEAN (2 << 13)
#define DIRTY (3 << 13)
#define LEAVES(state, ...) CASE; \
    li t0, MSTATUS_FS; csrc mstatus, t0; li t0, CLEAN; csrs mstatus, t0; \
    __VA_ARGS__; csrr t5, mstatus; and t5, t5, t1; li t6, state; jal ra, check
#define NO_FLAGS li t0, MSTATUS_FS; csrs mstatus, t0; csrw fflags, zero

START
    li t1, MSTATUS_FS
    csrs mstatus, t1
    la s1, data
    li a0, 0x3f800000                   // 1
    fmv.w.x fa1, a0
    li a0, 0x3fc00000                   // 1.5
    fmv.w.x fa2, a0
    li a0, 0x7fa00000                   // a signalling NaN
    fmv.w.x fa3, a0
    li a0, 0x3ff8000000000000           // 1.5
    fmv.d.x fa4, a0
    NO_FLAGS
    // f registers
    LEAVES(DIRTY, flw fa0, 0(s1))
    LEAVES(CLEAN, fsw fa1, 0(s1))
    LEAVES(DIRTY, fadd.s fa0, fa1, fa2)
    LEAVES(DIRTY, fsgnj.s fa0, fa1, fa2)
    LEAVES(DIRTY, fmax.s fa0, fa1, fa2)
    LEAVES(DIRTY, fcvt.s.w fa0, a0)
    LEAVES(DIRTY, fmv.w.x fa0, a0)
    LEAVES(CLEAN, fmv.x.w a0, fa1)
    LEAVES(CLEAN, fclass.s a0, fa3)
    // the CSRs
    LEAVES(DIRTY, csrw fflags, zero)
    LEAVES(DIRTY, csrw frm, zero)
    LEAVES(DIRTY, csrwi fcsr, 0)
    LEAVES(CLEAN, csrr a0, fcsr)
    LEAVES(CLEAN, csrr a0, fflags)
    // x registers: no flag, a new flag, the same flag
    LEAVES(CLEAN, feq.s a0, fa1, fa2)
    LEAVES(DIRTY, feq.s a0, fa1, fa3)
    LEAVES(CLEAN, feq.s a0, fa1, fa3)
    NO_FLAGS
    LEAVES(CLEAN, flt.s a0, fa1, fa2)
    LEAVES(DIRTY, flt.s a0, fa1, fa3)
    LEAVES(CLEAN, fle.s a0, fa1, fa3)
    NO_FLAGS
    LEAVES(CLEAN, fcvt.w.s a0, fa1)
    LEAVES(DIRTY, fcvt.w.s a0, fa2)
    LEAVES(CLEAN, fcvt.lu.s a0, fa2)
    NO_FLAGS
    LEAVES(DIRTY, fcvt.l.d a0, fa4)
    LEAVES(CLEAN, fcvt.wu.d a0, fa4)
    NO_FLAGS
    LEAVES(DIRTY, fcvtmod.w.d a0, fa4, rtz)
    NO_FLAGS
    LEAVES(CLEAN, fleq.s a0, fa1, fa2)
    LEAVES(DIRTY, fltq.s a0, fa1, fa3)
    // in one block: what dirties stays, whatever comes behind it
    LEAVES(DIRTY, feq.s a0, fa1, fa3; fadd.s fa0, fa1, fa1; feq.s a0, fa1, fa1)
    PASS

    .balign 8
data:
    .dword 0
