// Parity, population count, reversal and rounding up to a power of two, as libgcc and stress-ng have them:
// shifts of constants by what is masked.
#include "test.h"
START
    lui s3, 4
    j begin
par:
    srli a5,a0,0x20
    xor a0,a0,a5
    srli a5,a0,0x10
    xor a5,a5,a0
    srli a0,a5,0x8
    xor a0,a0,a5
    srli a5,a0,0x4
    xor a5,a5,a0
    lui a0,7
    andi a5,a5,15
    addiw a0,a0,-1642
    sraw a0,a0,a5
    andi a0,a0,1
    ret
pop:
    lui a5,0x55555
    addi a5,a5,1365
    slli a3,a5,0x20
    add a3,a3,a5
    lui a4,0x33333
    srli a5,a0,0x1
    and a5,a5,a3
    addi a4,a4,819
    sub a0,a0,a5
    slli a5,a4,0x20
    srli a3,a0,0x2
    add a5,a5,a4
    and a4,a3,a5
    and a5,a5,a0
    lui a3,0xf0f1
    add a5,a5,a4
    addi a3,a3,-241
    lui a4,0x1010
    addi a4,a4,257
    srli a0,a5,0x4
    slli a2,a3,0x20
    add a0,a0,a5
    add a3,a3,a2
    slli a5,a4,0x20
    and a0,a0,a3
    add a5,a5,a4
    mul a0,a0,a5
    srli a0,a0,0x38
    ret
begin:
    li s4,0
    li s5,0
1: mv a0,s4
    jal par
    addw s5,s5,a0
    addiw s4,s4,1
    bne s4,s3,1b
    IS(s5, 0x2000)
    li s4,0
    li s5,0
1: mv a0,s4
    jal pop
    addw s5,s5,a0
    addiw s4,s4,1
    bne s4,s3,1b
    IS(s5, 0x1c000)
    li s4,0
    li s5,0
1: srliw a5,s4,1
    mv s1,s4
    li s2,31
    beqz a5,3f
2: andi a4,a5,1
    slliw s1,s1,1
    srliw a5,a5,1
    addiw s2,s2,-1
    or s1,s1,a4
    bnez a5,2b
3: sllw s1,s1,s2
    addw s5,s5,s1
    addiw s4,s4,1
    bne s4,s3,1b
    IS(s5, 0xffffffff80000000)
    li s4,0
    li s5,0
1: addiw a5,s4,-1
    srliw a4,a5,1
    or a4,a4,a5
    srliw a5,a4,2
    or a5,a5,a4
    srliw a4,a5,4
    or a4,a4,a5
    srliw a5,a4,8
    or a5,a5,a4
    srliw a4,a5,16
    addiw s5,s5,1
    or a5,a5,a4
    addw s5,s5,a5
    addiw s4,s4,1
    bne s4,s3,1b
    IS(s5, 0xaaa6aab)
    PASS
