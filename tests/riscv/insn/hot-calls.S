// Calls and returns in hot code: recursion, tables, tail calls, returns elsewhere, page borders.
#include "hot.h"

#define STACK 0x80800000

    .macro push reg
    addi sp, sp, -16
    sd \reg, 0(sp)
    .endm
    .macro pop reg
    ld \reg, 0(sp)
    addi sp, sp, 16
    .endm

START
    li sp, STACK
    // fib(20), doubly recursive
    li s0, 0
    li s1, 0
1:  li a0, 20
    call fib
    add s1, s1, a0
    addi s0, s0, 1
    li a1, 4
    bne s0, a1, 1b
    IS(s1, 4 * 6765)
    li a0, STACK
    SAME(sp, a0)
    // ackermann(2, 60): deep, by tail calls and others
    li s0, 0
    li s1, 0
1:  li a0, 2
    li a1, 60
    call ackermann
    add s1, s1, a1
    addi s0, s0, 1
    li a2, 5
    bne s0, a2, 1b
    IS(s1, 5 * 123)
    // straight down 20000 calls, and up; each level's value is on its stack
    li s0, 0
    li s1, 0
1:  li a0, 20000
    call deep
    add s1, s1, a0
    addi s0, s0, 1
    li a2, 4
    bne s0, a2, 1b
    IS(s1, 4 * 200010000)
    li a0, STACK
    SAME(sp, a0)

    // through a table, by a pseudo-random number
    li s0, 0
    li s1, 0
    li s2, 12345
    la s3, table
    li s4, 1103515245
1:  mulw s2, s2, s4
    li a0, 12345
    addw s2, s2, a0
    srliw a0, s2, 16
    andi a0, a0, 7
    slli a1, a0, 3
    add a1, a1, s3
    ld a1, 0(a1)
    mv a2, a0
    jalr a1
    li a3, 11
    mul a2, a2, a3
    addi a2, a2, 5
    bne a0, a2, fail
    add s1, s1, a0
    addi s0, s0, 1
    li a1, 60000
    bne s0, a1, 1b
    IS(s1, 2604434)

    // a function returns to other places than behind its call, by turns
    li s0, 0
    li s1, 0
    li s2, 0
    la s3, 3f
    la s4, 4f
1:  jal elsewhere
2:  addi s1, s1, 1                      // every fourth
    j 5f
3:  addi s1, s1, 100
    j 5f
4:  addi s2, s2, 1
5:  addi s0, s0, 1
    li a0, 40000
    bne s0, a0, 1b
    IS(s1, 10000 + 10000 * 100)
    IS(s2, 20000)

    // setjmp and longjmp out of nested calls
    li s0, 0
    li s1, 0
1:  la a0, buffer
    call set_jump
    bnez a0, 2f
    andi a0, s0, 15
    call nested                         // never returns
    j fail
2:  add s1, s1, a0
    li a1, STACK
    bne sp, a1, fail
    addi s0, s0, 1
    li a1, 20000
    bne s0, a1, 1b
    IS(s1, 1250 * 136 * 3)

    // tail calls: even and odd
    li s0, 0
    li s1, 0
1:  andi a0, s0, 63
    call even
    add s1, s1, a0
    addi s0, s0, 1
    li a1, 3200
    bne s0, a1, 1b
    IS(s1, 1600)

    // coroutines: each jump links by the register that it jumps by
    li s0, 0
    li s1, 0
    la t0, partner
    CASE
1:  addi s1, s1, 1
    jalr t0, t0
    addi s1, s1, 1
    jalr t0, t0
    addi s0, s0, 1
    li a1, 20000
    bne s0, a1, 1b
    IS(s1, 20000 * (1 + 10 + 1 + 100))
    la a0, partner_rest
    SAME(t0, a0)
    // ra as source and destination
    li s0, 0
    li s1, 0
1:  la ra, 3f
2:  jalr ra, ra
    addi s1, s1, 1
    addi s0, s0, 1
    li a1, 20000
    bne s0, a1, 1b
    j 4f
3:  addi s1, s1, 2
    jalr ra, ra
    j fail
4:  IS(s1, 60000)
    // an odd address: the lowest bit goes
    li s0, 0
    la s2, fib + 1
    CASE
1:  li a0, 1
    jalr s2
    li a1, 1
    bne a0, a1, fail
    addi s0, s0, 1
    li a1, 20000
    bne s0, a1, 1b

    // loops and calls over page borders; one's jumps are an instruction on both pages
    li s0, 0
    li s1, 0
1:  li a0, 50
    call border_loop
    add s1, s1, a1
    addi s0, s0, 1
    li a2, 1000
    bne s0, a2, 1b
    IS(s1, 1000 * 50 * 31)
    li s0, 0
    li s1, 0
1:  li a0, 50
    call border_jump
    add s1, s1, a1
    addi s0, s0, 1
    li a2, 1000
    bne s0, a2, 1b
    IS(s1, 1000 * 50 * 7)
    // between many pages
    li s0, 0
    li s1, 0
1:  call page0
    addi s0, s0, 1
    li a2, 10000
    bne s0, a2, 1b
    IS(s1, 10000 * 11111)

    // the caller's return address is changed by who is called, after many times that it is not
    li s0, 0
    li s1, 0
    li s2, 0
1:  call sometimes
    addi s1, s1, 1
    j 2f
    addi s2, s2, 1
2:  addi s0, s0, 1
    li a0, 0x10000
    bne s0, a0, 1b
    IS(s2, 16)
    IS(s1, 0x10000 - 16)
    PASS

fib:
    li a1, 2
    bltu a0, a1, 1f
    push ra
    push a0
    addi a0, a0, -1
    call fib
    pop a1
    push a0
    addi a0, a1, -2
    call fib
    pop a1
    add a0, a0, a1
    pop ra
1:  ret

ackermann:                              // of a0, a1; to a1
    bnez a0, 1f
    addi a1, a1, 1
    ret
1:  bnez a1, 2f
    addi a0, a0, -1
    li a1, 1
    j ackermann
2:  push ra
    push a0
    addi a1, a1, -1
    call ackermann
    pop a0
    pop ra
    addi a0, a0, -1
    j ackermann

deep:                                   // 1 + 2 + ... + a0
    beqz a0, 1f
    push ra
    push a0
    addi a0, a0, -1
    call deep
    pop a1
    add a0, a0, a1
    pop ra
1:  ret

    .macro table_function n
function\n:
    li a0, 11 * \n + 5
    ret
    .endm
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7
    table_function \n
    .endr
    .balign 8
table:
    .dword function0, function1, function2, function3
    .dword function4, function5, function6, function7

elsewhere:
    andi a0, s0, 3
    beqz a0, 3f
    li a1, 1
    beq a0, a1, 1f
    addi ra, s4, 0
    ret
1:  jr s3
3:  ret

set_jump:
    sd ra, 0(a0)
    sd sp, 8(a0)
    sd s0, 16(a0)
    li a0, 0
    ret
long_jump:
    ld ra, 0(a0)
    ld sp, 8(a0)
    ld s0, 16(a0)
    mv a0, a1
    ret
nested:                                 // jumps out of a0 + 1 levels, with 3 * (a0 + 1)
    li a2, 0
    mv a3, a0
1:  push ra
    push s0
    li s0, -1
    beqz a0, 2f
    addi a0, a0, -1
    call 1b
    j fail
2:  addi a1, a3, 1
    slli a2, a1, 1
    add a1, a1, a2
    la a0, buffer
    j long_jump

even:
    beqz a0, 1f
    addi a0, a0, -1
    j odd
1:  li a0, 1
    ret
odd:
    beqz a0, 1f
    addi a0, a0, -1
    tail even
1:  li a0, 0
    ret

partner:
    addi s1, s1, 10
    jalr t0, t0
    addi s1, s1, 100
    jalr t0, t0
partner_rest:
    j partner

sometimes:
    li a0, 0xfff
    and a0, s0, a0
    li a1, 0xffe
    bne a0, a1, 1f
    .option push
    .option norvc
    la a1, 2f
    lw a1, 0(a1)
    addi ra, ra, 0
    .option pop
    // behind the two instructions behind the call
    lhu a1, 0(ra)
    andi a1, a1, 3
    addi a1, a1, -3
    li a2, 2
    bnez a1, 3f
    li a2, 4
3:  add ra, ra, a2
    lhu a1, 0(ra)
    andi a1, a1, 3
    addi a1, a1, -3
    li a2, 2
    bnez a1, 4f
    li a2, 4
4:  add ra, ra, a2
1:  ret
2:  .word 0

    .option push
    .option norvc
    .balign 4096
    .skip 4096 - 12
border_loop:                            // a1 = 31 * a0
    li a1, 0
1:  addi a1, a1, 1
    addi a1, a1, 2                      // the last of the page
    addi a1, a1, 4
    addi a1, a1, 8
    addi a1, a1, 16
    addi a0, a0, -1
    bnez a0, 1b
    ret
    .balign 4096
    .skip 4096 - 22
border_jump:                            // a1 = 7 * a0
    li a1, 0
1:  addi a1, a1, 1
    addi a0, a0, -1
    jal t2, 3f
    beqz a0, 2f
    j 1b                                // on both pages
2:  addi a1, a1, 0
    ret
3:  addi a1, a1, 6
    mv t0, t2
    jr t0
    .macro page_function n, next
    .balign 4096
page\n:
    .if \next
    addi sp, sp, -16
    sd ra, 0(sp)
    call page\next
    ld ra, 0(sp)
    addi sp, sp, 16
    .endif
    .set step, 1
    .rept \n
    .set step, step * 10
    .endr
    li a0, step
    add s1, s1, a0
    ret
    .endm
    page_function 0, 1
    page_function 1, 2
    page_function 2, 3
    page_function 3, 4
    page_function 4, 0
    .option pop
    .balign 64
buffer:
    .skip 64
