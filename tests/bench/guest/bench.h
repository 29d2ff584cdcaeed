/* The guest half of tests/bench: every kernel is a function of a number of rounds that returns a
 * checksum, and a row in a table. Its work grows in proportion to the rounds, its answer is the same
 * on every correct machine. */
#ifndef BENCH_H
#define BENCH_H

#include <stddef.h>
#include <stdint.h>

struct kernel {
    const char *name;
    uint64_t (*run)(uint64_t rounds);
};

/* Each ends with a row whose name is NULL. */
extern const struct kernel integer_kernels[];
extern const struct kernel floating_kernels[];
extern const struct kernel memory_kernels[];
extern const struct kernel system_kernels[];
extern const struct kernel harts_kernels[];
extern const struct kernel files_kernels[];

/* xorshift64*: the same numbers everywhere. The state must not be zero. */
static inline uint64_t next_random(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * 0x2545f4914f6cdd1dULL;
}

/* Folds a value into a checksum, order included. */
static inline uint64_t fold(uint64_t sum, uint64_t value)
{
    return (sum ^ value) * 0x100000001b3ULL + (sum >> 29);
}

#endif
