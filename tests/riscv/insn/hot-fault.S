// Faults and traps in the middle of hot loops, at changing iterations: all registers, epc and tval
// are exact, the handler changes a register and resumes at the instruction or behind it.
#define LEVELS 3
#include "hot.h"
#include "paging.h"

#define ROUNDS 25000
#define BORDER (WINDOW + PAGE)

/*
 * x1 to x13 count in front of the instruction, x14 to x26 behind it; x27 sums up x28, which the
 * instruction may set; x29 is its address, x30 the round, x31 their number. x29 walks up to BORDER,
 * where no page is; there (`adj` before it) the handler sets x29 back to somewhere in the page. A
 * model runs the same instruction on a second page, which must become the same.
 */
#define WALK(...) CASE; walk_case __VA_ARGS__
    .macro walk_case cause, adj, pre, insn, post
    .text
    la a0, 91f
    la a1, 92f
    la a2, 93f
    la a3, 94f
    la a4, 95f
    li a5, \cause
    li a6, \adj
    .ifb \pre
    li a7, 1
    .else
    li a7, 0
    .endif
    jal s4, walk_run
    j 96f
    .balign 4
91:                                     // the loop, in S mode
    count_front
    \pre
92: \insn
    \post
    add x27, x27, x28
    addi x29, x29, 8
    count_back
    addi x30, x30, 1
    bne x30, x31, 91b
93: ecall
    .balign 4
94: \pre                                // one step of the model
    mv x29, x20
    \insn
    \post
95: j walk_modelled
96:
    .endm

/*
 * x27 counts down to the trap, after which the handler sets it again, and adds to x28.
 */
#define TRAP(...) CASE; trap_case __VA_ARGS__
    .macro trap_case cause, tval, insn
    .text
    la a0, 91f
    la a1, 92f
    la a2, 93f
    la a3, 94f
    li a5, \cause
    li a6, \tval
    jal s4, trap_run
    j 96f
    .balign 4
91: count_front
    addi x27, x27, -1
    bnez x27, 94f
92: \insn
94: count_back
    addi x30, x30, 1
    bne x30, x31, 91b
93: ecall
    .balign 4
96:
    .endm

START
    paging_tables
    MAP(0, data_pages, RW)
    MAP(2, data_pages + PAGE, RW)
    la a0, data_pages
    li a1, PAGE
    add a1, a0, a1
    li a2, 0x0123456789abcdef
    li a3, 512
1:  sd a2, 0(a0)
    sd a2, 0(a1)
    slli a4, a2, 7
    xor a2, a2, a4
    srli a4, a2, 9
    xor a2, a2, a4
    addi a0, a0, 8
    addi a1, a1, 8
    addi a3, a3, -1
    bnez a3, 1b
    paging_on

    WALK(CAUSE_LOAD_PAGE, 0, "", "ld x28, 0(x29)", "")
    WALK(CAUSE_LOAD_PAGE, 8, "", "ld x28, 8(x29)", "")
    WALK(CAUSE_LOAD_PAGE, 0, "", "lw x28, 0(x29)", "")
    WALK(CAUSE_LOAD_PAGE, 8, "", "lwu x28, 5(x29)", "")
    WALK(CAUSE_LOAD_PAGE, 8, "", "ld x28, 3(x29)", "")
    WALK(CAUSE_LOAD_PAGE, 0, "", "lbu x28, 0(x29)", "")
    WALK(CAUSE_LOAD_PAGE, 8, "", "lh x28, 7(x29)", "")
    // several accesses off one base; the last is the one that faults
    WALK(CAUSE_LOAD_PAGE, 0, "ld x28, -16(x29); ld x27, -8(x29)", "ld x28, 0(x29)", "xor x28, x28, x27")
    WALK(CAUSE_LOAD_PAGE, 0, "lbu x28, -1(x29); sd x13, -8(x29)", "lw x28, 0(x29)", "sb x13, 3(x29)")
    WALK(CAUSE_STORE_PAGE, 16, "ld x28, 8(x29); ld x27, 0(x29)", "sd x12, 16(x29)", "sd x13, 8(x29)")
    // stores
    WALK(CAUSE_STORE_PAGE, 0, "", "sd x13, 0(x29)", "")
    WALK(CAUSE_STORE_PAGE, 0, "", "sw x13, 0(x29)", "")
    WALK(CAUSE_STORE_PAGE, 8, "", "sd x13, 1(x29)", "")
    WALK(CAUSE_STORE_PAGE, 8, "", "sh x13, 7(x29)", "")
    WALK(CAUSE_STORE_PAGE, 0, "", "sb x13, 0(x29)", "")
    // atomics
    WALK(CAUSE_STORE_PAGE, 0, "", "amoadd.d x28, x13, (x29)", "")
    WALK(CAUSE_STORE_PAGE, 0, "", "amomaxu.w x28, x13, (x29)", "")
    WALK(CAUSE_LOAD_PAGE, 0, "", "lr.d x28, (x29)", "sc.d x27, x13, (x29)")
    // floating point
    WALK(CAUSE_LOAD_PAGE, 0, "", "fld fa0, 0(x29)", "fmv.x.d x28, fa0")
    WALK(CAUSE_LOAD_PAGE, 0, "", "flw fa0, 0(x29)", "fmv.x.d x28, fa0")
    WALK(CAUSE_STORE_PAGE, 0, "fmv.d.x fa0, x13", "fsd fa0, 0(x29)", "")
    WALK(CAUSE_STORE_PAGE, 8, "fmv.d.x fa0, x13", "fsw fa0, 6(x29)", "")

    TRAP(CAUSE_ECALL_S, 0, "ecall")
    TRAP(CAUSE_BREAKPOINT, -1, ".word 0x00100073")
    TRAP(CAUSE_ILLEGAL, 0xffffffff, ".word 0xffffffff")
    TRAP(CAUSE_ILLEGAL, 0x30059073, "csrw mstatus, a1")
    TRAP(CAUSE_LOAD_ACCESS, 0x0f000008, "li x28, 0x0f000000; .balign 4; ld x28, 8(x28)")
    TRAP(CAUSE_STORE_ACCESS, 0x0f000008, "li x28, 0x0f000000; .balign 4; sd x27, 8(x28)")
    TRAP(CAUSE_STORE_MISALIGNED, 0x10000000c, "li x28, 0x10000000c; .balign 4; amoadd.d x28, x27, (x28)")
    TRAP(CAUSE_LOAD_MISALIGNED, 0x80000002, "li x28, 0x80000002; .balign 4; lr.w x28, (x28)")
    TRAP(CAUSE_FETCH_PAGE, 0x100005000, "li x28, 0x100005000; jr x28; nop")
    PASS

// a0 the loop, a1 its instruction, a2 its end, a3 the model, a5 cause, a6 adj, a7 whether x27 and x28
// are those of the round before at the fault; s4 return
walk_run:
    la t0, walk_case_data
    sd a0, 0(t0)
    sd a1, 8(t0)
    sd a2, 16(t0)
    sd a3, 24(t0)
    sd a5, 40(t0)
    sd a6, 48(t0)
    sd s4, 56(t0)
    sd gp, 64(t0)
    sd a7, 32(t0)
    sd x0, 72(t0)                       // the model's round
    sd x0, 80(t0)                       // its x27
    sd x0, 88(t0)                       // its x28
    hot_on walk_trap
    counted_start 26
    la t0, hot_frame
    sd a0, FRAME_EPC(t0)
    sd x0, 27 * 8(t0)
    sd x0, 28 * 8(t0)
    FRAME_SET(30, 0)
    FRAME_SET(31, ROUNDS)
    jal ra, walk_restart
    ld a0, FRAME_START(t0)
    la t0, walk_case_data
    sd a0, 96(t0)
    li t0, MSTATUS_MPP
    csrc mstatus, t0
    li t0, 0x800
    csrs mstatus, t0
    j hot_resume

// x29 = somewhere in the page
walk_restart:
    random a0
    li a1, 480
    remu a0, a0, a1
    slli a0, a0, 3
    addi a0, a0, 24
    la t0, hot_frame
    sd a0, FRAME_START(t0)
    li t1, WINDOW
    add a0, a0, t1
    sd a0, 29 * 8(t0)
    ret

walk_trap:
    la s1, walk_case_data
    ld gp, 64(s1)
    fsd fa0, 104(s1)
    // the model: from where the walk started, up to where x29 is
    la s2, data_pages + PAGE
    ld t0, 96(s1)
    add x29, s2, t0                     // where the last walk stopped, in the middle of a round
    ld t0, FRAME_START(s0)
    add x20, s2, t0                     // where the instruction went on
    ld a1, 29 * 8(s0)
    li t0, WINDOW
    sub a1, a1, t0
    add x30, s2, a1                     // where the model ends
    ld x27, 80(s1)
    ld x28, 88(s1)
    ld x31, 72(s1)
walk_model:
    beq x20, x30, 3f
    addi x31, x31, 1
    li t0, COUNTED_STEP(13)             // x13 and x12 as the loop has them
    mul t0, t0, x31
    li x13, COUNTED_BASE(13)
    add x13, x13, t0
    li t0, COUNTED_STEP(12)
    mul t0, t0, x31
    li x12, COUNTED_BASE(12)
    add x12, x12, t0
    ld t0, 24(s1)
    jr t0
walk_modelled:
    la s0, hot_frame
    la s1, walk_case_data
    add x27, x27, x28
    addi x20, x20, 8
    mv x29, x20
    j walk_model
3:  sub a1, x30, s2
    sd a1, 96(s1)
  sd x31, 72(s1)
    sd x28, 88(s1)
    sd x27, 80(s1)
    ld a2, 30 * 8(s0)                   // the round
    SAME(a2, x31)
    ld a0, 16(s1)
    beq s10, a0, walk_end
    // the trap itself
    ld a0, 40(s1)
    SAME(s8, a0)
    li a0, BORDER
    SAME(s9, a0)
    ld a0, 8(s1)
    SAME(s10, a0)
    ld a0, 48(s1)
    li a1, BORDER
    sub a0, a1, a0
    ld a1, 29 * 8(s0)
    ld gp, 64(s1)
    addi t5, a1, 0
    addi t6, a0, 0
    jal ra, check
    // the registers: the first half has counted once more
    counted_check a2, 14, 26
    addi a4, a2, 1
    counted_check a4, 1, 13
    ld a0, 32(s1)
    beqz a0, 4f
    ld a0, 27 * 8(s0)
    ld a1, 80(s1)
    SAME(a0, a1)
    ld a0, 28 * 8(s0)
    ld a1, 88(s1)
    SAME(a0, a1)
4:
    ld a0, FRAME_COUNT(s0)
    addi a0, a0, 1
    sd a0, FRAME_COUNT(s0)
    jal ra, walk_restart
    la s1, walk_case_data
    fld fa0, 104(s1)
    j hot_resume

walk_end:
    IS(s8, CAUSE_ECALL_S)
    IS(a2, ROUNDS)
    ld gp, 64(s1)
    counted_check a2, 1, 26
    ld t5, 27 * 8(s0)
    ld t6, 80(s1)
    jal ra, check
    ld t5, 28 * 8(s0)
    ld t6, 88(s1)
    jal ra, check
    ld t5, FRAME_COUNT(s0)              // it did fault
    sltiu t5, t5, 20
    li t6, 0
    jal ra, check
    la a0, data_pages
    li a1, PAGE
    add a1, a0, a1
    mv a2, a1
1:  ld t5, 0(a0)
    ld t6, 0(a1)
    jal ra, check
    addi a0, a0, 8
    addi a1, a1, 8
    bne a0, a2, 1b
    ld s4, 56(s1)
    hot_off
    jr s4

// a0 the loop, a1 its instruction, a2 its end, a3 where to go on, a5 cause, a6 tval; s4 return
trap_run:
    la t0, walk_case_data
    sd a1, 8(t0)
    sd a2, 16(t0)
    sd a3, 24(t0)
    sd a5, 40(t0)
    sd a6, 48(t0)
    sd s4, 56(t0)
    sd gp, 64(t0)
    li t1, 5
    sd t1, 72(t0)                       // the round of the next trap
    sd x0, 80(t0)                       // what is to be in x28
    hot_on trap_trap
    counted_start 26
    la t0, hot_frame
    sd a0, FRAME_EPC(t0)
    FRAME_SET(27, 6)
    FRAME_SET(28, 0)
    FRAME_SET(29, 29)
    FRAME_SET(30, 0)
    FRAME_SET(31, ROUNDS)
    li t0, MSTATUS_MPP
    csrc mstatus, t0
    li t0, 0x800
    csrs mstatus, t0
    j hot_resume

trap_trap:
    la s1, walk_case_data
    ld gp, 64(s1)
    ld a2, 30 * 8(s0)
    ld a0, 16(s1)
    beq s10, a0, trap_end
    ld t5, 72(s1)
    mv t6, a2
    jal ra, check
    ld t6, 40(s1)
    mv t5, s8
    jal ra, check
    mv t5, s9
    ld t6, 48(s1)
    addi t0, t6, 1
    bnez t0, 1f
    mv t6, s10                          // -1: tval is epc
1:  jal ra, check
    li t0, CAUSE_FETCH_PAGE
    mv t5, s10
    mv t6, s9
    beq s8, t0, 2f
    ld t6, 8(s1)                        // epc, if the instruction is the first of its case
    ld t0, 40(s1)
    li t1, CAUSE_LOAD_MISALIGNED
    blt t0, t1, 2f
    li t1, CAUSE_ECALL_U
    bge t0, t1, 2f
    ld t6, 24(s1)                       // ... or its last
    addi t6, t6, -4
2:  jal ra, check
    counted_check a2, 14, 26
    addi a4, a2, 1
    counted_check a4, 1, 13
    ld t5, 27 * 8(s0)
    li t6, 0
    jal ra, check
    ld t5, 29 * 8(s0)
    li t6, 29
    jal ra, check
    ld t0, 40(s1)
    li t1, CAUSE_LOAD_MISALIGNED
    blt t0, t1, 3f
    li t1, CAUSE_ECALL_U
    bge t0, t1, 3f
    ld t5, 28 * 8(s0)                   // the base, though it is the destination
    srli t5, t5, 4
    srli t6, s9, 4
    jal ra, check
    // the next one; x28 changes
3:
    random a0
    andi a0, a0, 0x1ff
    addi a0, a0, 1
    sd a0, 27 * 8(s0)
    add a1, a2, a0
    sd a1, 72(s1)
    random a0
    sd a0, 28 * 8(s0)
    sd a0, 80(s1)
    ld a0, 24(s1)
    sd a0, FRAME_EPC(s0)
    j hot_resume

trap_end:
    IS(s8, CAUSE_ECALL_S)
    IS(a2, ROUNDS)
    ld gp, 64(s1)
    counted_check a2, 1, 26
    ld t5, 28 * 8(s0)
    ld t6, 80(s1)
    jal ra, check
    ld s4, 56(s1)
    hot_off
    jr s4

    .balign 64
walk_case_data:
    .skip 128
    paging_data
