/* Memory kernels: dependent loads all over 8 MiB, streams, and the C library's memcpy and memset. */
#include <stdlib.h>
#include <string.h>

#include "bench.h"

static void *pages(size_t size)
{
    void *memory = malloc(size);
    if (!memory)
        abort();
    memset(memory, 0, size);
    return memory;
}

/* A single random cycle through all slots (Sattolo), one slot for each cache line. */
static uint64_t chase(uint64_t rounds)
{
    enum { SLOTS = 1 << 17, STRIDE = 8 };
    uint64_t *slots = pages((size_t)SLOTS * STRIDE * sizeof *slots), seed = 21, at = 0, sum = 0;
    for (uint64_t i = 0; i < SLOTS; i++)
        slots[i * STRIDE] = i;
    for (uint64_t i = SLOTS - 1; i > 0; i--) {
        uint64_t j = next_random(&seed) % i, t = slots[i * STRIDE];
        slots[i * STRIDE] = slots[j * STRIDE];
        slots[j * STRIDE] = t;
    }
    while (rounds--) {
        for (int i = 0; i < 1000; i++)
            at = slots[at * STRIDE];
        sum = fold(sum, at);
    }
    free(slots);
    return sum;
}

/* Copy, scale, add and triad over three arrays of 2 MiB. */
static uint64_t stream(uint64_t rounds)
{
    enum { COUNT = 1 << 18 };
    uint64_t *a = pages(COUNT * sizeof *a), *b = pages(COUNT * sizeof *b);
    uint64_t *c = pages(COUNT * sizeof *c), sum = 0;
    for (uint64_t i = 0; i < COUNT; i++)
        a[i] = i * i;
    while (rounds--) {
        for (size_t i = 0; i < COUNT; i++)
            c[i] = a[i];
        for (size_t i = 0; i < COUNT; i++)
            b[i] = c[i] * 3;
        for (size_t i = 0; i < COUNT; i++)
            c[i] = a[i] + b[i];
        for (size_t i = 0; i < COUNT; i++)
            a[i] = b[i] + c[i] * 3;
        sum = fold(sum, a[(size_t)(rounds % COUNT)]);
    }
    free(a);
    free(b);
    free(c);
    return sum;
}

/* A large block, then many small ones at odd addresses. */
static uint64_t copies(uint64_t rounds)
{
    enum { LARGE = 2 << 20 };
    uint8_t *a = pages(LARGE), *b = pages(LARGE);
    uint64_t seed = 22, sum = 0;
    for (size_t i = 0; i < LARGE; i++)
        a[i] = (uint8_t)i;
    while (rounds--) {
        memcpy(b, a, LARGE);
        for (int i = 0; i < 10000; i++) {
            uint64_t random = next_random(&seed);
            memcpy(a + random % 65536, b + (random >> 20) % 65536, (random >> 40) % 256);
        }
        memset(b + 100000, (int)rounds, LARGE - 200000);
        sum = fold(sum, a[4096] + b[150000]);
    }
    for (size_t i = 0; i < LARGE; i++)
        sum = fold(sum, a[i]);
    free(a);
    free(b);
    return sum;
}

const struct kernel memory_kernels[] = {
    { "chase", chase }, { "stream", stream }, { "memcpy", copies }, { NULL, NULL },
};
