# Entry of the bare-metal image, at the start of RAM in M-mode (-bios FILE): other harts sleep, hart 0
# gets a stack and zeroed data. All interrupts stay off.
    .section .text.start
    .globl _start
_start:
    csrw mie, zero
    csrr t0, mhartid
    bnez t0, sleep
    .option push
    .option norelax
    la gp, __global_pointer$
    .option pop
    la sp, stack_top
    la t0, bss_start
    la t1, bss_end
zero:
    bgeu t0, t1, enter
    sd zero, (t0)
    addi t0, t0, 8
    j zero
enter:
    call bare_main
sleep:
    wfi
    j sleep
