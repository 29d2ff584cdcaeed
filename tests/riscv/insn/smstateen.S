// Smstateen: mstateen0 lets S and U mode at senvcfg and at sstateen0.
#include "test.h"

#define SE0    0x8000000000000000
#define ENVCFG 0x4000000000000000

START
    csrw mstateen0, x0
    csrw mstateen1, x0
    csrw mstateen2, x0
    csrw mstateen3, x0
    csrw sstateen0, x0                  // M mode may, always
    csrw senvcfg, x0
    to_s
    ILLEGAL(csrr a0, senvcfg)
    to_s
    ILLEGAL(csrw senvcfg, x0)
    to_s
    ILLEGAL(csrr a0, sstateen0)
    to_s
    ILLEGAL(csrr a0, mstateen0)
    li a0, SE0 | ENVCFG
    csrw mstateen0, a0
    csrr a1, mstateen0
    SAME(a0, a1)
    to_s
    CASE
    csrr a0, senvcfg
    csrr a0, sstateen0
    ILLEGAL(csrr a0, mstateen0)
    li a0, ENVCFG
    csrw mstateen0, a0
    to_s
    csrr a0, senvcfg
    ILLEGAL(csrr a0, sstateen0)
    to_u
    ILLEGAL(csrr a0, sstateen0)
    PASS
