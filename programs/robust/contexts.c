// flags: -O2 -g
/* Coroutines (makecontext, swapcontext) that allocate on stacks of their own: stacks from mmap and from malloc, interleaved, ended
 * and unmapped, and taken up again at the same address by another function. A path ends at the coroutine's entry. */
#define _GNU_SOURCE
#include "truth.h"
#include <sys/mman.h>
#include <ucontext.h>

enum { STACK = 64 << 10, TOGETHER = 8 };
static ucontext_t scheduler, coroutines[TOGETHER];
static int current;
static unsigned long short_blocks, long_blocks;

static void yield(void) { must(swapcontext(&coroutines[current], &scheduler) == 0); }

__attribute__((noinline)) static void shared_leaf(size_t bytes) {
    void *block = take(bytes);
    yield();
    give(block, bytes);
    keep_frame();
}

static void short_work(void) {
    for (int i = 0; i < 5; i++) shared_leaf(310), short_blocks++;
}

__attribute__((noinline)) static void between(int depth) {
    if (depth > 0) between(depth - 1);
    else shared_leaf(320), long_blocks++;
    keep_frame();
}

static void long_work(void) {
    for (int i = 0; i < 5; i++) between(i);
    keep_frame();
}

static void *new_stack(int round) {
    if (round % 2) return took(malloc(STACK), STACK);
    void *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(stack != MAP_FAILED);
    return stack;
}

int main(void) {
    for (volatile int round = 0; round < 200; round++) {
        void *stacks[TOGETHER];
        for (int i = 0; i < TOGETHER; i++) {
            stacks[i] = new_stack(round);
            getcontext(&coroutines[i]);
            coroutines[i].uc_stack.ss_sp = stacks[i];
            coroutines[i].uc_stack.ss_size = STACK;
            coroutines[i].uc_link = &scheduler;
            makecontext(&coroutines[i], (round / 2 + i) % 2 ? short_work : long_work, 0);
        }
        /* Five yields and the end: six turns each, interleaved with blocks of the scheduler's. */
        for (int turn = 0; turn < 6; turn++) {
            for (current = 0; current < TOGETHER; current++) {
                give(take(330), 330);
                must(swapcontext(&scheduler, &coroutines[current]) == 0);
            }
        }
        for (int i = 0; i < TOGETHER; i++) {
            if (round % 2) give(stacks[i], STACK);
            else must(munmap(stacks[i], STACK) == 0);
        }
    }
    must(truth_allocations == truth_frees);
    say("path short_work shared_leaf allocations=%lu size=310\n", short_blocks);
    say("path long_work between* shared_leaf allocations=%lu size=320\n", long_blocks);
    print_truth();
    return 0;
}
