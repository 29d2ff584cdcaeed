// M, S and U mode: ecall, mret, sret, delegation, the stacks in mstatus, TVM, TW, TSR.
#include "test.h"

    .macro status_is mask, want
    csrr a0, mstatus
    li a1, \mask
    and a0, a0, a1
    is a0, \want
    .endm

START
    la a0, trap_s
    csrw stvec, a0
    TRAPS(CAUSE_ECALL_M, 0, ecall)
    TAKEN_IN(3)
    to_s
    TRAPS(CAUSE_ECALL_S, 0, ecall)
    TAKEN_IN(3)
    to_u
    TRAPS(CAUSE_ECALL_U, 0, ecall)
    TAKEN_IN(3)
    // the trap keeps the mode and the enable; mret restores them and sets MPIE, MPP = U
    li a0, MSTATUS_MIE | MSTATUS_MPIE
    csrs mstatus, a0
    to_s
    TRAPS(CAUSE_ECALL_S, 0, ecall)
    CASE
    status_is MSTATUS_MPP | MSTATUS_MPIE | MSTATUS_MIE, 0x880
    li a0, MSTATUS_MPIE
    csrc mstatus, a0
    to_u
    TRAPS(CAUSE_ECALL_U, 0, ecall)
    CASE
    status_is MSTATUS_MPP | MSTATUS_MPIE | MSTATUS_MIE, 0
    la a0, 1f
    csrw mepc, a0
    li a0, MSTATUS_MPP | MSTATUS_MPIE
    csrs mstatus, a0
    mret
    j fail
1:  CASE
    status_is MSTATUS_MPP | MSTATUS_MPIE | MSTATUS_MIE, MSTATUS_MPIE | MSTATUS_MIE
    csrci mstatus, MSTATUS_MIE
    // mret and sret where they are not allowed
    to_s
    ILLEGAL(mret)
    to_u
    ILLEGAL(mret)
    to_u
    ILLEGAL(sret)
    to_u
    ILLEGAL(sfence.vma)
    to_u
    ILLEGAL(wfi)
    // sret: from S to U with SPIE -> SIE
    li a0, MSTATUS_SPP | MSTATUS_SIE
    csrc mstatus, a0
    li a0, MSTATUS_SPIE
    csrs mstatus, a0
    to_s
    la a0, 2f
    csrw sepc, a0
    sret
    j fail
2:  TRAPS(CAUSE_ECALL_U, 0, ecall)
    CASE
    status_is MSTATUS_SPP | MSTATUS_SPIE | MSTATUS_SIE, MSTATUS_SPIE | MSTATUS_SIE
    // sret in M mode goes to S
    li a0, MSTATUS_SPP
    csrs mstatus, a0
    la a0, 3f
    csrw sepc, a0
    sret
    j fail
3:  TRAPS(CAUSE_ECALL_S, 0, ecall)
    // delegation: from U and S to S, never from M
    li a0, 1 << CAUSE_ILLEGAL | 1 << CAUSE_ECALL_U | 1 << CAUSE_BREAKPOINT
    csrw medeleg, a0
    CASE
    ILLEGAL(.word 0xffffffff)
    TAKEN_IN(3)
    csrw mcause, x0
    csrw mtval, x0
    li a0, MSTATUS_SIE
    csrs mstatus, a0
    to_u
    ILLEGAL(csrr a0, sscratch)
    TAKEN_IN(1)
    csrr a0, sstatus
    andi a0, a0, MSTATUS_SIE | MSTATUS_SPIE
    IS(a0, MSTATUS_SPIE)
    csrr a0, sstatus
    andi a0, a0, MSTATUS_SPP
    IS(a0, 0)
    ILLEGAL(csrr a0, mscratch)          // in S mode now
    TAKEN_IN(1)
    csrr a0, sstatus
    andi a0, a0, MSTATUS_SPP
    IS(a0, MSTATUS_SPP)
    la a1, 4f
    TRAPS_AT(CAUSE_BREAKPOINT, a1, 4: ebreak)
    TAKEN_IN(1)
    to_m                                // ecall from S is not delegated
    TAKEN_IN(3)
    csrr a0, mcause
    IS(a0, CAUSE_ECALL_S)
    to_u
    TRAPS(CAUSE_ECALL_U, 0, ecall)
    TAKEN_IN(1)
    to_m
    csrw medeleg, x0
    // TVM: satp and sfence.vma; TSR: sret; TW: wfi that does not end
    li a0, MSTATUS_TVM
    csrs mstatus, a0
    CASE
    csrr a0, satp
    sfence.vma
    to_s
    ILLEGAL(csrr a0, satp)
    to_s
    ILLEGAL(csrw satp, x0)
    to_s
    ILLEGAL(sfence.vma)
    to_s
    ILLEGAL(sfence.vma a0, a1)
    to_s
    ILLEGAL(sinval.vma x0, x0)
    to_s
    sfence.w.inval
    sfence.inval.ir
    to_m
    li a0, MSTATUS_TVM
    csrc mstatus, a0
    CASE
    to_s
    csrr a0, satp
    sfence.vma
    sinval.vma x0, x0
    to_m
    to_u
    ILLEGAL(sinval.vma x0, x0)
    to_u
    ILLEGAL(sfence.w.inval)
    to_u
    ILLEGAL(sfence.inval.ir)
    li a0, MSTATUS_TSR
    csrs mstatus, a0
    to_s
    ILLEGAL(sret)
    li a0, MSTATUS_TSR
    csrc mstatus, a0
    li a0, MSTATUS_TW
    csrs mstatus, a0
    to_s
    ILLEGAL(wfi)
    li a0, MSTATUS_TW
    csrc mstatus, a0
    // MPRV goes when mret leaves for a lower mode
    li a0, MSTATUS_MPRV
    csrs mstatus, a0
    to_s
    to_m
    CASE
    status_is MSTATUS_MPRV, 0
    // stvec in use while the trap comes from U with a far away epc: a fetch fault's epc and tval
    li a0, 1 << CAUSE_FETCH_ACCESS
    csrw medeleg, a0
    to_u
    li a1, 0x4000000000
    FETCH_FAULTS(CAUSE_FETCH_ACCESS, a1, a1)
    TAKEN_IN(1)
    to_m
    // loads and stores where nothing is
    li a1, 0x4000000004
    TRAPS_AT(CAUSE_LOAD_ACCESS, a1, lw a0, 0(a1))
    TRAPS_AT(CAUSE_STORE_ACCESS, a1, sd a0, 0(a1))
    TRAPS_AT(CAUSE_STORE_ACCESS, a1, fsd fa0, 0(a1))
    PASS
