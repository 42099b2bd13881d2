// flags: -O2 -g -pthread
/* Coroutines resumed by one thread after another, as M:N runtimes do: frames of one stack under two threads' memories. */
#define _GNU_SOURCE
#include "truth.h"
#include <pthread.h>
#include <ucontext.h>

enum { STACK = 64 << 10, COROUTINES = 4, TURNS = 500, THREADS = 2 };
static ucontext_t schedulers[THREADS], coroutines[COROUTINES];
static char stacks[COROUTINES][STACK] __attribute__((aligned(64)));
static int runs_on[COROUTINES];
static pthread_barrier_t turn_ended;

__attribute__((noinline)) static void yield(int self) {
    must(swapcontext(&coroutines[self], &schedulers[runs_on[self]]) == 0);
    keep_frame();
}

__attribute__((noinline)) static void work(int self, int depth) {
    void *block = take((size_t)(340 + self));
    if (depth == 0) yield(self);
    else work(self, depth - 1);
    give(block, (size_t)(340 + self));
}

static void coroutine(int self) {
    for (int i = 0;; i++) work(self, i % 7);
}

static void *schedule(void *argument) {
    int self = (int)(long)argument;
    for (int turn = 0; turn < TURNS; turn++) {
        for (int i = 0; i < COROUTINES; i++) {
            if ((i + turn) % THREADS != self) continue;
            runs_on[i] = self;
            must(swapcontext(&schedulers[self], &coroutines[i]) == 0);
            give(take(350), 350);
        }
        pthread_barrier_wait(&turn_ended);
    }
    return NULL;
}

int main(void) {
    pthread_t threads[THREADS];
    pthread_barrier_init(&turn_ended, NULL, THREADS);
    for (int i = 0; i < COROUTINES; i++) {
        getcontext(&coroutines[i]);
        coroutines[i].uc_stack.ss_sp = stacks[i];
        coroutines[i].uc_stack.ss_size = STACK;
        makecontext(&coroutines[i], (void (*)(void))coroutine, 1, i);
    }
    for (long i = 0; i < THREADS; i++) must(pthread_create(&threads[i], NULL, schedule, (void *)i) == 0);
    for (int i = 0; i < THREADS; i++) must(pthread_join(threads[i], NULL) == 0);
    print_truth();
    return 0;
}
