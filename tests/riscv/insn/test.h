/*
 * What every instruction test shares: start-up, traps, checks and the verdict.
 *
 * A test is one file: START, checks, PASS. It runs bare in M mode at 0x80000000 (-bios). Each check
 * first puts its source line into gp; the first that fails prints that line with what it got and
 * what it wanted on the UART, and ends the machine with that line as the status (255 at most).
 *
 * Registers: gp the line; s6 to s11 belong to the trap handlers (s7 where to go on after an
 * expected trap, or 0; then s8 cause, s9 tval, s10 epc, s11 the mode that took it: 3 or 1);
 * t5 and t6 to checks. ra is lost at each check. Everything else is the test's.
 */

#ifndef TEST_H
#define TEST_H

#define UART      0x10000000
#define FINISHER  0x00100000
#define CLINT     0x02000000
#define MTIMECMP  0x02004000
#define MTIME     0x0200bff8

/* mcause */
#define CAUSE_FETCH_MISALIGNED 0
#define CAUSE_FETCH_ACCESS     1
#define CAUSE_ILLEGAL          2
#define CAUSE_BREAKPOINT       3
#define CAUSE_LOAD_MISALIGNED  4
#define CAUSE_LOAD_ACCESS      5
#define CAUSE_STORE_MISALIGNED 6
#define CAUSE_STORE_ACCESS     7
#define CAUSE_ECALL_U          8
#define CAUSE_ECALL_S          9
#define CAUSE_ECALL_M          11
#define CAUSE_FETCH_PAGE       12
#define CAUSE_LOAD_PAGE        13
#define CAUSE_STORE_PAGE       15
#define INTERRUPT              0x8000000000000000

/* mstatus and sstatus */
#define MSTATUS_SIE  0x2
#define MSTATUS_MIE  0x8
#define MSTATUS_SPIE 0x20
#define MSTATUS_MPIE 0x80
#define MSTATUS_SPP  0x100
#define MSTATUS_MPP  0x1800
#define MSTATUS_FS   0x6000
#define MSTATUS_MPRV 0x20000
#define MSTATUS_SUM  0x40000
#define MSTATUS_MXR  0x80000
#define MSTATUS_TVM  0x100000
#define MSTATUS_TW   0x200000
#define MSTATUS_TSR  0x400000

/* A page table entry */
#define PTE_V 0x01
#define PTE_R 0x02
#define PTE_W 0x04
#define PTE_X 0x08
#define PTE_U 0x10
#define PTE_G 0x20
#define PTE_A 0x40
#define PTE_D 0x80

/* ---- the check of one line ---- */

#define CASE          li gp, __LINE__
/* reg == constant */
#define IS(reg, want) CASE; is reg, want
/* reg == reg */
#define SAME(reg, other) CASE; mv t5, reg; mv t6, other; jal ra, check

    .macro is reg, want
    mv t5, \reg
    li t6, \want
    jal ra, check
    .endm

#define RR(op, want, a, b) CASE; li a1, a; li a2, b; op a0, a1, a2; is a0, want
#define RI(op, want, a, i) CASE; li a1, a; op a0, a1, i; is a0, want
#define R(op, want, a)     CASE; li a1, a; op a0, a1; is a0, want

/* Floating point: bits in, bits and fflags out. Wants the format (h, w or d) of each. */
#define ISFLAGS(want) csrr t5, fflags; li t6, want; jal ra, check
#define F2(op, fmt, want, flags, a, b, ...) CASE; \
    li a1, a; fmv.fmt.x fa1, a1; li a2, b; fmv.fmt.x fa2, a2; csrw fflags, zero; \
    op fa0, fa1, fa2 __VA_OPT__(,) __VA_ARGS__; fmv.x.fmt a0, fa0; is a0, want; ISFLAGS(flags)
#define F3(op, fmt, want, flags, a, b, c, ...) CASE; \
    li a1, a; fmv.fmt.x fa1, a1; li a2, b; fmv.fmt.x fa2, a2; li a3, c; fmv.fmt.x fa3, a3; \
    csrw fflags, zero; \
    op fa0, fa1, fa2, fa3 __VA_OPT__(,) __VA_ARGS__; fmv.x.fmt a0, fa0; is a0, want; ISFLAGS(flags)
/* from fmt to out */
#define F1(op, fmt, out, want, flags, a, ...) CASE; \
    li a1, a; fmv.fmt.x fa1, a1; csrw fflags, zero; \
    op fa0, fa1 __VA_OPT__(,) __VA_ARGS__; fmv.x.out a0, fa0; is a0, want; ISFLAGS(flags)
/* from fmt to an integer register */
#define FX(op, fmt, want, flags, a, ...) CASE; \
    li a1, a; fmv.fmt.x fa1, a1; csrw fflags, zero; li a0, -3; \
    op a0, fa1 __VA_OPT__(,) __VA_ARGS__; is a0, want; ISFLAGS(flags)
#define FXX(op, fmt, want, flags, a, b) CASE; \
    li a1, a; fmv.fmt.x fa1, a1; li a2, b; fmv.fmt.x fa2, a2; csrw fflags, zero; \
    op a0, fa1, fa2; is a0, want; ISFLAGS(flags)
/* from an integer register to out */
#define XF(op, out, want, flags, a, ...) CASE; \
    li a1, a; csrw fflags, zero; op fa0, a1 __VA_OPT__(,) __VA_ARGS__; \
    fmv.x.out a0, fa0; is a0, want; ISFLAGS(flags)

/* ---- traps ---- */

/* The instruction traps, in any mode, with this cause and tval. */
#define TRAPS(cause, tval, ...) CASE; traps cause, tval, __VA_ARGS__
    .macro traps cause, tval, insn:vararg
    la s7, 8f
7:  \insn
    j fail
    .balign 4
8:  is s8, \cause
    is s9, \tval
    mv t5, s10
    la t6, 7b
    jal ra, check
    .endm

/* As TRAPS, with tval in a register. */
#define TRAPS_AT(cause, reg, ...) CASE; traps_at cause, reg, __VA_ARGS__
    .macro traps_at cause, reg, insn:vararg
    la s7, 8f
7:  \insn
    j fail
    .balign 4
8:  is s8, \cause
    mv t5, s9
    mv t6, \reg
    jal ra, check
    mv t5, s10
    la t6, 7b
    jal ra, check
    .endm

/* A 32-bit instruction is illegal, and tval holds its bits. */
#define ILLEGAL(...) CASE; illegal __VA_ARGS__
    .macro illegal insn:vararg
    la s7, 8f
    .balign 4
7:  \insn
    j fail
    .balign 4
8:  is s8, CAUSE_ILLEGAL
    mv t5, s9
    lwu t6, 7b
    jal ra, check
    mv t5, s10
    la t6, 7b
    jal ra, check
    .endm

/* Jumping to the address in reg faults: epc is that address, tval is tval. */
#define FETCH_FAULTS(cause, reg, tval) CASE; fetch_faults cause, reg, tval
    .macro fetch_faults cause, reg, tval
    la s7, 8f
    jr \reg
    j fail
    .balign 4
8:  is s8, \cause
    mv t5, s9
    mv t6, \tval
    jal ra, check
    mv t5, s10
    mv t6, \reg
    jal ra, check
    .endm

/* The last trap went to this mode. */
#define TAKEN_IN(mode) is s11, mode

/* From M mode: go on in S or U mode. t5 is lost. */
    .macro to_s
    li t5, MSTATUS_MPP
    csrc mstatus, t5
    li t5, 0x800
    csrs mstatus, t5
    la t5, 7f
    csrw mepc, t5
    mret
7:
    .endm
    .macro to_u
    li t5, MSTATUS_MPP
    csrc mstatus, t5
    la t5, 7f
    csrw mepc, t5
    mret
7:
    .endm
/* From S or U mode, whose ecall is not delegated: go on in M mode. */
    .macro to_m
    la s7, 7f
    ecall
    j fail
    .balign 4
7:
    .endm

/* ---- start and end ---- */

#ifndef OTHER_HARTS
#define OTHER_HARTS 6: wfi; j 6b
#endif

#define START start
#define PASS  j pass

    .section .text.start, "ax"
    .globl _start
_start:
    j start_m

    .balign 4
trap_m:                                 /* M mode's handler */
    beqz s7, 1f
    csrr s8, mcause
    csrr s9, mtval
    csrr s10, mepc
    li s11, 3
    mv s6, s7
    li s7, 0
    jr s6
1:  addi s6, s6, -1                     /* fail sets it to 1: keep the last trap's numbers */
    beqz s6, report
    csrr s8, mcause
    csrr s9, mtval
    csrr s10, mepc
    li s11, 3
    j report

    .balign 4
trap_s:                                 /* S mode's handler, for tests that delegate */
    csrr s8, scause
    csrr s9, stval
    csrr s10, sepc
    li s11, 1
    beqz s7, fail
    mv s6, s7
    li s7, 0
    jr s6

check:
    bne t5, t6, fail
    ret
fail:                                   /* from any mode */
    li s7, 0
    li s6, 1
    ecall

report:                                 /* in M mode */
    li s0, UART
    la a0, 3f
    call text
    mv a0, gp
    call hex
    mv a0, t5
    call hex
    mv a0, t6
    call hex
    mv a0, s8
    call hex
    mv a0, s9
    call hex
    mv a0, s10
    call hex
    li a0, '\n'
    sb a0, 0(s0)
    li t0, 255
    bltu gp, t0, 1f
    mv gp, t0
1:  slli gp, gp, 16
    li t0, 0x3333
    or t0, t0, gp
    li t1, FINISHER
    sw t0, 0(t1)
2:  j 2b
3:  .asciz "FAIL line, got, want, cause, tval, epc:"
    .balign 4

pass:                                   /* from M mode */
    li t1, FINISHER
    li t0, 0x5555
    sw t0, 0(t1)
1:  j 1b

text:
    lbu t0, 0(a0)
    beqz t0, 1f
    sb t0, 0(s0)
    addi a0, a0, 1
    j text
1:  ret

hex:                                    /* " 0x" and a0 without leading zeros */
    li t0, ' '
    sb t0, 0(s0)
    li t0, '0'
    sb t0, 0(s0)
    li t0, 'x'
    sb t0, 0(s0)
    li t1, 60
1:  srl t2, a0, t1
    bnez t2, 2f
    beqz t1, 2f
    addi t1, t1, -4
    j 1b
2:  srl t2, a0, t1
    andi t2, t2, 15
    addi t2, t2, '0'
    li t0, '9'
    ble t2, t0, 3f
    addi t2, t2, 'a' - '9' - 1
3:  sb t2, 0(s0)
    addi t1, t1, -4
    bgez t1, 2b
    ret

start_m:
    la t0, trap_m
    csrw mtvec, t0
    li t0, MSTATUS_FS
    csrs mstatus, t0
    li s6, 0
    li s7, 0
    li t0, -1                           /* PMP: everything is allowed */
    csrw pmpaddr0, t0
    li t0, 0x1f
    csrw pmpcfg0, t0
    csrr t0, mhartid
    beqz t0, 1f
    j other_harts
1:  j main
other_harts:
    OTHER_HARTS
    .balign 4

    .macro start
    .text
main:
    .endm

#endif
