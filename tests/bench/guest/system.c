/* Kernels that live in the guest's operating system: system calls, processes, page faults, pipes. */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

static void must(int holds, const char *what)
{
    if (!holds) {
        perror(what);
        exit(1);
    }
}

static uint64_t syscalls(uint64_t rounds)
{
    uint64_t same = 0, parent = (uint64_t)getppid();
    while (rounds--)
        same += (uint64_t)syscall(SYS_getppid) == parent;
    return same;
}

static uint64_t forks(uint64_t rounds)
{
    uint64_t sum = 0;
    while (rounds--) {
        int status = 0;
        pid_t child = fork();
        must(child >= 0, "fork");
        if (child == 0)
            _exit((int)(rounds & 63));
        must(waitpid(child, &status, 0) == child, "waitpid");
        sum = fold(sum, (uint64_t)WEXITSTATUS(status));
    }
    return sum;
}

/* A function of its own: what lives across vfork stays out of the loop. */
static pid_t spawn_nothing(void)
{
    pid_t child = vfork();
    if (child == 0) {
        execl("/proc/self/exe", "bench", "nothing", (char *)NULL);
        _exit(127);
    }
    return child;
}

static uint64_t execs(uint64_t rounds)
{
    uint64_t sum = 0;
    while (rounds--) {
        int status = 0;
        pid_t child = spawn_nothing();
        must(child >= 0, "vfork");
        must(waitpid(child, &status, 0) == child, "waitpid");
        sum = fold(sum, (uint64_t)WEXITSTATUS(status));
    }
    return sum;
}

static uint64_t faults(uint64_t rounds)
{
    enum { PAGE = 4096, PAGES = 64 };
    uint64_t sum = 0;
    while (rounds--) {
        uint8_t *memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        must(memory != MAP_FAILED, "mmap");
        for (int i = 0; i < PAGES; i++)
            memory[i * PAGE] = (uint8_t)(i + memory[i * PAGE + 1]);
        sum = fold(sum, memory[(rounds % PAGES) * PAGE]);
        must(munmap(memory, PAGES * PAGE) == 0, "munmap");
    }
    return sum;
}

static uint64_t protects(uint64_t rounds)
{
    enum { PAGE = 4096, PAGES = 16 };
    uint8_t *memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t sum = 0;
    must(memory != MAP_FAILED, "mmap");
    while (rounds--) {
        uint8_t *page = memory + rounds % PAGES * PAGE;
        must(mprotect(page, PAGE, PROT_READ) == 0, "mprotect");
        sum = fold(sum, *page);
        must(mprotect(page, PAGE, PROT_READ | PROT_WRITE) == 0, "mprotect");
        ++*page;
    }
    munmap(memory, PAGES * PAGE);
    return sum;
}

/* One byte there and one back; each way is a switch of processes. */
static uint64_t pipes(uint64_t rounds)
{
    int there[2], back[2], status = 0;
    uint64_t sum = 0;
    uint8_t byte;
    pid_t child;
    must(pipe(there) == 0 && pipe(back) == 0, "pipe");
    child = fork();
    must(child >= 0, "fork");
    if (child == 0) {
        close(there[1]);
        while (read(there[0], &byte, 1) == 1) {
            byte = (uint8_t)(byte * 5 + 1);
            must(write(back[1], &byte, 1) == 1, "write");
        }
        _exit(0);
    }
    while (rounds--) {
        byte = (uint8_t)rounds;
        must(write(there[1], &byte, 1) == 1 && read(back[0], &byte, 1) == 1, "ping-pong");
        sum = fold(sum, byte);
    }
    close(there[1]);
    must(waitpid(child, &status, 0) == child && status == 0, "waitpid");
    return sum;
}

/* Gives the turn away; the other one is waiting for it. */
static void give_turn(uint32_t *turn, uint32_t to)
{
    __atomic_store_n(turn, to, __ATOMIC_SEQ_CST);
    must(syscall(SYS_futex, turn, FUTEX_WAKE, 1, NULL) >= 0, "futex");
}

static void wait_turn(uint32_t *turn, uint32_t mine)
{
    while (__atomic_load_n(turn, __ATOMIC_SEQ_CST) != mine)
        syscall(SYS_futex, turn, FUTEX_WAIT, !mine, NULL);
}

/* A word that two processes share says whose turn it is: two switches in a round, and no data. */
static uint64_t futexes(uint64_t rounds)
{
    uint32_t *turn = mmap(NULL, 2 * sizeof *turn, PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint64_t sum = 0;
    int status = 0;
    pid_t child;
    must(turn != MAP_FAILED, "mmap");
    child = fork();
    must(child >= 0, "fork");
    for (uint64_t round = 0; round < rounds; round++) {
        wait_turn(turn, child == 0);
        turn[1] = turn[1] * 5 + (child == 0);
        sum = fold(sum, turn[1]);
        give_turn(turn, child != 0);
    }
    if (child == 0)
        _exit(0);
    must(waitpid(child, &status, 0) == child && status == 0, "waitpid");
    return sum;
}

const struct kernel system_kernels[] = {
    { "syscall", syscalls }, { "fork", forks }, { "exec", execs },    { "fault", faults },
    { "mprotect", protects }, { "pipe", pipes }, { "futex", futexes }, { NULL, NULL },
};
