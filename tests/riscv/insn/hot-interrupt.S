// Interrupts in the middle of hot loops: every register is exact wherever they arrive.
#include "hot.h"

#define TIMES 150

    // the timer goes off a pseudo-random time from now; t0 to t3 are lost
    .macro timer_soon
    random t2
    andi t2, t2, 0x7ff
    addi t2, t2, 50                     // 5 to 210 us
    li t3, MTIME
    ld t3, 0(t3)
    add t2, t2, t3
    li t3, MTIMECMP
    sd t2, 0(t3)
    .endm
    .macro timer_never
    li t2, -1
    li t3, MTIMECMP
    sd t2, 0(t3)
    .endm
    // in M mode with interrupts on, from hot_resume on
    .macro resume_interruptible
    li t0, MSTATUS_MPP | MSTATUS_MPIE
    csrs mstatus, t0
    j hot_resume
    .endm

START
    timer_never

    // ---- a loop of all registers; one branch or many; where it was, epc says ----
    .macro counted_loop line, branches
    li gp, \line
    hot_on 2f
    counted_start 26
    la t0, hot_frame
    sd gp, FRAME_SUM(t0)
    FRAME_SET(27, 0)
    FRAME_SET(28, 28)
    FRAME_SET(29, 29)
    FRAME_SET(30, 0)
    la t0, hot_frame
    la t1, 1f
    sd t1, FRAME_EPC(t0)
    li t0, 0x80
    csrw mie, t0
    timer_soon
    resume_interruptible
    .option push
    .option norvc
    .balign 4
1:
    .irp n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13
    addi x\n, x\n, COUNTED_STEP(\n)
    .if \branches
    beqz x28, 9f
    .endif
    .endr
    .irp n, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26
    addi x\n, x\n, COUNTED_STEP(\n)
    .if \branches
    beqz x28, 9f
    .endif
    .endr
    addi x30, x30, 1
    j 1b
9:  j fail
    .option pop
2:  li a0, INTERRUPT | 7
    ld gp, FRAME_SUM(s0)
    mv t5, s8
    mv t6, a0
    jal ra, check
    la a0, 1b
    sub a0, s10, a0                     // how far in the loop
    srli a0, a0, 2 + \branches
    addi a5, a0, 0                      // so many registers count once more ...
    .if \branches
    la a1, 1b
    sub a1, s10, a1
    andi a1, a1, 4                      // ... and if the branch comes next
    beqz a1, 3f
    addi a5, a5, 1
3:
    .endif
    ld a2, 30 * 8(s0)
    li t0, 27
    blt a5, t0, 3f
    addi a2, a2, -1                     // in front of the loop's jump: x30 has counted too
    li a5, 26
3:  addi a4, a2, 1
    // xN of rounds + 1 up to a5, of rounds from there on
    li a6, 1
4:  mv a7, a4
    bgeu a5, a6, 5f
    mv a7, a2
5:  slli t2, a6, 40
    slli t3, a6, 1
    add t4, t3, a6
    sub t2, t2, t4
    addi t3, t3, 1
    mul t3, t3, a7
    add t6, t2, t3
    slli t3, a6, 3
    add t3, t3, s0
    ld t5, 0(t3)
    jal ra, check
    addi a6, a6, 1
    li t2, 27
    bltu a6, t2, 4b
    ld t5, 28 * 8(s0)
    li t6, 28
    jal ra, check
    ld a0, FRAME_COUNT(s0)
    addi a0, a0, 1
    sd a0, FRAME_COUNT(s0)
    li a1, TIMES
    beq a0, a1, 6f
    timer_soon
    j hot_resume
6:  timer_never
    hot_off
    .endm
    counted_loop __LINE__, 0
    counted_loop __LINE__, 1

    // ---- a loop that only waits for the handler's store ----
    .macro simple_on handler
    hot_on \handler
    li t0, 0x80
    csrw mie, t0
    .endm
    CASE
    simple_on spin_trap
    li s0, 0
    li s1, 0
    la s2, spin_flag
    sd x0, 0(s2)
1:  timer_soon
    csrsi mstatus, MSTATUS_MIE
2:  ld a0, 0(s2)
    beqz a0, 2b
    csrci mstatus, MSTATUS_MIE
    sd x0, 0(s2)
    add s1, s1, a0
    addi s0, s0, 1
    li a1, TIMES
    bne s0, a1, 1b
    hot_off
    IS(s1, 7 * TIMES)

    // ---- loops of one instruction ----
    CASE
    simple_on skip_trap
    li s0, 0
1:  timer_soon
    csrsi mstatus, MSTATUS_MIE
    .option push
    .option norvc
    j .
    nop
    .option pop
    csrci mstatus, MSTATUS_MIE
    addi s0, s0, 1
    li a1, TIMES
    bne s0, a1, 1b
    la t0, hot_frame
    ld a0, FRAME_COUNT(t0)
    hot_off
    IS(a0, TIMES)
    CASE
    simple_on skip_trap
    li s0, 0
    la s2, 2f
1:  timer_soon
    csrsi mstatus, MSTATUS_MIE
    .option push
    .option norvc
2:  jr s2
    .option pop
    csrci mstatus, MSTATUS_MIE
    addi s0, s0, 1
    li a1, TIMES
    bne s0, a1, 1b
    la t0, hot_frame
    ld a0, FRAME_COUNT(t0)
    hot_off
    IS(a0, TIMES)
    CASE
    simple_on skip_trap
    li s0, 0
    li s3, 1
1:  timer_soon
    csrsi mstatus, MSTATUS_MIE
    .option push
    .option norvc
    bnez s3, .
    .option pop
    csrci mstatus, MSTATUS_MIE
    addi s0, s0, 1
    li a1, TIMES
    bne s0, a1, 1b
    la t0, hot_frame
    ld a0, FRAME_COUNT(t0)
    hot_off
    IS(a0, TIMES)

    // ---- an interrupt that is pending is taken right behind what enables it ----
    // mstatus, in the loop
    hot_on enable_trap
    li t0, 2                            // SSI, not delegated
    csrw mie, t0
    li s0, 0
    li s1, 0
    la s2, 2f
    CASE
1:  csrsi mip, 2
    addi s1, s1, 1
    csrsi mstatus, MSTATUS_MIE
2:  addi s1, s1, 1
    csrci mstatus, MSTATUS_MIE
    addi s0, s0, 1
    li a1, 15000
    bne s0, a1, 1b
    la t0, hot_frame
    ld a0, FRAME_COUNT(t0)
    hot_off
    IS(a0, 15000)
    IS(s1, 30000)
    // mie
    hot_on enable_trap
    csrw mie, x0
    csrsi mstatus, MSTATUS_MIE
    li s0, 0
    li s1, 0
    la s2, 2f
    CASE
1:  csrsi mip, 2
    addi s1, s1, 1
    csrsi mie, 2
2:  addi s1, s1, 1
    csrci mie, 2
    addi s0, s0, 1
    li a1, 15000
    bne s0, a1, 1b
    la t0, hot_frame
    ld a0, FRAME_COUNT(t0)
    hot_off
    IS(a0, 15000)
    IS(s1, 30000)
    // mip itself
    hot_on enable_trap
    csrsi mie, 2
    li s0, 0
    la s2, 2f
    CASE
1:  andi a0, s0, 7
    bnez a0, 3f
    csrsi mip, 2
2:  addi s1, s1, 1
3:  addi s0, s0, 1
    li a1, 32000
    bne s0, a1, 1b
    la t0, hot_frame
    ld a0, FRAME_COUNT(t0)
    csrci mstatus, MSTATUS_MIE
    hot_off
    IS(a0, 4000)

    // ---- software interrupts to itself, through the device ----
    hot_on msip_trap
    csrwi mie, 8
    li s0, 0
    li s3, CLINT
    la s4, spin_flag
    sd x0, 0(s4)
    li s5, 1
    csrsi mstatus, MSTATUS_MIE
    CASE
1:  sw s5, 0(s3)
2:  ld a0, 0(s4)
    bne a0, s5, 2b
    addi s5, s5, 1
    ori s6, s5, 1
    sw s6, 0(s3)
    addi s5, s5, 1
2:  ld a0, 0(s4)
    addi a0, a0, 1
    bne a0, s5, 2b
    addi s0, s0, 2
    li a1, 10000
    bne s0, a1, 1b
    csrci mstatus, MSTATUS_MIE
    hot_off
    li s6, 0
    ld a0, 0(s4)
    IS(a0, 10000)

    // ---- wfi in a loop: it ends when something is pending, or the handler runs ----
    li s0, 0
    csrwi mie, 0
    li t0, 0x80
    csrw mie, t0
    CASE
1:  timer_soon
2:  wfi
    csrr a0, mip
    andi a0, a0, 0x80
    beqz a0, 2b
    timer_never
3:  csrr a0, mip
    andi a0, a0, 0x80
    bnez a0, 3b
    addi s0, s0, 1
    li a1, TIMES
    bne s0, a1, 1b
    simple_on tick_trap
    li s0, 0
    li s1, 0
    la s2, spin_flag
    sd x0, 0(s2)
1:  timer_soon
    csrsi mstatus, MSTATUS_MIE
2:  wfi
    addi s1, s1, 1
    ld a0, 0(s2)
    beqz a0, 2b
    csrci mstatus, MSTATUS_MIE
    sd x0, 0(s2)
    addi s0, s0, 1
    li a1, TIMES
    bne s0, a1, 1b
    hot_off
    // with something pending wfi does not wait
    csrwi mie, 2
    csrsi mip, 2
    li s0, 0
    CASE
1:  wfi
    addi s0, s0, 1
    li a1, 20000
    bne s0, a1, 1b
    csrci mip, 2
    PASS

spin_trap:
    li a0, INTERRUPT | 7
    SAME(s8, a0)
    timer_never
    la a0, spin_flag
    li a1, 7
    sd a1, 0(a0)
    j hot_resume

tick_trap:
    li a0, INTERRUPT | 7
    SAME(s8, a0)
    la a0, spin_flag
    li a1, 7
    sd a1, 0(a0)
    timer_soon
    j hot_resume

skip_trap:
    li a0, INTERRUPT | 7
    SAME(s8, a0)
    timer_never
    ld a0, FRAME_COUNT(s0)
    addi a0, a0, 1
    sd a0, FRAME_COUNT(s0)
    // before the loop, at its instruction, or not at all
    lw a0, 0(s10)
    li a1, 0x30047073                   // csrci mstatus, 8: too late
    beq a0, a1, fail
    lw a1, -4(s10)
    li a2, 0x30046073                   // csrsi mstatus, 8: now, or the loop ran
    bne a1, a2, fail
    addi s10, s10, 4
    sd s10, FRAME_EPC(s0)
    j hot_resume

enable_trap:
    li a0, INTERRUPT | 1
    SAME(s8, a0)
    ld a0, 18 * 8(s0)
    SAME(s10, a0)
    csrci mip, 2
    ld a0, FRAME_COUNT(s0)
    addi a0, a0, 1
    sd a0, FRAME_COUNT(s0)
    j hot_resume

msip_trap:
    li a0, INTERRUPT | 3
    SAME(s8, a0)
    li a0, CLINT
    sw x0, 0(a0)
    la a0, spin_flag
    ld a1, 0(a0)
    addi a1, a1, 1
    sd a1, 0(a0)
1:  csrr a0, mip
    andi a0, a0, 8
    bnez a0, 1b
    j hot_resume

    .balign 64
spin_flag:
    .dword 0
