/* The integer kernels without an operating system: M-mode, no paging, no interrupts, so that what is
 * counted and timed is the kernel alone. Reads lines `KERNEL ROUNDS` from the UART; for each prints a
 * line `[begin]`, runs, and prints `[end COUNT] checksum SUM`, COUNT the difference of minstret
 * (exact under -icount, meaningless without). The line `quit` powers the machine off. */
#include "bench.h"

static volatile uint8_t *const uart = (volatile uint8_t *)0x10000000;
static volatile uint32_t *const finisher = (volatile uint32_t *)0x100000;

enum { LSR = 5, LSR_DATA_READY = 1, LSR_THR_EMPTY = 0x20, POWER_OFF = 0x5555 };

static void put(char c)
{
    while (!(uart[LSR] & LSR_THR_EMPTY))
        ;
    uart[0] = (uint8_t)c;
}

static void print(const char *text)
{
    while (*text)
        put(*text++);
}

static void print_decimal(uint64_t number)
{
    if (number >= 10)
        print_decimal(number / 10);
    put((char)('0' + number % 10));
}

static void print_hex(uint64_t number)
{
    for (int shift = 60; shift >= 0; shift -= 4)
        put("0123456789abcdef"[number >> shift & 15]);
}

static void read_line(char *line, size_t size)
{
    size_t length = 0;
    for (;;) {
        char c;
        while (!(uart[LSR] & LSR_DATA_READY))
            ;
        c = (char)uart[0];
        if (c == '\n' || c == '\r')
            break;
        if (length < size - 1)
            line[length++] = c;
    }
    line[length] = 0;
}

/* True when `line` starts with `name`; `*rest` is what follows the blank after it. */
static int starts(const char *line, const char *name, const char **rest)
{
    while (*name)
        if (*line++ != *name++)
            return 0;
    *rest = *line == ' ' ? line + 1 : line;
    return *line == ' ' || *line == 0;
}

static inline uint64_t instructions(void)
{
    uint64_t count;
    __asm__ volatile("csrr %0, minstret" : "=r"(count) : : "memory");
    return count;
}

static void run(const struct kernel *kernel, const char *rounds_text)
{
    uint64_t rounds = 0, before, after, sum;
    for (; *rounds_text >= '0' && *rounds_text <= '9'; rounds_text++)
        rounds = rounds * 10 + (uint64_t)(*rounds_text - '0');
    print("[begin]\n");
    before = instructions();
    sum = kernel->run(rounds);
    after = instructions();
    print("[end ");
    print_decimal(after - before);
    print("] checksum ");
    print_hex(sum);
    print("\n");
}

void bare_main(void)
{
    char line[64];
    const char *rest;
    print("bare ready\n");
    for (;;) {
        read_line(line, sizeof line);
        if (starts(line, "quit", &rest))
            *finisher = POWER_OFF;
        for (const struct kernel *kernel = integer_kernels; kernel->name; kernel++)
            if (starts(line, kernel->name, &rest))
                run(kernel, rest);
    }
}

/* What the compiler may call. */
void *memset(void *to, int byte, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((volatile uint8_t *)to)[i] = (uint8_t)byte;
    return to;
}

void *memcpy(void *to, const void *from, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((volatile uint8_t *)to)[i] = ((const uint8_t *)from)[i];
    return to;
}
