// Hot code and what PMP and devices do to it: permissions that come and go by page and within a
// page, for data and for the code itself; the same instructions on RAM and on device registers.
#include "hot.h"

#define ROUNDS   24000
#define PMP_NAPOT 0x18
#define PRIORITY 0x0c000000             /* the PLIC's: 32 bits each, of which 3 */

    // traps of S mode come back to s2, in M mode, with cause, tval and epc in a5 to a7
START
    la t0, back
    csrw mtvec, t0
    // entry 0: what changes; entry 1: everything
    csrr a0, pmpcfg0
    slli a0, a0, 8
    li a1, -1
    csrw pmpaddr1, a1
    li a1, 0x1f00
    csrw pmpcfg0, a1
    sfence.vma
    li s5, MSTATUS_MPP
    li s6, 0x800

    // data: a page that is all, read-only, nothing by turns, each for one round
    la s3, page
    srli a0, s3, 2
    li a1, 0x1ff
    or a0, a0, a1
    csrw pmpaddr0, a0
    li s0, 0
    li s1, 0                            // rounds that went well, loads that failed << 20, stores << 40
    li s7, 0
    la s4, user
    la s11, done
    CASE
1:  li a1, 3
    remu a1, s0, a1
    li a0, 0x1f00 | PMP_NAPOT | 3
    beqz a1, 2f
    li a0, 0x1f00 | PMP_NAPOT | 1
    addi a1, a1, -1
    beqz a1, 2f
    li a0, 0x1f00 | PMP_NAPOT
2:  csrw pmpcfg0, a0
    sfence.vma
    csrc mstatus, s5
    csrs mstatus, s6
    csrw mepc, s4
    la s2, 3f
    mret
3:  la a0, user_load
    beq a7, a0, 4f
    la a0, user_store
    beq a7, a0, 5f
    bne a7, s11, hot_fail
    addi s1, s1, 1
    j 6f
4:  li a0, CAUSE_LOAD_ACCESS
    bne a5, a0, hot_fail
    bne a6, s3, hot_fail
    li a0, 1 << 20
    add s1, s1, a0
    j 6f
5:  li a0, CAUSE_STORE_ACCESS
    bne a5, a0, hot_fail
    addi a0, s3, 8
    bne a6, a0, hot_fail
    li a0, 1 << 40
    add s1, s1, a0
6:  addi s0, s0, 1
    li a0, 24000
    bne s0, a0, 1b
    hot_off
    li a0, 8000 | 8000 << 20 | 8000 << 40
    SAME(s1, a0)
    ld a0, 8(s3)
    IS(a0, 15999)                       // s7 counts each load that went well; the last store was that of round 23997

    // within a page: the upper half is not to be stored to; a hot loop walks over it
    la t0, back
    csrw mtvec, t0
    li a0, 0x1f00
    csrw pmpcfg0, a0
    la a0, page + 2048
    srli a0, a0, 2
    ori a0, a0, 0xff
    csrw pmpaddr0, a0
    li a0, 0x1f00 | PMP_NAPOT | 1
    csrw pmpcfg0, a0
    sfence.vma
    li s0, 0
    CASE
1:  csrc mstatus, s5
    csrs mstatus, s6
    la a0, walker
    csrw mepc, a0
    la s2, 2f
    mv s8, s3
    li s9, 0
    mret
2:  li a0, CAUSE_STORE_ACCESS
    bne a5, a0, hot_fail
    li a0, 2048
    add a1, s3, a0
    bne a6, a1, hot_fail
    bne s8, a1, hot_fail
    la a0, walker_store
    bne a7, a0, hot_fail
    li a0, 256
    bne s9, a0, hot_fail
    addi s0, s0, 1
    li a0, 300
    bne s0, a0, 1b
    hot_off

    // the code's page: not to be run, by turns
    la t0, back
    csrw mtvec, t0
    li a0, 0x1f00
    csrw pmpcfg0, a0
    la s4, code
    srli a0, s4, 2
    ori a0, a0, 0x1ff
    csrw pmpaddr0, a0
    li s0, 0
    li s1, 0
    CASE
1:  andi a1, s0, 3
    li a0, 0x1f00 | PMP_NAPOT | 5
    bnez a1, 2f
    li a0, 0x1f00 | PMP_NAPOT | 1
2:  csrw pmpcfg0, a0
    sfence.vma
    csrc mstatus, s5
    csrs mstatus, s6
    csrw mepc, s4
    la s2, 3f
    mret
3:  addi s0, s0, 1
    li a0, CAUSE_ECALL_S
    beq a5, a0, 4f
    li a0, CAUSE_FETCH_ACCESS
    bne a5, a0, hot_fail
    bne a6, s4, hot_fail
    bne a7, s4, hot_fail
    addi s1, s1, 100
4:  li a0, ROUNDS
    bne s0, a0, 1b
    hot_off
    IS(s1, ROUNDS / 4 * 3 + ROUNDS / 4 * 100)
    li a0, 0x1f00
    csrw pmpcfg0, a0
    sfence.vma

    // the same instructions on RAM and on device registers, by turns
    la s3, page
    li s4, PRIORITY
    sd x0, 0(s3)
    sd x0, 8(s3)
    sd x0, 16(s3)
    li s0, 0
    li s1, 0
    CASE
1:  lw a0, 4(s3)
    lw a1, 8(s3)
    lw a2, 12(s3)
    addi a0, a0, 1
    andi a0, a0, 7
    add a1, a1, a0
    andi a1, a1, 7
    xor a2, a2, a1
    sw a0, 4(s3)
    sw a1, 8(s3)
    sw a2, 12(s3)
    lwu a3, 8(s3)
    bne a3, a1, fail
    add s1, s1, a2
    mv a0, s3
    mv s3, s4
    mv s4, a0
    addi s0, s0, 1
    li a0, 2 * ROUNDS
    bne s0, a0, 1b
    // both must have gone the same way
    lw a0, 4(s3)
    lw a1, 4(s4)
    SAME(a0, a1)
    lw a0, 8(s3)
    lw a1, 8(s4)
    SAME(a0, a1)
    lw a0, 12(s3)
    lw a1, 12(s4)
    SAME(a0, a1)
    IS(s1, 108000)

    // RAM, device and nothing by turns: the latter faults, M mode's handler takes the next
    hot_on third
    la s3, page
    sw x0, 4(s3)
    li s4, PRIORITY
    sw x0, 4(s4)
    li s5, 0x0f000000
    li s0, 0
    CASE
    .option push
    .option norvc
1:  addi s1, s0, 0
2:  lw a0, 4(s3)
    addi a0, a0, 1
    andi a0, a0, 7
    sw a0, 4(s3)
    mv a1, s3
    mv s3, s4
    mv s4, s5
    mv s5, a1
    addi s0, s0, 1
    li a1, ROUNDS
    bne s0, a1, 1b
    .option pop
    la t0, hot_frame
    ld a0, FRAME_COUNT(t0)
    hot_off
    li a1, (ROUNDS - 1) / 2
    SAME(a0, a1)
    li s3, PRIORITY
    lw a0, 4(s3)
    IS(a0, ROUNDS / 2 & 7)
    la s3, page
    lw a0, 4(s3)
    IS(a0, ROUNDS / 2 & 7)
    PASS

third:                                  // s3, s4, s5 = s4, s5, s3
    IS(s8, CAUSE_LOAD_ACCESS)
    IS(s9, 0x0f000004)
    la a0, 2b
    SAME(s10, a0)
    ld a0, 8 * 8(s0)
    ld a1, 9 * 8(s0)
    SAME(a0, a1)
    ld a0, 19 * 8(s0)
    ld a1, 20 * 8(s0)
    ld a2, 21 * 8(s0)
    sd a1, 19 * 8(s0)
    sd a2, 20 * 8(s0)
    sd a0, 21 * 8(s0)
    ld a0, FRAME_COUNT(s0)
    addi a0, a0, 1
    sd a0, FRAME_COUNT(s0)
    j hot_resume

hot_fail:
    la t0, trap_m
    csrw mtvec, t0
    mv t5, a6
    mv t6, a7
    mv s8, a5
    mv s9, a6
    mv s10, a7
    j fail

    .balign 4
back:
    csrr a5, mcause
    csrr a6, mtval
    csrr a7, mepc
    jr s2

    .option push
    .option norvc
user:
    addi a0, a0, 1
user_load:
    ld a0, 0(s3)
    ld a1, 8(s3)
    addi a0, a0, 1
    addi s7, s7, 1
user_store:
    sd s7, 8(s3)
    addi a1, a1, 1
done:
    ecall

walker:
    ld a0, 1024(s8)
    addi a0, a0, 1
walker_store:
    sd a0, 0(s8)
    ld a1, 0(s8)
    bne a0, a1, 1f
    addi s8, s8, 8
    addi s9, s9, 1
    j walker
1:  ebreak
    .option pop

    .balign 4096
code:
    addi s1, s1, 1
    ecall
    .balign 4096
page:
    .skip 4096
