// Zicond: conditional zero.
#include "test.h"

START
    RR(czero.eqz, 0x0, 0x123456789abcdef, 0x0)
    RR(czero.eqz, 0x123456789abcdef, 0x123456789abcdef, 0x1)
    RR(czero.eqz, 0xfedcba9876543210, 0xfedcba9876543210, 0x8000000000000000)
    RR(czero.eqz, 0xfedcba9876543210, 0xfedcba9876543210, 0x100000000)
    RR(czero.eqz, 0x0, 0x0, 0x0)
    RR(czero.eqz, 0xffffffffffffffff, 0xffffffffffffffff, 0xffffffffffffffff)
    RR(czero.nez, 0x123456789abcdef, 0x123456789abcdef, 0x0)
    RR(czero.nez, 0x0, 0x123456789abcdef, 0x1)
    RR(czero.nez, 0x0, 0xfedcba9876543210, 0x8000000000000000)
    RR(czero.nez, 0x0, 0xfedcba9876543210, 0x100000000)
    RR(czero.nez, 0x0, 0x0, 0x0)
    RR(czero.nez, 0x0, 0xffffffffffffffff, 0xffffffffffffffff)
    // the destination is also an operand
    li a0, 9
    li a1, 0
    czero.eqz a1, a0, a1
    IS(a1, 0)
    li a1, 3
    czero.eqz a1, a0, a1
    IS(a1, 9)
    PASS
