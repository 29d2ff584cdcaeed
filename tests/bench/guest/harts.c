/* Kernels for several harts: each child process is pinned to a hart of its own. */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

enum { HARTS_MAX = 2 };

/* What the children share. */
struct shared {
    uint64_t sums[HARTS_MAX];
    uint64_t counter;
};

typedef void work(struct shared *shared, int hart, uint64_t rounds);

static void must(int holds, const char *what)
{
    if (!holds) {
        perror(what);
        exit(1);
    }
}

static void pinned(work *work, struct shared *shared, int hart, uint64_t rounds)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(hart, &set);
    must(sched_setaffinity(0, sizeof set, &set) == 0, "sched_setaffinity");
    work(shared, hart, rounds);
}

static uint64_t on(int harts, work *work, uint64_t rounds)
{
    struct shared *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint64_t sum = 0;
    must(shared != MAP_FAILED, "mmap");
    for (int hart = 0; hart < harts; hart++) {
        pid_t child = fork();
        must(child >= 0, "fork");
        if (child == 0) {
            pinned(work, shared, hart, rounds);
            _exit(0);
        }
    }
    for (int hart = 0; hart < harts; hart++) {
        int status = 0;
        must(wait(&status) > 0 && status == 0, "wait");
    }
    for (int hart = 0; hart < harts; hart++)
        sum = fold(sum, shared->sums[hart]);
    return fold(sum, shared->counter);
}

/* The same work on each hart, nothing shared. */
static void alone(struct shared *shared, int hart, uint64_t rounds)
{
    for (const struct kernel *kernel = integer_kernels; kernel->name; kernel++)
        if (!strcmp(kernel->name, "quicksort"))
            shared->sums[hart] = kernel->run(rounds);
}

/* Every hart counts in the same word, half by AMO and half by compare-and-swap (LR and SC). */
static void counting(struct shared *shared, int hart, uint64_t rounds)
{
    (void)hart;
    while (rounds--) {
        uint64_t seen = __atomic_fetch_add(&shared->counter, 1, __ATOMIC_SEQ_CST);
        while (!__atomic_compare_exchange_n(&shared->counter, &seen, seen + 1, 1, __ATOMIC_SEQ_CST,
                                            __ATOMIC_RELAXED))
            ;
    }
}

static uint64_t hart1(uint64_t rounds) { return on(1, alone, rounds); }
static uint64_t hart2(uint64_t rounds) { return on(2, alone, rounds); }
static uint64_t counter2(uint64_t rounds) { return on(2, counting, rounds); }

const struct kernel harts_kernels[] = {
    { "hart1", hart1 },
    { "hart2", hart2 },
    { "counter2", counter2 },
    { NULL, NULL },
};
