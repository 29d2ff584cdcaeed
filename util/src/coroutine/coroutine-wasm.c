/*
 * emscripten's fibers for coroutines. A swap unwinds the calling stack down to JavaScript, so every
 * function between a thread's or fiber's first one and the swap must be instrumented by Asyncify.
 * That is why the leader's loop is here, right above its thread's entry: nothing of Rust's standard
 * library lies between, and what Rust does in tinamou_coroutine_next() is over when a swap happens.
 */
#include <emscripten/fiber.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

/* Rust's side (coroutine-wasm.rs). */
extern void *tinamou_coroutine_leader(void *start);
extern struct stack *tinamou_coroutine_next(void *leader);
extern void tinamou_coroutine_end(void *leader);
extern void tinamou_coroutine_run(void *fiber);

/* Words at the lower end of a stack that nobody writes unless it is full. */
enum { GUARD_WORDS = 64, LEADER_ASYNCIFY_BYTES = 4096 };
static const uint32_t GUARD = 0x7461636b;

struct stack {
    emscripten_fiber_t fiber;
    void *owner;
    uint32_t *guard;    /* the C stack's lower end */
    uint32_t *limit;    /* one past the Asyncify stack's usable part */
};

static _Thread_local emscripten_fiber_t leader_fiber;
static _Thread_local struct stack *running;
static _Thread_local char leader_asyncify[LEADER_ASYNCIFY_BYTES];

void tinamou_coroutine_suspend(void)
{
    emscripten_fiber_swap(&running->fiber, &leader_fiber);
}

static void fiber_main(void *owner)
{
    for (;;) {
        tinamou_coroutine_run(owner);
        tinamou_coroutine_suspend();
    }
}

struct stack *tinamou_coroutine_stack(void *owner, size_t stack_bytes, size_t asyncify_bytes)
{
    size_t guard_bytes = GUARD_WORDS * sizeof GUARD;
    struct stack *stack = malloc(sizeof *stack + stack_bytes + asyncify_bytes + 2 * guard_bytes + 16);
    if (!stack)
        return NULL;
    /* From low to high: this structure, Asyncify's stack (grows up), its guard, the C stack's guard,
     * the C stack (grows down). A full C stack runs into Asyncify's guard last. */
    char *asyncify = (char *)(stack + 1);
    char *low = (char *)(((uintptr_t)asyncify + asyncify_bytes + 15) & ~(uintptr_t)15);
    stack->owner = owner;
    stack->limit = (uint32_t *)low;
    stack->guard = (uint32_t *)low + GUARD_WORDS;
    for (int i = 0; i < 2 * GUARD_WORDS; i++)
        stack->limit[i] = GUARD;
    emscripten_fiber_init(&stack->fiber, fiber_main, owner, stack->guard + GUARD_WORDS, stack_bytes,
                          asyncify, asyncify_bytes);
    return stack;
}

void tinamou_coroutine_free(struct stack *stack)
{
    free(stack);
}

/* Whether neither of its stacks has been full. */
int tinamou_coroutine_intact(const struct stack *stack)
{
    for (int i = 0; i < 2 * GUARD_WORDS; i++)
        if (stack->limit[i] != GUARD)
            return 0;
    return 1;
}

static void *thread_main(void *start)
{
    void *leader = tinamou_coroutine_leader(start);
    emscripten_fiber_init_from_current_context(&leader_fiber, leader_asyncify, sizeof leader_asyncify);
    while ((running = tinamou_coroutine_next(leader)))
        emscripten_fiber_swap(&leader_fiber, &running->fiber);
    tinamou_coroutine_end(leader);
    return NULL;
}

int tinamou_coroutine_thread(void *start)
{
    pthread_t thread;
    int status = pthread_create(&thread, NULL, thread_main, start);
    if (!status)
        pthread_detach(thread);
    return status;
}
